/*
 * socket_file.c - names of unix sockets, and sockets that systemd hands over.
 */
#include "core/socket_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/text.h"

static bool can_bind_path(const char *path, struct buf *error)
{
    const char *slash = strrchr(path, '/');
    char *folder = slice_dup((struct slice){ path, slash ? (size_t)(slash - path) + 1 : 0 });
    bool can = folder && access(*folder ? folder : ".", W_OK | X_OK) == 0;

    if (!can)
        buf_printf(error, "listen: cannot listen on %s: its folder: %s\n", path, strerror(errno));
    free(folder);
    return can;
}

bool socket_file_is_free(const char *path, struct buf *error)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    struct stat st;

    if (strlen(path) >= sizeof(name.sun_path)) {
        buf_printf(error, "listen: %s: a socket's path has at most %zu bytes\n", path,
                   sizeof(name.sun_path) - 1);
        return false;
    }
    if (lstat(path, &st) < 0)
        return can_bind_path(path, error);
    if (!S_ISSOCK(st.st_mode)) {
        buf_printf(error, "listen: %s is there already and not a socket\n", path);
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true;
    memcpy(name.sun_path, path, strlen(path));
    /* refused: its owner is dead.  EAGAIN: a full backlog
     */
    bool used = connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0 || errno == EAGAIN;
    close(fd);
    if (used)
        buf_printf(error, "listen: %s is in use by another process\n", path);
    return !used;
}

void socket_file_note(struct socket_file *f, const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return;
    snprintf(f->path, sizeof(f->path), "%s", path);
    f->device = st.st_dev;
    f->inode = st.st_ino;
}

void socket_file_remove(const struct socket_file *f)
{
    struct stat st;

    if (f->path[0] && lstat(f->path, &st) == 0 && st.st_dev == f->device && st.st_ino == f->inode)
        unlink(f->path);
}

bool socket_is_listening(int fd)
{
    int on = 0;
    socklen_t len = sizeof(on);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

size_t systemd_sockets(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    int64_t ours, number;

    if (!pid || !fds || number_parse(slice_of(pid), INT32_MAX, &ours) != RC_OK ||
        ours != getpid() || number_parse(slice_of(fds), INT32_MAX, &number) != RC_OK)
        return 0;
    return (size_t)number;
}
