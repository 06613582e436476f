/*
 * publish.c - POST /publish: one event from the body, or many from a JSON array; one transaction.
 *
 *      ?topic=T given      the body is the data, whatever it is, and keeps its Content-Type
 *      no topic=, JSON     the body is an array of events (batch.c)
 *      CloudEvents         one by its headers, one as JSON, or a batch (cloudevent.c)
 *
 * A page of another site can make a browser send a form here, but neither the key nor these
 * content types: forms are refused by name, so that nobody publishes "a=1&b=2" by accident either.
 *
 * The answer comes after the commit.  There is no short cut past the database to the readers: the
 * event returns through the log, so that every process tells the same order.
 */
#include <stdlib.h>

#include "core/text.h"
#include "core/topic.h"
#include "handlers/admit.h"
#include "handlers/batch.h"
#include "handlers/cloudevent.h"
#include "handlers/listen.h"
#include "handlers/meter.h"
#include "handlers/once.h"
#include "handlers/problem.h"
#include "handlers/serve.h"
#include "handlers/unpublished.h"
#include "handlers/waiting.h"
#include "handlers/whole.h"

struct publish {
    struct waiting waiting;
    bool by_event; /* it is the events that say which ones they are, no key of the request */
};

/* ---- the answer -------------------------------------------------------------------------- */

static void put_cursors(struct buf *out, const char *epoch, const struct publication *done)
{
    char cursor[CURSOR_TEXT_MAX + 1];
    int64_t last = 0;

    for (size_t i = 0; i < done->n; i++) /* what is repeated may be older than what is new */
        last = done->seqs[i] > last ? done->seqs[i] : last;
    cursor_text(epoch, last, cursor);
    buf_printf(out, "{\"cursor\":\"%s\",\"cursors\":[", cursor);
    for (size_t i = 0; i < done->n; i++) {
        cursor_text(epoch, done->seqs[i], cursor);
        buf_printf(out, "%s\"%s\"", i ? "," : "", cursor);
    }
    buf_puts(out, "]");
}

/* Which were there before: all, or some of them by their places. */
static void put_repeated(struct buf *out, const struct publication *done)
{
    if (done->repeated)
        buf_puts(out, ",\"repeated\":true");
    for (size_t i = 0; !done->repeated && i < done->repeat_n; i++)
        buf_printf(out, "%s%lld", i ? "," : ",\"repeated_events\":[", (long long)done->repeats[i]);
    buf_puts(out, !done->repeated && done->repeat_n > 0 ? "]}\n" : "}\n");
}

/* It is committed: 201 with its numbers, or 202 where they are given a moment later. */
static void say_done(struct publish *p, const struct publication *done)
{
    struct request *r = p->waiting.request;
    struct buf body = BUF_EMPTY;
    bool numbered = done->seqs && done->n > 0 && r->server->epoch[0];

    if (numbered)
        put_cursors(&body, r->server->epoch, done);
    else
        buf_puts(&body, "{\"cursor\":null");
    put_repeated(&body, done);
    if (body.nomem) { /* committed all the same: better no numbers than a wrong answer */
        buf_fini(&body);
        numbered = false;
    }
    whole_reply(r, slice_of(p->waiting.headers), numbered ? 201 : 202, "application/json", &body);
}

static void say_failed(struct publish *p, const struct publication *done)
{
    struct buf used = BUF_EMPTY;
    struct unpublished_words words = {
        .under_way = p->by_event ? "A publish with this source and id is still under way."
                                 : "A publish with this Idempotency-Key is still under way.",
        .used = "This Idempotency-Key was used before, for something else.",
        .unknown = "The database went away before it answered: whether this was published is not "
                   "known. With an Idempotency-Key, or as a CloudEvent, it can safely be sent "
                   "again.",
    };

    if (p->by_event) { /* which of them is in the database's own words */
        buf_printf(&used, "Another event of this source and id was published before (%s).",
                   done->why ? done->why : "");
        buf_putc(&used, '\0');
        words.used = buf_rc(&used) == RC_OK ? used.at : "";
    }
    unpublished_reply(p->waiting.request, slice_of(p->waiting.headers), done, &words);
    buf_fini(&used);
}

static void on_published(void *arg, const struct publication *done)
{
    struct publish *p = arg;

    p->waiting.call = NULL;
    if (done->rc == RC_OK) {
        p->waiting.server->stats.published +=
            done->repeat_n < done->n ? done->n - done->repeat_n : 0;
        say_done(p, done);
    } else {
        say_failed(p, done);
    }
    waiting_free(&p->waiting);
}

