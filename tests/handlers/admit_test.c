/*
 * admit_test.c - tokens, cookies and the site's own word at the door of every handler; and streams
 * that end with their right.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/gate.h"
#include "core/wall.h"
#include "tests/handlers/loopback.h"
#include "tests/mint.h"
#include "tests/scenarios/talk.h"
#include "tests/suite.h"

#define SECRET "a secret of 32 bytes, and some mo"

static struct server *server;
static struct source *source;

static void open_with(const char *more)
{
    const char *const settings[] = { "token_key=" SECRET,
                                     "token_cookie=bell",
                                     "session_cookies=PHPSESSID, other",
                                     "cors_origins=https://friend.example",
                                     more,
                                     NULL };

    loopback_open(settings);
    server = loopback_server();
    source = loopback_source();
}

static void setup(void)
{
    open_with(NULL);
}

/* A token good from now for so many seconds (the leeway not counted). */
static const char *token_for(const char *subscribe, const char *publish, int seconds)
{
    struct buf out = BUF_EMPTY;
    double now = (double)wall_now_us() / 1e6;
    const char *claims =
        text("{\"sub\":\"alice\",\"jti\":\"j1\",\"iat\":%.6f,\"exp\":%.6f,"
             "\"bellpush\":{\"subscribe\":[%s],\"publish\":[%s],\"payload\":{\"n\":1}}}",
             now - 100, now + seconds, subscribe, publish);

    mint_token(&out, SLICE("{\"alg\":\"HS256\"}"), slice_of(claims), SLICE(SECRET));
    buf_putc(&out, '\0');
    const char *token = text("%s", out.at);
    buf_fini(&out);
    return token;
}

static struct answer *get_as(const char *target, const char *header)
{
    const char *const headers[] = { header, NULL };
    return stage_ask(&(struct ask){ .target = target, .headers = header ? headers : NULL });
}

static struct answer *post_as(const char *target, const char *const *headers)
{
    return stage_ask(&(struct ask){
        .method = "POST", .target = target, .headers = headers, .body = SLICE("x") });
}

static void commit(const char *topic, const char *data, bool is_private)
{
    struct draft d = { .topic = slice_of(topic), .data = slice_of(data), .is_private = is_private };
    fake_commit(source, &d, 1);
}

/* ---- hearing --------------------------------------------------------------------------------- */

START_TEST(a_token_opens_what_is_closed_and_nothing_else)
{
    const char *bearer = text("Authorization: Bearer %s", token_for("\"secret/a/#\"", "", 60));

    expect_problem_once(get_as("/poll?topic=secret/a/1", NULL), 403);
    expect_problem_once(get_as("/poll?topic=secret/b", bearer), 403);
    expect_problem_once(get_as("/poll?topic=secret/%23", bearer), 403);
    ck_assert_uint_eq(server->stats.denied, 3);
    struct answer *a = get_as("/events?topic=secret/a/%2B", bearer);
    ck_assert_int_eq(answer_status(a), 200);
    commit("secret/b", "not for her", false);
    commit("secret/a/1", "for her", false);
    answer_expect(a, "data: for her");
    answer_close(a);
}
END_TEST

START_TEST(private_events_are_for_holders_of_the_right)
{
    const char *bearer = text("Authorization: Bearer %s", token_for("\"a/#\"", "", 60));
    struct answer *hers = get_as("/events?topic=%23", bearer),
                  *anybody = get_as("/events?topic=%23", NULL);

    answer_status(hers);
    answer_status(anybody);
    commit("b/1", "private elsewhere", true);
    commit("a/1", "private to a", true);
    commit("b/1", "public", false);
    answer_expect(hers, "data: private to a");
    answer_expect(hers, "data: public");
    answer_expect(anybody, "data: public");
    struct slice said = answer_so_far(anybody);
    ck_assert_ptr_null(memmem(said.at, said.len, "private", 7));
    said = answer_so_far(hers);
    ck_assert_ptr_null(memmem(said.at, said.len, "elsewhere", 9));
    answer_close(hers);
    answer_close(anybody);
}
END_TEST

