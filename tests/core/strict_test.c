#include "core/strict.h"
#include "tests/page.h"
#include "tests/suite.h"

#include <stdlib.h>

static void read_as(struct slice text, enum rc rc)
{
    json_t *root = NULL;
    const char *why = NULL;
    struct page page = page_of(text);
    enum rc got = strict_read(page.bytes, 4, &root, &why);
    ck_assert_msg(got == rc, "%d instead of %d: %.*s", got, rc, (int)text.len, text.at);
    ck_assert((rc == RC_OK) == (root != NULL));
    ck_assert((rc == RC_OK) == (why == NULL));
    json_decref(root);
    page_fini(&page);
}

START_TEST(only_one_whole_object_is_read)
{
    read_as(SLICE("{}"), RC_OK);
    read_as(SLICE(" \r\n\t{\"a\":[1,2.5,\"x\",true,null]} "), RC_OK);
    read_as(SLICE(""), RC_SYNTAX);
    read_as(SLICE(" "), RC_SYNTAX);
    read_as(SLICE("{"), RC_SYNTAX);
    read_as(SLICE("{}}"), RC_SYNTAX);
    read_as(SLICE("{}\0"), RC_SYNTAX);
    read_as(SLICE("{} {}"), RC_SYNTAX);
    read_as(SLICE("[]"), RC_SYNTAX);
    read_as(SLICE("\"{}\""), RC_SYNTAX);
    read_as(SLICE("null"), RC_SYNTAX);
    read_as(SLICE("{'a':1}"), RC_SYNTAX);
    read_as(SLICE("{\"a\":1,}"), RC_SYNTAX);
    read_as(SLICE("{\"a\":01}"), RC_SYNTAX);
    read_as(SLICE("{\"a\":NaN}"), RC_SYNTAX);
    read_as(SLICE("{\"a\":1e999}"), RC_SYNTAX);
    read_as(SLICE("{\"a\":99999999999999999999}"), RC_SYNTAX);
    read_as(SLICE("{\"a\":\"\xC3\"}"), RC_SYNTAX);
    read_as(SLICE("{\"a\":\"\\uD800\"}"), RC_SYNTAX);
    read_as(SLICE("{\"a\":\"\\u0000\"}"), RC_SYNTAX);
    read_as(SLICE("{/* a */}"), RC_SYNTAX);
}
END_TEST

START_TEST(a_member_may_be_there_once)
{
    read_as(SLICE("{\"a\":1,\"b\":1}"), RC_OK);
    read_as(SLICE("{\"a\":1,\"a\":1}"), RC_SYNTAX);
    read_as(SLICE("{\"a\":1,\"\\u0061\":1}"), RC_SYNTAX);
    read_as(SLICE("{\"x\":[{\"a\":1,\"a\":2}]}"), RC_SYNTAX);
}
END_TEST

START_TEST(nesting_is_counted_outside_of_strings)
{
    read_as(SLICE("{\"a\":[[[]]]}"), RC_OK);
    read_as(SLICE("{\"a\":[[[[]]]]}"), RC_LIMIT);
    read_as(SLICE("{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}"), RC_LIMIT);
    read_as(SLICE("{\"a\":[],\"b\":[],\"c\":[],\"d\":[],\"e\":[[[]]]}"), RC_OK);
    read_as(SLICE("{\"a\":\"[[[[[[[[\"}"), RC_OK);
    read_as(SLICE("{\"a\":\"\\\"[[[[[[[[\"}"), RC_OK);
    read_as(SLICE("{\"a\":\"\\\\\",\"b\":[[[[]]]]}"), RC_LIMIT);
    read_as(SLICE("]]]]{\"a\":[[[[]]]]}"), RC_LIMIT);
}
END_TEST

START_TEST(strings_are_lent_and_nothing_else_is_one)
{
    json_t *root = NULL;
    const char *why;
    struct slice s;
    ck_assert_int_eq(
        strict_read(SLICE("{\"s\":\"x\",\"e\":\"\",\"n\":1,\"z\":null}"), 4, &root, &why), RC_OK);
    ck_assert(strict_string(root, "s", &s) && slice_is(s, SLICE("x")));
    ck_assert(strict_string(root, "e", &s) && s.len == 0 && s.at != NULL);
    ck_assert(strict_string(root, "absent", &s) && s.at == NULL);
    ck_assert(!strict_string(root, "n", &s));
    ck_assert(!strict_string(root, "z", &s));
    json_decref(root);
}
END_TEST

SUITE(strict)
{
    tcase_add_test(tc, only_one_whole_object_is_read);
    tcase_add_test(tc, a_member_may_be_there_once);
    tcase_add_test(tc, nesting_is_counted_outside_of_strings);
    tcase_add_test(tc, strings_are_lent_and_nothing_else_is_one);
}
