/*
 * buf.h - bytes: a view of some (slice), a growing pile of some (buf), and what can go wrong (rc).
 *
 * A buf remembers that it once could not grow: write as many pieces as you like and ask
 * buf_rc() once at the end.  After a failure it stays empty-handed until buf_fini().
 */
#ifndef CORE_BUF_H
#define CORE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MUST_USE      __attribute__((warn_unused_result))
#define PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The struct of TYPE that holds *ptr as its MEMBER. */
#define CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* What the caller should do now, not what happened. */
enum rc {
    RC_OK,
    RC_AGAIN,  /* not yet: wait for the callback */
    RC_CLOSED, /* this peer is gone: drop it */
    RC_SYNTAX, /* the peer's input is malformed: 400, or close */
    RC_LIMIT,  /* over a limit: 413, 429, 503, or close */
    RC_DENIED, /* no right: 401 or 403 */
    RC_NOMEM,  /* out of memory: end this peer only */
    RC_SOURCE, /* the database is away or said no */
};

/* Bytes that somebody else owns; not NUL-terminated. */
struct slice {
    const char *at;
    size_t len;
};

#define SLICE(literal) ((struct slice){ "" literal, sizeof(literal) - 1 })
#define SLICE_NONE     ((struct slice){ NULL, 0 })

static inline struct slice slice_of(const char *text)
{
    return (struct slice){ text, text ? strlen(text) : 0 };
}

static inline bool slice_is(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

struct buf {
    char *at;
    size_t len, cap;
    bool nomem;
};

#define BUF_EMPTY ((struct buf){ NULL, 0, 0, false })

/* Release the bytes; the buf is as BUF_EMPTY again. */
void buf_fini(struct buf *);

/* Make room for MORE bytes past len.  False (and remembered) when memory is short. */
bool buf_reserve(struct buf *, size_t more);

/* Append; each copies.  buf_puts: without the NUL. */
void buf_put(struct buf *, struct slice);
void buf_puts(struct buf *, const char *);
void buf_putc(struct buf *, char);
void buf_printf(struct buf *, const char *format, ...) PRINTF(2, 3);

/* Drop the first n bytes (n <= len), keep the rest. */
void buf_shift(struct buf *, size_t n);

/* RC_OK or RC_NOMEM. */
enum rc buf_rc(const struct buf *) MUST_USE;

/* Lend what is in it, until the next append. */
static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){ b->at, b->len };
}

/* Give a NUL-terminated copy of a slice (caller frees); NULL: no memory. */
char *slice_dup(struct slice) MUST_USE;

#endif
