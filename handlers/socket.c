/*
 * socket.c - GET /ws: from a request to a WebSocket.
 *
 * A browser lets any page open a WebSocket to anywhere, and sends cookies along: no CORS holds it
 * back (RFC 6455 section 10.2).  So the rule that CORS makes for the other replies is kept here: a
 * page of another host must be one of `cors_origins`.  Who shows a token is no page's victim.
 */
#include "core/text.h"
#include "handlers/admit.h"
#include "handlers/listen.h"
#include "handlers/problem.h"
#include "handlers/serve.h"
#include "handlers/talk.h"

/* False: answered. */
static bool comes_from_here(const struct visit *v)
{
    if (!request_header(v->request, "origin").at || admit_same_site(v) || admit_is_explicit(v))
        return true;
    problem_reply(v->request, v->common, 403,
                  "Pages of this origin may not open WebSockets here; cors_origins of "
                  "bellpush.conf lists those that may.");
    return false;
}

/* False: answered. */
static bool can_be_one(const struct visit *v)
{
    const struct socket_ops *socket = v->request->ops->socket;
    struct buf headers = BUF_EMPTY;
    const char *why = "";

    if (!socket) {
        problem_reply(v->request, v->common, 501,
                      "WebSockets are carried by bellpushd, not by FastCGI or CGI: /events, "
                      "/stream and /poll work here.");
        return false;
    }
    int status = socket->refuses(v->request, &why);
    if (status == 0)
        return comes_from_here(v);
    buf_puts(&headers, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    buf_put(&headers, v->common);
    problem_reply(v->request, buf_slice(&headers), status, "%s.", why);
    buf_fini(&headers);
    return false;
}

/* Names of subprotocols are compared as they are (RFC 6455 section 11.5). */
static bool offers(struct slice protocols, struct slice ours)
{
    struct slice one;

    while (item_next(&protocols, ',', &one))
        if (slice_is(slice_trim(one), ours))
            return true;
    return false;
}

static bool has_topics(struct slice query)
{
    struct slice key, value;

    while (query_next(&query, &key, &value))
        if (slice_is(key, SLICE("topic")))
            return true;
    return false;
}

static void talk(const struct visit *v, bool subscribes)
{
    struct slice since = request_header(v->request, "last-event-id");
    struct query q;

    if (subscribes) {
        if (listen_read(v, &q))
            talk_open(v, &q);
    } else {
        enum rc rc = query_parse(&q, v->request->head->query, since, v->server->conf);
        if (rc == RC_OK)
            talk_open(v, &q);
        else
            listen_refuse(v, &q, rc);
    }
    query_fini(&q);
}

void socket_serve(const struct visit *v)
{
    struct slice offered = request_header(v->request, "sec-websocket-protocol");
    bool subscribes = has_topics(v->request->head->query);

    if (!can_be_one(v))
        return;
    if (offers(offered, SLICE(TALK_PROTOCOL)))
        talk(v, subscribes);
    else if (subscribes)
        stream_messages(v);
    else
        problem_reply(v->request, v->common, 400,
                      "Say what to listen to, /ws?topic=orders/%%23, or ask for the "
                      "subprotocol " TALK_PROTOCOL " and subscribe there.");
}

/* ---- an echo, for the conformance suites of the protocol ------------------------------------- */

static void on_said(void *owner, enum message_kind kind, struct slice message)
{
    struct request *r = owner;

    reply_message(r, kind, message);
    if (reply_queued(r) > (size_t)r->server->conf->queue_bytes)
        reply_deafen(r, true); /* it shall hear itself before it says more */
}

static void on_room(void *owner)
{
    reply_deafen(owner, false);
}

static void on_gone(void *owner)
{
    (void)owner;
}

static void on_drain(void *owner)
{
    reply_close(owner, 1012, "drain");
}

static const struct reply_ops echo_ops = {
    .message = on_said, .room = on_room, .gone = on_gone, .drain = on_drain
};

void socket_echo(const struct visit *v)
{
    if (strcmp(v->server->conf->ws_echo, "yes") != 0) {
        problem_reply(v->request, v->common, 404, "There is no echo here (ws_echo = no).");
        return;
    }
    if (!can_be_one(v))
        return;
    reply_upgrade(v->request, SLICE_NONE, v->common);
    reply_hold(v->request, &echo_ops, v->request);
}
