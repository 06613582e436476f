/*
 * address.c - where a request comes from: addresses, networks, and what proxies say.
 */
#include "core/address.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "core/text.h"

enum { BITS = 128, BITS_BEFORE_V4 = 96, BITS_OF_CLIENT = 64 };

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* What "private" stands for: RFC 1122, 1918, 3927, 6598; 4291, 4193. */
static const char *const private_networks[] = {
    "127.0.0.0/8",   "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
    "100.64.0.0/10", "::1",        "fc00::/7",      "fe80::/10",
};

/* ---- one address ------------------------------------------------------------------------------
 */

static bool is_v4(const struct address *a)
{
    return memcmp(a->at, mapped, sizeof(mapped)) == 0;
}

enum rc address_parse(struct slice text, struct address *out)
{
    char copy[ADDRESS_TEXT_MAX + 1];
    struct address a;
    const char *zone = text.len > 0 ? memchr(text.at, '%', text.len) : NULL;

    if (zone && memchr(text.at, ':', (size_t)(zone - text.at)))
        text.len = (size_t)(zone - text.at);
    if (text.len == 0 || text.len > ADDRESS_TEXT_MAX || memchr(text.at, '\0', text.len))
        return RC_SYNTAX;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    memcpy(a.at, mapped, sizeof(mapped));
    if (inet_pton(AF_INET, copy, a.at + sizeof(mapped)) != 1 &&
        inet_pton(AF_INET6, copy, a.at) != 1)
        return RC_SYNTAX;
    *out = a;
    return RC_OK;
}

struct address address_of_v4(const uint8_t at[4])
{
    struct address a;

    memcpy(a.at, mapped, sizeof(mapped));
    memcpy(a.at + sizeof(mapped), at, sizeof(a.at) - sizeof(mapped));
    return a;
}

size_t address_text(const struct address *a, char out[ADDRESS_TEXT_MAX + 1])
{
    if (is_v4(a))
        inet_ntop(AF_INET, a->at + sizeof(mapped), out, ADDRESS_TEXT_MAX + 1);
    else
        inet_ntop(AF_INET6, a->at, out, ADDRESS_TEXT_MAX + 1);
    return strlen(out);
}

bool address_is(const struct address *a, const struct address *b)
{
    return memcmp(a->at, b->at, sizeof(a->at)) == 0;
}

struct address address_counted(const struct address *a)
{
    struct address counted = *a;

    if (!is_v4(a))
        memset(counted.at + BITS_OF_CLIENT / 8, 0, sizeof(counted.at) - BITS_OF_CLIENT / 8);
    return counted;
}

/* ---- networks ---------------------------------------------------------------------------------
 */

/* Nothing but zeros after the first so many bits? */
static bool ends_after(const struct address *a, unsigned bits)
{
    for (unsigned i = bits; i < BITS; i++)
        if (a->at[i / 8] & 0x80 >> i % 8)
            return false;
    return true;
}

enum rc network_parse(struct slice text, struct network *out)
{
    const char *slash = text.len > 0 ? memchr(text.at, '/', text.len) : NULL;
    struct slice address = { text.at, slash ? (size_t)(slash - text.at) : text.len };
    struct network n = { .bits = BITS };
    int64_t bits;

    if (address_parse(address, &n.first) != RC_OK)
        return RC_SYNTAX;
    bool v4 = is_v4(&n.first) && memchr(address.at, ':', address.len) == NULL;
    if (slash) {
        struct slice said = { slash + 1, text.len - address.len - 1 };
        if (number_parse(said, v4 ? BITS - BITS_BEFORE_V4 : BITS, &bits) != RC_OK)
            return RC_SYNTAX;
        n.bits = (uint8_t)(bits + (v4 ? BITS_BEFORE_V4 : 0));
    }
    if (!ends_after(&n.first, n.bits))
        return RC_SYNTAX;
    *out = n;
    return RC_OK;
}

bool network_holds(const struct network *n, const struct address *a)
{
    unsigned whole = n->bits / 8, rest = n->bits % 8;

    if (memcmp(n->first.at, a->at, whole) != 0)
        return false;
    return rest == 0 || ((n->first.at[whole] ^ a->at[whole]) & (0xff00 >> rest & 0xff)) == 0;
}

static bool is_private(const char *item)
{
    return strcmp(item, "private") == 0;
}

