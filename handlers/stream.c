/*
 * stream.c - an open stream: one thing with several faces.
 *
 * A stream says something at once (so that proxies pass the head on), then events as they come, and
 * in silence a heartbeat.  The heartbeat carries the reader's place in the log where that has moved
 * on without it: someone who hears nothing for a week must not come back with a cursor that
 * retention has overtaken.  For the same reason the place is said as soon as it is known.
 *
 *      prelude -> [gap] [event]… -> place -> [event] [gap] [beat] … -> farewell
 *
 * How a stream ends, other than by its client's leaving:
 *
 *      slow      it took nothing for queue_age_ms, though something waited
 *      bytes     /stream only: old browsers keep everything they were sent in memory
 *      hold      capacity: the reply may not be held any longer (server_grant)
 *      drain     the process wants to stop
 *      trouble   our own: no memory, too many questions to the database
 *      expired, revoked   the reader's rights have ended; said a minute before where that is known
 *      ask       some rights are the site's own answer, which is to be asked for again
 *
 * Each is told in-band with the place to go on from and a `retry` with some jitter.
 *
 * A thousand streams are a thousand of these structs: it has no strings and no buffers.
 */
#include "handlers/stream.h"

#include <sodium.h>
#include <stdlib.h>

#include "handlers/encode.h"
#include "handlers/meter.h"
#include "handlers/problem.h"
#include "handlers/talk.h"

enum {
    FOREVER_MS = 86400000, /* what a stream wants to be held; capacity may say less */
    CATCH_UP_MS = 5000,    /* not to be held: so long for the past, if the database is slow */
    EXPIRING_MS = 60000,   /* so long before its end a reader is told that its rights expire */
};

/* ---- writing ----------------------------------------------------------------------------- */

static struct server *server_of(const struct stream *s)
{
    return s->request->server;
}

static const struct face *face_of(const struct stream *s)
{
    return &faces[s->face];
}

static void cursor_put(const struct stream *s, int64_t seq, char out[CURSOR_TEXT_MAX + 1])
{
    out[0] = '\0';
    if (seq >= 0 && server_of(s)->epoch[0])
        cursor_text(server_of(s)->epoch, seq, out);
}

/* The number up to which this client has everything; -1: not known yet.  Within on_event() and
   on_gap() it is s->told: the follower may have seen further than it has handed out. */
static int64_t place_of(const struct stream *s)
{
    int64_t cursor = follow_cursor(&s->follow);
    return cursor > s->told ? cursor : s->told;
}

static void wrote(struct stream *s, size_t bytes)
{
    s->bytes += (uint32_t)bytes;
    s->wrote_ms = (uint32_t)uv_now(server_of(s)->loop);
}

static void say(struct stream *s, struct buf *text)
{
    if (buf_rc(text) == RC_OK) { /* otherwise a beat or a notice is lost, no event */
        wrote(s, text->len);
        if (text->len > 0)
            reply_write(s->request, buf_slice(text));
    }
    buf_fini(text);
}

void stream_cursor(const struct stream *s, char out[CURSOR_TEXT_MAX + 1])
{
    cursor_put(s, place_of(s), out);
}

static void say_place(struct stream *s, int64_t seq, void (*put)(struct buf *, const char *))
{
    struct buf text = BUF_EMPTY;
    char cursor[CURSOR_TEXT_MAX + 1];

    cursor_put(s, seq > s->told ? seq : -1, cursor);
    if (seq > s->told)
        s->told = seq;
    put(&text, cursor);
    say(s, &text);
}

/* A reader whose queue is full is given nothing until it has taken something. */
static void set_paused(struct stream *s, bool paused)
{
    server_of(s)->health.slow += (size_t)paused - (size_t)s->paused;
    s->paused = paused;
}

/* ---- the end ----------------------------------------------------------------------------- */

/* The request is over, or is about to be: nothing calls back any more. */
static void release(struct stream *s, struct server *server)
{
    struct grant grant = { .slot = s->slot };

    set_paused(s, false);
    follow_stop(&s->follow);
    alarm_cancel(&s->alarm);
    server_grant_end(server, &grant);
    s->over = true;
    if (s->starting)
        return;
    if (s->talks)
        talk_free(s);
    else
        free(s);
}

static int64_t some_retry(const struct server *server)
{
    int64_t retry = server->conf->retry_ms;
    return retry + randombytes_uniform((uint32_t)(2 * retry) + 1);
}

/*
 * Say where to go on, and end.  The stream is freed, unless it is just starting: touch it no more.
 * RC_CLOSED for callers.
 */
static enum rc finish_at(struct stream *s, int64_t place, enum end_reason reason, int64_t retry_ms)
{
    struct buf text = BUF_EMPTY;
    char cursor[CURSOR_TEXT_MAX + 1];
    struct request *r = s->request;

