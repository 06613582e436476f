/*
 * load.h - the load generator: N clients of one event stream or WebSocket, in one thread, the same
 * against every server.
 *
 * It paces by what has arrived: event k + n is published only when event k has reached every
 * client (n = 1: one event on its way at any time), or the first of them, whichever that is: what a
 * publisher sees who also listens and does not wait for others.  All clients check that the numbers
 * come once and in order, so a server cannot win by losing.
 */
#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include "tests/bench/histogram.h"
#include "tests/bench/publisher.h"

enum { OUTSTANDING_MAX = 64 };

struct load;

struct pace {
    unsigned outstanding;
    bool by_first; /* an event has arrived when any client has it, not when all have */
};

/* What a run came to. */
struct load_sample {
    double seconds;
    double fan_seconds; /* of these: some client had an event that another one had not yet */
    uint64_t events, deliveries;
    struct histogram latency; /* publish() called -> a client has read the event */
};

/*
 * Connect n clients to "host:port" or "/path/of/a/socket" and send each one's request (kept until
 * load_free()); gives when every client has seen its "200 OK", or its WebSocket is open.  NULL:
 * said why on stderr.
 */
struct load *load_connect(const char *to, const char *request, size_t n) MUST_USE;

/* Publish until every client has heard something.  False: said why on stderr. */
bool load_warm(struct load *, struct publisher *) MUST_USE;

/* Publish and receive for ms, then until all has come; fills *out.  False: said why on stderr. */
bool load_run(struct load *, struct publisher *, struct pace, int64_t ms,
              struct load_sample *out) MUST_USE;

/* Leave without ceremony: RST, for thousands in TIME_WAIT would be in the next run's way. */
void load_free(struct load *);

/* Nanoseconds of a clock that never jumps. */
int64_t now_ns(void);

#endif
