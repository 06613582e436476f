/*
 * hub_test.c - who is told, what that costs, and what the hub says of itself.
 */
#include "core/hub.h"
#include "core/topic.h"
#include "tests/core/ear.h"
#include "tests/core/memory.h"
#include "tests/naive.h"
#include "tests/suite.h"

#include <stdio.h>
#include <stdlib.h>

/* --- who is told --------------------------------------------------------------------------- */

START_TEST(those_are_told_whose_filter_matches)
{
    static const char *const filters[] = { "a/b",   "a/+",   "a/#",    "#",     "+/b", "+", "a",
                                           "a/b/#", "a/b/c", "$SYS/#", "+/+/+", "a/",  "/" };
    static const char *const topics[] = {
        "a/b", "a", "a/b/c", "$SYS/x", "b", "a/", "/", "//", "$"
    };
    struct hub *hub = hub_new();
    struct ear ears[LENGTH(filters)] = { 0 };
    for (size_t i = 0; i < LENGTH(filters); i++)
        ear_listen(hub, &ears[i], filters[i]);
    for (size_t t = 0; t < LENGTH(topics); t++) {
        size_t expected = 0;
        for (size_t i = 0; i < LENGTH(filters); i++)
            ears[i].heard = 0;
        size_t told = ear_tell(hub, topics[t]);
        for (size_t i = 0; i < LENGTH(filters); i++) {
            bool matches = naive_matches(slice_of(filters[i]), slice_of(topics[t]));
            ck_assert_msg(ears[i].heard == matches, "%s, %s", filters[i], topics[t]);
            ck_assert(hub_wants(hub, &ears[i].sub, slice_of(topics[t])) == matches);
            expected += matches;
        }
        ck_assert_uint_eq(told, expected);
    }
    for (size_t i = 0; i < LENGTH(filters); i++)
        hub_unsubscribe(hub, &ears[i].sub);
    ear_close_hub(hub);
}
END_TEST

START_TEST(overlapping_filters_of_one_subscriber_tell_it_once)
{
    struct slice filters[] = { SLICE("a/b"), SLICE("a/+"), SLICE("#"), SLICE("a/b"), SLICE("a/#") };
    struct hub *hub = hub_new();
    struct ear ear = { .sub.deliver = ear_on_run };
    ck_assert_int_eq(hub_subscribe(hub, &ear.sub, filters, LENGTH(filters)), RC_OK);
    ck_assert_uint_eq(ear_tell(hub, "a/b"), 1);
    ck_assert_uint_eq(ear.heard, 1);
    ck_assert_uint_eq(ear_tell(hub, "a/b"), 1); /* the same number again is another event */
    ck_assert_uint_eq(ear.heard, 2);
    ck_assert_uint_eq(hub_filters(hub), 4);
    ck_assert_uint_eq(hub_subscribers(hub), 1);

    struct buf b = BUF_EMPTY;
    size_t n = 0;
    while (hub_filter(hub, &ear.sub, n, &b)) {
        buf_putc(&b, ' ');
        n++;
    }
    ck_assert(slice_is(buf_slice(&b), SLICE("a/b a/+ # a/# ")));
    buf_fini(&b);
    hub_unsubscribe(hub, &ear.sub);
    hub_unsubscribe(hub, &ear.sub); /* nothing happens */
    ck_assert(!hub_wants(hub, &ear.sub, SLICE("a/b")));
    ck_assert(!hub_filter(hub, &ear.sub, 0, &b));
    ear_close_hub(hub);
}
END_TEST

