/*
 * talk_topics.c - what a conversation has subscribed to, and as whom.
 *
 * A change passes the gate with all topics that there will then be, and takes place while the
 * stream beneath is paused, so that between two events either the old topics hold or the new ones.
 * New topics with a past of their own are brought up to the stream's place by a second follower;
 * it stops at the first event behind that place, and the stream goes on for all of them together.
 */
#include <stdlib.h>

#include "core/text.h"
#include "core/topic.h"
#include "handlers/admit.h"
#include "handlers/encode.h"
#include "handlers/listen.h"
#include "handlers/problem.h"
#include "handlers/talk_priv.h"

struct past {
    struct follow follow;
    struct talk *talk;
    struct who who;    /* as whom it goes on: one reference */
    struct buf topics; /* that there will be, each with its NUL */
    size_t topic_count;
};

/* ---- lists of topics ------------------------------------------------------------------------- */

static struct slice *slices_of(const char *topics, size_t n)
{
    struct slice *out = calloc(n ? n : 1, sizeof(*out));

    for (size_t i = 0; out && i < n; i++) {
        out[i] = slice_of(topics);
        topics += out[i].len + 1;
    }
    return out;
}

static bool has_topic(const struct talk *t, struct slice topic)
{
    const char *at = t->topics;

    for (size_t i = 0; i < t->topic_count; i++, at += strlen(at) + 1)
        if (slice_is(topic, slice_of(at)))
            return true;
    return false;
}

static void put_list(struct buf *out, const char *topics, size_t n)
{
    buf_puts(out, "\"topics\":[");
    for (size_t i = 0; i < n; i++, topics += strlen(topics) + 1) {
        buf_puts(out, i ? "," : "");
        json_put_string(out, slice_of(topics));
    }
    buf_puts(out, "]");
}

/* These are the topics from now on; takes the list. */
static void set_topics(struct talk *t, struct buf *list, size_t n)
{
    free(t->topics);
    t->topics = list->at;
    t->topics_len = list->len;
    t->topic_count = n;
    *list = BUF_EMPTY;
}

static size_t put_topics(struct buf *list, const struct slice *topics, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        bool again = false;
        for (size_t j = 0; j < i && !again; j++)
            again = slice_is(topics[i], topics[j]);
        if (again)
            continue;
        buf_put(list, topics[i]);
        buf_putc(list, '\0');
        count++;
    }
    return count;
}

bool topics_first(struct talk *t, const struct query *q)
{
    struct buf list = BUF_EMPTY;
    size_t n = put_topics(&list, q->topics, q->topic_count);

    if (buf_rc(&list) != RC_OK) {
        buf_fini(&list);
        return false;
    }
    set_topics(t, &list, n);
    return true;
}

/* ---- whoever is listening, and to what ------------------------------------------------------- */

static void set_who(struct talk *t, const struct who *who)
{
    struct who old = t->who;

    t->who = who_ref(who);
    if (t->topic_count == 0)
        t->stream.follow.who = t->who; /* otherwise it has a reference of its own */
    who_unref(&old);
    stream_rights_changed(&t->stream);
}

/* From now on these topics, as this person; the stream is paused.  Takes the list. */
static enum rc change(struct talk *t, struct buf *list, size_t n, const struct who *who)
{
    struct slice *topics = slices_of(list->at, n);
    enum rc rc = topics ? follow_change(&t->stream.follow, topics, n, who) : RC_NOMEM;

    if (rc == RC_OK) {
        set_topics(t, list, n);
        set_who(t, who);
    }
    free(topics);
    buf_fini(list);
    return rc;
}

static void go_on(struct talk *t)
{
    if (!t->stream.paused) /* otherwise when the peer has taken something */
        follow_resume(&t->stream.follow);
}

static void no_memory(const struct visit *v)
{
    problem_no_memory(v->request, v->common, "Out of memory; nothing has changed.");
}

/* ---- the past of new topics ------------------------------------------------------------------ */

static void past_free(struct past *r)
{
    follow_stop(&r->follow);
    who_unref(&r->who);
    buf_fini(&r->topics);
    free(r);
}

/* The new topics have come to where the stream waits. */
static enum rc past_over(struct past *r)
{
    struct talk *t = r->talk;
    struct buf text = BUF_EMPTY;
    char cursor[CURSOR_TEXT_MAX + 1];

    t->past = NULL;
    enum rc rc = change(t, &r->topics, r->topic_count, &r->who);
    past_free(r);
    stream_cursor(&t->stream, cursor);
    buf_puts(&text, "{\"type\":\"bellpush-caught-up\"");
    if (t->change_ref.len > 0) {
        buf_puts(&text, ",\"ref\":");
        buf_put(&text, buf_slice(&t->change_ref));
    }
    buf_printf(&text, ",\"id\":\"%s\"}", cursor);
    if (rc != RC_OK || buf_rc(&text) != RC_OK) {
        buf_fini(&text);
        server_no_memory(t->stream.request->server, "a subscription");
        talk_failed(t);
        return RC_CLOSED;
    }
    stream_say(&t->stream, &text);
    go_on(t); /* its caught_up is the end of the change */
    return RC_CLOSED;
}

