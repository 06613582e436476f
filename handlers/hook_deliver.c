/*
 * hook_deliver.c - from a delivery to a draft: is it genuine, where does it go, which one is it?
 */
#include "core/strict.h"
#include "core/text.h"
#include "core/topic.h"
#include "core/wall.h"
#include "handlers/batch.h"
#include "handlers/cloudevent.h"
#include "handlers/hook_handshake.h"
#include "handlers/hook_priv.h"
#include "handlers/meter.h"
#include "handlers/once.h"
#include "handlers/problem.h"
#include "handlers/query.h"
#include "handlers/signature.h"
#include "handlers/template.h"

enum { HEADERS_MAX = 200, OPTIONS_DEPTH = 8 };

struct work { /* one delivery, while it is looked at */
    const struct visit *visit;
    const struct hook *hook;
    json_t *options;
    struct delivery delivery;
    struct signature signature;
    struct delivery_header headers[HEADERS_MAX];
    size_t header_count;
    bool too_many_headers;
    struct buf url, topic, type, id;
    char key[ONCE_LEN + 1];
};

static void log_refusal(const struct work *w, enum log_level level, const char *what,
                        const char *why)
{
    struct server *server = w->visit->server;
    const struct request_head *head = w->visit->request->head;
    struct slice name = hook_name(head);

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

/* A 401 says by what one could prove oneself (RFC 9110 section 11.6.1). */
static bool unproven(const struct work *w, const char *why)
{
    bool bearer = slice_is(w->hook->scheme, SLICE("cloudevents"));

    log_refusal(w, LOG_WARN, "refused", why);
    w->visit->server->stats.denied++;
    meter_failure(w->visit);
    problem_challenge(w->visit->request, w->visit->common,
                      bearer ? "Bearer realm=\"bellpush\"" : "Signature realm=\"bellpush\"",
                      "This delivery is refused: %s.", why);
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
        return unproven(w, s->why);
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
    struct slice name = hook_name(w->visit->request->head);

    if (option && !template.at)
        return unusable(w, "its option \"id\" is not text");
    if (!option)
        buf_put(&w->id, buf_slice(&w->signature.id));
    else if (!slice_is(template, SLICE("content")) && !fill(w, template, false, &w->id))
        return false;
    if (buf_rc(&w->id) != RC_OK)
        return no_memory(w);
    struct slice words[] = { name, SLICE("id"), buf_slice(&w->id) };
    if (w->id.len == 0) {
        words[1] = SLICE("content");
        words[2] = slice_of(w->signature.content);
    }
    once_key("hk:", words, LENGTH(words), w->key);
    return true;
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

/* Who may see it, and for how long. */
static bool read_terms(const struct work *w, struct draft *draft)
{
    return read_option(w, "private", &draft->is_private) &&
           read_option(w, "retain", &draft->retain) && read_expiry(w, &draft->expires_ms);
}

static bool is_the_systems(const struct work *w)
{
    return w->topic.len > 0 && w->topic.at[0] == '$' &&
           !unusable(w, "topics that begin with $ are the system's own");
}

static void publish(struct work *w)
{
    const struct visit *v = w->visit;
    struct draft draft = { .data = v->request->head->body,
                           .content_type = request_header(v->request, "content-type") };

    if (!fill(w, w->hook->topic, true, &w->topic) || !fill(w, w->hook->type, false, &w->type) ||
        !name_delivery(w) || !read_terms(w, &draft) || is_the_systems(w))
        return;
    draft.topic = buf_slice(&w->topic);
    draft.type = buf_slice(&w->type);
    draft.id = buf_slice(&w->id);
    struct batch_error error = batch_check(v->server->conf, &draft);
    if (error.status)
        refused(w, error.status, error.why);
    else
        hook_submit(v, w->hook, &draft, 1, slice_of(w->key));
}

/* CloudEvents say themselves which ones they are, and of what type; not where they go to. */
static void publish_cloud(struct work *w)
{
    const struct visit *v = w->visit;
    enum cloudevent_mode mode = cloudevent_mode(v->request);
    struct buf scope = BUF_EMPTY;
    struct cloudevents c;
    struct draft draft = { .topic = SLICE_NONE };
    struct slice name = hook_name(v->request->head);

    if (mode == CLOUDEVENT_NONE) {
        refused(w, 415, "it is no CloudEvent: it has neither ce-… headers nor their media type");
        return;
    }
    if (!fill(w, w->hook->topic, true, &w->topic) || !read_terms(w, &draft) || is_the_systems(w))
        return;
    const char *error = topic_error(buf_slice(&w->topic));
    if (error) {
        refused(w, 422, error);
        return;
    }
    buf_printf(&scope, "hook:%.*s", (int)name.len, name.at);
    struct cloudevent_terms terms = { .topic = buf_slice(&w->topic),
                                      .scope = buf_slice(&scope),
                                      .expires_ms = draft.expires_ms,
                                      .retain = draft.retain,
                                      .is_private = draft.is_private };
    if (!cloudevents_read(&c, v->request, mode, &terms, v->server->conf))
        refused(w, c.error.status, c.error.why);
    else if (scope.nomem)
        no_memory(w);
    else if (c.n == 0)
        handshake_say(v, SLICE_NONE); /* an empty batch */
    else
        hook_submit(v, w->hook, c.drafts, c.n, SLICE_NONE);
    cloudevents_fini(&c);
    buf_fini(&scope);
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
                                     .now_s = wall_now_us() / 1000000 };
    if (w->too_many_headers)
        refused(w, 400, "it has too many headers");
    else if (buf_rc(&w->url) != RC_OK)
        no_memory(w);
    else if (!has_proved_itself(w))
        return;
    else if (slice_is(w->hook->scheme, SLICE("cloudevents")))
        publish_cloud(w);
    else if (!slice_is(w->hook->scheme, SLICE("slack")) || !handshake_slack(v, &w->delivery))
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
}

void hook_deliver(const struct visit *v, const struct hook *hook)
{
    struct work w = { .visit = v, .hook = hook };
    const char *why;
    enum rc rc = strict_read(hook->options, OPTIONS_DEPTH, &w.options, &why);

    if (rc == RC_NOMEM)
        no_memory(&w);
    else if (rc != RC_OK)
        unusable(&w, "its options are not a JSON object");
    else if (slice_is(v->request->head->method, SLICE("OPTIONS")))
        handshake_options(v, w.options);
    else if (!slice_is(v->request->head->method, SLICE("POST")))
        handshake_get(v, w.options);
    else
        receive(&w);
    work_fini(&w);
}
