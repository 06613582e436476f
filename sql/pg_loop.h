/*
 * pg_loop.h - what the event loop holds for a source: descriptors and names being looked up.
 *
 * Both end only in a callback of the loop, some time after they were closed.  They are counted, so
 * that source_free() knows when the last is gone.
 */
#ifndef SQL_PG_LOOP_H
#define SQL_PG_LOOP_H

#include <uv.h>

#include "core/wheel.h"

struct pg_loop {
    uv_loop_t *uv;
    struct wheel *wheel;
    size_t held;              /* watches and lookups that the loop still knows */
    void (*empty)(void *arg); /* called when held becomes 0; NULL: nobody waits for it */
    void *arg;
};

/* A descriptor of libpq's: watched, never closed from here. */
struct pg_watch;
typedef void pg_watch_fn(void *arg, int events); /* UV_READABLE | UV_WRITABLE */

struct pg_watch *pg_watch_new(struct pg_loop *, int fd, pg_watch_fn *, void *arg) MUST_USE;
/* events 0: the loop forgets the descriptor at once, so it may be closed. */
void pg_watch_set(struct pg_watch *, int events);
/* As after pg_watch_set(0); no further callback.  NULL: nothing happens. */
void pg_watch_close(struct pg_watch *);

/* The addresses of a host, asked on libuv's thread pool. */
struct pg_lookup;
typedef void pg_looked_up_fn(void *arg, const struct addrinfo *, int uv_error); /* lent */

struct pg_lookup *pg_lookup_start(struct pg_loop *, const char *host, pg_looked_up_fn *,
                                  void *arg) MUST_USE;
void pg_lookup_cancel(struct pg_lookup *); /* the callback will not come; NULL: nothing happens */

/* How long to wait before the next attempt: exponential, 100 ms to 5 s, with full jitter. */
uint64_t pg_backoff_ms(unsigned attempts);

#endif