static const struct waiting_kind publish_kind = { .size = sizeof(struct publish), .commits = true };

static void submit(const struct visit *v, const struct draft *drafts, size_t n, struct slice key)
{
    if (!meter_publish(v, drafts, n))
        return;
    struct waiting *w = waiting_begin(v, &publish_kind);
    if (!w)
        return;
    struct publish *p = CONTAINER(w, struct publish, waiting);
    p->by_event = drafts[0].once.len > 0;
    w->call = source_publish(v->server->source, drafts, n, key, on_published, p);
    if (!w->call)
        waiting_give_up(w, "Too many publishes wait for the database. Nothing of this one was "
                           "published.");
}

/* ---- may it be sent, and can it be read? ------------------------------------------------- */

/* Has it shown anything by which it may publish?  Whether it may on these topics is admit()'s. */
static bool authorized(const struct visit *v)
{
    const struct conf *conf = v->server->conf;
    bool by_cookie = v->who->by_cookie || gate_can_ask(v->server->gate, v->who, &v->credentials);

    if (admit_is_explicit(v))
        return true;
    if (by_cookie && admit_same_site(v))
        return true;
    if (by_cookie) {
        problem_reply(v->request, v->common, 403,
                      "Who publishes by a cookie must say from where: with an Origin or Referer of "
                      "this host or of cors_origins.");
        return false;
    }
    if (!*conf->publish_key) {
        problem_reply(v->request, v->common, 403,
                      "Publishing needs a token with the right to; no publish_key is configured "
                      "here.");
        return false;
    }
    problem_challenge(v->request, v->common, "Bearer realm=\"bellpush\"",
                      "Publishing needs a token, or the key: send the header Authorization: Bearer "
                      "TOKEN.");
    return false;
}

static bool idempotency_key(const struct visit *v, struct slice *key)
{
    *key = request_header(v->request, "idempotency-key");
    bool good = key->len <= QUERY_WORD_MAX && (!key->at || key->len > 0);

    for (size_t i = 0; good && i < key->len; i++)
        good = key->at[i] > 0x20 && key->at[i] < 0x7f;
    if (!good)
        problem_reply(v->request, v->common, 400,
                      "Idempotency-Key must be 1 to 255 visible ASCII characters.");
    return good;
}

static bool readable(const struct visit *v, struct slice *content_type)
{
    struct slice coding = request_header(v->request, "content-encoding");
    struct slice type = request_header(v->request, "content-type"), kind = media_essence(type);

    if (v->request->head->body_too_large) {
        problem_reply(v->request, v->common, 413, "The body is larger than %lld bytes.",
                      (long long)v->server->conf->max_body_bytes);
        return false;
    }
    if (coding.len > 0 && !slice_is_nocase(coding, SLICE("identity"))) {
        problem_reply(v->request, v->common, 415,
                      "Content-Encoding is not understood here: send the body as it is.");
        return false;
    }
    if (slice_is_nocase(kind, SLICE("application/x-www-form-urlencoded")) ||
        slice_is_nocase(kind, SLICE("multipart/form-data"))) {
        problem_reply(v->request, v->common, 415,
                      "Forms are not events. Send the data with its own Content-Type "
                      "(with curl: -H 'Content-Type: text/plain' --data-binary ...).");
        return false;
    }
    if (type.len > 0 && !batch_content_type_ok(type)) {
        problem_reply(v->request, v->common, 415,
                      "Content-Type must be a media type such as application/json, at most 255 "
                      "visible ASCII characters.");
        return false;
    }
    *content_type = type;
    return true;
}

/* ---- one, or many ------------------------------------------------------------------------ */

static void publish_one(const struct visit *v, const struct query *q, struct slice content_type,
                        struct slice key)
{
    const struct conf *conf = v->server->conf;
    struct draft draft = { .topic = q->topics[0],
                           .type = q->type,
                           .content_type = content_type,
                           .id = q->id,
                           .data = v->request->head->body,
                           .expires_ms = q->expires_ms,
                           .retain = q->retain,
                           .is_private = q->is_private };
    struct batch_error error = batch_check(conf, &draft);

    if (q->topic_count > 1)
        problem_reply(v->request, v->common, 400,
                      "topic may be given only once here: an event "
                      "has one topic.");
    else if (error.status) /* a parameter that is wrong makes the request itself wrong */
        problem_reply(v->request, v->common, error.status == 422 ? 400 : error.status, "%s.",
                      error.why);
    else if (admit(v, VERB_PUBLISH, &draft.topic, 1) == ADMIT_YES)
        submit(v, &draft, 1, key);
}

