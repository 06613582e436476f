/*
 * routes.c - one table: which path and method is answered by whom.
 *
 * Here too is what holds for every answer alike: CORS (an explicit list of origins; '*' only where
 * it was configured, and then never with credentials), OPTIONS, 404, 405, nosniff.
 */
#include "handlers/routes.h"

#include "core/text.h"
#include "handlers/admit.h"
#include "handlers/meter.h"
#include "handlers/problem.h"
#include "handlers/serve.h"
#include "handlers/talk.h"

enum method { METHOD_GET = 1, METHOD_HEAD = 2, METHOD_POST = 4, METHOD_OPTIONS = 8 };

enum { READ = METHOD_GET | METHOD_HEAD };

static void serve_help(const struct visit *);

static const struct route {
    const char *path; /* that ends in "/x/": whatever is below it */
    unsigned methods;
    void (*serve)(const struct visit *);
    bool knows_visitors; /* what it answers depends on who asks: a bad token is refused */
} routes[] = {
    { "/events", READ, stream_events, true },
    { "/poll", READ, poll_serve, true },
    { "/stream", READ, stream_lines, true },
    { "/ws", METHOD_GET, socket_serve, true },
    { "/ws/echo", METHOD_GET, socket_echo, false },
    { TALK_PATH, METHOD_POST, talk_serve, true },
    { "/presence", READ, presence_serve, true },
    { "/publish", METHOD_POST, publish_serve, true },
    { "/hook/", READ | METHOD_POST | METHOD_OPTIONS, hook_serve, false },
    { "/status", READ, status_serve, false },
    { "/ready", READ, status_ready, false },
    { "/metrics", READ, status_metrics, false },
    { "/", READ, serve_help, false },
    { "", READ, serve_help, false },
};

static const struct {
    const char *name;
    enum method method;
} methods[] = {
    { "GET", METHOD_GET },
    { "HEAD", METHOD_HEAD },
    { "POST", METHOD_POST },
    { "OPTIONS", METHOD_OPTIONS },
};

static bool is_for(const struct route *route, struct slice path)
{
    struct slice own = slice_of(route->path);

    if (own.len > 1 && own.at[own.len - 1] == '/' && path.len > own.len)
        path.len = own.len;
    return slice_is(path, own);
}

static const struct route *route_for(struct slice path)
{
    for (size_t i = 0; i < LENGTH(routes); i++)
        if (is_for(&routes[i], path))
            return &routes[i];
    return NULL;
}

static unsigned method_of(struct slice name)
{
    for (size_t i = 0; i < LENGTH(methods); i++)
        if (slice_is(name, slice_of(methods[i].name)))
            return methods[i].method;
    return 0;
}

/* "GET, HEAD, OPTIONS" */
static void put_methods(struct buf *out, unsigned allowed)
{
    const char *comma = "";

    for (size_t i = 0; i < LENGTH(methods); i++)
        if (allowed & methods[i].method) {
            buf_printf(out, "%s%s", comma, methods[i].name);
            comma = ", ";
        }
}

static void put_allow(struct buf *out, const struct route *route)
{
    buf_puts(out, "Allow: ");
    put_methods(out, route->methods | METHOD_OPTIONS);
    buf_puts(out, "\r\n");
}

/* ---- CORS -------------------------------------------------------------------------------- */

/* The origin as it may be answered: itself, "*", or nothing. */
static struct slice origin_allowed(const struct conf *conf, struct slice origin)
{
    /* As listed, not as sent: nothing of the request enters the head. */
    struct slice allowed = admit_listed_origin(conf, origin);

    for (size_t i = 0; i < conf->cors_origins.n && !allowed.at; i++)
        if (slice_is(slice_of(conf->cors_origins.at[i]), SLICE("*")))
            allowed = SLICE("*");
    return allowed;
}

static void put_common(struct buf *out, const struct request *r)
{
    const struct conf *conf = r->server->conf;

    buf_puts(out, "X-Content-Type-Options: nosniff\r\n");
    if (conf->cors_origins.n == 0)
        return;
    buf_puts(out, "Vary: Origin\r\n");
    struct slice origin = origin_allowed(conf, request_header(r, "origin"));
    if (origin.len == 0)
        return;
    buf_puts(out, "Access-Control-Allow-Origin: ");
    buf_put(out, origin);
    buf_puts(out, "\r\nAccess-Control-Expose-Headers: ETag, Retry-After\r\n");
    if (!slice_is(origin, SLICE("*")))
        buf_puts(out, "Access-Control-Allow-Credentials: true\r\n");
}

