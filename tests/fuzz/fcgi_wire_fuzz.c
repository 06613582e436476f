/*
 * fcgi_wire_fuzz.c - records mean the same whole, cut at chosen places, and byte by byte; and the
 * decoder keeps no more than its limits.
 *
 *      | n | n cuts, a byte each: length of the next piece | records |
 */
#include "fcgi/fcgi_wire.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_BODY = 600 };

struct reader {
    struct fcgi_wire wire;
    struct buf said;
    bool over;
};

static void say(struct reader *r, enum fcgi_step step)
{
    const struct fcgi_wire *w = &r->wire;

    buf_printf(&r->said, "%d id %d keep %d too large %d %d closes %d\n", step, w->id, w->keep,
               w->params_too_large, w->body_too_large, w->reply_closes);
    if (step == FCGI_STEP_REPLY)
        buf_put(&r->said, (struct slice){ (const char *)w->reply, w->reply_len });
    if (step != FCGI_STEP_REQUEST)
        return;
    buf_put(&r->said, buf_slice(&w->params));
    buf_putc(&r->said, '\n');
    buf_put(&r->said, buf_slice(&w->body));
}

static void read_piece(void *reader, const uint8_t *at, size_t len)
{
    struct reader *r = reader;
    struct slice piece = exact_copy(at, len), rest = piece;

    while (!r->over) {
        enum fcgi_step step = fcgi_wire_feed(&r->wire, &rest);
        must(r->wire.params.len <= FCGI_PARAMS_MAX && r->wire.body.len <= MAX_BODY);
        must(r->wire.small.len <= FCGI_VALUES_MAX && r->wire.reply_len <= FCGI_REPLY_MAX);
        must(rest.at + rest.len == piece.at + piece.len);
        if (step == FCGI_STEP_MORE) {
            must(rest.len == 0);
            break;
        }
        say(r, step);
        r->over = step == FCGI_STEP_BROKEN || step == FCGI_STEP_NOMEM;
        if (step == FCGI_STEP_ABORTED || step == FCGI_STEP_NEXT)
            fcgi_wire_answered(&r->wire);
    }
    free((char *)(uintptr_t)piece.at);
}

static void begin(struct reader *r)
{
    *r = (struct reader){ .said = BUF_EMPTY };
    fcgi_wire_init(&r->wire, MAX_BODY, 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader whole, cut, bytes;

    begin(&whole);
    begin(&cut);
    begin(&bytes);
    read_in_pieces(data, size, read_piece, &whole, &bytes, &cut);
    must(slice_is(buf_slice(&whole.said), buf_slice(&cut.said)));
    must(slice_is(buf_slice(&whole.said), buf_slice(&bytes.said)));
    must(whole.wire.state == cut.wire.state && whole.wire.state == bytes.wire.state);
    struct reader *all[] = { &whole, &cut, &bytes };
    for (size_t i = 0; i < LENGTH(all); i++) {
        fcgi_wire_fini(&all[i]->wire);
        buf_fini(&all[i]->said);
    }
    return 0;
}
