/*
 * admit.c - who a visitor is, and whether it may.
 *
 *      serve --> admit_identify --> handler --> admit --> yes, no
 *        ^            |                           |
 *        |            | the gate's keys are       | the site must be asked
 *        |            v not here yet              v
 *        '------------------- parked -------------'     waiting.h
 *
 * It is served again when the gate is loaded or the site has answered; its answers wait in the
 * gate's memory (memo.h), so that the second time none is missing.
 */
#include "handlers/admit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/text.h"
#include "core/topic.h"
#include "handlers/meter.h"
#include "handlers/problem.h"
#include "handlers/waiting.h"

enum {
    QUOTE_MAX = 120,  /* bytes of the client's own words in an answer */
    TOKEN_MAX = 8192, /* of the query's */
};

/* ---- parked ---------------------------------------------------------------------------------- */

struct parked {
    struct waiting waiting; /* its call is the question; NULL: waits for the gate's keys */
    /* the question */
    struct buf description, names; /* who asks; the names, one behind the other */
    struct slice *asked;
    size_t n;
    enum verb verb;
    uint64_t gate_age; /* when it was asked */
};

static void parked_fini(struct waiting *w)
{
    struct parked *p = CONTAINER(w, struct parked, waiting);

    buf_fini(&p->description);
    buf_fini(&p->names);
    free(p->asked);
}

static void on_rights(struct waiting *w)
{
    if (!w->call && gate_is_loaded(w->server->gate))
        waiting_again(w, NULL);
}

static const struct waiting_kind parked_kind = { .size = sizeof(struct parked),
                                                 .is_served = true,
                                                 .so = "it is not known what you may",
                                                 .fini = parked_fini,
                                                 .rights = on_rights };

static void on_answers(void *arg, const struct answers *a)
{
    struct parked *p = arg;
    struct gate *gate = p->waiting.server->gate;

    p->waiting.call = NULL;
    if (a->rc != RC_OK || a->n != p->n) {
        waiting_give_up(&p->waiting, "The site could not say what you may. Try again soon.");
        return;
    }
    for (size_t i = 0; i < p->n && p->gate_age == gate_age(gate); i++)
        gate_answer_put(gate, buf_slice(&p->description), p->verb, p->asked[i], a->may[i]);
    waiting_again(&p->waiting, NULL);
}

static enum admission no_room(const struct visit *v)
{
    waiting_refuse(v);
    return ADMIT_NO;
}

/* ---- who ------------------------------------------------------------------------------------- */

/* access_token= of the query (RFC 6750 section 2.3), decoded into *token; {NULL, 0}: not there. */
static struct slice token_in(struct slice query, struct buf *token)
{
    struct slice key, value;

    while (query_next(&query, &key, &value)) {
        if (!slice_is(key, SLICE("access_token")))
            continue;
        if (value.len > TOKEN_MAX || percent_decode(token, value, false) != RC_OK)
            return SLICE("?"); /* no token at all, and so refused as one */
        return token->len > 0 ? buf_slice(token) : SLICE("?");
    }
    return SLICE_NONE;
}

static enum admission unauthorized(const struct visit *v, const struct refusal *why)
{
    char challenge[sizeof(why->why) + 80];

    meter_failure(v);
    log_debug(&v->server->log, "a token is refused (%s): %s", flaw_word(why->flaw), why->why);
    snprintf(challenge, sizeof(challenge),
             "Bearer realm=\"bellpush\", error=\"invalid_token\", error_description=\"%s\"",
             why->why);
    problem_challenge(v->request, v->common, challenge,
                      "The token is not valid: %s. Leave it away to read public topics.", why->why);
    return ADMIT_NO;
}

enum admission admit_identify(struct visit *v, struct buf *token)
{
    const struct conf *conf = v->server->conf;
    struct slice given = token_in(v->request->head->query, token);
    struct refusal why = { FLAW_MALFORMED, "tokens in the address are not enabled here" };

    v->credentials =
        (struct credentials){ .authorization = request_header(v->request, "authorization"),
                              .cookies = request_header(v->request, "cookie") };
    if (given.at && strcmp(conf->token_in_query, "yes") != 0)
        return unauthorized(v, &why);
    v->credentials.token = given;
    switch (gate_identify(v->server->gate, &v->credentials, v->who, &why)) {
    case CREDENTIAL_NONE:
    case CREDENTIAL_GOOD:
        return ADMIT_YES;
    case CREDENTIAL_LATER:
        return waiting_begin(v, &parked_kind) ? ADMIT_LATER : ADMIT_NO;
    case CREDENTIAL_BAD:
        break;
    }
    return unauthorized(v, &why);
}

bool admit_is_explicit(const struct visit *v)
{
    return v->who->has_key || (v->who->rights && !v->who->by_cookie);
}

/* ---- from where ------------------------------------------------------------------------------ */

/* "https://shop.example:8443/page" -> "shop.example:8443"; {NULL, 0}: it has none. */
static struct slice host_of(struct slice url)
{
    const char *at = url.len > 0 ? memmem(url.at, url.len, "://", 3) : NULL;
    size_t n = 0;

    if (!at)
        return SLICE_NONE;
    struct slice rest = { at + 3, url.len - (size_t)(at + 3 - url.at) };
    while (n < rest.len && rest.at[n] != '/' && rest.at[n] != '?' && rest.at[n] != '#')
        n++;
    return (struct slice){ rest.at, n };
}

