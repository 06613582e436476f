/*
 * suite.h - a test file says SUITE(name) { tcase_add_test(tc, a_sentence); } and is found.
 *
 * Suites register through a linker section; tests/suite.c runs them all, or those named by
 * CK_RUN_SUITE (a comma-separated list here).  CK_FORK=no for gdb.
 */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <check.h>

struct suite_entry {
    const char *name;
    void (*fill)(TCase *tc);
};

#define SUITE(name)                                                                                \
    static void suite_fill_##name(TCase *tc);                                                      \
    static const struct suite_entry suite_entry_##name = { #name, suite_fill_##name };             \
    static const struct suite_entry *const suite_pointer_##name                                    \
        __attribute__((used, section("bellpush_suites"))) = &suite_entry_##name;                   \
    static void suite_fill_##name(TCase *tc)

#endif
