/*
 * ws_utf8.c - is this UTF-8 so far?  For text that comes in pieces.
 *
 * Eight bytes at a time while they are ASCII; otherwise byte by byte, each against the row of
 * RFC 3629's table that its sequence is in.  Only the second byte of a sequence has bounds of its
 * own (no overlong forms, no surrogates, nothing above U+10FFFF); any later one is 80 to BF.
 */
#include "sidecar/ws_utf8.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Begin a sequence; false: nothing begins with this byte. */
static bool begin(struct ws_utf8 *u, unsigned char byte)
{
    if (byte < 0xC2 || byte > 0xF4) /* a continuation, an overlong form, too far */
        return false;
    u->more = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    u->low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    u->high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    return true;
}

bool ws_utf8_feed(struct ws_utf8 *u, struct slice s)
{
    const unsigned char *at = (const unsigned char *)s.at, *end = at + s.len;

    while (at < end) {
        if (u->more > 0) {
            if (*at < u->low || *at > u->high)
                return false;
            u->more--;
            u->low = 0x80;
            u->high = 0xBF;
            at++;
            continue;
        }
        uint64_t word;
        while (end - at >= (ptrdiff_t)sizeof(word)) {
            memcpy(&word, at, sizeof(word));
            if (word & HIGH_BITS)
                break;
            at += sizeof(word);
        }
        while (at < end && *at < 0x80)
            at++;
        if (at < end && !begin(u, *at++))
            return false;
    }
    return true;
}

struct slice ws_utf8_cut(struct slice s, size_t max)
{
    if (s.len <= max)
        return s;
    while (max > 0 && ((unsigned char)s.at[max] & 0xC0) == 0x80)
        max--;
    return (struct slice){ s.at, max };
}
