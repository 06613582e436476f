/*
 * subscriber_read.c - see subscriber_read.h.
 */
#include <jansson.h>
#include <stdlib.h>

#include "core/text.h"
#include "tests/faults/subscriber_read.h"

static struct slice member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return (struct slice){ json_string_value(value), json_string_length(value) };
}

static bool begins_with(struct slice s, const char *text)
{
    size_t len = strlen(text);
    return s.len >= len && memcmp(s.at, text, len) == 0;
}

static void tell_retry(int64_t ms, fact_fn *fn, void *arg)
{
    fn(arg, &(struct fact){ .kind = FACT_RETRY, .retry_ms = ms });
}

static void tell_place(struct slice at, fact_fn *fn, void *arg)
{
    if (at.len)
        fn(arg, &(struct fact){ .kind = FACT_PLACE, .at = at });
}

static void tell_wrong(struct slice what, fact_fn *fn, void *arg)
{
    fn(arg, &(struct fact){ .kind = FACT_WRONG, .data = what });
}

static void tell_event(struct slice at, struct slice topic, struct slice data,
                       struct slice encoding, fact_fn *fn, void *arg)
{
    struct fact event = { .kind = FACT_EVENT, .at = at, .topic = topic, .data = data };
    struct buf bytes = BUF_EMPTY;

    if (encoding.len && (!slice_is(encoding, SLICE("base64")) || base64_decode(&bytes, data))) {
        tell_wrong(data, fn, arg);
    } else {
        if (encoding.len)
            event.data = buf_slice(&bytes);
        fn(arg, &event);
    }
    buf_fini(&bytes);
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

/* An event, or what a stream says of itself: both are objects, told apart by their type. */
static void read_object(const json_t *object, fact_fn *fn, void *arg)
{
    struct slice type = member(object, "type"), id = member(object, "id");
    const json_t *retry = json_object_get(object, "retry");

    if (slice_is(type, SLICE("bellpush-gap")))
        fn(arg, &(struct fact){ .kind = FACT_GAP,
                                .at = member(object, "next"),
                                .from = member(object, "from"),
                                .reason = member(object, "reason") });
    else if (json_integer_value(json_object_get(object, "status")) >= 300)
        fn(arg, &(struct fact){ .kind = FACT_REFUSED, .data = member(object, "do") });
    else if (begins_with(type, "bellpush-"))
        tell_place(id, fn, arg);
    else
        tell_event(id, member(object, "topic"), member(object, "data"), member(object, "encoding"),
                   fn, arg);
    if (retry)
        tell_retry(json_integer_value(retry), fn, arg);
}

static json_t *parse(struct slice text, fact_fn *fn, void *arg)
{
    json_t *root = json_loadb(text.at, text.len, 0, NULL);

    if (!json_is_object(root)) {
        tell_wrong(text, fn, arg);
        json_decref(root);
        return NULL;
    }
    return root;
}

static void read_text(struct slice text, fact_fn *fn, void *arg)
{
    json_t *root = parse(text, fn, arg);

    if (root)
        read_object(root, fn, arg);
    json_decref(root);
}

void read_message(struct slice text, fact_fn *fn, void *arg)
{
    read_text(text, fn, arg);
}

void read_poll(struct slice body, fact_fn *fn, void *arg)
{
    json_t *root = parse(body, fn, arg), *event;
    size_t i;

    if (!root)
        return;
    json_array_foreach(json_object_get(root, "events"), i, event) read_object(event, fn, arg);
    tell_place(member(root, "next"), fn, arg);
    tell_retry(json_integer_value(json_object_get(root, "retry")), fn, arg);
    json_decref(root);
}

/* ---- server-sent events -----------------------------------------------------------------------
 */

struct block { /* one, its fields; the data's lines joined */
    struct slice id, type, topic, encoding;
    struct buf data;
    bool has_data;
};

/* The value, when the line is of this field. */
static bool field(struct slice line, const char *name, struct slice *value)
{
    if (!begins_with(line, name))
        return false;
    size_t len = strlen(name);
    *value = (struct slice){ line.at + len, line.len - len };
    return true;
}

static void read_line(struct block *b, struct slice line, fact_fn *fn, void *arg)
{
    struct slice value;

    if (field(line, "data: ", &value)) {
        if (b->has_data)
            buf_putc(&b->data, '\n');
        buf_put(&b->data, value);
        b->has_data = true;
    } else if (field(line, "retry: ", &value)) {
        tell_retry(strtoll(value.at, NULL, 10), fn, arg);
    } else {
        (void)(field(line, "id: ", &b->id) || field(line, "event: ", &b->type) ||
               field(line, "topic: ", &b->topic) || field(line, "encoding: ", &b->encoding));
    }
}

static void read_block(struct slice text, bool json, fact_fn *fn, void *arg)
{
    struct block b = { .data = BUF_EMPTY };

    while (text.len) {
        const char *end = memchr(text.at, '\n', text.len);
        size_t len = end ? (size_t)(end - text.at) : text.len, step = len + (end ? 1 : 0);
        read_line(&b, (struct slice){ text.at, len }, fn, arg);
        text = (struct slice){ text.at + step, text.len - step };
    }
    if (!b.has_data || slice_is(b.type, SLICE("bellpush-slow")))
        tell_place(b.id, fn, arg);
    else if (json || begins_with(b.type, "bellpush-"))
        read_text(buf_slice(&b.data), fn, arg);
    else
        tell_event(b.id, b.topic, buf_slice(&b.data), b.encoding, fn, arg);
    buf_fini(&b.data);
}

/* ---- streams ----------------------------------------------------------------------------------
 */

size_t read_stream(enum transport transport, struct slice body, size_t *looked, fact_fn *fn,
                   void *arg)
{
    struct slice end = transport == TRANSPORT_LINES ? SLICE("\n") : SLICE("\n\n");
    size_t taken = 0;

    for (;;) {
        size_t from = taken + *looked;
        const char *at =
            from < body.len ? memmem(body.at + from, body.len - from, end.at, end.len) : NULL;
        if (!at)
            break;
        struct slice text = { body.at + taken, (size_t)(at - body.at) - taken };
        if (transport == TRANSPORT_LINES)
            read_text(text, fn, arg);
        else
            read_block(text, transport == TRANSPORT_EVENTS_JSON, fn, arg);
        taken += text.len + end.len;
        *looked = 0;
    }
    *looked = body.len - taken > end.len - 1 ? body.len - taken - (end.len - 1) : 0;
    return taken;
}
