/*
 * proxy_wire_fuzz.c - a header means the same whole, cut in two and byte by byte; what it says of
 * the client is an address that can be written and read again; and what follows is left alone.
 *
 *      | where to cut | header, and what the client says |
 */
#include "sidecar/proxy_wire.h"
#include "tests/fuzz/fuzz.h"

struct said {
    enum proxy_step step;
    struct proxy_wire wire;
    size_t left; /* bytes that belong to the client */
};

static struct said read_in(const uint8_t *at, size_t len, size_t cut, size_t piece)
{
    struct said s = { .step = PROXY_STEP_MORE, .left = len };

    while (s.step == PROXY_STEP_MORE && s.left > 0) {
        size_t n = cut > 0 && cut < s.left ? cut : piece < s.left ? piece : s.left;
        struct slice copy = exact_copy(at + (len - s.left), n), rest = copy;
        cut = 0;
        s.step = proxy_wire_feed(&s.wire, &rest);
        must(s.wire.len <= PROXY_LINE_MAX);
        must(s.step != PROXY_STEP_MORE || rest.len == 0);
        must(rest.at + rest.len == copy.at + copy.len);
        s.left -= n - rest.len;
        free((char *)(uintptr_t)copy.at);
    }
    return s;
}

static void must_agree(const struct said *a, const struct said *b)
{
    must(a->step == b->step && a->left == b->left);
    must(a->wire.from == b->wire.from && a->wire.why == b->wire.why);
    must(a->step != PROXY_STEP_DONE || address_is(&a->wire.address, &b->wire.address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[ADDRESS_TEXT_MAX + 1];
    struct address again;

    if (size < 1)
        return 0;
    size_t cut = *data++;
    size--;
    struct said whole = read_in(data, size, 0, size), two = read_in(data, size, cut, size),
                bytes = read_in(data, size, 0, 1);
    must_agree(&whole, &two);
    must_agree(&whole, &bytes);
    must((whole.step == PROXY_STEP_BROKEN) == (whole.wire.why != NULL));
    if (whole.step != PROXY_STEP_DONE || whole.wire.from != PROXY_FROM_ADDRESS)
        return 0;
    must(address_text(&whole.wire.address, text) <= ADDRESS_TEXT_MAX);
    must(address_parse(slice_of(text), &again) == RC_OK);
    must(address_is(&whole.wire.address, &again));
    return 0;
}
