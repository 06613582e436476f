/*
 * mini_front.h - the web server's side of FastCGI, in miniature and without manners: it sends
 * whatever records a test wants, in whatever pieces, and gathers what comes back.
 */
#ifndef TESTS_FCGI_MINI_FRONT_H
#define TESTS_FCGI_MINI_FRONT_H

#include "core/buf.h"

/* --- records ------------------------------------------------------------------------------- */

void put_record(struct buf *, int type, int id, struct slice content, int padding);
void put_begin(struct buf *, int id, int role, int flags);
void put_stream(struct buf *, int type, int id, struct slice, size_t piece); /* and its end */
/* A whole request.  pairs: name, value, …, NULL. */
void put_request(struct buf *, int id, int flags, const char *const *pairs, struct slice body);
/* The usual: GET of a path under mount /push. */
void put_get(struct buf *, int id, int flags, const char *path);

/* --- one connection ------------------------------------------------------------------------ */

enum { MINI_IDS = 8 };

struct mini_reply { /* what has come for one id */
    struct buf out;
    int stdout_ends; /* empty STDOUT records */
    int ends;        /* END_REQUEST records */
    int protocol_status;
};

struct mini {
    int fd;
    void (*pump)(void);                /* lets the other side work, and waits a little */
    struct buf in;                     /* bytes not yet read as records */
    struct mini_reply reply[MINI_IDS]; /* [0]: management */
    int management_type;               /* of the last management record */
    int records;
    bool in_a_row;      /* several requests under one id: whole replies go to history */
    struct buf history; /* "reply END 0\nreply END 0\n" */
    bool closed, is_garbage;
};

void mini_open(struct mini *, const char *socket_path, void (*pump)(void));
void mini_close(struct mini *);
void mini_send(struct mini *, struct slice);
void mini_send_buf(struct mini *, struct buf *);    /* and releases it */
bool mini_send_some(struct mini *, struct slice *); /* false: it takes no more now */

/* Take what is there. */
void mini_read(struct mini *);

/* Wait; each ends the test after a deadline. */
struct mini_reply *mini_expect_end(struct mini *, int id);
void mini_expect_text(struct mini *, int id, const char *);
void mini_expect_closed(struct mini *);
void mini_wait(struct mini *);  /* once: read, pump, read */
void mini_clear(struct mini *); /* forget replies: the next request */

int reply_status(const struct mini_reply *); /* of "Status: …"; 0: none */
bool reply_has(const struct mini_reply *, const char *text);

/* Wait for anything, at most some seconds. */
#define WAIT_FOR(condition, pump)                                                                  \
    do {                                                                                           \
        double deadline_ = now_s() + 20;                                                           \
        while (!(condition)) {                                                                     \
            ck_assert_msg(now_s() < deadline_, "waited in vain for " #condition);                  \
            pump();                                                                                \
        }                                                                                          \
    } while (0)
double now_s(void);

#endif
