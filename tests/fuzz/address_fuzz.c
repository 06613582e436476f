/*
 * address_fuzz.c - whatever a header says: a stranger's is never believed, and of what a proxy says
 * the left part is never heard while the right part answers.
 *
 * Input: a line with the peer, then the header, of either form.
 */
#include "core/address.h"
#include "tests/fuzz/fuzz.h"

static struct networks networks(const char *item)
{
    char *items[] = { (char *)item };
    struct networks list;

    must(networks_init(&list, items, 1) == RC_OK);
    return list;
}

static void must_read_again(const struct address *a)
{
    char text[ADDRESS_TEXT_MAX + 1];
    struct address again;

    must(address_text(a, text) <= ADDRESS_TEXT_MAX);
    must(address_parse(slice_of(text), &again) == RC_OK && address_is(a, &again));
}

static void look(struct slice peer, struct slice said, bool elements)
{
    static struct networks nobody, private_ones, everybody;
    struct address a, b, itself;
    struct buf longer = BUF_EMPTY;

    if (!nobody.at) {
        nobody = networks("192.0.2.55");
        private_ones = networks("private");
        everybody = networks("::/0");
    }
    bool has_address = address_parse(peer, &itself) == RC_OK;
    /* a stranger */
    bool known = address_of_client(&nobody, peer, said, elements, &a);
    must(known == has_address);
    if (known && !networks_hold(&nobody, &itself))
        must(address_is(&a, &itself));
    /* behind proxies, and with a claim before it */
    known = address_of_client(&private_ones, peer, said, elements, &a);
    buf_puts(&longer, elements ? "for=203.0.113.99," : "203.0.113.99,");
    buf_put(&longer, said);
    must(buf_rc(&longer) == RC_OK);
    struct slice claimed = exact_copy(longer.at, longer.len);
    must(address_of_client(&private_ones, peer, claimed, elements, &b) == known);
    if (known) {
        must_read_again(&a);
        if (!networks_hold(&private_ones, &a))
            must(address_is(&a, &b));
    }
    if (address_of_client(&everybody, peer, said, elements, &a))
        must_read_again(&a);
    free((char *)claimed.at);
    buf_fini(&longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = exact_copy(data, size), whole = rest, peer = SLICE_NONE;
    struct network n;

    if (line_next(&rest, &peer)) {
        struct slice said = rest.len > 0 ? rest : SLICE_NONE;
        look(peer, said, false);
        look(peer, said, true);
        if (network_parse(peer, &n) == RC_OK)
            must(n.bits <= 128 && network_holds(&n, &n.first));
    }
    free((char *)whole.at);
    return 0;
}