/* A random crowd that comes and goes, against a list of filters and the naive matcher. */
START_TEST(a_crowd_that_comes_and_goes_hears_what_it_should)
{
    enum { CROWD = 60, ROUNDS = 4000, FILTERS = 3 };
    static const char *const words[] = { "a", "b", "", "$x", "+", "+" };
    static struct {
        struct ear ear;
        size_t n;
        char filters[FILTERS][32];
    } crowd[CROWD];
    struct hub *hub = hub_new();
    srand(7);
    for (int round = 0; round < ROUNDS; round++) {
        size_t who = (size_t)rand() % CROWD;
        if (crowd[who].n > 0) {
            hub_unsubscribe(hub, &crowd[who].ear.sub);
            crowd[who].n = 0;
        } else {
            struct slice slices[FILTERS];
            crowd[who].n = 1 + (size_t)rand() % FILTERS;
            for (size_t i = 0; i < crowd[who].n; i++) {
                char *text = crowd[who].filters[i];
                size_t levels = 1 + (size_t)rand() % 4;
                text[0] = '\0';
                for (size_t level = 0; level < levels; level++) {
                    strcat(text, level ? "/" : "");
                    strcat(text, words[(size_t)rand() % LENGTH(words)]);
                }
                if (rand() % 3 == 0)
                    strcat(text, "/#");
                if (!*text)
                    strcpy(text, "#");
                slices[i] = slice_of(text);
            }
            crowd[who].ear.sub.deliver = ear_on_run;
            ck_assert_int_eq(hub_subscribe(hub, &crowd[who].ear.sub, slices, crowd[who].n), RC_OK);
        }
        char topic[32] = "";
        for (size_t level = 0, levels = 1 + (size_t)rand() % 4; level < levels; level++) {
            strcat(topic, level ? "/" : "");
            strcat(topic, words[(size_t)rand() % 4]);
        }
        if (!*topic)
            continue;
        for (size_t i = 0; i < CROWD; i++)
            crowd[i].ear.heard = 0;
        ear_tell(hub, topic);
        for (size_t i = 0; i < CROWD; i++) {
            bool wants = false;
            for (size_t f = 0; f < crowd[i].n; f++)
                wants = wants || naive_matches(slice_of(crowd[i].filters[f]), slice_of(topic));
            ck_assert_uint_eq(crowd[i].ear.heard, wants);
        }
    }
    for (size_t i = 0; i < CROWD; i++)
        hub_unsubscribe(hub, &crowd[i].ear.sub);
    ear_close_hub(hub);
}
END_TEST

/* --- how much it costs -------------------------------------------------------------------------
 */

START_TEST(a_hundred_thousand_subscriptions_cost_a_publish_nothing)
{
    enum { MANY = 100000 };
    struct hub *hub = hub_new();
    struct ear *ears = calloc(MANY, sizeof *ears);
    for (size_t i = 0; i < MANY; i++) {
        char filter[64];
        snprintf(filter, sizeof filter, i % 3 ? "site/%zu/orders" : "site/%zu/#", i);
        ear_listen(hub, &ears[i], filter);
    }
    ck_assert_uint_eq(hub_filters(hub), MANY);
    ck_assert_uint_eq(hub_subscribers(hub), MANY);
    for (size_t i = 0; i < MANY; i += 997) {
        char topic[64];
        snprintf(topic, sizeof topic, "site/%zu/orders", i);
        uint64_t before = hub_visited(hub);
        ck_assert_uint_eq(ear_tell(hub, topic), 1);
        ck_assert_uint_eq(ears[i].heard, 1);
        ck_assert_uint_le(hub_visited(hub) - before, 4); /* one node per level, and the root */
    }
    size_t listed = 0;
    hub_each(hub, ear_count_one, &listed);
    ck_assert_uint_eq(listed, MANY);
    for (size_t i = 0; i < MANY; i++)
        hub_unsubscribe(hub, &ears[(i * 7919) % MANY].sub);
    free(ears);
    ear_close_hub(hub);
}
END_TEST

START_TEST(a_thousand_subscribers_of_one_filter_share_one_node)
{
    struct hub *hub = hub_new();
    struct ear *ears = calloc(1000, sizeof *ears);
    for (size_t i = 0; i < 1000; i++)
        ear_listen(hub, &ears[i], "orders/+/status");
    ck_assert_uint_eq(hub_filters(hub), 1);
    uint64_t before = hub_visited(hub);
    ck_assert_uint_eq(ear_tell(hub, "orders/1/status"), 1000);
    ck_assert_uint_eq(hub_visited(hub) - before, 4);
    for (size_t i = 0; i < 1000; i++) {
        ck_assert_uint_eq(ears[i].heard, 1);
        hub_unsubscribe(hub, &ears[i].sub);
    }
    free(ears);
    ear_close_hub(hub);
}
END_TEST