    cursor_put(s, place, cursor);
    face_of(s)->end(&text, reason, cursor, retry_ms);
    say(s, &text);
    release(s, r->server);
    if (r->socket)
        reply_close(r, end_close_code(reason), end_name(reason));
    else
        reply_end(r);
    return RC_CLOSED;
}

static enum rc finish(struct stream *s, enum end_reason reason, int64_t retry_ms)
{
    return finish_at(s, place_of(s), reason, retry_ms);
}

void stream_finish(struct stream *s, enum end_reason reason)
{
    (void)finish(s, reason, some_retry(server_of(s)));
}

static void finish_slow(struct stream *s)
{
    struct server *server = server_of(s);
    char cursor[CURSOR_TEXT_MAX + 1];

    server->stats.slow_closed++;
    cursor_put(s, place_of(s), cursor);
    log_seldom(&server->log, &server->health.slow_flood, uv_now(server->loop), LOG_INFO,
               "slow reader closed: %zu bytes wait and none was taken for %.1f s, cursor %s",
               reply_queued(s->request), (double)server->conf->queue_age_ms / 1e3, cursor);
    (void)finish(s, END_SLOW, some_retry(server));
}

/* ---- what happens to it ------------------------------------------------------------------ */

static void on_alarm(struct alarm *);

/* ---- rights ------------------------------------------------------------------------------ */

static void tell_rights(struct stream *s, const char *reason)
{
    struct buf text = BUF_EMPTY;

    face_of(s)->auth(&text, reason, gate_ends_us(&s->follow.who));
    say(s, &text);
}

/* Its rights have ended, or the site must be asked again. */
static void finish_rights(struct stream *s, enum end_reason reason)
{
    log_debug(&server_of(s)->log, "a stream ends with its rights");
    if (reason != END_ASK)
        tell_rights(s, reason == END_EXPIRED ? "expired" : "revoked");
    (void)finish(s, reason, reason == END_ASK ? 0 : some_retry(server_of(s)));
}

/* Milliseconds until something is to be said about its rights; -1: never. */
static int64_t rights_alarm_ms(const struct stream *s)
{
    int64_t left_ms = gate_left_ms(&s->follow.who);

    if (left_ms < 0)
        return -1;
    if (!s->expiring && !s->follow.who.asked)
        left_ms -= EXPIRING_MS;
    return left_ms < 0 ? 0 : left_ms;
}

/* False: that was its end. */
static bool look_at_rights(struct stream *s)
{
    const struct who *who = &s->follow.who;
    int64_t left_ms = gate_left_ms(who);

    if (left_ms < 0)
        return true;
    if (left_ms == 0) {
        finish_rights(s, who->asked ? END_ASK : END_EXPIRED);
        return false;
    }
    if (!s->expiring && !who->asked && left_ms <= EXPIRING_MS) {
        s->expiring = true;
        tell_rights(s, "expiring");
    }
    return true;
}

static void on_rights(void *owner)
{
    struct stream *s = owner;
    struct refusal why;

    if (gate_has_ended(server_of(s)->gate, &s->follow.who, &why))
        finish_rights(s, why.flaw == FLAW_REVOKED ? END_REVOKED : END_EXPIRED);
    else if (s->follow.who.asked)
        finish_rights(s, END_ASK);
}

static uint32_t ms_until(const struct stream *s, uint32_t when)
{
    uint32_t left = when - (uint32_t)uv_now(server_of(s)->loop);
    return left > INT32_MAX ? 0 : left;
}

/* Ring for whatever comes first. */
static void set_alarm(struct stream *s)
{
    const struct conf *conf = server_of(s)->conf;
    uint32_t ms = s->stalled ? (uint32_t)conf->queue_age_ms
                             : ms_until(s, s->wrote_ms + (uint32_t)conf->heartbeat_ms);

    if (s->limited_hold && ms_until(s, s->ends_ms) < ms)
        ms = ms_until(s, s->ends_ms);
    int64_t rights_ms = rights_alarm_ms(s);
    if (rights_ms >= 0 && rights_ms < (int64_t)ms)
        ms = (uint32_t)rights_ms;
    alarm_set(server_of(s)->wheel, &s->alarm, ms, on_alarm);
}

/* From here on the client is watched: it has queue_age_ms to take something. */
static void watch(struct stream *s)
{
    s->stalled = true;
    s->taken = s->bytes - (uint32_t)reply_queued(s->request);
    set_alarm(s);
}

