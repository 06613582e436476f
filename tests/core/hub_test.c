#include "core/hub.h"
#include "core/topic.h"
#include "tests/core/memory.h"
#include "tests/naive.h"
#include "tests/suite.h"

#include <stdio.h>
#include <stdlib.h>

/* A subscriber that counts, and may do something when it is told. */
struct ear {
    struct subscriber sub;
    size_t heard;
    void (*act)(struct ear *, struct event *);
    struct hub *hub;
    struct ear *other;
};

static void on_events(struct subscriber *sub, struct run *run)
{
    struct ear *ear = CONTAINER(sub, struct ear, sub);
    ear->heard += run->n;
    if (ear->act)
        ear->act(ear, run->events[0]);
}

static void listen(struct hub *hub, struct ear *ear, const char *filter)
{
    struct slice s = slice_of(filter);
    ear->hub = hub;
    ear->sub.deliver = on_events;
    ck_assert_int_eq(hub_subscribe(hub, &ear->sub, &s, 1), RC_OK);
}

static size_t publish_slice(struct hub *hub, struct slice topic)
{
    struct event *e = event_new(&(struct event_fields){ .epoch = "e", .seq = 1, .topic = topic });
    struct run alone = run_of(&e, 1);
    size_t told = hub_publish(hub, &alone);
    event_unref(e);
    return told;
}

static size_t publish(struct hub *hub, const char *topic)
{
    return publish_slice(hub, slice_of(topic));
}

static uint64_t visits(struct hub *hub, const char *topic)
{
    uint64_t before = hub_visited(hub);
    publish(hub, topic);
    return hub_visited(hub) - before;
}

static bool count_one(void *arg, struct slice filter, size_t subscribers)
{
    ++*(size_t *)arg;
    return true;
}

/* Free it, and be sure that nothing was left in it. */
static void close_empty(struct hub *hub)
{
    size_t listed = 0;
    hub_each(hub, count_one, &listed);
    ck_assert_uint_eq(listed, 0);
    ck_assert_uint_eq(hub_filters(hub), 0);
    ck_assert_uint_eq(hub_subscribers(hub), 0);
    ck_assert_uint_eq(visits(hub, "a/b/c"), 1); /* the root is alone */
    hub_free(hub);
}

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
        listen(hub, &ears[i], filters[i]);
    for (size_t t = 0; t < LENGTH(topics); t++) {
        size_t expected = 0;
        for (size_t i = 0; i < LENGTH(filters); i++)
            ears[i].heard = 0;
        size_t told = publish(hub, topics[t]);
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
    close_empty(hub);
}
END_TEST

START_TEST(overlapping_filters_of_one_subscriber_tell_it_once)
{
    struct slice filters[] = { SLICE("a/b"), SLICE("a/+"), SLICE("#"), SLICE("a/b"), SLICE("a/#") };
    struct hub *hub = hub_new();
    struct ear ear = { .sub.deliver = on_events };
    ck_assert_int_eq(hub_subscribe(hub, &ear.sub, filters, LENGTH(filters)), RC_OK);
    ck_assert_uint_eq(publish(hub, "a/b"), 1);
    ck_assert_uint_eq(ear.heard, 1);
    ck_assert_uint_eq(publish(hub, "a/b"), 1); /* the same number again is another event */
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
    close_empty(hub);
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
            crowd[who].ear.sub.deliver = on_events;
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
        publish(hub, topic);
        for (size_t i = 0; i < CROWD; i++) {
            bool wants = false;
            for (size_t f = 0; f < crowd[i].n; f++)
                wants = wants || naive_matches(slice_of(crowd[i].filters[f]), slice_of(topic));
            ck_assert_uint_eq(crowd[i].ear.heard, wants);
        }
    }
    for (size_t i = 0; i < CROWD; i++)
        hub_unsubscribe(hub, &crowd[i].ear.sub);
    close_empty(hub);
}
END_TEST

/* --- what deliver() may do ---------------------------------------------------------------------
 */

static void leave(struct ear *ear, struct event *event)
{
    hub_unsubscribe(ear->hub, &ear->sub);
}

/* The other's memory is gone at once, as a transport would free it. */
static void dismiss_other(struct ear *ear, struct event *event)
{
    if (ear->other) {
        hub_unsubscribe(ear->hub, &ear->other->sub);
        free(ear->other);
        ear->other = NULL;
    }
}

static void leave_and_vanish(struct ear *ear, struct event *event)
{
    hub_unsubscribe(ear->hub, &ear->sub);
    free(ear);
}

