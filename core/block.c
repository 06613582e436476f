/*
 * block.c - bytes that are made once and lent to many.
 */
#include "core/block.h"

#include <stdlib.h>

struct block *block_new(struct slice bytes)
{
    struct block *b = bytes.len <= UINT32_MAX ? malloc(sizeof(*b) + bytes.len) : NULL;

    if (!b)
        return NULL;
    *b = (struct block){ .refs = 1, .len = (uint32_t)bytes.len };
    if (bytes.len)
        memcpy(b->bytes, bytes.at, bytes.len);
    return b;
}

void block_unref(struct block *b)
{
    if (b && --b->refs == 0)
        free(b);
}
