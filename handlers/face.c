/*
 * face.c - what makes the streams differ: how each says its events, and what it says of itself.
 */
#include "handlers/face.h"

#include "handlers/encode.h"

enum { PADDING = 2048 }; /* old XHR and IE show nothing before so many bytes */

static const char *const end_names[] = {
    [END_SLOW] = "slow",       [END_BYTES] = "bytes",     [END_HOLD] = "hold",
    [END_DRAIN] = "drain",     [END_TROUBLE] = "trouble", [END_EXPIRED] = "expired",
    [END_REVOKED] = "revoked", [END_ASK] = "ask",         [END_POLL] = "poll",
};

const char *end_name(enum end_reason reason)
{
    return end_names[reason];
}

unsigned end_close_code(enum end_reason reason)
{
    enum { POLICY = 1008, TROUBLE = 1011, RESTART = 1012, LATER = 1013 };
    static const uint16_t codes[] = {
        [END_SLOW] = POLICY,    [END_BYTES] = LATER,     [END_HOLD] = LATER,
        [END_DRAIN] = RESTART,  [END_TROUBLE] = TROUBLE, [END_EXPIRED] = POLICY,
        [END_REVOKED] = POLICY, [END_ASK] = RESTART,
    };
    return codes[reason];
}

static void put_padding(struct buf *out)
{
    static const char blanks[] = "                                                                ";
    for (size_t n = 0; n < PADDING; n += sizeof(blanks) - 1)
        buf_puts(out, blanks);
}

static void put_hello(struct buf *out, const struct face_hello *hello)
{
    buf_printf(out, "{\"type\":\"bellpush-hello\",\"retry\":%lld,\"heartbeat\":%lld}",
               (long long)hello->retry_ms, (long long)hello->heartbeat_ms);
}

static void sse_prelude(struct buf *out, const struct face_hello *hello)
{
    buf_puts(out, ":");
    if (hello->padding)
        put_padding(out);
    buf_printf(out, "\nretry: %lld\n\n", (long long)hello->retry_ms);
}

/* An id without data: browsers remember it and dispatch nothing (HTML standard, 9.2.6). */
static void sse_place(struct buf *out, const char *cursor)
{
    buf_printf(out, "id: %s\n\n", cursor);
}

static void sse_beat(struct buf *out, const char *cursor)
{
    buf_puts(out, ":\n\n");
    if (*cursor)
        sse_place(out, cursor);
}

static void sse_gap(struct buf *out, enum gap_reason reason, const char *from, const char *next)
{
    buf_printf(out, "id: %s\nevent: bellpush-gap\ndata: ", next);
    encode_gap(out, reason, from, next);
    buf_puts(out, "\n\n");
}

static void sse_auth(struct buf *out, const char *reason, int64_t ends_us)
{
    buf_puts(out, "event: bellpush-auth\ndata: ");
    encode_auth(out, reason, ends_us);
    buf_puts(out, "\n\n");
}

static void sse_end(struct buf *out, enum end_reason reason, const char *cursor, int64_t retry_ms)
{
    buf_printf(out, ": the stream ends (%s)\nretry: %lld\n", end_names[reason],
               (long long)retry_ms);
    if (*cursor)
        buf_printf(out, "id: %s\n", cursor);
    if (reason == END_SLOW)
        buf_puts(out, "event: bellpush-slow\ndata: {\"type\":\"bellpush-slow\"}\n");
    buf_putc(out, '\n');
}

static void put_end(struct buf *out, enum end_reason reason, const char *cursor, int64_t retry_ms)
{
    buf_printf(out, "{\"type\":\"bellpush-end\",\"reason\":\"%s\",\"retry\":%lld",
               end_names[reason], (long long)retry_ms);
    if (*cursor)
        buf_printf(out, ",\"id\":\"%s\"", cursor);
    buf_puts(out, "}");
}

/* ---- server-sent events that tell a script all that the lines do --------------------------- */

static void told_prelude(struct buf *out, const struct face_hello *hello)
{
    buf_puts(out, ":");
    if (hello->padding)
        put_padding(out);
    buf_printf(out, "\nretry: %lld\nevent: bellpush-hello\ndata: ", (long long)hello->retry_ms);
    put_hello(out, hello);
    buf_puts(out, "\n\n");
}

static void told_beat(struct buf *out, const char *cursor)
{
    if (*cursor)
        buf_printf(out, "id: %s\n", cursor);
    buf_puts(out, "event: bellpush-heartbeat\ndata: ");
    encode_beat(out, cursor);
    buf_puts(out, "\n\n");
}

