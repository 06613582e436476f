/*
 * rights.c - who may hear and ring what, over each transport; and what happens when a right ends.
 *
 * Topics live under a fresh prefix B: B/a is open to all, secret/B/a is closed by configuration,
 * $s/B/a is the system's own.  Somebody "with the right" has B/#, secret/B/# and $s/B/#, for both
 * verbs.  The others have it elsewhere.
 */
#include <time.h>

#include "tests/scenarios/parts.h"
#include "tests/scenarios/talk.h"

enum { OPEN, CLOSED, SYSTEM, TOPICS }; /* sorts of topics */
enum { PATIENCE_S = 60, SOME_TIME = 600 };

#define FROM_HERE "Origin: https://app.example" /* one of cors_origins */

/* ---- who ------------------------------------------------------------------------------------- */

enum means { NOTHING, KEY, BASIC, HEADER, COOKIE, ADDRESS, SESSION };

static const struct somebody {
    const char *name;
    enum means means;
    const char *word; /* in place of a token or session; NULL: a true one */
    int seconds;      /* its token's */
    bool elsewhere, revoked, from_here, hears_private;
    int subscribe[TOPICS], publish[TOPICS];
} everybody[] = {
    { "nobody", NOTHING, .subscribe = { 200, 403, 200 }, .publish = { 401, 401, 401 } },
    { "the key", KEY, .subscribe = { 200, 403, 200 }, .publish = { 201, 201, 403 } },
    { "a password of the web server's", BASIC, .subscribe = { 200, 403, 200 },
      .publish = { 401, 401, 401 } },
    { "a token", HEADER, .seconds = SOME_TIME, .hears_private = true,
      .subscribe = { 200, 200, 200 }, .publish = { 201, 201, 403 } },
    { "a token for something else", HEADER, .seconds = SOME_TIME, .elsewhere = true,
      .subscribe = { 200, 403, 200 }, .publish = { 403, 403, 403 } },
    { "an expired token", HEADER, .seconds = -31, .subscribe = { 401, 401, 401 },
      .publish = { 401, 401, 401 } },
    { "a revoked token", HEADER, .seconds = SOME_TIME, .revoked = true,
      .subscribe = { 401, 401, 401 }, .publish = { 401, 401, 401 } },
    { "no token at all", HEADER, .word = "e30.e30.e30", .subscribe = { 401, 401, 401 },
      .publish = { 401, 401, 401 } },
    { "a cookie from anywhere", COOKIE, .seconds = SOME_TIME, .hears_private = true,
      .subscribe = { 200, 200, 200 }, .publish = { 403, 403, 403 } },
    { "a cookie from here", COOKIE, .seconds = SOME_TIME, .hears_private = true, .from_here = true,
      .subscribe = { 200, 200, 200 }, .publish = { 201, 201, 403 } },
    { "an expired cookie", COOKIE, .seconds = -31, .from_here = true,
      .subscribe = { 401, 401, 401 }, .publish = { 401, 401, 401 } },
    { "a token in the address", ADDRESS, .seconds = SOME_TIME, .hears_private = true,
      .subscribe = { 200, 200, 200 }, .publish = { 201, 201, 403 } },
    { "an expired token in the address", ADDRESS, .seconds = -31, .subscribe = { 401, 401, 401 },
      .publish = { 401, 401, 401 } },
    { "a session from anywhere", SESSION, .hears_private = true, .subscribe = { 200, 200, 200 },
      .publish = { 403, 403, 403 } },
    { "a session from here", SESSION, .hears_private = true, .from_here = true,
      .subscribe = { 200, 200, 200 }, .publish = { 201, 201, 403 } },
    { "a session nobody knows", SESSION, .word = "guessed", .from_here = true,
      .subscribe = { 200, 403, 200 }, .publish = { 403, 403, 403 } },
};

/* What somebody sends along. */
struct pass {
    const char *headers[4];
    const char *query; /* "&access_token=…" or "" */
};

static void show(struct pass *p, enum means means, const char *word)
{
    *p = (struct pass){ .query = "" };
    switch (means) {
    case NOTHING:
        return;
    case KEY:
        word = STAGE_KEY; /* fallthrough */
    case HEADER:
        p->headers[0] = text("Authorization: Bearer %s", word);
        return;
    case BASIC:
        p->headers[0] = "Authorization: Basic c29tZWJvZHk6cGFzc3dvcmQ=";
        return;
    case COOKIE:
        p->headers[0] = text("Cookie: lang=de; bell=%s", word);
        return;
    case ADDRESS:
        p->query = text("&access_token=%s", word);
        return;
    case SESSION:
        p->headers[0] = text("Cookie: lang=de; PHPSESSID=%s", word);
        return;
    }
}

