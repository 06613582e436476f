/*
 * cloudevent.c - a request's CloudEvents, read into drafts.
 *
 *      headers ce-* + body  --put together--.
 *      one JSON object  --------------------+--> strict JSON --> cloudevent_valid() --> draft
 *      JSON array  --cut into elements------'
 *
 * Binary mode is written as the structured form first, so that there is one way to check events,
 * and one form in the log.
 */
#include "handlers/cloudevent.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/text.h"
#include "handlers/cloudevent_priv.h"
#include "handlers/once.h"

enum { DIGEST_LEN = 32 };

struct cloudevent_item {
    struct buf text; /* the event, without blanks */
    json_t *root;
    char once[ONCE_LEN + 1];
    unsigned char digest[DIGEST_LEN];
};

static bool no_memory(struct batch_error *e)
{
    return batch_wrong(e, 503, "out of memory");
}

/* ---- which mode (HTTP binding, section 3) --------------------------------------------------- */

static void look_at_name(void *arg, struct slice name, struct slice value)
{
    static const char *const required[] = { "ce-specversion", "ce-id", "ce-source", "ce-type" };
    bool *any = arg;

    (void)value;
    for (size_t i = 0; i < LENGTH(required); i++)
        *any |= slice_is(name, slice_of(required[i]));
}

/* The media type application/cloudevents, with whatever format after it? */
static bool is_family(struct slice essence)
{
    struct slice family = SLICE("application/cloudevents");

    return essence.len >= family.len &&
           slice_is_nocase((struct slice){ essence.at, family.len }, family) &&
           (essence.len == family.len || strchr("+-", essence.at[family.len]));
}

enum cloudevent_mode cloudevent_mode(const struct request *r)
{
    struct slice type = request_header(r, "content-type"), essence = media_essence(type);
    bool any = false;

    if (is_family(essence)) {
        if (!media_is_utf8(type))
            return CLOUDEVENT_FOREIGN;
        if (slice_is_nocase(essence, SLICE(CLOUDEVENT_TYPE)))
            return CLOUDEVENT_STRUCTURED;
        if (slice_is_nocase(essence, SLICE("application/cloudevents-batch+json")))
            return CLOUDEVENT_BATCH;
        return CLOUDEVENT_FOREIGN;
    }
    request_each_header(r, look_at_name, &any);
    return any ? CLOUDEVENT_BINARY : CLOUDEVENT_NONE;
}

/* ---- one event ------------------------------------------------------------------------------ */

static struct slice member_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_string(value))
        return SLICE_NONE;
    return (struct slice){ json_string_value(value), json_string_length(value) };
}

static int hash_text(const char *text, size_t len, void *hash)
{
    return crypto_generichash_update(hash, (const unsigned char *)text, len);
}

/* What it says, whatever the order of its members; those that are null are not there.  False: no
   memory. */
static bool digest_of(json_t *root, unsigned char out[DIGEST_LEN])
{
    crypto_generichash_state hash;
    const char *name;
    json_t *value;
    void *next;

    json_object_foreach_safe(root, next, name, value)
    {
        if (json_is_null(value) && strcmp(name, "data") != 0)
            json_object_del(root, name);
    }
    crypto_generichash_init(&hash, NULL, 0, DIGEST_LEN);
    if (json_dump_callback(root, hash_text, &hash, JSON_SORT_KEYS | JSON_COMPACT) != 0)
        return false;
    crypto_generichash_final(&hash, out, DIGEST_LEN);
    return true;
}

static bool take(struct batch_error *e, struct cloudevent_item *item, struct draft *draft,
                 struct slice text, const struct cloudevent_terms *terms, const struct conf *conf)
{
    char why[sizeof(e->why) - 16];
    const char *reason;
    enum rc rc = strict_read_value(text, CLOUDEVENT_DEPTH_MAX, &item->root, &reason);

