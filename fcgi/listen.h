/*
 * listen.h - what started this process, and where its requests come from.
 *
 *      --listen PATH|HOST:PORT     a socket of our own, by FCGX_OpenSocket()
 *      systemd                     LISTEN_PID is ours: descriptor 3
 *      lighttpd, mod_fcgid,        descriptor 0 is a listening socket (FCGX_IsCGI() says no)
 *      spawn-fcgi
 *      a web server's CGI          GATEWAY_INTERFACE is set: one request, from the environment
 *      `listen` in bellpush.conf   as --listen, when none of the above holds
 */
#ifndef FCGI_LISTEN_H
#define FCGI_LISTEN_H

#include "core/socket_file.h"

enum listen_kind {
    LISTEN_OWN,    /* we opened the socket */
    LISTEN_HANDED, /* somebody handed it over: lighttpd, mod_fcgid, spawn-fcgi, systemd */
    LISTEN_CGI,    /* no socket: one request */
};

struct listening {
    enum listen_kind kind;
    int fd;           /* the listening socket; -1: CGI */
    bool one_request; /* the manager gives each process one request at a time (mod_fcgid, CGI) */
    const char *how;  /* "lighttpd, spawn-fcgi or mod_fcgid", … for the log */
    struct socket_file file;
};

/*
 * Find out, and open what is to be opened.  argument: --listen, or NULL; setting: from the
 * configuration, or "".  mode: permissions of a unix socket, or -1: the umask's.
 * RC_SYNTAX with one line in *error: an address that is none, one in use, or nothing to serve.
 */
enum rc listen_find(const char *argument, const char *setting, int mode, struct listening *out,
                    struct buf *error) MUST_USE;

#endif
