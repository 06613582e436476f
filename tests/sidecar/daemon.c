/*
 * daemon.c - bellpushd as a process of a test.
 */
#include "tests/sidecar/daemon.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/peers/process.h"

struct daemon the_daemon;

void daemon_set_up(const char *name)
{
    struct daemon *d = &the_daemon;

    d->program = getenv("BELLPUSH_TEST_DAEMON");
    ck_assert_msg(d->program && access(d->program, X_OK) == 0, "set BELLPUSH_TEST_DAEMON");
    d->dir = temp_folder(name);
    d->log = text_of("%s/log", d->dir);
    d->conf = text_of("%s/bellpush.conf", d->dir);
    d->socket = text_of("%s/socket", d->dir);
    file_write(d->log, SLICE_NONE);
}

void daemon_tear_down(void)
{
    free(the_daemon.dir);
    free(the_daemon.log);
    free(the_daemon.conf);
    free(the_daemon.socket);
}

static bool is_logged(void *arg)
{
    char *log = file_read(the_daemon.log);
    bool is = log && strstr(log, arg);

    free(log);
    return is;
}

void daemon_expect_logged(const char *text)
{
    ck_assert_msg(wait_until(is_logged, (void *)(uintptr_t)text, DAEMON_DEADLINE_MS),
                  "no '%s' in the log: %s", text, file_read(the_daemon.log));
}

int daemon_port(void)
{
    char *log = file_read(the_daemon.log), *at = strstr(log, "127.0.0.1:");
    int port = 0;

    ck_assert_msg(at && sscanf(at, "127.0.0.1:%d", &port) == 1, "%s", log);
    free(log);
    return port;
}

void daemon_expect_end(pid_t pid, int wanted)
{
    int status = 0;

    ck_assert_msg(process_wait(pid, DAEMON_DEADLINE_MS, &status), "it does not end");
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == wanted, "status %x; log: %s", status,
                  file_read(the_daemon.log));
}

void daemon_expect_stop(pid_t pid)
{
    kill(pid, SIGTERM);
    daemon_expect_end(pid, 0);
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
    daemon_expect_end(client, 0);
}
