/*
 * hook.c - POST /hook/NAME: a webhook of somebody else's service becomes an event.
 *
 *      serve --> its definition is asked of the database --> served again, with it in hand
 *                                                                 |
 *                signature, clock --> topic, type --> publish --> 2xx, once it is committed
 *
 * Senders repeat what was not answered with 2xx, so that is what they get for whatever may be
 * better the next time; and they repeat what was, so every delivery has an idempotency key of its
 * hook (once.h): its sender's id, or else the hash of what was signed.
 *
 * That a hook does not exist is no secret, and neither is its name: both stand in every log on the
 * way.  What is secret is kept by the signature.
 */
#include "handlers/hook_priv.h"

#include <stdlib.h>

#include "core/text.h"
#include "handlers/problem.h"
#include "handlers/serve.h"

enum {
    PATIENCE_MS = 10000, /* for the database to say what this hook is */
    NAME_MAX_BYTES = 64,
};

struct slice hook_name(const struct request_head *head)
{
    size_t before = sizeof("/hook/") - 1;

    return (struct slice){ head->path.at + before, head->path.len - before };
}

/* ---- what is it? ------------------------------------------------------------------------------
 */

struct asking { /* for its definition */
    struct request *request;
    struct server *server; /* of the request, which may be over */
    struct kept *kept;
    struct source_call *call;
    struct alarm alarm;
    char *headers; /* of struct visit */
};

static void asking_free(struct asking *a)
{
    source_cancel(a->call);
    alarm_cancel(&a->alarm);
    kept_free(a->server, a->kept);
    free(a->headers);
    free(a);
}

static void give_up(struct asking *a, const char *why)
{
    problem_retry(a->request, slice_of(a->headers), 503, a->server->conf->retry_ms, "%s", why);
    asking_free(a);
}

static void on_late(struct alarm *alarm)
{
    give_up(CONTAINER(alarm, struct asking, alarm),
            "The database does not answer. Send this again.");
}

static void on_asker_gone(void *owner)
{
    asking_free(owner);
}

static void on_asker_drain(void *owner)
{
    give_up(owner, "This process is stopping. Send this again.");
}

static const struct reply_ops asking_ops = { .gone = on_asker_gone, .drain = on_asker_drain };

static void on_hook(void *arg, const struct hook *hook)
{
    struct asking *a = arg;
    struct request *r = a->request;
    struct kept *kept = a->kept;

    a->call = NULL;
    a->kept = NULL;
    asking_free(a);
    request_again_with(r, kept, hook);
}

static void ask(const struct visit *v)
{
    struct asking *a = calloc(1, sizeof(*a));

    if (a) {
        a->request = v->request;
        a->server = v->server;
        a->headers = slice_dup(v->common);
        a->call = a->headers
                      ? source_hook(v->server->source, hook_name(v->request->head), on_hook, a)
                      : NULL;
    }
    if (a && a->call && request_keep(v->request, &a->kept) == RC_OK) {
        alarm_set(v->server->wheel, &a->alarm, PATIENCE_MS, on_late);
        reply_hold(v->request, &asking_ops, a);
        return;
    }
    problem_retry(v->request, v->common, 503, v->server->conf->retry_ms,
                  "Too many requests wait for the database. Send this again.");
    if (a)
        asking_free(a);
}

/* ---- serve ------------------------------------------------------------------------------------
 */

static bool is_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-'))
            return false;
    }
    return name.len > 0 && name.len <= NAME_MAX_BYTES;
}

static void unknown(const struct visit *v)
{
    problem_reply(v->request, v->common, 404,
                  "There is no hook of this name; bellpush.define_hook() makes one.");
}

void hook_serve(const struct visit *v)
{
    const struct hook *hook = v->request->found;
    struct slice coding = request_header(v->request, "content-encoding");

    if (!is_name(hook_name(v->request->head)))
        unknown(v);
    else if (v->request->head->body_too_large)
        problem_reply(v->request, v->common, 413, "The body is larger than %lld bytes.",
                      (long long)v->server->conf->max_body_bytes);
    else if (coding.len > 0 && !slice_is_nocase(coding, SLICE("identity")))
        problem_reply(v->request, v->common, 415,
                      "Content-Encoding is not understood here: what is signed is the body as it "
                      "is.");
    else if (!hook)
        ask(v);
    else if (hook->rc == RC_OK)
        hook_deliver(v, hook);
    else if (hook->rc == RC_DENIED)
        unknown(v);
    else
        problem_retry(v->request, v->common, 503, v->server->conf->retry_ms,
                      "The database is away or too busy: nothing was published. Send this again.");
}
