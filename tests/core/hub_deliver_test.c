/*
 * hub_deliver_test.c - what those who are told may do while they are told.
 */
#include "tests/core/ear.h"
#include "tests/suite.h"

#include <stdio.h>
#include <stdlib.h>

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
    ear->other->sub.deliver = ear_on_run;
    ck_assert_int_eq(hub_subscribe(ear->hub, &ear->other->sub, all, LENGTH(all)), RC_OK);
}

static void leave_and_return(struct ear *ear, struct event *event)
{
    hub_unsubscribe(ear->hub, &ear->sub);
    ear_listen(ear->hub, ear, "a/+");
}

START_TEST(a_subscriber_may_leave_while_it_is_told)
{
    struct hub *hub = hub_new();
    struct ear ears[5] = { 0 };
    for (size_t i = 0; i < LENGTH(ears); i++) {
        ears[i].act = leave;
        ear_listen(hub, &ears[i], i % 2 ? "a/b" : "a/+");
    }
    ck_assert_uint_eq(ear_tell(hub, "a/b"), LENGTH(ears));
    ck_assert_uint_eq(ear_tell(hub, "a/b"), 0);
    ear_close_hub(hub);
}
END_TEST

START_TEST(a_subscriber_may_free_itself_while_it_is_told)
{
    struct hub *hub = hub_new();
    for (size_t i = 0; i < 5; i++) {
        struct ear *ear = calloc(1, sizeof *ear);
        ear->act = leave_and_vanish;
        ear_listen(hub, ear, i % 2 ? "a/b" : "a/#");
    }
    ck_assert_uint_eq(ear_tell(hub, "a/b"), 5);
    ear_close_hub(hub);
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
            ear_listen(hub, &strangers[0], "a/b");
            ear_listen(hub, victim_first ? victim : &killer, victim_first ? places[at] : "a/b");
            if (!neighbours)
                ear_listen(hub, &strangers[1], "a/b");
            ear_listen(hub, victim_first ? &killer : victim, victim_first ? "a/b" : places[at]);
            if (neighbours)
                ear_listen(hub, &strangers[1], "a/b");
            ear_listen(hub, &strangers[2], "a/b");
            size_t told = ear_tell(hub, "a/b");
            ck_assert(told == 4 || told == 5); /* the victim may have been told before */
            for (size_t i = 0; i < 3; i++)
                ck_assert_uint_eq(strangers[i].heard, 1);
            ck_assert_uint_eq(ear_tell(hub, "a/b"), 4);
            for (size_t i = 0; i < 3; i++)
                hub_unsubscribe(hub, &strangers[i].sub);
            hub_unsubscribe(hub, &killer.sub);
            ear_close_hub(hub);
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
    ear_close_hub(hub);
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
            ear_listen(hub, gang[i], places[i]);
        }
        ear_tell(hub, "a/b");
        if (strcmp(places[turn], "x") == 0)
            dismiss_everybody(gang[turn], NULL);
        ear_close_hub(hub);
    }
}
END_TEST

START_TEST(those_who_come_while_an_event_is_told_hear_the_next)
{
    static const char *const places[] = { "a/b", "a/+", "#", "a/b/#", "+/b", "a/#" };
    for (size_t at = 0; at < LENGTH(places); at++) {
        struct hub *hub = hub_new();
        struct ear newcomer = { 0 }, host = { .act = bring_other, .other = &newcomer };
        ear_listen(hub, &host, places[at]);
        ck_assert_uint_eq(ear_tell(hub, "a/b"), 1);
        ck_assert_uint_eq(newcomer.heard, 0);
        ck_assert_uint_eq(ear_tell(hub, "a/b"), 2);
        ck_assert_uint_eq(newcomer.heard, 1);
        hub_unsubscribe(hub, &host.sub);
        hub_unsubscribe(hub, &newcomer.sub);
        ear_close_hub(hub);
    }
}
END_TEST

START_TEST(whoever_leaves_and_returns_is_not_told_again)
{
    struct hub *hub = hub_new();
    struct ear ear = { .act = leave_and_return };
    ear_listen(hub, &ear, "a/b"); /* told first; a/+ is walked later */
    ck_assert_uint_eq(ear_tell(hub, "a/b"), 1);
    ck_assert_uint_eq(ear.heard, 1);
    ck_assert_uint_eq(ear_tell(hub, "a/b"), 1);
    ck_assert_uint_eq(ear.heard, 2);
    hub_unsubscribe(hub, &ear.sub);
    ear_close_hub(hub);
}
END_TEST

SUITE(hub_deliver)
{
    tcase_add_test(tc, a_subscriber_may_leave_while_it_is_told);
    tcase_add_test(tc, a_subscriber_may_free_itself_while_it_is_told);
    tcase_add_test(tc, a_subscriber_may_dismiss_any_other);
    tcase_add_test(tc, events_of_one_topic_are_told_one_subscriber_after_the_other);
    tcase_add_test(tc, a_subscriber_may_dismiss_everybody_at_once);
    tcase_add_test(tc, those_who_come_while_an_event_is_told_hear_the_next);
    tcase_add_test(tc, whoever_leaves_and_returns_is_not_told_again);
}