static const char *subject_of(const char *base)
{
    return text("subject of %s", base);
}

static void dress(struct pass *p, const struct somebody *who, const char *base)
{
    const char *mine = who->elsewhere ? text("elsewhere/%s", base) : base;
    const char *filters = text("%s/# secret/%s/# $s/%s/#", mine, mine, mine), *word = who->word;

    if (who->means == SESSION) {
        const char *session = text("%.*s", (int)strcspn(base, "/"), base);
        stage_session(session, text("%s/#", base));
        stage_session(session, text("secret/%s/#", base));
        stage_session(session, text("$s/%s/#", base));
        word = word ? word : session;
    } else if (!word && who->means >= HEADER) {
        word = stage_token(subject_of(base), filters, filters, who->seconds);
    }
    show(p, who->means, word);
    if (who->from_here)
        p->headers[1] = FROM_HERE;
    if (who->revoked)
        stage_revoke(subject_of(base));
}

/* ---- the matrix ------------------------------------------------------------------------------ */

static struct answer *ask_for(const struct pass *p, const char *method, const char *target)
{
    const char *headers[6];
    size_t n = 0;

    for (; n < LENGTH(p->headers) && p->headers[n]; n++)
        headers[n] = p->headers[n];
    if (method)
        headers[n++] = "Content-Type: text/plain";
    headers[n] = NULL;
    return stage_ask(&(struct ask){ .method = method,
                                    .target = text("%s%s", target, p->query),
                                    .headers = headers,
                                    .body = method ? SLICE("x") : SLICE_NONE });
}

/*
 * What it must be.  A worker that has not read of a revocation or a session yet is asked again: it
 * says then what it would have said before.
 */
static void expect_status(const struct somebody *who, const struct pass *p, const char *method,
                          const char *target, int status)
{
    bool may_lag = who->revoked || who->means == SESSION;
    time_t end = time(NULL) + PATIENCE_S;

    for (;;) {
        struct answer *a = ask_for(p, method, target);
        int got = answer_status(a);
        if (got == status && status >= 400)
            expect_problem(a, status);
        if (got == 401)
            ck_assert_ptr_nonnull(answer_header(a, "WWW-Authenticate"));
        answer_close(a);
        if (got == status)
            return;
        ck_assert_msg(may_lag && time(NULL) < end, "%s: %s %s: %d instead of %d", who->name,
                      method ? method : "GET", target, got, status);
    }
}

START_TEST(everybody_gets_what_is_his)
{
    static const char *const ways[] = { "/poll?wait=0&topic=", "/events?topic=", "/stream?topic=" };
    static const char *const sorts[] = { "", "secret/", "$s/" };
    const struct somebody *who = &everybody[_i];
    const char *base = stage_topic("rights");
    struct pass pass;

    dress(&pass, who, base);
    for (int sort = 0; sort < TOPICS; sort++) {
        const char *topic = text("%s%s/a", sorts[sort], base);
        for (size_t way = 0; way < LENGTH(ways); way++)
            /* Where the front gathers, a stream's head comes with its end. */
            if (way == 0 || who->subscribe[sort] != 200 || !stage_traits()->gathers)
                expect_status(who, &pass, NULL, text("%s%s", ways[way], topic),
                              who->subscribe[sort]);
        expect_status(who, &pass, "POST", text("/publish?topic=%s", topic), who->publish[sort]);
    }
    /* One that is not allowed spoils all. */
    if (who->subscribe[CLOSED] == 200)
        expect_status(who, &pass, NULL, text("/poll?wait=0&topic=secret/%s/a&topic=secret/b", base),
                      403);
    if (who->subscribe[OPEN] == 200 && !who->revoked)
        expect_status(who, &pass, NULL, "/poll?wait=0&topic=secret/%23", 403);
}
END_TEST

/* A poller hears it or not, and what is public after it. */
START_TEST(what_is_private_is_heard_by_right)
{
    const struct somebody *who = &everybody[_i];
    const char *base = stage_topic("private"), *topic = text("%s/a", base), *since = present(topic);
    struct pass pass;

    if (who->subscribe[OPEN] != 200)
        return;
    dress(&pass, who, base);
    if (who->hears_private) /* every worker knows by now, if only this one */
        expect_status(who, &pass, NULL, text("/poll?wait=0&topic=secret/%s/a", base), 200);
    stage_publish_private(topic, "whispered");
    stage_publish(topic, NULL, "cried");
    bool whispered = false, cried = false;
    while (!cried) {
        struct answer *a =
            ask_for(&pass, NULL, text("/poll?topic=%s&since=%s", text("%s/a", base), since));
        ck_assert_int_eq(answer_status(a), 200);
        json_error_t e;
        struct slice body = answer_body(a);
        json_t *root = json_loadb(body.at, body.len, 0, &e), *event;
        size_t i;
        ck_assert_msg(root != NULL, "%s", e.text);
        json_array_foreach(json_object_get(root, "events"), i, event)
        {
            whispered |= strcmp(member(event, "data"), "whispered") == 0;
            cried |= strcmp(member(event, "data"), "cried") == 0;
        }
        since = text("%s", member(root, "next"));
        json_decref(root);
        answer_close(a);
    }
    ck_assert_msg(whispered == who->hears_private, "%s", who->name);
}
END_TEST

