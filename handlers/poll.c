/*
 * poll.c - GET /poll: events as one JSON document, now or as soon as there are any.
 *
 *      {"events":[…],"next":CURSOR,"retry":ms}
 *
 * or, with format=sse, as the text that a stream would have sent (face.h): hello, the events, the
 * end with the same `next` and `retry`.  A script that reads streams reads these bodies too.
 *
 * The promise is in `next`: asking again with since=next misses nothing and repeats nothing.  It is
 * the number of the last event given when the answer was cut (limit, bytes), and otherwise the
 * reader's place in the log, which may lie behind many events of other topics.
 *
 *      held --first event or gap--> the end of this turn of the loop --> answered
 *        '--caught up and wait=0, time over, drain, leave to hold denied----^
 *
 * `retry` is how long to wait before asking again: 0 after a poll that was, or could have been,
 * held.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/text.h"
#include "handlers/encode.h"
#include "handlers/face.h"
#include "handlers/listen.h"
#include "handlers/meter.h"
#include "handlers/problem.h"
#include "handlers/serve.h"

enum {
    BATCH_BYTES = 1 << 20, /* an answer is cut after the event that passes this */
    CATCH_UP_MS = 5000,    /* not to be held: so long for the past, if the database is slow */
    MATCH_MAX = 512,       /* bytes of If-None-Match that are looked at */
};

struct poll {
    struct request *request;
    struct follow follow;
    struct alarm alarm;
    struct turn turn;
    struct grant grant;
    struct buf events;       /* the elements of "events", with commas; or a stream's blocks */
    const struct face *face; /* how a stream would say it; NULL: one JSON object */
    size_t count, limit;
    int64_t last;        /* number of the last event given */
    struct cursor asked; /* the cursor asked with */
    int64_t retry_ms;
    uint64_t query_hash; /* for the ETag */
    char *headers;       /* of struct visit */
    char *callback;      /* NULL: no JSONP */
    char *match;         /* If-None-Match; NULL: none */
    enum encoding encoding;
    bool has_asked;
    bool at_once;        /* answer when the past is told */
    bool tagged;         /* wait=0: with an ETag */
    bool degraded;       /* tell to come back later, in a header too */
    bool cut;            /* there may be more than was given */
    bool starting, over; /* within follow_start(): do not free */
};

/* ---- the end ----------------------------------------------------------------------------- */

static void poll_free(struct poll *p)
{
    buf_fini(&p->events);
    free(p->headers);
    free(p->callback);
    free(p->match);
    free(p);
}

/* Nothing calls back any more. */
static void stop(struct poll *p)
{
    struct server *server = p->request->server;

    follow_stop(&p->follow);
    alarm_cancel(&p->alarm);
    turn_cancel(server, &p->turn);
    server_grant_end(server, &p->grant);
}

static void dispose(struct poll *p)
{
    p->over = true;
    if (!p->starting)
        poll_free(p);
}

static struct slice headers_of(const struct poll *p)
{
    return slice_of(p->headers);
}

static void refuse(struct poll *p, const char *why)
{
    problem_retry(p->request, headers_of(p), 503, p->grant.retry_ms, "%s", why);
}

/* Weak: two answers with the same tag differ in "retry" at most. */
static void put_etag(const struct poll *p, const char *cursor, struct buf *out)
{
    buf_printf(out, "W/\"%s.%zu.%016llx\"", cursor, p->count, (unsigned long long)p->query_hash);
}

/* RFC 9110, 13.1.2: weak comparison, one of a list. */
static bool tag_matches(const char *list, struct slice weak_tag)
{
    struct slice tag = { weak_tag.at + 2, weak_tag.len - 2 }; /* with its quotes */

    for (const char *at = list; at && (at = strchr(at, '"')); at++)
        if (strlen(at) >= tag.len && memcmp(at, tag.at, tag.len) == 0)
            return true;
    return false;
}

static const char *content_type(const struct face *face, bool is_script)
{
    return is_script ? "text/javascript; charset=utf-8"
           : face    ? face->content_type
                     : "application/json";
}

