/*
 * hook_submit.c - a webhook's event is committed, and its sender told so.
 */
#include <stdlib.h>

#include "handlers/hook_priv.h"
#include "handlers/meter.h"
#include "handlers/problem.h"
#include "handlers/unpublished.h"

struct publishing {
    struct request *request;
    struct source_call *call;
    char *headers; /* of struct visit */
    char *name;
    enum manner { MANNER_CURSOR, MANNER_SILENT, MANNER_TWIML } manner;
};

static void publishing_free(struct publishing *p)
{
    free(p->headers);
    free(p->name);
    free(p);
}

/* What Slack gets it shows to its user, and Twilio reads it to the caller or sends it on. */
static enum manner manner_of(struct slice scheme)
{
    return slice_is(scheme, SLICE("slack"))    ? MANNER_SILENT
           : slice_is(scheme, SLICE("twilio")) ? MANNER_TWIML
                                               : MANNER_CURSOR;
}

static void put_body(struct buf *out, const struct publishing *p, const struct publication *done)
{
    const char *epoch = p->request->server->epoch;
    const char *repeated = done->repeated ? ",\"repeated\":true" : "";
    char cursor[CURSOR_TEXT_MAX + 1];
    int64_t last = 0;

    for (size_t i = 0; done->seqs && i < done->n; i++) /* what is repeated may be older */
        last = done->seqs[i] > last ? done->seqs[i] : last;
    if (p->manner == MANNER_TWIML) {
        buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>\n");
    } else if (p->manner == MANNER_CURSOR && last > 0 && *epoch) {
        cursor_text(epoch, last, cursor);
        buf_printf(out, "{\"cursor\":\"%s\"%s}\n", cursor, repeated);
    } else if (p->manner == MANNER_CURSOR) {
        buf_printf(out, "{\"cursor\":null%s}\n", repeated);
    }
}

static void say_done(struct publishing *p, const struct publication *done)
{
    static const char *const types[] = { [MANNER_CURSOR] = "application/json",
                                         [MANNER_SILENT] = "text/plain; charset=utf-8",
                                         [MANNER_TWIML] = "text/xml; charset=utf-8" };
    struct buf head = BUF_EMPTY, body = BUF_EMPTY;

    put_body(&body, p, done);
    buf_printf(&head, "Content-Type: %s\r\nCache-Control: no-store\r\nContent-Length: %zu\r\n",
               types[p->manner], body.len);
    buf_put(&head, slice_of(p->headers));
    reply_begin(p->request, 200, buf_slice(&head));
    reply_write(p->request, buf_slice(&body));
    reply_end(p->request);
    buf_fini(&head);
    buf_fini(&body);
}

static void say_failed(struct publishing *p, const struct publication *done)
{
    static const struct unpublished_words words = {
        .under_way = "This delivery is still under way.",
        .used = "A delivery of this id was published before, and it was not the same.",
        .unknown = "The database went away before it answered. Send this again: it will be "
                   "published once.",
    };
    struct server *server = p->request->server;

    if (done->rc == RC_DENIED)
        log_seldom(&server->log, &server->health.hook_flood, uv_now(server->loop), LOG_WARN,
                   "hook %s: a delivery came again, but not the same", p->name);
    unpublished_reply(p->request, slice_of(p->headers), done, &words);
}

static void on_published(void *arg, const struct publication *done)
{
    struct publishing *p = arg;

    if (done->rc == RC_OK) {
        if (!done->repeated && done->repeat_n < done->n)
            p->request->server->stats.published += done->n - done->repeat_n;
        say_done(p, done);
    } else {
        say_failed(p, done);
    }
    publishing_free(p);
}

static void on_gone(void *owner)
{
    struct publishing *p = owner;

    source_cancel(p->call); /* it takes place all the same; its sender will come again */
    publishing_free(p);
}

static void on_drain(void *owner)
{
    (void)owner; /* a commit takes less than any drain */
}

static const struct reply_ops publishing_ops = { .gone = on_gone, .drain = on_drain };

void hook_submit(const struct visit *v, const struct hook *hook, const struct draft *drafts,
                 size_t n, struct slice key)
{
    if (!meter_publish(v, drafts, n))
        return;
    struct publishing *p = calloc(1, sizeof(*p));
    if (p) {
        p->request = v->request;
        p->manner = manner_of(hook->scheme);
        p->headers = slice_dup(v->common);
        p->name = slice_dup(hook_name(v->request->head));
    }
    if (p && p->headers && p->name)
        p->call = source_publish(v->server->source, drafts, n, key, on_published, p);
    if (p && p->call) {
        reply_hold(v->request, &publishing_ops, p);
        return;
    }
    problem_retry(v->request, v->common, 503, v->server->conf->retry_ms,
                  "Too many publishes wait for the database. Send this again.");
    if (p)
        publishing_free(p);
}
