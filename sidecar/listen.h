/*
 * listen.h - where requests come from: the sockets of bellpushd.
 *
 *      --listen ADDRESS, again and again     sockets of our own
 *      systemd                               whatever it hands over (LISTEN_FDS); named by
 *                                            FileDescriptorName=, as the word before an address
 *      `listen_http` in bellpush.conf        as --listen, when none of the above holds
 *
 * An address is HOST:PORT, [IPV6]:PORT, *:PORT (every address of this machine) or the PATH of a
 * unix socket, and may have a word before it that says what is spoken there: "http:".  A host with
 * several addresses is listened to on all of them.  Port 0 is any that is free.
 */
#ifndef SIDECAR_LISTEN_H
#define SIDECAR_LISTEN_H

#include "core/conf.h"
#include "core/socket_file.h"

enum { LISTEN_MAX = 64 };

/* What is spoken on a socket. */
struct listen_scheme {
    const char *name;
};

struct listen_socket {
    int fd;
    const struct listen_scheme *scheme;
    struct socket_file file;
};

struct listening {
    struct listen_socket at[LISTEN_MAX];
    size_t n;
    const char *how; /* "systemd", … for the log */
};

/*
 * Open them, or take them from systemd.  addresses: of --listen.  mode: permissions of unix
 * sockets, or SETTINGS_MODE_UMASK.  RC_SYNTAX with one line in *error: an address that is none, one
 * in use, nothing to listen on; then none is open.
 */
enum rc listen_find(const char *const *addresses, size_t n, const struct conf_list *setting,
                    int mode, struct listening *out, struct buf *error) MUST_USE;

/* Append the address as --listen takes it, with the port that it got. */
void listen_put_name(const struct listen_socket *, struct buf *);

/* Close the descriptors that are still ours. */
void listen_close(struct listening *);
/* Remove the files of unix sockets. */
void listen_cleanup(const struct listening *);

#endif
