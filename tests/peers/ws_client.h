/*
 * ws_client.h - a WebSocket client over real sockets, as well-behaved or as rude as a test needs
 * it.
 *
 * It reads the RFCs by itself (ws_frame.h) and knows nothing of the server's code.  What a server
 * may not do (masks, reserved bits, text that is not UTF-8, a wrong Sec-WebSocket-Accept, …) it
 * calls wrong and says what.  It never blocks but in functions that take a time: many can be driven
 * together with poll(2) by ws_client_fd() and ws_client_wants().
 *
 *      struct ws_client *c = ws_client_open(&(struct ws_client_ask){ .port = p, .target =
 * "/push/ws/echo" }, 5000); ws_client_say(c, FRAME_TEXT, SLICE("hello")); struct ws_message m;
 *      ck_assert(ws_client_hear(c, &m, 5000) && slice_is(m.data, SLICE("hello")));
 *      ws_client_free(c);
 */
#ifndef TESTS_PEERS_WS_CLIENT_H
#define TESTS_PEERS_WS_CLIENT_H

#include "tests/peers/ws_frame.h"

struct ws_client;

struct ws_client_ask {
    int port;         /* on 127.0.0.1 */
    const char *path; /* not NULL: a unix socket instead */
    const char *target;
    const char *const *headers; /* more lines, "Name: value", NULL-terminated; may be NULL */
    const char *protocols;      /* Sec-WebSocket-Protocol; NULL: none */
    const char *extensions;     /* Sec-WebSocket-Extensions; NULL: none */
    /* Not empty: what is sent instead of a handshake; its key, if it has one, is KEY. */
    struct slice raw;
};

#define WS_CLIENT_KEY "dGhlIHNhbXBsZSBub25jZQ=="

/* Connect and begin the handshake; gives.  Copies what it is asked. */
struct ws_client *ws_client_new(const struct ws_client_ask *) MUST_USE;
void ws_client_free(struct ws_client *); /* closes, as a client that leaves; NULL: nothing */

/* The same, and wait for the answer; ends the test if it is not a right 101 within ms. */
struct ws_client *ws_client_open(const struct ws_client_ask *, int64_t ms) MUST_USE;

int ws_client_fd(const struct ws_client *);      /* -1: over */
short ws_client_wants(const struct ws_client *); /* POLLIN, POLLOUT */
void ws_client_step(struct ws_client *);         /* send and take what can be sent and taken now */

/* The answer. */
bool ws_client_answered(struct ws_client *, int64_t ms); /* its head is here, or it is over */
int ws_client_status(const struct ws_client *);          /* 0: none yet */
const char *ws_client_header(struct ws_client *, const char *name); /* NULL: absent; lent */
bool ws_client_deflates(const struct ws_client *); /* permessage-deflate is agreed on */
int ws_client_window(const struct ws_client *);    /* bits that the server may use */

/* Queue a whole message as the server likes it best; compressed if agreed and packed. */
void ws_client_say(struct ws_client *, unsigned opcode, struct slice message);
void ws_client_say_packed(struct ws_client *, unsigned opcode, struct slice message);
/* Queue a frame of any shape; queue bytes. */
void ws_client_frame(struct ws_client *, unsigned opcode, unsigned special, struct slice payload);
void ws_client_bytes(struct ws_client *, struct slice);
void ws_client_close(struct ws_client *, unsigned code, const char *reason);
/* Everything that was queued is with the kernel; takes what comes meanwhile. */
bool ws_client_flush(struct ws_client *, int64_t ms);
/* Send without reading, until the kernel has taken nothing for ms; true: it has taken everything.
 */
bool ws_client_push(struct ws_client *, int64_t ms);

/* What a server said: a whole message (opcode TEXT or BINARY), or a control frame. */
struct ws_message {
    unsigned opcode;
    struct slice data; /* lent until the next is asked for; inflated */
    bool packed;       /* it came compressed */
    unsigned frames;   /* in so many */
};

/* The next, if it is here; if it comes within ms.  Pings are shown, not answered. */
bool ws_client_next(struct ws_client *, struct ws_message *);
bool ws_client_hear(struct ws_client *, struct ws_message *, int64_t ms);

/* Read until the server has closed the connection, dropping messages; false: not within ms. */
bool ws_client_gone(struct ws_client *, int64_t ms);
/* Was it torn down, so that what was said last might have been lost? */
bool ws_client_was_reset(const struct ws_client *);
/* Is it closed, and everything that came looked at? */
bool ws_client_over(const struct ws_client *);
/* Of its close frame: the code (0: none came; 1005: it was empty) and the reason. */
unsigned ws_client_code(const struct ws_client *);
const char *ws_client_reason(const struct ws_client *);
/* What the server has done wrong; NULL: nothing. */
const char *ws_client_wrong(const struct ws_client *);

#endif
