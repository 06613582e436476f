/*
 * problem_test.c - problem details are JSON whatever the client sent.
 */
#include <jansson.h>

#include "core/details.h"
#include "core/text.h"
#include "handlers/problem.h"
#include "tests/suite.h"

START_TEST(detail_is_utf8_whatever_was_quoted)
{
    static const struct slice odd[] = {
        { "plain", 5 },       { "\xff\xfe", 2 }, { "cut \xe4\xb8", 6 },
        { "\xc3\x28", 2 },    { "nul\0nul", 7 }, { "\xed\xa0\x80", 3 },
        { "quote\"\\\n", 8 }, { "", 0 },         { "\xf0\x9f\x94\x94\x94", 5 },
    };
    for (size_t i = 0; i < LENGTH(odd); i++) {
        struct buf out = BUF_EMPTY;
        details_put(&out, 400, odd[i]);
        ck_assert(utf8_valid(buf_slice(&out)));
        json_t *root = json_loadb(out.at, out.len, JSON_ALLOW_NUL, NULL);
        ck_assert_msg(root != NULL, "case %zu: %.*s", i, (int)out.len, out.at);
        ck_assert_str_eq(json_string_value(json_object_get(root, "title")), "Bad Request");
        ck_assert_str_eq(json_string_value(json_object_get(root, "type")), "about:blank");
        ck_assert_int_eq(json_integer_value(json_object_get(root, "status")), 400);
        json_decref(root);
        buf_fini(&out);
    }
}
END_TEST

START_TEST(what_is_good_stays_and_what_is_not_is_replaced_once_per_byte)
{
    struct buf out = BUF_EMPTY;

    details_put_clean(&out, SLICE("a\xff\xc3\xa4\xe4\xb8z"));
    ck_assert(slice_is(buf_slice(&out), SLICE("a\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbdz")));
    buf_fini(&out);
}
END_TEST

SUITE(problem)
{
    tcase_add_test(tc, detail_is_utf8_whatever_was_quoted);
    tcase_add_test(tc, what_is_good_stays_and_what_is_not_is_replaced_once_per_byte);
}
