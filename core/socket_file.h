/*
 * socket_file.h - unix sockets have names in the file system, which outlive them; and sockets that
 * systemd hands over.
 */
#ifndef CORE_SOCKET_FILE_H
#define CORE_SOCKET_FILE_H

#include "core/buf.h"

enum { SOCKET_PATH_MAX = 107, SYSTEMD_FIRST_FD = 3 };

/* A file that is ours to remove. */
struct socket_file {
    char path[SOCKET_PATH_MAX + 1]; /* "": none */
    uint64_t device, inode;
};

/*
 * May this path become a socket?  A file that is none stays; a socket that answers is in use; one
 * that does not is a dead process's and may be replaced.  False: a line in *error.
 */
bool socket_file_is_free(const char *path, struct buf *error);

/* It has been bound just now. */
void socket_file_note(struct socket_file *, const char *path);

/* Remove it, if it is still the one that we made. */
void socket_file_remove(const struct socket_file *);

/* Does this descriptor listen? */
bool socket_is_listening(int fd);

/* How many sockets systemd has handed to this process, from SYSTEMD_FIRST_FD on (sd_listen_fds(3)).
 */
size_t systemd_sockets(void);

#endif
