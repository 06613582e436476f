/*
 * stand.h - a worker's porch in the test's own process: core and fcgi, a handler of our own instead
 * of handlers/, a unix socket in a folder of its own.
 *
 *      /echo           method, mount, path, query, X-Test, body, in one answer
 *      /hold           begins a reply and holds it: stand.held
 *      /big/N          N bytes at once
 *      /count/N        as long as there is room, up to N bytes in pieces of 16 KiB
 *      /forget         neither answers nor holds
 */
#ifndef TESTS_FCGI_STAND_H
#define TESTS_FCGI_STAND_H

#include "core/server.h"
#include "fcgi/fcgi_porch.h"

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

/* limits: NULL for generous ones.  allowed: FCGI_WEB_SERVER_ADDRS. */
void stand_open(const struct porch_limits *);
void stand_close(void); /* ends the test when a handle, a request or memory is left */

void stand_serve(struct request *);

/* One turn of the loop, without waiting for more than a moment. */
void stand_pump(void);

size_t stand_gone(void); /* how many held replies have been told so */

#endif
