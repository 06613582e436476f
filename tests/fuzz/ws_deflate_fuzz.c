/*
 * ws_deflate_fuzz.c - what is compressed comes out again, for every window; and whatever is said to
 * be compressed gives the same whole and in pieces, and never more than the limit.
 *
 *      | window bits | length of pieces | bytes: a message, and something that may be compressed |
 */
#include "sidecar/ws_deflate.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_MESSAGE = 100000 };

static enum rc inflate_all(struct ws_deflate *d, struct slice packed, size_t piece, size_t max,
                           struct buf *out)
{
    struct ws_inflate *i;
    enum rc rc = ws_inflate_borrow(d, max, &i);

    must(rc == RC_OK);
    do {
        size_t n = piece < packed.len ? piece : packed.len;
        struct slice copy = exact_copy(packed.at, n), in = copy, got;
        do {
            rc = ws_inflate_next(i, &in, n == packed.len, &got);
            if (rc == RC_OK || rc == RC_AGAIN)
                buf_put(out, got);
        } while (rc == RC_AGAIN);
        must(rc != RC_OK || in.len == 0);
        free((char *)(uintptr_t)copy.at);
        packed = (struct slice){ packed.at + n, packed.len - n };
    } while (rc == RC_OK && packed.len > 0);
    ws_inflate_give_back(i);
    must(out->len <= max);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf packed = BUF_EMPTY, whole = BUF_EMPTY, pieces = BUF_EMPTY;

    if (size < 2)
        return 0;
    struct ws_deflate *d = ws_deflate_new(1);
    must(d);
    int bits = WS_WINDOW_MIN + data[0] % (WS_WINDOW_MAX - WS_WINDOW_MIN + 1);
    size_t piece = 1 + data[1];
    struct slice message = { (const char *)data + 2, size - 2 };
    enum rc rc = ws_deflate_put(d, bits, message, &packed);
    must(rc == RC_OK || rc == RC_AGAIN);
    must(rc == RC_OK ? packed.len < message.len : packed.len == 0);
    if (rc == RC_OK) {
        must(inflate_all(d, buf_slice(&packed), piece, message.len, &whole) == RC_OK);
        must(slice_is(buf_slice(&whole), message));
        whole.len = 0;
        must(inflate_all(d, buf_slice(&packed), piece, message.len - 1, &whole) == RC_LIMIT);
    }
    whole.len = 0;
    rc = inflate_all(d, message, SIZE_MAX, MAX_MESSAGE, &whole);
    must(rc == inflate_all(d, message, piece, MAX_MESSAGE, &pieces));
    must(rc != RC_OK || slice_is(buf_slice(&whole), buf_slice(&pieces)));
    must(ws_inflates_out(d) == 0);
    ws_deflate_free(d);
    buf_fini(&packed);
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
