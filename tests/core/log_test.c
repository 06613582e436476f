#include "core/log.h"
#include "tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static char folder[] = "/tmp/bellpush-log-XXXXXX";
static char path[64], moved[64];

static void setup(void)
{
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(moved, sizeof moved, "%s/log.1", folder);
}

static void teardown(void)
{
    unlink(path);
    unlink(moved);
    rmdir(folder);
}

static const char *content(const char *of)
{
    static char text[8192];
    FILE *f = fopen(of, "r");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

START_TEST(a_line_has_time_level_process_and_text)
{
    struct log log;
    ck_assert_int_eq(log_open(&log, path, LOG_INFO), RC_OK);
    log_warn(&log, "%d things", 3);
    log_error(&log, "bad");
    log_info(&log, "good");
    log_debug(&log, "not asked for");
    log_close(&log);

    char pattern[400], part[100];
    pattern[0] = '\0';
    static const char *const lines[] = { "warn [%ld] 3 things", "error [%ld] bad",
                                         "info [%ld] good" };
    static const char time[] =
        "20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z ";
    for (size_t i = 0; i < LENGTH(lines); i++) {
        const char *bracket = strchr(lines[i], '[');
        snprintf(part, sizeof part, "%.*s\\[%ld\\]%s\n", (int)(bracket - lines[i]), lines[i],
                 (long)getpid(), strchr(lines[i], ']') + 1);
        strcat(strcat(strcat(pattern, i ? "" : "^"), time), part);
    }
    strcat(pattern, "$");
    regex_t regex;
    ck_assert_int_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    ck_assert_msg(regexec(&regex, content(path), 0, NULL, 0) == 0, "%s", content(path));
    regfree(&regex);
}
END_TEST

START_TEST(what_a_peer_sends_stays_one_harmless_line)
{
    struct log log;
    ck_assert_int_eq(log_open(&log, path, LOG_INFO), RC_OK);
    log_info(&log, "%s", "a\nb\r\x1b[31m\x7F \xC3\xA9 \xC2\x9B \xFF \xE2\x82");
    log_close(&log);
    const char *text = content(path);
    ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
    ck_assert_ptr_nonnull(
        strstr(text, "] a\\x0ab\\x0d\\x1b[31m\\x7f \xC3\xA9 \\xc2\\x9b \\xff \\xe2\\x82\n"));
}
END_TEST

START_TEST(a_long_line_is_cut_at_a_kibibyte_and_says_so)
{
    char long_text[3000];
    struct log log;
    for (size_t len = 900; len < 1100; len++) { /* é has two bytes: never half of it */
        for (size_t i = 0; i < len; i++)
            long_text[i] = i % 2 ? '\xA9' : '\xC3';
        long_text[len & ~(size_t)1] = '\0';
        ck_assert_int_eq(log_open(&log, path, LOG_INFO), RC_OK);
        ck_assert_int_eq(ftruncate(log.fd, 0), 0);
        log_info(&log, "%s", long_text);
        log_close(&log);
        const char *text = content(path);
        size_t n = strlen(text);
        ck_assert_uint_le(n, 1024);
        ck_assert_int_eq(text[n - 1], '\n');
        ck_assert_ptr_null(strstr(text, "\\x"));
        bool cut = strcmp(text + n - 4, "...\n") == 0;
        bool whole = strlen(strchr(text, ']') + 2) == (len & ~(size_t)1) + 1;
        ck_assert(cut != whole);
    }
}
END_TEST

START_TEST(a_line_leaves_in_one_write)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0); /* keeps writes apart */
    struct log log = { .fd = pair[0], .level = LOG_DEBUG };
    log_debug(&log, "first\nline");
    log_debug(&log, "second");
    char text[2048];
    ssize_t n = recv(pair[1], text, sizeof text, 0);
    ck_assert_int_gt(n, 0);
    text[n] = '\0';
    ck_assert_ptr_nonnull(strstr(text, "first\\x0aline\n"));
    n = recv(pair[1], text, sizeof text, 0);
    ck_assert_int_gt(n, 0);
    text[n] = '\0';
    ck_assert_ptr_nonnull(strstr(text, "second\n"));
    close(pair[0]);
    close(pair[1]);
}
END_TEST

