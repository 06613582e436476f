/*
 * run.h - events of one topic that have come together, for those who take all of them.
 *
 *      event   [form]                each event by itself, for who may not hear them all,
 *      event   [form]                or is in the middle of them, or has no room
 *      event   [form]
 *      run     [form form form]      one block: one reference, one piece of one write
 *
 * A single event is a run of one, and its bytes are the event's own.  A run lives no longer than
 * the walk through the hub that tells of it; its blocks live until they are sent.
 */
#ifndef CORE_RUN_H
#define CORE_RUN_H

#include "core/event.h"

/* forms is private. */
struct run {
    struct event *const *events; /* n >= 1; lent */
    size_t n;
    bool open;               /* all may be heard by everybody, now and later */
    struct wire_form *forms; /* of more than one */
};

/* Embedded in whoever tells; lends the events.  run_fini() drops the blocks. */
struct run run_of(struct event *const *events, size_t n);
void run_fini(struct run *);

/* The number of its last event: who takes it all has everything up to there. */
static inline int64_t run_last(const struct run *r)
{
    return event_seq(r->events[r->n - 1]);
}

/* How many of n (>= 1) events make the first run: of one topic, and of not too many bytes. */
size_t run_span(struct event *const *events, size_t n);

/* Lend the bytes of all its events, one after another.  As event_bytes(). */
enum rc run_bytes(struct run *, const struct encoder *, struct block **out) MUST_USE;

#endif
