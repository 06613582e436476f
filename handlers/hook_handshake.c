/*
 * hook_handshake.c - senders that want to see, before the first delivery, whose address this is.
 *
 * A challenge is given back to whoever asks rightly, so it is given back as plain text and nothing
 * else.  A hub's question whether we want to leave is a stranger's until the options say otherwise:
 * anybody can ask a hub to unsubscribe us.
 */
#include "handlers/hook_handshake.h"

#include <sodium.h>

#include "core/text.h"
#include "handlers/problem.h"
#include "handlers/whole.h"

enum { CHALLENGE_MAX = 4096 };

void handshake_say(const struct visit *v, struct slice text)
{
    struct buf body = BUF_EMPTY;

    buf_put(&body, text);
    whole_reply(v->request, v->common, 200, "text/plain; charset=utf-8", &body);
}

/* ---- Slack ----------------------------------------------------------------------------------- */

bool handshake_slack(const struct visit *v, struct delivery *d)
{
    const json_t *root = delivery_json(d);
    const char *type = json_string_value(json_object_get(root, "type"));
    const json_t *challenge = json_object_get(root, "challenge");

    if (!type || strcmp(type, "url_verification") != 0 || !json_is_string(challenge))
        return false;
    handshake_say(v, (struct slice){ json_string_value(challenge), json_string_length(challenge) });
    return true;
}

/* ---- hub.… ----------------------------------------------------------------------------------- */

struct questions {
    struct buf mode, topic, challenge, verify_token;
};

static struct buf *question(struct questions *q, struct slice key)
{
    return slice_is(key, SLICE("hub.mode"))           ? &q->mode
           : slice_is(key, SLICE("hub.topic"))        ? &q->topic
           : slice_is(key, SLICE("hub.challenge"))    ? &q->challenge
           : slice_is(key, SLICE("hub.verify_token")) ? &q->verify_token
                                                      : NULL;
}

static enum rc read_questions(struct questions *q, struct slice query)
{
    struct slice key, value;

    while (query_next(&query, &key, &value)) {
        struct buf *into = question(q, key);
        if (!into)
            continue;
        if (into->len > 0 || value.len > CHALLENGE_MAX)
            return RC_SYNTAX;
        enum rc rc = percent_decode(into, value, true);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

static void questions_fini(struct questions *q)
{
    buf_fini(&q->mode);
    buf_fini(&q->topic);
    buf_fini(&q->challenge);
    buf_fini(&q->verify_token);
}

static bool is_text(const json_t *value, struct slice text)
{
    size_t len = json_string_length(value);

    return json_is_string(value) && len == text.len && len > 0 &&
           sodium_memcmp(json_string_value(value), text.at, len) == 0;
}

/* One text, or one of several. */
static bool agrees(const json_t *ours, const struct buf *given)
{
    bool yes = is_text(ours, buf_slice(given));
    size_t i;
    json_t *one;

    json_array_foreach(ours, i, one) yes |= is_text(one, buf_slice(given));
    return yes;
}

/* At least one of the two is configured, and whatever is configured agrees. */
static bool is_ours(const json_t *options, const struct questions *q)
{
    const json_t *topic = json_object_get(options, "hub.topic");
    const json_t *token = json_object_get(options, "hub.verify_token");

    return (topic || token) && (!topic || agrees(topic, &q->topic)) &&
           (!token || agrees(token, &q->verify_token));
}

static bool may_be(const json_t *options, struct slice mode)
{
    return slice_is(mode, SLICE("subscribe")) ||
           (slice_is(mode, SLICE("unsubscribe")) &&
            json_is_true(json_object_get(options, "hub.unsubscribe")));
}

void handshake_get(const struct visit *v, const json_t *options)
{
    struct questions q = { 0 };
    enum rc rc = read_questions(&q, v->request->head->query);

    if (rc == RC_NOMEM)
        problem_no_memory(v->request, v->common, "Out of memory.");
    else if (rc != RC_OK)
        problem_reply(v->request, v->common, 400,
                      "A parameter hub.… is malformed, too long, or there twice.");
    else if (is_ours(options, &q) && slice_is(buf_slice(&q.mode), SLICE("denied")))
        handshake_say(v, SLICE_NONE); /* the hub will not; nothing to agree with */
    else if (is_ours(options, &q) && may_be(options, buf_slice(&q.mode)) && q.challenge.len > 0)
        handshake_say(v, buf_slice(&q.challenge));
    else
        problem_reply(v->request, v->common, 404,
                      "This hook was not asked for with these hub.mode, hub.topic and "
                      "hub.verify_token. Deliveries come with POST.");
    questions_fini(&q);
}

/* ---- WebHook-… ------------------------------------------------------------------------------- */

/* Ours, not what was sent: nothing of the request enters the head. */
static const char *origin_of(const json_t *ours, struct slice given)
{
    const char *found = NULL;
    size_t i;
    json_t *one;

    json_array_foreach(ours, i, one)
    {
        const char *text = json_string_value(one);
        if (text && slice_is_nocase(slice_of(text), given))
            found = text;
    }
    return found;
}

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if (*text <= 0x20 || *text >= 0x7f)
            return false;
    return true;
}

void handshake_options(const struct visit *v, const json_t *options)
{
    struct slice given = request_header(v->request, "webhook-request-origin");
    const char *origin = origin_of(json_object_get(options, "origins"), given);
    struct buf head = BUF_EMPTY;

    if (!origin || !is_plain(origin)) {
        problem_reply(v->request, v->common, 403,
                      "This hook does not expect deliveries from this WebHook-Request-Origin.");
        return;
    }
    buf_printf(&head, "Allow: POST\r\nWebHook-Allowed-Origin: %s\r\nWebHook-Allowed-Rate: *\r\n",
               origin);
    buf_put(&head, v->common);
    reply_begin(v->request, 204, buf_slice(&head));
    reply_end(v->request);
    buf_fini(&head);
}
