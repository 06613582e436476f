/*
 * presence.c - GET /presence: who is on a topic, and the place in the log that this belongs to.
 *
 * The list is as of one moment: whoever goes on from `id` on the topic $presence/TOPIC, with
 * /events, /poll or a WebSocket, hears of everybody who comes or goes after it.  A long list comes
 * in pages, each as of its own moment: who goes on from that of the first hears whatever may
 * differ.
 */
#include <stdlib.h>

#include "core/text.h"
#include "core/topic.h"
#include "handlers/admit.h"
#include "handlers/encode.h"
#include "handlers/listen.h"
#include "handlers/problem.h"
#include "handlers/serve.h"
#include "handlers/waiting.h"
#include "handlers/whole.h"

enum { MEMBERS_MAX = 1000 }; /* of one answer */

struct asking {
    struct waiting waiting;
    char *topic;
    size_t limit;
};

static void asking_fini(struct waiting *w)
{
    free(CONTAINER(w, struct asking, waiting)->topic);
}

static const struct waiting_kind asking_kind = { .size = sizeof(struct asking),
                                                 .so = "it is not known who is there",
                                                 .fini = asking_fini };

/* ---- the answer ------------------------------------------------------------------------------ */

static void put_member(struct buf *out, const struct present *m)
{
    char since[ENCODE_TIME_MAX + 1];

    encode_time(m->since_us, since);
    buf_puts(out, "{\"member\":");
    json_put_string(out, m->name);
    buf_puts(out, ",\"data\":");
    if (m->data.len > 0)
        json_put_compact(out, m->data);
    else
        buf_puts(out, "null");
    buf_printf(out, ",\"since\":\"%s\",\"sessions\":%lld}", since, (long long)m->sessions);
}

/* One more than is shown was asked for, so that it is known whether there is a next page. */
static void put_roll(struct buf *out, const struct asking *a, const struct roll *roll)
{
    size_t n = roll->n > a->limit ? a->limit : roll->n;
    char cursor[CURSOR_TEXT_MAX + 1];

    cursor_text(roll->epoch, roll->head, cursor);
    buf_puts(out, "{\"topic\":");
    json_put_string(out, slice_of(a->topic));
    buf_printf(out, ",\"id\":\"%s\",\"count\":%lld,\"members\":[", cursor, (long long)roll->count);
    for (size_t i = 0; i < n; i++) {
        buf_puts(out, i ? "," : "");
        put_member(out, &roll->members[i]);
    }
    buf_puts(out, "]");
    if (n < roll->n) {
        buf_puts(out, ",\"next\":");
        json_put_string(out, roll->members[n - 1].name);
    }
    buf_puts(out, "}\n");
}

static void say(struct asking *a, const struct roll *roll)
{
    struct buf body = BUF_EMPTY;

    put_roll(&body, a, roll);
    whole_reply(a->waiting.request, slice_of(a->waiting.headers), 200, "application/json", &body);
    waiting_free(&a->waiting);
}

static void on_called(void *arg, const struct roll *roll)
{
    struct asking *a = arg;

    a->waiting.call = NULL;
    if (roll->rc == RC_OK)
        say(a, roll);
    else
        waiting_give_up(&a->waiting, "The database could not say who is there. Try again soon.");
}

/* ---- serve ----------------------------------------------------------------------------------- */

static void ask(const struct visit *v, const struct query *q)
{
    struct waiting *w = waiting_begin(v, &asking_kind);

    if (!w)
        return;
    struct asking *a = CONTAINER(w, struct asking, waiting);
    a->topic = slice_dup(q->topics[0]);
    a->limit = (size_t)(q->limit < MEMBERS_MAX ? q->limit : MEMBERS_MAX);
    if (a->topic)
        w->call = source_who(v->server->source, q->topics[0], q->after, a->limit + 1, on_called, a);
    if (!w->call)
        waiting_give_up(w, NULL);
}

static const char *terms_error(const struct query *q)
{
    if (q->topic_count != 1)
        return "Say which topic, one: topic=chat/7";
    const char *error = topic_error(q->topics[0]);
    if (error)
        return error;
    if (q->topics[0].at[0] == '$')
        return "topics that begin with '$' are the system's own: nobody is there";
    return NULL;
}

void presence_serve(const struct visit *v)
{
    struct query q = { 0 };
    enum rc rc = query_parse(&q, v->request->head->query, SLICE_NONE, v->server->conf);
    const char *error = rc == RC_OK ? terms_error(&q) : NULL;

    if (rc != RC_OK)
        listen_refuse(v, &q, rc);
    else if (error)
        problem_reply(v->request, v->common, 400, "%s.", error);
    else if (admit(v, VERB_SUBSCRIBE, q.topics, 1) == ADMIT_YES)
        ask(v, &q);
    query_fini(&q);
}
