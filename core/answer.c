/*
 * answer.c - what every transport has of a request.
 */
#include "core/answer.h"

#include "core/details.h"

enum rc answer_head(struct request *r, struct buf *head)
{
    turn_add(r->server, &answer_of(r)->turn); /* a reply that breaks is ended there, too */
    enum rc rc = buf_rc(head);
    if (rc == RC_OK)
        rc = answer_write(r, buf_slice(head));
    buf_fini(head);
    return rc;
}

enum rc answer_write(struct request *r, struct slice bytes)
{
    turn_add(r->server, &answer_of(r)->turn);
    return outbox_put(&answer_of(r)->out, bytes);
}

enum rc answer_lend(struct request *r, struct block *block)
{
    struct answer *a = answer_of(r);

    if (!a->turn.link && outbox_empty(&a->out) && r->ops->send)
        turn_add_soon(r->server, &a->turn);
    else if (!a->turn.link)
        turn_add(r->server, &a->turn);
    return outbox_lend(&a->out, block);
}

/* Its handler waits to hear that there is room. */
static bool is_full(const struct answer *a)
{
    return a->out.bytes > (uint64_t)a->request.server->conf->queue_bytes;
}

static bool pack(struct answer *a, struct parcel *parcel)
{
    struct request *r = &a->request;

    return !r->broken && r->ops->pack && !is_full(a) && r->ops->pack(r, parcel);
}

static bool send_one(struct answer *a)
{
    struct request *r = &a->request;
    bool full = is_full(a);

    return !r->broken && r->ops->send(r) == RC_OK && !full;
}

unsigned answers_send(struct post *post, struct answer **all, unsigned n)
{
    struct parcel parcels[POST_MAX];
    struct answer *packed[POST_MAX];
    unsigned count = 0, left = 0;

    for (unsigned i = 0; i < n; i++)
        if (pack(all[i], &parcels[count]))
            packed[count++] = all[i];
        else if (!send_one(all[i]))
            all[left++] = all[i];
    post_send(post, parcels, count);
    for (unsigned i = 0; i < count; i++) {
        struct request *r = &packed[i]->request;
        if (r->ops->posted(r, &parcels[i]) != RC_OK)
            all[left++] = packed[i];
    }
    return left;
}

size_t answer_queued(const struct request *r)
{
    return answer_of(r)->out.bytes;
}

void answer_problem(struct request *r, int status, const char *detail, int retry_after_s)
{
    struct buf headers = BUF_EMPTY, body = BUF_EMPTY;

    details_put(&body, status, slice_of(detail));
    buf_puts(&headers, "Content-Type: application/problem+json\r\nCache-Control: no-store\r\n");
    buf_printf(&headers, "Content-Length: %zu\r\n", body.len);
    if (retry_after_s > 0)
        buf_printf(&headers, "Retry-After: %d\r\n", retry_after_s);
    if (buf_rc(&headers) == RC_OK && buf_rc(&body) == RC_OK) {
        reply_begin(r, status, buf_slice(&headers));
        reply_write(r, buf_slice(&body));
    } else {
        r->broken = 1;
    }
    reply_end(r);
    buf_fini(&headers);
    buf_fini(&body);
}
