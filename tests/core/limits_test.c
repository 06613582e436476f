#include "core/conf.h"
#include "core/limits.h"
#include "tests/core/memory.h"
#include "tests/suite.h"

#include <sodium.h>

enum { MINUTE_MS = 60000, MANY = 1000000 };

static struct conf conf;
static struct limits *limits;
static uint64_t now;

static void setup(void)
{
    ck_assert(sodium_init() >= 0 && conf_init(&conf) == RC_OK);
    limits = limits_new(&conf);
    ck_assert_ptr_nonnull(limits);
    now = 123456789;
}

static void teardown(void)
{
    limits_free(limits);
    conf_fini(&conf);
}

static uint64_t party(const char *name)
{
    return limits_party(limits, PARTY_ADDRESS, slice_of(name));
}

static uint64_t party_number(uint64_t n)
{
    return limits_party(limits, PARTY_ADDRESS, (struct slice){ (const char *)&n, sizeof(n) });
}

/* Ask for one request, and get it or not: 0, or the wait. */
static int64_t take(uint64_t who, int64_t per_minute, int64_t cost)
{
    int64_t wait = limits_wait_ms(limits, who, FLOW_REQUESTS, per_minute, cost, now);

    if (wait == 0)
        limits_charge(limits, who, FLOW_REQUESTS, per_minute, cost, now);
    return wait;
}

/* How many can be had now, one by one. */
static int have(uint64_t who, int64_t per_minute)
{
    int n = 0;

    while (n < MANY && take(who, per_minute, 1) == 0)
        n++;
    return n;
}

/* ---- parties --------------------------------------------------------------------------------- */

START_TEST(parties_are_told_apart_and_never_none)
{
    uint64_t a = party("a");

    ck_assert_uint_ne(a, PARTY_NONE);
    ck_assert_uint_eq(a, party("a"));
    ck_assert_uint_ne(a, party("b"));
    ck_assert_uint_ne(a, limits_party(limits, PARTY_SUBJECT, SLICE("a")));
    ck_assert_uint_ne(party(""), PARTY_NONE);
    struct limits *other = limits_new(&conf); /* another process: nobody can know the numbers */
    ck_assert_uint_ne(a, limits_party(other, PARTY_ADDRESS, SLICE("a")));
    limits_free(other);
}
END_TEST

/* ---- what flows ------------------------------------------------------------------------------ */

START_TEST(a_minutes_worth_can_be_had_at_once_and_no_more)
{
    static const int64_t rates[] = { 1, 7, 60, 1000, 60000 };

    for (size_t i = 0; i < LENGTH(rates); i++)
        ck_assert_int_eq(have(party_number(i), rates[i]), rates[i]);
}
END_TEST

START_TEST(the_wait_is_as_long_as_it_was_said)
{
    uint64_t who = party("a");

    for (int64_t rate = 1; rate <= 600; rate = rate * 5 + 2) {
        now += 10 * MINUTE_MS;
        ck_assert_int_eq(have(who, rate), rate);
        int64_t wait = take(who, rate, 1);
        ck_assert_int_ge(wait, MINUTE_MS / rate);
        ck_assert_int_le(wait, MINUTE_MS / rate + 1);
        now += (uint64_t)wait - 1;
        ck_assert_int_eq(take(who, rate, 1), 1);
        now += 1;
        ck_assert_int_eq(take(who, rate, 1), 0);
        ck_assert_int_gt(take(who, rate, 1), 0);
    }
}
END_TEST

START_TEST(it_fills_up_as_time_goes_by_and_not_over_the_brim)
{
    uint64_t who = party("a");

    ck_assert_int_eq(have(who, 60), 60);
    now += 10 * 1000;
    ck_assert_int_eq(have(who, 60), 10);
    now += 24 * 60 * MINUTE_MS;
    ck_assert_int_eq(have(who, 60), 60);
}
END_TEST

START_TEST(one_party_leaves_another_alone_and_one_flow_another)
{
    uint64_t a = party("a"), b = party("b");

    ck_assert_int_eq(have(a, 10), 10);
    ck_assert_int_eq(have(b, 10), 10);
    ck_assert_int_eq(limits_wait_ms(limits, a, FLOW_PUBLISHES, 10, 10, now), 0);
    ck_assert_int_eq(limits_wait_ms(limits, a, FLOW_BYTES, 10, 10, now), 0);
}
END_TEST

START_TEST(no_limit_and_no_party_are_never_refused_and_never_kept)
{
    struct limits_view view;

    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(take(party("a"), 0, 1), 0);
        ck_assert_int_eq(take(PARTY_NONE, 1, 1), 0);
    }
    limits_fine(limits, PARTY_NONE, FLOW_REQUESTS, 1, 1, now);
    limits_refund(limits, PARTY_NONE, FLOW_REQUESTS, 1, 1, now);
    limits_look(limits, &view);
    ck_assert_uint_eq(view.buckets, 0);
    ck_assert_uint_lt(view.bytes, 4096); /* who needs no limits pays nothing for them */
}
END_TEST