static void told_end(struct buf *out, enum end_reason reason, const char *cursor, int64_t retry_ms)
{
    buf_printf(out, "retry: %lld\n", (long long)retry_ms);
    if (*cursor)
        buf_printf(out, "id: %s\n", cursor);
    buf_puts(out, "event: bellpush-end\ndata: ");
    put_end(out, reason, cursor, retry_ms);
    buf_puts(out, "\n\n");
}

/* ---- lines of JSON, and calls ---------------------------------------------------------------- */

static void lines_prelude(struct buf *out, const struct face_hello *hello)
{
    if (hello->padding)
        put_padding(out);
    put_hello(out, hello);
    buf_putc(out, '\n');
}

static void lines_beat(struct buf *out, const char *cursor)
{
    encode_beat(out, cursor);
    buf_putc(out, '\n');
}

static void lines_gap(struct buf *out, enum gap_reason reason, const char *from, const char *next)
{
    encode_gap(out, reason, from, next);
    buf_putc(out, '\n');
}

static void lines_auth(struct buf *out, const char *reason, int64_t ends_us)
{
    encode_auth(out, reason, ends_us);
    buf_putc(out, '\n');
}

static void lines_end(struct buf *out, enum end_reason reason, const char *cursor, int64_t retry_ms)
{
    put_end(out, reason, cursor, retry_ms);
    buf_putc(out, '\n');
}

static void frame_prelude(struct buf *out, const struct face_hello *hello)
{
    buf_puts(out, "<!DOCTYPE html>\n<meta charset=utf-8>\n<title>stream</title>\n");
    buf_puts(out, "<script>function b(e){parent.");
    buf_put(out, hello->callback); /* a name and nothing else: query_callback_ok() */
    buf_puts(out, "(e)}</script>\n");
    if (hello->padding)
        put_padding(out);
    buf_puts(out, "<script>b(");
    put_hello(out, hello);
    buf_puts(out, ")</script>\n");
}

static void frame_beat(struct buf *out, const char *cursor)
{
    buf_puts(out, "<script>b(");
    encode_beat(out, cursor);
    buf_puts(out, ")</script>\n");
}

static void frame_gap(struct buf *out, enum gap_reason reason, const char *from, const char *next)
{
    buf_puts(out, "<script>b(");
    encode_gap(out, reason, from, next);
    buf_puts(out, ")</script>\n");
}

static void frame_auth(struct buf *out, const char *reason, int64_t ends_us)
{
    buf_puts(out, "<script>b(");
    encode_auth(out, reason, ends_us);
    buf_puts(out, ")</script>\n");
}

static void frame_end(struct buf *out, enum end_reason reason, const char *cursor, int64_t retry_ms)
{
    buf_puts(out, "<script>b(");
    put_end(out, reason, cursor, retry_ms);
    buf_puts(out, ")</script>\n");
}

/* That the peer is there is what ping and pong find out: only a place that has moved is told. */
static void messages_beat(struct buf *out, const char *cursor)
{
    if (*cursor)
        encode_beat(out, cursor);
}

const struct face faces[] = {
    [FACE_SSE] = { "text/event-stream", ENC_SSE, false, sse_prelude, sse_place, sse_beat, sse_gap,
                   sse_auth, sse_end },
    [FACE_SSE_JSON] = { "text/event-stream", ENC_SSE_JSON, false, sse_prelude, sse_place, sse_beat,
                        sse_gap, sse_auth, sse_end },
    [FACE_SSE_CLOUD] = { "text/event-stream", ENC_CLOUD_SSE, false, sse_prelude, sse_place,
                         sse_beat, sse_gap, sse_auth, sse_end },
    [FACE_SSE_TOLD] = { "text/event-stream", ENC_SSE_JSON, false, told_prelude, told_beat,
                        told_beat, sse_gap, sse_auth, told_end },
    [FACE_LINES] = { "application/x-ndjson", ENC_NDJSON, true, lines_prelude, lines_beat,
                     lines_beat, lines_gap, lines_auth, lines_end },
    [FACE_LINES_CLOUD] = { "application/x-ndjson", ENC_CLOUD_LINES, true, lines_prelude, lines_beat,
                           lines_beat, lines_gap, lines_auth, lines_end },
    [FACE_FRAME] = { "text/html; charset=utf-8", ENC_FRAME, true, frame_prelude, frame_beat,
                     frame_beat, frame_gap, frame_auth, frame_end },
    [FACE_MESSAGES] = { "", ENC_JSON, false, put_hello, messages_beat, messages_beat, encode_gap,
                        encode_auth, put_end },
};
