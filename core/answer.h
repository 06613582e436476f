/*
 * answer.h - what every transport has of a request: the request with its reply on the way out, and
 * refusals that the transport itself makes.
 */
#ifndef CORE_ANSWER_H
#define CORE_ANSWER_H

#include "core/outbox.h"
#include "core/server.h"

/*
 * Embedded in the transport.  Whatever is queued puts `turn` on the list: its run() sends, once per
 * turn of the loop.  Set request.server first.
 */
struct answer {
    struct request request;
    struct outbox out;
    struct turn turn;
};

static inline struct answer *answer_of(const struct request *r)
{
    return CONTAINER(r, struct answer, request);
}

/* For a transport's `begin`: queue the head as it goes over the wire; releases it. */
enum rc answer_head(struct request *, struct buf *head) MUST_USE;

/* Three of the request_ops: queue, and send at the end of this turn. */
enum rc answer_write(struct request *, struct slice);
enum rc answer_lend(struct request *, struct block *);
size_t answer_queued(const struct request *);

/*
 * For turn_add_soon(): send what is queued, each of them (POST_MAX at most), and call nobody back.
 * Takes those out of `all` that are still to have their turn, and returns how many are left.
 */
unsigned answers_send(struct post *, struct answer **all, unsigned n);

/* A whole reply: problem+json (RFC 9457) with a detail for a person, and Retry-After unless 0. */
void answer_problem(struct request *, int status, const char *detail, int retry_after_s);

#endif
