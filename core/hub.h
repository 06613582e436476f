/*
 * hub.h - who wants to hear which topics, and telling them.
 *
 * A tree of topic levels.  Filters are interned: a thousand subscribers of one filter share one
 * node, and a subscription costs one small link per filter.  hub_publish() walks only the branches
 * that the event's topic can match, so its cost grows with the subscribers that match, not with
 * all of them.  A subscriber whose filters overlap is told once per event.
 *
 * Events of one topic that come together are one walk: each subscriber is told of all of them
 * before the next one is, while what it needs is still in the processor's cache.
 *
 * deliver() may end its own subscription or any other, whose memory is the owner's again at once;
 * and may subscribe new ones (they hear the next walk, not this one).  It may not publish: what is
 * published comes back from the source, in its turn.
 */
#ifndef CORE_HUB_H
#define CORE_HUB_H

#include "core/run.h"

struct hub;      /* opaque: hub.c */
struct hub_link; /* one (subscriber, filter) pair; opaque */

/* Embedded in its owner.  Zero it, set deliver; the rest is the hub's. */
struct subscriber {
    void (*deliver)(struct subscriber *, struct run *); /* lent */
    struct hub_link *links;                             /* NULL: not subscribed */
    int64_t told;                                       /* the hub's note: told in which walk */
};

struct hub *hub_new(void) MUST_USE; /* gives; NULL: no memory */
void hub_free(struct hub *);        /* all must have unsubscribed */

/* Subscribe to n (>= 1) valid filters at once; copies them.  RC_NOMEM: nothing was subscribed. */
enum rc hub_subscribe(struct hub *, struct subscriber *, const struct slice *filters,
                      size_t n) MUST_USE;
/* It is subscribed: to these from now on, instead.  RC_NOMEM: to what it was.  Not from within
   deliver(). */
enum rc hub_resubscribe(struct hub *, struct subscriber *, const struct slice *filters,
                        size_t n) MUST_USE;
void hub_unsubscribe(struct hub *, struct subscriber *); /* not subscribed: nothing happens */

/* Tell every matching subscriber of events of one topic; returns how many were told.  Not from
   within deliver(). */
size_t hub_publish(struct hub *, struct run *);

/* Would this subscriber hear that topic? */
bool hub_wants(const struct hub *, const struct subscriber *, struct slice topic);

/* The subscriber's i-th filter appended to out; false: no such i. */
bool hub_filter(const struct hub *, const struct subscriber *, size_t i, struct buf *out);

/* Subscribers now; distinct filters now. */
size_t hub_subscribers(const struct hub *);
size_t hub_filters(const struct hub *);

/* Call back for every distinct filter with its number of subscribers; stops when fn returns false.
   fn may not subscribe or unsubscribe. */
void hub_each(const struct hub *, bool (*fn)(void *arg, struct slice filter, size_t subscribers),
              void *arg);

/* Tree nodes that hub_publish() has looked at so far: what publishing costs, in a unit that tests
   can count. */
uint64_t hub_visited(const struct hub *);

#endif