START_TEST(hostile_plusses_cost_no_more_than_there_are_nodes)
{
    enum { DEPTH = 11 };
    struct hub *hub = hub_new();
    struct ear *ears = calloc(1 << DEPTH, sizeof *ears);
    for (size_t i = 0; i < 1 << DEPTH; i++) { /* each way to write 'a' or '+' in eleven levels */
        char filter[2 * DEPTH + 1];
        for (size_t level = 0; level < DEPTH; level++) {
            filter[2 * level] = i >> level & 1 ? '+' : 'a';
            filter[2 * level + 1] = '/';
        }
        filter[2 * DEPTH - 1] = '\0';
        ear_listen(hub, &ears[i], filter);
    }
    uint64_t before = hub_visited(hub);
    ck_assert_uint_eq(ear_tell(hub, "a/a/a/a/a/a/a/a/a/a/a"), 1 << DEPTH);
    ck_assert_uint_eq(hub_visited(hub) - before, (2 << DEPTH) - 1); /* a full binary tree */
    for (size_t i = 0; i < 1 << DEPTH; i++) {
        ck_assert_uint_eq(ears[i].heard, 1);
        hub_unsubscribe(hub, &ears[i].sub);
    }
    free(ears);
    ear_close_hub(hub);
}
END_TEST

START_TEST(topics_and_filters_may_be_as_deep_as_they_are_long)
{
    char slashes[TOPIC_MAX], plusses[TOPIC_MAX];
    memset(slashes, '/', sizeof slashes);
    for (size_t i = 0; i < sizeof plusses; i++)
        plusses[i] = i % 2 ? '/' : '+';
    struct slice filters[] = { { slashes, TOPIC_MAX }, { plusses, TOPIC_MAX }, SLICE("#") };
    struct hub *hub = hub_new();
    struct ear ears[3] = { 0 };
    for (size_t i = 0; i < 3; i++) {
        ears[i].sub.deliver = ear_on_run;
        ck_assert_int_eq(hub_subscribe(hub, &ears[i].sub, &filters[i], 1), RC_OK);
    }
    ck_assert_uint_eq(ear_tell_slice(hub, filters[0]), 2);
    ck_assert_uint_eq(ear_tell_slice(hub, (struct slice){ slashes, TOPIC_MAX / 2 }), 2);
    ck_assert_uint_eq(ears[0].heard, 1);
    ck_assert_uint_eq(ears[1].heard, 1);
    ck_assert_uint_eq(ears[2].heard, 2);
    for (size_t i = 0; i < 3; i++) {
        struct buf b = BUF_EMPTY;
        ck_assert(hub_filter(hub, &ears[i].sub, 0, &b));
        ck_assert(slice_is(buf_slice(&b), filters[i]));
        buf_fini(&b);
        hub_unsubscribe(hub, &ears[i].sub);
    }
    ear_close_hub(hub);
}
END_TEST

/* --- looking around, and memory ----------------------------------------------------------------
 */

static bool collect(void *arg, struct slice filter, size_t subscribers)
{
    struct buf *b = arg;
    buf_printf(b, "%.*s:%zu ", (int)filter.len, filter.at, subscribers);
    return b->len < 40;
}

START_TEST(each_filter_is_listed_with_its_subscribers)
{
    struct hub *hub = hub_new();
    struct ear ears[4] = { 0 };
    ear_listen(hub, &ears[0], "a/+");
    ear_listen(hub, &ears[1], "a/+");
    ear_listen(hub, &ears[2], "a/#");
    ear_listen(hub, &ears[3], "a");
    struct buf b = BUF_EMPTY;
    hub_each(hub, collect, &b);
    ck_assert(slice_is(buf_slice(&b), SLICE("a:1 a/+:2 a/#:1 ")));
    b.len = 0;
    buf_puts(&b, "........................................");
    hub_each(hub, collect, &b); /* stops when told to */
    ck_assert(slice_is((struct slice){ b.at + 40, b.len - 40 }, SLICE("a:1 ")));
    buf_fini(&b);
    for (size_t i = 0; i < 4; i++)
        hub_unsubscribe(hub, &ears[i].sub);
    ear_close_hub(hub);
}
END_TEST

