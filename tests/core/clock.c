#include "tests/core/clock.h"

#include <uv.h>

/* One timer is enough: the wheel has no more. */
static struct {
    bool on, armed;
    uint64_t now, due;
    uv_timer_t *timer;
    uv_timer_cb ring;
    unsigned calls;
} fake;

uint64_t __real_uv_now(const uv_loop_t *);
int __real_uv_timer_start(uv_timer_t *, uv_timer_cb, uint64_t, uint64_t);
int __real_uv_timer_stop(uv_timer_t *);
uint64_t __wrap_uv_now(const uv_loop_t *);
int __wrap_uv_timer_start(uv_timer_t *, uv_timer_cb, uint64_t, uint64_t);
int __wrap_uv_timer_stop(uv_timer_t *);

void clock_begin(uint64_t now_ms)
{
    fake.on = true;
    fake.armed = false;
    fake.now = now_ms;
    fake.calls = 0;
}

void clock_end(void)
{
    fake.on = false;
}

void clock_advance(uint64_t ms)
{
    uint64_t until = fake.now + ms;
    while (fake.armed && fake.due <= until) {
        if (fake.now < fake.due)
            fake.now = fake.due;
        fake.armed = false;
        fake.calls++;
        fake.ring(fake.timer);
    }
    fake.now = until;
}

void clock_jump(uint64_t ms)
{
    fake.now += ms;
    clock_advance(0);
}

bool clock_armed(void)
{
    return fake.armed;
}

uint64_t clock_due_in(void)
{
    return fake.due - fake.now;
}

unsigned clock_calls(void)
{
    return fake.calls;
}

uint64_t __wrap_uv_now(const uv_loop_t *loop)
{
    return fake.on ? fake.now : __real_uv_now(loop);
}

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb ring, uint64_t ms, uint64_t repeat)
{
    if (!fake.on)
        return __real_uv_timer_start(timer, ring, ms, repeat);
    fake.armed = true;
    fake.timer = timer;
    fake.ring = ring;
    fake.due = fake.now + ms;
    return 0;
}

int __wrap_uv_timer_stop(uv_timer_t *timer)
{
    if (!fake.on)
        return __real_uv_timer_stop(timer);
    fake.armed = false;
    return 0;
}
