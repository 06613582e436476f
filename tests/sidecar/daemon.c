/*
 * daemon.c - bellpushd as a program of a test.
 */
#include "tests/sidecar/daemon.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void daemon_set_up(const char *name)
{
    program_set_up("BELLPUSH_TEST_DAEMON", name);
}

int daemon_port(void)
{
    char *log = file_read(the_program.log), *at = strstr(log, "127.0.0.1:");
    int port = 0;

    ck_assert_msg(at && sscanf(at, "127.0.0.1:%d", &port) == 1, "%s", log);
    free(log);
    return port;
}

/* It is not to be interrupted by the signal, only to see it. */
pid_t daemon_fork_client(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pid_t pid = fork();
    if (pid != 0)
        sigprocmask(SIG_UNBLOCK, &set, NULL);
    return pid;
}

bool daemon_is_enough(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1);
}

void daemon_expect_content(pid_t client)
{
    kill(client, SIGUSR1);
    program_expect_end(client, 0);
}