/* ---- the end of a right ---------------------------------------------------------------------- */

static const char *const streams[] = { "/events?topic=", "/stream?topic=" };

/* Open it, with a token that is made anew if the machine was too slow for it. */
static struct answer *open_with(enum means means, struct pass *p, const char *target,
                                const char *base, int seconds)
{
    struct answer *a = NULL;

    for (int i = 0; i < 10; i++) {
        show(p, means,
             stage_token(subject_of(base), text("%s/# secret/%s/#", base, base), "", seconds));
        a = ask_for(p, NULL, target);
        if (answer_status(a) == 200)
            return a;
        answer_close(a);
    }
    ck_abort_msg("%s was never opened", target);
}

static void expect_401_soon(const struct pass *p, const char *target)
{
    const struct somebody gone = { .name = "whose right has ended", .revoked = true };

    expect_status(&gone, p, NULL, target, 401);
}

START_TEST(streams_end_when_revoked)
{
    const char *base = stage_topic("revoked");
    const char *target = text("%ssecret/%s/a", streams[_i / 3], base);
    static const enum means by[] = { HEADER, COOKIE, ADDRESS };
    struct pass pass;

    if (stage_traits()->gathers)
        return;
    struct answer *a = open_with(by[_i % 3], &pass, target, base, SOME_TIME);
    if (!stage_traits()->one_slot) {
        stage_publish(text("secret/%s/a", base), NULL, "while it may");
        answer_expect(a, "while it may");
    }
    stage_revoke(subject_of(base));
    if (!stage_traits()->one_slot) { /* there it may have ended before, for others to have a turn */
        answer_expect(a, "bellpush-auth");
        answer_expect(a, "\"reason\":\"revoked\"");
    }
    answer_body(a);
    answer_close(a);
    expect_401_soon(&pass, target);
    /* What is open to all is not what its bearer wants. */
    expect_401_soon(&pass, text("/poll?topic=%s/a", base));
}
END_TEST

START_TEST(streams_end_with_their_token)
{
    const char *base = stage_topic("expires");
    const char *target = text("%ssecret/%s/a", streams[_i], base);
    struct pass pass;

    if (stage_traits()->gathers)
        return;
    struct answer *a = open_with(HEADER, &pass, target, base, -28);
    if (!stage_traits()->one_slot) {
        answer_expect(a, "\"reason\":\"expiring\"");
        answer_expect(a, "\"reason\":\"expired\"");
    }
    answer_body(a);
    answer_close(a);
    expect_401_soon(&pass, target);
}
END_TEST

/* Whoever has no right, or another one, does not notice. */
START_TEST(others_go_on_when_one_is_revoked)
{
    const char *base = stage_topic("calm"), *other = stage_topic("other");
    struct pass mine, his;
    struct reader anybody;

    if (stage_traits()->gathers || stage_traits()->one_slot)
        return;
    struct answer *a = open_with(HEADER, &mine, text("/events?topic=secret/%s/a", base), base, 60);
    struct answer *b = open_with(HEADER, &his, text("/events?topic=secret/%s/a", other), other, 60);
    reader_init(&anybody, text("topic=%s/a", base));
    stage_revoke(subject_of(base));
    answer_expect(a, "\"reason\":\"revoked\"");
    answer_close(a);
    stage_publish(text("secret/%s/a", other), NULL, "still his");
    answer_expect(b, "still his");
    stage_publish(text("%s/a", base), NULL, "for all");
    reader_expect(&anybody, "for all");
    ck_assert_uint_eq(anybody.reconnects, 0);
    ck_assert(!answer_ended(b));
    answer_close(b);
    reader_fini(&anybody);
}
END_TEST

void scenarios_rights(TCase *tc)
{
    tcase_add_loop_test(tc, everybody_gets_what_is_his, 0, LENGTH(everybody));
    tcase_add_loop_test(tc, what_is_private_is_heard_by_right, 0, LENGTH(everybody));
    tcase_add_loop_test(tc, streams_end_when_revoked, 0, 6);
    tcase_add_loop_test(tc, streams_end_with_their_token, 0, LENGTH(streams));
    tcase_add_test(tc, others_go_on_when_one_is_revoked);
}
