/*
 * rude.h - what stands between a browser and its web server on a bad day.
 *
 * A relay of TCP connections to a port of this machine, in a process of its own, which at first
 * only relays.  When told to be rude it chooses for each connection, by chance, what befalls it
 * after so many bytes of the answer: which is as likely in a head or in the middle of a line as
 * anywhere.  Or it does what it is told, below.
 */
#ifndef TESTS_PEERS_RUDE_H
#define TESTS_PEERS_RUDE_H

#include <stddef.h>

enum rude_fault {
    RUDE_NONE,
    RUDE_CLOSE, /* an end in the middle */
    RUDE_RESET, /* the same, by RST */
    RUDE_STALL, /* nothing more comes, nobody hangs up */
    RUDE_503,   /* an answer of its own, with a Retry-After */
    RUDE_SLOW,  /* the first byte takes its time */
    RUDE_KINDS,
};

struct rude;

/* Start; gives.  It ends with the calling process. */
struct rude *rude_start(int port);
void rude_free(struct rude *); /* NULL: nothing happens */

int rude_port(const struct rude *);

/* Of a hundred connections from now on, so many are treated badly. */
void rude_set(struct rude *, int percent);

/* The same, and it is always this. */
void rude_set_only(struct rude *, enum rude_fault, int percent);

/* From now on requests with `asked` in their first bytes get this answer instead of the server's.
   answer: "": none, and nobody hangs up.  asked: NULL: no longer. */
void rude_answer(struct rude *, const char *asked, const char *answer);

/* All connections are reset, now. */
void rude_cut(struct rude *);

/* Nothing moves any more, nobody hangs up; until it wakes up. */
void rude_sleep(struct rude *);
void rude_wake(struct rude *);

/* How many connections met this since it was last set, how many there were in all. */
size_t rude_count(const struct rude *, enum rude_fault);
size_t rude_total(const struct rude *);

#endif
