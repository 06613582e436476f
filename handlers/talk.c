/*
 * talk.c - a conversation over one WebSocket: messages in, answers out.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/strict.h"
#include "core/text.h"
#include "handlers/listen.h"
#include "handlers/problem.h"
#include "handlers/serve.h"
#include "handlers/talk_priv.h"

enum { UNSUPPORTED_DATA = 1003 }; /* RFC 6455 section 7.4.1 */

/* ---- what can be said ------------------------------------------------------------------------ */

/* A header line of its own; the value is to be visible ASCII. */
static bool put_header(struct utterance *u, const char *name, const char *value)
{
    for (const char *at = value; *at; at++)
        if (*at <= 0x20 || *at >= 0x7f)
            return false;
    buf_printf(&u->more, "%s%s\n", name, value);
    return *value != '\0';
}

/* As a batch of one, or of many. */
static void publish_translate(struct utterance *u)
{
    json_t *event = json_copy(u->message); /* shallow */
    const json_t *key = json_object_get(event, "key");
    json_t *events = json_object_get(event, "events");

    if (key &&
        (!json_is_string(key) || !put_header(u, "idempotency-key: ", json_string_value(key))))
        u->why = "has a key that is not a string of visible ASCII characters";
    (void)put_header(u, "content-type: ", "application/json");
    json_object_del(event, "do");
    json_object_del(event, "ref");
    json_object_del(event, "key");
    if (events && json_object_size(event) > 1)
        u->why = "has either one event, or \"events\"";
    char *text = json_dumps(events ? events : event, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text)
        buf_printf(&u->body, events ? "%s" : "[%s]", text);
    else if (!u->why)
        u->why = "cannot be taken for want of memory";
    free(text);
    json_decref(event);
}

static void auth_translate(struct utterance *u)
{
    const char *token = json_string_value(json_object_get(u->message, "token"));

    if (!token || !put_header(u, "authorization: Bearer ", token))
        u->why = "needs a token: {\"do\":\"auth\",\"token\":\"eyJ…\"}";
}

static void who_translate(struct utterance *u)
{
    const json_t *topic = json_object_get(u->message, "topic");
    const json_t *after = json_object_get(u->message, "after");
    const json_t *limit = json_object_get(u->message, "limit");
    char number[24];

    if (json_is_string(topic))
        query_put(&u->query, "topic", slice_of_json(topic));
    if (json_is_string(after))
        query_put(&u->query, "after", slice_of_json(after));
    if (json_is_integer(limit)) {
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(limit));
        query_put(&u->query, "limit", slice_of(number));
    }
    if ((after && !json_is_string(after)) || (limit && !json_is_integer(limit)))
        u->why = "may have \"after\": a member's name, and \"limit\": a whole number";
    if (!json_is_string(topic))
        u->why = "needs a topic: {\"do\":\"who\",\"topic\":\"rooms/1\"}";
}

static void ping_serve(const struct visit *v, struct utterance *u)
{
    struct buf body = BUF_EMPTY;
    char cursor[CURSOR_TEXT_MAX + 1];

    stream_cursor(&u->talk->stream, cursor);
    buf_puts(&body, "{");
    if (*cursor)
        buf_printf(&body, "\"id\":\"%s\"", cursor);
    buf_puts(&body, "}");
    talk_reply(v, &body);
}

static const struct {
    struct command command;
    void (*serve)(const struct visit *, struct utterance *); /* of those that are served here */
} commands[] = {
    { { "publish", "POST", "/publish", publish_translate, false }, NULL },
    { { "subscribe", "POST", TALK_PATH, subscribe_translate, true }, subscribe_serve },
    { { "unsubscribe", "POST", TALK_PATH, NULL, true }, unsubscribe_serve },
    { { "who", "GET", "/presence", who_translate, false }, NULL },
    { { "join", "POST", TALK_PATH, NULL, false }, join_serve },
    { { "leave", "POST", TALK_PATH, NULL, false }, leave_serve },
    { { "auth", "POST", TALK_PATH, auth_translate, true }, auth_serve },
    { { "ping", "POST", TALK_PATH, NULL, false }, ping_serve },
};

const struct command *talk_command(const char *name)
{
    for (size_t i = 0; i < LENGTH(commands); i++)
        if (strcmp(commands[i].command.name, name) == 0)
            return &commands[i].command;
    return NULL;
}

void talk_serve(const struct visit *v)
{
    struct utterance *u = utterance_of(v->request);

    if (!u) {
        problem_reply(v->request, v->common, 404,
                      "There is nothing at " TALK_PATH "; GET / lists what there is.");
    } else if (u->why) {
        problem_reply(v->request, v->common, 400, "This message %s.", u->why);
    } else {
        for (size_t i = 0; i < LENGTH(commands); i++)
            if (u->command == &commands[i].command)
                commands[i].serve(v, u);
    }
}

