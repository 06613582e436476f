/*
 * stage.h - where scenarios are played.
 *
 * A scenario says what a client does and must see; it does not know who carries the bytes.  The
 * linker chooses the stage: tests/handlers/stage_loopback.c (handlers in this process, a fake
 * source, memory for a wire) or tests/web/stage_web.c (a real worker, a real PostgreSQL, a real web
 * server, sockets).  Every wait has a deadline and ends the test with what was seen so far.
 */
#ifndef TESTS_SCENARIOS_STAGE_H
#define TESTS_SCENARIOS_STAGE_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

#define STAGE_KEY "scenario-publish-key" /* the configured publish_key; `closed = secret/#` */

struct answer; /* one reply, being read */

struct ask {
    const char *method;         /* NULL: GET */
    const char *target;         /* "/events?topic=a"; relative to the mount */
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    struct slice body;
};

/* What this stage can do; scenarios skip what it cannot, by name. */
struct stage_traits {
    const char *name;  /* "loopback", "nginx", "apache-cgi", … */
    bool one_slot;     /* one request per process: holds are short, streams end early */
    size_t streams;    /* how many open streams it must bear */
    bool keeps_status; /* false where the front replaces bodies or statuses */
    bool gathers;      /* the front passes a reply on only when it has ended: no streaming */
};
const struct stage_traits *stage_traits(void);

/* Send; gives.  Returns before anything has come back. */
struct answer *stage_ask(const struct ask *);
struct answer *stage_get(const char *target); /* the short form */

int answer_status(struct answer *);                           /* waits for the head */
const char *answer_header(struct answer *, const char *name); /* NULL: absent; waits for the head */

/* Wait until text has come, at or after the mark; the mark moves behind it. */
void answer_expect(struct answer *, const char *text);
/* All of the body; waits for the end.  Lent. */
struct slice answer_body(struct answer *);
struct slice answer_so_far(const struct answer *);
/* Wait until more of the body has come than there was before the call; false: it has ended instead.
 */
bool answer_more(struct answer *);
bool answer_ended(struct answer *); /* without waiting, after taking what is there */
void answer_close(struct answer *); /* as a client that leaves; frees */

/* Commit one event (type may be NULL), in SQL where there is a database; several: one transaction.
 */
void stage_publish(const char *topic, const char *type, const char *data);
void stage_publish_many(size_t n, const char *topic, const char *const *data);

/* bellpush.define_hook(), in SQL where there is a database; one hook at a time.  type and options may
   be NULL. */
struct stage_hook {
    const char *name, *scheme, *topic, *type, *secret, *old_secret, *options;
};
void stage_define_hook(const struct stage_hook *);

/* Wait until the number of held requests over all workers is n. */
void stage_expect_open(size_t n);

/* The same for one private event. */
void stage_publish_private(const char *topic, const char *data);

/* ---- what the site has given; tokens may stand in the cookie `bell` and in access_token= ---- */

/*
 * A token that ends in so many seconds, after which it has 30 s of grace; -31 has ended.  Filters
 * are separated by blanks, "" has none.  In SQL by bellpush.token() where that can make it.  Lent.
 */
const char *stage_token(const char *subject, const char *subscribe, const char *publish,
                        int seconds);
/* What the subject was given until now ends.  A worker knows when it reads of it in the log. */
void stage_revoke(const char *subject);
/* From now on bellpush.authorize() allows this, subscribing and publishing, to who shows the cookie
   PHPSESSID=session.  Workers know as soon. */
void stage_session(const char *session, const char *filter);

/* A fresh topic prefix, so that scenarios that share a database do not hear one another. */
const char *stage_topic(const char *name); /* lent for the test */

/* All scenarios, for a suite whose fixture has set the stage. */
void scenarios_add(TCase *tc);

#endif