static void on_alarm(struct alarm *alarm)
{
    struct stream *s = CONTAINER(alarm, struct stream, alarm);
    size_t queued = reply_queued(s->request);

    if (!look_at_rights(s))
        return;
    if (s->limited_hold && ms_until(s, s->ends_ms) == 0) {
        (void)finish(s, END_HOLD, s->retry_ms);
    } else if (queued > 0) {
        bool took = s->taken != s->bytes - (uint32_t)queued;
        if (s->stalled && !took)
            finish_slow(s);
        else
            watch(s);
    } else {
        s->stalled = false;
        if (ms_until(s, s->wrote_ms + (uint32_t)server_of(s)->conf->heartbeat_ms) == 0)
            say_place(s, follow_cursor(&s->follow), face_of(s)->beat);
        set_alarm(s);
    }
}

static enum rc after_writing(struct stream *s)
{
    const struct conf *conf = server_of(s)->conf;

    if (face_of(s)->limited && conf->stream_bytes > 0 && s->bytes >= conf->stream_bytes)
        return finish_at(s, s->told, END_BYTES, 0);
    if (reply_queued(s->request) <= (size_t)conf->queue_bytes)
        return RC_OK;
    set_paused(s, true);
    if (!s->stalled && !s->starting)
        watch(s);
    return RC_AGAIN;
}

void stream_say(struct stream *s, struct buf *text)
{
    say(s, text);
    if (!s->over)
        (void)after_writing(s); /* this face has no end of its own */
}

void stream_drop(struct stream *s)
{
    release(s, server_of(s));
}

/* Would it have all of these bytes, one event after the other, without a stop? */
static bool fits(const struct stream *s, size_t bytes)
{
    const struct conf *conf = server_of(s)->conf;

    if (face_of(s)->limited && conf->stream_bytes > 0 &&
        s->bytes + bytes >= (size_t)conf->stream_bytes)
        return false;
    return reply_queued(s->request) + bytes <= (size_t)conf->queue_bytes;
}

/* RC_LIMIT: not so many at once. */
static enum rc tell(struct stream *s, struct run *run, bool moves_place)
{
    struct encoder as = encode_as(face_of(s)->encoding, server_of(s)->conf);
    struct block *bytes;

    if (reply_bytes(s->request, run, &as, &bytes) != RC_OK) {
        server_no_memory(server_of(s), "an event");
        return finish_at(s, s->told, END_TROUBLE, some_retry(server_of(s)));
    }
    if (run->n > 1 && !fits(s, bytes->len))
        return RC_LIMIT;
    reply_lend(s->request, bytes);
    wrote(s, bytes->len);
    if (moves_place)
        s->told = run_last(run);
    return after_writing(s);
}

static enum rc on_run(struct follow *f, struct run *run)
{
    return tell(CONTAINER(f, struct stream, follow), run, true);
}

static enum rc on_event(struct follow *f, struct event *event)
{
    struct run alone = run_of(&event, 1);

    return on_run(f, &alone);
}

enum rc stream_tell(struct stream *s, struct event *event)
{
    struct run alone = run_of(&event, 1);

    return tell(s, &alone, false);
}

enum rc stream_tell_gap(struct stream *s, enum gap_reason reason, int64_t seen, int64_t resumes)
{
    struct buf text = BUF_EMPTY;
    char from[CURSOR_TEXT_MAX + 1] = "", next[CURSOR_TEXT_MAX + 1];

    if (reason == GAP_EXPIRED) /* otherwise it was a place in another history */
        cursor_put(s, seen, from);
    cursor_put(s, resumes, next);
    face_of(s)->gap(&text, reason, from, next);
    if (buf_rc(&text) != RC_OK) { /* a gap must not go untold */
        buf_fini(&text);
        return finish_at(s, s->told, END_TROUBLE, some_retry(server_of(s)));
    }
    say(s, &text);
    return after_writing(s);
}

static enum rc on_gap(struct follow *f, enum gap_reason reason, int64_t continues_after)
{
    struct stream *s = CONTAINER(f, struct stream, follow);
    int64_t seen = s->told;

    s->told = continues_after;
    return stream_tell_gap(s, reason, seen, continues_after);
}

static enum rc on_caught_up(struct follow *f)
{
    struct stream *s = CONTAINER(f, struct stream, follow);

    if (s->no_hold)
        return finish(s, END_HOLD, s->retry_ms);
    if (follow_cursor(f) > s->told)
        say_place(s, follow_cursor(f), face_of(s)->place);
    if (s->talks)
        talk_caught_up(s);
    return RC_OK;
}

static void on_failed(struct follow *f, enum rc rc)
{
    struct stream *s = CONTAINER(f, struct stream, follow);

    if (rc == RC_NOMEM)
        server_no_memory(f->server, "a reader");
    (void)finish(s, END_TROUBLE, some_retry(server_of(s)));
}

static const struct follow_ops follow_ops = {
    .event = on_event,
    .gap = on_gap,
    .caught_up = on_caught_up,
    .failed = on_failed,
    .run = on_run,
};

