/*
 * daemon.c - bellpushd as a program of a test.
 */
#include "tests/sidecar/daemon.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ASK "GET /push/status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

void daemon_set_up(const char *name)
{
    program_set_up("BELLPUSH_TEST_DAEMON", name);
}

pid_t daemon_start(const char *address, const char *workers, const char *option, const char *value)
{
    pid_t pid = PROGRAM_START("--config", the_program.conf, "--listen", address, "--workers",
                              workers, option, value);
    program_expect_logged("listening on ");
    return pid;
}

int daemon_port(void)
{
    char *log = file_read(the_program.log), *at = strstr(log, "127.0.0.1:");
    int port = 0;

    ck_assert_msg(at && sscanf(at, "127.0.0.1:%d", &port) == 1, "%s", log);
    free(log);
    return port;
}

/* ---- clients --------------------------------------------------------------------------------- */

int daemon_connect(int port)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(port ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ 10, 0 }, sizeof(struct timeval));
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", the_program.socket);
    if (connect(fd, port ? (struct sockaddr *)&in : (struct sockaddr *)&un,
                port ? sizeof(in) : sizeof(un)) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

const char *daemon_ask(int port, char reply[DAEMON_REPLY_MAX])
{
    int fd = daemon_connect(port);
    size_t got = 0;
    ssize_t n = -1;

    reply[0] = '\0';
    if (fd < 0)
        return "cannot connect";
    if (send(fd, ASK, sizeof(ASK) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(ASK) - 1)
        while (got < DAEMON_REPLY_MAX - 1 &&
               (n = read(fd, reply + got, DAEMON_REPLY_MAX - 1 - got)) > 0)
            got += (size_t)n;
    int why = errno;
    close(fd);
    errno = why;
    reply[got] = '\0';
    if (n < 0)
        return "cut";
    errno = 0;
    if (got == 0)
        return "no answer";
    return strncmp(reply, "HTTP/1.1 200 ", 13) == 0 && reply[got - 2] == '}' ? NULL : "half";
}

void daemon_expect_answer(int port, char reply[DAEMON_REPLY_MAX])
{
    const char *wrong = daemon_ask(port, reply);
    ck_assert_msg(!wrong, "%s: %s; %.99s", wrong, strerror(errno), reply);
}

pid_t daemon_process_of(const char *reply)
{
    const char *at = strstr(reply, "\"process\":\"");
    int pid = 0;

    ck_assert_ptr_nonnull(at);
    at = strchr(at + 11, ':');
    ck_assert(at && sscanf(at, ":%d", &pid) == 1);
    return pid;
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

/* ---- its workers ----------------------------------------------------------------------------- */

static bool is_family(void *arg)
{
    const struct family *f = arg;
    pid_t now[CHILDREN_MAX];
    size_t n = process_children(f->first, now, CHILDREN_MAX);

    for (size_t i = 0; i < n && i < CHILDREN_MAX; i++)
        for (size_t j = 0; j < f->n_before; j++)
            if (now[i] == f->before[j])
                return false;
    return n == f->wanted;
}

struct family daemon_expect_family(pid_t first, size_t wanted, const struct family *but)
{
    struct family f = { .first = first, .wanted = wanted };

    if (but) {
        memcpy(f.before, but->before, sizeof(f.before));
        f.n_before = but->n_before;
    }
    ck_assert_msg(wait_until(is_family, &f, PROGRAM_DEADLINE_MS), "not %zu children; log: %s",
                  wanted, file_read(the_program.log));
    f.n_before = process_children(first, f.before, CHILDREN_MAX);
    return f;
}