START_TEST(more_than_a_bucket_holds_is_had_when_it_is_full_and_paid_off)
{
    uint64_t who = party("a");

    ck_assert_int_eq(take(who, 100, 250), 0);
    ck_assert_int_eq(take(who, 100, 1), 90 * 1000 + 600);
    now += 90 * 1000 + 600;
    ck_assert_int_eq(take(who, 100, 1), 0);
    ck_assert_int_eq(take(who, 100, 250), MINUTE_MS); /* only when it is full */
}
END_TEST

START_TEST(bytes_by_the_gigabyte_do_not_overflow)
{
    uint64_t who = party("a");
    int64_t gig = INT64_C(1) << 30;

    ck_assert_int_eq(take(who, 1, gig), 0);
    ck_assert_int_gt(take(who, 1, 1), 1000000 * (int64_t)MINUTE_MS);
    ck_assert_int_eq(take(party("b"), 1024 * gig, gig), 0);
    ck_assert_int_eq(take(party("b"), 1024 * gig, 1023 * gig), 0);
    ck_assert_int_gt(take(party("b"), 1024 * gig, gig), 0);
}
END_TEST

START_TEST(a_fine_empties_the_bucket_and_never_more)
{
    uint64_t who = party("a");

    limits_fine(limits, who, FLOW_REQUESTS, 60, 40, now);
    ck_assert_int_eq(limits_wait_ms(limits, who, FLOW_REQUESTS, 60, 20, now), 0);
    ck_assert_int_gt(limits_wait_ms(limits, who, FLOW_REQUESTS, 60, 21, now), 0);
    for (int i = 0; i < 100; i++)
        limits_fine(limits, who, FLOW_REQUESTS, 60, 40, now);
    ck_assert_int_eq(take(who, 60, 1), 1000);
}
END_TEST

START_TEST(a_refund_gives_back_what_was_taken_and_no_more)
{
    uint64_t who = party("a");

    ck_assert_int_eq(have(who, 60), 60);
    limits_refund(limits, who, FLOW_REQUESTS, 60, 1, now);
    ck_assert_int_eq(have(who, 60), 1);
    limits_refund(limits, who, FLOW_REQUESTS, 60, 1000, now);
    ck_assert_int_eq(have(who, 60), 60);
    limits_refund(limits, party("stranger"), FLOW_REQUESTS, 60, 1, now);
    ck_assert_int_eq(have(party("stranger"), 60), 60);
}
END_TEST

START_TEST(a_flood_of_addresses_needs_no_more_memory_and_hides_no_debt)
{
    uint64_t debtor = party("the flood's own"), small = party("owes little");
    struct limits_view before, after;

    ck_assert_int_eq(have(debtor, 1000), 1000);
    (void)take(small, 1000, 1);
    limits_look(limits, &before);
    for (uint64_t i = 0; i < MANY; i++)
        ck_assert_int_eq(take(party_number(i), 1000, 10), 0);
    limits_look(limits, &after);
    ck_assert_uint_eq(after.bytes, before.bytes);
    ck_assert_uint_le(after.buckets, after.buckets_max);
    ck_assert_uint_gt(after.buckets, after.buckets_max / 2);
    ck_assert_uint_le(after.bytes, 2 << 20);
    ck_assert_int_gt(take(debtor, 1000, 1), 0); /* a million others owe less */
    ck_assert_int_eq(have(small, 1000), 1000);  /* forgotten, which is only to its good */
}
END_TEST

/* The table is full of what has been paid off long ago: the oldest go first, and the new stay. */
START_TEST(what_is_long_full_makes_room)
{
    for (uint64_t i = 0; i < MANY / 4; i++)
        (void)take(party_number(i), 1000, 900);
    now += 2 * MINUTE_MS;
    for (uint64_t i = MANY; i < MANY + 1000; i++)
        ck_assert_int_eq(have(party_number(i), 5), 5);
    for (uint64_t i = MANY; i < MANY + 1000; i++)
        ck_assert_int_gt(take(party_number(i), 5, 1), 0);
}
END_TEST

START_TEST(without_memory_nobody_is_counted_and_nobody_refused)
{
    memory_fail_at(0);
    limits_charge(limits, party("a"), FLOW_REQUESTS, 1, 1, now);
    ck_assert(memory_end());
    ck_assert_int_eq(take(party("a"), 1, 1), 0);
    ck_assert_int_gt(take(party("a"), 1, 1), 0); /* and then there is some */
    MEMORY_SCRIPT(nth)
    {
        struct limits *l = limits_new(&conf);
        ck_assert((l == NULL) == memory_failed());
        limits_free(l);
    }
}
END_TEST

/* ---- what stays ------------------------------------------------------------------------------ */

