/*
 * listen.c - what started this process, and where its requests come from.
 */
#include "fcgi/listen.h"

#include <errno.h>
#include <fastcgi.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/text.h"

enum {
    BACKLOG = 1024,
    PORT_MAX = 65535,
};

/* mod_fcgid gives its processes one request at a time and names its sockets DIR/PID.NUMBER. */
static bool is_of_mod_fcgid(int fd)
{
    struct sockaddr_un name = { 0 };
    socklen_t len = sizeof(name) - 1;
    int used = 0;

    if (getsockname(fd, (struct sockaddr *)&name, &len) < 0 || name.sun_family != AF_UNIX)
        return false;
    const char *base = strrchr(name.sun_path, '/');
    return base && sscanf(base, "/%*[0-9].%*[0-9]%n", &used) == 0 && used > 0 && base[used] == '\0';
}

static enum rc take_handed(struct listening *out, int fd, const char *how, struct buf *error)
{
    if (!socket_is_listening(fd)) {
        buf_printf(error, "%s: descriptor %d is not a listening socket\n", how, fd);
        return RC_SYNTAX;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    *out = (struct listening){ .kind = LISTEN_HANDED, .fd = fd, .how = how };
    out->one_request = is_of_mod_fcgid(fd);
    return RC_OK;
}

/* ---- a socket of our own --------------------------------------------------------------------- */

/*
 * Can it be bound?  FCGX_OpenSocket() ends the process when it cannot, with few words; so we try
 * first, with a socket of our own.
 */
static bool can_bind_tcp(const char *address, const char *colon, struct buf *error)
{
    const struct addrinfo hints = { .ai_family = AF_INET,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE };
    char *host = slice_dup((struct slice){ address, (size_t)(colon - address) });
    struct addrinfo *found = NULL;
    int rc = host ? getaddrinfo(*host && strcmp(host, "*") ? host : NULL, colon + 1, &hints, &found)
                  : EAI_MEMORY;
    const char *why = rc ? gai_strerror(rc) : NULL;

    free(host);
    if (!why) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
        if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 1) < 0)
            why = strerror(errno);
        close(fd);
        freeaddrinfo(found);
    }
    if (why)
        buf_printf(error, "listen: cannot listen on %s: %s\n", address, why);
    return !why;
}

/* "HOST:PORT"; libfcgi takes anything else for a path and would make a socket file of that name. */
static bool address_is_good(const char *address, struct buf *error)
{
    const char *colon = strrchr(address, ':');
    int64_t port;

    if (memchr(address, ':', (size_t)(colon - address))) {
        buf_printf(error, "listen: %s: FastCGI over IPv6 is not supported; use a unix socket\n",
                   address);
        return false;
    }
    if (number_parse(slice_of(colon + 1), PORT_MAX, &port) != RC_OK || port == 0) {
        buf_printf(error, "listen: %s: the port is a number from 1 to %d\n", address, PORT_MAX);
        return false;
    }
    return can_bind_tcp(address, colon, error);
}

static enum rc open_own(struct listening *out, const char *address, int mode, struct buf *error)
{
    bool is_path = strchr(address, '/') || !strchr(address, ':');

    if (is_path ? !socket_file_is_free(address, error) : !address_is_good(address, error))
        return RC_SYNTAX;
    *out = (struct listening){ .kind = LISTEN_OWN, .how = "a socket of our own" };
    mode_t old = mode >= 0 ? umask((mode_t)(~mode & 0777)) : 0;
    errno = 0;
    out->fd = FCGX_OpenSocket(address, BACKLOG);
    if (mode >= 0)
        umask(old);
    if (out->fd < 0) {
        buf_printf(error, "listen: cannot listen on %s: %s\n", address,
                   errno ? strerror(errno) : "no such host");
        return RC_SYNTAX;
    }
    fcntl(out->fd, F_SETFD, FD_CLOEXEC);
    if (is_path)
        socket_file_note(&out->file, address);
    return RC_OK;
}

/* ---- who started us -------------------------------------------------------------------------- */

enum rc listen_find(const char *argument, const char *setting, int mode, struct listening *out,
                    struct buf *error)
{
    if (argument)
        return open_own(out, argument, mode, error);
    if (systemd_sockets() > 0)
        return take_handed(out, SYSTEMD_FIRST_FD, "systemd", error);
    if (!FCGX_IsCGI())
        return take_handed(out, FCGI_LISTENSOCK_FILENO, "lighttpd, mod_fcgid or spawn-fcgi", error);
    if (getenv("GATEWAY_INTERFACE")) {
        *out =
            (struct listening){ .kind = LISTEN_CGI, .fd = -1, .one_request = true, .how = "CGI" };
        return RC_OK;
    }
    if (setting[0])
        return open_own(out, setting, mode, error);
    buf_puts(error, "nothing to serve: no web server has started this program and there is no "
                    "--listen PATH|HOST:PORT; see --help\n");
    return RC_SYNTAX;
}