static void put_head(const struct poll *p, struct slice etag, size_t length, struct buf *head)
{
    buf_put(head, headers_of(p));
    if (p->degraded)
        buf_printf(head, "Retry-After: %lld\r\n", (long long)(p->retry_ms + 999) / 1000);
    if (etag.len) { /* kept by the browser, and asked about each time */
        buf_puts(head, "ETag: ");
        buf_put(head, etag);
        buf_puts(head, "\r\nCache-Control: private, no-cache\r\n");
    } else {
        buf_puts(head, "Cache-Control: no-store, no-transform\r\n");
    }
    if (length)
        buf_printf(head, "Content-Type: %s\r\nContent-Length: %zu\r\n",
                   content_type(p->face, p->callback != NULL), length);
}

static void put_json(const struct poll *p, const char *cursor, struct buf *out)
{
    buf_puts(out, "{\"events\":[");
    buf_put(out, buf_slice(&p->events));
    buf_printf(out, "],\"next\":\"%s\",\"retry\":%lld}", cursor, (long long)p->retry_ms);
}

static void put_text(const struct poll *p, const char *cursor, struct buf *out)
{
    const struct conf *conf = p->request->server->conf;

    p->face->prelude(out, &(struct face_hello){ .retry_ms = conf->retry_ms,
                                                .heartbeat_ms = conf->poll_wait_ms });
    buf_put(out, buf_slice(&p->events));
    p->face->end(out, END_POLL, cursor, p->retry_ms);
}

static void put_body(const struct poll *p, const char *cursor, struct buf *body)
{
    struct buf text = BUF_EMPTY;

    if (p->callback)
        buf_printf(body, "/**/%s(", p->callback); /* the comment keeps what it begins harmless */
    if (!p->face) {
        put_json(p, cursor, body);
    } else if (!p->callback) {
        put_text(p, cursor, body);
        return;
    } else {
        put_text(p, cursor, &text);
        json_put_string(body, buf_slice(&text));
        body->nomem |= text.nomem;
        buf_fini(&text);
    }
    buf_puts(body, p->callback ? ");\n" : "\n");
}

static void answer_from(struct poll *p, const char *cursor)
{
    struct buf head = BUF_EMPTY, body = BUF_EMPTY, etag = BUF_EMPTY;
    bool unchanged = false;

    if (p->tagged) {
        put_etag(p, cursor, &etag);
        unchanged = !etag.nomem && tag_matches(p->match, buf_slice(&etag));
    }
    if (!unchanged)
        put_body(p, cursor, &body);
    put_head(p, buf_slice(&etag), body.len, &head);
    if (p->events.nomem || body.nomem || head.nomem || etag.nomem) {
        server_no_memory(p->request->server, "an answer");
        refuse(p, "Out of memory.");
    } else {
        reply_begin(p->request, unchanged ? 304 : 200, buf_slice(&head));
        if (!unchanged)
            reply_write(p->request, buf_slice(&body));
        reply_end(p->request);
    }
    buf_fini(&head);
    buf_fini(&body);
    buf_fini(&etag);
}

/* Answer with what there is; the poll is freed, unless it is just starting. */
static void answer(struct poll *p)
{
    const char *epoch = p->request->server->epoch;
    char cursor[CURSOR_TEXT_MAX + 1];
    int64_t next = p->cut ? p->last : follow_cursor(&p->follow);

    if (next < p->last)
        next = p->last;
    stop(p);
    if (next >= 0 && epoch[0]) {
        cursor_text(epoch, next, cursor);
        answer_from(p, cursor);
    } else if (p->has_asked) { /* the database is away: ask again from the same place */
        cursor_text(p->asked.epoch, p->asked.seq, cursor);
        answer_from(p, cursor);
    } else {
        refuse(p, "The database does not answer, so nothing is known yet. Try again soon.");
    }
    dispose(p);
}

/* ---- what happens to it ------------------------------------------------------------------ */

static void on_turn(struct turn *turn)
{
    answer(CONTAINER(turn, struct poll, turn));
}

static void answer_soon(struct poll *p)
{
    p->turn.run = on_turn;
    turn_add(p->request->server, &p->turn);
}

/* Before each element of the JSON array but the first. */
static void put_comma(struct poll *p)
{
    if (!p->face && p->events.len)
        buf_putc(&p->events, ',');
}

static void end_with_rights(struct poll *p, const char *reason)
{
    put_comma(p);
    (p->face ? p->face->auth : encode_auth)(&p->events, reason, gate_ends_us(&p->follow.who));
    answer(p);
}

