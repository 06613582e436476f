/*
 * delivery.c - what the sender of a webhook has sent, and how to find things in it by name.
 */
#include "handlers/delivery.h"

#include "core/strict.h"
#include "core/text.h"
#include "handlers/cloudevent.h"

enum { DEPTH_MAX = 64, INDEX_MAX = 100000 };

void delivery_fini(struct delivery *d)
{
    json_decref(d->json);
    d->json = NULL;
    d->has_read = false;
}

enum rc delivery_header(const struct delivery *d, struct slice name, struct slice *out)
{
    size_t found = 0;

    *out = SLICE_NONE;
    for (size_t i = 0; i < d->n; i++)
        if (slice_is_nocase(d->headers[i].name, name)) {
            *out = d->headers[i].value;
            found++;
        }
    if (found > 1)
        return RC_LIMIT;
    return out->len > 0 ? RC_OK : RC_DENIED;
}

bool delivery_is_form(const struct delivery *d)
{
    struct slice type;

    return delivery_header(d, SLICE("content-type"), &type) == RC_OK &&
           slice_is_nocase(media_essence(type), SLICE("application/x-www-form-urlencoded"));
}

/* ---- JSON ------------------------------------------------------------------------------------ */

const json_t *delivery_json(struct delivery *d)
{
    const char *why;

    if (!d->has_read && strict_read(d->body, DEPTH_MAX, &d->json, &why) != RC_OK)
        d->json = NULL;
    d->has_read = true;
    return d->json;
}

/* Cut the next step off "commits.0.id". */
static struct slice step_of(struct slice *path)
{
    const char *dot = memchr(path->at, '.', path->len);
    struct slice step = { path->at, dot ? (size_t)(dot - path->at) : path->len };
    size_t gone = step.len + (dot ? 1 : 0);

    path->at += gone;
    path->len -= gone;
    return step;
}

static const json_t *follow(const json_t *at, struct slice path)
{
    while (at && path.len > 0) {
        struct slice step = step_of(&path);
        int64_t index;
        if (json_is_object(at))
            at = json_object_getn(at, step.at, step.len);
        else if (json_is_array(at) && number_parse(step, INDEX_MAX, &index) == RC_OK)
            at = json_array_get(at, (size_t)index);
        else
            at = NULL;
    }
    return at;
}

static enum rc put_scalar(const json_t *value, struct buf *out)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_STRING:
        buf_put(out, (struct slice){ json_string_value(value), json_string_length(value) });
        return json_string_length(value) > 0 ? RC_OK : RC_DENIED;
    case JSON_INTEGER:
        buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return RC_OK;
    case JSON_REAL:
        buf_printf(out, "%.17g", json_real_value(value));
        return RC_OK;
    case JSON_TRUE:
    case JSON_FALSE:
        buf_puts(out, json_is_true(value) ? "true" : "false");
        return RC_OK;
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_NULL:
        break;
    }
    return RC_DENIED;
}

/* ---- forms ----------------------------------------------------------------------------------- */

/* Is this encoded key that name? */
static enum rc key_is(struct slice key, struct slice name, bool *is)
{
    struct buf decoded = BUF_EMPTY;
    enum rc rc = percent_decode(&decoded, key, true);

    *is = rc == RC_OK && slice_is(buf_slice(&decoded), name);
    buf_fini(&decoded);
    return rc == RC_NOMEM ? rc : RC_OK;
}

static enum rc find_field(const struct delivery *d, struct slice name, struct buf *out)
{
    struct slice rest = d->body, key, value, found = SLICE_NONE;
    size_t n = 0;
    bool is;

    while (delivery_is_form(d) && query_next(&rest, &key, &value)) {
        if (key_is(key, name, &is) != RC_OK)
            return RC_NOMEM;
        if (is) {
            found = value;
            n++;
        }
    }
    if (n > 1)
        return RC_LIMIT;
    if (found.len == 0)
        return RC_DENIED;
    enum rc rc = percent_decode(out, found, true);
    return rc == RC_SYNTAX ? RC_DENIED : rc;
}

/* ---- by name --------------------------------------------------------------------------------- */

/* Take a prefix off; false: it does not begin so, or has nothing behind. */
static bool begins(struct slice *what, struct slice prefix)
{
    if (what->len <= prefix.len || memcmp(what->at, prefix.at, prefix.len) != 0)
        return false;
    what->at += prefix.len;
    what->len -= prefix.len;
    return true;
}

enum rc delivery_find(struct delivery *d, struct slice what, struct buf *out)
{
    struct slice value;
    enum rc rc;

    if (begins(&what, SLICE("header."))) {
        rc = delivery_header(d, what, &value);
        if (rc == RC_OK)
            buf_put(out, value);
    } else if (begins(&what, SLICE("json."))) {
        rc = put_scalar(follow(delivery_json(d), what), out);
    } else if (begins(&what, SLICE("form."))) {
        rc = find_field(d, what, out);
    } else {
        rc = RC_SYNTAX;
    }
    return rc == RC_OK ? buf_rc(out) : rc;
}
