/*
 * logged.h - what a server writes to its log, caught in memory.
 */
#ifndef TESTS_LOGGED_H
#define TESTS_LOGGED_H

#include <check.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/log.h"

enum { LOGGED_MAX = 64 * 1024 };

/* From now on; the descriptor is closed with the process. */
static inline void logged_begin(struct log *log)
{
    *log = (struct log){ .fd = memfd_create("log", MFD_CLOEXEC), .level = LOG_INFO };
    ck_assert_int_ge(log->fd, 0);
}

/* All of it so far; valid until the next call. */
static inline const char *logged(const struct log *log)
{
    static char text[LOGGED_MAX];
    ssize_t n = pread(log->fd, text, sizeof(text) - 1, 0);

    ck_assert_int_ge(n, 0);
    text[n] = '\0';
    return text;
}

/* How often a text stands in it. */
static inline int logged_count(const struct log *log, const char *text)
{
    int n = 0;

    for (const char *at = logged(log); (at = strstr(at, text)); at++)
        n++;
    return n;
}

static inline void logged_expect(const struct log *log, const char *text)
{
    ck_assert_msg(strstr(logged(log), text), "no \"%s\" in:\n%s", text, logged(log));
}

#endif