struct slice admit_listed_origin(const struct conf *conf, struct slice origin)
{
    for (size_t i = 0; i < conf->cors_origins.n; i++) {
        struct slice listed = slice_of(conf->cors_origins.at[i]);
        if (origin.len > 0 && slice_is_nocase(listed, origin) && !slice_is(listed, SLICE("*")))
            return listed;
    }
    return SLICE_NONE;
}

bool admit_same_site(const struct visit *v)
{
    struct slice origin = request_header(v->request, "origin");
    struct slice host = request_header(v->request, "host");

    if (!origin.at || origin.len == 0) {
        struct slice referer = request_header(v->request, "referer"), at = host_of(referer);
        if (!at.at)
            return false;
        origin = (struct slice){ referer.at, (size_t)(at.at + at.len - referer.at) };
    }
    struct slice from = host_of(origin);
    return from.len > 0 && ((host.len > 0 && slice_is_nocase(from, host)) ||
                            admit_listed_origin(v->server->conf, origin).at);
}

/* ---- may it? --------------------------------------------------------------------------------- */

/* Which of them, for a person: of many events the one that spoils them. */
static enum admission refuse_name(const struct visit *v, enum verb verb, const struct slice *names,
                                  size_t n, size_t which)
{
    struct slice name = names[which];
    int shown = (int)(name.len < QUOTE_MAX ? name.len : QUOTE_MAX);

    v->server->stats.denied++;
    if (verb == VERB_SUBSCRIBE)
        problem_reply(v->request, v->common, 403, "The topic %.*s is closed to you.", shown,
                      name.at);
    else if (n > 1)
        problem_reply(v->request, v->common, 403,
                      "event %zu: the topic %.*s is not one that you may publish to.", which, shown,
                      name.at);
    else
        problem_reply(v->request, v->common, 403,
                      "The topic %.*s is not one that you may publish to.", shown, name.at);
    return ADMIT_NO;
}

/* Park it, and ask the site about these names. */
static enum admission ask(const struct visit *v, struct slice description, enum verb verb,
                          const struct slice *names, size_t n)
{
    struct waiting *w = waiting_begin(v, &parked_kind);
    size_t bytes = 0, at = 0;

    if (!w)
        return ADMIT_NO;
    struct parked *p = CONTAINER(w, struct parked, waiting);
    for (size_t i = 0; i < n; i++)
        bytes += names[i].len;
    p->verb = verb;
    p->gate_age = gate_age(v->server->gate);
    p->n = n;
    p->asked = calloc(n, sizeof(*p->asked));
    buf_put(&p->description, description);
    bool room = p->asked && buf_reserve(&p->names, bytes + 1);
    for (size_t i = 0; room && i < n; i++) {
        buf_put(&p->names, names[i]);
        p->asked[i] = (struct slice){ p->names.at + at, names[i].len };
        at += names[i].len;
    }
    if (room && buf_rc(&p->description) == RC_OK)
        w->call = source_may(v->server->source, description, verb, p->asked, n, on_answers, p);
    if (!w->call)
        waiting_give_up(w, NULL);
    return ADMIT_LATER; /* answered or not, the request is no longer the handler's */
}

/* What the gate itself has to say, of those that no right covers. */
static enum admission admit_alone(const struct visit *v, enum verb verb, const struct slice *names,
                                  size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (gate_may(v->server->gate, v->who, verb, names[i]) != RC_OK)
            return refuse_name(v, verb, names, n, i);
    return ADMIT_YES;
}

/* The site is asked about whatever the token does not cover, public topics too: its yes is also the
   right to hear what is private there. */
static enum admission admit_by_site(const struct visit *v, enum verb verb,
                                    const struct slice *names, size_t n, struct slice *some,
                                    struct slice description)
{
    struct gate *gate = v->server->gate;
    size_t yes = 0, unknown = 0;

    for (size_t i = 0; i < n; i++) {
        struct slice name = verb == VERB_SUBSCRIBE ? topic_heard_as(names[i]) : names[i];
        bool covered = v->who->rights && rights_cover(v->who->rights, verb, name);
        enum word word = covered ? WORD_NO : gate_answer(gate, description, verb, name);
        if (word == WORD_YES)
            some[yes++] = name;
        else if (word == WORD_UNKNOWN && !covered)
            some[n + unknown++] = name;
    }
    if (unknown > 0)
        return ask(v, description, verb, some + n, unknown);
    enum rc rc = yes > 0 ? gate_add_rights(gate, v->who, verb, some, yes) : RC_OK;
    if (rc == RC_LIMIT) {
        problem_reply(v->request, v->common, 403,
                      "A token and the site together allow at most %d topics of one request.",
                      RIGHTS_FILTERS_MAX);
        return ADMIT_NO;
    }
    return rc == RC_OK ? admit_alone(v, verb, names, n) : no_room(v);
}

enum admission admit(const struct visit *v, enum verb verb, const struct slice *names, size_t n)
{
    struct gate *gate = v->server->gate;
    struct buf description = BUF_EMPTY;

    if ((v->who->has_key && verb == VERB_PUBLISH) || !gate_can_ask(gate, v->who, &v->credentials))
        return admit_alone(v, verb, names, n);
    struct slice *some = calloc(2 * n, sizeof(*some));
    gate_put_who(gate, &description, v->who, &v->credentials, v->address);
    enum admission admission = some && buf_rc(&description) == RC_OK
                                   ? admit_by_site(v, verb, names, n, some, buf_slice(&description))
                                   : no_room(v);
    free(some);
    buf_fini(&description);
    return admission;
}