START_TEST(what_is_no_good_is_401_and_never_nothing)
{
    const char *expired = token_for("\"#\"", "", -31), *good = token_for("\"#\"", "", 60);
    const char *const headers[] = {
        "Authorization: Bearer nonsense",          "Authorization: Bearer a.b.c",
        text("Authorization: Bearer %s", expired), text("Authorization: Bearer %sx", good),
        text("Cookie: bell=%s", expired),          "Cookie: bell=nonsense",
    };
    static const char *const targets[] = { "/events?topic=a", "/poll?topic=a", "/stream?topic=a" };

    for (size_t i = 0; i < LENGTH(headers); i++)
        for (size_t j = 0; j < LENGTH(targets); j++) {
            struct answer *a = get_as(targets[j], headers[i]);
            expect_problem(a, 401);
            ck_assert_ptr_nonnull(strstr(answer_header(a, "WWW-Authenticate"), "invalid_token"));
            answer_close(a);
        }
    /* Twice the cookie: nobody can say which is ours, so it counts for none. */
    struct answer *a = get_as("/poll?topic=secret/a", text("Cookie: bell=%s; bell=%s", good, good));
    expect_problem_once(a, 403);
    a = get_as("/poll?topic=a", "Authorization: Basic YTpi");
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
    a = get_as("/status", "Authorization: Bearer nonsense"); /* everybody may see it */
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
}
END_TEST

START_TEST(a_token_in_the_address_counts_only_where_it_may)
{
    const char *target = text("/poll?topic=secret/a&access_token=%s", token_for("\"#\"", "", 60));

    expect_problem_once(get_as(target, NULL), 401);
    loopback_close();
    open_with("token_in_query=yes");
    struct answer *a = get_as(target, NULL);
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
    expect_problem_once(get_as("/poll?topic=a&access_token=", NULL), 401);
    expect_problem_once(get_as("/poll?topic=a&access_token=%FF", NULL), 401);
}
END_TEST

START_TEST(jsonp_does_not_go_with_cookies)
{
    const char *cookie = text("Cookie: x=1; bell=%s", token_for("\"secret/#\"", "", 60));

    expect_problem_once(get_as("/poll?topic=secret/a&callback=f", cookie), 403);
    struct answer *a = get_as("/poll?topic=secret/a", cookie);
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
    a = get_as("/poll?topic=a&callback=f", "Cookie: x=1");
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
}
END_TEST

/* ---- the end of a right ------------------------------------------------------------------------
 */

static const struct {
    const char *target, *expired, *end;
} faces_of_the_end[] = {
    { "/events?topic=secret/a",
      "event: bellpush-auth\ndata: {\"type\":\"bellpush-auth\",\"reason\":\"expired\"",
      "the stream ends (expired)" },
    { "/events?topic=secret/a&format=json",
      "event: bellpush-auth\ndata: {\"type\":\"bellpush-auth\",\"reason\":\"expired\"",
      "the stream ends (expired)" },
    { "/stream?topic=secret/a", "{\"type\":\"bellpush-auth\",\"reason\":\"expired\"",
      "\"type\":\"bellpush-end\",\"reason\":\"expired\"" },
    { "/stream?topic=secret/a&format=frame&callback=f",
      "b({\"type\":\"bellpush-auth\",\"reason\":\"expired\"", "\"reason\":\"expired\"" },
    { "/poll?topic=secret/a&since=now", "{\"type\":\"bellpush-auth\",\"reason\":\"expired\"",
      "\"next\":" },
};

START_TEST(a_stream_ends_when_its_token_does)
{
    /* 30 seconds of leeway: there is one second left. */
    const char *bearer = text("Authorization: Bearer %s", token_for("\"secret/#\"", "", -29));
    struct answer *a = get_as(faces_of_the_end[_i].target, bearer);

    ck_assert_int_eq(answer_status(a), 200);
    if (strncmp(faces_of_the_end[_i].target, "/poll", 5) != 0)
        answer_expect(a, "\"reason\":\"expiring\",\"expires\":\"20");
    answer_expect(a, faces_of_the_end[_i].expired);
    answer_expect(a, faces_of_the_end[_i].end);
    answer_body(a);
    answer_close(a);
    expect_problem_once(get_as(faces_of_the_end[_i].target, bearer), 401);
}
END_TEST