START_TEST(after_rotation_it_goes_on_in_a_new_file)
{
    struct log log;
    ck_assert_int_eq(log_open(&log, path, LOG_INFO), RC_OK);
    log_info(&log, "before");
    ck_assert_int_eq(rename(path, moved), 0);
    log_info(&log, "between");
    ck_assert_int_eq(log_reopen(&log), RC_OK);
    log_info(&log, "after");
    ck_assert_ptr_nonnull(strstr(content(moved), "between"));
    ck_assert_ptr_null(strstr(content(moved), "after"));
    ck_assert_ptr_nonnull(strstr(content(path), "after"));
    log_close(&log);
}
END_TEST

START_TEST(a_file_that_cannot_be_reopened_is_kept)
{
    struct log log;
    ck_assert_int_eq(log_open(&log, path, LOG_INFO), RC_OK);
    ck_assert_int_eq(rename(path, moved), 0);
    log.path = "/nonexistent/folder/log";
    ck_assert_int_eq(log_reopen(&log), RC_DENIED);
    ck_assert_int_eq(errno, ENOENT);
    log_info(&log, "still here");
    ck_assert_ptr_nonnull(strstr(content(moved), "still here"));
    log_close(&log);
    ck_assert_int_eq(log_open(&log, "/nonexistent/folder/log", LOG_INFO), RC_DENIED);
}
END_TEST

START_TEST(without_a_path_it_is_standard_error)
{
    struct log log;
    ck_assert_int_eq(log_open(&log, "", LOG_ERROR), RC_OK);
    ck_assert_int_eq(log.fd, STDERR_FILENO);
    ck_assert_int_eq(log_reopen(&log), RC_OK);
    log_close(&log);
    ck_assert_int_ne(fcntl(STDERR_FILENO, F_GETFD), -1); /* not ours to close */
    ck_assert_int_eq(log_open(&log, NULL, LOG_ERROR), RC_OK);
    ck_assert_int_eq(log.fd, STDERR_FILENO);
}
END_TEST

START_TEST(a_flood_is_five_lines_and_then_a_number)
{
    struct log log;
    struct log_flood flood = { 0 }, other = { 0 };

    ck_assert_int_eq(log_open(&log, path, LOG_INFO), RC_OK);
    for (int i = 0; i < 100; i++)
        log_seldom(&log, &flood, 5000, LOG_INFO, "drop %d.", i);
    ck_assert_ptr_nonnull(strstr(content(path), "drop 4."));
    ck_assert_ptr_null(strstr(content(path), "drop 5."));
    log_seldom(&log, &other, 5000, LOG_INFO, "of another kind");
    ck_assert_ptr_nonnull(strstr(content(path), "of another kind"));
    log_seldom(&log, &flood, 15000, LOG_INFO, "the next day");
    ck_assert_ptr_nonnull(strstr(content(path), "95 lines like the next were not written"));
    ck_assert_ptr_nonnull(strstr(content(path), "the next day"));
    log_seldom(&log, &flood, 99000, LOG_DEBUG, "nobody asked");
    log_seldom(&log, &flood, 99000, LOG_INFO, "later");
    ck_assert_ptr_null(strstr(content(path), "nobody"));
    ck_assert_ptr_eq(strstr(strstr(content(path), "were not") + 1, "were not"), NULL);
    log_close(&log);
}
END_TEST

START_TEST(logging_leaves_errno_alone)
{
    struct log log = { .fd = -1, .level = LOG_DEBUG };
    errno = EDOM;
    log_info(&log, "into the void");
    ck_assert_int_eq(errno, EDOM);
}
END_TEST

SUITE(log)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_line_has_time_level_process_and_text);
    tcase_add_test(tc, what_a_peer_sends_stays_one_harmless_line);
    tcase_add_test(tc, a_long_line_is_cut_at_a_kibibyte_and_says_so);
    tcase_add_test(tc, a_line_leaves_in_one_write);
    tcase_add_test(tc, after_rotation_it_goes_on_in_a_new_file);
    tcase_add_test(tc, a_file_that_cannot_be_reopened_is_kept);
    tcase_add_test(tc, without_a_path_it_is_standard_error);
    tcase_add_test(tc, a_flood_is_five_lines_and_then_a_number);
    tcase_add_test(tc, logging_leaves_errno_alone);
}
