/*
 * ws_deflate.c - permessage-deflate (RFC 7692), on zlib.
 *
 * Compressing.  Z_SYNC_FLUSH ends a message with an empty stored block, whose 00 00 FF FF is not
 * sent (section 7.2.1).  zlib has no raw deflate with a window of 8 bits and needs none: it keeps
 * MIN_LOOKAHEAD (262) bytes of its window for what is to come and so never points further back than
 * 250 bytes in a window of 9 bits (deflate.h, MAX_DIST), which is within the 256 of 8.  The tests
 * hold every message up to a decoder that remembers 256 bytes.
 *
 * Decompressing.  Whatever window the client was allowed, ours has 15 bits and reads it.  The
 * 00 00 FF FF is put back after the last piece (section 7.2.2); a message is whole if zlib then
 * stands between two blocks.  A block with BFINAL ends nothing (section 7.2.3.4): the stream begins
 * anew behind it, which needs no window, for who ends a stream does not refer to it again.  And
 * because that costs something, but less than a client pays for sending it, it is not limited.
 */
#include "sidecar/ws_deflate.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    LEVEL = 6, /* README.md has the figures */
    MEMORY = 8,
    TAIL_LEN = 4,
    FLUSH_ROOM = 16, /* more than a flush can add: 5 bytes, and 1 for the bits before it */
};

static const unsigned char tail[TAIL_LEN] = { 0x00, 0x00, 0xFF, 0xFF };

struct ws_inflate {
    z_stream z;
    struct ws_deflate *home;
    struct ws_inflate *next; /* while it waits to be borrowed */
    size_t left;             /* bytes that the message may still have */
    uint8_t tail_off;        /* bytes of the tail that are read */
    bool between;            /* two blocks, and no bits left over */
    bool fresh;              /* nothing is read since the beginning, or since a final block */
};

struct ws_deflate {
    z_stream *deflates[WS_WINDOW_MAX + 1]; /* by window bits; NULL: nobody needed it */
    struct ws_inflate *kept;
    size_t kept_n, out_n, out_max;
    unsigned char piece[WS_INFLATE_PIECE];
};

struct ws_deflate *ws_deflate_new(size_t inflates_max)
{
    struct ws_deflate *d = calloc(1, sizeof(*d));
    if (d)
        d->out_max = inflates_max;
    return d;
}

static void inflate_free(struct ws_inflate *i)
{
    inflateEnd(&i->z);
    free(i);
}

void ws_deflate_free(struct ws_deflate *d)
{
    if (!d)
        return;
    for (size_t bits = 0; bits < LENGTH(d->deflates); bits++) {
        if (d->deflates[bits])
            deflateEnd(d->deflates[bits]);
        free(d->deflates[bits]);
    }
    while (d->kept) {
        struct ws_inflate *next = d->kept->next;
        inflate_free(d->kept);
        d->kept = next;
    }
    free(d);
}

size_t ws_inflates_out(const struct ws_deflate *d)
{
    return d->out_n;
}

/* ---- compressing ----------------------------------------------------------------------------- */