static void on_time_over(struct alarm *alarm)
{
    struct poll *p = CONTAINER(alarm, struct poll, alarm);
    struct refusal why;

    if (!p->follow.who.asked && gate_has_ended(p->request->server->gate, &p->follow.who, &why))
        end_with_rights(p, "expired");
    else
        answer(p);
}

static enum rc add(struct poll *p)
{
    answer_soon(p);
    p->cut = p->events.nomem || p->count >= p->limit || p->events.len >= BATCH_BYTES;
    return p->cut ? RC_AGAIN : RC_OK;
}

static enum rc on_event(struct follow *f, struct event *event)
{
    struct poll *p = CONTAINER(f, struct poll, follow);
    struct encoder as = encode_as(p->encoding, f->server->conf);
    struct block *bytes;

    if (event_bytes(event, &as, &bytes) != RC_OK) {
        p->events.nomem = true;
        return add(p);
    }
    put_comma(p);
    buf_put(&p->events, block_slice(bytes));
    p->last = event_seq(event);
    p->count++;
    return add(p);
}

static enum rc on_gap(struct follow *f, enum gap_reason reason, int64_t continues_after)
{
    struct poll *p = CONTAINER(f, struct poll, follow);
    const char *epoch = p->request->server->epoch;
    char from[CURSOR_TEXT_MAX + 1] = "", next[CURSOR_TEXT_MAX + 1];

    if (p->last >= 0 && reason == GAP_EXPIRED)
        cursor_text(epoch, p->last, from);
    else if (p->last < 0 && p->has_asked)
        cursor_text(p->asked.epoch, p->asked.seq, from);
    cursor_text(epoch, continues_after, next);
    put_comma(p);
    (p->face ? p->face->gap : encode_gap)(&p->events, reason, from, next);
    p->last = continues_after;
    p->count++;
    return add(p);
}

static enum rc on_caught_up(struct follow *f)
{
    struct poll *p = CONTAINER(f, struct poll, follow);

    if (!p->at_once)
        return RC_OK;
    answer(p);
    return RC_CLOSED;
}

static void on_failed(struct follow *f, enum rc rc)
{
    struct poll *p = CONTAINER(f, struct poll, follow);

    if (p->count > 0) { /* what has come is good, and its last number says where to go on */
        p->cut = true;
        answer_soon(p);
        return;
    }
    stop(p);
    if (rc == RC_NOMEM)
        server_no_memory(f->server, "a reader");
    refuse(p, rc == RC_LIMIT ? "Too many questions to the database wait. Try again soon."
                             : "Out of memory.");
    dispose(p);
}

static const struct follow_ops follow_ops = { on_event, on_gap, on_caught_up, on_failed, NULL };

static void on_gone(void *owner)
{
    stop(owner);
    dispose(owner);
}

static void on_drain(void *owner)
{
    struct poll *p = owner;

    p->degraded = true; /* so that clients come back one by one, to whoever is there then */
    p->retry_ms = p->grant.retry_ms;
    answer(p);
}

/* What the gate knows has changed: who may not hear any more is told so, with what there is. */
static void on_rights(void *owner)
{
    struct poll *p = owner;
    struct refusal why;

    if (gate_has_ended(p->request->server->gate, &p->follow.who, &why))
        end_with_rights(p, why.flaw == FLAW_REVOKED ? "revoked" : "expired");
    else if (p->follow.who.asked)
        answer(p); /* the next poll is asked about anew */
}

static const struct reply_ops reply_ops = { .gone = on_gone,
                                            .drain = on_drain,
                                            .rights = on_rights };

/* ---- the beginning ----------------------------------------------------------------------- */

static uint64_t hash_of(struct slice text) /* FNV-1a */
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < text.len; i++)
        h = (h ^ (unsigned char)text.at[i]) * 0x100000001b3u;
    return h;
}

/* Copy what must outlive serve(). */
static enum rc keep(struct poll *p, const struct visit *v, const struct query *q)
{
    struct slice match = request_header(v->request, "if-none-match");

    p->headers = slice_dup(v->common);
    if (!p->headers)
        return RC_NOMEM;
    if (q->callback.len && !(p->callback = slice_dup(q->callback)))
        return RC_NOMEM;
    if (p->tagged && match.len > 0 && match.len <= MATCH_MAX && !(p->match = slice_dup(match)))
        return RC_NOMEM;
    return RC_OK;
}

