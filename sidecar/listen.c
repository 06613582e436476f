/*
 * listen.c - where requests come from: the sockets of bellpushd.
 */
#include "sidecar/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/text.h"

enum { BACKLOG = 4096, PORT_MAX = 65535 };

static const struct listen_scheme schemes[] = { { "http" } };

static bool starts_with(const char *text, const char *start, size_t len)
{
    return strncasecmp(text, start, len) == 0;
}

/* Step over the word before an address.  "http:80" has none: that is port 80 of a host "http". */
static const struct listen_scheme *scheme_of(const char **address)
{
    for (size_t i = 0; i < LENGTH(schemes); i++) {
        size_t len = strlen(schemes[i].name);
        const char *rest = *address + len + 1;
        if (!starts_with(*address, schemes[i].name, len) || (*address)[len] != ':' ||
            !strpbrk(rest, ":/"))
            continue;
        *address = rest;
        return &schemes[i];
    }
    return &schemes[0];
}

/* Takes fd.  False: there is no room, a line in *error. */
static bool add(struct listening *out, int fd, const struct listen_scheme *scheme,
                struct buf *error)
{
    if (out->n == LISTEN_MAX) {
        buf_printf(error, "listen: more than %d sockets\n", LISTEN_MAX);
        close(fd);
        return false;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    out->at[out->n++] = (struct listen_socket){ .fd = fd, .scheme = scheme };
    return true;
}

/* ---- TCP ------------------------------------------------------------------------------------- */

/* "HOST:PORT" or "[HOST]:PORT" in two; gives both in one block. */
static char *split(const char *address, char **port)
{
    char *host = slice_dup(slice_of(address)), *colon = host ? strrchr(host, ':') : NULL;

    if (!colon)
        return host;
    *colon = '\0';
    *port = colon + 1;
    if (host[0] == '[' && colon > host && colon[-1] == ']') {
        colon[-1] = '\0';
        memmove(host, host + 1, strlen(host + 1) + 1);
    }
    return host;
}

static int open_one(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    if (a->ai_family == AF_INET6) /* IPv4 has its own */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 1 }, sizeof(int));
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* Those of its addresses that this machine has a protocol for. */
static const char *open_all(const struct addrinfo *found, const struct listen_scheme *scheme,
                            struct listening *out, struct buf *error)
{
    size_t before = out->n;

    for (const struct addrinfo *a = found; a; a = a->ai_next) {
        int fd = open_one(a);
        if (fd < 0 && (errno == EAFNOSUPPORT || (errno == EADDRNOTAVAIL && a->ai_next)))
            continue;
        if (fd < 0)
            return strerror(errno);
        if (!add(out, fd, scheme, error))
            return "";
    }
    return out->n > before ? NULL : "this machine has no such address";
}

static enum rc open_tcp(const char *address, const struct listen_scheme *scheme,
                        struct listening *out, struct buf *error)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    char *port = NULL, *host = split(address, &port);
    struct addrinfo *found = NULL;
    const char *why = NULL;
    int64_t number;

    if (!host)
        return RC_NOMEM;
    bool any = !*host || strcmp(host, "*") == 0;
    if (!any && strchr(host, ':') && address[0] != '[') {
        why = "an IPv6 address stands in brackets: [::1]:8080";
    } else if (!port || number_parse(slice_of(port), PORT_MAX, &number) != RC_OK) {
        why = "the port is a number from 0 to 65535";
    } else {
        int rc = getaddrinfo(any ? NULL : host, port, &hints, &found);
        why = rc ? gai_strerror(rc) : open_all(found, scheme, out, error);
    }
    if (why && *why)
        buf_printf(error, "listen: cannot listen on %s: %s\n", address, why);
    if (found)
        freeaddrinfo(found);
    free(host);
    return why ? RC_SYNTAX : RC_OK;
}

/* ---- unix sockets ---------------------------------------------------------------------------- */

