/*
 * publisher.h - the other end of a measured stream: whoever makes events happen.
 *
 * Each server is rung in its own way, and for several events at once in the cheapest way it
 * offers: PostgreSQL gets one statement, so one transaction, for all that may go at this moment;
 * the others get their HTTP requests back to back in one write (RFC 9112 section 9.3.2).
 */
#ifndef TESTS_BENCH_PUBLISHER_H
#define TESTS_BENCH_PUBLISHER_H

#include <sys/socket.h>

#include "core/buf.h"

struct address {
    struct sockaddr_storage at;
    socklen_t len;
};

/* "host:port", numeric, or the path of a unix socket. */
bool address_parse(const char *text, struct address *out) MUST_USE;

/* A connected, from now on non-blocking socket; -1: errno says why. */
int address_connect(const struct address *);

struct publisher {
    int fd;             /* wait for it to become readable */
    size_t bytes;       /* of an event's data, at most EVENT_DATA_MAX */
    unsigned waiting;   /* publishes that are not yet answered */
    bool one_at_a_time; /* takes no further one meanwhile */
    /* Publish the events numbered first … first + n - 1. */
    void (*publish)(struct publisher *, int64_t first, unsigned n);
    /* fd is readable.  False: something was refused; said why on stderr. */
    bool (*ready)(struct publisher *);
    void (*free)(struct publisher *);
};

/*
 * bellpush.publish(topic, data) through libpq, with so many bytes of data.  each: a transaction per
 * event, sent in a pipeline, instead of one for all that may go.  Gives; ends the program when it
 * cannot connect.
 */
struct publisher *publisher_pg(const char *dsn, const char *topic, size_t bytes,
                               bool each) MUST_USE;

/* POST to a target over one kept connection.  Gives; ends the program when it cannot connect. */
struct publisher *publisher_http(const char *to, const char *target, size_t bytes) MUST_USE;

/* The data of an event: its number, padded to so many bytes; and a NUL. */
void publisher_data(int64_t number, size_t bytes, char *out);

#endif
