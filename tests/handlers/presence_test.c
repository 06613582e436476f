/*
 * presence_test.c - GET /presence: who is on a topic, for whom, and as of which place in the log.
 */
#include "core/presence.h"

#include <stdio.h>

#include "tests/handlers/loopback.h"
#include "tests/scenarios/talk.h"
#include "tests/suite.h"

static struct server *server;
static struct source *source;

static void set_up(void)
{
    static const char *const settings[] = { "cors_origins=https://friend.example",
                                            "session_cookies=PHPSESSID", NULL };

    loopback_open(settings);
    server = loopback_server();
    source = loopback_source();
    loopback_settle();
}

START_TEST(who_is_there_and_as_of_when)
{
    fake_join(source, "chat/7", "ann", "{\"name\": \"Ann <3\"}");
    fake_join(source, "chat/7", "bob", NULL);
    fake_join(source, "chat/7", "bob", "1"); /* a second window */
    fake_join(source, "chat/8", "cid", NULL);
    loopback_settle();

    struct answer *a = stage_get("/presence?topic=chat/7");
    struct slice body = answer_body(a);
    ck_assert_int_eq(answer_status(a), 200);
    ck_assert_str_eq(answer_header(a, "content-type"), "application/json");
    ck_assert_str_eq(answer_header(a, "cache-control"), "no-store");
    ck_assert_msg(
        slice_is(
            body,
            SLICE("{\"topic\":\"chat/7\",\"id\":\"fake-3\",\"count\":2,\"members\":["
                  "{\"member\":\"ann\",\"data\":{\"name\":\"Ann \\u003c3\"},\"since\":"
                  "\"2020-09-13T12:26:40.000000Z\",\"sessions\":1},"
                  "{\"member\":\"bob\",\"data\":null,\"since\":\"2020-09-13T12:26:40.000000Z\","
                  "\"sessions\":2}]}\n")),
        "%.*s", (int)body.len, body.at);
    answer_close(a);

    a = stage_get("/presence?topic=nobody/here");
    body = answer_body(a);
    ck_assert(slice_is(
        body, SLICE("{\"topic\":\"nobody/here\",\"id\":\"fake-3\",\"count\":0,\"members\":[]}\n")));
    answer_close(a);
}
END_TEST

/* What the list does not say yet, the stream from its place on does. */
START_TEST(the_stream_goes_on_where_the_list_ends)
{
    fake_join(source, "chat/7", "ann", NULL);
    json_t *list = get_json("/presence?topic=chat/7");
    const char *target = text("/events?topic=$presence/chat/7&since=%s", member(list, "id"));
    fake_join(source, "chat/7", "bob", NULL);
    fake_leave(source, "chat/7", "ann");
    loopback_settle();
    struct answer *a = stage_get(target);
    answer_expect(a, "event: join\n");
    answer_expect(a, "{\"member\":\"bob\",\"data\":null}");
    answer_expect(a, "event: leave\n");
    answer_expect(a, "{\"member\":\"ann\",\"data\":null}");
    struct slice said = answer_so_far(a);
    const char *first = memmem(said.at, said.len, "event: ", 7);
    ck_assert_ptr_eq(first, memmem(said.at, said.len, "event: join", 11)); /* ann's is behind it */
    ck_assert_ptr_null(
        memmem(first + 7, said.len - (size_t)(first + 7 - said.at), "event: join", 11));
    answer_close(a);
    json_decref(list);
}
END_TEST

START_TEST(it_is_for_those_who_may_hear_the_topic)
{
    const char *const bearer[] = {
        text("Authorization: Bearer %s", stage_token("ann", "secret/a", "", 60)), NULL
    };
    const char *const cookie[] = { "Cookie: PHPSESSID=s1", NULL };

    expect_problem_once(stage_get("/presence?topic=secret/a"), 403);
    struct answer *a =
        stage_ask(&(struct ask){ .target = "/presence?topic=secret/a", .headers = bearer });
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
    expect_problem_once(
        stage_ask(&(struct ask){ .target = "/presence?topic=secret/b", .headers = bearer }), 403);
    expect_problem_once(
        stage_ask(&(struct ask){ .target = "/presence?topic=secret/b",
                                 .headers = (const char *[]){ "Authorization: Bearer x", NULL } }),
        401);
    stage_session("s1", "secret/b");
    a = stage_ask(&(struct ask){ .target = "/presence?topic=secret/b", .headers = cookie });
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
}
END_TEST

START_TEST(it_wants_one_topic)
{
    static const char *const wrong[] = { "/presence",
                                         "/presence?topic=a&topic=b",
                                         "/presence?topic=a/%23",
                                         "/presence?topic=%2B/a",
                                         "/presence?topic=$presence/a",
                                         "/presence?topic=",
                                         "/presence?topic=a%00" };

    for (size_t i = 0; i < LENGTH(wrong); i++)
        expect_problem_once(stage_get(wrong[i]), 400);
    struct answer *a = stage_ask(&(struct ask){ .method = "POST", .target = "/presence?topic=a" });
    ck_assert_int_eq(answer_status(a), 405);
    answer_close(a);
    a = stage_ask(&(struct ask){ .method = "HEAD", .target = "/presence?topic=a" });
    ck_assert_int_eq(answer_status(a), 200);
    ck_assert_uint_eq(answer_body(a).len, 0);
    answer_close(a);
}
END_TEST