    if (rc == RC_NOMEM)
        return no_memory(e);
    if (rc != RC_OK)
        return batch_wrong(e, 400, "it %s", reason);
    if (!cloudevent_valid(item->root, why, sizeof(why)))
        return batch_wrong(e, 400, "%s", why);
    json_put_compact(&item->text, text);
    if (item->text.nomem)
        return no_memory(e);
    *draft = (struct draft){ .topic = terms->topic,
                             .type = member_of(item->root, "type"),
                             .content_type = SLICE(CLOUDEVENT_TYPE),
                             .id = member_of(item->root, "id"),
                             .data = buf_slice(&item->text),
                             .expires_ms = terms->expires_ms,
                             .retain = terms->retain,
                             .is_private = terms->is_private };
    if (draft->topic.len == 0)
        draft->topic = member_of(item->root, "bellpushtopic");
    if (draft->topic.len == 0)
        return batch_wrong(
            e, 400,
            "it has no topic: say topic=orders/42 in the address, or give the event the "
            "attribute bellpushtopic");
    *e = batch_check(conf, draft);
    if (e->status != 0)
        return false;
    once_key(
        "ce:",
        (struct slice[]){ terms->scope, draft->topic, member_of(item->root, "source"), draft->id },
        4, item->once);
    draft->once = (struct slice){ item->once, ONCE_LEN };
    draft->digest = (struct slice){ (const char *)item->digest, DIGEST_LEN };
    return digest_of(item->root, item->digest) || no_memory(e);
}

static bool make_room(struct cloudevents *c, size_t n)
{
    c->drafts = calloc(n, sizeof(*c->drafts));
    c->items = calloc(n, sizeof(*c->items));
    c->n = c->drafts && c->items ? n : 0;
    return c->n > 0 || no_memory(&c->error);
}

/* ---- binary mode: headers (HTTP binding, section 3.1.3) -------------------------------------- */

struct headers {
    struct buf text;    /* "{" and the members so far */
    struct buf scratch; /* one value */
    struct batch_error *error;
};

/* RFC 7230, section 3.2.6: quotes go, and within them a backslash takes the next byte as it is. */
static bool unquote(struct slice value, struct buf *out)
{
    bool quoted = false;

    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] == '"') {
            quoted = !quoted;
            continue;
        }
        if (quoted && value.at[i] == '\\' && ++i == value.len)
            return false;
        buf_putc(out, value.at[i]);
    }
    return !quoted;
}

static bool put_header(struct headers *h, struct slice attribute, struct slice value)
{
    struct batch_error *e = h->error;
    char name[24];
    struct buf plain = BUF_EMPTY;

    snprintf(name, sizeof(name), "%.*s", (int)attribute.len, attribute.at);
    h->scratch.len = 0;
    if (!unquote(value, &h->scratch))
        return batch_wrong(e, 400, "header ce-%s has a quote that does not end", name);
    enum rc rc = percent_decode(&plain, buf_slice(&h->scratch), false);
    if (rc == RC_SYNTAX)
        (void)batch_wrong(
            e, 400, "header ce-%s has a %% that is not followed by two hexadecimal digits", name);
    else if (rc == RC_OK && !utf8_valid(buf_slice(&plain)))
        (void)batch_wrong(e, 400, "header ce-%s is not UTF-8 when it is decoded", name);
    if (h->text.len > 1)
        buf_putc(&h->text, ',');
    cloudevent_put_member(&h->text, name, e->status ? SLICE("") : buf_slice(&plain));
    buf_fini(&plain);
    return e->status == 0;
}

static void on_header(void *arg, struct slice name, struct slice value)
{
    struct headers *h = arg;
    struct slice prefix = SLICE("ce-");

    if (h->error->status || name.len < prefix.len || memcmp(name.at, prefix.at, prefix.len) != 0)
        return;
    name = (struct slice){ name.at + prefix.len, name.len - prefix.len };
    if (slice_is(name, SLICE("datacontenttype")))
        batch_wrong(h->error, 400,
                    "ce-datacontenttype must not be sent: it is Content-Type that says it");
    else if (!cloudevent_name_valid(name))
        batch_wrong(
            h->error, 400,
            "ce-%.*s is no name of an attribute: those have 1 to 20 of the letters a to z and "
            "digits",
            (int)(name.len < 60 ? name.len : 60), name.len ? name.at : "");
    else
        (void)put_header(h, name, value);
}

