/*
 * Right runs must be good; each with a single wrong thing in it must not, in the right figure and
 * with a finding that names the event.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/checker/spoil.h"
#include "tests/suite.h"

enum { RIGHT_RUNS = 60, STEPS = 150, SEEDS = 12 };

static void compare(const char *what, uint64_t seed, const struct figures *want,
                    const struct figures *have, const char *report)
{
    struct buf wanted = BUF_EMPTY, had = BUF_EMPTY;
    figures_put(&wanted, want);
    figures_put(&had, have);
    buf_putc(&wanted, '\0');
    buf_putc(&had, '\0');
    ck_assert_msg(strcmp(wanted.at, had.at) == 0, "%s, seed %llu:\nwanted %s\nhad    %s\n%s", what,
                  (unsigned long long)seed, wanted.at, had.at, report);
    buf_fini(&wanted);
    buf_fini(&had);
}

START_TEST(right_runs_are_good_and_their_figures_exact)
{
    size_t gaps = 0, skipped = 0, unheard = 0;
    struct buf report = BUF_EMPTY;
    for (uint64_t seed = 1; seed <= RIGHT_RUNS; seed++) {
        struct run run;
        struct figures figures;
        run_make(&run, seed, (int)seed * 5);
        ck_assert_msg(folder_check(&run.folder, &figures, &report), "%s", report.at);
        compare("a right run", seed, &run.figures, &figures, report.at);
        ck_assert_str_eq(report.at, "");
        ck_assert(figures_are_good(&figures));
        ck_assert_uint_eq(figures.subscribers, RUN_SUBSCRIBERS);
        ck_assert_int_eq(figures.worst_delay_us, run.figures.worst_delay_us);
        gaps += figures.gaps;
        skipped += figures.skipped;
        unheard += figures.unheard;
        run_fini(&run);
    }
    buf_fini(&report);
    /* they were runs with something in them */
    ck_assert(gaps > 5 * RIGHT_RUNS && skipped > 10 * RIGHT_RUNS && unheard > RIGHT_RUNS);
}
END_TEST

/* Does a line of the report begin so, and does the next word end there? */
static bool is_told(const char *report, const char *finding)
{
    for (const char *at = report; (at = strstr(at, finding)); at++)
        if (at == report || at[-1] == '\n')
            return true;
    return false;
}

static void expect_spoilt(const char *what, uint64_t seed, const struct spoilt *want,
                          const struct figures *have, const char *report)
{
    struct figures compared = *have;
    compared.worst_delay_us = want->figures.worst_delay_us;
    if (want->about) {
        const struct figures *w = &want->figures;
        ck_assert_msg(have->lost >= w->lost && have->reordered >= w->reordered &&
                          have->phantom >= w->phantom && have->duplicated >= w->duplicated,
                      "%s, seed %llu:\n%s", what, (unsigned long long)seed, report);
    } else {
        if (want->figures.skipped == SIZE_MAX)
            compared.skipped = SIZE_MAX;
        compare(what, seed, &want->figures, &compared, report);
    }
    ck_assert_msg(is_told(report, want->finding), "%s, seed %llu: '%s' is not in\n%s", what,
                  (unsigned long long)seed, want->finding, report);
    ck_assert_msg(figures_are_good(have) == !want->finding[0], "%s, seed %llu: %s", what,
                  (unsigned long long)seed, report);
}

static void expect_found(const struct spoiler *spoiler, uint64_t salt)
{
    struct buf report = BUF_EMPTY;
    int spoilt = 0;
    for (uint64_t i = 0; i < SEEDS; i++) {
        struct run run;
        struct figures figures;
        uint64_t seed = salt + i;
        run_make(&run, seed, STEPS);
        struct spoilt want = { .figures = run.figures };
        if (spoiler->spoil(&run, &want)) {
            spoilt++;
            ck_assert_msg(folder_check(&run.folder, &figures, &report), "%s", report.at);
            expect_spoilt(spoiler->what, seed, &want, &figures, report.at);
        }
        run_fini(&run);
    }
    buf_fini(&report);
    ck_assert_msg(spoilt >= SEEDS / 2, "%s: only %d times", spoiler->what, spoilt);
}

START_TEST(each_wrong_thing_in_a_log_is_found)
{
    expect_found(&log_spoilers[_i], 1000 + 100 * (uint64_t)_i);
}
END_TEST

START_TEST(each_wrong_thing_that_is_seen_is_found)
{
    expect_found(&seen_spoilers[_i], 5000 + 100 * (uint64_t)_i);
}
END_TEST

SUITE(spoil)
{
    tcase_add_test(tc, right_runs_are_good_and_their_figures_exact);
    tcase_add_loop_test(tc, each_wrong_thing_in_a_log_is_found, 0, n_log_spoilers);
    tcase_add_loop_test(tc, each_wrong_thing_that_is_seen_is_found, 0, n_seen_spoilers);
}
