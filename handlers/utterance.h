/*
 * utterance.h - one message of a conversation, carried as a request.
 *
 *      {"do":"publish","ref":7,…}  -->  POST /publish, as the peer of the handshake
 *                                           |   the same handler as ever: rights, limits, waiting
 *      {"type":"bellpush-answer","do":"publish","ref":7,"status":201,"body":{…}}  <--'
 *
 * So nothing about publishing, rights or limits is written a second time for WebSockets.  It is a
 * transport like FastCGI (request.h), whose peer is in the same process: what the reply says is
 * collected, and told when it is whole.
 */
#ifndef HANDLERS_UTTERANCE_H
#define HANDLERS_UTTERANCE_H

#include <jansson.h>

#include "core/server.h"

struct talk;
struct utterance;

/* What can be said; a table of talk.c. */
struct command {
    const char *name;
    const char *method, *path;
    /* Fill query, body and header lines of the request from the message; NULL: it has none.  Sets
       u->why when that cannot be done. */
    void (*translate)(struct utterance *u);
    bool changes; /* what is subscribed: one after the other */
};

struct utterance {
    struct request request;
    struct talk *talk;
    struct utterance *next, **link; /* of the talk: under way, or waiting for their turn */
    const struct command *command;  /* NULL: what was said is nothing that we know */
    json_t *message;                /* NULL: it was not even JSON */
    struct buf ref;                 /* as JSON text; empty: none was given */
    struct buf query, body, more;   /* of the request; more: header lines of its own */
    const char *why; /* "This message …": what is wrong with it, for a person; NULL: nothing */
    int status, retry_after_s;
    struct buf reply;
    struct turn turn;
};

/* Read the message; gives.  NULL: no memory. */
struct utterance *utterance_new(struct talk *, struct server *, struct slice message) MUST_USE;

/* Serve it.  remote: the peer's address; mount: SCRIPT_NAME.  talk_answer() when the reply is
   whole, perhaps from within. */
void utterance_serve(struct utterance *, struct slice remote, struct slice mount);

/* The conversation is over, or it has been answered: off the list, and freed with this turn. */
void utterance_drop(struct utterance *);

/* For translate(): a string as it is, lent; one more parameter of the query. */
struct slice slice_of_json(const json_t *string);
void query_put(struct buf *query, const char *name, struct slice value);

/* The message that this request carries; NULL: it is an ordinary request from outside. */
struct utterance *utterance_of(const struct request *);

#endif
