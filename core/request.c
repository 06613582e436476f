/*
 * request.c - the door between those who carry requests and those who answer them.
 */
#include "core/request.h"
#include "core/server.h"

struct slice request_header(const struct request *r, const char *lower_case_name)
{
    return r->ops->header(r, lower_case_name);
}

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
    if (!r->broken && !r->head_only)
        check(r, r->ops->write(r, bytes));
}

void reply_lend(struct request *r, struct event *event, struct slice bytes)
{
    if (!r->broken && !r->head_only)
        check(r, r->ops->lend(r, event, bytes));
}

static void release(struct request *r)
{
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
    release(r);
    r->ops->end(r);
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

void request_gone(struct request *r)
{
    const struct reply_ops *ops = r->reply_ops;
    void *owner = r->owner;

    release(r);
    if (ops)
        ops->gone(owner);
}