/* The process's stream for this window, ready for a message; NULL: no memory. */
static z_stream *stream_for(struct ws_deflate *d, int bits)
{
    z_stream **z = &d->deflates[bits];

    if (*z)
        return deflateReset(*z) == Z_OK ? *z : NULL;
    *z = calloc(1, sizeof(**z));
    if (*z && deflateInit2(*z, LEVEL, Z_DEFLATED, -bits, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(*z);
        *z = NULL;
    }
    return *z;
}

enum rc ws_deflate_put(struct ws_deflate *d, int window_bits, struct slice message, struct buf *out)
{
    size_t begun = out->len, room = message.len + FLUSH_ROOM;

    if (message.len < WS_DEFLATE_WORTH || room > UINT_MAX)
        return RC_AGAIN;
    z_stream *z = stream_for(d, window_bits <= WS_WINDOW_MIN ? WS_WINDOW_MIN + 1 : window_bits);
    if (!z)
        return RC_NOMEM;
    z->next_in = (unsigned char *)(uintptr_t)message.at;
    z->avail_in = (unsigned)message.len;
    do { /* an eighth of the message at first: most text needs no more */
        size_t step = message.len / 8 + FLUSH_ROOM;
        size_t used = out->len - begun;
        step = step < room - used ? step : room - used;
        if (!buf_reserve(out, step)) {
            out->len = begun;
            return RC_NOMEM;
        }
        z->next_out = (unsigned char *)out->at + out->len;
        z->avail_out = (unsigned)step;
        deflate(z, Z_SYNC_FLUSH); /* cannot fail: the stream is ours, there is room */
        out->len += step - z->avail_out;
    } while (z->avail_out == 0 && out->len - begun < room);
    if (z->avail_out == 0 || out->len - begun - TAIL_LEN >= message.len) {
        out->len = begun;
        return RC_AGAIN;
    }
    out->len -= TAIL_LEN;
    return RC_OK;
}

/* ---- decompressing --------------------------------------------------------------------------- */

static struct ws_inflate *inflate_new(struct ws_deflate *d)
{
    struct ws_inflate *i = calloc(1, sizeof(*i));

    if (i && inflateInit2(&i->z, -WS_WINDOW_MAX) != Z_OK) {
        free(i);
        return NULL;
    }
    if (i)
        i->home = d;
    return i;
}

enum rc ws_inflate_borrow(struct ws_deflate *d, size_t max, struct ws_inflate **out)
{
    struct ws_inflate *i = d->kept;

    if (d->out_n >= d->out_max)
        return RC_LIMIT;
    if (i) {
        d->kept = i->next;
        d->kept_n--;
        inflateReset(&i->z); /* fails only for a stream that is none */
    } else if (!(i = inflate_new(d))) {
        return RC_NOMEM;
    }
    d->out_n++;
    i->next = NULL;
    i->left = max;
    i->tail_off = 0;
    i->between = false;
    i->fresh = true;
    *out = i;
    return RC_OK;
}

void ws_inflate_give_back(struct ws_inflate *i)
{
    if (!i)
        return;
    struct ws_deflate *d = i->home;
    d->out_n--;
    if (d->kept_n >= WS_INFLATES_KEPT) {
        inflate_free(i);
        return;
    }
    i->next = d->kept;
    d->kept = i;
    d->kept_n++;
}

/* Read until the input is used up, or the room is; a final block is not the end of it. */
static enum rc read_on(struct ws_inflate *i)
{
    do {
        if (i->z.avail_in > 0)
            i->fresh = false;
        switch (inflate(&i->z, Z_SYNC_FLUSH)) {
        case Z_OK: /* bit 7: between two blocks; bits 0 to 2: bits left over (zlib.h) */
            i->between = (i->z.data_type & 0x87) == 0x80;
            break;
        case Z_STREAM_END:
            inflateReset(&i->z);
            i->fresh = true;
            break;
        case Z_BUF_ERROR: /* there was nothing to do, and data_type has lost its bit 7 */
            return RC_OK;
        case Z_MEM_ERROR:
            return RC_NOMEM;
        default:
            return RC_SYNTAX;
        }
    } while (i->z.avail_in > 0 && i->z.avail_out > 0);
    return RC_OK;
}

/* Read some of *in. */
static enum rc read_some(struct ws_inflate *i, struct slice *in)
{
    unsigned n = in->len < UINT_MAX ? (unsigned)in->len : UINT_MAX;

    i->z.next_in = (unsigned char *)(uintptr_t)in->at;
    i->z.avail_in = n;
    enum rc rc = read_on(i);
    in->at += n - i->z.avail_in;
    in->len -= n - i->z.avail_in;
    return rc;
}

static enum rc read_tail(struct ws_inflate *i)
{
    struct slice rest = { (const char *)tail + i->tail_off, (size_t)(TAIL_LEN - i->tail_off) };
    enum rc rc = read_some(i, &rest);

    i->tail_off = (uint8_t)(TAIL_LEN - rest.len);
    return rc;
}

enum rc ws_inflate_next(struct ws_inflate *i, struct slice *in, bool last, struct slice *out)
{
    /* One byte more than the message may have is enough to see that it has too many. */
    size_t room = i->left < sizeof(i->home->piece) ? i->left + 1 : sizeof(i->home->piece);
    bool whole = false;

    i->z.next_out = i->home->piece;
    i->z.avail_out = (unsigned)room;
    enum rc rc = i->tail_off == 0 ? read_some(i, in) : RC_OK;
    if (rc == RC_OK && last && in->len == 0 && i->z.avail_out > 0) {
        /* Nothing at all, or nothing behind a final block: taken for what it can only mean. */
        whole = i->fresh && i->tail_off == 0;
        if (!whole)
            rc = read_tail(i);
        whole = whole || (i->tail_off == TAIL_LEN && i->between);
    }
    if (rc != RC_OK)
        return rc;
    *out = (struct slice){ (const char *)i->home->piece, room - i->z.avail_out };
    if (out->len > i->left)
        return RC_LIMIT;
    i->left -= out->len;
    if (i->z.avail_out == 0 || in->len > 0)
        return RC_AGAIN;
    return last && !whole ? RC_SYNTAX : RC_OK;
}
