#include "tests/faults/records.h"
#include "tests/page.h"
#include "tests/suite.h"

#include <limits.h>

START_TEST(a_name_is_found_as_it_was_written)
{
    static const struct name names[] = {
        { 0, 0, 0 }, { 3, 17, 2 }, { 10, 100, 1000 }, { INT_MAX, INT_MAX, INT_MAX }
    };
    for (size_t i = 0; i < LENGTH(names); i++) {
        char text[NAME_TEXT_MAX];
        name_text(names[i], text);
        struct page p = page_of(slice_of(text));
        struct name found;
        ck_assert_uint_eq(name_parse(p.bytes, &found), strlen(text));
        ck_assert_mem_eq(&found, &names[i], sizeof found);
        ck_assert(name_find(p.bytes, &found));
        ck_assert_mem_eq(&found, &names[i], sizeof found);
        page_fini(&p);
    }
}
END_TEST

START_TEST(a_name_is_found_in_any_format)
{
    static const char *const data[] = {
        "@3.17.2@",
        "{\"id\":1,\"what\":\"@3.17.2@\",\"more\":\"@9.9.9@\"}",
        "somebody@example.org @3.17.2@",
        "@@3.17.2@@",
        "@3.17.@3.17.2@",
        "@3.17.2 @3.17.2@",
        "@1.2.3.4@3.17.2@",
        "@01.2.3@ @1.02.3@ @1.2.99999999999999999999@ @-1.2.3@ @+1.2.3@ @1..3@ @3.17.2@",
    };
    for (size_t i = 0; i < LENGTH(data); i++) {
        struct page p = page_of(slice_of(data[i]));
        struct name found = { -1, -1, -1 };
        ck_assert_msg(name_find(p.bytes, &found), "%s", data[i]);
        ck_assert_msg(found.publisher == 3 && found.transaction == 17 && found.event == 2, "%s",
                      data[i]);
        page_fini(&p);
    }
}
END_TEST

START_TEST(what_is_no_name_is_not_found)
{
    static const char *const data[] = {
        "",       "@",         "@@",        "@3.17.2",  "3.17.2@",
        "@3.17@", "@3.17.2.@", "@3 .17.2@", "@3,17,2@", "@2147483648.1.1@"
    };
    for (size_t i = 0; i < LENGTH(data); i++) {
        struct page p = page_of(slice_of(data[i]));
        struct name found;
        ck_assert_msg(!name_find(p.bytes, &found), "%s", data[i]);
        page_fini(&p);
    }
}
END_TEST

START_TEST(a_transaction_is_two_numbers_and_nothing_else)
{
    int publisher, transaction;
    ck_assert(transaction_parse(SLICE("3.17"), &publisher, &transaction));
    ck_assert_int_eq(publisher, 3);
    ck_assert_int_eq(transaction, 17);
    static const char *const bad[] = { "", "3", "3.", ".17", "3.17.", "3.17.2", "3.17 ", "3.017" };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct page p = page_of(slice_of(bad[i]));
        ck_assert_msg(!transaction_parse(p.bytes, &publisher, &transaction), "%s", bad[i]);
        page_fini(&p);
    }
}
END_TEST

SUITE(records)
{
    tcase_add_test(tc, a_name_is_found_as_it_was_written);
    tcase_add_test(tc, a_name_is_found_in_any_format);
    tcase_add_test(tc, what_is_no_name_is_not_found);
    tcase_add_test(tc, a_transaction_is_two_numbers_and_nothing_else);
}
