/*
 * run.c - events of one topic that have come together.
 *
 * A block is limited: who has sent all but the end of it holds all of it.
 */
#include "core/run.h"

enum { RUN_BYTES = 64 * 1024 }; /* of the events; their forms may be larger */

struct run run_of(struct event *const *events, size_t n)
{
    struct run r = { .events = events, .n = n, .open = true };

    for (size_t i = 0; i < n; i++) {
        const struct event_fields *e = event_fields(events[i]);
        r.open = r.open && !(e->flags & EVENT_PRIVATE) && e->expires_us == 0;
    }
    return r;
}

void run_fini(struct run *r)
{
    forms_free(r->forms);
    r->forms = NULL;
}

size_t run_span(struct event *const *events, size_t n)
{
    struct slice topic = event_fields(events[0])->topic;
    size_t bytes = event_size(events[0]), i = 1;

    while (i < n && slice_is(event_fields(events[i])->topic, topic) &&
           bytes + event_size(events[i]) <= RUN_BYTES)
        bytes += event_size(events[i++]);
    return i;
}

enum rc run_bytes(struct run *r, const struct encoder *as, struct block **out)
{
    if (r->n == 1)
        return event_bytes(r->events[0], as, out);
    return forms_bytes(&r->forms, r->events, r->n, as, out);
}
