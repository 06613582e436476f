/*
 * query_test.c - the query string, read once: precedence, bounds, and what is nobody's business.
 */
#include <stdlib.h>

#include "core/conf.h"
#include "handlers/query.h"
#include "tests/suite.h"

static struct conf conf;
static struct query q;

static void setup(void)
{
    ck_assert_int_eq(conf_init(&conf), RC_OK);
    conf.max_topics = 3;
    conf.poll_wait_ms = 25000;
    conf.poll_limit = 100;
}

static void teardown(void)
{
    conf_fini(&conf);
}

static enum rc parse(const char *text, const char *last_event_id)
{
    /* Right-sized copies, so that ASan sees a step too far. */
    size_t len = strlen(text);
    char *copy = malloc(len ? len : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, len);
    enum rc rc = query_parse(&q, (struct slice){ copy, len }, slice_of(last_event_id), &conf);
    free(copy); /* the query must not point into it */
    return rc;
}

#define EXPECT(text, rc)                                                                           \
    do {                                                                                           \
        ck_assert_msg(parse(text, NULL) == (rc), "%s: %s", text, q.why);                           \
        query_fini(&q);                                                                            \
    } while (0)

static void expect_topic(size_t i, const char *topic)
{
    ck_assert_uint_gt(q.topic_count, i);
    ck_assert_uint_eq(q.topics[i].len, strlen(topic));
    ck_assert(memcmp(q.topics[i].at, topic, strlen(topic)) == 0);
}

START_TEST(nothing_asked_is_all_defaults)
{
    ck_assert_int_eq(parse("", NULL), RC_OK);
    ck_assert_uint_eq(q.topic_count, 0);
    ck_assert(!q.has_since);
    ck_assert_int_eq(q.since.kind, SINCE_NOW);
    ck_assert_int_eq(q.wait_ms, -1);
    ck_assert_int_eq(q.limit, INT32_MAX);
    ck_assert_int_eq(q.format, FORMAT_NONE);
    query_fini(&q);
}
END_TEST

START_TEST(topics_repeat_and_are_decoded_but_plus_is_plus)
{
    ck_assert_int_eq(parse("topic=a/+/b&x=1&%74opic=%23&topic=a,b%20c", NULL), RC_OK);
    ck_assert_uint_eq(q.topic_count, 3);
    expect_topic(0, "a/+/b");
    expect_topic(1, "#");
    expect_topic(2, "a,b c");
    query_fini(&q);
}
END_TEST

START_TEST(bounds_hold)
{
    EXPECT("topic=1&topic=2&topic=3", RC_OK);
    EXPECT("topic=1&topic=2&topic=3&topic=4", RC_SYNTAX);

    char *text = malloc(QUERY_MAX + 2);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', QUERY_MAX + 1);
    text[QUERY_MAX] = '\0';
    EXPECT(text, RC_OK);
    text[QUERY_MAX] = 'x';
    text[QUERY_MAX + 1] = '\0';
    EXPECT(text, RC_LIMIT);
    free(text);

    char word[sizeof("type=") + QUERY_WORD_MAX + 1] = "type=";
    memset(word + 5, 'x', QUERY_WORD_MAX);
    EXPECT(word, RC_OK);
    word[5 + QUERY_WORD_MAX] = 'x';
    EXPECT(word, RC_SYNTAX);
}
END_TEST

START_TEST(waits_are_pulled_into_what_is_configured_and_limits_are_their_handlers)
{
    ck_assert_int_eq(parse("wait=3&limit=7", NULL), RC_OK);
    ck_assert_int_eq(q.wait_ms, 3000);
    ck_assert_int_eq(q.limit, 7);
    query_fini(&q);
    ck_assert_int_eq(parse("wait=3600&limit=99999", NULL), RC_OK);
    ck_assert_int_eq(q.wait_ms, 25000);
    ck_assert_int_eq(q.limit, 99999);
    query_fini(&q);
    EXPECT("wait=", RC_SYNTAX);
    EXPECT("wait=2.5", RC_SYNTAX);
    EXPECT("wait=99999999999999999999", RC_SYNTAX);
    EXPECT("limit=0", RC_SYNTAX);
    EXPECT("limit=-1", RC_SYNTAX);
}
END_TEST

START_TEST(since_knows_its_forms)
{
    static const struct {
        const char *text;
        enum since_kind kind;
        int64_t ago_ms;
    } good[] = {
        { "since=now", SINCE_NOW, 0 },         { "since=earliest", SINCE_EARLIEST, 0 },
        { "since=-30s", SINCE_TIME, 30000 },   { "since=-10m", SINCE_TIME, 600000 },
        { "since=-2h", SINCE_TIME, 7200000 },  { "since=-1d", SINCE_TIME, 86400000 },
        { "since=epoch-17", SINCE_CURSOR, 0 },
    };
    for (size_t i = 0; i < LENGTH(good); i++) {
        ck_assert_int_eq(parse(good[i].text, NULL), RC_OK);
        ck_assert(q.has_since);
        ck_assert_int_eq(q.since.kind, good[i].kind);
        if (good[i].kind == SINCE_TIME)
            ck_assert_int_eq(q.since.ago_ms, good[i].ago_ms);
        query_fini(&q);
    }
    EXPECT("since=-10", RC_SYNTAX);
    EXPECT("since=10m", RC_SYNTAX);
    EXPECT("since=-", RC_SYNTAX);
    EXPECT("since=-m", RC_SYNTAX);
    EXPECT("since=-99999d", RC_SYNTAX);
    EXPECT("since=Now", RC_SYNTAX);
    EXPECT("since=a-b", RC_SYNTAX);
}
END_TEST

