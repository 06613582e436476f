/*
 * disk.c - see disk.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/peers/disk.h"
#include "tests/peers/process.h"

enum { DISKS_MAX = 8, FILL_TRIES = 10000 };

static char *mounted[DISKS_MAX]; /* by us; NULL: free */
static pid_t mounter;

static _Noreturn void give_up(const char *what, const char *folder)
{
    fprintf(stderr, "tests: a small disk on %s: %s: %s\n", folder, what, strerror(errno));
    exit(EXIT_FAILURE);
}

/* Mounts made after this are ours alone. */
static bool own_mounts(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

const char *disk_lacks(void)
{
    int status = 0;

    if (geteuid() != 0)
        return "needs root (mount)";
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(own_mounts() && mount("tmpfs", "/tmp", "tmpfs", 0, "size=64k") == 0 ? 0 : 1);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        return "needs the right to mount a tmpfs";
    return NULL;
}

/* A folder that is mounted upon cannot be removed: before temp_folder()'s own atexit() does. */
static void unmount_all(void)
{
    for (size_t i = 0; i < LENGTH(mounted) && mounter == getpid(); i++)
        if (mounted[i])
            disk_unmount(mounted[i]);
}

void disk_mount(const char *folder, int64_t bytes)
{
    char options[64];
    size_t i = 0;

    if (mounter != getpid()) {
        if (!own_mounts())
            give_up("no mounts of our own", folder);
        memset(mounted, 0, sizeof(mounted)); /* our maker's */
        mounter = getpid();
        atexit(unmount_all);
    }
    while (i < LENGTH(mounted) && mounted[i])
        i++;
    snprintf(options, sizeof(options), "size=%lld", (long long)bytes);
    if (i == LENGTH(mounted) || mount("tmpfs", folder, "tmpfs", 0, options))
        give_up("cannot be mounted", folder);
    mounted[i] = text_of("%s", folder);
}

void disk_unmount(const char *folder)
{
    for (size_t i = 0; i < LENGTH(mounted); i++)
        if (mounted[i] && strcmp(mounted[i], folder) == 0) {
            umount2(folder, MNT_DETACH);
            free(mounted[i]); /* folder may be it: not used any more */
            mounted[i] = NULL;
            return;
        }
}

int64_t disk_free(const char *folder)
{
    struct statvfs v;

    if (statvfs(folder, &v))
        give_up("cannot be looked at", folder);
    return (int64_t)v.f_bavail * (int64_t)v.f_frsize;
}

/* Others write at the same time, so it is asked for again until it is so. */
void disk_fill(const char *folder, int64_t leave)
{
    char *path = text_of("%s/ballast", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    int64_t spare = 0;

    if (fd < 0)
        give_up("no ballast", folder);
    for (int i = 0; i < FILL_TRIES && (spare = disk_free(folder) - leave) > 0; i++)
        if (posix_fallocate(fd, size, spare) == 0)
            size += spare;
    close(fd);
    free(path);
    if (spare > 0)
        give_up("cannot be filled", folder);
}

void disk_clear(const char *folder)
{
    char *path = text_of("%s/ballast", folder);

    if (unlink(path) && errno != ENOENT)
        give_up("cannot be cleared", folder);
    free(path);
}
