/*
 * wheel.c - a hashed timing wheel.
 *
 *      slot   0   1   2  …  1023          an alarm due at tick t waits in slot t % 1024,
 *             |       |                   whatever the round
 *           alarm   alarm - alarm
 *
 * Setting and cancelling is a few pointers.  The uv_timer is armed for the next slot that holds
 * anything: a bit per slot tells.  An alarm of a later round is looked at once per round (33 s).
 */
#include "core/wheel.h"

#include <stdlib.h>

enum { SLOTS = 1024, WORDS = SLOTS / 64 };

struct wheel {
    uv_timer_t timer;
    uint64_t done;  /* every alarm due up to this tick has rung */
    uint64_t armed; /* the tick the timer is armed for; 0: it is not */
    size_t count;   /* alarms set */
    bool ringing;
    struct alarm *due; /* those of the slot that is being worked off */
    uint64_t busy[WORDS];
    struct alarm *slots[SLOTS];
};

static uint64_t tick_now(const struct wheel *w)
{
    return uv_now(w->timer.loop) / WHEEL_TICK_MS;
}

struct wheel *wheel_new(uv_loop_t *loop)
{
    struct wheel *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    uv_timer_init(loop, &w->timer); /* cannot fail */
    w->done = tick_now(w);
    return w;
}

static void on_closed(uv_handle_t *handle)
{
    free(CONTAINER(handle, struct wheel, timer));
}

/* --- lists --------------------------------------------------------------------------------- */

static void push(struct alarm **list, struct alarm *a)
{
    a->next = *list;
    a->link = list;
    if (a->next)
        a->next->link = &a->next;
    *list = a;
}

static void pull(struct alarm *a)
{
    *a->link = a->next;
    if (a->next)
        a->next->link = a->link;
    a->next = NULL;
    a->link = NULL;
}

static void put_in_slot(struct wheel *w, struct alarm *a)
{
    size_t slot = a->due_tick % SLOTS;
    push(&w->slots[slot], a);
    w->busy[slot / 64] |= UINT64_C(1) << slot % 64;
}

static void drop_all(struct alarm **list)
{
    while (*list)
        pull(*list);
}

void wheel_free(struct wheel *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        drop_all(&w->slots[i]);
    drop_all(&w->due);
    memset(w->busy, 0, sizeof w->busy);
    w->count = 0;
    uv_close((uv_handle_t *)&w->timer, on_closed);
}

/* --- the timer ----------------------------------------------------------------------------- */

/* The first tick after done whose slot holds anything; there is one. */
static uint64_t next_busy_tick(const struct wheel *w)
{
    uint64_t tick = w->done + 1;
    for (size_t looked = 0; looked <= SLOTS;) {
        size_t slot = tick % SLOTS;
        uint64_t bits = w->busy[slot / 64] >> slot % 64;
        if (bits)
            return tick + (uint64_t)__builtin_ctzll(bits);
        looked += 64 - slot % 64;
        tick += 64 - slot % 64;
    }
    return tick;
}

static void on_time(uv_timer_t *timer);

static void arm(struct wheel *w, uint64_t tick)
{
    uint64_t at = tick * WHEEL_TICK_MS, now = uv_now(w->timer.loop);
    w->armed = tick;
    uv_timer_start(&w->timer, on_time, at > now ? at - now : 0, 0);
}

static void work_off(struct wheel *w, size_t slot, uint64_t now)
{
    /* Take the list off first: what is set meanwhile for this slot belongs to a later round. */
    w->due = w->slots[slot];
    w->slots[slot] = NULL;
    w->busy[slot / 64] &= ~(UINT64_C(1) << slot % 64);
    if (w->due)
        w->due->link = &w->due;
    while (w->due) {
        struct alarm *a = w->due;
        pull(a);
        if (a->due_tick > now) {
            put_in_slot(w, a);
        } else {
            w->count--;
            a->ring(a);
        }
    }
}

static void on_time(uv_timer_t *timer)
{
    struct wheel *w = CONTAINER(timer, struct wheel, timer);
    uint64_t now = tick_now(w), first = w->done + 1;
    size_t slots = now - w->done < SLOTS ? (size_t)(now - w->done) : SLOTS;

    w->armed = 0;
    w->ringing = true;
    w->done = now; /* an alarm set from within ring() is due later than this */
    for (size_t i = 0; i < slots && w->count > 0; i++)
        work_off(w, (first + i) % SLOTS, now);
    w->ringing = false;
    if (w->count > 0)
        arm(w, next_busy_tick(w));
}

/* --- alarms -------------------------------------------------------------------------------- */

void alarm_set(struct wheel *w, struct alarm *a, uint64_t ms, void (*ring)(struct alarm *))
{
    alarm_cancel(a);
    if (w->count == 0 && !w->ringing)
        w->done = tick_now(w); /* after a rest: nothing to work off */
    a->wheel = w;
    a->ring = ring;
    a->due_tick = (uv_now(w->timer.loop) + ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
    if (a->due_tick <= w->done)
        a->due_tick = w->done + 1;
    put_in_slot(w, a);
    w->count++;
    if (!w->ringing && (w->armed == 0 || a->due_tick < w->armed))
        arm(w, next_busy_tick(w));
}

void alarm_cancel(struct alarm *a)
{
    if (!a->link)
        return;
    struct wheel *w = a->wheel;
    size_t slot = a->due_tick % SLOTS;
    pull(a);
    if (!w->slots[slot])
        w->busy[slot / 64] &= ~(UINT64_C(1) << slot % 64);
    if (--w->count == 0 && !w->ringing) {
        uv_timer_stop(&w->timer);
        w->armed = 0;
    }
}
