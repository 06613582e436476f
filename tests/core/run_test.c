/*
 * run_test.c - events of one topic that have come together.
 */
#include "core/run.h"
#include "tests/core/memory.h"
#include "tests/suite.h"

#include <stdlib.h>

enum { MANY = 8 };

static struct event *events[MANY];
static int encoded, fails_at;

static void make_events(void)
{
    encoded = 0;
    fails_at = -1;
    for (size_t i = 0; i < MANY; i++) {
        events[i] = event_new(
            &(struct event_fields){ .epoch = "e", .seq = (int64_t)i + 1, .topic = SLICE("t") });
        ck_assert_ptr_nonnull(events[i]);
    }
}

static void drop_events(void)
{
    for (size_t i = 0; i < MANY; i++)
        event_unref(events[i]);
}

static enum rc encode(const struct event *e, const void *with, struct buf *out)
{
    encoded++;
    buf_printf(out, "%s%d", (const char *)with, (int)event_seq(e));
    return event_seq(e) == fails_at ? RC_LIMIT : RC_OK;
}

static const struct encoder commas = { ENC_SSE, encode, "," }, dots = { ENC_JSON, encode, "." };

START_TEST(all_its_events_are_one_block_made_once)
{
    struct run run = run_of(events, MANY);
    struct block *first, *second;

    ck_assert_int_eq(run_last(&run), MANY);
    ck_assert_int_eq(run_bytes(&run, &commas, &first), RC_OK);
    ck_assert(slice_is(block_slice(first), SLICE(",1,2,3,4,5,6,7,8")));
    ck_assert_int_eq(encoded, MANY);
    ck_assert_int_eq(run_bytes(&run, &commas, &second), RC_OK);
    ck_assert_ptr_eq(first, second);
    ck_assert_int_eq(run_bytes(&run, &dots, &second), RC_OK);
    ck_assert(slice_is(block_slice(second), SLICE(".1.2.3.4.5.6.7.8")));
    ck_assert_int_eq(encoded, 2 * MANY);
    run_fini(&run);
}
END_TEST

START_TEST(its_block_outlives_it_for_those_who_hold_it)
{
    struct run run = run_of(events, 3);
    struct block *block;

    ck_assert_int_eq(run_bytes(&run, &commas, &block), RC_OK);
    ck_assert_uint_eq(block->refs, 1);
    block_ref(block_ref(block));
    run_fini(&run);
    ck_assert_uint_eq(block->refs, 2);
    block_unref(block);
    ck_assert(slice_is(block_slice(block), SLICE(",1,2,3")));
    block_unref(block);
}
END_TEST

START_TEST(a_run_of_one_is_the_event)
{
    struct run run = run_of(&events[4], 1);
    struct block *of_run, *of_event;

    ck_assert_int_eq(run_bytes(&run, &commas, &of_run), RC_OK);
    ck_assert_int_eq(event_bytes(events[4], &commas, &of_event), RC_OK);
    ck_assert_ptr_eq(of_run, of_event);
    ck_assert_int_eq(encoded, 1);
    run_fini(&run);
    ck_assert(slice_is(block_slice(of_event), SLICE(",5")));
}
END_TEST

START_TEST(what_its_events_have_already_is_copied_and_they_get_no_more)
{
    struct run run = run_of(events, MANY);
    struct block *block;
    size_t bare = event_size(events[1]);

    ck_assert_int_eq(event_bytes(events[0], &commas, &block), RC_OK);
    ck_assert_int_eq(run_bytes(&run, &commas, &block), RC_OK);
    ck_assert_int_eq(encoded, MANY);
    ck_assert_uint_eq(event_size(events[1]), bare);
    run_fini(&run);
}
END_TEST

START_TEST(after_a_failure_there_is_no_half_of_it)
{
    struct run run = run_of(events, MANY);
    struct block *block;

    fails_at = 5;
    ck_assert_int_eq(run_bytes(&run, &commas, &block), RC_LIMIT);
    fails_at = -1;
    ck_assert_int_eq(run_bytes(&run, &commas, &block), RC_OK);
    ck_assert(slice_is(block_slice(block), SLICE(",1,2,3,4,5,6,7,8")));
    run_fini(&run);
}
END_TEST

START_TEST(a_want_of_memory_is_told_and_passes)
{
    MEMORY_SCRIPT(nth)
    {
        struct run run = run_of(events, MANY);
        struct block *block;
        enum rc rc = run_bytes(&run, &commas, &block);
        ck_assert_int_eq(rc, nth <= 3 ? RC_NOMEM : RC_OK); /* bytes, more, form, block */
        ck_assert_int_eq(run_bytes(&run, &commas, &block), RC_OK);
        ck_assert(slice_is(block_slice(block), SLICE(",1,2,3,4,5,6,7,8")));
        run_fini(&run);
    }
}
END_TEST

static struct event *event_on(const char *topic, size_t bytes)
{
    char *data = calloc(1, bytes + 1);
    ck_assert_ptr_nonnull(data);
    struct event *e = event_new(&(struct event_fields){
        .epoch = "e", .seq = 1, .topic = slice_of(topic), .data = { data, bytes } });
    free(data);
    return e;
}

START_TEST(it_is_open_if_all_its_events_are)
{
    struct event_fields f = { .epoch = "e", .seq = 9, .topic = SLICE("t"), .expires_us = 1 };
    struct event *expires = event_new(&f);
    f.expires_us = 0;
    f.flags = EVENT_PRIVATE;
    struct event *is_private = event_new(&f);

    ck_assert(run_of(events, MANY).open);
    ck_assert(!run_of((struct event *[]){ events[0], events[1], expires }, 3).open);
    ck_assert(!run_of((struct event *[]){ events[0], is_private, events[1] }, 3).open);
    event_unref(expires);
    event_unref(is_private);
}
END_TEST

START_TEST(a_run_is_of_one_topic_and_of_not_too_many_bytes)
{
    struct event *small = event_on("a", 10), *other = event_on("b", 10),
                 *huge = event_on("a", 1000000), *large = event_on("a", 20000);

    ck_assert_uint_eq(run_span((struct event *[]){ small }, 1), 1);
    ck_assert_uint_eq(run_span((struct event *[]){ small, small, other, small }, 4), 2);
    ck_assert_uint_eq(run_span((struct event *[]){ small, small, huge, small }, 4), 2);
    ck_assert_uint_eq(run_span((struct event *[]){ huge, small }, 2), 1); /* but never of none */
    ck_assert_uint_eq(run_span((struct event *[]){ large, large, large, large, large }, 5), 3);
    event_unref(small);
    event_unref(other);
    event_unref(huge);
    event_unref(large);
}
END_TEST

SUITE(run)
{
    tcase_add_checked_fixture(tc, make_events, drop_events);
    tcase_add_test(tc, all_its_events_are_one_block_made_once);
    tcase_add_test(tc, its_block_outlives_it_for_those_who_hold_it);
    tcase_add_test(tc, a_run_of_one_is_the_event);
    tcase_add_test(tc, what_its_events_have_already_is_copied_and_they_get_no_more);
    tcase_add_test(tc, after_a_failure_there_is_no_half_of_it);
    tcase_add_test(tc, a_want_of_memory_is_told_and_passes);
    tcase_add_test(tc, it_is_open_if_all_its_events_are);
    tcase_add_test(tc, a_run_is_of_one_topic_and_of_not_too_many_bytes);
}
