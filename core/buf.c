/*
 * buf.c - a growing pile of bytes.
 *
 *      at            at + len          at + cap
 *      |<-- written -->|<---- room ---->|
 *
 * Growth doubles, so appending n bytes one by one costs O(n).
 */
#include "core/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_FIRST_CAP = 64 };

void buf_fini(struct buf *b)
{
    free(b->at);
    *b = BUF_EMPTY;
}

static bool fail(struct buf *b)
{
    buf_fini(b);
    b->nomem = true;
    return false;
}

bool buf_reserve(struct buf *b, size_t more)
{
    if (b->nomem)
        return false;
    if (more <= b->cap - b->len)
        return true;
    if (more > SIZE_MAX / 4 - b->len)
        return fail(b);
    size_t cap = b->cap ? b->cap : BUF_FIRST_CAP;
    while (cap - b->len < more)
        cap *= 2;
    char *at = realloc(b->at, cap);
    if (!at)
        return fail(b);
    b->at = at;
    b->cap = cap;
    return true;
}

void buf_put(struct buf *b, struct slice s)
{
    if (s.len == 0 || !buf_reserve(b, s.len))
        return;
    memcpy(b->at + b->len, s.at, s.len);
    b->len += s.len;
}

void buf_puts(struct buf *b, const char *text)
{
    buf_put(b, slice_of(text));
}

void buf_putc(struct buf *b, char c)
{
    if (buf_reserve(b, 1))
        b->at[b->len++] = c;
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    if (buf_reserve(b, BUF_FIRST_CAP)) {
        size_t room = b->cap - b->len;
        int n = vsnprintf(b->at + b->len, room, format, args);
        if (n < 0)
            fail(b);
        else if ((size_t)n < room)
            b->len += (size_t)n;
        else if (buf_reserve(b, (size_t)n + 1)) /* vsnprintf wants to write its NUL */
            b->len += (size_t)vsnprintf(b->at + b->len, (size_t)n + 1, format, again);
    }
    va_end(again);
    va_end(args);
}

void buf_shift(struct buf *b, size_t n)
{
    if (n > 0 && n < b->len)
        memmove(b->at, b->at + n, b->len - n);
    b->len -= n;
}

enum rc buf_rc(const struct buf *b)
{
    return b->nomem ? RC_NOMEM : RC_OK;
}

char *slice_dup(struct slice s)
{
    char *copy = malloc(s.len + 1);
    if (!copy)
        return NULL;
    if (s.len)
        memcpy(copy, s.at, s.len);
    copy[s.len] = '\0';
    return copy;
}
