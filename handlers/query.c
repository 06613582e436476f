/*
 * query.c - what a request asks for, read once from its query string into a typed struct.
 *
 * One table names the parameters and how each is read.  Decoded bytes go into one buffer, reserved
 * beforehand: decoding never lengthens, so the slices stay where they are.
 */
#include "handlers/query.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/cursor.h"
#include "core/presence.h"
#include "core/text.h"

enum { SECONDS_MAX = 315360000 /* ten years */ };

static enum rc syntax(struct query *q, const char *why)
{
    snprintf(q->why, sizeof(q->why), "%s", why);
    return RC_SYNTAX;
}

bool query_callback_ok(struct slice name)
{
    bool start = true; /* at the first letter of an identifier */

    if (name.len == 0 || name.len > QUERY_CALLBACK_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
        bool digit = c >= '0' && c <= '9';
        if (c == '.' && !start)
            start = true;
        else if (letter || (digit && !start))
            start = false;
        else
            return false;
    }
    return !start;
}

const char *query_word_error(struct slice word)
{
    if (word.len > QUERY_WORD_MAX)
        return "is longer than 255 bytes";
    for (size_t i = 0; i < word.len; i++)
        if ((unsigned char)word.at[i] < 0x20 || word.at[i] == 0x7f)
            return "contains a control character";
    if (!utf8_valid(word))
        return "is not UTF-8";
    return NULL;
}

/* ---- one reader per parameter ------------------------------------------------------------ */

typedef enum rc read_fn(struct query *, struct slice value, const struct conf *);

static enum rc read_topic(struct query *q, struct slice value, const struct conf *conf)
{
    if (q->topic_count == (size_t)conf->max_topics) {
        snprintf(q->why, sizeof(q->why), "more than %lld topic parameters in one request",
                 (long long)conf->max_topics);
        return RC_SYNTAX;
    }
    if (q->topic_count == q->topics_max) {
        size_t max = q->topics_max ? 2 * q->topics_max : 4;
        struct slice *more = realloc(q->topics, max * sizeof(*more));
        if (!more)
            return RC_NOMEM;
        q->topics = more;
        q->topics_max = max;
    }
    q->topics[q->topic_count++] = value;
    return RC_OK;
}

static enum rc read_since(struct query *q, struct slice value, const struct conf *conf)
{
    struct since since = { .kind = SINCE_NOW };

    if (slice_is(value, SLICE("now")))
        since.kind = SINCE_NOW;
    else if (slice_is(value, SLICE("earliest")))
        since.kind = SINCE_EARLIEST;
    else if (value.len > 1 && value.at[0] == '-' &&
             duration_parse((struct slice){ value.at + 1, value.len - 1 }, QUERY_TIME_MAX,
                            &since.ago_ms) == RC_OK)
        since.kind = SINCE_TIME;
    else if (cursor_parse(value, &since.cursor) == RC_OK)
        since.kind = SINCE_CURSOR;
    else
        return syntax(q, "since must be now, earliest, a cursor as the server gave it out, or a "
                         "time ago such as -30s, -10m, -2h, -1d");
    if (!q->has_since) /* last_event_id= goes before it */
        q->since = since;
    q->has_since = true;
    return RC_OK;
}

/* What a browser sends by itself: never an error. */
static void resume_after(struct query *q, struct slice id)
{
    if (id.len == 0)
        return;
    q->since = (struct since){ .kind = SINCE_FOREIGN };
    if (cursor_parse(id, &q->since.cursor) == RC_OK)
        q->since.kind = SINCE_CURSOR;
    q->has_since = true;
}

static enum rc read_last_event_id(struct query *q, struct slice value, const struct conf *conf)
{
    resume_after(q, value);
    return RC_OK;
}

static enum rc read_wait(struct query *q, struct slice value, const struct conf *conf)
{
    if (number_parse(value, SECONDS_MAX, &q->wait_ms) != RC_OK)
        return syntax(q, "wait must be a whole number of seconds, such as wait=25");
    q->wait_ms *= 1000;
    if (q->wait_ms > conf->poll_wait_ms)
        q->wait_ms = conf->poll_wait_ms;
    return RC_OK;
}

static enum rc read_limit(struct query *q, struct slice value, const struct conf *conf)
{
    if (number_parse(value, INT32_MAX, &q->limit) != RC_OK || q->limit == 0)
        return syntax(q, "limit must be a whole number, 1 or more");
    return RC_OK;
}

static enum rc read_after(struct query *q, struct slice value, const struct conf *conf)
{
    if (value.len > MEMBER_NAME_MAX || (value.len > 0 && memchr(value.at, '\0', value.len)))
        return syntax(q, "after must be a member's name, as \"next\" of the list before");
    q->after = value;
    return RC_OK;
}

static enum rc read_callback(struct query *q, struct slice value, const struct conf *conf)
{
    if (!query_callback_ok(value))
        return syntax(q, "callback must be a JavaScript name of at most 100 letters, digits, _, $ "
                         "and dots, such as app.onEvents");
    q->callback = value;
    return RC_OK;
}

static enum rc read_format(struct query *q, struct slice value, const struct conf *conf)
{
    static const struct {
        const char *name;
        enum query_format format;
    } formats[] = {
        { "raw", FORMAT_RAW },     { "json", FORMAT_JSON },         { "ndjson", FORMAT_NDJSON },
        { "frame", FORMAT_FRAME }, { "cloudevents", FORMAT_CLOUD }, { "sse", FORMAT_SSE },
    };
    for (size_t i = 0; i < LENGTH(formats); i++)
        if (slice_is(value, slice_of(formats[i].name))) {
            q->format = formats[i].format;
            return RC_OK;
        }
    return syntax(q, "format must be raw, json or sse for /events, sse for /poll, ndjson or frame "
                     "for /stream, json or sse for /ws, or cloudevents");
}

