/*
 * meter_test.c - limits as a visitor meets them: 429 and when to come back, others undisturbed,
 * what is open given back; and who counts as whom.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/gate.h"
#include "core/text.h"
#include "core/wall.h"
#include "tests/handlers/loopback.h"
#include "tests/logged.h"
#include "tests/mint.h"
#include "tests/scenarios/talk.h"
#include "tests/suite.h"

#define SECRET "a secret of 32 bytes, and some mo"

static const char *const one = "203.0.113.1", *const two = "203.0.113.2";

/* Ends with NULL. */
static void open_with(const char *a, const char *b, const char *c)
{
    const char *const settings[] = { "token_key=" SECRET, a, b, c, NULL };

    loopback_open(settings);
    loopback_remote(one);
}

static struct answer *get_with(const char *target, const char *header, const char *second)
{
    const char *const headers[] = { header, second, NULL };
    return stage_ask(&(struct ask){ .target = target, .headers = headers });
}

static int status_once(struct answer *a)
{
    int status = answer_status(a);

    answer_close(a);
    return status;
}

static int ask_from(const char *address)
{
    loopback_remote(address);
    return status_once(stage_get("/poll?topic=a"));
}

/* How many requests go well, of so many. */
static int good_of(int n, const char *address)
{
    int good = 0;

    for (int i = 0; i < n; i++)
        good += ask_from(address) == 200;
    return good;
}

static const char *bearer(const char *subject)
{
    struct buf out = BUF_EMPTY;
    const char *claims =
        text("{\"sub\":\"%s\",\"exp\":%lld,\"bellpush\":{\"subscribe\":[\"own/#\"],"
             "\"publish\":[\"#\"]}}",
             subject, (long long)(wall_now_us() / 1000000 + 60));

    mint_token(&out, SLICE("{\"alg\":\"HS256\"}"), slice_of(claims), SLICE(SECRET));
    buf_putc(&out, '\0');
    const char *header = text("Authorization: Bearer %s", out.at);
    buf_fini(&out);
    return header;
}

static struct answer *post_with(const char *header, const char *second, struct slice body)
{
    const char *const headers[] = { header, second, NULL };
    return stage_ask(&(struct ask){ .method = "POST",
                                    .target = second ? "/publish" : "/publish?topic=a",
                                    .headers = headers,
                                    .body = body });
}

/* A 429 that names the setting and says when. */
static void expect_limited(struct answer *a, const char *setting)
{
    expect_problem(a, 429);
    struct slice body = answer_body(a);
    const char *after = answer_header(a, "Retry-After");
    int64_t seconds;

    ck_assert_ptr_nonnull(after);
    ck_assert_int_eq(number_parse(slice_of(after), 3600, &seconds), RC_OK);
    ck_assert_int_ge(seconds, 1);
    ck_assert_msg(memmem(body.at, body.len, setting, strlen(setting)), "no %s in %.*s", setting,
                  (int)body.len, body.at);
    answer_close(a);
}

static size_t seated(void)
{
    struct limits_view view;

    limits_look(loopback_server()->limits, &view);
    return view.seated;
}

/* ---- requests -------------------------------------------------------------------------------- */

START_TEST(the_request_after_the_last_is_429_and_another_address_undisturbed)
{
    open_with("requests_per_address=20", NULL, NULL);
    ck_assert_int_eq(good_of(20, one), 20);
    expect_limited(stage_get("/poll?topic=a"), "requests_per_address");
    expect_limited(stage_get("/nowhere"), "requests_per_address"); /* whatever it is */
    ck_assert_int_eq(good_of(20, two), 20);
    ck_assert_uint_eq(loopback_server()->stats.limited, 2);
    loopback_remote("127.0.0.1"); /* not counted: the machine itself */
    json_t *status = get_json("/status");
    ck_assert_int_eq(
        json_integer_value(json_object_get(json_object_get(status, "counts"), "limited")), 2);
    ck_assert_int_eq(
        json_integer_value(json_object_get(json_object_get(status, "limits"), "buckets")), 2);
    json_decref(status);
    struct answer *a = stage_get("/metrics");
    answer_expect(a, "bellpush_limit_buckets 2\n");
    answer_expect(a, "bellpush_limited_total 2\n");
    answer_close(a);
    loopback_close();
}
END_TEST

