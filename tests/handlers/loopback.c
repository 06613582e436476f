/*
 * loopback.c - a transport of memory, as strict as request.h is.
 *
 *      handler --write--> wire --(end of the turn, if the peer takes)--> body, seen by the test
 *
 * It keeps the letter of request.h: gone() never from within a reply call, room() only after all
 * that was queued has been taken.
 */
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "tests/handlers/loopback_priv.h"

static struct answer *answer_of(const struct request *r)
{
    return CONTAINER(r, struct answer, request);
}

static struct slice on_header(const struct request *r, const char *name)
{
    const char *const *asked = answer_of(r)->asked;

    ck_assert_msg(r->head != NULL, "header '%s' read after serve()", name);
    for (; asked && *asked; asked++) {
        size_t len = strlen(name);
        if (strncasecmp(*asked, name, len) == 0 && (*asked)[len] == ':') {
            const char *value = *asked + len + 1;
            return slice_of(value + strspn(value, " "));
        }
    }
    return SLICE_NONE;
}

static void on_each_header(const struct request *r, header_fn *fn, void *arg)
{
    const char *const *asked = answer_of(r)->asked;

    ck_assert_msg(r->head != NULL, "headers read after serve()");
    for (; asked && *asked; asked++) {
        char name[64];
        size_t len = strcspn(*asked, ":");
        ck_assert_uint_lt(len, sizeof(name));
        for (size_t i = 0; i < len; i++)
            name[i] = (char)tolower((unsigned char)(*asked)[i]);
        const char *value = *asked + len + 1;
        fn(arg, (struct slice){ name, len }, slice_of(value + strspn(value, " ")));
    }
}

static void flush(struct answer *a)
{
    bool had = a->wire.len > 0;

    if (a->stopped)
        return;
    buf_put(&a->body, buf_slice(&a->wire));
    buf_shift(&a->wire, a->wire.len);
    if (a->ending)
        a->ended = true;
    else if (had)
        request_room(&a->request);
}

static void on_turn(struct turn *turn)
{
    struct answer *a = CONTAINER(turn, struct answer, turn);

    if (a->request.broken && !a->ending) {
        a->ended = a->ending = true;
        request_gone(&a->request);
        return;
    }
    flush(a);
}

void loopback_soon(struct answer *a)
{
    a->turn.run = on_turn;
    turn_add(a->request.server, &a->turn);
}

/* What no front would pass on must not be written. */
static void check_head(struct slice headers)
{
    const char *at = headers.at, *end = headers.at + headers.len;

    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        ck_assert_msg(stop && stop > at && stop[-1] == '\r', "a header line without CRLF: %.*s",
                      (int)headers.len, headers.at);
        const char *colon = memchr(at, ':', (size_t)(stop - at));
        ck_assert_msg(colon && colon > at && colon[1] == ' ', "not a header line: %.*s",
                      (int)(stop - at), at);
        for (const char *c = at; c < stop - 1; c++)
            ck_assert_msg((unsigned char)*c >= 0x20 && *c != 0x7f, "control character in a head");
        at = stop + 1;
    }
}

static enum rc on_begin(struct request *r, int status, struct slice headers)
{
    struct answer *a = answer_of(r);

    ck_assert_msg(a->status == 0, "a second head");
    ck_assert_int_ge(status, 200);
    check_head(headers);
    a->status = status;
    buf_put(&a->headers, headers);
    loopback_soon(a);
    return RC_OK;
}

static enum rc on_write(struct request *r, struct slice bytes)
{
    struct answer *a = answer_of(r);

    ck_assert_msg(a->status != 0, "a body before the head");
    ck_assert_msg(!a->ending, "a write after the end");
    loopback_soon(a);
    if (a->failing)
        return RC_NOMEM;
    buf_put(&a->wire, bytes);
    return RC_OK;
}

static enum rc on_lend(struct request *r, struct block *block)
{
    return on_write(r, block_slice(block));
}

static void on_end(struct request *r)
{
    struct answer *a = answer_of(r);

    ck_assert_msg(a->status != 0, "an end before the head");
    ck_assert_msg(!a->ending, "a second end");
    a->ending = true;
    loopback_soon(a);
}

static size_t on_queued(const struct request *r)
{
    return answer_of(r)->wire.len;
}

/* ---- as a WebSocket: a message is a line of the body, and so is what closes it -------------- */

static int on_refuses(const struct request *r, const char **why)
{
    *why = "it asks for no WebSocket";
    return on_header(r, "upgrade").len > 0 ? 0 : 426;
}

static enum rc on_accept(struct request *r, struct slice protocol, struct slice headers)
{
    struct answer *a = answer_of(r);

    ck_assert_msg(a->status == 0, "a second head");
    check_head(headers);
    a->status = 101;
    buf_put(&a->headers, headers);
    if (protocol.len)
        buf_printf(&a->headers, "Sec-WebSocket-Protocol: %.*s\r\n", (int)protocol.len, protocol.at);
    loopback_soon(a);
    return RC_OK;
}

static enum rc on_say(struct request *r, enum message_kind kind, struct slice message)
{
    enum rc rc = kind == MESSAGE_BINARY ? on_write(r, SLICE("binary: ")) : RC_OK;

    if (rc == RC_OK)
        rc = on_write(r, message);
    return rc == RC_OK ? on_write(r, SLICE("\n")) : rc;
}

static enum rc encode_line(const struct event *event, const void *message, struct buf *out)
{
    enum rc rc = event_encode(event, message, out);

    buf_putc(out, '\n');
    return rc;
}

static enum rc on_bytes(struct request *r, struct run *run, const struct encoder *message,
                        struct block **out)
{
    struct encoder line = { ENC__COUNT + message->which, encode_line, message };

    return run_bytes(run, &line, out);
}

static void on_close(struct request *r, unsigned code, const char *why)
{
    struct answer *a = answer_of(r);

    ck_assert_msg(!a->ending, "a second end");
    ck_assert_msg(strlen(why) <= 123, "no frame holds so long a reason: %s", why);
    buf_printf(&a->wire, "[closed: %u %s]\n", code, why);
    a->ending = true;
    loopback_soon(a);
}

static void on_deafen(struct request *r, bool deaf)
{
    answer_of(r)->deaf = deaf;
}

static const struct socket_ops socket_ops = {
    .refuses = on_refuses,
    .accept = on_accept,
    .say = on_say,
    .bytes = on_bytes,
    .close = on_close,
    .deafen = on_deafen,
};

const struct request_ops loopback_ops = {
    .header = on_header,
    .each_header = on_each_header,
    .begin = on_begin,
    .write = on_write,
    .lend = on_lend,
    .end = on_end,
    .queued = on_queued,
    .socket = &socket_ops,
};

/* ---- behind the curtain ------------------------------------------------------------------ */

void loopback_take(struct answer *a, bool takes)
{
    a->stopped = !takes;
    if (takes)
        loopback_soon(a);
}

void loopback_break(struct answer *a)
{
    a->failing = true;
}

void loopback_say(struct answer *a, const char *text)
{
    ck_assert_msg(!a->deaf, "it takes no messages now: %s", text);
    ck_assert_msg(!a->ending, "it has ended, and is told: %s", text);
    char *lent = strdup(text);
    ck_assert(lent);
    (void)request_message(&a->request, MESSAGE_TEXT, slice_of(lent));
    memset(lent, 'x', strlen(lent));
    free(lent);
}

bool loopback_deaf(const struct answer *a)
{
    return a->deaf;
}