START_TEST(a_revocation_ends_what_is_open)
{
    const char *bearer = text("Authorization: Bearer %s", token_for("\"secret/#\"", "", 60));
    struct answer *stream = get_as("/events?topic=secret/a", bearer);
    struct answer *poll = get_as("/poll?topic=secret/a&since=now", bearer);
    struct answer *other = get_as("/events?topic=a", NULL);
    struct gate_entry revoked = { .kind = _i ? GATE_TOKEN : GATE_SUBJECT,
                                  .name = _i ? SLICE("j1") : SLICE("alice"),
                                  .at_us = wall_now_us() };

    answer_status(stream);
    answer_status(other);
    loopback_settle();
    fake_gate(source, &revoked, 1);
    answer_expect(stream, "\"reason\":\"revoked\"");
    answer_expect(stream, "the stream ends (revoked)");
    answer_body(stream);
    answer_expect(poll, "\"reason\":\"revoked\"");
    answer_body(poll);
    expect_problem_once(get_as("/events?topic=secret/a", bearer), 401);
    commit("a", "goes on", false);
    answer_expect(other, "goes on");
    answer_close(stream);
    answer_close(poll);
    answer_close(other);
}
END_TEST

/* ---- publishing
 * ---------------------------------------------------------------------------------- */

START_TEST(a_token_publishes_where_it_may)
{
    const char *bearer = text("Authorization: Bearer %s", token_for("", "\"chat/+\",\"$x/#\"", 60));
    const char *const headers[] = { bearer, "Content-Type: text/plain", NULL };
    const char *const json[] = { bearer, "Content-Type: application/json", NULL };

    struct answer *a = post_as("/publish?topic=chat/1", headers);
    ck_assert_int_eq(answer_status(a), 201);
    answer_close(a);
    expect_problem_once(post_as("/publish?topic=chat", headers), 403);
    expect_problem_once(post_as("/publish?topic=$x/1", headers), 403); /* the system's own */
    a = stage_ask(&(struct ask){ .method = "POST",
                                 .target = "/publish",
                                 .headers = json,
                                 .body = SLICE("[{\"topic\":\"chat/1\",\"data\":\"x\"},"
                                               "{\"topic\":\"b\",\"data\":\"y\"}]") });
    expect_problem(a, 403);
    answer_expect(a, "event 1: ");
    answer_close(a);
    ck_assert_uint_eq(server->stats.published, 1);
}
END_TEST

START_TEST(a_cookie_publishes_only_from_here)
{
    static const struct {
        const char *header;
        int status;
    } from[] = {
        { "Origin: https://shop.example", 201 },
        { "Origin: https://SHOP.example", 201 },
        { "Origin: https://friend.example", 201 },
        { "Referer: https://shop.example/page?x=https://evil.example", 201 },
        { "Origin: https://evil.example", 403 },
        { "Origin: https://shop.example.evil.example", 403 },
        { "Origin: https://shop.example:8443", 403 },
        { "Origin: null", 403 },
        { "Referer: https://evil.example/https://shop.example/", 403 },
        { "Referer: nonsense", 403 },
        { "X-Nothing: said", 403 },
    };
    const char *cookie = text("Cookie: bell=%s", token_for("", "\"a\"", 60));

    for (size_t i = 0; i < LENGTH(from); i++) {
        const char *const headers[] = { cookie, "Host: shop.example", from[i].header,
                                        "Content-Type: text/plain", NULL };
        struct answer *a = post_as("/publish?topic=a", headers);
        ck_assert_msg(answer_status(a) == from[i].status, "%s: %d", from[i].header,
                      answer_status(a));
        answer_close(a);
    }
}
END_TEST

/* ---- the site's own word
 * --------------------------------------------------------------------------- */

static char seen[512];

static bool may(const char *who, enum verb verb, const char *name)
{
    snprintf(seen, sizeof(seen), "%s", who);
    return strstr(who, "\"PHPSESSID\":\"s1\"") && strncmp(name, "secret/7", 8) == 0 &&
           (verb == VERB_SUBSCRIBE || strcmp(name, "secret/7/chat") == 0);
}

