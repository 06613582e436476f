/*
 * fcgi_porch.c - a porch whose connections speak FastCGI.
 */
#include "fcgi/fcgi_porch.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "core/text.h"
#include "fcgi/fcgi_conn.h"

/* FCGI_WEB_SERVER_ADDRS (specification, section 3.2): only for TCP; a list "a,b,c". */
static bool is_named(const struct porch *porch, const struct sockaddr_storage *peer)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct slice rest = slice_of(porch->owner), one;

    if (rest.len == 0 || (peer->ss_family != AF_INET && peer->ss_family != AF_INET6))
        return true;
    const void *address = peer->ss_family == AF_INET
                              ? (const void *)&((const struct sockaddr_in *)peer)->sin_addr
                              : (const void *)&((const struct sockaddr_in6 *)peer)->sin6_addr;
    if (!inet_ntop(peer->ss_family, address, text, sizeof(text)))
        return false;
    while (item_next(&rest, ',', &one))
        if (slice_is(one, slice_of(text)))
            return true;
    return false;
}

static bool allow(const struct porch *porch, const struct sockaddr_storage *peer)
{
    bool may = is_named(porch, peer);

    if (!may)
        log_warn(&porch->server->log, "connection refused: not in FCGI_WEB_SERVER_ADDRS");
    return may;
}

static enum rc open_conn(struct porch *porch, const struct porch_socket *by, int fd,
                         const struct sockaddr_storage *peer, bool surplus)
{
    (void)by;
    (void)peer;
    return fcgi_conn_open(porch, fd, surplus);
}

static void close_conn(uv_poll_t *poll, const char *why)
{
    fcgi_conn_close(fcgi_conn_of(poll), why);
}

static void stop_conn(uv_poll_t *poll)
{
    fcgi_conn_stop(fcgi_conn_of(poll));
}

struct porch *fcgi_porch_new(struct server *server, int listen_fd,
                             const struct porch_limits *limits, const char *allowed)
{
    static const struct porch_ops ops = {
        .allow = allow,
        .open = open_conn,
        .stop = stop_conn,
        .close = close_conn,
    };

    return porch_new(server, &ops, (void *)(uintptr_t)allowed,
                     &(struct porch_socket){ .fd = listen_fd }, 1, limits);
}