START_TEST(private_addresses_are_not_counted_unless_configured)
{
    open_with("requests_per_address=3", NULL, NULL);
    ck_assert_int_eq(good_of(10, "127.0.0.1"), 10);
    ck_assert_int_eq(good_of(10, "10.1.2.3"), 10);
    ck_assert_int_eq(good_of(10, "unix:"), 10);
    ck_assert_int_eq(good_of(10, "fd00::1"), 10);
    loopback_close();
    open_with("requests_per_address=3", "unlimited_addresses=203.0.113.0/24", NULL);
    ck_assert_int_eq(good_of(10, "127.0.0.1"), 3);
    ck_assert_int_eq(good_of(10, ""), 3); /* those without an address share one bucket */
    ck_assert_int_eq(good_of(10, one), 10);
    loopback_close();
}
END_TEST

START_TEST(an_ipv6_client_is_its_slash_64)
{
    open_with("requests_per_address=4", NULL, NULL);
    ck_assert_int_eq(good_of(2, "2001:db8::1"), 2);
    ck_assert_int_eq(good_of(5, "2001:db8::2"), 2);
    ck_assert_int_eq(good_of(5, "2001:db8:0:1::1"), 4);
    ck_assert_int_eq(good_of(2, one), 2);
    ck_assert_int_eq(good_of(5, text("::ffff:%s", one)), 2);
    loopback_close();
}
END_TEST

static struct answer *forwarded(const char *peer, const char *header, const char *second)
{
    loopback_remote(peer);
    return get_with("/poll?topic=a", header, second);
}

START_TEST(a_header_from_a_stranger_is_ignored)
{
    open_with("requests_per_address=5", "trusted_proxies=198.51.100.9", NULL);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(status_once(forwarded(one, text("X-Forwarded-For: 192.0.2.%d", i), NULL)),
                         200);
    expect_limited(forwarded(one, "X-Forwarded-For: 192.0.2.77", NULL), "requests_per_address");
    ck_assert_int_eq(ask_from("192.0.2.1"), 200);
    loopback_close();
}
END_TEST

START_TEST(behind_a_trusted_proxy_each_client_is_itself)
{
    static const char proxy[] = "198.51.100.9";

    open_with("requests_per_address=2", "trusted_proxies=198.51.100.0/24", NULL);
    for (int i = 0; i < 2; i++) {
        /* what the client claims is to the left, and in a line of its own */
        const char *claim = text("X-Forwarded-For: 10.0.0.%d", i);
        ck_assert_int_eq(status_once(forwarded(proxy, claim, text("X-Forwarded-For: %s", one))),
                         200);
    }
    expect_limited(forwarded(proxy, text("X-Forwarded-For: 8.8.8.8, %s", one), NULL),
                   "requests_per_address");
    expect_limited(forwarded("198.51.100.10", text("X-Forwarded-For: %s", one), NULL),
                   "requests_per_address");
    ck_assert_int_eq(status_once(forwarded(proxy, text("X-Forwarded-For: %s", two), NULL)), 200);
    /* the other header is whatever the client likes */
    expect_limited(forwarded(proxy, text("X-Forwarded-For: %s", one), "Forwarded: for=192.0.2.200"),
                   "requests_per_address");
    loopback_close();
}
END_TEST

START_TEST(another_header_may_be_the_proxys)
{
    open_with("requests_per_address=1", "trusted_proxies=unix", "forwarded_header=Forwarded");
    ck_assert_int_eq(status_once(forwarded("unix:", "Forwarded: for=192.0.2.1", NULL)), 200);
    expect_limited(forwarded("unix:", "Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.9"),
                   "requests_per_address");
    ck_assert_int_eq(status_once(forwarded("unix:", "Forwarded: for=192.0.2.2", NULL)), 200);
    loopback_close();
    open_with("requests_per_address=1", "trusted_proxies=private",
              "forwarded_header=CF-Connecting-IP");
    ck_assert_int_eq(status_once(forwarded("127.0.0.1", "CF-Connecting-IP: 192.0.2.1", NULL)), 200);
    expect_limited(forwarded("10.9.9.9", "CF-Connecting-IP: 192.0.2.1", NULL),
                   "requests_per_address");
    loopback_close();
}
END_TEST

START_TEST(a_forgotten_proxy_is_told_of_once)
{
    open_with(NULL, NULL, NULL);
    struct log *log = &loopback_server()->log;
    logged_begin(log);
    for (int i = 0; i < 3; i++)
        status_once(forwarded("10.0.0.5", "X-Forwarded-For: 192.0.2.1", NULL));
    ck_assert_int_eq(logged_count(log, "trusted_proxies"), 1);
    logged_expect(log, "10.0.0.5");
    loopback_close();
}
END_TEST