static void ask_the_site(void)
{
    struct gate_entry ask = { .kind = GATE_ASK };

    fake_may(source, may);
    fake_gate(source, &ask, 1);
    loopback_settle();
}

START_TEST(a_session_cookie_decides_without_any_token)
{
    const char *cookie = "Cookie: lang=de; PHPSESSID=s1; other=\"quoted\"";

    ask_the_site();
    struct answer *a = get_as("/events?topic=secret/7/orders", cookie);
    ck_assert_int_eq(answer_status(a), 200);
    ck_assert_str_eq(seen, "{\"subject\":\"\",\"address\":\"127.0.0.1\",\"cookies\":{\"PHPSESSID\":"
                           "\"s1\",\"other\":\"quoted\"}}");
    commit("secret/7/orders", "even this", true);
    answer_expect(a, "data: even this");
    answer_close(a);
    size_t asked = fake_asked(source);
    a = get_as("/poll?topic=secret/7/orders", cookie); /* remembered */
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
    ck_assert_uint_eq(fake_asked(source), asked);
    expect_problem_once(get_as("/poll?topic=secret/8", cookie), 403);
    expect_problem_once(get_as("/poll?topic=secret/7", "Cookie: PHPSESSID=s2"), 403);
    expect_problem_once(get_as("/poll?topic=secret/7", "Cookie: lang=de"), 403);
    expect_problem_once(get_as("/poll?topic=secret/7", NULL), 403);
}
END_TEST

/* The site is asked about the topic whose members are to be heard: it knows no other. */
START_TEST(who_may_hear_a_topic_may_hear_who_is_there)
{
    const char *cookie = "Cookie: PHPSESSID=s1";
    const char *bearer = text("Authorization: Bearer %s", token_for("\"secret/a/#\"", "", 60));

    expect_problem_once(get_as("/poll?topic=$presence/secret/a/%23", NULL), 403);
    struct answer *hers = get_as("/events?topic=$presence/secret/a/%23", bearer),
                  *anybody = get_as("/events?topic=$presence/%23", NULL);
    ck_assert_int_eq(answer_status(hers), 200);
    ck_assert_int_eq(answer_status(anybody), 200);
    fake_join(source, "secret/b", "bob", NULL);
    fake_join(source, "secret/a/1", "ann", NULL);
    fake_join(source, "open", "cid", NULL);
    answer_expect(hers, "{\"member\":\"ann\",\"data\":null}");
    answer_expect(anybody, "{\"member\":\"cid\",\"data\":null}");
    struct slice said = answer_so_far(anybody);
    ck_assert_ptr_null(memmem(said.at, said.len, "ann", 3));
    said = answer_so_far(hers);
    ck_assert_ptr_null(memmem(said.at, said.len, "bob", 3));
    answer_close(hers);
    answer_close(anybody);

    ask_the_site();
    struct answer *a = get_as("/poll?topic=$presence/secret/7", cookie);
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
    size_t asked = fake_asked(source);
    a = get_as("/poll?topic=secret/7", cookie); /* it was about this that it was asked */
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
    ck_assert_uint_eq(fake_asked(source), asked);
    expect_problem_once(get_as("/poll?topic=$presence/secret/8", cookie), 403);
}
END_TEST

START_TEST(a_session_publishes_where_the_site_says)
{
    const char *const headers[] = { "Cookie: PHPSESSID=s1", "Host: h", "Origin: http://h",
                                    "Content-Type: text/plain", NULL };
    const char *const foreign[] = { "Cookie: PHPSESSID=s1", "Host: h", "Origin: http://evil",
                                    "Content-Type: text/plain", NULL };

    ask_the_site();
    struct answer *a = post_as("/publish?topic=secret/7/chat", headers);
    ck_assert_int_eq(answer_status(a), 201);
    answer_close(a);
    expect_problem_once(post_as("/publish?topic=secret/7/orders", headers), 403);
    expect_problem_once(post_as("/publish?topic=secret/7/chat", foreign), 403);
}
END_TEST

