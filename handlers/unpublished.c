/*
 * unpublished.c - see unpublished.h.
 */
#include "handlers/unpublished.h"

#include "core/server.h"

enum { UNDER_WAY_RETRY_MS = 1000 };

void unpublished_reply(struct request *r, struct slice headers, const struct publication *done,
                       const struct unpublished_words *words)
{
    const char *why = done->why && *done->why ? done->why : "no reason given";

    switch (done->rc) {
    case RC_SYNTAX:
        problem_reply(r, headers, 422, "The database refused it: %s", why);
        return;
    case RC_LIMIT:
        problem_reply(r, headers, 413, "It is too large: %s", why);
        return;
    case RC_AGAIN:
        problem_retry(r, headers, 409, UNDER_WAY_RETRY_MS, "%s", words->under_way);
        return;
    case RC_DENIED:
        problem_reply(r, headers, 422, "%s", words->used);
        return;
    case RC_NOMEM:
        problem_no_memory(r, headers, "Out of memory; nothing was published.");
        return;
    case RC_OK:
    case RC_CLOSED:
    case RC_SOURCE:
        break;
    }
    problem_retry(r, headers, 503, r->server->conf->retry_ms, "%s",
                  done->uncertain ? words->unknown
                                  : "The database is away or too busy: nothing was published.");
}