START_TEST(a_flood_of_refusals_is_a_few_lines)
{
    open_with("requests_per_address=1", NULL, NULL);
    struct log *log = &loopback_server()->log;
    logged_begin(log);
    good_of(100, one);
    int lines = logged_count(log, "limited: address 203.0.113.1 (requests_per_address)");
    ck_assert_int_ge(lines, 1);
    ck_assert_int_le(lines, 5);
    loopback_close();
}
END_TEST

/* ---- who ------------------------------------------------------------------------------------- */

START_TEST(a_subject_is_limited_wherever_it_comes_from)
{
    open_with("requests_per_subject=3", NULL, NULL);
    const char *alice = bearer("alice"), *bob = bearer("bob");

    for (int i = 0; i < 3; i++) {
        loopback_remote(text("203.0.113.%d", i));
        ck_assert_int_eq(status_once(get_with("/poll?topic=a", alice, NULL)), 200);
    }
    expect_limited(get_with("/poll?topic=a", alice, NULL), "requests_per_subject");
    ck_assert_int_eq(status_once(get_with("/poll?topic=a", bob, NULL)), 200);
    ck_assert_int_eq(ask_from(one), 200); /* nobody in particular */
    loopback_close();
}
END_TEST

START_TEST(guessing_is_dear)
{
    static const char wrong[] = "Authorization: Bearer guessed";

    open_with("requests_per_address=1000", NULL, NULL);
    for (int i = 0; i < 9; i++)
        ck_assert_int_eq(status_once(get_with("/poll?topic=a", wrong, NULL)), 401);
    ck_assert_int_eq(status_once(get_with("/status", wrong, NULL)), 200); /* masked, and paid for */
    expect_limited(get_with("/poll?topic=a", wrong, NULL), "requests_per_address");
    ck_assert_int_eq(ask_from(two), 200);
    loopback_close();
}
END_TEST

START_TEST(the_keys_holder_is_the_site_and_its_address_does_not_count)
{
    open_with("requests_per_address=3", "publishes_per_address=2", "publishes_per_key=8");
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(
            status_once(post_with("Authorization: Bearer " STAGE_KEY, NULL, SLICE("x"))), 201);
    expect_limited(post_with("Authorization: Bearer " STAGE_KEY, NULL, SLICE("x")),
                   "publishes_per_key");
    ck_assert_int_eq(good_of(5, one), 3);
    loopback_close();
}
END_TEST

static char shown[256];

static bool may(const char *who, enum verb verb, const char *name)
{
    (void)verb;
    (void)name;
    snprintf(shown, sizeof(shown), "%s", who);
    return true;
}

/* Served again, from the start, once the site has answered: still one request, and one seat. */
START_TEST(who_waits_for_the_sites_word_is_counted_once)
{
    open_with("requests_per_address=2", "requests_per_subject=2", "trusted_proxies=unix");
    const char *alice = bearer("alice");
    struct answer *open[2];

    fake_may(loopback_source(), may);
    fake_gate(loopback_source(), &(struct gate_entry){ .kind = GATE_ASK }, 1);
    loopback_settle();
    loopback_remote("unix:");
    for (size_t i = 0; i < LENGTH(open); i++) {
        open[i] =
            get_with(text("/events?topic=secret/%zu", i), alice, "X-Forwarded-For: 192.0.2.1");
        ck_assert_int_eq(answer_status(open[i]), 200);
    }
    ck_assert_uint_eq(fake_asked(loopback_source()), 2);
    ck_assert_ptr_nonnull(strstr(shown, "\"address\":\"192.0.2.1\"")); /* the client's */
    ck_assert_uint_eq(seated(), 1);
    expect_limited(get_with("/poll?topic=a", "X-Forwarded-For: 192.0.2.1", NULL),
                   "requests_per_address");
    expect_limited(get_with("/poll?topic=a", alice, "X-Forwarded-For: 192.0.2.2"),
                   "requests_per_subject");
    for (size_t i = 0; i < LENGTH(open); i++)
        answer_close(open[i]);
    ck_assert_uint_eq(seated(), 0);
    loopback_close();
}
END_TEST

/* ---- publishes ------------------------------------------------------------------------------- */

