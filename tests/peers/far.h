/*
 * far.h - a machine that is far away, though it is here: a network namespace of its own, reached
 * over one pair of virtual cards, on which packets can be lost without a trace.
 *
 *      this machine  [near card 198.18.x.y]~~~~~~~~[far card 198.18.x.y+1]  whatever runs there
 *
 * Lost means: sent to a card address that nobody has.  No reset, no ICMP, no route that fails, no
 * carrier that drops, as when a router dies or a firewall forgets a connection: only patience can
 * notice.  Both ends know each other's card address for good, so nobody asks by ARP either.
 *
 * The namespace and its cards vanish with the last process in it and with our descriptor, so
 * nothing stays behind, however we end.  Nobody but this machine can reach the address.
 */
#ifndef TESTS_PEERS_FAR_H
#define TESTS_PEERS_FAR_H

#include "core/buf.h"

struct far;

/* Why this machine cannot have one (root, iproute2, the kernel); NULL: it can.  Static text. */
const char *far_lacks(void);

struct far *far_new(void) MUST_USE; /* gives; on failure says why and ends the program */
void far_free(struct far *);        /* NULL: nothing happens */

int far_net(const struct far *);             /* for process_spec.net; lent */
const char *far_address(const struct far *); /* of the far end; lent */

/* Which packets are lost from now on: those to the far end, those from it, both, or none. */
enum far_loss { FAR_LOSES_NOTHING = 0, FAR_LOSES_THERE = 1, FAR_LOSES_BACK = 2, FAR_LOSES_ALL = 3 };
void far_lose(struct far *, enum far_loss);

#endif
