/*
 * http1_wire_fuzz.c - requests mean the same whole, cut at chosen places, and byte by byte; the
 * decoder keeps no more than its limits; and a head that it accepts says one thing only.
 *
 *      | n | n cuts, a byte each: length of the next piece | requests |
 */
#include "sidecar/http1_wire.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_BODY = 600 };

struct reader {
    struct http1_wire wire;
    struct buf said;
    bool over;
};

static void look_at_head(struct reader *r)
{
    const struct http1_head *h = &r->wire.head;
    struct slice fields = h->fields, name, value, other, more;

    must(h->method.len > 0 && h->method.len <= HTTP1_METHOD_MAX);
    must(h->path.len > 0 && (h->path.at[0] == '/' || slice_is(h->path, SLICE("*"))));
    must(!h->chunked || (h->length == 0 && !http1_field(h->fields, "content-length").at));
    must(h->minor == 0 || http1_field(h->fields, "host").at);
    while (http1_field_next(&fields, &name, &value)) {
        for (size_t i = 0; i < name.len; i++)
            must(http1_is_token((unsigned char)name.at[i]) &&
                 !(name.at[i] >= 'A' && name.at[i] <= 'Z'));
        for (size_t i = 0; i < value.len; i++)
            must(http1_is_value((unsigned char)value.at[i]));
        for (struct slice rest = fields; http1_field_next(&rest, &other, &more);)
            must(!slice_is(name, other));
        buf_put(&r->said, name);
        buf_putc(&r->said, '=');
        buf_put(&r->said, value);
        buf_putc(&r->said, '\n');
    }
}

static void say(struct reader *r, enum http1_step step)
{
    const struct http1_wire *w = &r->wire;

    buf_printf(&r->said, "%d ", step);
    if (step == HTTP1_STEP_BROKEN) {
        must(w->fault.status >= 400 && w->fault.status < 600 && w->fault.why);
        buf_printf(&r->said, "%d %s\n", w->fault.status, w->fault.why);
    }
    if (step != HTTP1_STEP_REQUEST)
        return;
    buf_put(&r->said, w->head.method);
    buf_put(&r->said, w->head.path);
    buf_put(&r->said, w->head.query);
    buf_printf(&r->said, " %d %d %d %d\n", w->head.minor, w->head.keep, w->head.expects,
               w->body_too_large);
    look_at_head(r);
    must(w->body_too_large || w->head.chunked || w->body.len == w->head.length);
    must(!w->body_too_large || (w->body.len == 0 && !w->head.keep));
    buf_put(&r->said, buf_slice(&w->body));
}

static void read_piece(void *reader, const uint8_t *at, size_t len)
{
    struct reader *r = reader;
    struct slice piece = exact_copy(at, len), rest = piece;

    while (!r->over) {
        enum http1_step step = http1_wire_feed(&r->wire, &rest);
        must(r->wire.bytes.len <= HTTP1_LINE_MAX + HTTP1_FIELDS_MAX);
        must(r->wire.body.len <= MAX_BODY);
        must(rest.at + rest.len == piece.at + piece.len);
        if (step == HTTP1_STEP_MORE) {
            must(rest.len == 0);
            break;
        }
        say(r, step);
        r->over = step == HTTP1_STEP_BROKEN || step == HTTP1_STEP_NOMEM || r->wire.body_too_large;
        if (step == HTTP1_STEP_REQUEST)
            http1_wire_answered(&r->wire);
    }
    free((char *)(uintptr_t)piece.at);
}

static void begin(struct reader *r)
{
    *r = (struct reader){ .said = BUF_EMPTY };
    http1_wire_init(&r->wire, MAX_BODY);
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
    struct reader *all[] = { &whole, &cut, &bytes };
    for (size_t i = 0; i < LENGTH(all); i++) {
        must(http1_wire_at_rest(&all[i]->wire) == http1_wire_at_rest(&whole.wire));
        http1_wire_fini(&all[i]->wire);
        buf_fini(&all[i]->said);
    }
    return 0;
}
