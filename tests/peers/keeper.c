/*
 * keeper.c - see keeper.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/peers/keeper.h"
#include "tests/peers/process.h"

enum { BACKLOG = 1024, STOP_MS = 15000, TOO_FAST_MS = 100 };

static int open_port(int *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)*port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    if (fd < 0 || bind(fd, (struct sockaddr *)(void *)&at, sizeof at) || listen(fd, BACKLOG) ||
        getsockname(fd, (struct sockaddr *)(void *)&at, &len)) {
        fprintf(stderr, "tests: cannot listen on port %d: %s\n", *port, strerror(errno));
        exit(EXIT_FAILURE);
    }
    *port = ntohs(at.sin_port);
    return fd;
}

static int open_path(const struct keeper_spec *spec)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(spec->socket) >= sizeof at.sun_path) {
        fprintf(stderr, "tests: socket path too long: %s\n", spec->socket);
        exit(EXIT_FAILURE);
    }
    strcpy(at.sun_path, spec->socket);
    unlink(spec->socket);
    if (fd < 0 || bind(fd, (struct sockaddr *)(void *)&at, sizeof at) || listen(fd, BACKLOG) ||
        chmod(spec->socket, 0600)) {
        fprintf(stderr, "tests: cannot listen on %s: %s\n", spec->socket, strerror(errno));
        exit(EXIT_FAILURE);
    }
    if (spec->user)
        file_own(spec->socket, spec->user);
    return fd;
}

/* One that crashes is started again, and nobody would know. */
static void tell_crash(const struct keeper_spec *spec, pid_t pid, int status)
{
    FILE *log = WIFSIGNALED(status) ? fopen(spec->log, "a") : NULL;

    if (!log)
        return;
    fprintf(log, "keeper: worker %d: child signalled: %d\n", (int)pid, WTERMSIG(status));
    fclose(log);
}

/* The worker runs until it ends (false) or we are told to stop (true). */
static bool keep_once(const struct keeper_spec *spec, int socket, const sigset_t *heard)
{
    const struct process_spec worker = {
        .argv = spec->argv, .log = spec->log, .user = spec->user, .stdin_fd = socket
    };
    int64_t began = now_ms();
    pid_t pid = process_start(&worker);
    int signal, status = 0;

    for (;;) {
        sigwait(heard, &signal);
        if (signal == SIGTERM) {
            process_stop(pid, STOP_MS);
            return true;
        }
        if (process_ended(pid, &status))
            break;
    }
    tell_crash(spec, pid, status);
    if (now_ms() - began < TOO_FAST_MS) { /* a worker that cannot start: do not spin */
        struct timespec pause = { 0, TOO_FAST_MS * 1000000L };
        sigset_t term;
        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        return sigtimedwait(&term, NULL, &pause) == SIGTERM;
    }
    return false;
}

pid_t keeper_start(const struct keeper_spec *spec)
{
    int fd = spec->socket ? open_path(spec) : open_port(spec->port);
    pid_t parent = getpid();
    sigset_t heard;

    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid > 0) {
        close(fd);
        setpgid(pid, pid);
        return pid;
    }
    setpgid(0, 0);
    sigemptyset(&heard);
    sigaddset(&heard, SIGTERM);
    sigaddset(&heard, SIGCHLD);
    sigprocmask(SIG_BLOCK, &heard, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_NAME, "keeper");
    if (getppid() == parent)
        while (!keep_once(spec, fd, &heard))
            ;
    _exit(0);
}
