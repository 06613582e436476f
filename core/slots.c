/*
 * slots.c - one-request mode: how many of a site's processes are holding a reply right now.
 */
#include "core/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* FNV-1a: only to give each installation a file name of its own. */
static uint64_t name_hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return h;
}

int slots_open(const char *path)
{
    char chosen[PATH_MAX];

    if (!path || !*path) {
        char exe[PATH_MAX] = "";
        const char *tmp = getenv("TMPDIR");
        ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
        exe[len > 0 ? len : 0] = '\0';
        snprintf(chosen, sizeof(chosen), "%.2048s/bellpush-%u-%016llx.slots",
                 tmp && *tmp ? tmp : "/tmp", (unsigned)geteuid(),
                 (unsigned long long)name_hash(exe));
        path = chosen;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    /* The temporary folder is everybody's: a file that another user laid there could be locked
       forever by him. */
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
        close(fd);
        errno = EPERM;
        return -1;
    }
    return fd;
}

static int lock_byte(int fd, int slot, short type)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1 };
    return fcntl(fd, F_OFD_SETLK, &lock);
}

int slot_take(int fd, int n)
{
    if (fd < 0)
        return -1;
    for (int i = 0; i < n; i++)
        if (lock_byte(fd, i, F_WRLCK) == 0)
            return i;
    return -1;
}

void slot_give(int fd, int slot)
{
    if (slot >= 0)
        (void)lock_byte(fd, slot, F_UNLCK);
}