static void serve_options(const struct visit *v, const struct route *route)
{
    struct buf head = BUF_EMPTY;
    struct slice origin = request_header(v->request, "origin");

    put_allow(&head, route);
    if (origin_allowed(v->server->conf, origin).len > 0 &&
        request_header(v->request, "access-control-request-method").len > 0) {
        buf_puts(&head, "Access-Control-Allow-Methods: ");
        put_methods(&head, route->methods);
        buf_puts(&head, "\r\nAccess-Control-Allow-Headers: Authorization, Cache-Control, "
                        "Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, "
                        "ce-bellpushtopic, ce-dataschema, ce-id, ce-source, ce-specversion, "
                        "ce-subject, ce-time, ce-type\r\n"
                        "Access-Control-Max-Age: 600\r\n");
    }
    buf_put(&head, v->common);
    reply_begin(v->request, 204, buf_slice(&head));
    buf_fini(&head);
    reply_end(v->request);
}

/* ---- what is not a handler's ------------------------------------------------------------- */

static void serve_help(const struct visit *v)
{
    static const char help[] =
        "Bellpush: what is committed in PostgreSQL, pushed to whoever asked for it.\n"
        "\n"
        "GET  /events?topic=T    server-sent events; resumes by Last-Event-ID\n"
        "GET  /poll?topic=T      long-poll: {\"events\":[...],\"next\":CURSOR}; go on with "
        "since=CURSOR\n"
        "GET  /stream?topic=T    newline-delimited JSON; format=frame for the oldest browsers\n"
        "GET  /ws?topic=T        the same over a WebSocket (bellpushd only); subprotocol "
        "bellpush.v1.json\n"
        "GET  /presence?topic=T  who is there, and the place in the log that this belongs to\n"
        "POST /publish?topic=T   the body is the event; Authorization: Bearer KEY\n"
        "POST /hook/NAME         a webhook that bellpush.define_hook() has defined\n"
        "GET  /status /ready /metrics\n"
        "\n"
        "T is a topic (orders/42) or a filter (orders/+/status, orders/%23), and may be repeated.\n"
        "since=now, earliest, a cursor, or a time ago such as -10m.\n";
    struct buf head = BUF_EMPTY;

    buf_printf(&head,
               "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-cache\r\n"
               "Content-Length: %zu\r\n",
               sizeof(help) - 1);
    buf_put(&head, v->common);
    reply_begin(v->request, 200, buf_slice(&head));
    reply_write(v->request, (struct slice){ help, sizeof(help) - 1 });
    buf_fini(&head);
    reply_end(v->request);
}

static void refuse_method(const struct visit *v, const struct route *route)
{
    struct buf headers = BUF_EMPTY, allowed = BUF_EMPTY;

    put_allow(&headers, route);
    buf_put(&headers, v->common);
    put_methods(&allowed, route->methods);
    problem_reply(v->request, buf_slice(&headers), 405, "%s is for %.*s.", route->path,
                  (int)allowed.len, allowed.at ? allowed.at : "");
    buf_fini(&headers);
    buf_fini(&allowed);
}

/* OPTIONS of a sender of webhooks, which wants another answer than a browser. */
static bool asks_for_itself(const struct request *r, const struct route *route)
{
    return (route->methods & METHOD_OPTIONS) && request_header(r, "webhook-request-origin").len > 0;
}

void routes_serve(struct request *r)
{
    struct buf common = BUF_EMPTY, token = BUF_EMPTY;
    const struct route *route = route_for(r->head->path);
    unsigned method = method_of(r->head->method);
    struct who who = { .rights = NULL };
    char address[ADDRESS_TEXT_MAX + 1];

    if (!r->kept)
        r->server->stats.requests++;
    put_common(&common, r);
    struct visit visit = { .request = r,
                           .server = r->server,
                           .common = buf_slice(&common),
                           .who = &who,
                           .is_head = method == METHOD_HEAD };
    if (!meter_address(&visit, address)) {
        /* answered; and nothing else about it was looked at */
    } else if (!route) {
        int shown = (int)(r->head->path.len < 120 ? r->head->path.len : 120);
        problem_reply(r, visit.common, 404, "There is nothing at %.*s; GET / lists what there is.",
                      shown, r->head->path.len ? r->head->path.at : "");
    } else if (method == METHOD_OPTIONS && !asks_for_itself(r, route)) {
        serve_options(&visit, route);
    } else if (!(method & route->methods)) {
        refuse_method(&visit, route);
    } else if (!route->knows_visitors ||
               (admit_identify(&visit, &token) == ADMIT_YES && meter_who(&visit))) {
        route->serve(&visit);
    }
    who_unref(&who);
    buf_fini(&token);
    buf_fini(&common);
}
