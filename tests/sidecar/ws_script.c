/*
 * ws_script.c - what clients send, written down in a line (ws_script.h).
 */
#include <stdlib.h>

#include "tests/page.h"
#include "tests/peers/ws_frame.h"
#include "tests/sidecar/ws_script.h"
#include "tests/suite.h"

/* ---- scripts --------------------------------------------------------------------------------- */

static unsigned opcode_for(const char **at, unsigned *special)
{
    static const char letters[] = "CTB.....XPO";
    char c = *(*at)++;

    if (c == '#')
        return (unsigned)strtoul(*at, (char **)(uintptr_t)at, 16);
    if (c >= 'a')
        *special |= FRAME_MORE;
    const char *found = strchr(letters, c & ~0x20);
    ck_assert_msg(found && c != '.', "no such frame: %c", c);
    return (unsigned)(found - letters);
}

static void put_frame(struct buf *out, const char *at, size_t len)
{
    const char *end = at + len;
    unsigned special = 0, opcode = opcode_for(&at, &special);

    for (; at < end && *at != ' '; at++)
        special |= *at == '1'   ? FRAME_RSV1
                   : *at == '2' ? FRAME_RSV2
                   : *at == '3' ? FRAME_RSV3
                   : *at == '!' ? FRAME_BARE
                   : *at == 'w' ? FRAME_WORD
                                : FRAME_LONG;
    at += at < end;
    if (opcode != FRAME_CLOSE || at >= end) {
        ws_frame_put(out, opcode, special, (struct slice){ at, (size_t)(end - at) });
        return;
    }
    char *reason;
    unsigned code = (unsigned)strtoul(at, &reason, 10);
    reason += reason < end;
    struct buf payload = BUF_EMPTY;
    buf_putc(&payload, (char)(code >> 8));
    buf_putc(&payload, (char)code);
    buf_put(&payload, (struct slice){ reason, (size_t)(end - reason) });
    ws_frame_put(out, FRAME_CLOSE, special, buf_slice(&payload));
    buf_fini(&payload);
}

void ws_script_put(struct buf *out, const char *script)
{
    for (;;) {
        const char *bar = strstr(script, " | ");
        put_frame(out, script, bar ? (size_t)(bar - script) : strlen(script));
        if (!bar)
            break;
        script = bar + 3;
    }
    ck_assert_int_eq(buf_rc(out), RC_OK);
}

/* ---- transcripts ----------------------------------------------------------------------------- */

struct reader {
    struct ws_wire wire;
    struct buf said, message;
    bool amid; /* a message */
    size_t read, broken_at;
};

static void say(struct reader *r, const char *what, struct slice bytes)
{
    buf_printf(&r->said, "%s %zu ", what, bytes.len);
    buf_put(&r->said, bytes);
    buf_puts(&r->said, "\n");
}

static void hear(struct reader *r, enum ws_step step, const struct ws_seen *seen)
{
    switch (step) {
    case WS_STEP_MORE:
        break;
    case WS_STEP_DATA:
        ck_assert(seen->first == !r->amid);
        ck_assert(seen->bytes.len > 0 || seen->last);
        buf_put(&r->message, seen->bytes);
        r->amid = !seen->last;
        if (!seen->last)
            break;
        say(r, seen->text ? "text" : "binary", buf_slice(&r->message));
        r->message.len = 0;
        break;
    case WS_STEP_PING:
        say(r, "ping", seen->bytes);
        break;
    case WS_STEP_PONG:
        say(r, "pong", seen->bytes);
        break;
    case WS_STEP_CLOSE:
        buf_printf(&r->said, "close %d ", seen->code);
        buf_put(&r->said, seen->bytes);
        buf_puts(&r->said, "\n");
        break;
    case WS_STEP_BROKEN:
        buf_printf(&r->said, "broken %d %s\n", seen->code, seen->why);
        ck_assert_uint_le(strlen(seen->why), WS_REASON_MAX);
        break;
    }
}

struct buf ws_transcript(const struct ws_rules *rules, bool deflate, struct slice bytes, size_t cut,
                         size_t piece)
{
    struct reader r = { .wire = { .deflate = deflate } };
    struct page page = page_of(bytes);
    char *edge = (char *)(uintptr_t)page.bytes.at + page.bytes.len;
    struct ws_seen seen;

    while (bytes.len > 0) {
        size_t n = cut && cut < bytes.len ? cut : piece < bytes.len ? piece : bytes.len;
        cut = 0;
        memcpy(edge - n, bytes.at, n); /* whatever the piece, it ends at the edge */
        struct slice rest = { edge - n, n };
        enum ws_step step;
        do {
            memset(&seen, 0xEE, sizeof(seen));
            step = ws_wire_feed(&r.wire, rules, &rest, &seen);
            ck_assert_ptr_eq(rest.at + rest.len, edge);
            hear(&r, step, &seen);
            if (step == WS_STEP_BROKEN)
                r.broken_at = r.read + n - rest.len;
        } while (step != WS_STEP_MORE);
        ck_assert_uint_eq(rest.len, 0);
        r.read += n;
        bytes.at += n;
        bytes.len -= n;
    }
    buf_puts(&r.said, r.wire.over ? "over" : ws_wire_amid(&r.wire) ? "amid" : "at rest");
    if (r.broken_at && piece == 1)
        buf_printf(&r.said, " after %zu", r.broken_at);
    ws_wire_fini(&r.wire);
    page_fini(&page);
    buf_fini(&r.message);
    ck_assert_int_eq(buf_rc(&r.said), RC_OK);
    return r.said;
}

static void compare(const struct buf *got, struct slice expected, const char *how, size_t cut)
{
    ck_assert_msg(slice_is(buf_slice(got), expected), "%s %zu: got\n%.*s\nwanted\n%.*s", how, cut,
                  (int)got->len, got->at, (int)expected.len, expected.at);
}

/*
 * Only when they come one by one can it be told after which byte the rule was seen to be broken, so
 * the expected text names it, and the other ways are compared without.
 */
void ws_expect_bytes(const struct ws_rules *rules, bool deflate, struct slice bytes,
                     const char *expected)
{
    const char *after = strstr(expected, "over after ");
    struct slice plain = { expected, after ? (size_t)(after - expected) + 4 : strlen(expected) };
    struct buf got = ws_transcript(rules, deflate, bytes, 0, bytes.len);

    compare(&got, plain, "whole", 0);
    buf_fini(&got);
    got = ws_transcript(rules, deflate, bytes, 0, 1);
    compare(&got, slice_of(expected), "byte by byte", 1);
    buf_fini(&got);
    for (size_t cut = 1; cut < bytes.len; cut++) {
        got = ws_transcript(rules, deflate, bytes, cut, bytes.len);
        compare(&got, plain, "cut at", cut);
        buf_fini(&got);
    }
}

void ws_expect(const char *script, const char *expected)
{
    const struct ws_rules rules = { .max_message = 1000 };
    struct buf bytes = BUF_EMPTY;

    ws_script_put(&bytes, script);
    ws_expect_bytes(&rules, false, buf_slice(&bytes), expected);
    buf_fini(&bytes);
}
