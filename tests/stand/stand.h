/*
 * stand.h - a server's porch in the test's own process: core and one transport, a handler of our
 * own instead of handlers/, a unix socket in a folder of its own.
 *
 *      /echo           method, mount, path, query, X-Test, body, in one answer
 *      /hold           begins a reply and holds it: stand.held
 *      /big/N          N bytes at once
 *      /count/N        as long as there is room, up to N bytes in pieces of 16 KiB
 *      /forget         neither answers nor holds
 *      /none           204
 */
#ifndef TESTS_STAND_STAND_H
#define TESTS_STAND_STAND_H

#include "core/porch.h"

struct held {
    struct request *request; /* NULL: over */
    bool gone, drained;
    int rooms;
    size_t left; /* /count: bytes to come */
};

enum { STAND_HELD_MAX = 256 };

struct stand {
    uv_loop_t loop;
    struct conf conf;
    struct server server;
    struct porch *porch;
    char *dir, path[96];
    struct held held[STAND_HELD_MAX];
    size_t n_held;
    size_t body_len; /* of the last request */
    bool body_too_large;
    size_t served;
};

extern struct stand stand;

/* The transport: make a porch of a listening socket. */
typedef struct porch *stand_porch_fn(struct server *, int fd, const struct porch_limits *);

/* limits: NULL for generous ones. */
void stand_open(stand_porch_fn *, const struct porch_limits *);
void stand_close(void); /* ends the test when a handle, a request or memory is left */

void stand_serve(struct request *);

/* One turn of the loop, without waiting for more than a moment. */
void stand_pump(void);

size_t stand_gone(void); /* how many held replies have been told so */

#endif