START_TEST(pages_of_friends_may_read_it)
{
    const char *const headers[] = { "Origin: https://friend.example", NULL };
    struct answer *a =
        stage_ask(&(struct ask){ .target = "/presence?topic=a", .headers = headers });

    ck_assert_str_eq(answer_header(a, "access-control-allow-origin"), "https://friend.example");
    answer_close(a);
}
END_TEST

START_TEST(while_the_database_is_away_it_waits_and_then_gives_up)
{
    fake_away(source);
    loopback_settle();
    struct answer *a = stage_get("/presence?topic=a");
    struct answer *leaver = stage_get("/presence?topic=a");
    loopback_settle();
    ck_assert_uint_eq(server->open_count, 2);
    answer_close(leaver);
    fake_back(source);
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);

    fake_away(source);
    loopback_settle();
    expect_problem_once(stage_get("/presence?topic=a"), 503); /* after ten seconds */
    a = stage_get("/presence?topic=a");
    loopback_settle();
    server_drain(server);
    expect_problem_once(a, 503);
    fake_refuse(source, true);
    expect_problem_once(stage_get("/presence?topic=a"), 503);
}
END_TEST

static void crowd(int n)
{
    char name[16];

    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "m%04d", i);
        fake_join(source, "t", name, NULL);
    }
}

/* A page has these, from and to, and says behind whom the next one begins (NULL: there is none). */
static void expect_page(const char *parameters, size_t n, const char *first, const char *last,
                        const char *next)
{
    json_t *all = get_json(text("/presence?topic=t%s", parameters));
    json_t *members = json_object_get(all, "members");

    ck_assert_int_eq(json_integer_value(json_object_get(all, "count")), 1005);
    ck_assert_uint_eq(json_array_size(members), n);
    if (n > 0) {
        ck_assert_str_eq(member(json_array_get(members, 0), "member"), first);
        ck_assert_str_eq(member(json_array_get(members, n - 1), "member"), last);
    }
    ck_assert_pstr_eq(json_string_value(json_object_get(all, "next")), next);
    json_decref(all);
}

START_TEST(a_crowd_comes_in_pages)
{
    crowd(1005);
    expect_page("", 1000, "m0000", "m0999", "m0999");
    expect_page("&after=m0999", 5, "m1000", "m1004", NULL);
    expect_page("&limit=1005", 1000, "m0000", "m0999", "m0999"); /* never more */
    expect_page("&limit=3", 3, "m0000", "m0002", "m0002");
    expect_page("&limit=3&after=m0002", 3, "m0003", "m0005", "m0005");
    expect_page("&limit=3&after=m1001", 3, "m1002", "m1004", NULL);     /* exactly the rest */
    expect_page("&limit=1&after=m0500~", 1, "m0501", "m0501", "m0501"); /* he has left */
    expect_page("&after=m1004", 0, NULL, NULL, NULL);
    expect_problem_once(stage_get("/presence?topic=t&limit=0"), 400);
    expect_problem_once(stage_get("/presence?topic=t&limit=x"), 400);
    expect_problem_once(stage_get("/presence?topic=t&after=a&after=b"), 400);
    expect_problem_once(stage_get("/presence?topic=t&after=a%00b"), 400);
    expect_problem_once(stage_get(text("/presence?topic=t&after=%0300d", 1)), 400);
}
END_TEST

static void on_joined(struct member *m, enum rc rc, const char *why)
{
    (void)m;
    (void)rc;
    (void)why;
}

START_TEST(status_counts_the_members_of_this_process)
{
    static const struct who nobody;
    static struct member members[2];
    static struct joiner joiner;
    const char *why;

    fake_join(source, "t", "somewhere else", NULL);
    for (size_t i = 0; i < LENGTH(members); i++)
        ck_assert_int_eq(presence_join(server->presence, &joiner, &members[i],
                                       &(struct joining){ .topic = SLICE("t"),
                                                          .name = SLICE("ann"),
                                                          .who = &nobody,
                                                          .joined = on_joined },
                                       &why),
                         RC_OK);
    loopback_settle();
    json_t *all = get_json("/status");
    ck_assert_int_eq(json_integer_value(json_object_get(all, "members")), 2);
    json_decref(all);
    struct answer *a = stage_get("/metrics");
    answer_expect(a, "\nbellpush_members 2\n");
    answer_close(a);
    for (size_t i = 0; i < LENGTH(members); i++)
        presence_leave(&members[i]);
    loopback_settle();
}
END_TEST

SUITE(presence)
{
    tcase_add_checked_fixture(tc, set_up, loopback_close);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, who_is_there_and_as_of_when);
    tcase_add_test(tc, the_stream_goes_on_where_the_list_ends);
    tcase_add_test(tc, it_is_for_those_who_may_hear_the_topic);
    tcase_add_test(tc, it_wants_one_topic);
    tcase_add_test(tc, pages_of_friends_may_read_it);
    tcase_add_test(tc, while_the_database_is_away_it_waits_and_then_gives_up);
    tcase_add_test(tc, status_counts_the_members_of_this_process);
    tcase_add_test(tc, a_crowd_comes_in_pages);
}
