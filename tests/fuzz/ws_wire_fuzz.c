/*
 * ws_wire_fuzz.c - frames mean the same whole, cut at chosen places, and byte by byte; text is
 * UTF-8, no message is larger than allowed, and what is broken stays so.
 *
 *      | flags | n | n cuts, a byte each: length of the next piece | frames |
 */
#include "core/text.h"
#include "sidecar/ws_deflate.h"
#include "sidecar/ws_wire.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_MESSAGE = 600, FLAG_DEFLATE = 1 };

struct reader {
    struct ws_wire wire;
    struct ws_rules rules;
    struct buf said, message;
    bool amid;
};

static void hear_data(struct reader *r, const struct ws_seen *seen)
{
    must(seen->first == !r->amid);
    must(seen->bytes.len > 0 || seen->last);
    r->amid = !seen->last;
    buf_put(&r->message, seen->bytes);
    must(r->message.len <= MAX_MESSAGE);
    if (!seen->last)
        return;
    must(!seen->text || utf8_valid(buf_slice(&r->message)));
    buf_printf(&r->said, "text %d: ", seen->text);
    buf_put(&r->said, buf_slice(&r->message));
    r->message.len = 0;
}

static void hear(struct reader *r, enum ws_step step, const struct ws_seen *seen)
{
    uint8_t frame[2 + WS_CONTROL_MAX];
    unsigned code = seen->code;

    if (step == WS_STEP_DATA) {
        hear_data(r, seen);
        return;
    }
    must(seen->bytes.len <= WS_CONTROL_MAX);
    /* Of a message that is too large and no text either one fault is seen first or the other, for
       the inflate stream reads ahead as far as the bytes go. */
    if (step == WS_STEP_BROKEN && code == WS_CODE_TOO_LARGE && r->wire.deflate)
        code = WS_CODE_DATA;
    buf_printf(&r->said, "step %d code %u ", step, code);
    buf_put(&r->said, seen->bytes);
    if (step == WS_STEP_CLOSE || step == WS_STEP_BROKEN) {
        must(r->wire.over && !r->wire.amid);
        must(step == WS_STEP_CLOSE || strlen(seen->why) <= WS_REASON_MAX);
        must(seen->code == WS_CODE_NONE || ws_code_valid(seen->code));
        must(utf8_valid(seen->bytes));
        must(ws_put_close(frame, seen->code, seen->bytes) == 2 + frame[1]);
    }
}

static void read_piece(void *reader, const uint8_t *at, size_t len)
{
    struct reader *r = reader;
    struct slice piece = exact_copy(at, len), rest = piece;
    struct ws_seen seen;
    enum ws_step step;
    bool over;

    do {
        over = r->wire.over;
        step = ws_wire_feed(&r->wire, &r->rules, &rest, &seen);
        must(rest.at + rest.len == piece.at + piece.len);
        must(step == WS_STEP_MORE || !over);
        if (step != WS_STEP_MORE)
            hear(r, step, &seen);
    } while (step != WS_STEP_MORE);
    must(rest.len == 0);
    free((char *)(uintptr_t)piece.at);
}

static void begin(struct reader *r, struct ws_deflate *deflate, bool negotiated)
{
    *r = (struct reader){ .rules = { MAX_MESSAGE, deflate }, .wire = { .deflate = negotiated } };
}

static void must_agree(const struct reader *a, const struct reader *b)
{
    must(slice_is(buf_slice(&a->said), buf_slice(&b->said)));
    must(ws_wire_amid(&a->wire) == ws_wire_amid(&b->wire) && a->wire.over == b->wire.over);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ws_deflate *deflate = ws_deflate_new(3);
    struct reader whole, cut, bytes;

    must(deflate);
    if (size > 0) {
        bool negotiated = data[0] & FLAG_DEFLATE;
        begin(&whole, deflate, negotiated);
        begin(&cut, deflate, negotiated);
        begin(&bytes, deflate, negotiated);
        read_in_pieces(data + 1, size - 1, read_piece, &whole, &bytes, &cut);
        must_agree(&whole, &cut);
        must_agree(&whole, &bytes);
        struct reader *all[] = { &whole, &cut, &bytes };
        for (size_t i = 0; i < LENGTH(all); i++) {
            ws_wire_fini(&all[i]->wire);
            buf_fini(&all[i]->said);
            buf_fini(&all[i]->message);
        }
    }
    must(ws_inflates_out(deflate) == 0);
    ws_deflate_free(deflate);
    return 0;
}