static bool read_binary(struct cloudevents *c, const struct request *r,
                        const struct cloudevent_terms *terms, const struct conf *conf)
{
    struct headers h = { BUF_EMPTY, BUF_EMPTY, &c->error };
    struct slice type = request_header(r, "content-type");

    buf_putc(&h.text, '{');
    request_each_header(r, on_header, &h);
    if (type.len > 0) {
        buf_putc(&h.text, ',');
        cloudevent_put_member(&h.text, "datacontenttype", type);
    }
    if (r->head->body.len > 0)
        cloudevent_put_data(&h.text, type, r->head->body);
    buf_putc(&h.text, '}');
    if (!c->error.status && (h.text.nomem || h.scratch.nomem))
        (void)no_memory(&c->error);
    if (!c->error.status && make_room(c, 1))
        (void)take(&c->error, c->items, c->drafts, buf_slice(&h.text), terms, conf);
    buf_fini(&h.text);
    buf_fini(&h.scratch);
    return c->error.status == 0;
}

/* ---- batch mode ------------------------------------------------------------------------------ */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && is_blank(*s.at))
        s = (struct slice){ s.at + 1, s.len - 1 };
    while (s.len > 0 && is_blank(s.at[s.len - 1]))
        s.len--;
    return s;
}

/*
 * Cut the next element off the inside of an array, up to its comma.  Only brackets and quotes are
 * looked at: an element is JSON when it is read, and when all of them are, so is the array.
 */
static struct slice element_cut(struct slice *inside)
{
    size_t depth = 0, i = 0;
    bool quoted = false;

    for (; i < inside->len; i++) {
        char c = inside->at[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '['))
            depth++;
        else if (!quoted && (c == '}' || c == ']') && depth > 0)
            depth--;
        else if (!quoted && c == ',' && depth == 0)
            break;
    }
    struct slice element = { inside->at, i < inside->len ? i : inside->len };
    size_t skip = element.len + (element.len < inside->len);
    *inside = (struct slice){ inside->at + skip, inside->len - skip };
    return trim(element);
}

/* One more than there are commas; inside is not empty. */
static size_t count_elements(struct slice inside)
{
    const char *end = inside.at + inside.len;
    size_t n = 1;

    while (inside.len > 0) {
        (void)element_cut(&inside);
        n += inside.len > 0 || end[-1] == ',';
    }
    return n;
}

static bool read_batch(struct cloudevents *c, struct slice body,
                       const struct cloudevent_terms *terms, const struct conf *conf)
{
    struct slice array = trim(body);

    if (array.len < 2 || array.at[0] != '[' || array.at[array.len - 1] != ']')
        return batch_wrong(&c->error, 400, "the body is not a JSON array of events");
    struct slice inside = trim((struct slice){ array.at + 1, array.len - 2 });
    if (inside.len == 0)
        return true;
    size_t n = count_elements(inside);
    if (n > (size_t)conf->max_batch)
        return batch_wrong(&c->error, 413, "the batch has %zu events; one publish may have %lld", n,
                           (long long)conf->max_batch);
    if (!make_room(c, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct batch_error e = { 0 };
        if (!take(&e, &c->items[i], &c->drafts[i], element_cut(&inside), terms, conf))
            return batch_wrong(&c->error, e.status, "event %zu: %.300s", i, e.why);
    }
    return true;
}

/* ---- all ------------------------------------------------------------------------------------- */

bool cloudevents_read(struct cloudevents *c, const struct request *r, enum cloudevent_mode mode,
                      const struct cloudevent_terms *terms, const struct conf *conf)
{
    *c = (struct cloudevents){ 0 };
    switch (mode) {
    case CLOUDEVENT_BINARY:
        return read_binary(c, r, terms, conf);
    case CLOUDEVENT_STRUCTURED:
        return make_room(c, 1) && take(&c->error, c->items, c->drafts, r->head->body, terms, conf);
    case CLOUDEVENT_BATCH:
        return read_batch(c, r->head->body, terms, conf);
    case CLOUDEVENT_NONE:
    case CLOUDEVENT_FOREIGN:
        break;
    }
    return batch_wrong(&c->error, 415,
                       "CloudEvents are read as " CLOUDEVENT_TYPE
                       ", application/cloudevents-batch+json (UTF-8), or by their ce- headers");
}

void cloudevents_fini(struct cloudevents *c)
{
    for (size_t i = 0; i < c->n; i++) {
        buf_fini(&c->items[i].text);
        json_decref(c->items[i].root);
    }
    free(c->items);
    free(c->drafts);
}
