/*
 * ws_utf8.h - is this UTF-8 so far?  For text that comes in pieces, cut anywhere.
 *
 * A wrong byte is noticed when it arrives, not when its sequence or its message is complete: after
 * F4 a 90 cannot become anything (RFC 3629 section 4), whatever follows.
 */
#ifndef SIDECAR_WS_UTF8_H
#define SIDECAR_WS_UTF8_H

#include "core/buf.h"

/* All zero: between two characters, which is where a text begins and must end. */
struct ws_utf8 {
    uint8_t more;      /* continuation bytes to come */
    uint8_t low, high; /* what the next of them may be, if any is to come */
};

/* Go on with a piece.  False: some byte of it is wrong, and the text is lost. */
bool ws_utf8_feed(struct ws_utf8 *, struct slice) MUST_USE;

/* May the text end here? */
static inline bool ws_utf8_whole(const struct ws_utf8 *u)
{
    return u->more == 0;
}

/* As much of well-formed text as fits into max bytes without cutting a character. */
struct slice ws_utf8_cut(struct slice, size_t max);

#endif
