/*
 * fuzz.h - what every fuzz target needs.  A target is NAME_fuzz.c with LLVMFuzzerTestOneInput();
 * `make fuzz` finds it, links it with whatever of the rooms it uses, and runs it for
 * FUZZ_SECONDS.  Targets state what must hold, they do not only wait for a crash.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "core/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(what)                                                                                 \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: this must hold: %s\n", __FILE__, __LINE__, #what);             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A copy on the heap of exactly this length, so that the sanitizer sees one byte too far. */
static inline struct slice exact_copy(const void *at, size_t len)
{
    char *copy = malloc(len ? len : 1);
    must(copy);
    if (len)
        memcpy(copy, at, len);
    return (struct slice){ copy, len };
}

/* Cut the next line off; false at the end. */
static inline bool line_next(struct slice *rest, struct slice *line)
{
    if (rest->len == 0)
        return false;
    const char *end = memchr(rest->at, '\n', rest->len);
    *line = (struct slice){ rest->at, end ? (size_t)(end - rest->at) : rest->len };
    size_t step = line->len + (end ? 1 : 0);
    *rest = (struct slice){ rest->at + step, rest->len - step };
    return true;
}

#endif
