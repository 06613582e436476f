/*
 * block.h - bytes that are made once and lent to many.
 *
 * They never change, and live until the last who holds a reference has dropped it.  Loop thread
 * only.
 */
#ifndef CORE_BLOCK_H
#define CORE_BLOCK_H

#include "core/buf.h"

struct block {
    uint32_t refs, len;
    char bytes[];
};

/* Copies.  Gives one reference; NULL: no memory, or more than 4 GiB. */
struct block *block_new(struct slice) MUST_USE;

static inline struct block *block_ref(struct block *b)
{
    b->refs++;
    return b;
}

void block_unref(struct block *); /* NULL: nothing happens */

/* Lent for as long as the caller's reference. */
static inline struct slice block_slice(const struct block *b)
{
    return (struct slice){ b->bytes, b->len };
}

/* Bytes of memory that a block of so many takes. */
static inline size_t block_size(const struct block *b)
{
    return sizeof(*b) + b->len;
}

#endif