static enum rc read_flag(struct query *q, struct slice value, bool *out, const char *why)
{
    if (slice_is(value, SLICE("1")) || slice_is(value, SLICE("true")))
        *out = true;
    else if (slice_is(value, SLICE("0")) || slice_is(value, SLICE("false")))
        *out = false;
    else
        return syntax(q, why);
    return RC_OK;
}

static enum rc read_padding(struct query *q, struct slice value, const struct conf *conf)
{
    return read_flag(q, value, &q->padding, "padding must be 0 or 1");
}

static enum rc read_retain(struct query *q, struct slice value, const struct conf *conf)
{
    return read_flag(q, value, &q->retain, "retain must be 0 or 1");
}

static enum rc read_private(struct query *q, struct slice value, const struct conf *conf)
{
    return read_flag(q, value, &q->is_private, "private must be 0 or 1");
}

static enum rc read_expires(struct query *q, struct slice value, const struct conf *conf)
{
    if (duration_parse(value, QUERY_TIME_MAX, &q->expires_ms) != RC_OK || q->expires_ms == 0)
        return syntax(q, "expires must be a time from now such as 60s, 10m, 2h or 1d");
    return RC_OK;
}

static enum rc read_word(struct query *q, struct slice value, struct slice *out, const char *name)
{
    const char *error = query_word_error(value);
    if (error) {
        snprintf(q->why, sizeof(q->why), "%s %s", name, error);
        return RC_SYNTAX;
    }
    *out = value;
    return RC_OK;
}

static enum rc read_type(struct query *q, struct slice value, const struct conf *conf)
{
    return read_word(q, value, &q->type, "type");
}

static enum rc read_id(struct query *q, struct slice value, const struct conf *conf)
{
    return read_word(q, value, &q->id, "id");
}

static const struct parameter {
    const char *name;
    read_fn *read;
    bool many;
} parameters[] = {
    { "topic", read_topic, true },      { "last_event_id", read_last_event_id, false },
    { "since", read_since, false },     { "wait", read_wait, false },
    { "limit", read_limit, false },     { "callback", read_callback, false },
    { "format", read_format, false },   { "padding", read_padding, false },
    { "type", read_type, false },       { "id", read_id, false },
    { "retain", read_retain, false },   { "private", read_private, false },
    { "expires", read_expires, false }, { "after", read_after, false },
};

/* ---- the walk ---------------------------------------------------------------------------- */

static enum rc decode(struct query *q, struct slice encoded, struct slice *out)
{
    size_t start = q->bytes.len;
    enum rc rc = percent_decode(&q->bytes, encoded, false);
    *out = (struct slice){ q->bytes.at + start, q->bytes.len - start };
    return rc;
}

static const struct parameter *parameter_named(struct slice name)
{
    for (size_t i = 0; i < LENGTH(parameters); i++)
        if (slice_is(name, slice_of(parameters[i].name)))
            return &parameters[i];
    return NULL;
}

static enum rc read_pair(struct query *q, struct slice key, struct slice value,
                         const struct conf *conf, struct slice *since)
{
    struct slice name, decoded;

    if (decode(q, key, &name) != RC_OK)
        return RC_OK; /* not one of ours, whatever it is */
    const struct parameter *p = parameter_named(name);
    if (!p)
        return RC_OK;
    unsigned bit = 1u << (p - parameters);
    if (!p->many && (q->seen & bit)) {
        snprintf(q->why, sizeof(q->why), "%s may be given only once", p->name);
        return RC_SYNTAX;
    }
    q->seen |= bit;
    enum rc rc = decode(q, value, &decoded);
    if (rc == RC_SYNTAX) {
        snprintf(q->why, sizeof(q->why),
                 "%s contains a %% that is not followed by two hexadecimal "
                 "digits",
                 p->name);
        return rc;
    }
    if (rc != RC_OK)
        return rc;
    if (!utf8_valid(decoded)) {
        snprintf(q->why, sizeof(q->why), "%s is not UTF-8", p->name);
        return RC_SYNTAX;
    }
    if (p->read == read_since) { /* after the walk, see below */
        *since = decoded;
        return RC_OK;
    }
    return p->read(q, decoded, conf);
}

enum rc query_parse(struct query *q, struct slice text, struct slice last_event_id,
                    const struct conf *conf)
{
    struct slice key, value, since = SLICE_NONE;

    *q = (struct query){ .wait_ms = -1, .limit = INT32_MAX };
    if (text.len > (size_t)conf->max_query_bytes) {
        snprintf(q->why, sizeof(q->why), "the query string is longer than %lld bytes",
                 (long long)conf->max_query_bytes);
        return RC_LIMIT;
    }
    if (!buf_reserve(&q->bytes, text.len + 1))
        return RC_NOMEM;
    while (query_next(&text, &key, &value)) {
        enum rc rc = read_pair(q, key, value, conf, &since);
        if (rc != RC_OK)
            return rc;
    }
    /* Precedence must not depend on the order in which the parameters stand. */
    if (since.at) {
        enum rc rc = read_since(q, since, conf);
        if (rc != RC_OK)
            return rc;
    }
    resume_after(q, last_event_id);
    return RC_OK;
}

void query_fini(struct query *q)
{
    free(q->topics);
    buf_fini(&q->bytes);
}
