/*
 * ws_script.h - what clients send, written down in a line; and what the decoder says about it.
 *
 *      "t frag | P ping | C ment"      a fragment of text, a ping in between, the last fragment
 *
 * Frames stand between " | "; each is a letter, perhaps marks, a blank, and the payload as it is:
 *
 *      T B C   text, binary, continuation, with FIN        P O X   ping, pong, close
 *      t b c   the same without (also p o x)               #n      opcode n (hexadecimal), with FIN
 *      1 2 3   reserved bit       !  no mask       w l     length in 2, in 8 bytes, however short
 *
 * The payload of X begins with the code, in decimal, then a blank and the reason: "X 1000 bye".
 */
#ifndef TESTS_SIDECAR_WS_SCRIPT_H
#define TESTS_SIDECAR_WS_SCRIPT_H

#include "sidecar/ws_wire.h"

void ws_script_put(struct buf *, const char *script);

/*
 * All that a decoder says about these bytes, a line for each message, control frame and end, when
 * they come in pieces: `cut` bytes first (0: none), then `piece` at a time.
 *
 *      text 5 hello · ping 2 hi · pong 0 · close 1000 bye · broken 1002 reserved bit set
 *      at last: at rest, amid, over, and if a rule was broken and the pieces were single bytes,
 * "over after 3"
 */
struct buf ws_transcript(const struct ws_rules *, bool deflate, struct slice bytes, size_t cut,
                         size_t piece);

/* However the bytes are cut, the transcript must be this. */
void ws_expect_bytes(const struct ws_rules *, bool deflate, struct slice bytes,
                     const char *expected);
void ws_expect(const char *script, const char *expected);

#endif
