/*
 * clock.h - a loop clock that stands still until told to move, for tests of time without waiting.
 *
 * While it runs, uv_now(), uv_timer_start() and uv_timer_stop() of this program are ours (--wrap);
 * otherwise they are libuv's.
 */
#ifndef TESTS_CORE_CLOCK_H
#define TESTS_CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

void clock_begin(uint64_t now_ms);
void clock_end(void);

/* Move on, calling the timer back whenever it is due on the way. */
void clock_advance(uint64_t ms);

/* The same, but the loop was away: the timer is looked at only once all the time has passed. */
void clock_jump(uint64_t ms);

/* Is a timer armed?  In how many ms is it due?  How often has it been called back? */
bool clock_armed(void);
uint64_t clock_due_in(void);
unsigned clock_calls(void);

#endif
