/*
 * serve.h - the handlers, as the table of routes knows them.
 *
 * Each answers the visit's request: before it returns, or later after reply_hold().
 */
#ifndef HANDLERS_SERVE_H
#define HANDLERS_SERVE_H

#include "handlers/visit.h"

void stream_events(const struct visit *);   /* GET /events: server-sent events */
void stream_lines(const struct visit *);    /* GET /stream: NDJSON, forever-frame */
void socket_serve(const struct visit *);    /* GET /ws: WebSockets, plain and bellpush.v1.json */
void socket_echo(const struct visit *);     /* GET /ws/echo */
void stream_messages(const struct visit *); /* the plain ones */
void talk_serve(const struct visit *);      /* one message of a conversation */
void poll_serve(const struct visit *);      /* GET /poll */
void presence_serve(const struct visit *);  /* GET /presence */
void publish_serve(const struct visit *);   /* POST /publish */
void hook_serve(const struct visit *);      /* POST /hook/NAME, and GET for handshakes */
void status_serve(const struct visit *);    /* GET /status */
void status_ready(const struct visit *);    /* GET /ready */
void status_metrics(const struct visit *);  /* GET /metrics */

#endif
