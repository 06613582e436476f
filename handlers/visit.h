/*
 * visit.h - one request while its handler looks at it: from serve() until serve() returns.
 *
 * What outlives serve() (a stream, a held poll) copies what it needs.
 */
#ifndef HANDLERS_VISIT_H
#define HANDLERS_VISIT_H

#include "core/server.h"

struct visit {
    struct request *request;
    struct server *server;
    struct slice common; /* header lines of every answer to it: CORS, nosniff */
    bool is_head;        /* HEAD: answer the head at once, hold nothing */

    /* From where, as far as proxies are to be believed; as text, lent. */
    struct slice address;
    uint64_t party[PARTY__COUNT]; /* for whom it counts (meter.h) */

    /* As whom it comes; admit() may add to it. */
    struct who *who;
    struct credentials credentials; /* what was presented */
};

#endif