static bool is_unix(const char *item)
{
    return strcmp(item, "unix") == 0;
}

const char *networks_error(const char *item)
{
    struct network n;

    if (is_private(item) || is_unix(item) || network_parse(slice_of(item), &n) == RC_OK)
        return NULL;
    return "is neither an address nor a network such as 10.0.0.0/8 or 2001:db8::/32, nor "
           "\"private\" or \"unix\"";
}

enum rc networks_init(struct networks *list, char *const *items, size_t n)
{
    size_t room = n;

    for (size_t i = 0; i < n; i++)
        room += is_private(items[i]) ? LENGTH(private_networks) : 0;
    *list = (struct networks){ .at = calloc(room + 1, sizeof(*list->at)) };
    if (!list->at)
        return RC_NOMEM;
    for (size_t i = 0; i < n; i++) {
        if (is_unix(items[i]))
            list->unix_sockets = true;
        else if (!is_private(items[i]))
            list->n += network_parse(slice_of(items[i]), &list->at[list->n]) == RC_OK;
        else
            for (size_t j = 0; j < LENGTH(private_networks); j++)
                list->n +=
                    network_parse(slice_of(private_networks[j]), &list->at[list->n]) == RC_OK;
    }
    return RC_OK;
}

void networks_fini(struct networks *list)
{
    free(list->at);
    *list = (struct networks){ .at = NULL };
}

bool networks_hold(const struct networks *list, const struct address *peer)
{
    if (!peer)
        return list->unix_sockets;
    for (size_t i = 0; i < list->n; i++)
        if (network_holds(&list->at[i], peer))
            return true;
    return false;
}

/* ---- what proxies say -------------------------------------------------------------------------
 */

/* Cut the last item off *rest; false: there is none left. */
static bool last_item(struct slice *rest, char separator, struct slice *item)
{
    const char *at = rest->len > 0 ? memrchr(rest->at, separator, rest->len) : NULL;

    if (!rest->at)
        return false;
    size_t before = at ? (size_t)(at + 1 - rest->at) : 0;
    *item = slice_trim((struct slice){ rest->at + before, rest->len - before });
    *rest = at ? (struct slice){ rest->at, before - 1 } : SLICE_NONE;
    return true;
}

/* "192.0.2.1:4711", "[2001:db8::1]:4711" or without the port (RFC 7239 section 6). */
static enum rc node_parse(struct slice node, struct address *out)
{
    const char *end = node.len > 0 && node.at[0] == '[' ? memchr(node.at, ']', node.len) : NULL;
    const char *colon = node.len > 0 ? memchr(node.at, ':', node.len) : NULL;

    if (end)
        node = (struct slice){ node.at + 1, (size_t)(end - node.at - 1) };
    else if (colon && !memchr(colon + 1, ':', node.len - (size_t)(colon + 1 - node.at)))
        node.len = (size_t)(colon - node.at);
    return address_parse(node, out);
}

/*
 * The node of one element: "for=192.0.2.1;proto=http", "For=\"[2001:db8::1]\"".  Commas and
 * semicolons within a quoted string are not looked for: no address has any, and what is cut there
 * is no address either.
 */
static struct slice node_of(struct slice element)
{
    struct slice pair;

    while (last_item(&element, ';', &pair)) {
        const char *equals = pair.len > 0 ? memchr(pair.at, '=', pair.len) : NULL;
        if (!equals ||
            !slice_is_nocase((struct slice){ pair.at, (size_t)(equals - pair.at) }, SLICE("for")))
            continue;
        struct slice value = { equals + 1, pair.len - (size_t)(equals + 1 - pair.at) };
        if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"')
            value = (struct slice){ value.at + 1, value.len - 2 };
        return value;
    }
    return SLICE_NONE;
}

bool address_of_client(const struct networks *trusted, struct slice peer, struct slice said,
                       bool elements, struct address *out)
{
    struct address hop;
    struct slice item;
    bool known = address_parse(peer, &hop) == RC_OK;

    while (networks_hold(trusted, known ? &hop : NULL) && last_item(&said, ',', &item)) {
        if (item.len == 0) /* a list may have empty items: RFC 9110 section 5.6.1.2 */
            continue;
        if (node_parse(elements ? node_of(item) : item, &hop) != RC_OK)
            break;
        known = true;
    }
    if (known)
        *out = hop;
    return known;
}
