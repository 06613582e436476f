/*
 * batch.c - many events in one JSON array, and what makes a draft acceptable.
 *
 * Strict on purpose: a member that nobody knows is a typing error that would otherwise publish to
 * everyone what was meant for few ("privat": true).  Errors name the index of their event.
 */
#include "handlers/batch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/text.h"
#include "core/topic.h"
#include "handlers/query.h"

enum { QUOTE_MAX = 120 };

bool batch_wrong(struct batch_error *e, int status, const char *format, ...)
{
    va_list arguments;

    e->status = status;
    va_start(arguments, format);
    vsnprintf(e->why, sizeof(e->why), format, arguments);
    va_end(arguments);
    return false;
}

bool batch_content_type_ok(struct slice type)
{
    size_t slashes = 0;

    for (size_t i = 0; i < type.len; i++) {
        if (type.at[i] < 0x20 || type.at[i] >= 0x7f)
            return false;
        slashes += type.at[i] == '/';
    }
    return slashes > 0 && type.at[0] != '/' && type.len <= QUERY_WORD_MAX;
}

struct batch_error batch_check(const struct conf *conf, const struct draft *draft)
{
    struct batch_error e = { 0 };
    struct slice reserved = SLICE("bellpush-");
    const char *why;
    int shown = (int)(draft->topic.len < QUOTE_MAX ? draft->topic.len : QUOTE_MAX);

    if ((why = topic_error(draft->topic)))
        batch_wrong(&e, 422, "topic \"%.*s\": %s", shown, shown ? draft->topic.at : "", why);
    else if ((why = query_word_error(draft->type)))
        batch_wrong(&e, 422, "type %s", why);
    else if (draft->type.len >= reserved.len &&
             memcmp(draft->type.at, reserved.at, reserved.len) == 0)
        batch_wrong(&e, 422, "types that begin with bellpush- are the server's own");
    else if ((why = query_word_error(draft->id)))
        batch_wrong(&e, 422, "id %s", why);
    else if (draft->content_type.len > 0 && !batch_content_type_ok(draft->content_type))
        batch_wrong(&e, 422, "content_type is not a media type such as application/json");
    else if (draft->data.len > (size_t)conf->max_event_bytes)
        batch_wrong(&e, 413, "the data is %zu bytes; an event may have %lld", draft->data.len,
                    (long long)conf->max_event_bytes);
    return e;
}

/* ---- members ----------------------------------------------------------------------------- */

struct item { /* the event that is being read */
    struct draft *draft;
    char **owned;
    bool has_data;
    struct batch_error *error;
};

typedef bool member_fn(struct item *, const json_t *);

static bool take_string(struct item *item, const json_t *value, const char *name, struct slice *out)
{
    if (!json_is_string(value))
        return batch_wrong(item->error, 422, "%s must be a string", name);
    *out = (struct slice){ json_string_value(value), json_string_length(value) };
    return true;
}

static bool take_bool(struct item *item, const json_t *value, const char *name, bool *out)
{
    if (!json_is_boolean(value))
        return batch_wrong(item->error, 422, "%s must be true or false", name);
    *out = json_is_true(value);
    return true;
}

static bool take_topic(struct item *item, const json_t *value)
{
    return take_string(item, value, "topic", &item->draft->topic);
}

static bool take_type(struct item *item, const json_t *value)
{
    return take_string(item, value, "type", &item->draft->type);
}

static bool take_content_type(struct item *item, const json_t *value)
{
    return take_string(item, value, "content_type", &item->draft->content_type);
}

static bool take_id(struct item *item, const json_t *value)
{
    return take_string(item, value, "id", &item->draft->id);
}

static bool take_retain(struct item *item, const json_t *value)
{
    return take_bool(item, value, "retain", &item->draft->retain);
}

static bool take_private(struct item *item, const json_t *value)
{
    return take_bool(item, value, "private", &item->draft->is_private);
}

static bool take_expires(struct item *item, const json_t *value)
{
    struct slice text = SLICE_NONE;

    if (json_is_string(value))
        text = (struct slice){ json_string_value(value), json_string_length(value) };
    if (duration_parse(text, QUERY_TIME_MAX, &item->draft->expires_ms) != RC_OK ||
        item->draft->expires_ms == 0)
        return batch_wrong(
            item->error, 422,
            "expires must be a time from now such as \"60s\", \"10m\", \"2h\" or \"1d\"");
    return true;
}

