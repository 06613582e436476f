#include "core/wheel.h"
#include "tests/core/clock.h"
#include "tests/core/memory.h"
#include "tests/suite.h"

#include <stdlib.h>

enum { TICK = WHEEL_TICK_MS, ROUND = 1024 * TICK };

/* An alarm that notes when it rang, and may do something then. */
struct bell {
    struct alarm alarm;
    uint64_t due, rang;
    int64_t late;
    unsigned times;
    void (*act)(struct bell *);
    struct bell *other;
};

static uv_loop_t loop;
static struct wheel *wheel;

static void setup(void)
{
    uv_loop_init(&loop);
    clock_begin(12345678);
    wheel = wheel_new(&loop);
    ck_assert_ptr_nonnull(wheel);
}

static void teardown(void)
{
    wheel_free(wheel);
    wheel = NULL;
    clock_end();
    ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static void on_ring(struct alarm *alarm)
{
    struct bell *bell = CONTAINER(alarm, struct bell, alarm);
    ck_assert_ptr_null(alarm->link);
    bell->rang = uv_now(&loop);
    bell->late = (int64_t)(bell->rang - bell->due);
    bell->times++;
    if (bell->act)
        bell->act(bell);
}

static void set(struct bell *bell, uint64_t ms)
{
    bell->due = uv_now(&loop) + ms;
    alarm_set(wheel, &bell->alarm, ms, on_ring);
}

static void check_on_time(const struct bell *bell)
{
    ck_assert_int_ge(bell->late, 0);
    ck_assert_int_le(bell->late, TICK);
}

START_TEST(alarms_ring_once_never_early_and_at_most_a_tick_late)
{
    static const uint64_t waits[] = {
        0,     1,         31,    32,        33,         100,           1000,
        15000, ROUND - 1, ROUND, ROUND + 1, ROUND + 40, 3 * ROUND + 7, 3600000
    };
    for (uint64_t start = 0; start < 40; start += 13) {
        struct bell bells[LENGTH(waits)] = { 0 };
        clock_advance(start);
        for (size_t i = 0; i < LENGTH(waits); i++)
            set(&bells[i], waits[i]);
        clock_advance(2 * 3600000);
        for (size_t i = 0; i < LENGTH(waits); i++) {
            ck_assert_uint_eq(bells[i].times, 1);
            check_on_time(&bells[i]);
        }
        ck_assert(!clock_armed());
    }
}
END_TEST

START_TEST(the_timer_is_armed_for_the_next_alarm_only)
{
    struct bell near = { 0 }, far = { 0 };
    ck_assert(!clock_armed());
    set(&far, 10000);
    ck_assert(clock_armed());
    ck_assert_uint_ge(clock_due_in(), 10000);
    ck_assert_uint_le(clock_due_in(), 10000 + TICK);
    set(&near, 500);
    ck_assert_uint_le(clock_due_in(), 500 + TICK);
    unsigned before = clock_calls();
    clock_advance(9000);
    ck_assert_uint_eq(near.times, 1);
    ck_assert_uint_eq(far.times, 0);
    ck_assert_uint_eq(clock_calls() - before, 1); /* nothing was looked for between the two */
    clock_advance(2000);
    ck_assert_uint_eq(far.times, 1);
    ck_assert_uint_eq(clock_calls() - before, 2);
    ck_assert(!clock_armed());
}
END_TEST

START_TEST(a_cancelled_alarm_does_not_ring_and_leaves_no_timer)
{
    struct bell bell = { 0 };
    alarm_cancel(&bell.alarm); /* not set: nothing happens */
    set(&bell, 100);
    alarm_cancel(&bell.alarm);
    alarm_cancel(&bell.alarm);
    ck_assert(!clock_armed());
    clock_advance(100000);
    ck_assert_uint_eq(bell.times, 0);
}
END_TEST

START_TEST(nobody_is_woken_for_a_cancelled_alarm)
{
    struct bell first = { 0 }, cancelled = { 0 }, last = { 0 };
    set(&first, 100);
    set(&cancelled, 500);
    set(&last, 10000);
    alarm_cancel(&cancelled.alarm);
    clock_advance(9000);
    ck_assert_uint_eq(first.times, 1);
    ck_assert_uint_eq(clock_calls(), 1);
    alarm_cancel(&last.alarm);
}
END_TEST

START_TEST(a_set_alarm_moves)
{
    struct bell bell = { 0 };
    set(&bell, 100);
    set(&bell, 5000);
    clock_advance(4000);
    ck_assert_uint_eq(bell.times, 0);
    set(&bell, 50);
    clock_advance(5000);
    ck_assert_uint_eq(bell.times, 1);
    check_on_time(&bell);
}
END_TEST

static void again(struct bell *bell)
{
    if (bell->times < 10)
        set(bell, bell->times % 2 ? 0 : ROUND);
}

START_TEST(it_may_be_set_again_from_within)
{
    struct bell bell = { .act = again };
    set(&bell, 10);
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_uint_eq(bell.times, i);
        clock_advance(clock_due_in());
        while (bell.times == i) /* a round later */
            clock_advance(clock_due_in());
        check_on_time(&bell);
    }
    clock_advance(10 * ROUND);
    ck_assert_uint_eq(bell.times, 10);
}
END_TEST

