/*
 * hook.c - POST /hook/NAME: a webhook of somebody else's service becomes an event.
 *
 *      serve --> its definition is asked of the database --> served again, with it in hand
 *                                                                 |
 *                signature, clock --> topic, type --> publish --> 2xx, once it is committed
 *
 * Senders repeat what was not answered with 2xx, so that is what they get for whatever may be
 * better the next time; and they repeat what was, so every delivery has an idempotency key: its
 * sender's id, or else the hash of what was signed.  The key has blanks in it, which no
 * Idempotency-Key of /publish can have: nobody there can spoil a delivery in advance.
 *
 * That a hook does not exist is no secret, and neither is its name: both stand in every log on the
 * way.  What is secret is kept by the signature.
 */
#include <stdlib.h>

#include "core/strict.h"
#include "core/text.h"
#include "core/topic.h"
#include "handlers/batch.h"
#include "handlers/hook_handshake.h"
#include "handlers/problem.h"
#include "handlers/query.h"
#include "handlers/serve.h"
#include "handlers/signature.h"
#include "handlers/template.h"

enum {
    PATIENCE_MS = 10000, /* for the database to say what this hook is */
    NAME_MAX_BYTES = 64,
    HEADERS_MAX = 200,
    OPTIONS_DEPTH = 8,
};

static struct slice name_of(const struct request_head *head)
{
    size_t before = sizeof("/hook/") - 1;

    return (struct slice){ head->path.at + before, head->path.len - before };
}

/* ---- what is it? ------------------------------------------------------------------------------
 */

struct asking { /* for its definition */
    struct request *request;
    struct kept *kept;
    struct source_call *call;
    struct alarm alarm;
    char *headers; /* of struct visit */
};

static void asking_free(struct asking *a)
{
    source_cancel(a->call);
    alarm_cancel(&a->alarm);
    kept_free(a->request->server, a->kept);
    free(a->headers);
    free(a);
}

