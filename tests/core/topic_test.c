#include "core/topic.h"
#include "tests/naive.h"
#include "tests/page.h"
#include "tests/suite.h"

#include <stdlib.h>

START_TEST(topics_and_filters_are_told_apart_from_everything_else)
{
    static const struct {
        struct slice text;
        bool topic, filter;
    } cases[] = {
        { SLICE("a"), true, true },
        { SLICE("/"), true, true },
        { SLICE("a//b/"), true, true },
        { SLICE("$SYS/x"), true, true },
        { SLICE("with blank"), true, true },
        { SLICE("\xC3\xA9t\xC3\xA9/\xF0\x9F\x94\x94"), true, true },
        { SLICE(""), false, false },
        { SLICE("a\0b"), false, false },
        { SLICE("a\nb"), false, false },
        { SLICE("a\x7F"), false, false },
        { SLICE("a\xFF"), false, false },
        { SLICE("\xED\xA0\x80"), false, false },
        { SLICE("+"), false, true },
        { SLICE("#"), false, true },
        { SLICE("+/+/#"), false, true },
        { SLICE("/+"), false, true },
        { SLICE("a/+/b"), false, true },
        { SLICE("a+"), false, false },
        { SLICE("+a/b"), false, false },
        { SLICE("a/b+c/d"), false, false },
        { SLICE("++"), false, false },
        { SLICE("a#"), false, false },
        { SLICE("#/"), false, false },
        { SLICE("#/a"), false, false },
        { SLICE("a/#/b"), false, false },
        { SLICE("##"), false, false },
        { SLICE("+#"), false, false },
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct page p = page_of(cases[i].text);
        const char *topic = topic_error(p.bytes), *filter = filter_error(p.bytes);
        ck_assert_msg(!topic == cases[i].topic, "topic %zu: %s", i, topic ? topic : "fine");
        ck_assert_msg(!filter == cases[i].filter, "filter %zu: %s", i, filter ? filter : "fine");
        page_fini(&p);
    }
}
END_TEST

START_TEST(the_longest_topic_has_1024_bytes)
{
    char text[TOPIC_MAX + 1];
    memset(text, 'x', sizeof text);
    ck_assert_ptr_null(topic_error((struct slice){ text, TOPIC_MAX }));
    ck_assert_ptr_null(filter_error((struct slice){ text, TOPIC_MAX }));
    ck_assert_ptr_nonnull(topic_error((struct slice){ text, TOPIC_MAX + 1 }));
    ck_assert_ptr_nonnull(filter_error((struct slice){ text, TOPIC_MAX + 1 }));
}
END_TEST