static bool may_publish(const struct visit *v, const struct draft *drafts, size_t n)
{
    struct slice *topics = calloc(n, sizeof(*topics));

    if (!topics) {
        problem_retry(v->request, v->common, 503, v->server->conf->retry_ms, "Out of memory.");
        return false;
    }
    for (size_t i = 0; i < n; i++)
        topics[i] = drafts[i].topic;
    bool may = admit(v, VERB_PUBLISH, topics, n) == ADMIT_YES;
    free(topics);
    return may;
}

static void publish_many(const struct visit *v, struct slice content_type, struct slice key)
{
    struct batch batch;
    struct slice kind = media_essence(content_type);

    if (!slice_is_nocase(kind, SLICE("application/json"))) {
        problem_reply(v->request, v->common, 400,
                      "Say where it goes: topic=orders/42. (Or send a JSON array of events, with "
                      "Content-Type: application/json.)");
        return;
    }
    if (!batch_read(&batch, v->request->head->body, v->server->conf))
        problem_reply(v->request, v->common, batch.error.status, "%s.", batch.error.why);
    else if (may_publish(v, batch.drafts, batch.n))
        submit(v, batch.drafts, batch.n, key);
    batch_fini(&batch);
}

/* ---- CloudEvents --------------------------------------------------------------------------- */

static void say_nothing_to_do(const struct visit *v)
{
    struct buf body = BUF_EMPTY;

    buf_puts(&body, "{\"cursor\":null,\"cursors\":[]}\n");
    whole_reply(v->request, v->common, 200, "application/json", &body);
}

/* What would be said twice, or once too little. */
static const char *terms_error(const struct query *q)
{
    if (q->topic_count > 1)
        return "topic may be given only once here: an event has one topic";
    if (q->topic_count == 1 && topic_error(q->topics[0]))
        return topic_error(q->topics[0]);
    if (q->type.at || q->id.at)
        return "type and id are those of the CloudEvent: they do not go into the address";
    return NULL;
}

static void publish_cloud(const struct visit *v, const struct query *q, enum cloudevent_mode mode,
                          struct slice scope)
{
    struct cloudevent_terms terms = { .topic = q->topic_count ? q->topics[0] : SLICE_NONE,
                                      .scope = scope,
                                      .expires_ms = q->expires_ms,
                                      .retain = q->retain,
                                      .is_private = q->is_private };
    const char *error = terms_error(q);
    struct cloudevents c;

    if (error) {
        problem_reply(v->request, v->common, 400, "%s.", error);
        return;
    }
    if (!cloudevents_read(&c, v->request, mode, &terms, v->server->conf))
        problem_reply(v->request, v->common, c.error.status, "The CloudEvent is refused: %s.",
                      c.error.why);
    else if (c.n == 0)
        say_nothing_to_do(v);
    else if (may_publish(v, c.drafts, c.n))
        submit(v, c.drafts, c.n, SLICE_NONE);
    cloudevents_fini(&c);
}

/* ---- all of them --------------------------------------------------------------------------- */

static void publish_any(const struct visit *v, const struct query *q, struct slice content_type,
                        struct slice given)
{
    enum cloudevent_mode mode = cloudevent_mode(v->request);
    struct buf scope = BUF_EMPTY;
    char once[ONCE_LEN + 1] = "";

    once_scope(v, &scope);
    if (given.len > 0)
        once_key("ik:", (struct slice[]){ buf_slice(&scope), given }, 2, once);
    if (scope.nomem)
        problem_no_memory(v->request, v->common, "Out of memory; nothing was published.");
    else if (mode != CLOUDEVENT_NONE)
        publish_cloud(v, q, mode, buf_slice(&scope));
    else if (q->topic_count > 0)
        publish_one(v, q, content_type, slice_of(once));
    else
        publish_many(v, content_type, slice_of(once));
    buf_fini(&scope);
}

void publish_serve(const struct visit *v)
{
    struct query q = { 0 };
    struct slice key, content_type;

    if (!authorized(v) || !readable(v, &content_type) || !idempotency_key(v, &key))
        return;
    enum rc rc = query_parse(&q, v->request->head->query, SLICE_NONE, v->server->conf);
    if (rc != RC_OK)
        listen_refuse(v, &q, rc);
    else
        publish_any(v, &q, content_type, key);
    query_fini(&q);
}
