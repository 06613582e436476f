/*
 * address.h - where a request comes from: addresses, networks, and what proxies say.
 *
 * The web server says who its peer is.  Where that peer is a proxy of the site's own, a header that
 * the proxy writes says who the client is:
 *
 *      X-Forwarded-For: what the client claims, client as proxy 1 saw it, proxy 1 as proxy 2 saw it
 *                                               ^--- the answer        <--- walked from the right
 *
 * Each hop adds at the right end, so the list is believed from there for as long as the speaker is
 * trusted: the first address that is no trusted proxy is the client's.  Everything left of it is
 * what that client likes to claim.  From a peer that is not trusted nothing is believed at all.
 */
#ifndef CORE_ADDRESS_H
#define CORE_ADDRESS_H

#include "core/buf.h"

enum { ADDRESS_TEXT_MAX = 45 };

/* IPv4 is kept as IPv6 (::ffff:192.0.2.1, RFC 4291 section 2.5.5.2): one form for the one thing. */
struct address {
    uint8_t at[16];
};

/* "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"; a zone ("%eth0") is not kept.  RC_SYNTAX. */
enum rc address_parse(struct slice, struct address *) MUST_USE;

/* The four bytes of an IPv4 address, in network order. */
struct address address_of_v4(const uint8_t at[4]);

/* As text, IPv4 as such; returns its length. */
size_t address_text(const struct address *, char out[ADDRESS_TEXT_MAX + 1]);

bool address_is(const struct address *, const struct address *);

/*
 * The address under which it counts: a client has a whole /64 of IPv6 to choose from (RFC 6177), so
 * that the last 64 bits say nothing.
 */
struct address address_counted(const struct address *);

struct network {
    struct address first;
    uint8_t bits; /* of 128 */
};

/* "10.0.0.0/8", "2001:db8::/32", or an address alone.  RC_SYNTAX: also for bits after the prefix,
   which are a slip of the pen: nobody can say what was meant. */
enum rc network_parse(struct slice, struct network *) MUST_USE;
bool network_holds(const struct network *, const struct address *);

/* A list of networks as settings have it; "private" stands for the loopback and all networks that
   are nobody's on the internet, "unix" for peers that have no address: local sockets. */
struct networks {
    struct network *at;
    size_t n;
    bool unix_sockets;
};

/* NULL, or else what is wrong with an item of such a list. */
const char *networks_error(const char *item);
/* Items are checked.  RC_NOMEM. */
enum rc networks_init(struct networks *, char *const *items, size_t n) MUST_USE;
void networks_fini(struct networks *);
/* peer: NULL: it has no address. */
bool networks_hold(const struct networks *, const struct address *peer);

/*
 * Whose request is it?  peer: what the web server says (REMOTE_ADDR), perhaps no address at all;
 * said: the header's lines, joined by commas in their order (RFC 9110 section 5.3), empty: none.
 * elements: they are those of `Forwarded` (RFC 7239), otherwise addresses, perhaps with a port.
 * What cannot be read ends the walk: the hop that said so is the client then.  False: there is no
 * address.
 */
bool address_of_client(const struct networks *trusted, struct slice peer, struct slice said,
                       bool elements, struct address *out);

#endif
