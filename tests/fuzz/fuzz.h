/*
 * fuzz.h - what every fuzz target needs.  A target is NAME_fuzz.c with LLVMFuzzerTestOneInput();
 * `make fuzz` finds it, links it with whatever of the rooms it uses, and runs it for
 * FUZZ_SECONDS.  Targets state what must hold, they do not only wait for a crash.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "core/text.h"

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
    return item_next(rest, '\n', line);
}

/*
 * Give the same bytes to three readers, who must come to the same: whole, one by one, and in pieces
 * as the input says itself: how many cuts, and how long each piece is, go before the bytes.
 */
typedef void read_fn(void *reader, const uint8_t *at, size_t len);

enum { CUTS_MAX = 16 };

static inline void read_in_pieces(const uint8_t *data, size_t size, read_fn *read, void *whole,
                                  void *bytes, void *pieces)
{
    size_t cuts = size > 0 ? data[0] % CUTS_MAX : 0;
    const uint8_t *lengths = data + 1;

    if (size < 1 + cuts)
        return;
    data += 1 + cuts;
    size -= 1 + cuts;
    read(whole, data, size);
    for (size_t i = 0; i < size; i++)
        read(bytes, data + i, 1);
    for (size_t i = 0; i < cuts; i++) {
        size_t len = lengths[i] < size ? lengths[i] : size;
        read(pieces, data, len);
        data += len;
        size -= len;
    }
    read(pieces, data, size);
}

#endif
