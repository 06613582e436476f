/*
 * page.h - bytes that end right before a page nobody may read: one byte too far is a SIGSEGV here,
 * and not a lucky zero.
 */
#ifndef TESTS_PAGE_H
#define TESTS_PAGE_H

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/buf.h"

struct page {
    struct slice bytes; /* the copy; its end is the edge */
    char *map;
    size_t map_len;
};

static inline struct page page_of(struct slice bytes)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    size_t readable = (bytes.len / size + 1) * size;
    struct page p = { .map_len = readable + size };
    p.map = mmap(NULL, p.map_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p.map == MAP_FAILED || mprotect(p.map + readable, size, PROT_NONE) != 0)
        abort();
    p.bytes = (struct slice){ p.map + readable - bytes.len, bytes.len };
    if (bytes.len)
        memcpy(p.map + readable - bytes.len, bytes.at, bytes.len);
    return p;
}

static inline void page_fini(struct page *p)
{
    munmap(p->map, p->map_len);
}

#endif
