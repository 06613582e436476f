/*
 * waiting.c - a request that is held until the database has answered.
 */
#include "handlers/waiting.h"

#include <stdlib.h>

#include "handlers/problem.h"

enum { PATIENCE_MS = 10000 }; /* the database's, to answer */

#define NO_ROOM "Too many requests wait for the database. Try again soon."

void waiting_free(struct waiting *w)
{
    source_cancel(w->call);
    alarm_cancel(&w->alarm);
    kept_free(w->server, w->kept);
    if (w->kind->fini)
        w->kind->fini(w);
    free(w->headers);
    free(w);
}

void waiting_refuse(const struct visit *v)
{
    problem_retry(v->request, v->common, 503, v->server->conf->retry_ms, NO_ROOM);
}

void waiting_give_up(struct waiting *w, const char *why)
{
    problem_retry(w->request, slice_of(w->headers), 503, w->server->conf->retry_ms, "%s",
                  why ? why : NO_ROOM);
    waiting_free(w);
}

void waiting_again(struct waiting *w, const void *found)
{
    struct request *r = w->request;
    struct kept *kept = w->kept;

    w->kept = NULL;
    waiting_free(w);
    request_again(r, kept, found);
}

/* ---- what may come before the answer --------------------------------------------------------- */

static void on_late(struct alarm *alarm)
{
    struct waiting *w = CONTAINER(alarm, struct waiting, alarm);

    problem_retry(w->request, slice_of(w->headers), 503, w->server->conf->retry_ms,
                  "The database does not answer, so %s. Try again soon.", w->kind->so);
    waiting_free(w);
}

static void on_gone(void *owner)
{
    waiting_free(owner);
}

static void on_drain(void *owner)
{
    struct waiting *w = owner;

    if (!w->kind->commits)
        waiting_give_up(w, "This process is stopping. Try again.");
}

static void on_rights(void *owner)
{
    struct waiting *w = owner;

    if (w->kind->rights)
        w->kind->rights(w);
}

static const struct reply_ops reply_ops = { .gone = on_gone,
                                            .drain = on_drain,
                                            .rights = on_rights };

struct waiting *waiting_begin(const struct visit *v, const struct waiting_kind *kind)
{
    struct waiting *w = calloc(1, kind->size);

    if (w)
        w->headers = slice_dup(v->common);
    if (!w || !w->headers || (kind->is_served && request_keep(v->request, &w->kept) != RC_OK)) {
        free(w ? w->headers : NULL);
        free(w);
        waiting_refuse(v);
        return NULL;
    }
    w->kind = kind;
    w->request = v->request;
    w->server = v->server;
    if (!kind->commits)
        alarm_set(v->server->wheel, &w->alarm, PATIENCE_MS, on_late);
    reply_hold(v->request, &reply_ops, w);
    return w;
}
