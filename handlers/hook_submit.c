/*
 * hook_submit.c - a webhook's event is committed, and its sender told so.
 */
#include <stdlib.h>

#include "handlers/hook_priv.h"
#include "handlers/meter.h"
#include "handlers/problem.h"
#include "handlers/unpublished.h"
#include "handlers/waiting.h"
#include "handlers/whole.h"

struct publishing {
    struct waiting waiting;
    char *name;
    enum manner { MANNER_CURSOR, MANNER_SILENT, MANNER_TWIML } manner;
};

static void publishing_fini(struct waiting *w)
{
    free(CONTAINER(w, struct publishing, waiting)->name);
}

static const struct waiting_kind publishing_kind = { .size = sizeof(struct publishing),
                                                     .commits = true,
                                                     .fini = publishing_fini };

/* What Slack gets it shows to its user, and Twilio reads it to the caller or sends it on. */
static enum manner manner_of(struct slice scheme)
{
    return slice_is(scheme, SLICE("slack"))    ? MANNER_SILENT
           : slice_is(scheme, SLICE("twilio")) ? MANNER_TWIML
                                               : MANNER_CURSOR;
}

static void put_body(struct buf *out, const struct publishing *p, const struct publication *done)
{
    const char *epoch = p->waiting.server->epoch;
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
    struct buf body = BUF_EMPTY;

    put_body(&body, p, done);
    whole_reply(p->waiting.request, slice_of(p->waiting.headers), 200, types[p->manner], &body);
}

static void say_failed(struct publishing *p, const struct publication *done)
{
    static const struct unpublished_words words = {
        .under_way = "This delivery is still under way.",
        .used = "A delivery of this id was published before, and it was not the same.",
        .unknown = "The database went away before it answered. Send this again: it will be "
                   "published once.",
    };
    struct server *server = p->waiting.server;

    if (done->rc == RC_DENIED)
        log_seldom(&server->log, &server->health.hook_flood, uv_now(server->loop), LOG_WARN,
                   "hook %s: a delivery came again, but not the same", p->name);
    unpublished_reply(p->waiting.request, slice_of(p->waiting.headers), done, &words);
}

static void on_published(void *arg, const struct publication *done)
{
    struct publishing *p = arg;

    p->waiting.call = NULL;
    if (done->rc == RC_OK) {
        if (!done->repeated && done->repeat_n < done->n)
            p->waiting.server->stats.published += done->n - done->repeat_n;
        say_done(p, done);
    } else {
        say_failed(p, done);
    }
    waiting_free(&p->waiting);
}

void hook_submit(const struct visit *v, const struct hook *hook, const struct draft *drafts,
                 size_t n, struct slice key)
{
    if (!meter_publish(v, drafts, n))
        return;
    struct waiting *w = waiting_begin(v, &publishing_kind);
    if (!w)
        return;
    struct publishing *p = CONTAINER(w, struct publishing, waiting);
    p->manner = manner_of(hook->scheme);
    p->name = slice_dup(hook_name(v->request->head));
    if (p->name)
        w->call = source_publish(v->server->source, drafts, n, key, on_published, p);
    if (!w->call)
        waiting_give_up(w, "Too many publishes wait for the database. Send this again.");
}