START_TEST(header_then_last_event_id_then_since)
{
    static const char *const orders[] = { "last_event_id=e-2&since=e-3",
                                          "since=e-3&last_event_id=e-2" };
    for (size_t i = 0; i < LENGTH(orders); i++) {
        ck_assert_int_eq(parse(orders[i], "e-1"), RC_OK);
        ck_assert_int_eq(q.since.cursor.seq, 1);
        query_fini(&q);
        ck_assert_int_eq(parse(orders[i], NULL), RC_OK);
        ck_assert_int_eq(q.since.cursor.seq, 2);
        query_fini(&q);
        ck_assert_int_eq(parse(orders[i], ""), RC_OK); /* an empty one says nothing */
        ck_assert_int_eq(q.since.cursor.seq, 2);
        query_fini(&q);
    }
    ck_assert_int_eq(parse("last_event_id=&since=e-3", NULL), RC_OK);
    ck_assert_int_eq(q.since.cursor.seq, 3);
    query_fini(&q);
    EXPECT("last_event_id=e-2&since=nonsense", RC_SYNTAX); /* wrong even where it is not needed */
}
END_TEST

START_TEST(foreign_last_event_id_is_no_error)
{
    ck_assert_int_eq(parse("", "\xff\xfe not ours"), RC_OK);
    ck_assert_int_eq(q.since.kind, SINCE_FOREIGN);
    ck_assert(q.has_since);
    query_fini(&q);
    ck_assert_int_eq(parse("last_event_id=17", NULL), RC_OK);
    ck_assert_int_eq(q.since.kind, SINCE_FOREIGN);
    query_fini(&q);
}
END_TEST

START_TEST(single_parameters_stand_once)
{
    static const char *const twice[] = {
        "since=now&since=now",   "wait=1&wait=1",
        "limit=1&limit=1",       "format=raw&format=raw",
        "callback=a&callback=a", "last_event_id=&last_event_id=",
        "type=a&%74ype=a",       "id=a&id=a",
        "expires=1s&expires=1s", "after=a&after=a",
    };
    for (size_t i = 0; i < LENGTH(twice); i++)
        EXPECT(twice[i], RC_SYNTAX);
}
END_TEST

START_TEST(what_is_not_ours_is_ignored_however_odd)
{
    EXPECT("&&&=&=x&%&%zz=1&a=%&topics=%ff&_=1&_=1", RC_OK);
    EXPECT("topic=%", RC_SYNTAX);
    EXPECT("topic=%c3%28", RC_SYNTAX);
    EXPECT("type=%00", RC_SYNTAX);
    EXPECT("id=%7f", RC_SYNTAX);
}
END_TEST

START_TEST(callbacks_are_names)
{
    static const char *const good[] = { "a", "_", "$", "a.b", "jQuery123_456", "a1.b2.c$" };
    static const char *const bad[] = { "",     ".",        "a.",   ".a",   "a..b", "1a",
                                       "a.1b", "a b",      "a(b)", "a[0]", "a;b",  "a\nb",
                                       "a-b",  "\xc3\xa4", "a/b",  "a'",   "<b>" };
    for (size_t i = 0; i < LENGTH(good); i++)
        ck_assert_msg(query_callback_ok(slice_of(good[i])), "%s", good[i]);
    for (size_t i = 0; i < LENGTH(bad); i++)
        ck_assert_msg(!query_callback_ok(slice_of(bad[i])), "%s", bad[i]);
    char longest[QUERY_CALLBACK_MAX + 1];
    memset(longest, 'a', sizeof(longest));
    ck_assert(query_callback_ok((struct slice){ longest, QUERY_CALLBACK_MAX }));
    ck_assert(!query_callback_ok((struct slice){ longest, QUERY_CALLBACK_MAX + 1 }));
}
END_TEST

START_TEST(cut_anywhere_it_is_still_safe)
{
    const char *whole = "topic=a%2Fb&topic=%23&since=-10m&wait=5&limit=3&callback=a.b&format=json&"
                        "padding=1&type=x%20y&id=%C3%A4&retain=1&private=0&expires=1h";
    for (size_t len = 0; len <= strlen(whole); len++) {
        char cut[256];
        memcpy(cut, whole, len);
        cut[len] = '\0';
        enum rc rc = parse(cut, NULL);
        ck_assert(rc == RC_OK || (rc == RC_SYNTAX && q.why[0]));
        query_fini(&q);
    }
}
END_TEST

SUITE(query)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, nothing_asked_is_all_defaults);
    tcase_add_test(tc, topics_repeat_and_are_decoded_but_plus_is_plus);
    tcase_add_test(tc, bounds_hold);
    tcase_add_test(tc, waits_are_pulled_into_what_is_configured_and_limits_are_their_handlers);
    tcase_add_test(tc, since_knows_its_forms);
    tcase_add_test(tc, header_then_last_event_id_then_since);
    tcase_add_test(tc, foreign_last_event_id_is_no_error);
    tcase_add_test(tc, single_parameters_stand_once);
    tcase_add_test(tc, what_is_not_ours_is_ignored_however_odd);
    tcase_add_test(tc, callbacks_are_names);
    tcase_add_test(tc, cut_anywhere_it_is_still_safe);
}
