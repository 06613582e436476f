/*
 * request.c - the door between those who carry requests and those who answer them.
 */
#include <sodium.h>
#include <stdlib.h>

#include "core/request.h"
#include "core/server.h"

/* ---- looking at it ----------------------------------------------------------------------- */

struct kept_header {
    struct slice name, value;
};

struct kept {
    struct request_head head; /* points into bytes */
    struct buf bytes;
    struct kept_header *headers;
    size_t n;
    unsigned times; /* it has been kept again */
};

static struct kept *kept_of(const struct request *r)
{
    return CONTAINER(r->head, struct kept, head);
}

struct slice request_header(const struct request *r, const char *lower_case_name)
{
    if (!r->kept)
        return r->ops->header(r, lower_case_name);
    const struct kept *k = kept_of(r);
    for (size_t i = 0; i < k->n; i++)
        if (slice_is(k->headers[i].name, slice_of(lower_case_name)))
            return k->headers[i].value;
    return SLICE_NONE;
}

void request_each_header(const struct request *r, header_fn *fn, void *arg)
{
    if (!r->kept) {
        r->ops->each_header(r, fn, arg);
        return;
    }
    const struct kept *k = kept_of(r);
    for (size_t i = 0; i < k->n; i++)
        fn(arg, k->headers[i].name, k->headers[i].value);
}

/* ---- answering it ------------------------------------------------------------------------- */

static void check(struct request *r, enum rc rc)
{
    if (rc != RC_OK)
        r->broken = 1;
}

void reply_begin(struct request *r, int status, struct slice headers)
{
    r->begun = 1;
    check(r, r->ops->begin(r, status, headers));
}

void reply_write(struct request *r, struct slice bytes)
{
    if (r->socket)
        reply_message(r, MESSAGE_TEXT, bytes);
    else if (!r->broken && !r->head_only)
        check(r, r->ops->write(r, bytes));
}

enum rc reply_bytes(struct request *r, struct run *run, const struct encoder *as,
                    struct block **out)
{
    return r->socket ? r->ops->socket->bytes(r, run, as, out) : run_bytes(run, as, out);
}

void reply_lend(struct request *r, struct block *block)
{
    if (!r->broken && !r->head_only)
        check(r, r->ops->lend(r, block));
}

void reply_upgrade(struct request *r, struct slice protocol, struct slice headers)
{
    r->begun = r->socket = 1;
    check(r, r->ops->socket->accept(r, protocol, headers));
}

void reply_message(struct request *r, enum message_kind kind, struct slice bytes)
{
    if (!r->broken)
        check(r, r->ops->socket->say(r, kind, bytes));
}

void reply_deafen(struct request *r, bool deaf)
{
    r->ops->socket->deafen(r, deaf);
}

static void release(struct request *r)
{
    for (size_t i = 0; i < LENGTH(r->seats); i++) {
        limits_leave(r->server->limits, r->seats[i]);
        r->seats[i] = 0;
    }
    if (!r->open_link)
        return;
    *r->open_link = r->next_open;
    if (r->next_open)
        r->next_open->open_link = r->open_link;
    r->open_link = NULL;
    r->reply_ops = NULL;
    r->server->open_count--;
}

void reply_end(struct request *r)
{
    if (r->socket) {
        reply_close(r, 1000, "");
        return;
    }
    release(r);
    r->ended = 1;
    r->ops->end(r);
}

void reply_close(struct request *r, unsigned code, const char *why)
{
    release(r);
    r->ended = 1;
    r->ops->socket->close(r, code, why);
}

void reply_hold(struct request *r, const struct reply_ops *ops, void *owner)
{
    struct server *s = r->server;

    r->reply_ops = ops;
    r->owner = owner;
    r->next_open = s->open;
    r->open_link = &s->open;
    if (s->open)
        s->open->open_link = &r->next_open;
    s->open = r;
    s->open_count++;
}

size_t reply_queued(const struct request *r)
{
    return r->ops->queued(r);
}

