#include "core/cursor.h"
#include "tests/page.h"
#include "tests/suite.h"

#include <stdio.h>

START_TEST(a_cursor_reads_as_it_was_written)
{
    static const int64_t seqs[] = { 0, 1, 9, 10, 99, 100, 4711, 1000000007, INT64_MAX };
    static const char *const epochs[] = { "a", "Z9", "0", "abcdefgh12345678" };
    for (size_t i = 0; i < LENGTH(seqs); i++) {
        for (size_t j = 0; j < LENGTH(epochs); j++) {
            char text[CURSOR_TEXT_MAX + 1], expected[64];
            size_t len = cursor_text(epochs[j], seqs[i], text);
            snprintf(expected, sizeof expected, "%s-%lld", epochs[j], (long long)seqs[i]);
            ck_assert_str_eq(text, expected);
            ck_assert_uint_eq(len, strlen(expected));

            struct cursor c;
            ck_assert_int_eq(cursor_parse((struct slice){ text, len }, &c), RC_OK);
            ck_assert_str_eq(c.epoch, epochs[j]);
            ck_assert_int_eq(c.seq, seqs[i]);
        }
    }
}
END_TEST

START_TEST(anything_else_is_none_and_leaves_the_place_alone)
{
    static const char *const bad[] = {
        "",
        "-",
        "a",
        "a-",
        "-1",
        "a-01",
        "a-1 ",
        " a-1",
        "a--1",
        "a-+1",
        "a_b-1",
        "a-1-2",
        "a.b-1",
        "a-1x",
        "a-0x1",
        "\xC3\xA9-1",
        "abcdefgh123456789-1",
        "a-9223372036854775808",
        "a-99999999999999999999",
        "a-00",
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct page p = page_of(slice_of(bad[i]));
        struct cursor c = { "kept", 7 };
        ck_assert_int_eq(cursor_parse(p.bytes, &c), RC_SYNTAX);
        ck_assert_str_eq(c.epoch, "kept");
        ck_assert_int_eq(c.seq, 7);
        page_fini(&p);
    }
    struct cursor c;
    ck_assert_int_eq(cursor_parse(SLICE_NONE, &c), RC_SYNTAX);
    ck_assert_int_eq(cursor_parse(SLICE("a\0-1"), &c), RC_SYNTAX);
}
END_TEST

START_TEST(cut_anywhere_it_is_not_read_past_its_end)
{
    static const char whole[] = "abcdefgh12345678-9223372036854775807";
    for (size_t n = 0; n < sizeof whole; n++) {
        struct page p = page_of((struct slice){ whole, n });
        struct cursor c;
        ck_assert_int_eq(cursor_parse(p.bytes, &c), n > 17 ? RC_OK : RC_SYNTAX);
        page_fini(&p);
    }
    ck_assert_uint_eq(sizeof whole - 1, CURSOR_TEXT_MAX);
}
END_TEST

START_TEST(an_epoch_that_is_too_long_is_cut_and_not_overrun)
{
    char text[CURSOR_TEXT_MAX + 1];
    ck_assert_uint_eq(cursor_text("abcdefgh123456789", INT64_MAX, text), CURSOR_TEXT_MAX);
    ck_assert_str_eq(text, "abcdefgh12345678-9223372036854775807");
}
END_TEST

SUITE(cursor)
{
    tcase_add_test(tc, a_cursor_reads_as_it_was_written);
    tcase_add_test(tc, anything_else_is_none_and_leaves_the_place_alone);
    tcase_add_test(tc, cut_anywhere_it_is_not_read_past_its_end);
    tcase_add_test(tc, an_epoch_that_is_too_long_is_cut_and_not_overrun);
}
