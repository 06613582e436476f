/*
 * naive.h - MQTT 5 section 4.7 once more, written as differently as possible from core/topic.c:
 * recursive, byte by byte.  What the two agree on is probably right.
 */
#ifndef TESTS_NAIVE_H
#define TESTS_NAIVE_H

#include "core/buf.h"

/* Both ends of text are given; f and t stand at the beginning of a level. */
static inline bool naive_levels(const char *f, const char *f_end, const char *t, const char *t_end)
{
    if (f < f_end && *f == '#')
        return true;
    if (f < f_end && *f == '+') {
        f++;
        while (t < t_end && *t != '/')
            t++;
    } else {
        while (f < f_end && *f != '/' && t < t_end && *f == *t) {
            f++;
            t++;
        }
    }
    if (f == f_end && t == t_end)
        return true;
    if (f < f_end && *f == '/' && t < t_end && *t == '/')
        return naive_levels(f + 1, f_end, t + 1, t_end);
    /* "a/#" is for "a" too */
    return t == t_end && f_end - f == 2 && f[0] == '/' && f[1] == '#';
}

static inline bool naive_matches(struct slice filter, struct slice topic)
{
    if (topic.at[0] == '$' && filter.at[0] != '$')
        return false;
    return naive_levels(filter.at, filter.at + filter.len, topic.at, topic.at + topic.len);
}

#endif
