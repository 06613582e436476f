#include "core/buf.h"
#include "tests/core/memory.h"
#include "tests/suite.h"

#include <stdlib.h>

START_TEST(pieces_arrive_in_order)
{
    struct buf b = BUF_EMPTY;
    buf_put(&b, SLICE("one "));
    buf_puts(&b, "two ");
    buf_putc(&b, '3');
    buf_printf(&b, " %s %d", "four", 5);
    ck_assert(slice_is(buf_slice(&b), SLICE("one two 3 four 5")));
    ck_assert_int_eq(buf_rc(&b), RC_OK);
    buf_fini(&b);
    ck_assert_ptr_null(b.at);
    ck_assert_uint_eq(b.cap, 0);
}
END_TEST

START_TEST(it_grows_by_single_bytes_without_losing_any)
{
    struct buf b = BUF_EMPTY;
    for (int i = 0; i < 100000; i++)
        buf_putc(&b, (char)(i * 7));
    ck_assert_uint_eq(b.len, 100000);
    for (int i = 0; i < 100000; i++)
        ck_assert_int_eq(b.at[i], (char)(i * 7));
    buf_fini(&b);
}
END_TEST

START_TEST(formatted_text_of_every_length_fits)
{
    char expected[400];
    memset(expected, 'x', sizeof expected);
    for (int n = 0; n < (int)sizeof expected; n++) {
        struct buf b = BUF_EMPTY;
        buf_puts(&b, "head");
        buf_printf(&b, "%.*s", n, expected);
        ck_assert_uint_eq(b.len, 4 + (size_t)n);
        ck_assert_mem_eq(b.at + 4, expected, (size_t)n);
        buf_fini(&b);
    }
}
END_TEST

START_TEST(shifting_keeps_the_rest)
{
    struct buf b = BUF_EMPTY;
    buf_puts(&b, "abcdef");
    buf_shift(&b, 0);
    buf_shift(&b, 2);
    ck_assert(slice_is(buf_slice(&b), SLICE("cdef")));
    buf_shift(&b, 4);
    ck_assert_uint_eq(b.len, 0);
    buf_puts(&b, "again");
    ck_assert(slice_is(buf_slice(&b), SLICE("again")));
    buf_fini(&b);
}
END_TEST

START_TEST(a_want_of_memory_is_remembered_until_fini)
{
    MEMORY_SCRIPT(nth)
    {
        struct buf b = BUF_EMPTY;
        for (int i = 0; i < 50; i++)
            buf_printf(&b, "%d, a piece of some length\n", i);
        ck_assert_int_eq(buf_rc(&b), memory_failed() ? RC_NOMEM : RC_OK);
        if (memory_failed()) {
            ck_assert_uint_eq(b.len, 0);
            ck_assert(!buf_reserve(&b, 1));
            buf_putc(&b, 'x');
            ck_assert_uint_eq(b.len, 0);
        } else {
            ck_assert_uint_gt(nth, 3); /* so the script has failed some */
        }
        buf_fini(&b);
        ck_assert_int_eq(buf_rc(&b), RC_OK);
    }
}
END_TEST

START_TEST(an_absurd_size_is_a_want_of_memory)
{
    struct buf b = BUF_EMPTY;
    buf_puts(&b, "x");
    ck_assert(!buf_reserve(&b, SIZE_MAX));
    ck_assert_int_eq(buf_rc(&b), RC_NOMEM);
    buf_fini(&b);
}
END_TEST

START_TEST(a_copied_slice_ends_with_a_nul)
{
    char *copy = slice_dup((struct slice){ "abcdef", 3 });
    ck_assert_str_eq(copy, "abc");
    free(copy);
    copy = slice_dup(SLICE_NONE);
    ck_assert_str_eq(copy, "");
    free(copy);
    memory_fail_at(0);
    ck_assert_ptr_null(slice_dup(SLICE("x")));
    ck_assert(memory_end());
}
END_TEST

SUITE(buf)
{
    tcase_add_test(tc, pieces_arrive_in_order);
    tcase_add_test(tc, it_grows_by_single_bytes_without_losing_any);
    tcase_add_test(tc, formatted_text_of_every_length_fits);
    tcase_add_test(tc, shifting_keeps_the_rest);
    tcase_add_test(tc, a_want_of_memory_is_remembered_until_fini);
    tcase_add_test(tc, an_absurd_size_is_a_want_of_memory);
    tcase_add_test(tc, a_copied_slice_ends_with_a_nul);
}
