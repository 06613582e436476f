/*
 * fault_pooler.c - PgBouncer in transaction mode before the database: LISTEN is silent.  The worker
 * notices, says so and polls; or listens past the pooler.  The pooler is stopped, restarted,
 * killed.
 */
#include <signal.h>
#include <stdlib.h>

#include "tests/faults/clients.h"
#include "tests/peers/bouncer.h"

enum { SOME_COMMITS = 30, REOPEN_MS = 20000 };

#define PUBLISH "/push/publish?topic=" FILLER_TOPIC

/* With open transactions ended, cut, or left lying. */
static int choose_end(struct act *a)
{
    static const int ends[] = { SIGINT, SIGTERM, SIGKILL };
    return ends[act_choose(a, 0, (int64_t)LENGTH(ends) - 1)];
}

/* ---- everything through the pooler --------------------------------------------------------------
 */

static void lose_pooler(struct act *a, int signal)
{
    evidence_log_mark(a);
    bouncer_stop(a->site->extra, signal);
    evidence_status(a, 0, "database.state", "away");
    evidence_log(a, 0, "database away: ");
    act_last(a, act_choose(a, 0, 3000));
    bouncer_again(a->site->extra);
    evidence_status(a, 0, "database.state", "polling");
    evidence_log(a, 0, "database back after ");
    evidence_log(a, 0, "LISTEN is silent");
    act_flows(a, SOME_COMMITS);
}

static void pooler_transaction(struct act *a)
{
    evidence_status(a, 0, "database.state", "polling");
    act_flows(a, SOME_COMMITS);
    lose_pooler(a, choose_end(a));
    lose_pooler(a, SIGKILL);
}

FAULT(pooler_transaction, .name = "pooler-transaction",
      .what = "PgBouncer, transaction pooling: polled; restarted, killed", .flavour = SITE_POOLED,
      .run = pooler_transaction);

/* ---- listening past it --------------------------------------------------------------------------
 */

static int publish_through(struct act *a, size_t front)
{
    int status;

    free(client_answer(a, front, "POST", PUBLISH, "through the pooler", &status));
    return status;
}

static void expect_refusals(struct act *a)
{
    for (size_t front = 0; front < SITE_FRONTS; front++) {
        int status = publish_through(a, front);
        if (status != 503) /* nothing was published */
            act_fail(a, "a publish through %s is answered %d", a->site->load_fronts[front].name,
                     status);
    }
}

struct door {
    struct act *act;
    size_t front;
    int status;
};

/* 201, or in relay mode 202: committed. */
static bool is_open(void *arg)
{
    struct door *d = arg;

    d->status = publish_through(d->act, d->front);
    return d->status == 201 || d->status == 202;
}

/* Each worker finds its way back by itself; who publishes meanwhile is told to come again. */
static void expect_publishes(struct act *a)
{
    for (size_t front = 0; front < SITE_FRONTS; front++) {
        struct door d = { a, front, 0 };
        if (!act_wait(a, is_open, &d, REOPEN_MS))
            act_fail(a, "a publish through %s is answered %d, still",
                     a->site->load_fronts[front].name, d.status);
    }
}

static void split_once(struct act *a, struct http *stream, int signal)
{
    evidence_log_mark(a);
    bouncer_stop(a->site->extra, signal);
    expect_refusals(a);
    (void)evidence_some_status(a, 0, "database.queries.state", "away"); /* those that were asked */
    evidence_log(a, 0, "query connections away: ");
    evidence_status(a, 0, "database.state", "listening");
    fillers_say(a, "heard past the pooler");
    client_hears(a, stream, "heard past the pooler");
    act_last(a, act_choose(a, 0, 3000));
    bouncer_again(a->site->extra);
    evidence_log(a, 0, "query connections back");
    (void)evidence_some_status(a, 0, "database.queries.state", "up");
    act_flows(a, SOME_COMMITS);
}

static void pooler_split(struct act *a)
{
    struct http *stream = client_ask(a, 0, "GET", "/push/events?topic=" FILLER_FILTER, "");

    evidence_status(a, 0, "database.state", "listening");
    fillers_say(a, "before");
    client_hears(a, stream, "before");
    split_once(a, stream, choose_end(a));
    http_free(stream);
    stream = client_ask(a, 1, "GET", "/push/stream?topic=" FILLER_FILTER, "");
    client_hears(a, stream, "bellpush-hello");
    split_once(a, stream, SIGKILL);
    expect_publishes(a);
    http_free(stream);
}

FAULT(pooler_split, .name = "pooler-split",
      .what = "LISTEN past PgBouncer, queries through it; restarted, killed", .flavour = SITE_SPLIT,
      .run = pooler_split);
