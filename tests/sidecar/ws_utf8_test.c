/*
 * ws_utf8_test.c - every sequence of up to four bytes that matters, held up to the table that core
 * has for whole text; and each wrong byte noticed when it comes.
 */
#include <stdlib.h>

#include "core/text.h"
#include "sidecar/ws_utf8.h"
#include "tests/page.h"
#include "tests/suite.h"

/* How many bytes are taken until one is wrong; len + 1: none is, but the end is amid a character.
 */
static size_t taken(struct slice s, size_t cut)
{
    struct ws_utf8 u = { 0 };
    struct slice first = { s.at, cut }, second = { s.at + cut, s.len - cut };

    if (!ws_utf8_feed(&u, first) || !ws_utf8_feed(&u, second))
        return 0;
    return ws_utf8_whole(&u) ? s.len : s.len + 1;
}

/* May s be the beginning of a character? */
static bool may_begin(struct slice s)
{
    static const char tails[][4] = { "\x80\x80\x80", "\x90\x80\x80", "\xA0\x80\x80" };
    char whole[8];

    for (size_t t = 0; t < LENGTH(tails); t++) {
        memcpy(whole, s.at, s.len);
        memcpy(whole + s.len, tails[t], 3);
        size_t n = utf8_sequence((struct slice){ whole, s.len + 3 });
        if (n > s.len)
            return true;
    }
    return false;
}

/* On both sides of whatever is a limit in the table. */
static const unsigned char edges[] = { 0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                       0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
                                       0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFE, 0xFF };

START_TEST(each_sequence_is_judged_as_the_table_says)
{
    unsigned char at[3];

    for (unsigned word = 0x8000; word < 0x10000; word++) {
        for (size_t e = 0; e < LENGTH(edges); e++) {
            at[0] = (unsigned char)(word >> 8);
            at[1] = (unsigned char)word;
            at[2] = edges[e];
            struct slice s = { (const char *)at, 3 };
            struct ws_utf8 u = { 0 };
            bool fine = ws_utf8_feed(&u, s);
            ck_assert_msg((fine && ws_utf8_whole(&u)) == utf8_valid(s), "%x %x", word, at[2]);
        }
    }
}
END_TEST

START_TEST(a_sequence_is_wrong_from_the_byte_that_makes_it_so)
{
    size_t n = LENGTH(edges);

    for (size_t i = 0; i < n * n * n * n; i++) {
        char at[4] = { (char)edges[i % n], (char)edges[i / n % n], (char)edges[i / n / n % n],
                       (char)edges[i / n / n / n] };
        struct ws_utf8 u = { 0 };
        size_t begun = 0; /* of the character under way */
        for (size_t k = 0; k < 4; k++) {
            bool fine = ws_utf8_feed(&u, (struct slice){ at + k, 1 });
            struct slice so_far = { at + begun, k + 1 - begun };
            bool whole = utf8_sequence(so_far) == so_far.len;
            ck_assert_msg(fine == (whole || may_begin(so_far)), "%zx at %zu", i, k);
            ck_assert(!fine || ws_utf8_whole(&u) == whole);
            if (!fine)
                break;
            if (whole)
                begun = k + 1;
        }
    }
}
END_TEST

START_TEST(text_is_the_same_however_it_is_cut)
{
    struct page page = page_of(
        SLICE("plain text that is longer than a word, \xC3\xA4, \xE2\x82\xAC, \xF0\x9F\x94\x94 "
              "and sixteen more.\xF4\x8F\xBF\xBF"));
    struct slice s = page.bytes;

    for (size_t cut = 0; cut <= s.len; cut++)
        ck_assert_uint_eq(taken(s, cut), s.len);
    for (size_t bad = 0; bad < s.len; bad++) { /* a byte that never is, everywhere */
        char *at = (char *)(uintptr_t)s.at + bad, kept = *at;
        *at = '\xFF';
        for (size_t cut = 0; cut <= s.len; cut++)
            ck_assert_uint_eq(taken(s, cut), 0);
        *at = kept;
    }
    ck_assert_uint_eq(taken((struct slice){ s.at, s.len - 1 }, 0), s.len); /* amid the last */
    page_fini(&page);
}
END_TEST

START_TEST(a_cut_leaves_whole_characters)
{
    struct slice s = SLICE("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x94\x94");
    const size_t want[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10 };

    for (size_t max = 0; max < LENGTH(want); max++)
        ck_assert_uint_eq(ws_utf8_cut(s, max).len, want[max]);
    ck_assert_uint_eq(ws_utf8_cut(SLICE_NONE, 5).len, 0);
    struct page page = page_of(s); /* what fits is not looked at */
    ck_assert_uint_eq(ws_utf8_cut(page.bytes, s.len).len, s.len);
    page_fini(&page);
}
END_TEST

SUITE(ws_utf8)
{
    tcase_add_test(tc, each_sequence_is_judged_as_the_table_says);
    tcase_add_test(tc, a_sequence_is_wrong_from_the_byte_that_makes_it_so);
    tcase_add_test(tc, text_is_the_same_however_it_is_cut);
    tcase_add_test(tc, a_cut_leaves_whole_characters);
}
