/*
 * sse.c - a reader of server-sent events, after the letter of the HTML standard, 9.2.6.
 */
#include "tests/scenarios/sse.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

void sse_init(struct sse *s)
{
    *s = (struct sse){ .retry_ms = -1 };
    s->end = &s->first;
}

static void clear(struct buf *b)
{
    b->len = 0;
}

void sse_reconnect(struct sse *s)
{
    clear(&s->line);
    clear(&s->data);
    clear(&s->type);
    clear(&s->topic);
    clear(&s->encoding);
    s->after_cr = s->past_bom = false;
    clear(&s->id);
    buf_puts(&s->id, s->last_id); /* the buffer begins as the last id, and keeps it over blocks */
}

void sse_event_free(struct sse_event *e)
{
    if (!e)
        return;
    free(e->type);
    free(e->data);
    free(e->last_id);
    free(e->topic);
    free(e->encoding);
    free(e);
}

void sse_fini(struct sse *s)
{
    struct sse_event *e;

    while ((e = sse_next(s)))
        sse_event_free(e);
    buf_fini(&s->line);
    buf_fini(&s->data);
    buf_fini(&s->type);
    buf_fini(&s->id);
    buf_fini(&s->topic);
    buf_fini(&s->encoding);
}

struct sse_event *sse_next(struct sse *s)
{
    struct sse_event *e = s->first;

    if (!e)
        return NULL;
    s->first = e->next;
    if (!s->first)
        s->end = &s->first;
    e->next = NULL;
    return e;
}

static char *text_of(const struct buf *b)
{
    char *text = slice_dup(b->len ? buf_slice(b) : SLICE(""));
    ck_assert_ptr_nonnull(text);
    return text;
}

static void dispatch(struct sse *s)
{
    s->blocks++;
    snprintf(s->last_id, sizeof(s->last_id), "%.*s", (int)s->id.len, s->id.len ? s->id.at : "");
    if (s->data.len > 0) {
        struct sse_event *e = calloc(1, sizeof(*e));
        ck_assert_ptr_nonnull(e);
        s->data.len--; /* one trailing LF */
        e->data_len = s->data.len;
        e->data = text_of(&s->data);
        e->type = s->type.len ? text_of(&s->type) : strdup("message");
        e->last_id = strdup(s->last_id);
        e->topic = text_of(&s->topic);
        e->encoding = text_of(&s->encoding);
        *s->end = e;
        s->end = &e->next;
    }
    clear(&s->data);
    clear(&s->type);
    clear(&s->topic);
    clear(&s->encoding);
}

static void replace(struct buf *b, struct slice value)
{
    clear(b);
    buf_put(b, value);
}

static void field(struct sse *s, struct slice name, struct slice value)
{
    if (slice_is(name, SLICE("event"))) {
        replace(&s->type, value);
    } else if (slice_is(name, SLICE("data"))) {
        buf_put(&s->data, value);
        buf_putc(&s->data, '\n');
    } else if (slice_is(name, SLICE("id"))) {
        if (!value.len || !memchr(value.at, '\0', value.len))
            replace(&s->id, value);
    } else if (slice_is(name, SLICE("retry"))) {
        int64_t ms = 0;
        for (size_t i = 0; i < value.len; i++) {
            if (value.at[i] < '0' || value.at[i] > '9')
                return;
            ms = ms * 10 + (value.at[i] - '0');
        }
        s->retry_ms = ms;
    } else if (slice_is(name, SLICE("topic"))) {
        replace(&s->topic, value);
    } else if (slice_is(name, SLICE("encoding"))) {
        replace(&s->encoding, value);
    }
}

static void line(struct sse *s, struct slice text)
{
    if (text.len == 0) {
        dispatch(s);
        return;
    }
    const char *colon = memchr(text.at, ':', text.len);
    if (colon == text.at) {
        s->comments++;
        return;
    }
    struct slice name = { text.at, colon ? (size_t)(colon - text.at) : text.len };
    struct slice value = SLICE("");
    if (colon)
        value = (struct slice){ colon + 1, text.len - name.len - 1 };
    if (value.len && value.at[0] == ' ')
        value = (struct slice){ value.at + 1, value.len - 1 };
    field(s, name, value);
}

void sse_feed(struct sse *s, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.at[i];
        bool lf_of_crlf = c == '\n' && s->after_cr;
        s->after_cr = c == '\r';
        if (lf_of_crlf)
            continue;
        if (c == '\n' || c == '\r') {
            struct slice text = buf_slice(&s->line);
            if (!s->past_bom && text.len >= 3 && memcmp(text.at, "\xef\xbb\xbf", 3) == 0)
                text = (struct slice){ text.at + 3, text.len - 3 };
            s->past_bom = true;
            line(s, text);
            clear(&s->line);
        } else {
            buf_putc(&s->line, c);
        }
    }
    ck_assert(!s->line.nomem && !s->data.nomem);
}