START_TEST(when_the_sites_word_may_be_another_streams_ask_again)
{
    const char *cookie = "Cookie: PHPSESSID=s1";

    ask_the_site();
    struct answer *a = get_as("/events?topic=secret/7/orders", cookie);
    ck_assert_int_eq(answer_status(a), 200);
    fake_gate(source, &(struct gate_entry){ .kind = GATE_ASK }, 1);
    answer_expect(a, "the stream ends (ask)");
    answer_body(a);
    answer_close(a);
    loopback_close();
    open_with("authorize_for=200ms");
    ask_the_site();
    a = get_as("/events?topic=secret/7/orders", cookie);
    answer_expect(a, "the stream ends (ask)");
    answer_close(a);
}
END_TEST

/* It was asked before somebody logged out, say, and answers after the workers were told so. */
START_TEST(an_answer_from_before_a_change_is_not_remembered)
{
    struct gate_entry entry = { .kind = GATE_ASK };

    ask_the_site();
    size_t asked = fake_asked(source);
    struct answer *a = get_as("/poll?topic=secret/7/orders", "Cookie: PHPSESSID=s1");
    server_gate(server, &entry, 1);
    ck_assert_int_eq(answer_status(a), 200);
    ck_assert_uint_eq(fake_asked(source), asked + 2);
    answer_close(a);
}
END_TEST

/* ---- before the database has been reached
 * --------------------------------------------------------- */

START_TEST(a_token_waits_for_the_keys_and_revocations)
{
    const char *bearer = text("Authorization: Bearer %s", token_for("\"secret/#\"", "", 60));

    loopback_close();
    fake_gate_late(true);
    open_with(NULL);
    struct answer *a = get_as("/events?topic=secret/a", bearer);
    struct answer *leaver = get_as("/poll?topic=secret/a", bearer);
    struct answer *anybody = get_as("/poll?topic=a", NULL);
    ck_assert_int_eq(answer_status(anybody), 200); /* what needs no right waits for nothing */
    loopback_settle();
    ck_assert_uint_eq(server->open_count, 2);
    ck_assert_uint_gt(server->kept_bytes, 0);
    answer_close(leaver);
    fake_gate(source, NULL, 0);
    ck_assert_int_eq(answer_status(a), 200);
    ck_assert_uint_eq(server->kept_bytes, 0);
    commit("secret/a", "at last", false);
    answer_expect(a, "data: at last");
    answer_close(a);
    answer_close(anybody);
}
END_TEST

START_TEST(who_waits_for_the_keys_is_told_when_the_process_stops)
{
    const char *bearer = text("Authorization: Bearer %s", token_for("\"secret/#\"", "", 60));

    loopback_close();
    fake_gate_late(true);
    open_with(NULL);
    struct answer *a = get_as("/events?topic=secret/a", bearer);
    loopback_settle();
    server_drain(server);
    expect_problem_once(a, 503);
}
END_TEST

SUITE(admit)
{
    tcase_add_checked_fixture(tc, setup, loopback_close);
    tcase_add_test(tc, a_token_opens_what_is_closed_and_nothing_else);
    tcase_add_test(tc, private_events_are_for_holders_of_the_right);
    tcase_add_test(tc, what_is_no_good_is_401_and_never_nothing);
    tcase_add_test(tc, a_token_in_the_address_counts_only_where_it_may);
    tcase_add_test(tc, jsonp_does_not_go_with_cookies);
    tcase_add_loop_test(tc, a_stream_ends_when_its_token_does, 0, (int)LENGTH(faces_of_the_end));
    tcase_add_loop_test(tc, a_revocation_ends_what_is_open, 0, 2);
    tcase_add_test(tc, a_token_publishes_where_it_may);
    tcase_add_test(tc, a_cookie_publishes_only_from_here);
    tcase_add_test(tc, a_session_cookie_decides_without_any_token);
    tcase_add_test(tc, who_may_hear_a_topic_may_hear_who_is_there);
    tcase_add_test(tc, a_session_publishes_where_the_site_says);
    tcase_add_test(tc, when_the_sites_word_may_be_another_streams_ask_again);
    tcase_add_test(tc, an_answer_from_before_a_change_is_not_remembered);
    tcase_add_test(tc, a_token_waits_for_the_keys_and_revocations);
    tcase_add_test(tc, who_waits_for_the_keys_is_told_when_the_process_stops);
}
