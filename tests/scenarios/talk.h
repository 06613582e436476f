/*
 * talk.h - what scenarios say and hear: publishing, polling, and reading streams that may end.
 */
#ifndef TESTS_SCENARIOS_TALK_H
#define TESTS_SCENARIOS_TALK_H

#include <jansson.h>

#include "tests/scenarios/sse.h"
#include "tests/scenarios/stage.h"

/* printf into memory that nobody needs to free. */
const char *text(const char *format, ...) PRINTF(1, 2);

/* ---- asking ---- */

/* Whole JSON body of a GET that must answer 200; caller decrefs. */
json_t *get_json(const char *target);
/* The string at a member, or "" . */
const char *member(const json_t *object, const char *name);

/* POST /publish with the key; NULL-terminated further headers may be NULL.  Gives. */
struct answer *publish(const char *query, const char *content_type, struct slice body,
                       const char *const *headers);
/* The same, which must answer 201; its cursor. */
const char *publish_ok(const char *query, const char *content_type, struct slice body);

/* The answer has this status and is a problem+json that agrees and says something. */
void expect_problem(struct answer *, int status);
/* And closes it. */
void expect_problem_once(struct answer *, int status);

/* The present cursor for a filter. */
const char *present(const char *topic);

/* ---- a poller: follows by `next` --------------------------------------------------------------
 */

struct poller {
    char topics[512]; /* "topic=a&topic=b" */
    char next[64];
    json_t *batch;
    size_t at;
    size_t seen; /* for the test's own count */
};

void poller_init(struct poller *, const char *topics, const char *since); /* NULL: the present */
void poller_fini(struct poller *);
json_t *poller_next(struct poller *); /* the next event, however many polls it takes; lent */
void poller_expect(struct poller *, const char *data);

/* ---- a reader: follows by server-sent events, and comes back when they end ---------------------
 */

struct reader {
    char target[768];
    struct answer *answer;
    struct sse sse;
    size_t fed, reconnects;
    struct sse_event *event; /* the last one */
};

/* query: "topic=a" and more.  Without since=: returns when the reader's place is fixed. */
void reader_init(struct reader *, const char *query);
void reader_fini(struct reader *);
const struct sse_event *reader_next(struct reader *);
void reader_expect(struct reader *, const char *data);
void reader_leave(struct reader *); /* close; the next reader_next() comes back */

#endif
