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

static const struct listen_scheme schemes[] = {
    { .name = "http" },
    { .name = "tls", .tls = true },
    { .name = "proxy", .proxy = true },
    { .name = "proxy-tls", .proxy = true, .tls = true },
};

/* Sockets of the process whose place this one takes: lines "DESCRIPTOR TURN TURNS ADDRESS". */
static const char handed_sockets[] = "BELLPUSHD_SOCKETS";

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

/* One address that is being opened. */
struct opening {
    const struct listen_ask *ask;
    const char *asked; /* all of it */
    const char *address;
    const struct listen_scheme *scheme;
    struct listening *out;
    struct buf *error;
};

/* Takes fd.  False: there is no room, a line in *error. */
static bool add(struct listening *out, const struct listen_socket *s, struct buf *error)
{
    if (out->n == LISTEN_MAX) {
        buf_printf(error, "listen: more than %d sockets\n", LISTEN_MAX);
        close(s->fd);
        return false;
    }
    fcntl(s->fd, F_SETFD, FD_CLOEXEC);
    out->at[out->n++] = *s;
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

static int open_one(const struct sockaddr *name, socklen_t len, bool shared)
{
    int fd = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int));
    if (name->sa_family == AF_INET6) /* IPv4 has its own */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 1 }, sizeof(int));
    if (bind(fd, name, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/*
 * A socket for each worker.  Another process of the same user could share the port without
 * anybody's noticing: so it is tried first whether the port can be had alone.  0: done; else errno.
 */
static int open_turns(const struct opening *o, const struct addrinfo *a)
{
    uint16_t turns = o->ask->workers > 1 ? (uint16_t)o->ask->workers : 1;
    struct sockaddr_storage name = { 0 };
    socklen_t len = sizeof(name);
    int fd = open_one(a->ai_addr, a->ai_addrlen, false);

    if (fd >= 0 && turns > 1) {
        getsockname(fd, (struct sockaddr *)&name, &len); /* with the port that it got */
        close(fd);
        fd = open_one((struct sockaddr *)&name, len, true);
    }
    for (uint16_t turn = 0; fd >= 0; turn++) {
        struct listen_socket s = { fd, o->scheme, turn, turns, o->asked, { .path = "" } };
        if (!add(o->out, &s, o->error))
            return ENOBUFS;
        if (turn + 1 == turns)
            return 0;
        fd = open_one((struct sockaddr *)&name, len, true);
    }
    return errno;
}

/* Those of its addresses that this machine has a protocol for. */
static const char *open_all(const struct opening *o, const struct addrinfo *found)
{
    size_t before = o->out->n;

    for (const struct addrinfo *a = found; a; a = a->ai_next) {
        int why = open_turns(o, a);
        if (why && why != EAFNOSUPPORT && (why != EADDRNOTAVAIL || !a->ai_next))
            return strerror(why);
    }
    return o->out->n > before ? NULL : "this machine has no such address";
}

static enum rc open_tcp(const struct opening *o)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    char *port = NULL, *host = split(o->address, &port);
    struct addrinfo *found = NULL;
    const char *why = NULL;
    int64_t number;

    if (!host)
        return RC_NOMEM;
    bool any = !*host || strcmp(host, "*") == 0;
    if (!any && strchr(host, ':') && o->address[0] != '[') {
        why = "an IPv6 address stands in brackets: [::1]:8080";
    } else if (!port || number_parse(slice_of(port), PORT_MAX, &number) != RC_OK) {
        why = "the port is a number from 0 to 65535";
    } else {
        int rc = getaddrinfo(any ? NULL : host, port, &hints, &found);
        why = rc ? gai_strerror(rc) : open_all(o, found);
    }
    if (why)
        buf_printf(o->error, "listen: cannot listen on %s: %s\n", o->address, why);
    if (found)
        freeaddrinfo(found);
    free(host);
    return why ? RC_SYNTAX : RC_OK;
}

/* ---- unix sockets ---------------------------------------------------------------------------- */

static int bind_path(const char *path, int mode)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(name.sun_path, path, strlen(path));
    unlink(path);
    mode_t old = mode >= 0 ? umask((mode_t)(~mode & 0777)) : 0;
    bool listens = fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0 &&
                   listen(fd, BACKLOG) == 0;
    int why = errno;
    if (mode >= 0)
        umask(old);
    if (listens)
        return fd;
    if (fd >= 0)
        close(fd);
    errno = why;
    return -1;
}

static enum rc open_path(const struct opening *o)
{
    struct listen_socket s = { .scheme = o->scheme, .turns = 1, .asked = o->asked };

