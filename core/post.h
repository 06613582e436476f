/*
 * post.h - bytes for many sockets, handed to the kernel in one system call.
 *
 * A send() to a socket is two thirds TCP and one third the way into the kernel and out of it. Where
 * the kernel has io_uring that way is gone once for all of them; where it has not, is too old or
 * forbids it (seccomp, sysctl kernel.io_uring_disabled), and where the setting `io_uring` says no,
 * each is sent by itself.  Callers cannot tell the difference: all is over when post_send()
 * returns.
 */
#ifndef CORE_POST_H
#define CORE_POST_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

enum {
    POST_MAX = 32,        /* parcels of one call */
    PARCEL_EDGE_MAX = 24, /* bytes of a frame's head, or of its tail */
    PARCEL_PIECES = 3,    /* head, payload, tail */
};

/* One write to one non-blocking socket; what it points to is the caller's. */
struct parcel {
    int fd;
    int pieces;
    struct iovec iov[PARCEL_PIECES];
    size_t bytes;  /* of all pieces */
    ssize_t taken; /* out: how many of them the kernel has taken, or a negative errno */
    unsigned char head[PARCEL_EDGE_MAX], tail[PARCEL_EDGE_MAX]; /* room for the caller's pieces */
};

struct post; /* opaque */

/* Gives; NULL: no memory.  may_gather: use io_uring where there is one. */
struct post *post_new(bool may_gather);
void post_free(struct post *);

/* Up to POST_MAX parcels, from the thread that was the first to send.  Each as by sendmsg() with
   MSG_DONTWAIT and MSG_NOSIGNAL: none waits, and none is in the way of another. */
void post_send(struct post *, struct parcel *, unsigned n);

#endif
