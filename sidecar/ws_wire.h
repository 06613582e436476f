/*
 * ws_wire.h - WebSocket frames (RFC 6455) into messages, without any I/O; and the heads we write.
 *
 *      | fin, rsv 3, opcode 4 | mask 1, length 7 | length, 0, 2 or 8 bytes | mask, 4 |  payload … |
 *
 * Bytes may be cut anywhere.  What a message consists of is handed out as it arrives, unmasked
 * where it lies, inflated and checked: nothing is collected here but a control frame that was cut.
 * Every rule is applied at the first byte that breaks it.
 *
 *      AT REST --data frame, not FIN--> AMID A MESSAGE --FIN--> AT REST
 *         |                                  |  (control frames in between leave it where it is)
 *         '------------ CLOSE, or a broken rule ----------> OVER: whatever follows is ignored
 */
#ifndef SIDECAR_WS_WIRE_H
#define SIDECAR_WS_WIRE_H

#include "core/buf.h"

struct ws_deflate;
struct ws_reading;

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

/* Section 7.4.1 and the registry it founded. */
enum ws_code {
    WS_CODE_NORMAL = 1000,
    WS_CODE_GOING_AWAY = 1001,
    WS_CODE_PROTOCOL = 1002,    /* a rule of the protocol is broken */
    WS_CODE_UNSUPPORTED = 1003, /* not the kind of data that is understood here */
    WS_CODE_NONE = 1005,        /* never sent: the close frame was empty */
    WS_CODE_LOST = 1006,        /* never sent: there was no close frame */
    WS_CODE_DATA = 1007,        /* text that is not UTF-8; not deflate data */
    WS_CODE_POLICY = 1008,
    WS_CODE_TOO_LARGE = 1009,
    WS_CODE_INTERNAL = 1011,
    WS_CODE_RESTART = 1012,
    WS_CODE_TRY_LATER = 1013,
};

enum {
    WS_HEAD_MAX = 10,     /* of a frame that we write: no mask */
    WS_CONTROL_MAX = 125, /* payload of a control frame */
    WS_REASON_MAX = 123,  /* of a close frame, after its code */
};

/* The same for all connections of a kind; lent for as long as they live. */
struct ws_rules {
    uint64_t max_message;       /* bytes, as the sender meant them: inflated */
    struct ws_deflate *deflate; /* NULL: nobody may negotiate permessage-deflate */
};

/* All that an idle connection keeps.  Zero: a connection that has just been upgraded. */
struct ws_wire {
    struct ws_reading *amid; /* of a frame or a message; NULL: at rest */
    bool deflate;            /* permessage-deflate is negotiated; set by the owner */
    bool over;               /* closed by the peer, or a rule is broken */
};

/* What ws_wire_feed() has met. */
enum ws_step {
    WS_STEP_MORE,   /* all bytes are consumed */
    WS_STEP_DATA,   /* bytes of a message: seen->bytes, text, first, last */
    WS_STEP_PING,   /* seen->bytes; answer with a pong that has the same */
    WS_STEP_PONG,   /* seen->bytes */
    WS_STEP_CLOSE,  /* seen->code, bytes: the reason, UTF-8; answer with the code, then end */
    WS_STEP_BROKEN, /* seen->code, why: send a close frame with them, then end */
};

/* Bytes are lent until the next feed of any connection, or until the fed bytes or this go. */
struct ws_seen {
    struct slice bytes;
    bool text;        /* DATA: a text message (else binary) */
    bool first, last; /* DATA: the first piece of its message; the last (each may be empty) */
    uint16_t code;    /* CLOSE, BROKEN */
    const char *why;  /* BROKEN: for a person; at most WS_REASON_MAX bytes */
    char cut[WS_CONTROL_MAX]; /* where a control frame that came in pieces is put together */
};

/* Releases what is unfinished; the wire is as new. */
void ws_wire_fini(struct ws_wire *);

/*
 * Consume from the front of *in, whose bytes must be writable (they are unmasked in place), until
 * something happens.  After any step but MORE feed the rest as it is then (some of it may be
 * unmasked already), even if it is empty: there may be more to come out of a compressed frame.
 */
enum ws_step ws_wire_feed(struct ws_wire *, const struct ws_rules *, struct slice *in,
                          struct ws_seen *seen) MUST_USE;

/* Amid a frame or a message: what is missing should come within a bounded time, for a message may
   consist of any number of empty fragments, and a compressed one of blocks in which nothing is. */
static inline bool ws_wire_amid(const struct ws_wire *w)
{
    return w->amid != NULL;
}

/* May a peer send this code in a close frame?  (What it may not, we do not either.) */
bool ws_code_valid(unsigned code);

/*
 * Write the head of a frame; returns its length.  compressed: RSV1, on the first frame of a
 * message. A message in one frame: fin, and its opcode.
 */
size_t ws_put_head(uint8_t out[WS_HEAD_MAX], enum ws_opcode, bool fin, bool compressed,
                   uint64_t payload);

/* Whole control frames; each returns its length.  Payload: at most WS_CONTROL_MAX bytes. */
size_t ws_put_control(uint8_t out[2 + WS_CONTROL_MAX], enum ws_opcode, struct slice payload);

/* A reason that is too long is cut between two characters; WS_CODE_NONE: an empty close frame. */
size_t ws_put_close(uint8_t out[2 + WS_CONTROL_MAX], unsigned code, struct slice reason);

#endif