void talk_reply(const struct visit *v, struct buf *body)
{
    reply_begin(v->request, buf_rc(body) == RC_OK ? 200 : 503, SLICE_NONE);
    reply_write(v->request, buf_slice(body));
    buf_fini(body);
    reply_end(v->request);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Not listened to: with too much under way, or too much said to it that it has not taken. */
static void listen_or_not(struct talk *t)
{
    size_t most = (size_t)t->stream.request->server->conf->queue_bytes;
    bool deaf = t->draining || t->serving_count >= UNDER_WAY_MAX ||
                t->waiting_count >= WAITING_MAX || reply_queued(t->stream.request) > most;

    if (deaf == t->deaf)
        return;
    t->deaf = deaf;
    reply_deafen(t->stream.request, deaf);
}

void talk_answer(struct utterance *u)
{
    struct talk *t = u->talk;
    struct buf text = BUF_EMPTY;
    struct slice body = slice_trim(buf_slice(&u->reply));

    while (body.len > 0 && (body.at[body.len - 1] == '\n' || body.at[body.len - 1] == '\r'))
        body.len--;
    buf_puts(&text, "{\"type\":\"bellpush-answer\"");
    if (u->command)
        buf_printf(&text, ",\"do\":\"%s\"", u->command->name);
    if (u->ref.len > 0) {
        buf_puts(&text, ",\"ref\":");
        buf_put(&text, buf_slice(&u->ref));
    }
    buf_printf(&text, ",\"status\":%d", u->status);
    if (u->retry_after_s > 0)
        buf_printf(&text, ",\"retry_after\":%d", u->retry_after_s);
    if (body.len > 0) {
        buf_puts(&text, ",\"body\":");
        buf_put(&text, body);
    }
    buf_puts(&text, "}");
    t->serving_count--;
    t->failed |= buf_rc(&text) != RC_OK; /* an answer must not go untold */
    stream_say(&t->stream, &text);
    if (t->changing == u) {
        buf_fini(&t->change_ref);
        t->change_ref = u->ref;
        u->ref = BUF_EMPTY;
        t->changed = !t->settling;
    }
    utterance_drop(u);
    turn_add(t->stream.request->server, &t->turn);
}

/* ---- messages -------------------------------------------------------------------------------- */

static void serve(struct talk *t, struct utterance *u)
{
    u->next = t->serving;
    u->link = &t->serving;
    if (u->next)
        u->next->link = &u->next;
    t->serving = u;
    t->serving_count++;
    listen_or_not(t);
    if (u->command && u->command->changes)
        t->changing = u;
    utterance_serve(u, slice_of(t->remote), slice_of(t->mount));
}

static void wait(struct talk *t, struct utterance *u)
{
    u->next = NULL;
    u->link = t->waiting_end;
    *t->waiting_end = u;
    t->waiting_end = &u->next;
    t->waiting_count++;
    listen_or_not(t);
}

/* Whoever publishes wants to know whether it has. */
static bool publishes(const struct talk *t)
{
    const struct utterance *u = t->serving;

    while (u && !(u->command && strcmp(u->command->name, "publish") == 0))
        u = u->next;
    return u != NULL;
}

bool talk_may_end(struct stream *s)
{
    struct talk *t = talk_of(s);

    t->draining = true;
    if (!publishes(t))
        return true;
    listen_or_not(t);
    return false; /* on_turn(), after the last answer */
}

/* The next message that has waited for its turn. */
static struct utterance *next_waiting(struct talk *t)
{
    struct utterance *u = t->waiting;

    if (!u)
        return NULL;
    t->waiting = u->next;
    if (u->next)
        u->next->link = &t->waiting;
    else
        t->waiting_end = &t->waiting;
    u->link = NULL;
    t->waiting_count--;
    return u;
}

/* After an answer, or a change that has settled: nobody's stack holds on to the talk here. */
static void on_turn(struct turn *turn)
{
    struct talk *t = CONTAINER(turn, struct talk, turn);
    struct utterance *next = NULL;

    if (t->failed || (t->draining && !publishes(t))) {
        stream_finish(&t->stream, t->failed ? END_TROUBLE : END_DRAIN);
        return;
    }
    if (t->changed) {
        t->changed = t->settling = false;
        t->changing = NULL;
        next = next_waiting(t);
    }
    listen_or_not(t);
    if (next)
        serve(t, next);
}

/* If that is what a change has waited for, it is over. */
void talk_caught_up(struct stream *s)
{
    struct talk *t = talk_of(s);

    if (!t->changing || !t->settling)
        return;
    t->changed = true;
    turn_add(t->stream.request->server, &t->turn);
}

void talk_failed(struct talk *t)
{
    t->failed = true;
    turn_add(t->stream.request->server, &t->turn);
}

void talk_message(struct stream *s, enum message_kind kind, struct slice message)
{
    struct talk *t = talk_of(s);

    if (kind == MESSAGE_BINARY) {
        struct request *r = s->request;
        stream_drop(s);
        reply_close(r, UNSUPPORTED_DATA, "messages are JSON, as text");
        return;
    }
    struct utterance *u = utterance_new(t, s->request->server, message);
    if (!u) {
        server_no_memory(s->request->server, "a message");
        stream_finish(s, END_TROUBLE);
        return;
    }
    if (u->command && u->command->changes && t->changing)
        wait(t, u);
    else
        serve(t, u);
}

void talk_room(struct stream *s)
{
    struct talk *t = talk_of(s);

    listen_or_not(t);
    topics_room(t);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* There are credentials in it. */
static void forget(struct buf *headers)
{
    if (headers->at)
        sodium_memzero(headers->at, headers->len);
    buf_fini(headers);
}

struct slice talk_headers(const struct talk *t)
{
    return buf_slice(&t->headers);
}

bool talk_authorization(struct talk *t, struct slice line)
{
    struct buf headers = BUF_EMPTY;
    struct slice rest = buf_slice(&t->headers), name = SLICE("authorization: ");

    buf_put(&headers, line);
    while (rest.len > 0) {
        size_t len = (size_t)((const char *)memchr(rest.at, '\n', rest.len) - rest.at) + 1;
        if (len < name.len || memcmp(rest.at, name.at, name.len) != 0)
            buf_put(&headers, (struct slice){ rest.at, len });
        rest = (struct slice){ rest.at + len, rest.len - len };
    }
    if (buf_rc(&headers) != RC_OK) {
        buf_fini(&headers);
        return false;
    }
    forget(&t->headers);
    t->headers = headers;
    return true;
}

struct keeping {
    struct talk *talk;
    struct slice forwarded; /* the configured header, as configured */
    struct slice token;     /* of the address */
};

/* Those that say who it is, and from where it comes. */
static void keep_header(void *arg, struct slice name, struct slice value)
{
    static const char *const names[] = { "authorization", "cookie", "origin", "referer", "host" };
    struct keeping *k = arg;
    bool wanted = slice_is_nocase(name, k->forwarded);

    for (size_t i = 0; i < LENGTH(names) && !wanted; i++)
        wanted = slice_is(name, slice_of(names[i]));
    if (!wanted || (k->token.len > 0 && slice_is(name, SLICE("authorization"))))
        return;
    buf_put(&k->talk->headers, name);
    buf_puts(&k->talk->headers, ": ");
    buf_put(&k->talk->headers, value);
    buf_putc(&k->talk->headers, '\n');
}

/* What its messages will be served as: requests of whoever has made this one. */
static bool keep(struct talk *t, const struct visit *v)
{
    struct keeping k = { t, slice_of(v->server->conf->forwarded_header), v->credentials.token };
    struct slice bearer = SLICE("Bearer "), shown = v->credentials.authorization;

    if (shown.len >= bearer.len && slice_is_nocase((struct slice){ shown.at, bearer.len }, bearer))
        k.token = SLICE_NONE; /* it counts before the address (gate.h) */
    request_each_header(v->request, keep_header, &k);
    if (k.token.len > 0) {
        buf_puts(&t->headers, "authorization: Bearer ");
        buf_put(&t->headers, k.token);
        buf_putc(&t->headers, '\n');
    }
    t->remote = slice_dup(v->request->head->remote);
    t->mount = slice_dup(v->request->head->mount);
    return t->remote && t->mount && buf_rc(&t->headers) == RC_OK;
}

static void release(struct talk *t, struct server *server)
{
    turn_cancel(server, &t->turn);
    while (t->serving)
        utterance_drop(t->serving);
    while (t->waiting)
        utterance_drop(t->waiting);
    topics_free(t);
    seats_free(t);
    who_unref(&t->who);
    forget(&t->headers);
    buf_fini(&t->change_ref);
    free(t->remote);
    free(t->mount);
    free(t);
}

void talk_free(struct stream *s)
{
    release(talk_of(s), s->request->server);
}

void talk_open(const struct visit *v, struct query *q)
{
    struct talk *t = calloc(1, sizeof(*t));

    if (!t) {
        problem_no_memory(v->request, v->common, "Out of memory.");
        return;
    }
    t->stream.talks = true;
    t->stream.face = FACE_MESSAGES;
    t->who = who_ref(v->who);
    t->stream.follow.who = t->who;
    t->turn.run = on_turn;
    t->waiting_end = &t->waiting;
    if (!keep(t, v) || !topics_first(t, q)) {
        problem_no_memory(v->request, v->common, "Out of memory.");
        release(t, v->server);
    } else if (!stream_open(v, &t->stream, q, &SLICE(TALK_PROTOCOL)) || t->stream.over) {
        release(t, v->server);
    }
}