static void give_up(struct asking *a, const char *why)
{
    problem_retry(a->request, slice_of(a->headers), 503, a->request->server->conf->retry_ms, "%s",
                  why);
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
        a->headers = slice_dup(v->common);
        a->call = a->headers ? source_hook(v->server->source, name_of(v->request->head), on_hook, a)
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

/* ---- the answer -------------------------------------------------------------------------------
 */

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

    if (p->manner == MANNER_TWIML) {
        buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>\n");
    } else if (p->manner == MANNER_CURSOR && done->seqs && *epoch) {
        cursor_text(epoch, done->seqs[done->n - 1], cursor);
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
    struct server *server = p->request->server;
    struct slice headers = slice_of(p->headers);
    const char *why = done->why && *done->why ? done->why : "no reason given";

    switch (done->rc) {
    case RC_SYNTAX:
        problem_reply(p->request, headers, 422, "The database refused it: %s", why);
        return;
    case RC_LIMIT:
        problem_reply(p->request, headers, 413, "It is too large: %s", why);
        return;
    case RC_AGAIN:
        problem_retry(p->request, headers, 409, 1000, "This delivery is still under way.");
        return;
    case RC_DENIED:
        log_seldom(&server->log, &server->health.hook_flood, uv_now(server->loop), LOG_WARN,
                   "hook %s: a delivery came again, but not the same", p->name);
        problem_reply(p->request, headers, 422,
                      "A delivery of this id was published before, and it was not the same.");
        return;
    case RC_NOMEM:
        problem_no_memory(p->request, headers, "Out of memory; nothing was published.");
        return;
    case RC_OK:
    case RC_CLOSED:
    case RC_SOURCE:
        break;
    }
    problem_retry(p->request, headers, 503, server->conf->retry_ms,
                  done->uncertain ? "The database went away before it answered. Send this again: "
                                    "it will be published once."
                                  : "The database is away or too busy: nothing was published.");
}

static void on_published(void *arg, const struct publication *done)
{
    struct publishing *p = arg;

    if (done->rc == RC_OK) {
        p->request->server->stats.published += done->repeated ? 0 : 1;
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

static void submit(const struct visit *v, enum manner manner, const struct draft *draft,
                   struct slice key)
{
    struct publishing *p = calloc(1, sizeof(*p));

    if (p) {
        p->request = v->request;
        p->manner = manner;
        p->headers = slice_dup(v->common);
        p->name = slice_dup(name_of(v->request->head));
    }
    if (p && p->headers && p->name)
        p->call = source_publish(v->server->source, draft, 1, key, on_published, p);
    if (p && p->call) {
        reply_hold(v->request, &publishing_ops, p);
        return;
    }
    problem_retry(v->request, v->common, 503, v->server->conf->retry_ms,
                  "Too many publishes wait for the database. Send this again.");
    if (p)
        publishing_free(p);
}

/* ---- from a delivery to a draft ---------------------------------------------------------------
 */

struct work { /* one delivery, while it is looked at */
    const struct visit *visit;
    const struct hook *hook;
    json_t *options;
    struct delivery delivery;
    struct signature signature;
    struct delivery_header headers[HEADERS_MAX];
    size_t header_count;
    bool too_many_headers;
    struct buf url, topic, type, id, key;
};

static void log_refusal(const struct work *w, enum log_level level, const char *what,
                        const char *why)
{
    struct server *server = w->visit->server;
    const struct request_head *head = w->visit->request->head;
    struct slice name = name_of(head);

    log_seldom(&server->log, &server->health.hook_flood, uv_now(server->loop), level,
               "hook %.*s: %s, from %.*s: %s", (int)name.len, name.at, what,
               (int)(head->remote.len < 100 ? head->remote.len : 100),
               head->remote.len ? head->remote.at : "", why);
}

/* The operator's fault: the sender shall try again, and somebody shall be told. */
static bool unusable(const struct work *w, const char *why)
{
    log_refusal(w, LOG_ERROR, "its definition is not good", why);
    problem_reply(w->visit->request, w->visit->common, 500,
                  "The definition of this hook is not good: %s. (See bellpush.define_hook.)", why);
    return false;
}

static bool refused(const struct work *w, int status, const char *why)
{
    log_refusal(w, LOG_WARN, "refused", why);
    problem_reply(w->visit->request, w->visit->common, status, "This delivery is refused: %s.",
                  why);
    return false;
}

static bool no_memory(const struct work *w)
{
    problem_no_memory(w->visit->request, w->visit->common,
                      "Out of memory; nothing was published. Send this again.");
    return false;
}

static bool has_proved_itself(struct work *w)
{
    struct signature *s = &w->signature;

    signature_check(&w->delivery, w->hook, w->options, s);
    switch (s->word) {
    case SIGNATURE_GOOD:
        return true;
    case SIGNATURE_MISSING:
    case SIGNATURE_WRONG:
    case SIGNATURE_STALE:
        w->visit->server->stats.denied++;
        return refused(w, 401, s->why);
    case SIGNATURE_MALFORMED:
        return refused(w, 400, s->why);
    case SIGNATURE_UNUSABLE:
        return unusable(w, s->why);
    case SIGNATURE_NOMEM:
        break;
    }
    return no_memory(w);
}

static bool fill(struct work *w, struct slice template, bool escape, struct buf *out)
{
    char why[TEMPLATE_WHY_MAX];

    switch (template_fill(template, &w->delivery, escape, out, why)) {
    case RC_OK:
        return true;
    case RC_DENIED:
        return refused(w, 422, why);
    case RC_SYNTAX:
        return unusable(w, why);
    default:
        return no_memory(w);
    }
}

/* Its id by the scheme, or by the option "id"; "content": none but what is in it. */
static bool name_delivery(struct work *w)
{
    const json_t *option = json_object_get(w->options, "id");
    struct slice template = { json_string_value(option), json_string_length(option) };
    struct slice name = name_of(w->visit->request->head);

    if (option && !template.at)
        return unusable(w, "its option \"id\" is not text");
    if (!option)
        buf_put(&w->id, buf_slice(&w->signature.id));
    else if (!slice_is(template, SLICE("content")) && !fill(w, template, false, &w->id))
        return false;
    buf_printf(&w->key, "hook %.*s ", (int)name.len, name.at);
    if (w->id.len > 0)
        buf_put(&w->key, buf_slice(&w->id));
    else
        buf_printf(&w->key, "sha256:%s", w->signature.content);
    return (buf_rc(&w->id) == RC_OK && buf_rc(&w->key) == RC_OK) || no_memory(w);
}

static bool read_option(const struct work *w, const char *name, bool *out)
{
    const json_t *value = json_object_get(w->options, name);

    *out = json_is_true(value);
    return !value || json_is_boolean(value) ||
           unusable(w, "its options \"private\" and \"retain\" are true or false");
}

static bool read_expiry(const struct work *w, int64_t *out)
{
    const json_t *value = json_object_get(w->options, "expires");
    struct slice text = { json_string_value(value), json_string_length(value) };

    return !value || (text.at && duration_parse(text, QUERY_TIME_MAX, out) == RC_OK) ||
           unusable(w, "its option \"expires\" is a time such as \"1h\"");
}

static void publish(struct work *w)
{
    const struct visit *v = w->visit;
    struct draft draft = { .data = v->request->head->body,
                           .content_type = request_header(v->request, "content-type") };

    if (!fill(w, w->hook->topic, true, &w->topic) || !fill(w, w->hook->type, false, &w->type) ||
        !name_delivery(w) || !read_option(w, "private", &draft.is_private) ||
        !read_option(w, "retain", &draft.retain) || !read_expiry(w, &draft.expires_ms))
        return;
    draft.topic = buf_slice(&w->topic);
    draft.type = buf_slice(&w->type);
    draft.id = buf_slice(&w->id);
    struct batch_error error = batch_check(v->server->conf, &draft);
    if (error.status)
        refused(w, error.status, error.why);
    else if (draft.topic.at[0] == '$')
        unusable(w, "topics that begin with $ are the system's own");
    else
        submit(v, manner_of(w->hook->scheme), &draft, buf_slice(&w->key));
}

/* ---- a delivery -------------------------------------------------------------------------------
 */

/* Lent for longer than the call, because it is a kept request that is served. */
static void take_header(void *arg, struct slice name, struct slice value)
{
    struct work *w = arg;

    if (w->header_count == HEADERS_MAX)
        w->too_many_headers = true;
    else
        w->headers[w->header_count++] = (struct delivery_header){ name, value };
}

/* As its sender may know it; a path of a hook needs no encoding. */
static void put_url(struct buf *out, const struct request *r)
{
    const struct request_head *head = r->head;

    buf_puts(out, "https://");
    buf_put(out, request_header(r, "host"));
    buf_put(out, head->mount);
    buf_put(out, head->path);
    if (head->query.len > 0) {
        buf_putc(out, '?');
        buf_put(out, head->query);
    }
}

static void receive(struct work *w)
{
    const struct visit *v = w->visit;

    request_each_header(v->request, take_header, w);
    put_url(&w->url, v->request);
    w->delivery = (struct delivery){ .headers = w->headers,
                                     .n = w->header_count,
                                     .body = v->request->head->body,
                                     .url = buf_slice(&w->url),
                                     .now_s = gate_now_us() / 1000000 };
    if (w->too_many_headers)
        refused(w, 400, "it has too many headers");
    else if (buf_rc(&w->url) != RC_OK)
        no_memory(w);
    else if (has_proved_itself(w) &&
             !(slice_is(w->hook->scheme, SLICE("slack")) && handshake_slack(v, &w->delivery)))
        publish(w);
}

static void work_fini(struct work *w)
{
    signature_fini(&w->signature);
    delivery_fini(&w->delivery);
    json_decref(w->options);
    buf_fini(&w->url);
    buf_fini(&w->topic);
    buf_fini(&w->type);
    buf_fini(&w->id);
    buf_fini(&w->key);
}

static void serve_known(const struct visit *v, const struct hook *hook)
{
    struct work w = { .visit = v, .hook = hook };
    const char *why;
    enum rc rc = strict_read(hook->options, OPTIONS_DEPTH, &w.options, &why);

    if (rc == RC_NOMEM)
        no_memory(&w);
    else if (rc != RC_OK)
        unusable(&w, "its options are not a JSON object");
    else if (!slice_is(v->request->head->method, SLICE("POST")))
        handshake_get(v, w.options);
    else if (slice_is(hook->scheme, SLICE("cloudevents")))
        refused(&w, 422, "the scheme cloudevents is not served here");
    else
        receive(&w);
    work_fini(&w);
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

    if (!is_name(name_of(v->request->head)))
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
        serve_known(v, hook);
    else if (hook->rc == RC_DENIED)
        unknown(v);
    else
        problem_retry(v->request, v->common, 503, v->server->conf->retry_ms,
                      "The database is away or too busy: nothing was published. Send this again.");
}
