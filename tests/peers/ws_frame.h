/*
 * ws_frame.h - WebSocket frames as clients write and read them, and some that none should write.
 *
 * A second reading of RFC 6455 and 7692, made without a look at the server's: what both
 * misunderstand in the same way stays hidden, what one of them does not.
 */
#ifndef TESTS_PEERS_WS_FRAME_H
#define TESTS_PEERS_WS_FRAME_H

#include "core/buf.h"

enum { FRAME_CONT = 0, FRAME_TEXT = 1, FRAME_BINARY = 2, FRAME_CLOSE = 8, FRAME_PING, FRAME_PONG };

/* What is special about a frame; may be added up.  0: a whole message, masked, length at its
 * shortest. */
enum {
    FRAME_MORE = 0x01, /* FIN is not set */
    FRAME_RSV1 = 0x02,
    FRAME_RSV2 = 0x04,
    FRAME_RSV3 = 0x08,
    FRAME_BARE = 0x10,   /* no mask */
    FRAME_WORD = 0x20,   /* length in 2 bytes, however short */
    FRAME_LONG = 0x40,   /* length in 8 bytes, however short */
    FRAME_MASK_0 = 0x80, /* the mask is 00 00 00 00 */
};

/* Append a frame; or only its head, for a payload of so many bytes, which then begins with mask[0].
 */
void ws_frame_put(struct buf *, unsigned opcode, unsigned special, struct slice payload);
void ws_frame_put_head(struct buf *, unsigned opcode, unsigned special, uint64_t length,
                       uint8_t mask[4]);

/* Append a close frame. */
void ws_frame_put_close(struct buf *, unsigned code, struct slice reason);

struct ws_frame {
    unsigned opcode;
    bool fin, rsv1, rsv2, rsv3;
    struct slice payload; /* lent from what was read */
};

enum ws_frame_read { WS_FRAME_MORE, WS_FRAME_WHOLE, WS_FRAME_WRONG };

/*
 * Take a server's frame off the front of *in.  MORE: it is not complete.  WRONG: no server may send
 * this (a mask, a length that is not the shortest, a control frame that is long or fragmented).
 */
enum ws_frame_read ws_frame_next(struct slice *in, struct ws_frame *frame);

/* Append a message compressed by a client with such a window (8 to 15). */
void ws_frame_deflate(struct buf *, int window_bits, struct slice message);

/*
 * Append what a client with such a window (8 to 15) makes of a compressed message; false: it
 * cannot. The client remembers not one byte more than the window, and takes nothing over.
 */
bool ws_frame_inflate(struct buf *, int window_bits, struct slice payload);

#endif