static void bring_other(struct ear *ear, struct event *event)
{
    static const char *const filters[] = { "a/b", "a/+", "#", "a/b/#", "+/b" };
    if (ear->other->sub.links)
        return;
    struct slice all[LENGTH(filters)];
    for (size_t i = 0; i < LENGTH(filters); i++)
        all[i] = slice_of(filters[i]);
    ear->other->sub.deliver = on_events;
    ck_assert_int_eq(hub_subscribe(ear->hub, &ear->other->sub, all, LENGTH(all)), RC_OK);
}

static void leave_and_return(struct ear *ear, struct event *event)
{
    hub_unsubscribe(ear->hub, &ear->sub);
    listen(ear->hub, ear, "a/+");
}

START_TEST(a_subscriber_may_leave_while_it_is_told)
{
    struct hub *hub = hub_new();
    struct ear ears[5] = { 0 };
    for (size_t i = 0; i < LENGTH(ears); i++) {
        ears[i].act = leave;
        listen(hub, &ears[i], i % 2 ? "a/b" : "a/+");
    }
    ck_assert_uint_eq(publish(hub, "a/b"), LENGTH(ears));
    ck_assert_uint_eq(publish(hub, "a/b"), 0);
    close_empty(hub);
}
END_TEST

START_TEST(a_subscriber_may_free_itself_while_it_is_told)
{
    struct hub *hub = hub_new();
    for (size_t i = 0; i < 5; i++) {
        struct ear *ear = calloc(1, sizeof *ear);
        ear->act = leave_and_vanish;
        listen(hub, ear, i % 2 ? "a/b" : "a/#");
    }
    ck_assert_uint_eq(publish(hub, "a/b"), 5);
    close_empty(hub);
}
END_TEST

START_TEST(a_subscriber_may_dismiss_any_other)
{
    /* Whoever stands where: right before, right after, further off, at another node. */
    static const char *const places[] = { "a/b", "a/+", "#", "a/b/#" };
    for (size_t at = 0; at < LENGTH(places); at++) {
        for (size_t variant = 0; variant < 4; variant++) {
            bool victim_first = variant & 1, neighbours = variant & 2;
            struct hub *hub = hub_new();
            struct ear strangers[3] = { 0 }, killer = { .act = dismiss_other };
            struct ear *victim = calloc(1, sizeof *victim);
            killer.other = victim;
            listen(hub, &strangers[0], "a/b");
            listen(hub, victim_first ? victim : &killer, victim_first ? places[at] : "a/b");
            if (!neighbours)
                listen(hub, &strangers[1], "a/b");
            listen(hub, victim_first ? &killer : victim, victim_first ? "a/b" : places[at]);
            if (neighbours)
                listen(hub, &strangers[1], "a/b");
            listen(hub, &strangers[2], "a/b");
            size_t told = publish(hub, "a/b");
            ck_assert(told == 4 || told == 5); /* the victim may have been told before */
            for (size_t i = 0; i < 3; i++)
                ck_assert_uint_eq(strangers[i].heard, 1);
            ck_assert_uint_eq(publish(hub, "a/b"), 4);
            for (size_t i = 0; i < 3; i++)
                hub_unsubscribe(hub, &strangers[i].sub);
            hub_unsubscribe(hub, &killer.sub);
            close_empty(hub);
        }
    }
}
END_TEST

static char walk[64];

static void note_walk(struct subscriber *sub, struct run *run)
{
    struct ear *ear = CONTAINER(sub, struct ear, sub);

    for (size_t i = 0; i < run->n; i++) {
        size_t len = strlen(walk);
        snprintf(walk + len, sizeof(walk) - len, "%c%lld ", ear->act ? 'x' : 'y',
                 (long long)event_seq(run->events[i]));
    }
    if (ear->act)
        ear->act(ear, run->events[0]);
}