START_TEST(events_are_counted_and_not_requests)
{
    static const char json[] = "Content-Type: application/json";
    struct slice three = SLICE("[{\"topic\":\"a\",\"data\":1},{\"topic\":\"a\",\"data\":2},"
                               "{\"topic\":\"a\",\"data\":3}]");

    open_with("publishes_per_address=5", NULL, NULL);
    const char *alice = bearer("alice");
    ck_assert_int_eq(status_once(post_with(alice, json, three)), 201);
    expect_limited(post_with(alice, json, three), "publishes_per_address");
    for (int i = 0; i < 2; i++) /* what was refused was not taken */
        ck_assert_int_eq(status_once(post_with(alice, NULL, SLICE("x"))), 201);
    expect_limited(post_with(alice, NULL, SLICE("x")), "publishes_per_address");
    ck_assert_uint_eq(loopback_server()->stats.published, 5);
    loopback_close();
}
END_TEST

START_TEST(bytes_are_counted_for_a_subject)
{
    open_with("publish_bytes_per_subject=10", NULL, NULL);
    const char *alice = bearer("alice"), *bob = bearer("bob");

    ck_assert_int_eq(status_once(post_with(alice, NULL, SLICE("12345"))), 201);
    ck_assert_int_eq(status_once(post_with(alice, NULL, SLICE("12345"))), 201);
    expect_limited(post_with(alice, NULL, SLICE("1")), "publish_bytes_per_subject");
    ck_assert_int_eq(status_once(post_with(bob, NULL, SLICE("1234567890123"))), 201);
    expect_limited(post_with(bob, NULL, SLICE("1")), "publish_bytes_per_subject");
    loopback_close();
}
END_TEST

/* ---- open ------------------------------------------------------------------------------------ */

START_TEST(what_is_open_is_limited_and_given_back)
{
    const char *targets[] = { "/events?topic=a", "/stream?topic=a", NULL };
    struct answer *open[LENGTH(targets)];

    open_with("open_per_address=3", NULL, NULL);
    for (int round = 0; round < 3; round++) {
        targets[2] = text("/poll?topic=a&since=%s", present("a"));
        for (size_t i = 0; i < LENGTH(targets); i++)
            open[i] = stage_get(targets[i]);
        loopback_settle();
        ck_assert_uint_eq(loopback_server()->open_count, LENGTH(targets));
        for (size_t i = 0; i < LENGTH(targets); i++)
            expect_limited(stage_get(targets[i]), "open_per_address");
        loopback_remote(two);
        ck_assert_int_eq(status_once(stage_get("/events?topic=a")), 200);
        loopback_remote(one);
        ck_assert_uint_eq(seated(), 1);
        if (round == 0) { /* the poll ends by itself */
            stage_publish("a", NULL, "x");
            (void)answer_body(open[2]);
            ck_assert_int_eq(status_once(stage_get("/events?topic=a")), 200);
        }
        if (round == 1) { /* the server ends them */
            loopback_server()->draining = true;
            server_drain(loopback_server());
            for (size_t i = 0; i < LENGTH(targets); i++)
                (void)answer_body(open[i]);
            loopback_server()->draining = false;
            ck_assert_uint_eq(seated(), 0);
        }
        for (size_t i = 0; i < LENGTH(targets); i++)
            answer_close(open[i]);
        ck_assert_uint_eq(seated(), 0);
    }
    loopback_close();
}
END_TEST

START_TEST(a_reply_that_cannot_be_written_gives_its_seat_back)
{
    open_with("open_per_address=1", NULL, NULL);
    struct answer *a = stage_get("/events?topic=a");

    answer_status(a);
    loopback_break(a);
    stage_publish("a", NULL, "x");
    loopback_settle();
    ck_assert_uint_eq(seated(), 0);
    ck_assert_int_eq(status_once(stage_get("/events?topic=a")), 200);
    loopback_close();
}
END_TEST

START_TEST(what_is_refused_after_it_was_seated_gives_its_seat_back)
{
    open_with("open_per_address=5", NULL, NULL);
    struct server *s = loopback_server();
    struct answer *a = stage_get("/events?topic=a");

    answer_status(a);
    s->max_open = 1; /* full */
    loopback_remote(two);
    expect_problem_once(stage_get("/events?topic=a"), 503);
    expect_problem_once(stage_get("/poll?topic=a"), 503);
    ck_assert_uint_eq(seated(), 1);
    s->max_open = 0;
    answer_close(a);
    ck_assert_uint_eq(seated(), 0);
    loopback_close();
}
END_TEST