static void silence_other(struct bell *bell)
{
    if (bell->other)
        alarm_cancel(&bell->other->alarm);
}

static void free_other(struct bell *bell)
{
    if (bell->other) {
        alarm_cancel(&bell->other->alarm);
        free(bell->other);
    }
    free(bell);
}

START_TEST(it_may_cancel_others_of_the_same_moment)
{
    struct bell a = { .act = silence_other }, b = { .act = silence_other };
    a.other = &b;
    b.other = &a;
    set(&a, 100);
    set(&b, 100);
    clock_advance(1000);
    ck_assert_uint_eq(a.times + b.times, 1);
    ck_assert(!clock_armed());
}
END_TEST

START_TEST(it_may_free_itself_and_others_of_the_same_moment)
{
    for (int first = 0; first < 2; first++) {
        struct bell *killer = calloc(1, sizeof *killer), *victim = calloc(1, sizeof *victim);
        struct bell witness = { 0 };
        killer->act = free_other;
        killer->other = victim;
        set(first ? victim : killer, 100);
        set(&witness, 100);
        set(first ? killer : victim, 100);
        /* Whichever rings first, the victim may have rung before. */
        clock_advance(1000);
        ck_assert_uint_eq(witness.times, 1);
        ck_assert(!clock_armed());
    }
}
END_TEST

static void move_other(struct bell *bell)
{
    set(bell->other, 2 * TICK);
}

START_TEST(it_may_move_others_of_the_same_moment)
{
    struct bell a = { .act = move_other }, b = { 0 };
    a.other = &b;
    set(&b, 100);
    set(&a, 100); /* last in, first rung */
    clock_advance(1000);
    ck_assert_uint_eq(a.times, 1);
    ck_assert_uint_eq(b.times, 1);
    check_on_time(&b);
    ck_assert_uint_gt(b.rang, a.rang);
}
END_TEST

START_TEST(a_loop_that_was_away_for_long_rings_everything_once)
{
    enum { MANY = 3000 };
    static struct bell bells[MANY];
    memset(bells, 0, sizeof bells);
    for (size_t i = 0; i < MANY; i++)
        set(&bells[i], i * 37);
    unsigned before = clock_calls();
    clock_jump(MANY * 37 + TICK); /* more than three rounds, as after a suspend */
    for (size_t i = 0; i < MANY; i++)
        ck_assert_uint_eq(bells[i].times, 1);
    ck_assert_uint_eq(clock_calls() - before, 1);
    ck_assert(!clock_armed());
}
END_TEST

START_TEST(freeing_the_wheel_cancels_what_is_set)
{
    struct bell bells[3] = { 0 };
    for (size_t i = 0; i < 3; i++)
        set(&bells[i], 100 * i);
    wheel_free(wheel);
    wheel = NULL; /* teardown frees NULL: nothing happens */
    for (size_t i = 0; i < 3; i++) {
        ck_assert_ptr_null(bells[i].alarm.link);
        alarm_cancel(&bells[i].alarm);
        ck_assert_uint_eq(bells[i].times, 0);
    }
}
END_TEST