static void on_room(void *owner)
{
    struct stream *s = owner;
    bool paused = s->paused;

    if (!paused && !s->stalled)
        return;
    s->stalled = false;
    set_paused(s, false);
    set_alarm(s); /* before the reader goes on, which may be its end */
    if (s->talks)
        talk_room(s);
    else if (paused)
        follow_resume(&s->follow);
}

static void on_gone(void *owner)
{
    struct stream *s = owner;
    release(s, server_of(s));
}

static void on_drain(void *owner)
{
    struct stream *s = owner;

    if (!s->talks || talk_may_end(s))
        stream_finish(s, END_DRAIN);
}

static const struct reply_ops reply_ops = {
    .room = on_room, .gone = on_gone, .drain = on_drain, .rights = on_rights
};

/* A plain reader has nothing to say; a conversation has. */
static void on_message(void *owner, enum message_kind kind, struct slice message)
{
    struct stream *s = owner;

    if (s->talks)
        talk_message(s, kind, message);
}

static const struct reply_ops socket_reply_ops = {
    .room = on_room, .gone = on_gone, .drain = on_drain, .rights = on_rights, .message = on_message
};

/* ---- the beginning ----------------------------------------------------------------------- */

static void begin(const struct visit *v, const struct face *face, const struct query *q,
                  int64_t retry_ms, const struct slice *protocol, struct buf *prelude)
{
    struct buf head = BUF_EMPTY;

    if (protocol) {
        reply_upgrade(v->request, *protocol, v->common);
    } else {
        buf_printf(&head,
                   "Content-Type: %s\r\nCache-Control: no-store, no-transform\r\n"
                   "X-Accel-Buffering: no\r\n",
                   face->content_type);
        buf_put(&head, v->common);
        reply_begin(v->request, 200, buf_slice(&head));
        buf_fini(&head);
    }
    face->prelude(prelude, &(struct face_hello){ .retry_ms = retry_ms,
                                                 .heartbeat_ms = v->server->conf->heartbeat_ms,
                                                 .padding = q->padding,
                                                 .callback = q->callback });
    reply_write(v->request, buf_slice(prelude));
}

/* May one more be open?  False: answered. */
static bool granted(const struct visit *v, struct grant *grant)
{
    if (!meter_open(v))
        return false;
    *grant = server_grant(v->server, FOREVER_MS);
    if (grant->refuse)
        problem_retry(v->request, v->common, 503, grant->retry_ms,
                      "As many requests are open here as may be. Come back a little later.");
    return !grant->refuse;
}

enum rc stream_follow(struct stream *s, const struct slice *filters, size_t n,
                      const struct since *since)
{
    bool was_starting = s->starting;

    if (since->kind == SINCE_CURSOR && strcmp(since->cursor.epoch, server_of(s)->epoch) == 0)
        s->told = since->cursor.seq;
    s->starting = true;
    enum rc rc = follow_start(&s->follow, server_of(s), &follow_ops, filters, n, since);
    s->starting = was_starting;
    return rc;
}

bool stream_open(const struct visit *v, struct stream *s, const struct query *q,
                 const struct slice *protocol)
{
    struct grant grant = { .slot = -1 };
    struct buf prelude = BUF_EMPTY;

    if (!granted(v, &grant))
        return false;
    s->request = v->request;
    s->slot = (int16_t)grant.slot;
    s->retry_ms = (uint32_t)grant.retry_ms;
    s->told = -1;
    s->no_hold = grant.hold_ms == 0;
    s->limited_hold = grant.hold_ms < FOREVER_MS;
    s->ends_ms =
        (uint32_t)uv_now(v->server->loop) + (uint32_t)(s->no_hold ? CATCH_UP_MS : grant.hold_ms);
    begin(v, face_of(s), q, grant.retry_ms, protocol, &prelude);
    wrote(s, prelude.len);
    buf_fini(&prelude);
    reply_hold(v->request, v->request->socket ? &socket_reply_ops : &reply_ops, s);

    s->starting = true;
    if (q->topic_count > 0 && stream_follow(s, q->topics, q->topic_count, &q->since) != RC_OK &&
        !s->over)
        stream_finish(s, END_TROUBLE);
    s->starting = false;
    if (s->over)
        return true;
    if (s->paused)
        watch(s);
    else
        set_alarm(s);
    return true;
}

void stream_head(const struct visit *v, enum face_name face, const struct query *q)
{
    struct buf prelude = BUF_EMPTY;

    begin(v, &faces[face], q, v->server->conf->retry_ms, NULL, &prelude);
    buf_fini(&prelude);
    reply_end(v->request);
}

void stream_rights_changed(struct stream *s)
{
    s->expiring = false;
    if (!s->stalled)
        set_alarm(s);
}