START_TEST(events_of_one_topic_are_told_one_subscriber_after_the_other)
{
    struct hub *hub = hub_new();
    struct event *events[3];
    struct ear first = { .sub.deliver = note_walk, .hub = hub, .act = dismiss_other },
               second = { .sub.deliver = note_walk }, *third = calloc(1, sizeof(*third));

    for (size_t i = 0; i < LENGTH(events); i++)
        events[i] = event_new(
            &(struct event_fields){ .epoch = "e", .seq = (int64_t)i + 1, .topic = SLICE("a/b") });
    ck_assert_ptr_nonnull(third);
    third->sub.deliver = note_walk;
    first.other = third; /* whoever subscribed last is told first */
    ck_assert_int_eq(hub_subscribe(hub, &third->sub, &SLICE("a/b"), 1), RC_OK);
    ck_assert_int_eq(hub_subscribe(hub, &second.sub, &SLICE("a/b"), 1), RC_OK);
    ck_assert_int_eq(hub_subscribe(hub, &first.sub, &SLICE("#"), 1), RC_OK);
    struct run run = run_of(events, LENGTH(events));
    ck_assert_uint_eq(hub_publish(hub, &run), 2);
    ck_assert_str_eq(walk, "x1 x2 x3 y1 y2 y3 ");
    for (size_t i = 0; i < LENGTH(events); i++)
        event_unref(events[i]);
    hub_unsubscribe(hub, &first.sub);
    hub_unsubscribe(hub, &second.sub);
    close_empty(hub);
}
END_TEST

static struct ear *gang[8];

static void dismiss_everybody(struct ear *ear, struct event *event)
{
    for (size_t i = 0; i < LENGTH(gang); i++) {
        if (gang[i]) {
            hub_unsubscribe(ear->hub, &gang[i]->sub);
            if (gang[i] != ear)
                free(gang[i]);
            gang[i] = NULL;
        }
    }
    free(ear);
}

START_TEST(a_subscriber_may_dismiss_everybody_at_once)
{
    static const char *const places[] = { "a/b", "a/b", "a/+", "#", "a/b/#", "+/+", "a/b", "x" };
    for (size_t turn = 0; turn < LENGTH(gang); turn++) { /* each place is told first once */
        struct hub *hub = hub_new();
        for (size_t i = 0; i < LENGTH(gang); i++) {
            gang[i] = calloc(1, sizeof *gang[i]);
            gang[i]->act = i == turn ? dismiss_everybody : NULL;
            listen(hub, gang[i], places[i]);
        }
        publish(hub, "a/b");
        if (strcmp(places[turn], "x") == 0)
            dismiss_everybody(gang[turn], NULL);
        close_empty(hub);
    }
}
END_TEST

START_TEST(those_who_come_while_an_event_is_told_hear_the_next)
{
    static const char *const places[] = { "a/b", "a/+", "#", "a/b/#", "+/b", "a/#" };
    for (size_t at = 0; at < LENGTH(places); at++) {
        struct hub *hub = hub_new();
        struct ear newcomer = { 0 }, host = { .act = bring_other, .other = &newcomer };
        listen(hub, &host, places[at]);
        ck_assert_uint_eq(publish(hub, "a/b"), 1);
        ck_assert_uint_eq(newcomer.heard, 0);
        ck_assert_uint_eq(publish(hub, "a/b"), 2);
        ck_assert_uint_eq(newcomer.heard, 1);
        hub_unsubscribe(hub, &host.sub);
        hub_unsubscribe(hub, &newcomer.sub);
        close_empty(hub);
    }
}
END_TEST

START_TEST(whoever_leaves_and_returns_is_not_told_again)
{
    struct hub *hub = hub_new();
    struct ear ear = { .act = leave_and_return };
    listen(hub, &ear, "a/b"); /* told first; a/+ is walked later */
    ck_assert_uint_eq(publish(hub, "a/b"), 1);
    ck_assert_uint_eq(ear.heard, 1);
    ck_assert_uint_eq(publish(hub, "a/b"), 1);
    ck_assert_uint_eq(ear.heard, 2);
    hub_unsubscribe(hub, &ear.sub);
    close_empty(hub);
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
        listen(hub, &ears[i], filter);
    }
    ck_assert_uint_eq(hub_filters(hub), MANY);
    ck_assert_uint_eq(hub_subscribers(hub), MANY);
    for (size_t i = 0; i < MANY; i += 997) {
        char topic[64];
        snprintf(topic, sizeof topic, "site/%zu/orders", i);
        uint64_t before = hub_visited(hub);
        ck_assert_uint_eq(publish(hub, topic), 1);
        ck_assert_uint_eq(ears[i].heard, 1);
        ck_assert_uint_le(hub_visited(hub) - before, 4); /* one node per level, and the root */
    }
    size_t listed = 0;
    hub_each(hub, count_one, &listed);
    ck_assert_uint_eq(listed, MANY);
    for (size_t i = 0; i < MANY; i++)
        hub_unsubscribe(hub, &ears[(i * 7919) % MANY].sub);
    free(ears);
    close_empty(hub);
}
END_TEST