static void free_wheel(struct bell *bell)
{
    wheel_free(wheel);
    wheel = NULL;
}

START_TEST(an_alarm_may_free_the_wheel_itself)
{
    struct bell last = { .act = free_wheel }, never = { 0 };
    set(&never, 100);
    set(&last, 100);
    clock_advance(1000);
    ck_assert_uint_eq(last.times, 1);
    ck_assert_uint_eq(never.times, 0);
    ck_assert_ptr_null(never.alarm.link);
}
END_TEST

START_TEST(a_crowd_of_alarms_rings_as_a_plain_list_would)
{
    enum { CROWD = 300 };
    static struct bell bells[CROWD];
    memset(bells, 0, sizeof bells);
    srand(3);
    for (int round = 0; round < 3000; round++) {
        struct bell *bell = &bells[(size_t)rand() % CROWD];
        if (bell->alarm.link && rand() % 3 == 0) {
            alarm_cancel(&bell->alarm);
            bell->due = 0;
        } else {
            set(bell, (uint64_t)rand() % (rand() % 10 ? 2000 : 3 * ROUND));
            bell->times = 0;
        }
        clock_advance((uint64_t)rand() % 100);
        uint64_t now = uv_now(&loop);
        for (size_t i = 0; i < CROWD; i++) {
            if (!bells[i].due)
                continue;
            if (bells[i].times)
                check_on_time(&bells[i]);
            else
                ck_assert_uint_lt(now, bells[i].due + TICK); /* not forgotten */
            if (bells[i].times) {
                ck_assert_uint_eq(bells[i].times, 1);
                bells[i].due = 0;
            }
        }
    }
    for (size_t i = 0; i < CROWD; i++)
        alarm_cancel(&bells[i].alarm);
    ck_assert(!clock_armed());
}
END_TEST

/* --- with libuv's own clock ------------------------------------------------------------------ */

START_TEST(a_real_loop_ends_when_the_last_alarm_has_rung)
{
    struct bell bells[3] = { 0 };
    clock_end();
    uv_loop_t *real = uv_default_loop();
    struct wheel *w = wheel_new(real);
    uint64_t start = uv_hrtime();
    uv_update_time(real);
    for (size_t i = 0; i < 3; i++)
        alarm_set(w, &bells[i].alarm, 20 * i, on_ring);
    ck_assert_int_eq(uv_run(real, UV_RUN_DEFAULT), 0);
    ck_assert_uint_ge(uv_hrtime() - start, 39000000);
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_eq(bells[i].times, 1);
    wheel_free(w);
    ck_assert_int_eq(uv_run(real, UV_RUN_DEFAULT), 0);
    ck_assert_int_eq(uv_loop_close(real), 0);
}
END_TEST

START_TEST(without_memory_there_is_no_wheel)
{
    memory_fail_at(0);
    ck_assert_ptr_null(wheel_new(&loop));
    ck_assert(memory_end());
    wheel_free(NULL);
}
END_TEST

SUITE(wheel)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, alarms_ring_once_never_early_and_at_most_a_tick_late);
    tcase_add_test(tc, the_timer_is_armed_for_the_next_alarm_only);
    tcase_add_test(tc, a_cancelled_alarm_does_not_ring_and_leaves_no_timer);
    tcase_add_test(tc, nobody_is_woken_for_a_cancelled_alarm);
    tcase_add_test(tc, a_set_alarm_moves);
    tcase_add_test(tc, it_may_be_set_again_from_within);
    tcase_add_test(tc, it_may_cancel_others_of_the_same_moment);
    tcase_add_test(tc, it_may_free_itself_and_others_of_the_same_moment);
    tcase_add_test(tc, it_may_move_others_of_the_same_moment);
    tcase_add_test(tc, a_loop_that_was_away_for_long_rings_everything_once);
    tcase_add_test(tc, freeing_the_wheel_cancels_what_is_set);
    tcase_add_test(tc, an_alarm_may_free_the_wheel_itself);
    tcase_add_test(tc, a_crowd_of_alarms_rings_as_a_plain_list_would);
    tcase_add_test(tc, a_real_loop_ends_when_the_last_alarm_has_rung);
    tcase_add_test(tc, without_memory_there_is_no_wheel);
}
