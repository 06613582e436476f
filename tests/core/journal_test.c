#include "core/journal.h"
#include "tests/core/memory.h"
#include "tests/suite.h"

#include <stdlib.h>

static struct event *event_of(int64_t seq, size_t data)
{
    static char room[1 << 16];
    return event_new(&(struct event_fields){
        .epoch = "e", .seq = seq, .topic = SLICE("t"), .data = { room, data } });
}

static enum rc append(struct journal *j, int64_t seq, size_t data)
{
    struct event *e = event_of(seq, data);
    enum rc rc = journal_append(j, e);
    event_unref(e);
    return rc;
}

START_TEST(what_is_above_the_floor_is_complete)
{
    struct journal *j = journal_new(100, 1 << 20);
    journal_reset(j, 1000);
    ck_assert_int_eq(journal_floor(j), 1000);
    ck_assert_int_eq(journal_last(j), 1000);
    ck_assert_ptr_null(journal_next(j, 1000));

    /* Numbers have holes; holes mean nothing.  Long enough for the ring to turn some times. */
    for (int64_t i = 1; i <= 350; i++) {
        ck_assert_int_eq(append(j, 1000 + 3 * i, 10), RC_OK);
        size_t expected = i < 100 ? (size_t)i : 100;
        ck_assert_uint_eq(journal_count(j), expected);
        ck_assert_int_eq(journal_last(j), 1000 + 3 * i);
        ck_assert_int_eq(journal_floor(j), i <= 100 ? 1000 : 1000 + 3 * (i - 100));

        for (int64_t after = journal_floor(j); after <= journal_last(j); after++) {
            struct event *next = journal_next(j, after);
            if (after == journal_last(j))
                ck_assert_ptr_null(next);
            else
                ck_assert_int_eq(event_seq(next), 1000 + ((after - 1000) / 3 + 1) * 3);
        }
    }
    journal_free(j);
}
END_TEST

START_TEST(bytes_are_a_limit_too)
{
    struct journal *j = journal_new(1000, 20000);
    for (int64_t i = 1; i <= 100; i++) {
        ck_assert_int_eq(append(j, i, 1000), RC_OK);
        ck_assert_int_eq(journal_last(j), i);
        ck_assert_int_eq(journal_floor(j), i - (int64_t)journal_count(j));
    }
    ck_assert_uint_ge(journal_count(j), 10);
    ck_assert_uint_lt(journal_count(j), 20);
    journal_free(j);
}
END_TEST

static enum rc encode_much(const struct event *e, const void *with, struct buf *out)
{
    for (int i = 0; i < 1000; i++)
        buf_putc(out, 'x');
    return RC_OK;
}

START_TEST(what_an_event_weighed_is_given_back_even_if_it_has_grown)
{
    struct journal *j = journal_new(1000, 20000);
    size_t settled = 0;
    for (int64_t i = 1; i <= 1000; i++) {
        struct event *e = event_of(i, 1000);
        struct block *bytes;
        ck_assert_int_eq(journal_append(j, e), RC_OK);
        ck_assert_int_eq(event_bytes(e, &(struct encoder){ ENC_SSE, encode_much, NULL }, &bytes),
                         RC_OK);
        event_unref(e);
        if (i == 100)
            settled = journal_count(j);
        if (i > 100)
            ck_assert_uint_eq(journal_count(j), settled);
    }
    journal_free(j);
}
END_TEST

START_TEST(an_event_larger_than_the_journal_empties_it_but_breaks_nothing)
{
    struct journal *j = journal_new(1000, 5000);
    for (int64_t i = 1; i <= 4; i++)
        ck_assert_int_eq(append(j, i, 100), RC_OK);
    ck_assert_int_eq(append(j, 5, 9000), RC_OK);
    ck_assert_uint_eq(journal_count(j), 0);
    ck_assert_int_eq(journal_floor(j), 5);
    ck_assert_int_eq(append(j, 6, 100), RC_OK);
    ck_assert_int_eq(event_seq(journal_next(j, 5)), 6);
    journal_free(j);
}
END_TEST

START_TEST(a_journal_of_no_events_keeps_none)
{
    struct journal *j = journal_new(0, 1 << 20);
    ck_assert_int_eq(append(j, 8, 1), RC_OK);
    ck_assert_uint_eq(journal_count(j), 0);
    ck_assert_int_eq(journal_floor(j), 8);
    ck_assert_int_eq(journal_last(j), 8);
    ck_assert_ptr_null(journal_next(j, 8));
    journal_free(j);
}
END_TEST

START_TEST(a_reset_forgets_everything)
{
    struct journal *j = journal_new(10, 1 << 20);
    for (int64_t i = 1; i <= 25; i++)
        ck_assert_int_eq(append(j, i, 1), RC_OK);
    journal_reset(j, 3); /* another history may begin lower */
    ck_assert_uint_eq(journal_count(j), 0);
    ck_assert_int_eq(journal_last(j), 3);
    ck_assert_int_eq(append(j, 4, 1), RC_OK);
    ck_assert_int_eq(event_seq(journal_next(j, 3)), 4);
    journal_free(j);
    journal_free(NULL);
}
END_TEST

START_TEST(it_keeps_events_alive_and_lets_them_go)
{
    struct journal *j = journal_new(1, 1 << 20);
    struct event *e = event_of(1, 10);
    ck_assert_int_eq(journal_append(j, e), RC_OK);
    event_unref(e); /* the journal's reference is left: the sanitizer would tell */
    ck_assert_int_eq(event_seq(journal_next(j, 0)), 1);
    ck_assert_int_eq(append(j, 2, 10), RC_OK);
    ck_assert_int_eq(event_seq(journal_next(j, 1)), 2);
    journal_free(j);
}
END_TEST

START_TEST(without_memory_it_starts_afresh_above_the_event)
{
    memory_fail_at(0);
    ck_assert_ptr_null(journal_new(10, 10));
    ck_assert(memory_end());

    struct journal *j = journal_new(1000, 1 << 20);
    for (int64_t i = 1; i <= 300; i++) {
        struct event *e = event_of(i, 10);
        if (i == 65) /* the ring wants to grow */
            memory_fail_at(0);
        ck_assert_int_eq(journal_append(j, e), i == 65 ? RC_NOMEM : RC_OK);
        if (i == 65)
            ck_assert(memory_end());
        event_unref(e);
        ck_assert_int_eq(journal_floor(j), i < 65 ? 0 : 65);
        ck_assert_int_eq(journal_last(j), i);
    }
    ck_assert_uint_eq(journal_count(j), 300 - 65);
    journal_free(j);
}
END_TEST

SUITE(journal)
{
    tcase_add_test(tc, what_is_above_the_floor_is_complete);
    tcase_add_test(tc, bytes_are_a_limit_too);
    tcase_add_test(tc, what_an_event_weighed_is_given_back_even_if_it_has_grown);
    tcase_add_test(tc, an_event_larger_than_the_journal_empties_it_but_breaks_nothing);
    tcase_add_test(tc, a_journal_of_no_events_keeps_none);
    tcase_add_test(tc, a_reset_forgets_everything);
    tcase_add_test(tc, it_keeps_events_alive_and_lets_them_go);
    tcase_add_test(tc, without_memory_it_starts_afresh_above_the_event);
}