START_TEST(filters_can_be_exchanged)
{
    struct hub *hub = hub_new();
    struct subscriber s = { .deliver = NULL };
    const struct slice before[] = { SLICE("a"), SLICE("b/+") };
    const struct slice after[] = { SLICE("b/+"), SLICE("c/#"), SLICE("b/+") };

    ck_assert_int_eq(hub_subscribe(hub, &s, before, 2), RC_OK);
    ck_assert_int_eq(hub_resubscribe(hub, &s, after, 3), RC_OK);
    ck_assert(!hub_wants(hub, &s, SLICE("a")));
    ck_assert(hub_wants(hub, &s, SLICE("b/1")));
    ck_assert(hub_wants(hub, &s, SLICE("c")));
    ck_assert_uint_eq(hub_filters(hub), 2);
    ck_assert_uint_eq(hub_subscribers(hub), 1);
    hub_unsubscribe(hub, &s);
    ck_assert_uint_eq(hub_filters(hub), 0);
    hub_free(hub);
}
END_TEST

START_TEST(a_want_of_memory_subscribes_nothing_at_all)
{
    struct slice filters[] = { SLICE("a/b/c/d"), SLICE("a/+/c"), SLICE("x"), SLICE("a/b/#"),
                               SLICE("y/z") };
    struct hub *hub = hub_new();
    struct ear resident = { 0 };
    ear_listen(hub, &resident, "a/b");
    MEMORY_SCRIPT(nth)
    {
        struct ear ear = { .sub.deliver = ear_on_run };
        enum rc rc = hub_subscribe(hub, &ear.sub, filters, LENGTH(filters));
        bool failed = memory_end();
        size_t told = ear_tell(hub, "x");
        if (rc == RC_NOMEM) {
            ck_assert(failed);
            ck_assert_uint_eq(told, 0);
            ck_assert_ptr_null(ear.sub.links);
            ck_assert_uint_eq(hub_filters(hub), 1);
            ck_assert_uint_eq(hub_subscribers(hub), 1);
            ck_assert_uint_eq(ear_visits(hub, "x"), 1); /* no branch of it was left behind */
            ck_assert_uint_eq(ear_visits(hub, "y/z"), 1);
            ck_assert_uint_eq(ear_visits(hub, "a/q/c"), 2);
            ck_assert_uint_eq(ear_visits(hub, "a/b/c/d"), 3);
        } else { /* also when only a table could not grow */
            ck_assert_uint_eq(told, 1);
            ck_assert_uint_eq(ear_tell(hub, "a/b/c/d"), 1);
            hub_unsubscribe(hub, &ear.sub);
        }
    }
    hub_unsubscribe(hub, &resident.sub);
    ear_close_hub(hub);
    MEMORY_SCRIPT(nth)
    {
        hub = hub_new();
        ck_assert_int_eq(hub == NULL, memory_failed());
        hub_free(hub);
    }
}
END_TEST

SUITE(hub)
{
    tcase_add_test(tc, those_are_told_whose_filter_matches);
    tcase_add_test(tc, overlapping_filters_of_one_subscriber_tell_it_once);
    tcase_add_test(tc, a_crowd_that_comes_and_goes_hears_what_it_should);
    tcase_add_test(tc, a_hundred_thousand_subscriptions_cost_a_publish_nothing);
    tcase_add_test(tc, a_thousand_subscribers_of_one_filter_share_one_node);
    tcase_add_test(tc, hostile_plusses_cost_no_more_than_there_are_nodes);
    tcase_add_test(tc, topics_and_filters_may_be_as_deep_as_they_are_long);
    tcase_add_test(tc, each_filter_is_listed_with_its_subscribers);
    tcase_add_test(tc, filters_can_be_exchanged);
    tcase_add_test(tc, a_want_of_memory_subscribes_nothing_at_all);
}