START_TEST(seats_are_counted_for_each_and_given_back)
{
    uint64_t a = party("a"), b = party("b");
    uint32_t seats[3], of_b, none;

    for (size_t i = 0; i < LENGTH(seats); i++)
        ck_assert_int_eq(limits_sit(limits, a, LENGTH(seats), &seats[i]), RC_OK);
    ck_assert_int_eq(limits_sit(limits, a, LENGTH(seats), &none), RC_LIMIT);
    ck_assert_uint_eq(none, 0);
    ck_assert_int_eq(limits_sit(limits, b, 1, &of_b), RC_OK);
    limits_leave(limits, seats[1]);
    ck_assert_int_eq(limits_sit(limits, a, LENGTH(seats), &seats[1]), RC_OK);
    ck_assert_int_eq(limits_sit(limits, a, LENGTH(seats), &none), RC_LIMIT);
    limits_leave(limits, none); /* none: nothing happens */
    for (size_t i = 0; i < LENGTH(seats); i++)
        limits_leave(limits, seats[i]);
    limits_leave(limits, of_b);
    struct limits_view view;
    limits_look(limits, &view);
    ck_assert_uint_eq(view.seated, 0);
}
END_TEST

START_TEST(who_is_not_counted_has_no_seat)
{
    uint32_t seat = 77;
    struct limits_view view;

    ck_assert_int_eq(limits_sit(limits, PARTY_NONE, 0, &seat), RC_OK);
    ck_assert_uint_eq(seat, 0);
    limits_look(limits, &view);
    ck_assert_uint_eq(view.seated, 0);
}
END_TEST

/* Against counts kept in the plainest way, in an order of chance. */
START_TEST(seats_are_counted_exactly_whatever_the_order)
{
    enum { PARTIES = 500, STEPS = 200000, MOST = 7 };
    static uint32_t seats[PARTIES][MOST];
    static size_t count[PARTIES];
    struct limits_view view;
    size_t seated = 0;

    for (uint32_t step = 0; step < STEPS; step++) {
        uint64_t n = randombytes_uniform(PARTIES);
        uint32_t seat;
        if (randombytes_uniform(2)) {
            enum rc rc = limits_sit(limits, party_number(n), MOST, &seat);
            ck_assert_int_eq(rc, count[n] < MOST ? RC_OK : RC_LIMIT);
            if (rc == RC_OK)
                seats[n][count[n]++] = seat;
        } else if (count[n] > 0) {
            limits_leave(limits, seats[n][--count[n]]);
        }
    }
    for (size_t n = 0; n < PARTIES; n++)
        seated += count[n] > 0;
    limits_look(limits, &view);
    ck_assert_uint_eq(view.seated, seated);
    for (size_t n = 0; n < PARTIES; n++)
        while (count[n] > 0)
            limits_leave(limits, seats[n][--count[n]]);
    limits_look(limits, &view);
    ck_assert_uint_eq(view.seated, 0);
}
END_TEST

START_TEST(without_memory_there_is_no_seat_and_nothing_is_lost)
{
    uint32_t seats[200], seat, got = 0;

    for (uint32_t i = 0; i < LENGTH(seats); i++) {
        MEMORY_SCRIPT(nth)
        {
            enum rc rc = limits_sit(limits, party_number(i), 1, &seat);
            ck_assert_int_eq(rc, memory_failed() ? RC_NOMEM : RC_OK);
            if (rc == RC_OK)
                seats[got++] = seat;
        }
    }
    ck_assert_uint_eq(got, LENGTH(seats));
    for (uint32_t i = 0; i < LENGTH(seats); i++) {
        ck_assert_int_eq(limits_sit(limits, party_number(i), 1, &seat), RC_LIMIT);
        limits_leave(limits, seats[i]);
    }
}
END_TEST

SUITE(limits)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, parties_are_told_apart_and_never_none);
    tcase_add_test(tc, a_minutes_worth_can_be_had_at_once_and_no_more);
    tcase_add_test(tc, the_wait_is_as_long_as_it_was_said);
    tcase_add_test(tc, it_fills_up_as_time_goes_by_and_not_over_the_brim);
    tcase_add_test(tc, one_party_leaves_another_alone_and_one_flow_another);
    tcase_add_test(tc, no_limit_and_no_party_are_never_refused_and_never_kept);
    tcase_add_test(tc, more_than_a_bucket_holds_is_had_when_it_is_full_and_paid_off);
    tcase_add_test(tc, bytes_by_the_gigabyte_do_not_overflow);
    tcase_add_test(tc, a_fine_empties_the_bucket_and_never_more);
    tcase_add_test(tc, a_refund_gives_back_what_was_taken_and_no_more);
    tcase_add_test(tc, a_flood_of_addresses_needs_no_more_memory_and_hides_no_debt);
    tcase_add_test(tc, what_is_long_full_makes_room);
    tcase_add_test(tc, without_memory_nobody_is_counted_and_nobody_refused);
    tcase_add_test(tc, seats_are_counted_for_each_and_given_back);
    tcase_add_test(tc, who_is_not_counted_has_no_seat);
    tcase_add_test(tc, seats_are_counted_exactly_whatever_the_order);
    tcase_add_test(tc, without_memory_there_is_no_seat_and_nothing_is_lost);
}
