/*
 * suite.c - runs every suite that the linker has gathered (suite.h), or names them: --suites.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/suite.h"

extern const struct suite_entry *const __start_bellpush_suites[];
extern const struct suite_entry *const __stop_bellpush_suites[];

enum { TEST_TIMEOUT_S = 120 };

static bool wanted(const char *list, const char *name)
{
    if (!list || !*list)
        return true;
    size_t len = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at++)
        if ((at == list || at[-1] == ',') && (at[len] == '\0' || at[len] == ','))
            return true;
    return false;
}

static int name_suites(const char *list)
{
    for (const struct suite_entry *const *e = __start_bellpush_suites; e < __stop_bellpush_suites;
         e++)
        if (wanted(list, (*e)->name))
            puts((*e)->name);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    const char *list = getenv("CK_RUN_SUITE");
    if (argc > 1 && strcmp(argv[1], "--suites") == 0)
        return name_suites(list);
    char *chosen = list ? strdup(list) : NULL;
    SRunner *runner = srunner_create(NULL);

    unsetenv("CK_RUN_SUITE"); /* check knows only one name */
    for (const struct suite_entry *const *e = __start_bellpush_suites; e < __stop_bellpush_suites;
         e++) {
        if (!wanted(chosen, (*e)->name))
            continue;
        Suite *suite = suite_create((*e)->name);
        TCase *tc = tcase_create((*e)->name);
        tcase_set_timeout(tc, TEST_TIMEOUT_S);
        (*e)->fill(tc);
        suite_add_tcase(suite, tc);
        srunner_add_suite(runner, suite);
    }
    time_t began = time(NULL);
    srunner_run_all(runner, CK_ENV);
    printf("after %ld s\n", (long)(time(NULL) - began));
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    free(chosen);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
