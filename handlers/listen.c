/*
 * listen.c - what /events, /stream and /poll have in common: which topics, from where, and the
 * right.
 */
#include "handlers/listen.h"

#include "core/topic.h"
#include "handlers/problem.h"

enum { QUOTE_MAX = 120 }; /* bytes of the client's own words in an answer */

void listen_refuse(const struct visit *v, const struct query *q, enum rc rc)
{
    if (rc == RC_NOMEM)
        problem_no_memory(v->request, v->common, "Out of memory.");
    else
        problem_reply(v->request, v->common, rc == RC_LIMIT ? 414 : 400, "%s.", q->why);
}

/*
 * A Bearer token that is not right is never taken for none at all: its owner believes to be logged
 * in.  Other schemes are the web server's business (a browser sends Basic with every request).
 */
static bool identified(const struct visit *v, struct who *who)
{
    struct slice given = request_header(v->request, "authorization");
    struct buf headers = BUF_EMPTY;

    if (gate_identify(v->server->conf, given, who) != CREDENTIAL_BAD)
        return true;
    buf_put(&headers, v->common);
    buf_puts(&headers, "WWW-Authenticate: Bearer realm=\"bellpush\", error=\"invalid_token\"\r\n");
    problem_reply(v->request, buf_slice(&headers), 401,
                  "The token in Authorization is not valid. Leave it away to read public topics.");
    buf_fini(&headers);
    return false;
}

bool listen_read(const struct visit *v, struct query *q, struct who *who)
{
    const struct conf *conf = v->server->conf;

    *who = (struct who){ 0 };
    enum rc rc =
        query_parse(q, v->request->head->query, request_header(v->request, "last-event-id"), conf);
    if (rc != RC_OK) {
        listen_refuse(v, q, rc);
        return false;
    }
    if (!identified(v, who))
        return false;
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
        if (gate_may(conf, who, filter, VERB_SUBSCRIBE) != RC_OK) {
            problem_reply(v->request, v->common, 403, "The topic %.*s is closed to you.", shown,
                          filter.at);
            return false;
        }
    }
    return true;
}