/* May it be held, and for how long?  False: it has been answered. */
static bool granted(const struct visit *v, struct poll *p, int64_t wanted_ms)
{
    if (wanted_ms == 0 && v->server->one_slot) /* takes no slot from those who want to be held */
        p->grant = (struct grant){ .retry_ms = v->server->conf->retry_ms, .slot = -1 };
    else
        p->grant = server_grant(v->server, wanted_ms);
    if (p->grant.refuse) {
        problem_retry(v->request, v->common, 503, p->grant.retry_ms,
                      "As many requests are open here as may be. Come back a little later.");
        return false;
    }
    p->at_once = p->grant.hold_ms == 0;
    p->degraded = p->grant.hold_ms < wanted_ms && !v->server->one_slot;
    p->degraded |= p->at_once && wanted_ms > 0;
    p->retry_ms = wanted_ms > 0 && !p->degraded && !v->server->one_slot ? 0 : p->grant.retry_ms;
    return true;
}

/* No longer than its reader's rights last. */
static uint64_t hold_ms(const struct poll *p)
{
    int64_t ms = p->at_once ? CATCH_UP_MS : p->grant.hold_ms;
    int64_t left_ms = gate_left_ms(&p->follow.who);

    return (uint64_t)(left_ms >= 0 && left_ms < ms ? left_ms : ms);
}

static void start(const struct visit *v, struct poll *p, const struct query *q)
{
    reply_hold(v->request, &reply_ops, p);
    p->starting = true;
    enum rc rc =
        follow_start(&p->follow, v->server, &follow_ops, q->topics, q->topic_count, &q->since);
    if (rc != RC_OK && !p->over)
        on_failed(&p->follow, rc);
    p->starting = false;
    if (p->over)
        poll_free(p);
    else if (!p->turn.link)
        alarm_set(v->server->wheel, &p->alarm, hold_ms(p), on_time_over);
}

static const struct face *face_of(const struct query *q)
{
    return q->format == FORMAT_SSE ? &faces[FACE_SSE_TOLD] : NULL;
}

static void serve(const struct visit *v, const struct query *q)
{
    const struct conf *conf = v->server->conf;
    int64_t wanted_ms = q->wait_ms >= 0 ? q->wait_ms : conf->poll_wait_ms;
    if (!meter_open(v))
        return;
    struct poll *p = calloc(1, sizeof(*p));
    if (!p) {
        problem_no_memory(v->request, v->common, "Out of memory.");
        return;
    }
    if (!q->has_since) /* only wants to know where the present is */
        wanted_ms = 0;
    p->request = v->request;
    p->follow.who = *v->who;
    p->limit = (size_t)(q->limit < conf->poll_limit ? q->limit : conf->poll_limit);
    p->last = -1;
    p->has_asked = q->since.kind == SINCE_CURSOR;
    p->asked = q->since.cursor;
    p->tagged = q->wait_ms == 0;
    p->face = face_of(q);
    p->encoding = p->face ? p->face->encoding : q->format == FORMAT_CLOUD ? ENC_CLOUD : ENC_JSON;
    p->query_hash = hash_of(v->request->head->query);
    if (!granted(v, p, wanted_ms)) {
        poll_free(p);
    } else if (keep(p, v, q) != RC_OK) {
        server_grant_end(v->server, &p->grant);
        problem_no_memory(v->request, v->common, "Out of memory.");
        poll_free(p);
    } else {
        if (!q->has_since && q->wait_ms != 0 && !p->degraded)
            p->retry_ms = 0; /* next it will ask with since=, and be held */
        start(v, p, q);
    }
}

void poll_serve(const struct visit *v)
{
    struct query q;

    if (listen_read(v, &q)) {
        if (v->is_head) {
            struct buf head = BUF_EMPTY;
            buf_printf(&head, "Content-Type: %s\r\nCache-Control: no-store, no-transform\r\n",
                       content_type(face_of(&q), q.callback.len > 0));
            buf_put(&head, v->common);
            reply_begin(v->request, 200, buf_slice(&head));
            buf_fini(&head);
            reply_end(v->request);
        } else {
            serve(v, &q);
        }
    }
    query_fini(&q);
}