START_TEST(a_subject_has_so_many_open_wherever_it_is)
{
    open_with("open_per_subject=1", NULL, NULL);
    const char *alice = bearer("alice");
    struct answer *a = get_with("/events?topic=a", alice, NULL);

    ck_assert_int_eq(answer_status(a), 200);
    loopback_remote(two);
    expect_limited(get_with("/events?topic=a", alice, NULL), "open_per_subject");
    ck_assert_uint_eq(seated(), 2); /* her, and her first address: not the second */
    ck_assert_int_eq(status_once(get_with("/events?topic=a", bearer("bob"), NULL)), 200);
    answer_close(a);
    ck_assert_int_eq(status_once(get_with("/events?topic=a", alice, NULL)), 200);
    ck_assert_uint_eq(seated(), 0);
    loopback_close();
}
END_TEST

START_TEST(no_address_has_more_than_half_of_what_there_is)
{
    open_with(NULL, NULL, NULL);
    loopback_server()->max_open = 6;
    struct answer *open[3];

    for (size_t i = 0; i < LENGTH(open); i++)
        ck_assert_int_eq(answer_status(open[i] = stage_get("/events?topic=a")), 200);
    expect_limited(stage_get("/events?topic=a"), "open_per_address");
    for (size_t i = 0; i < LENGTH(open); i++)
        answer_close(open[i]);
    loopback_close();
}
END_TEST

/* ---- and the rest ---------------------------------------------------------------------------- */

START_TEST(a_page_of_another_origin_can_read_when_to_come_back)
{
    open_with("requests_per_address=1", NULL, NULL);
    ck_assert_int_eq(ask_from(one), 200);
    struct answer *a = get_with("/poll?topic=a", "Origin: https://app.example", NULL);
    ck_assert_str_eq(answer_header(a, "Access-Control-Allow-Origin"), "https://app.example");
    ck_assert_ptr_nonnull(strstr(answer_header(a, "Access-Control-Expose-Headers"), "Retry-After"));
    ck_assert_str_eq(answer_header(a, "Vary"), "Origin");
    expect_limited(a, "requests_per_address");
    const char *const preflight[] = { "Origin: https://app.example",
                                      "Access-Control-Request-Method: GET", NULL };
    a = stage_ask(&(struct ask){ .method = "OPTIONS", .target = "/poll", .headers = preflight });
    ck_assert_int_eq(answer_status(a), 204); /* or the page would never get to see the 429 */
    answer_close(a);
    loopback_close();
}
END_TEST

START_TEST(preflights_count)
{
    open_with("requests_per_address=3", NULL, NULL);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(
            status_once(stage_ask(&(struct ask){ .method = "OPTIONS", .target = "/poll" })), 204);
    expect_limited(stage_get("/poll?topic=a"), "requests_per_address");
    loopback_close();
}
END_TEST

START_TEST(queries_may_be_kept_shorter)
{
    open_with("max_query_bytes=64", NULL, NULL);
    ck_assert_int_eq(ask_from(one), 200);
    expect_problem_once(stage_get(text("/poll?topic=a&x=%064d", 0)), 414);
    loopback_close();
}
END_TEST

SUITE(meter)
{
    tcase_add_test(tc, the_request_after_the_last_is_429_and_another_address_undisturbed);
    tcase_add_test(tc, private_addresses_are_not_counted_unless_configured);
    tcase_add_test(tc, an_ipv6_client_is_its_slash_64);
    tcase_add_test(tc, a_header_from_a_stranger_is_ignored);
    tcase_add_test(tc, behind_a_trusted_proxy_each_client_is_itself);
    tcase_add_test(tc, another_header_may_be_the_proxys);
    tcase_add_test(tc, a_forgotten_proxy_is_told_of_once);
    tcase_add_test(tc, a_flood_of_refusals_is_a_few_lines);
    tcase_add_test(tc, a_subject_is_limited_wherever_it_comes_from);
    tcase_add_test(tc, guessing_is_dear);
    tcase_add_test(tc, the_keys_holder_is_the_site_and_its_address_does_not_count);
    tcase_add_test(tc, who_waits_for_the_sites_word_is_counted_once);
    tcase_add_test(tc, events_are_counted_and_not_requests);
    tcase_add_test(tc, bytes_are_counted_for_a_subject);
    tcase_add_test(tc, what_is_open_is_limited_and_given_back);
    tcase_add_test(tc, a_reply_that_cannot_be_written_gives_its_seat_back);
    tcase_add_test(tc, what_is_refused_after_it_was_seated_gives_its_seat_back);
    tcase_add_test(tc, a_subject_has_so_many_open_wherever_it_is);
    tcase_add_test(tc, no_address_has_more_than_half_of_what_there_is);
    tcase_add_test(tc, a_page_of_another_origin_can_read_when_to_come_back);
    tcase_add_test(tc, preflights_count);
    tcase_add_test(tc, queries_may_be_kept_shorter);
}
