/*
 * clients.h - clients of a fault's own, beside those of the load; and events to fill them with.
 *
 * They follow topics below filler/, where nothing of the load is.  Fillers have no name, so nobody
 * counts them.
 */
#ifndef TESTS_FAULTS_CLIENTS_H
#define TESTS_FAULTS_CLIENTS_H

#include "tests/faults/fault.h"
#include "tests/peers/http.h"

#define FILLER_TOPIC  "filler/0"
#define FILLER_FILTER "filler/%23"

/* So many events of so many bytes each on FILLER_TOPIC, in one transaction; and one that says this.
   Past poolers and workers. */
void fillers_publish(struct act *, int n, int64_t bytes);
void fillers_say(struct act *, const char *text);

/* Ask, as whoever has the publish_key; gives the request under way. */
struct http *client_ask(const struct act *, size_t front, const char *method, const char *target,
                        const char *body) MUST_USE;

/* The same, to the end: gives the body (caller frees), and its status to *status; 0: there was no
   answer in good time. */
char *client_answer(const struct act *, size_t front, const char *method, const char *target,
                    const char *body, int *status);

/* Wait until the body of a stream has this; false and act_fail(): it never had. */
bool client_hears(struct act *, struct http *, const char *text);

/* The present place in the log, as a poll gives it; gives.  "": not to be had. */
char *client_cursor(const struct act *, size_t front);

/*
 * So many streams that follow the fillers, spread over the fronts; they have asked when this
 * returns, and take nothing.
 */
struct crowd;
struct crowd *crowd_new(struct act *, int n) MUST_USE;
void crowd_free(struct crowd *); /* they leave; NULL: nothing happens */

/* Now they do take what has come.  How many of them were answered with this status? */
int crowd_count(struct crowd *, int status);

#endif
