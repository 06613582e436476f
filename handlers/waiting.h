/*
 * waiting.h - a request that is held until the database has answered.
 *
 *      waiting_begin --> source_…() --> its callback: reply and waiting_free,
 *                                                     or waiting_again, or waiting_give_up
 *
 * Who waits says what he needs to remember in a struct of his own, which begins with a struct
 * waiting.  Meanwhile the peer may leave, the server may stop, and the database may take too long:
 * that is seen to here.
 */
#ifndef HANDLERS_WAITING_H
#define HANDLERS_WAITING_H

#include "handlers/visit.h"

struct waiting {
    const struct waiting_kind *kind;
    struct request *request;
    struct server *server;    /* of the request, which may be over */
    struct source_call *call; /* its owner sets it, and clears it when it is called back */
    struct kept *kept;
    struct alarm alarm;
    char *headers; /* of struct visit */
};

struct waiting_kind {
    size_t size;    /* of the struct that begins with it */
    bool is_served; /* again, once the answer is here: the request is kept */
    bool commits;   /* takes place whoever waits: it ends soon, and neither clock nor stop end it */
    const char *so; /* "The database does not answer, so ___.": what is said when it is too late */
    void (*fini)(struct waiting *);   /* release what is behind it.  NULL: nothing */
    void (*rights)(struct waiting *); /* of struct reply_ops.  NULL: nobody cares */
};

/*
 * Hold the request; lends, all of it zero behind the struct waiting.  NULL: no memory, or no more
 * may be kept; it has been answered with waiting_refuse().
 */
struct waiting *waiting_begin(const struct visit *, const struct waiting_kind *) MUST_USE;

/* 503, and come back soon: no more may wait.  Of a request that is not held yet. */
void waiting_refuse(const struct visit *);

/* The same of one that is, for want of a call (why NULL), or for another reason.  Frees. */
void waiting_give_up(struct waiting *, const char *why);

/* Serve it again, with the answer in request->found.  Frees. */
void waiting_again(struct waiting *, const void *found);

/* It has been answered, or is over: the callback will not come. */
void waiting_free(struct waiting *);

#endif
