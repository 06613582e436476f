/*
 * wheel.h - many timers on one: an alarm costs its own five words and no system call.
 *
 * Alarms ring on the loop thread, never early by the loop's clock (uv_now), at most WHEEL_TICK_MS
 * late (plus the loop's own business).  The one uv_timer beneath is armed only while an alarm is
 * set.
 */
#ifndef CORE_WHEEL_H
#define CORE_WHEEL_H

#include <uv.h>

#include "core/buf.h"

enum { WHEEL_TICK_MS = 32 };

struct wheel;

/* Embedded in its owner; zero it before the first use. */
struct alarm {
    struct alarm *next, **link; /* link: NULL when not set */
    struct wheel *wheel;
    uint64_t due_tick;
    void (*ring)(
        struct alarm *); /* the alarm is no longer set then; may set it again, or free it */
};

struct wheel *wheel_new(uv_loop_t *) MUST_USE; /* gives; NULL: no memory */
void wheel_free(struct wheel *); /* cancels all; its handle closes in the loop's next turn */

/* Ring after ms from now; a set alarm moves. */
void alarm_set(struct wheel *, struct alarm *, uint64_t ms, void (*ring)(struct alarm *));
void alarm_cancel(struct alarm *); /* it will not ring; not set: nothing happens */

#endif