static struct past *past_of(struct follow *f)
{
    return CONTAINER(f, struct past, follow);
}

static enum rc on_past(struct follow *f, struct event *event)
{
    struct talk *t = past_of(f)->talk;

    if (event_seq(event) > follow_cursor(&t->stream.follow))
        return past_over(past_of(f));
    return stream_tell(&t->stream, event);
}

static enum rc on_past_gap(struct follow *f, enum gap_reason reason, int64_t continues_after)
{
    return stream_tell_gap(&past_of(f)->talk->stream, reason, -1, continues_after);
}

static enum rc on_past_told(struct follow *f)
{
    return past_over(past_of(f));
}

static void on_past_failed(struct follow *f, enum rc rc)
{
    stream_finish(&past_of(f)->talk->stream, END_TROUBLE);
}

static const struct follow_ops past_ops = { on_past, on_past_gap, on_past_told, on_past_failed,
                                            NULL };

static struct past *past_new(struct talk *t, const struct visit *v, struct buf *list, size_t n)
{
    struct past *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->talk = t;
    r->who = who_ref(v->who);
    r->follow.who = r->who;
    r->topics = *list;
    r->topic_count = n;
    *list = BUF_EMPTY;
    return r;
}

void topics_room(struct talk *t)
{
    if (t->past)
        follow_resume(&t->past->follow);
    else if (t->topic_count > 0)
        follow_resume(&t->stream.follow);
}

/* ---- subscribe ------------------------------------------------------------------------------- */

/* All topics that there will be, those that are new first, as a query like any other reader's. */
void subscribe_translate(struct utterance *u)
{
    const json_t *topics = json_object_get(u->message, "topics");
    const json_t *since = json_object_get(u->message, "since");
    const char *at = u->talk->topics;

    if (json_array_size(topics) == 0)
        u->why = "needs topics: {\"do\":\"subscribe\",\"topics\":[\"orders/#\"]}";
    else if (since && !json_is_string(since))
        u->why = "says since by something other than a string";
    for (size_t i = 0; i < json_array_size(topics); i++) {
        const json_t *topic = json_array_get(topics, i);
        if (json_is_string(topic))
            query_put(&u->query, "topic", slice_of_json(topic));
        else
            u->why = "has a topic that is not a string";
    }
    for (size_t i = 0; i < u->talk->topic_count; i++, at += strlen(at) + 1)
        query_put(&u->query, "topic", slice_of(at));
    if (json_is_string(since))
        query_put(&u->query, "since", slice_of_json(since));
}

static void answer_topics(const struct visit *v, struct talk *t, const char *topics, size_t n,
                          bool replay)
{
    struct buf body = BUF_EMPTY;
    char cursor[CURSOR_TEXT_MAX + 1];

    stream_cursor(&t->stream, cursor);
    buf_puts(&body, "{");
    put_list(&body, topics, n);
    if (*cursor && !replay)
        buf_printf(&body, ",\"id\":\"%s\"", cursor);
    buf_printf(&body, ",\"replay\":%s}", replay ? "true" : "false");
    talk_reply(v, &body);
}

/* There were none. */
static void subscribe_first(const struct visit *v, struct talk *t, const struct query *q,
                            struct buf *list, size_t n)
{
    struct stream *s = &t->stream;

    set_who(t, v->who);
    set_topics(t, list, n);
    t->settling = true;
    answer_topics(v, t, t->topics, n, false);
    if (stream_follow(s, q->topics, q->topic_count, &q->since) != RC_OK && !s->over)
        stream_finish(s, END_TROUBLE);
}

/* From the stream's own place on. */
static void subscribe_more(const struct visit *v, struct talk *t, struct buf *list, size_t n,
                           const struct who *who)
{
    if (change(t, list, n, who) != RC_OK) {
        no_memory(v);
        go_on(t);
        return;
    }
    t->settling = true;
    answer_topics(v, t, t->topics, n, false);
    go_on(t);
}

static void subscribe_past(const struct visit *v, struct talk *t, const struct query *q,
                           const struct slice *fresh, size_t fresh_count, struct buf *list,
                           size_t n)
{
    struct past *r = past_new(t, v, list, n);

    if (!r) {
        no_memory(v);
        go_on(t);
        return;
    }
    t->past = r;
    t->settling = true;
    answer_topics(v, t, r->topics.at, n, true);
    if (follow_start(&r->follow, v->server, &past_ops, fresh, fresh_count, &q->since) != RC_OK)
        stream_finish(&t->stream, END_TROUBLE);
}

