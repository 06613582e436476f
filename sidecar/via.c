/*
 * via.c - what lies between a connection's socket and what it speaks.
 */
#include "sidecar/via.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "sidecar/proxy_wire.h"

struct via *via_new(const struct via_door *door, int fd)
{
    struct via *v = calloc(1, sizeof(*v));

    if (!v)
        return NULL;
    v->fd = fd;
    if (door->proxy && !(v->proxy = calloc(1, sizeof(*v->proxy))))
        goto fail;
    if (door->tls && !(v->tls = tls_new(door->tls, fd)))
        goto fail;
    return v;
fail:
    via_free(v);
    return NULL;
}

void via_free(struct via *v)
{
    if (!v)
        return;
    free(v->proxy);
    tls_free(v->tls);
    free(v);
}

/* The header is over; what follows it is the client's. */
static ssize_t on_header(struct via *v, struct slice rest, char *at, size_t len)
{
    v->told = v->proxy->from != PROXY_FROM_PEER;
    v->addressed = v->proxy->from == PROXY_FROM_ADDRESS;
    v->address = v->proxy->address;
    free(v->proxy);
    v->proxy = NULL;
    if (rest.len > 0 && v->tls)
        return tls_receive_from(v->tls, rest, at, len);
    if (rest.len > 0) {
        memmove(at, rest.at, rest.len);
        return (ssize_t)rest.len;
    }
    errno = EAGAIN;
    return -1;
}

static ssize_t receive_header(struct via *v, char *at, size_t len)
{
    ssize_t n = recv(v->fd, at, len < TLS_FROM_MAX ? len : TLS_FROM_MAX, 0);
    struct slice rest = { at, n > 0 ? (size_t)n : 0 };

    if (n <= 0)
        return n;
    switch (proxy_wire_feed(v->proxy, &rest)) {
    case PROXY_STEP_DONE:
        return on_header(v, rest, at, len);
    case PROXY_STEP_MORE:
        errno = EAGAIN;
        return -1;
    case PROXY_STEP_BROKEN:
        break;
    }
    v->why = v->proxy->why;
    errno = EPROTO;
    return -1;
}

ssize_t via_receive(struct via *v, char *at, size_t len)
{
    if (v->proxy)
        return receive_header(v, at, len);
    return v->tls ? tls_receive(v->tls, at, len) : recv(v->fd, at, len, 0);
}

ssize_t via_send(struct via *v, const struct iovec *iov, int pieces, size_t bytes)
{
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)iov,
                              .msg_iovlen = (size_t)pieces };

    if (v->tls)
        return tls_send(v->tls, iov, pieces, bytes);
    return sendmsg(v->fd, &message, MSG_NOSIGNAL);
}

size_t via_waiting(const struct via *v)
{
    return v->tls ? tls_waiting(v->tls) : 0;
}

enum rc via_flush(struct via *v)
{
    return v->tls ? tls_flush(v->tls) : RC_OK;
}

void via_goodbye(struct via *v)
{
    if (v->tls)
        tls_goodbye(v->tls);
}

const char *via_why(const struct via *v)
{
    return v->why ? v->why : v->tls ? tls_why(v->tls) : "no reason given";
}