/* The examples of MQTT 5 section 4.7. */
START_TEST(matching_is_that_of_the_standard)
{
    static const struct {
        const char *filter, *topic;
        bool matches;
    } cases[] = {
        { "sport/tennis/player1/#", "sport/tennis/player1", true },
        { "sport/tennis/player1/#", "sport/tennis/player1/ranking", true },
        { "sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true },
        { "sport/#", "sport", true },
        { "sport/#", "sports", false },
        { "#", "sport", true },
        { "#", "/", true },
        { "sport/tennis/+", "sport/tennis/player1", true },
        { "sport/tennis/+", "sport/tennis/player1/ranking", false },
        { "sport/+", "sport", false },
        { "sport/+", "sport/", true },
        { "+/+", "/finance", true },
        { "/+", "/finance", true },
        { "+", "/finance", false },
        { "#", "$SYS", false },
        { "#", "$SYS/a", false },
        { "+/monitor/Clients", "$SYS/monitor/Clients", false },
        { "$SYS/#", "$SYS/monitor", true },
        { "$SYS/#", "$SYS", true },
        { "$SYS/monitor/+", "$SYS/monitor/Clients", true },
        { "a/#", "a/$b", true },
        { "a/+", "a/$b", true },
        { "+/#", "a", true },
        { "a/b", "a/b", true },
        { "a/b", "a/B", false },
        { "a/b", "a/b/", false },
        { "a/b/", "a/b", false },
        { "ab", "a/b", false },
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct page f = page_of(slice_of(cases[i].filter)), t = page_of(slice_of(cases[i].topic));
        ck_assert_msg(topic_matches(f.bytes, t.bytes) == cases[i].matches, "%s, %s",
                      cases[i].filter, cases[i].topic);
        ck_assert_int_eq(naive_matches(f.bytes, t.bytes), cases[i].matches);
        page_fini(&f);
        page_fini(&t);
    }
}
END_TEST

/* --- everything over a small alphabet ----------------------------------------------------------
 */

enum {
    FILTER_LEVELS = 3,
    TOPIC_LEVELS =
        5, /* one level and one letter more than filters have: room for counterexamples */
    MANY = 4096,
    WORDS = MANY / 64,
};

struct all {
    size_t n;
    char text[MANY][16];
};

static struct slice nth(const struct all *all, size_t i)
{
    return slice_of(all->text[i]);
}

/* All texts of 1 to depth levels, each level one of words[], that pass. */
static void enumerate(struct all *all, const char *const *words, size_t n_words, int depth,
                      const char *(*error)(struct slice))
{
    size_t total = 1;
    for (int levels = 1; levels <= depth; levels++) {
        total *= n_words;
        for (size_t i = 0; i < total; i++) {
            char text[16] = "";
            size_t rest = i;
            for (int level = 0; level < levels; level++, rest /= n_words) {
                if (level)
                    strcat(text, "/");
                strcat(text, words[rest % n_words]);
            }
            if (error(slice_of(text)))
                continue;
            ck_assert_uint_lt(all->n, MANY);
            strcpy(all->text[all->n++], text);
        }
    }
}

static struct {
    struct all filters, topics;
    uint64_t matches[512][WORDS]; /* filter × topic */
} world;

static void make_world(void)
{
    static const char *const filter_words[] = { "a", "b", "$", "", "+", "#" };
    static const char *const topic_words[] = { "a", "b", "$", "", "c" };
    world.filters.n = world.topics.n = 0;
    memset(world.matches, 0, sizeof world.matches);
    enumerate(&world.filters, filter_words, LENGTH(filter_words), FILTER_LEVELS, filter_error);
    enumerate(&world.topics, topic_words, LENGTH(topic_words), TOPIC_LEVELS, topic_error);
    ck_assert_uint_lt(world.filters.n, LENGTH(world.matches));
    for (size_t f = 0; f < world.filters.n; f++)
        for (size_t t = 0; t < world.topics.n; t++)
            if (naive_matches(nth(&world.filters, f), nth(&world.topics, t)))
                world.matches[f][t / 64] |= UINT64_C(1) << t % 64;
}

START_TEST(matching_agrees_with_a_naive_matcher)
{
    make_world();
    for (size_t f = 0; f < world.filters.n; f++)
        for (size_t t = 0; t < world.topics.n; t++)
            ck_assert_msg(topic_matches(nth(&world.filters, f), nth(&world.topics, t)) ==
                              (world.matches[f][t / 64] >> t % 64 & 1),
                          "%s, %s", world.filters.text[f], world.topics.text[t]);
}
END_TEST

START_TEST(overlap_means_that_some_topic_matches_both)
{
    make_world();
    for (size_t a = 0; a < world.filters.n; a++) {
        for (size_t b = 0; b < world.filters.n; b++) {
            uint64_t common = 0;
            for (size_t w = 0; w < WORDS; w++)
                common |= world.matches[a][w] & world.matches[b][w];
            ck_assert_msg(filters_overlap(nth(&world.filters, a), nth(&world.filters, b)) ==
                              (common != 0),
                          "%s, %s", world.filters.text[a], world.filters.text[b]);
        }
    }
}
END_TEST

START_TEST(covering_means_that_no_topic_matches_the_inner_alone)
{
    make_world();
    for (size_t outer = 0; outer < world.filters.n; outer++) {
        for (size_t inner = 0; inner < world.filters.n; inner++) {
            uint64_t alone = 0;
            for (size_t w = 0; w < WORDS; w++)
                alone |= world.matches[inner][w] & ~world.matches[outer][w];
            ck_assert_msg(filter_covers(nth(&world.filters, outer), nth(&world.filters, inner)) ==
                              (alone == 0),
                          "%s, %s", world.filters.text[outer], world.filters.text[inner]);
        }
    }
}
END_TEST

START_TEST(filters_whose_common_topics_would_be_too_long_do_not_overlap)
{
    char left[TOPIC_MAX], right[TOPIC_MAX];
    for (size_t len = 500; len < 520; len++) { /* x…x/+ and +/y…y */
        memset(left, 'x', len);
        memcpy(left + len, "/+", 2);
        memcpy(right, "+/", 2);
        memset(right + 2, 'y', len);
        struct slice a = { left, len + 2 }, b = { right, len + 2 };
        ck_assert_int_eq(filters_overlap(a, b), len + 1 + len <= TOPIC_MAX);
        ck_assert_int_eq(filters_overlap(b, a), len + 1 + len <= TOPIC_MAX);
    }
}
END_TEST

START_TEST(wild_is_what_has_a_wildcard)
{
    ck_assert(filter_is_wild(SLICE("a/+")));
    ck_assert(filter_is_wild(SLICE("#")));
    ck_assert(!filter_is_wild(SLICE("a/b")));
}
END_TEST

START_TEST(presence_is_heard_as_its_topic)
{
    static const char *const cases[][2] = {
        { "$presence/a/b", "a/b" },
        { "$presence/#", "#" },
        { "$presence//", "/" },
        { "$presence/$presence/a", "$presence/a" },
        { "$presence/", "$presence/" },
        { "$presence", "$presence" },
        { "$presences/a", "$presences/a" },
        { "$Presence/a", "$Presence/a" },
        { "a/$presence/b", "a/$presence/b" },
        { "presence/a", "presence/a" },
    };

    for (size_t i = 0; i < LENGTH(cases); i++)
        ck_assert_msg(slice_is(topic_heard_as(slice_of(cases[i][0])), slice_of(cases[i][1])), "%s",
                      cases[i][0]);
}
END_TEST

SUITE(topic)
{
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, topics_and_filters_are_told_apart_from_everything_else);
    tcase_add_test(tc, the_longest_topic_has_1024_bytes);
    tcase_add_test(tc, matching_is_that_of_the_standard);
    tcase_add_test(tc, matching_agrees_with_a_naive_matcher);
    tcase_add_test(tc, overlap_means_that_some_topic_matches_both);
    tcase_add_test(tc, covering_means_that_no_topic_matches_the_inner_alone);
    tcase_add_test(tc, filters_whose_common_topics_would_be_too_long_do_not_overlap);
    tcase_add_test(tc, wild_is_what_has_a_wildcard);
    tcase_add_test(tc, presence_is_heard_as_its_topic);
}
