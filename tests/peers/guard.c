/*
 * guard.c - see guard.h.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buf.h"
#include "tests/peers/guard.h"

enum { PATIENCE_MS = 10000, FDS = 1024 };

/* Descriptors of processes: no other that gets the number later is ever meant. */
static _Noreturn void be_the_guard(int maker, int ward)
{
    struct pollfd both[] = { { .fd = maker, .events = POLLIN }, { .fd = ward, .events = POLLIN } };
    sigset_t all;

    setsid(); /* Ctrl-C is not for us */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "guard");
    for (int fd = 0; fd < FDS; fd++)
        if (fd != maker && fd != ward)
            close(fd);
    poll(both, LENGTH(both), -1);
    if (!both[1].revents) {
        pidfd_send_signal(ward, SIGTERM, NULL, 0);
        if (poll(&both[1], 1, PATIENCE_MS) == 0)
            pidfd_send_signal(ward, SIGKILL, NULL, 0);
    }
    _exit(0);
}

void guard_start(pid_t pid)
{
    int maker = pidfd_open(getpid(), 0), ward = pidfd_open(pid, 0);

    fflush(NULL);
    pid_t child = maker < 0 || ward < 0 ? -1 : fork();
    if (child < 0) {
        perror("tests: cannot guard a process");
        exit(EXIT_FAILURE);
    }
    if (child == 0) { /* its own child, so that nobody needs to wait for it */
        if (fork() == 0)
            be_the_guard(maker, ward);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    close(maker);
    close(ward);
}
