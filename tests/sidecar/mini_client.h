/*
 * mini_client.h - a client without manners on a unix socket, in the server's own process: it sends
 * any bytes in any pieces, and gathers what comes back.
 */
#ifndef TESTS_SIDECAR_MINI_CLIENT_H
#define TESTS_SIDECAR_MINI_CLIENT_H

#include "core/buf.h"

struct mini {
    int fd;
    void (*pump)(void); /* lets the other side work */
    struct buf in;      /* what has come and was not yet expected */
    bool closed, reset;
};

void mini_open(struct mini *, const char *socket_path, void (*pump)(void));
void mini_close(struct mini *);
void mini_send(struct mini *, struct slice);
void mini_say(struct mini *, const char *text);
bool mini_send_some(struct mini *, struct slice *); /* false: it takes no more now */
void mini_read(struct mini *);                      /* take what is there */

/* Each waits, and ends the test after a deadline. */
void mini_expect(struct mini *, const char *text); /* and drop all up to its end */
void mini_expect_closed(struct mini *);
/* A whole reply is taken: by Content-Length, chunks, or the end.  Gives its body as text. */
struct buf mini_reply(struct mini *, int *status, struct buf *head);
/* Its status, and all of its head and body have that in them. */
void mini_expect_reply(struct mini *, int status, const char *head_has, const char *body_has);

/* Wait for anything, at most some seconds. */
#define WAIT_FOR(condition, pump)                                                                  \
    do {                                                                                           \
        int64_t deadline_ = now_ms() + 20000;                                                      \
        while (!(condition)) {                                                                     \
            ck_assert_msg(now_ms() < deadline_, "waited in vain for " #condition);                 \
            pump();                                                                                \
        }                                                                                          \
    } while (0)

#endif
