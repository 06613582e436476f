/*
 * wall.h - the wall clock: what events and tokens are dated by.
 *
 * It may be set, back too: how long something takes is for uv_now() to say.
 */
#ifndef CORE_WALL_H
#define CORE_WALL_H

#include <stdint.h>
#include <uv.h>

/* Microseconds since 1970 UTC. */
static inline int64_t wall_now_us(void)
{
    uv_timeval64_t now;

    uv_gettimeofday(&now);
    return now.tv_sec * 1000000 + now.tv_usec;
}

#endif
