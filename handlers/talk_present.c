/*
 * talk_present.c - on which topics a conversation is present (core/presence.h).
 *
 * Under which name: that of the token's subject; who has none chooses one, and `~` is put before
 * it, so that nobody passes for the bearer of a token.
 */
#include <sodium.h>
#include <stdlib.h>

#include "core/text.h"
#include "core/topic.h"
#include "handlers/admit.h"
#include "handlers/meter.h"
#include "handlers/problem.h"
#include "handlers/talk_priv.h"

enum { QUOTE_MAX = 120 };

struct seat {
    struct member member;
    struct talk *talk;
    struct seat *next, **link;
    struct request *asking; /* the message that waits to hear of it; NULL: it has */
};

static void seat_free(struct seat *s)
{
    presence_leave(&s->member);
    if (s->asking)
        problem_reply(s->asking, SLICE_NONE, 409, "This connection has left before it was there.");
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    free(s);
}

void seats_free(struct talk *t)
{
    while (t->seats)
        seat_free(t->seats);
}

static struct slice subject_of(const struct who *who)
{
    return who->rights ? rights_fields(who->rights)->subject : SLICE_NONE;
}

void seats_who(struct talk *t, const struct who *who)
{
    struct slice subject = subject_of(who);

    if (!slice_is(subject, subject_of(&t->who)))
        seats_free(t);
}

static struct seat *seat_on(const struct talk *t, struct slice topic)
{
    struct seat *s = t->seats;

    while (s && !slice_is(member_topic(&s->member), topic))
        s = s->next;
    return s;
}

/* ---- join ------------------------------------------------------------------------------------ */

static void answer(struct request *r, struct slice topic, struct slice name)
{
    struct buf body = BUF_EMPTY;

    buf_puts(&body, "{\"topic\":");
    json_put_string(&body, topic);
    buf_puts(&body, ",\"member\":");
    json_put_string(&body, name);
    buf_puts(&body, "}");
    reply_begin(r, 200, SLICE_NONE);
    reply_write(r, buf_slice(&body));
    r->broken |= buf_rc(&body) != RC_OK;
    buf_fini(&body);
    reply_end(r);
}

static void on_joined(struct member *m, enum rc rc, const char *why)
{
    struct seat *s = CONTAINER(m, struct seat, member);
    struct request *r = s->asking;

    s->asking = NULL;
    if (rc == RC_OK) {
        if (r)
            answer(r, member_topic(m), member_name(m));
        return;
    }
    if (r)
        problem_reply(r, SLICE_NONE, rc == RC_LIMIT ? 409 : 422, "%s.", why);
    seat_free(s);
}

static void on_gone(void *owner)
{
    struct seat *s = owner;
    s->asking = NULL;
}

static void on_drain(void *owner)
{
    (void)owner; /* the conversation itself ends */
}

static const struct reply_ops asking_ops = { .gone = on_gone, .drain = on_drain };

/* False: a subject has its own name, and no other; or there is no memory. */
static bool put_name(const struct visit *v, const json_t *given, struct buf *out)
{
    if (subject_of(v->who).len > 0) {
        buf_put(out, subject_of(v->who));
        return !given && buf_rc(out) == RC_OK;
    }
    if (json_is_string(given) && json_string_length(given) > 0)
        buf_printf(out, "~%s", json_string_value(given));
    else
        buf_printf(out, "~%08x", randombytes_random());
    return buf_rc(out) == RC_OK && (!given || json_is_string(given));
}

static void refuse(const struct visit *v, enum rc rc, const char *why)
{
    if (rc == RC_NOMEM)
        problem_no_memory(v->request, v->common, "Out of memory.");
    else
        problem_reply(v->request, v->common,
                      rc == RC_DENIED  ? 403
                      : rc == RC_LIMIT ? 409
                                       : 422,
                      "%s.", why);
}

static void join(const struct visit *v, struct talk *t, struct joining *joining)
{
    struct seat *s = calloc(1, sizeof(*s));
    const char *why = "";
    enum rc rc = RC_NOMEM;

    if (s)
        rc = presence_join(v->server->presence, &t->joiner, &s->member, joining, &why);
    if (rc != RC_OK) {
        refuse(v, rc, why);
        free(s);
        return;
    }
    s->talk = t;
    s->next = t->seats;
    s->link = &t->seats;
    if (s->next)
        s->next->link = &s->next;
    t->seats = s;
    s->asking = v->request;
    reply_hold(v->request, &asking_ops, s);
}

/* That it comes and that it goes are events, and count as if it had published them. */
static bool may_be_told(const struct visit *v, const struct joining *joining)
{
    const struct draft told = { .topic = joining->topic, .data = joining->data };

    return meter_publish(v, (const struct draft[]){ told, told }, 2);
}

static struct slice topic_in(const struct utterance *u)
{
    const json_t *topic = json_object_get(u->message, "topic");

    return (struct slice){ json_string_value(topic), json_string_length(topic) };
}

void join_serve(const struct visit *v, struct utterance *u)
{
    const json_t *data = json_object_get(u->message, "data");
    struct joining joining = { .topic = topic_in(u), .who = v->who, .joined = on_joined };
    struct buf name = BUF_EMPTY;
    const char *error = topic_error(joining.topic);
    char *text = data ? json_dumps(data, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    if (text)
        joining.data = slice_of(text);
    if (error)
        problem_reply(v->request, v->common, 422, "topic: %s.", error);
    else if (seat_on(u->talk, joining.topic))
        problem_reply(v->request, v->common, 409, "This connection is present there already.");
    else if (!put_name(v, json_object_get(u->message, "name"), &name))
        problem_reply(v->request, v->common, 422,
                      "name is a string, for those who have no token: with one you are its "
                      "subject.");
    else if (admit(v, VERB_SUBSCRIBE, &joining.topic, 1) == ADMIT_YES && may_be_told(v, &joining)) {
        joining.name = buf_slice(&name);
        join(v, u->talk, &joining);
    }
    buf_fini(&name);
    free(text);
}

void leave_serve(const struct visit *v, struct utterance *u)
{
    struct slice topic = topic_in(u);
    struct seat *s = seat_on(u->talk, topic);
    int shown = (int)(topic.len < QUOTE_MAX ? topic.len : QUOTE_MAX);

    if (!s) {
        problem_reply(v->request, v->common, 404, "This connection is not present on \"%.*s\".",
                      shown, shown ? topic.at : "");
        return;
    }
    answer(v->request, member_topic(&s->member), member_name(&s->member));
    seat_free(s);
}
