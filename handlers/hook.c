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

#include "core/text.h"
#include "handlers/problem.h"
#include "handlers/serve.h"
#include "handlers/waiting.h"

enum { NAME_MAX_BYTES = 64 };

struct slice hook_name(const struct request_head *head)
{
    size_t before = sizeof("/hook/") - 1;

    return (struct slice){ head->path.at + before, head->path.len - before };
}

/* ---- what is it? ----------------------------------------------------------------------------- */

static const struct waiting_kind asking_kind = { .size = sizeof(struct waiting),
                                                 .is_served = true,
                                                 .so = "this hook is not known yet" };

static void on_hook(void *arg, const struct hook *hook)
{
    struct waiting *w = arg;

    w->call = NULL;
    waiting_again(w, hook);
}

static void ask(const struct visit *v)
{
    struct waiting *w = waiting_begin(v, &asking_kind);

    if (!w)
        return;
    w->call = source_hook(v->server->source, hook_name(v->request->head), on_hook, w);
    if (!w->call)
        waiting_give_up(w, NULL);
}

/* ---- serve ----------------------------------------------------------------------------------- */

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