static enum rc open_path(const char *path, const struct listen_scheme *scheme, int mode,
                         struct listening *out, struct buf *error)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };

    if (!socket_file_is_free(path, error))
        return RC_SYNTAX;
    memcpy(name.sun_path, path, strlen(path));
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old = mode >= 0 ? umask((mode_t)(~mode & 0777)) : 0;
    bool listens = fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0 &&
                   listen(fd, BACKLOG) == 0;
    int why = errno;
    if (mode >= 0)
        umask(old);
    if (listens) {
        if (!add(out, fd, scheme, error))
            return RC_SYNTAX;
        socket_file_note(&out->at[out->n - 1].file, path);
        return RC_OK;
    }
    buf_printf(error, "listen: cannot listen on %s: %s\n", path, strerror(why));
    if (fd >= 0)
        close(fd);
    return RC_SYNTAX;
}

/* ---- systemd --------------------------------------------------------------------------------- */

/* The i-th of the names in LISTEN_FDNAMES, which are separated by colons. */
static const struct listen_scheme *scheme_named(size_t i)
{
    const char *names = getenv("LISTEN_FDNAMES");

    for (; names && i > 0; i--) {
        names = strchr(names, ':');
        names = names ? names + 1 : NULL;
    }
    size_t len = names ? strcspn(names, ":") : 0;
    for (size_t j = 0; len > 0 && j < LENGTH(schemes); j++)
        if (strlen(schemes[j].name) == len && starts_with(names, schemes[j].name, len))
            return &schemes[j];
    return &schemes[0];
}

static enum rc take_handed(size_t n, struct listening *out, struct buf *error)
{
    for (size_t i = 0; i < n; i++) {
        int fd = SYSTEMD_FIRST_FD + (int)i;
        if (!socket_is_listening(fd)) {
            buf_printf(error, "systemd: descriptor %d is not a listening socket\n", fd);
            return RC_SYNTAX;
        }
        if (!add(out, fd, scheme_named(i), error))
            return RC_SYNTAX;
    }
    return RC_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static enum rc open_each(const char *const *addresses, size_t n, int mode, struct listening *out,
                         struct buf *error)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        const char *address = addresses[i];
        const struct listen_scheme *scheme = scheme_of(&address);
        bool is_path = strchr(address, '/') || !strchr(address, ':');
        rc = is_path ? open_path(address, scheme, mode, out, error)
                     : open_tcp(address, scheme, out, error);
    }
    return rc;
}

enum rc listen_find(const char *const *addresses, size_t n, const struct conf_list *setting,
                    int mode, struct listening *out, struct buf *error)
{
    size_t handed = systemd_sockets();
    enum rc rc;

    *out = (struct listening){ .how = "hand" };
    if (n > 0) {
        rc = open_each(addresses, n, mode, out, error);
    } else if (handed > 0) {
        out->how = "systemd";
        rc = take_handed(handed, out, error);
    } else if (setting->n > 0) {
        rc = open_each((const char *const *)setting->at, setting->n, mode, out, error);
    } else {
        buf_puts(error, "nothing to listen on: there is neither --listen HOST:PORT|PATH nor "
                        "listen_http in bellpush.conf; see --help\n");
        rc = RC_SYNTAX;
    }
    if (rc != RC_OK) {
        listen_close(out);
        listen_cleanup(out);
    }
    return rc;
}

void listen_put_name(const struct listen_socket *s, struct buf *out)
{
    struct sockaddr_storage name = { 0 };
    socklen_t len = sizeof(name) - 1;
    char text[INET6_ADDRSTRLEN] = "";

    buf_printf(out, "%s:", s->scheme->name);
    if (getsockname(s->fd, (struct sockaddr *)&name, &len) < 0)
        return;
    if (name.ss_family == AF_UNIX) {
        const char *path = ((const struct sockaddr_un *)&name)->sun_path;
        buf_printf(out, "%s%s", strchr(path, '/') ? "" : "./", path);
    } else if (name.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&name;
        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
        buf_printf(out, "[%s]:%d", text, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&name;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
        buf_printf(out, "%s:%d", text, ntohs(in->sin_port));
    }
}

void listen_close(struct listening *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->at[i].fd >= 0)
            close(l->at[i].fd);
        l->at[i].fd = -1;
    }
}

void listen_cleanup(const struct listening *l)
{
    for (size_t i = 0; i < l->n; i++)
        socket_file_remove(&l->at[i].file);
}
