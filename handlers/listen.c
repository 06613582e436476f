/*
 * listen.c - what /events, /stream and /poll have in common: which topics, from where, and the
 * right.
 */
#include "handlers/listen.h"

#include "core/topic.h"
#include "handlers/admit.h"
#include "handlers/problem.h"

enum { QUOTE_MAX = 120 }; /* bytes of the client's own words in an answer */

void listen_refuse(const struct visit *v, const struct query *q, enum rc rc)
{
    if (rc == RC_NOMEM)
        problem_no_memory(v->request, v->common, "Out of memory.");
    else
        problem_reply(v->request, v->common, rc == RC_LIMIT ? 414 : 400, "%s.", q->why);
}

bool listen_read(const struct visit *v, struct query *q)
{
    const struct conf *conf = v->server->conf;

    enum rc rc =
        query_parse(q, v->request->head->query, request_header(v->request, "last-event-id"), conf);
    if (rc != RC_OK) {
        listen_refuse(v, q, rc);
        return false;
    }
    if (q->topic_count == 0) {
        problem_reply(v->request, v->common, 400,
                      "Say what to listen to: topic=orders/42, or a filter such as "
                      "topic=orders/+/status or topic=orders/%%23 (%%23 is #).");
        return false;
    }
    for (size_t i = 0; i < q->topic_count; i++) {
        struct slice filter = q->topics[i];
        int shown = (int)(filter.len < QUOTE_MAX ? filter.len : QUOTE_MAX);
        const char *error = filter_error(filter);
        if (error) {
            problem_reply(v->request, v->common, 400, "topic=%.*s: %s.", shown, filter.at, error);
            return false;
        }
    }
    /* A script tag sends cookies too, and lets any page read what comes. */
    if (q->callback.len > 0 && v->credentials.cookies.len > 0 && !admit_is_explicit(v) &&
        (v->who->rights || gate_can_ask(v->server->gate, v->who, &v->credentials))) {
        problem_reply(v->request, v->common, 403,
                      "callback= (JSONP) does not go with rights that come from a cookie.");
        return false;
    }
    return admit(v, VERB_SUBSCRIBE, q->topics, q->topic_count) == ADMIT_YES;
}