START_TEST(a_thousand_subscribers_of_one_filter_share_one_node)
{
    struct hub *hub = hub_new();
    struct ear *ears = calloc(1000, sizeof *ears);
    for (size_t i = 0; i < 1000; i++)
        listen(hub, &ears[i], "orders/+/status");
    ck_assert_uint_eq(hub_filters(hub), 1);
    uint64_t before = hub_visited(hub);
    ck_assert_uint_eq(publish(hub, "orders/1/status"), 1000);
    ck_assert_uint_eq(hub_visited(hub) - before, 4);
    for (size_t i = 0; i < 1000; i++) {
        ck_assert_uint_eq(ears[i].heard, 1);
        hub_unsubscribe(hub, &ears[i].sub);
    }
    free(ears);
    close_empty(hub);
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
        listen(hub, &ears[i], filter);
    }
    uint64_t before = hub_visited(hub);
    ck_assert_uint_eq(publish(hub, "a/a/a/a/a/a/a/a/a/a/a"), 1 << DEPTH);
    ck_assert_uint_eq(hub_visited(hub) - before, (2 << DEPTH) - 1); /* a full binary tree */
    for (size_t i = 0; i < 1 << DEPTH; i++) {
        ck_assert_uint_eq(ears[i].heard, 1);
        hub_unsubscribe(hub, &ears[i].sub);
    }
    free(ears);
    close_empty(hub);
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
        ears[i].sub.deliver = on_events;
        ck_assert_int_eq(hub_subscribe(hub, &ears[i].sub, &filters[i], 1), RC_OK);
    }
    ck_assert_uint_eq(publish_slice(hub, filters[0]), 2);
    ck_assert_uint_eq(publish_slice(hub, (struct slice){ slashes, TOPIC_MAX / 2 }), 2);
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
    close_empty(hub);
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
    listen(hub, &ears[0], "a/+");
    listen(hub, &ears[1], "a/+");
    listen(hub, &ears[2], "a/#");
    listen(hub, &ears[3], "a");
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
    close_empty(hub);
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
    listen(hub, &resident, "a/b");
    MEMORY_SCRIPT(nth)
    {
        struct ear ear = { .sub.deliver = on_events };
        enum rc rc = hub_subscribe(hub, &ear.sub, filters, LENGTH(filters));
        bool failed = memory_end();
        size_t told = publish(hub, "x");
        if (rc == RC_NOMEM) {
            ck_assert(failed);
            ck_assert_uint_eq(told, 0);
            ck_assert_ptr_null(ear.sub.links);
            ck_assert_uint_eq(hub_filters(hub), 1);
            ck_assert_uint_eq(hub_subscribers(hub), 1);
            ck_assert_uint_eq(visits(hub, "x"), 1); /* no branch of it was left behind */
            ck_assert_uint_eq(visits(hub, "y/z"), 1);
            ck_assert_uint_eq(visits(hub, "a/q/c"), 2);
            ck_assert_uint_eq(visits(hub, "a/b/c/d"), 3);
        } else { /* also when only a table could not grow */
            ck_assert_uint_eq(told, 1);
            ck_assert_uint_eq(publish(hub, "a/b/c/d"), 1);
            hub_unsubscribe(hub, &ear.sub);
        }
    }
    hub_unsubscribe(hub, &resident.sub);
    close_empty(hub);
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
    tcase_add_test(tc, events_of_one_topic_are_told_one_subscriber_after_the_other);
    tcase_add_test(tc, a_crowd_that_comes_and_goes_hears_what_it_should);
    tcase_add_test(tc, a_subscriber_may_leave_while_it_is_told);
    tcase_add_test(tc, a_subscriber_may_free_itself_while_it_is_told);
    tcase_add_test(tc, a_subscriber_may_dismiss_any_other);
    tcase_add_test(tc, a_subscriber_may_dismiss_everybody_at_once);
    tcase_add_test(tc, those_who_come_while_an_event_is_told_hear_the_next);
    tcase_add_test(tc, whoever_leaves_and_returns_is_not_told_again);
    tcase_add_test(tc, a_hundred_thousand_subscriptions_cost_a_publish_nothing);
    tcase_add_test(tc, a_thousand_subscribers_of_one_filter_share_one_node);
    tcase_add_test(tc, hostile_plusses_cost_no_more_than_there_are_nodes);
    tcase_add_test(tc, topics_and_filters_may_be_as_deep_as_they_are_long);
    tcase_add_test(tc, each_filter_is_listed_with_its_subscribers);
    tcase_add_test(tc, filters_can_be_exchanged);
    tcase_add_test(tc, a_want_of_memory_subscribes_nothing_at_all);
}