static void subscribe_admitted(const struct visit *v, struct utterance *u, struct query *q)
{
    struct talk *t = u->talk;
    struct slice *fresh = calloc(q->topic_count, sizeof(*fresh));
    struct buf list = BUF_EMPTY;
    size_t n = put_topics(&list, q->topics, q->topic_count), fresh_count = 0;

    for (size_t i = 0; fresh && i < q->topic_count; i++)
        if (!has_topic(t, q->topics[i]))
            fresh[fresh_count++] = q->topics[i];
    if (!fresh || buf_rc(&list) != RC_OK)
        no_memory(v);
    else if (t->topic_count == 0)
        subscribe_first(v, t, q, &list, n);
    else if (!follow_pause(&t->stream.follow))
        problem_retry(v->request, v->common, 503, v->server->conf->retry_ms,
                      "The database does not answer; nothing has changed.");
    else if (fresh_count == 0 || q->since.kind == SINCE_NOW)
        subscribe_more(v, t, &list, n, v->who);
    else
        subscribe_past(v, t, q, fresh, fresh_count, &list, n);
    free(fresh);
    buf_fini(&list);
}

void subscribe_serve(const struct visit *v, struct utterance *u)
{
    struct query q;

    if (listen_read(v, &q))
        subscribe_admitted(v, u, &q);
    query_fini(&q);
}

/* ---- unsubscribe ----------------------------------------------------------------------------- */

static bool names(const json_t *topics, struct slice topic)
{
    for (size_t i = 0; i < json_array_size(topics); i++) {
        const json_t *one = json_array_get(topics, i);
        if (json_is_string(one) && slice_is(topic, slice_of_json(one)))
            return true;
    }
    return false;
}

void unsubscribe_serve(const struct visit *v, struct utterance *u)
{
    struct talk *t = u->talk;
    const json_t *topics = json_object_get(u->message, "topics");
    struct buf list = BUF_EMPTY;
    const char *at = t->topics;
    size_t n = 0;

    for (size_t i = 0; i < t->topic_count; i++, at += strlen(at) + 1)
        if (!names(topics, slice_of(at))) {
            buf_put(&list, (struct slice){ at, strlen(at) + 1 });
            n++;
        }
    if (json_array_size(topics) == 0) {
        problem_reply(v->request, v->common, 400,
                      "This message needs topics: {\"do\":\"unsubscribe\",\"topics\":[…]}.");
    } else if (buf_rc(&list) != RC_OK) {
        no_memory(v);
    } else if (n == t->topic_count) {
        answer_topics(v, t, t->topics, n, false);
    } else if (n == 0) {
        follow_stop(&t->stream.follow);
        t->stream.follow.who = t->who;
        set_topics(t, &list, 0);
        answer_topics(v, t, NULL, 0, false);
    } else if (!follow_pause(&t->stream.follow)) {
        problem_retry(v->request, v->common, 503, v->server->conf->retry_ms,
                      "The database does not answer; nothing has changed.");
    } else {
        subscribe_more(v, t, &list, n, &t->who); /* as whom it was: the site's rights, too */
    }
    buf_fini(&list);
}

/* ---- auth ------------------------------------------------------------------------------------ */

/* The token that was shown is good (admit_identify): from now on it is the peer's. */
void auth_serve(const struct visit *v, struct utterance *u)
{
    struct talk *t = u->talk;
    struct slice *topics = slices_of(t->topics, t->topic_count);
    struct buf list = BUF_EMPTY;

    buf_put(&list, (struct slice){ t->topics, t->topics_len });
    if (!topics || buf_rc(&list) != RC_OK) {
        no_memory(v);
    } else if (t->topic_count > 0 &&
               admit(v, VERB_SUBSCRIBE, topics, t->topic_count) != ADMIT_YES) {
        /* answered, or to be served again */
    } else if (t->topic_count > 0 && !follow_pause(&t->stream.follow)) {
        problem_retry(v->request, v->common, 503, v->server->conf->retry_ms,
                      "The database does not answer; nothing has changed.");
    } else if (!talk_authorization(t, buf_slice(&u->more))) {
        no_memory(v);
        if (t->topic_count > 0)
            go_on(t);
    } else if (t->topic_count > 0) {
        seats_who(t, v->who);
        subscribe_more(v, t, &list, t->topic_count, v->who);
    } else {
        seats_who(t, v->who);
        set_who(t, v->who);
        answer_topics(v, t, NULL, 0, false);
    }
    free(topics);
    buf_fini(&list);
}

void topics_free(struct talk *t)
{
    if (t->past)
        past_free(t->past);
    free(t->topics);
}
