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
#include "sidecar/privileges.h"

enum { LISTEN_MAX = 256 };

/* What is spoken on a socket. */
struct listen_scheme {
    const char *name;
    bool proxy; /* a PROXY header comes first */
    bool tls;
};

/*
 * Workers that share a TCP port have a socket each (SO_REUSEPORT), so that the kernel shares
 * connections out: `turns` of them, of which this is the turn-th.  All other sockets have one turn.
 */
struct listen_socket {
    int fd;
    const struct listen_scheme *scheme;
    uint16_t turn, turns;
    const char *asked; /* the address as it was asked for; NULL: systemd's */
    struct socket_file file;
};

struct listening {
    struct listen_socket at[LISTEN_MAX];
    size_t n;
    const char *how; /* "systemd", … for the log */
};

struct listen_ask {
    const char *const *addresses; /* --listen */
    size_t n;
    const struct conf_list *setting; /* listen_http */
    int mode;                        /* of unix sockets, or SETTINGS_MODE_UMASK */
    size_t workers;                  /* sockets for each TCP address; 0: one */
    const struct privileges *owner;  /* of unix sockets */
};

/*
 * Open them, or take them from systemd, or from the process whose place this one takes.  Addresses
 * are lent.  RC_SYNTAX with one line in *error: an address that is none, one in use, nothing to
 * listen on; then none is open.
 */
enum rc listen_find(const struct listen_ask *, struct listening *out, struct buf *error) MUST_USE;

/* Shall this worker, of so many, listen there? */
bool listen_is_for(const struct listen_socket *, size_t worker, size_t workers);

/* Is this spoken anywhere? */
bool listen_has_tls(const struct listening *);

/* This process is about to execute a program in its own place: the sockets survive it (true), or
   they do not (false). */
void listen_hand_over(const struct listening *, bool);

/* Append the address as --listen takes it, with the port that it got. */
void listen_put_name(const struct listen_socket *, struct buf *);

/* Close the descriptors that are still ours. */
void listen_close(struct listening *);
/* Remove the files of unix sockets. */
void listen_cleanup(const struct listening *);

#endif
