/*
 * cloudevent_fuzz.c - requests that say they are CloudEvents.
 *
 *      Name: value              headers, up to an empty line
 *      body
 *
 * Whatever comes: what is refused says why; what is taken is one line of strict JSON that is taken
 * again as structured events and as a batch of them, is then the same to whoever compares, and goes
 * out byte by byte as it was kept.
 */
#include <jansson.h>
#include <strings.h>

#include "core/conf.h"
#include "core/strict.h"
#include "core/text.h"
#include "handlers/cloudevent.h"
#include "tests/fuzz/fuzz.h"

enum { HEADERS_MAX = 24 };

struct message {
    struct request request;
    struct request_head head;
    struct slice names[HEADERS_MAX], values[HEADERS_MAX];
    size_t n;
};

static const struct cloudevent_terms terms = { .topic = { "t", 1 } };
static struct conf conf;

static struct slice on_header(const struct request *r, const char *name)
{
    const struct message *m = CONTAINER(r, struct message, request);

    for (size_t i = 0; i < m->n; i++)
        if (slice_is(m->names[i], slice_of(name)))
            return m->values[i];
    return SLICE_NONE;
}

static void on_each_header(const struct request *r, header_fn *fn, void *arg)
{
    const struct message *m = CONTAINER(r, struct message, request);

    for (size_t i = 0; i < m->n; i++)
        fn(arg, m->names[i], m->values[i]);
}

static const struct request_ops ops = { .header = on_header, .each_header = on_each_header };

static void message_init(struct message *m, struct slice body)
{
    m->request = (struct request){ .ops = &ops, .head = &m->head };
    m->head = (struct request_head){ .body = body };
}

/* As every transport does: names in lower case. */
static void add_header(struct message *m, struct slice line)
{
    const char *colon = line.len ? memchr(line.at, ':', line.len) : NULL;

    if (!colon || m->n == HEADERS_MAX)
        return;
    size_t len = (size_t)(colon - line.at), skip = len + 1;
    skip += skip < line.len && line.at[skip] == ' ';
    for (char *at = (char *)(uintptr_t)line.at; at < colon; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    m->names[m->n] = (struct slice){ line.at, len };
    m->values[m->n++] = (struct slice){ line.at + skip, line.len - skip };
}

static void check_draft(const struct draft *d)
{
    const char *why;
    json_t *root;

    must(slice_is(d->content_type, SLICE(CLOUDEVENT_TYPE)));
    must(utf8_valid(d->data) && !memchr(d->data.at, '\n', d->data.len));
    must(!memchr(d->data.at, '<', d->data.len));
    must(strict_read_value(d->data, 300, &root, &why) == RC_OK && json_is_object(root));
    struct slice id = { json_string_value(json_object_get(root, "id")),
                        json_string_length(json_object_get(root, "id")) };
    must(slice_is(d->id, id) && id.len > 0);
    must(d->once.len > 0 && d->digest.len == 32);
    json_decref(root);

    struct event_fields f = {
        .epoch = "e", .seq = 1, .topic = d->topic, .content_type = d->content_type, .data = d->data
    };
    struct buf out = BUF_EMPTY;
    must(cloudevent_put(&f, SLICE("/s"), &out) == RC_OK);
    must(slice_is(buf_slice(&out), d->data));
    buf_fini(&out);
}

static void check_again(const struct cloudevents *c)
{
    struct buf body = BUF_EMPTY;
    struct cloudevents again;
    struct message m = { .n = 0 };

    buf_putc(&body, '[');
    for (size_t i = 0; i < c->n; i++) {
        buf_puts(&body, i ? " , " : "\n");
        buf_put(&body, c->drafts[i].data);
    }
    buf_puts(&body, " ]\r\n");
    struct slice whole = exact_copy(body.at, body.len);
    buf_fini(&body);
    message_init(&m, whole);
    must(cloudevents_read(&again, &m.request, CLOUDEVENT_BATCH, &terms, &conf));
    must(again.n == c->n);
    for (size_t i = 0; i < c->n; i++) {
        must(slice_is(again.drafts[i].data, c->drafts[i].data));
        must(slice_is(again.drafts[i].once, c->drafts[i].once));
        must(slice_is(again.drafts[i].digest, c->drafts[i].digest));
    }
    cloudevents_fini(&again);
    free((char *)(uintptr_t)whole.at);
}

/* Any bytes of any type, as an event of ours. */
static void check_ours(struct slice type, struct slice data)
{
    struct event_fields f = {
        .epoch = "e", .seq = 1, .topic = SLICE("t"), .content_type = type, .data = data
    };
    struct buf out = BUF_EMPTY;
    const char *why;
    json_t *root;

    if (!utf8_valid(type))
        return;
    must(cloudevent_put(&f, SLICE("/s"), &out) == RC_OK);
    must(strict_read_value(buf_slice(&out), 300, &root, &why) == RC_OK);
    must(json_is_string(json_object_get(root, "specversion")));
    json_decref(root);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice whole = exact_copy(data, size), rest = whole, line;
    struct message m = { .n = 0 };
    struct cloudevents c;

    if (!conf.max_event_bytes)
        must(conf_init(&conf) == RC_OK);
    while (line_next(&rest, &line) && line.len > 0)
        add_header(&m, line);
    struct slice body = exact_copy(rest.at, rest.len);
    message_init(&m, body);
    enum cloudevent_mode mode = cloudevent_mode(&m.request);
    if (cloudevents_read(&c, &m.request, mode, &terms, &conf)) {
        must(mode != CLOUDEVENT_NONE && mode != CLOUDEVENT_FOREIGN && c.error.status == 0);
        for (size_t i = 0; i < c.n; i++)
            check_draft(&c.drafts[i]);
        check_again(&c);
    } else {
        must(c.error.status >= 400 && c.error.why[0]);
    }
    cloudevents_fini(&c);
    check_ours(on_header(&m.request, "content-type"), body);
    free((char *)(uintptr_t)body.at);
    free((char *)(uintptr_t)whole.at);
    return 0;
}
