/*
 * presence.c - GET /presence: who is on a topic, and the place in the log that this belongs to.
 *
 * The list is as of one moment: whoever goes on from `id` on the topic $presence/TOPIC, with
 * /events, /poll or a WebSocket, hears of everybody who comes or goes after it.
 */
#include "handlers/presence.h"

#include <stdlib.h>

#include "core/text.h"
#include "core/topic.h"
#include "handlers/admit.h"
#include "handlers/encode.h"
#include "handlers/listen.h"
#include "handlers/problem.h"
#include "handlers/serve.h"

enum { PATIENCE_MS = 10000 };

struct asking {
    struct request *request;
    struct server *server; /* of the request, which may be over */
    struct source_call *call;
    struct alarm alarm;
    char *headers; /* of struct visit */
    char *topic;
};

static void asking_free(struct asking *a)
{
    source_cancel(a->call);
    alarm_cancel(&a->alarm);
    free(a->headers);
    free(a->topic);
    free(a);
}

static void give_up(struct asking *a, const char *why)
{
    problem_retry(a->request, slice_of(a->headers), 503, a->server->conf->retry_ms, "%s", why);
    asking_free(a);
}

static void on_late(struct alarm *alarm)
{
    give_up(CONTAINER(alarm, struct asking, alarm),
            "The database does not answer, so it is not known who is there. Try again soon.");
}

static void on_gone(void *owner)
{
    asking_free(owner);
}

static void on_drain(void *owner)
{
    give_up(owner, "This process is stopping. Try again.");
}

static const struct reply_ops reply_ops = { .gone = on_gone, .drain = on_drain };

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

void presence_put(struct buf *out, struct slice topic, const struct roll *roll)
{
    char cursor[CURSOR_TEXT_MAX + 1];

    cursor_text(roll->epoch, roll->head, cursor);
    buf_puts(out, "{\"topic\":");
    json_put_string(out, topic);
    buf_printf(out, ",\"id\":\"%s\",\"count\":%lld,\"members\":[", cursor, (long long)roll->count);
    for (size_t i = 0; i < roll->n; i++) {
        buf_puts(out, i ? "," : "");
        put_member(out, &roll->members[i]);
    }
    buf_puts(out, "]}");
}

static void say(struct asking *a, const struct roll *roll)
{
    struct buf head = BUF_EMPTY, body = BUF_EMPTY;

    presence_put(&body, slice_of(a->topic), roll);
    buf_putc(&body, '\n');
    buf_printf(&head,
               "Content-Type: application/json\r\nCache-Control: no-store\r\n"
               "Content-Length: %zu\r\n",
               body.len);
    buf_put(&head, slice_of(a->headers));
    if (buf_rc(&head) == RC_OK && buf_rc(&body) == RC_OK) {
        reply_begin(a->request, 200, buf_slice(&head));
        reply_write(a->request, buf_slice(&body));
        reply_end(a->request);
    } else {
        problem_no_memory(a->request, slice_of(a->headers), "Out of memory.");
    }
    asking_free(a);
    buf_fini(&head);
    buf_fini(&body);
}

static void on_called(void *arg, const struct roll *roll)
{
    struct asking *a = arg;

    a->call = NULL;
    if (roll->rc == RC_OK)
        say(a, roll);
    else
        give_up(a, "The database could not say who is there. Try again soon.");
}

/* ---- serve ----------------------------------------------------------------------------------- */

static void ask(const struct visit *v, struct slice topic)
{
    struct asking *a = calloc(1, sizeof(*a));

    if (a) {
        a->request = v->request;
        a->server = v->server;
        a->headers = slice_dup(v->common);
        a->topic = slice_dup(topic);
        if (a->headers && a->topic)
            a->call = source_who(v->server->source, topic, PRESENCE_MEMBERS_MAX, on_called, a);
    }
    if (a && a->call) {
        alarm_set(v->server->wheel, &a->alarm, PATIENCE_MS, on_late);
        reply_hold(v->request, &reply_ops, a);
        return;
    }
    problem_retry(v->request, v->common, 503, v->server->conf->retry_ms,
                  "Too many requests wait for the database. Try again soon.");
    if (a)
        asking_free(a);
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
        ask(v, q.topics[0]);
    query_fini(&q);
}
