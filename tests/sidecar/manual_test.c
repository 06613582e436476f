/*
 * manual_test.c - what is written for people and for systemd agrees with the program.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/peers/process.h"
#include "tests/suite.h"

enum { DEADLINE_MS = 30000 };

static char *dir, *out;
static const char *program, *worker, *top;

static void set_up(void)
{
    program = getenv("BELLPUSH_TEST_DAEMON");
    worker = getenv("BELLPUSH_TEST_PROGRAM");
    top = getenv("BELLPUSH_TEST_TOP");
    ck_assert_msg(program && worker && top, "set BELLPUSH_TEST_DAEMON, _PROGRAM and _TOP");
    dir = temp_folder("manual");
    out = text_of("%s/out", dir);
}

static void tear_down(void)
{
    free(dir);
    free(out);
}

/* Run; its output, given. */
static char *said_by(const char *const *argv)
{
    int status = process_run(&(struct process_spec){ .argv = argv, .log = out }, DEADLINE_MS);
    char *text = file_read(out);

    ck_assert_msg(status == 0, "%s: status %d: %s", argv[0], status, text);
    return text;
}

START_TEST(the_manual_page_is_well_formed)
{
    char *page = text_of("%s/sidecar/bellpushd.8", top);
    const char *const argv[] = { "mandoc", "-Tlint", "-W", "warning", page, NULL };

    free(said_by(argv));
    free(page);
}
END_TEST

/* Is "--word" there, and not only as the beginning of a longer one? */
static bool names(const char *text, const char *option)
{
    size_t len = strlen(option);

    for (const char *at = text; (at = strstr(at, option)); at += len)
        if (!isalpha((unsigned char)at[len]) && at[len] != '-')
            return true;
    return false;
}

/* Each "--word" of one text stands in the other. */
static void expect_options(const char *in, const char *also_in, const char *where)
{
    char option[100];
    int n = 0;

    for (const char *at = in; (at = strstr(at, "--")); at += 2) {
        if (sscanf(at, "--%90[a-z-]", option + 2) != 1)
            continue;
        memcpy(option, "--", 2);
        n++;
        ck_assert_msg(names(also_in, option), "%s is not in %s", option, where);
    }
    ck_assert_int_gt(n, 8);
}

START_TEST(the_manual_page_has_the_programs_options_and_no_others)
{
    char *page = text_of("%s/sidecar/bellpushd.8", top);
    const char *const help[] = { program, "--help", NULL };
    const char *const manual[] = { "mandoc", "-Tascii", "-O", "width=200", page, NULL };
    char *usage = said_by(help);
    unlink(out);
    char *raw = said_by(manual), *to = raw;

    for (const char *from = raw; *from; from++) /* bold is typed twice */
        if (*from == '\b')
            to--;
        else
            *to++ = *from;
    *to = '\0';
    expect_options(usage, raw, "the manual page");
    expect_options(raw, usage, "--help");
    free(usage);
    free(raw);
    free(page);
}
END_TEST

static char *copy_unit(const char *name)
{
    char *from = text_of("%s/contrib/systemd/%s", top, name), *to = text_of("%s/%s", dir, name);
    char *text = file_read(from);
    char *ours = text_exchange(text, "/usr/local/sbin/bellpushd", program);
    char *both = text_exchange(ours ? ours : text, "/usr/local/lib/bellpush/bellpush.fcgi", worker);

    file_write(to, slice_of(both ? both : ours ? ours : text));
    free(from);
    free(text);
    free(ours);
    free(both);
    return to;
}

START_TEST(systemd_understands_the_units)
{
    char *units[] = { copy_unit("bellpushd.socket"), copy_unit("bellpushd.service"),
                      copy_unit("bellpush.socket"), copy_unit("bellpush.service") };
    const char *const argv[] = { "systemd-analyze", "verify", "--man=no", units[0],
                                 units[1],          units[2], units[3],   NULL };
    char *said = said_by(argv);

    ck_assert_msg(!strstr(said, "bellpush"), "%s", said); /* warnings leave the status 0 */
    free(said);
    for (size_t i = 0; i < LENGTH(units); i++)
        free(units[i]);
}
END_TEST

SUITE(manual)
{
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, the_manual_page_is_well_formed);
    tcase_add_test(tc, the_manual_page_has_the_programs_options_and_no_others);
    tcase_add_test(tc, systemd_understands_the_units);
}