    if (!socket_file_is_free(o->address, o->error))
        return RC_SYNTAX;
    s.fd = bind_path(o->address, o->ask->mode);
    if (s.fd < 0) {
        buf_printf(o->error, "listen: cannot listen on %s: %s\n", o->address, strerror(errno));
        return RC_SYNTAX;
    }
    privileges_give(o->ask->owner, o->address);
    socket_file_note(&s.file, o->address);
    return add(o->out, &s, o->error) ? RC_OK : RC_SYNTAX;
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
        struct listen_socket s = { .fd = fd, .scheme = scheme_named(i), .turns = 1 };
        if (!add(out, &s, error))
            return RC_SYNTAX;
    }
    return RC_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* From the process before: all that it had opened for this address.  False: it had not. */
static bool take_kept(const struct opening *o)
{
    const char *line = getenv(handed_sockets);
    size_t before = o->out->n;
    bool is_path = strchr(o->address, '/') || !strchr(o->address, ':');

    for (; line && *line; line += strcspn(line, "\n"), line += *line == '\n') {
        int fd, at = 0;
        uint16_t turn, turns;
        size_t len = strcspn(line, "\n");
        if (sscanf(line, "%d %hu %hu %n", &fd, &turn, &turns, &at) != 3 || turns == 0 || at == 0 ||
            !slice_is((struct slice){ line + at, len - (size_t)at }, slice_of(o->asked)) ||
            !socket_is_listening(fd))
            continue;
        struct listen_socket s = { fd, o->scheme, turn, turns, o->asked, { .path = "" } };
        if (is_path)
            socket_file_note(&s.file, o->address);
        if (!add(o->out, &s, o->error))
            break;
    }
    return o->out->n > before;
}

static enum rc open_each(const struct listen_ask *ask, const char *const *addresses, size_t n,
                         struct listening *out, struct buf *error)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        struct opening o = { ask, addresses[i], addresses[i], NULL, out, error };
        o.scheme = scheme_of(&o.address);
        bool is_path = strchr(o.address, '/') || !strchr(o.address, ':');
        if (!take_kept(&o))
            rc = is_path ? open_path(&o) : open_tcp(&o);
    }
    return rc;
}

/* What the process before had, and nobody wants any more. */
static void close_unwanted(const struct listening *l)
{
    const char *line = getenv(handed_sockets);

    for (; line && *line; line += strcspn(line, "\n"), line += *line == '\n') {
        int fd = atoi(line);
        bool wanted = !socket_is_listening(fd);
        for (size_t i = 0; i < l->n; i++)
            wanted |= l->at[i].fd == fd;
        if (!wanted)
            close(fd);
    }
    unsetenv(handed_sockets);
}

enum rc listen_find(const struct listen_ask *ask, struct listening *out, struct buf *error)
{
    size_t handed = systemd_sockets();
    enum rc rc;

    *out = (struct listening){ .how = "hand" };
    if (ask->n > 0) {
        rc = open_each(ask, ask->addresses, ask->n, out, error);
    } else if (handed > 0) {
        out->how = "systemd";
        rc = take_handed(handed, out, error);
    } else if (ask->setting->n > 0) {
        rc = open_each(ask, (const char *const *)ask->setting->at, ask->setting->n, out, error);
    } else {
        buf_puts(error, "nothing to listen on: there is neither --listen HOST:PORT|PATH nor "
                        "listen_http in bellpush.conf; see --help\n");
        rc = RC_SYNTAX;
    }
    close_unwanted(out);
    if (rc != RC_OK) {
        listen_close(out);
        listen_cleanup(out);
    }
    return rc;
}

/* There may be more workers than before, or fewer: no socket may be without one. */
bool listen_is_for(const struct listen_socket *s, size_t worker, size_t workers)
{
    return s->turns >= workers ? s->turn % workers == worker : worker % s->turns == s->turn;
}

bool listen_has_tls(const struct listening *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->at[i].scheme->tls)
            return true;
    return false;
}

void listen_hand_over(const struct listening *l, bool yes)
{
    struct buf lines = BUF_EMPTY;

    for (size_t i = 0; i < l->n; i++) {
        const struct listen_socket *s = &l->at[i];
        fcntl(s->fd, F_SETFD, yes ? 0 : FD_CLOEXEC);
        if (s->asked)
            buf_printf(&lines, "%d %d %d %s\n", s->fd, s->turn, s->turns, s->asked);
    }
    buf_putc(&lines, '\0');
    if (yes && buf_rc(&lines) == RC_OK)
        setenv(handed_sockets, lines.at, 1);
    else
        unsetenv(handed_sockets);
    buf_fini(&lines);
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
