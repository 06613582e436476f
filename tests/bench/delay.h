/*
 * delay.h - from COMMIT to one client: an open stream behind nginx beside bare LISTEN loops.
 *
 * They take turns, one commit each.  All clocks start right before COMMIT is sent, so that each
 * pays for its own triggers, its own flush and its own way out.
 *
 *      streamed    BEGIN; bellpush.publish(…); COMMIT      -> worker -> nginx -> client
 *      listened    BEGIN; INSERT …; pg_notify(data); COMMIT -> LISTEN in this process, data inline
 *      fetched     the same with an empty payload           -> LISTEN, then SELECT of the new row
 *      read        as streamed, into a database without a worker -> LISTEN, then bellpush.read()
 */
#ifndef TESTS_BENCH_DELAY_H
#define TESTS_BENCH_DELAY_H

#include "core/buf.h"

#define DELAY_TOPIC "bench-delay"

struct delay {
    double streamed_ms, listened_ms, fetched_ms, read_ms; /* medians; 0: not measured */
    double streamed_p99_ms, listened_p99_ms, fetched_p99_ms, read_p99_ms;
};

/* Three databases: the worker's; an empty one; one with the schema and nobody there. */
struct delay_databases {
    const char *worker, *plain, *log;
};

/* to, request: the stream of DELAY_TOPIC.  Says why on stderr when it fails. */
void delay_measure(const char *to, const char *request, const struct delay_databases *,
                   struct delay *out);
void delay_print(const struct delay *);

#endif