static bool once(struct item *item)
{
    if (item->has_data)
        return batch_wrong(item->error, 422, "data and data_base64 exclude one another");
    item->has_data = true;
    return true;
}

static bool take_data(struct item *item, const json_t *value)
{
    if (!once(item))
        return false;
    if (json_is_string(value))
        return take_string(item, value, "data", &item->draft->data);
    *item->owned = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!*item->owned)
        return batch_wrong(item->error, 503, "out of memory");
    item->draft->data = slice_of(*item->owned);
    if (item->draft->content_type.len == 0) /* a content_type member, read later, goes before it */
        item->draft->content_type = SLICE("application/json");
    return true;
}

static bool take_data_base64(struct item *item, const json_t *value)
{
    struct slice text = SLICE_NONE;
    struct buf data = BUF_EMPTY;

    if (!once(item) || !take_string(item, value, "data_base64", &text))
        return false;
    enum rc rc = base64_decode(&data, text);
    *item->owned = data.at;
    if (rc == RC_NOMEM)
        return batch_wrong(item->error, 503, "out of memory");
    if (rc != RC_OK)
        return batch_wrong(item->error, 422, "data_base64 is not padded standard base64");
    item->draft->data = buf_slice(&data);
    return true;
}

static const struct {
    const char *name;
    member_fn *take;
} members[] = {
    { "topic", take_topic },     { "data", take_data },
    { "type", take_type },       { "data_base64", take_data_base64 },
    { "id", take_id },           { "content_type", take_content_type },
    { "retain", take_retain },   { "private", take_private },
    { "expires", take_expires },
};

static bool take_member(struct item *item, const char *name, const json_t *value)
{
    for (size_t i = 0; i < LENGTH(members); i++)
        if (strcmp(name, members[i].name) == 0)
            return members[i].take(item, value);
    return batch_wrong(item->error, 422, "unknown member \"%.60s\"", name);
}

/* ---- the array --------------------------------------------------------------------------- */

static bool read_item(struct batch *b, size_t i, json_t *object, const struct conf *conf)
{
    struct item item = { &b->drafts[i], &b->owned[i], false, &b->error };
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        return batch_wrong(&b->error, 422, "it must be an object such as {\"topic\":…,\"data\":…}");
    json_object_foreach(object, name, value) if (!take_member(&item, name, value)) return false;
    if (!json_object_get(object, "topic"))
        return batch_wrong(&b->error, 422, "it has no topic");
    if (!item.has_data)
        return batch_wrong(&b->error, 422, "it has neither data nor data_base64");
    b->error = batch_check(conf, item.draft);
    return b->error.status == 0;
}

static bool read_array(struct batch *b, const struct conf *conf)
{
    size_t n = json_array_size(b->root);

    if (!json_is_array(b->root))
        return batch_wrong(&b->error, 422,
                           "without topic= the body must be a JSON array of events");
    if (n == 0)
        return batch_wrong(&b->error, 422, "the array has no events");
    if (n > (size_t)conf->max_batch)
        return batch_wrong(&b->error, 413, "the array has %zu events; one publish may have %lld", n,
                           (long long)conf->max_batch);
    b->drafts = calloc(n, sizeof(*b->drafts));
    b->owned = calloc(n, sizeof(*b->owned));
    if (!b->drafts || !b->owned)
        return batch_wrong(&b->error, 503, "out of memory");
    for (b->n = 0; b->n < n; b->n++) {
        if (!read_item(b, b->n, json_array_get(b->root, b->n), conf)) {
            struct batch_error e = b->error;
            b->n++; /* what it owns is freed with the rest */
            return batch_wrong(&b->error, e.status, "event %zu: %.300s", b->n - 1, e.why);
        }
    }
    return true;
}

bool batch_read(struct batch *b, struct slice body, const struct conf *conf)
{
    json_error_t e;

    *b = (struct batch){ 0 };
    b->root = json_loadb(body.len ? body.at : "", body.len,
                         JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &e);
    if (!b->root)
        return batch_wrong(&b->error, 400, "the body is not JSON: %.200s (line %d, column %d)",
                           e.text, e.line, e.column);
    return read_array(b, conf);
}

void batch_fini(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->owned[i]);
    free(b->owned);
    free(b->drafts);
    if (b->root)
        json_decref(b->root);
}
