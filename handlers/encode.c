/*
 * encode.c - the wire forms of an event, and of what a stream says about itself.
 *
 * Each is made once per event and lent to every reader (event_bytes()), so nothing in it may depend
 * on who reads.  That is why a forever-frame calls b(), which the frame's own first line binds to
 * the function that its client named.
 */
#include "handlers/encode.h"

#include <stdio.h>
#include <time.h>

#include "core/text.h"
#include "handlers/cloudevent.h"

#define DEFAULT_TYPE "text/plain; charset=utf-8"

void encode_time(int64_t time_us, char out[ENCODE_TIME_MAX + 1])
{
    const int64_t first = -62135596800, last = 253402300799; /* 0001-01-01, 9999-12-31 */
    int64_t s = time_us / 1000000, us = time_us % 1000000;
    struct tm tm;

    if (us < 0) {
        us += 1000000;
        s--;
    }
    time_t t = (time_t)(s < first ? first : s > last ? last : s);
    gmtime_r(&t, &tm);
    snprintf(out, ENCODE_TIME_MAX + 1, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ",
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
             (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
             (unsigned)tm.tm_sec % 100, (unsigned)us % 1000000);
}

static void put_member(struct buf *out, const char *name, struct slice text)
{
    buf_printf(out, ",\"%s\":", name);
    json_put_string(out, text);
}

static enum rc encode_json(const struct event *event, const void *with, struct buf *out)
{
    const struct event_fields *e = event_fields(event);
    char cursor[CURSOR_TEXT_MAX + 1], when[ENCODE_TIME_MAX + 1];
    bool is_text = utf8_valid(e->data);

    cursor_text(e->epoch, e->seq, cursor);
    encode_time(e->time_us, when);
    buf_reserve(out, e->data.len + e->data.len / (is_text ? 16 : 3) + e->topic.len + 160);
    buf_printf(out, "{\"id\":\"%s\"", cursor);
    put_member(out, "topic", e->topic);
    if (e->type.len)
        put_member(out, "type", e->type);
    if (is_text) {
        put_member(out, "data", e->data);
    } else { /* base64 needs no escapes */
        buf_puts(out, ",\"data\":\"");
        base64_put(out, e->data);
        buf_putc(out, '"');
    }
    buf_printf(out, ",\"time\":\"%s\"", when);
    if (e->content_type.len && !slice_is(e->content_type, SLICE(DEFAULT_TYPE)))
        put_member(out, "content_type", e->content_type);
    if (e->id.len)
        put_member(out, "publisher_id", e->id);
    if (e->flags & EVENT_RETAINED)
        buf_puts(out, ",\"retained\":true");
    if (!is_text)
        buf_puts(out, ",\"encoding\":\"base64\"");
    buf_putc(out, '}');
    return buf_rc(out);
}

static enum rc encode_ndjson(const struct event *event, const void *with, struct buf *out)
{
    (void)encode_json(event, with, out);
    buf_putc(out, '\n');
    return buf_rc(out);
}

static enum rc encode_frame(const struct event *event, const void *with, struct buf *out)
{
    buf_puts(out, "<script>b("); /* '<' in strings is escaped: nothing can close the script */
    (void)encode_json(event, with, out);
    buf_puts(out, ")</script>\n");
    return buf_rc(out);
}

/* One "name: text" line; a line end inside cannot occur, and must not forge a line if it does. */
static void put_line(struct buf *out, const char *name, struct slice text)
{
    buf_puts(out, name);
    for (size_t i = 0; i < text.len; i++)
        buf_putc(out, (unsigned char)text.at[i] < 0x20 ? ' ' : text.at[i]);
    buf_putc(out, '\n');
}

/* Each CR, LF or CRLF begins a new data line (HTML standard, 9.2.5). */
static void put_data(struct buf *out, struct slice data)
{
    const char *at = data.at, *end = data.at + data.len;

    for (;;) {
        const char *stop = at;
        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        buf_puts(out, "data: ");
        buf_put(out, (struct slice){ at, (size_t)(stop - at) });
        buf_putc(out, '\n');
        if (stop == end)
            return;
        at = stop + (*stop == '\r' && stop + 1 < end && stop[1] == '\n' ? 2 : 1);
    }
}

static void put_id(const struct event_fields *e, struct buf *out)
{
    char cursor[CURSOR_TEXT_MAX + 1];

    cursor_text(e->epoch, e->seq, cursor);
    buf_printf(out, "id: %s\n", cursor);
}

static enum rc encode_sse(const struct event *event, const void *with, struct buf *out)
{
    const struct event_fields *e = event_fields(event);

    buf_reserve(out, e->data.len + e->topic.len + e->type.len + 96);
    put_id(e, out);
    if (e->type.len)
        put_line(out, "event: ", e->type);
    put_line(out, "topic: ", e->topic);
    if (utf8_valid(e->data)) {
        put_data(out, e->data);
    } else {
        buf_puts(out, "encoding: base64\ndata: ");
        base64_put(out, e->data);
        buf_putc(out, '\n');
    }
    buf_putc(out, '\n');
    return buf_rc(out);
}

/* Without an event: line, so that a page's onmessage sees all of them: the type is in the object.
 */
static enum rc encode_sse_json(const struct event *event, const void *with, struct buf *out)
{
    put_id(event_fields(event), out);
    buf_puts(out, "data: ");
    (void)encode_json(event, with, out);
    buf_puts(out, "\n\n");
    return buf_rc(out);
}

static enum rc encode_cloud(const struct event *event, const void *with, struct buf *out)
{
    const struct conf *conf = with;
    return cloudevent_put(event_fields(event), slice_of(conf->cloudevents_source), out);
}

/* What came as a CloudEvent has an id of its own, so where to go on from stands in a second line.
 */
static enum rc encode_cloud_lines(const struct event *event, const void *with, struct buf *out)
{
    const struct event_fields *e = event_fields(event);
    char cursor[CURSOR_TEXT_MAX + 1];
    enum rc rc = encode_cloud(event, with, out);

    cursor_text(e->epoch, e->seq, cursor);
    buf_putc(out, '\n');
    encode_beat(out, cursor);
    buf_putc(out, '\n');
    return rc == RC_OK ? buf_rc(out) : rc;
}

static enum rc encode_cloud_sse(const struct event *event, const void *with, struct buf *out)
{
    put_id(event_fields(event), out);
    buf_puts(out, "data: ");
    enum rc rc = encode_cloud(event, with, out);
    buf_puts(out, "\n\n");
    return rc == RC_OK ? buf_rc(out) : rc;
}

struct encoder encode_as(enum encoding encoding, const struct conf *conf)
{
    static enum rc (*const encoders[ENC__COUNT])(const struct event *, const void *,
                                                 struct buf *) = {
        [ENC_JSON] = encode_json,
        [ENC_NDJSON] = encode_ndjson,
        [ENC_FRAME] = encode_frame,
        [ENC_SSE] = encode_sse,
        [ENC_SSE_JSON] = encode_sse_json,
        [ENC_CLOUD] = encode_cloud,
        [ENC_CLOUD_LINES] = encode_cloud_lines,
        [ENC_CLOUD_SSE] = encode_cloud_sse,
    };
    return (struct encoder){ (unsigned)encoding, encoders[encoding], conf };
}

void encode_beat(struct buf *out, const char *cursor)
{
    buf_puts(out, "{\"type\":\"bellpush-heartbeat\"");
    if (*cursor)
        buf_printf(out, ",\"id\":\"%s\"", cursor);
    buf_puts(out, "}");
}

void encode_gap(struct buf *out, enum gap_reason reason, const char *from, const char *next)
{
    buf_printf(out, "{\"type\":\"bellpush-gap\",\"id\":\"%s\",\"reason\":\"%s\"", next,
               gap_name(reason));
    if (*from)
        buf_printf(out, ",\"from\":\"%s\"", from);
    buf_printf(out, ",\"next\":\"%s\"}", next);
}

void encode_auth(struct buf *out, const char *reason, int64_t ends_us)
{
    char when[ENCODE_TIME_MAX + 1];

    buf_printf(out, "{\"type\":\"bellpush-auth\",\"reason\":\"%s\"", reason);
    if (ends_us > 0) {
        encode_time(ends_us, when);
        buf_printf(out, ",\"expires\":\"%s\"", when);
    }
    buf_putc(out, '}');
}