void request_room(struct request *r)
{
    if (r->reply_ops && r->reply_ops->room)
        r->reply_ops->room(r->owner);
}

bool request_message(struct request *r, enum message_kind kind, struct slice bytes)
{
    if (r->reply_ops && r->reply_ops->message)
        r->reply_ops->message(r->owner, kind, bytes);
    return !r->ended;
}

void request_gone(struct request *r)
{
    const struct reply_ops *ops = r->reply_ops;
    void *owner = r->owner;

    release(r);
    if (ops)
        ops->gone(owner);
}

void request_serve(struct request *r)
{
    r->server->serve(r);
    if (!r->ended && !r->reply_ops) {
        log_error(&r->server->log, "a handler has forgotten its request");
        r->broken = 1;
        reply_end(r);
    }
}

/* ---- keeping it, to serve it again -------------------------------------------------------- */

static void count_header(void *arg, struct slice name, struct slice value)
{
    size_t *counts = arg; /* headers, bytes */

    counts[0]++;
    counts[1] += name.len + value.len;
}

/* The bytes, copied to where there is room for them; absent stays absent. */
static struct slice moved(struct kept *k, struct slice s)
{
    if (!s.at)
        return s;
    size_t at = k->bytes.len;
    buf_put(&k->bytes, s);
    return (struct slice){ k->bytes.at + at, s.len };
}

static void keep_header(void *arg, struct slice name, struct slice value)
{
    struct kept *k = arg;

    k->headers[k->n].name = moved(k, name);
    k->headers[k->n++].value = moved(k, value);
}

static void keep_head(struct kept *k, const struct request_head *head)
{
    k->head.method = moved(k, head->method);
    k->head.mount = moved(k, head->mount);
    k->head.path = moved(k, head->path);
    k->head.query = moved(k, head->query);
    k->head.body = moved(k, head->body);
    k->head.remote = moved(k, head->remote);
    k->head.body_too_large = head->body_too_large;
}

enum rc request_keep(struct request *r, struct kept **out)
{
    const struct request_head *head = r->head;
    size_t counts[2] = { 0, head->method.len + head->mount.len + head->path.len + head->query.len +
                                head->body.len + head->remote.len };

    if (r->kept && ++kept_of(r)->times > KEPT_TIMES_MAX)
        return RC_LIMIT;
    if (r->kept) { /* it changes hands; see request_again() */
        r->kept = 0;
        *out = kept_of(r);
        return RC_OK;
    }
    r->ops->each_header(r, count_header, counts);
    if (r->server->kept_bytes + counts[1] > KEPT_MAX)
        return RC_LIMIT;
    struct kept *k = calloc(1, sizeof(*k));
    if (!k)
        return RC_NOMEM;
    k->headers = calloc(counts[0] + 1, sizeof(*k->headers));
    /* One byte more, so that what is empty but there has an address; and it never moves again. */
    bool room = k->headers && buf_reserve(&k->bytes, counts[1] + 1);
    r->server->kept_bytes += k->bytes.cap;
    if (!room) {
        kept_free(r->server, k);
        return RC_NOMEM;
    }
    keep_head(k, head);
    r->ops->each_header(r, keep_header, k);
    *out = k;
    return RC_OK;
}

void kept_free(struct server *server, struct kept *k)
{
    if (!k)
        return;
    server->kept_bytes -= k->bytes.cap;
    if (k->bytes.at)
        sodium_memzero(k->bytes.at, k->bytes.len); /* there may be credentials in it */
    buf_fini(&k->bytes);
    free(k->headers);
    free(k);
}

void request_again(struct request *r, struct kept *k, const void *found)
{
    struct server *server = r->server;

    release(r);
    r->head = &k->head;
    r->kept = 1;
    r->found = found;
    request_serve(r);
    r->found = NULL;
    if (r->kept) /* otherwise somebody else keeps it now */
        kept_free(server, k);
    r->kept = 0;
    r->head = NULL;
}
