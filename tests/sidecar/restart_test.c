/*
 * restart_test.c - new workers in the place of old ones (SIGUSR2), without a lost connection, with
 * another configuration, or not at all.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sidecar/daemon.h"
#include "tests/suite.h"

static void set_up(void)
{
    daemon_set_up("restart");
    file_write(the_program.conf, SLICE("drain = 2s\n"));
}

/* Somebody who asks, on a new connection each time, until told that it is enough. */
static pid_t start_client(int port)
{
    char reply[DAEMON_REPLY_MAX];
    pid_t pid = daemon_fork_client();
    int n = 0;

    if (pid != 0)
        return pid;
    for (; !daemon_is_enough(); n++) {
        const char *wrong = daemon_ask(port, reply);
        if (wrong) {
            fprintf(stderr, "request %d: %s: %s; %.99s\n", n, wrong, strerror(errno), reply);
            _exit(1);
        }
    }
    fprintf(stderr, "%d requests\n", n);
    _exit(n > 100 ? 0 : 2);
}

static void restart_under(pid_t pid, int port)
{
    struct family f = daemon_expect_family(pid, 2, NULL);
    pid_t clients[] = { start_client(port), start_client(port) };

    for (int i = 0; i < 4; i++) {
        kill(pid, SIGUSR2);
        f = daemon_expect_family(pid, 2, &f);
    }
    kill(f.before[1], SIGTERM); /* it drains, too, and is replaced */
    struct family one = { .first = pid, .wanted = 2, .before = { f.before[1] }, .n_before = 1 };
    daemon_expect_family(pid, 2, &one);
    for (size_t i = 0; i < LENGTH(clients); i++)
        daemon_expect_content(clients[i]);
    program_expect_stop(pid);
}

START_TEST(a_restart_loses_no_connection_attempt)
{
    pid_t pid = daemon_start("127.0.0.1:0", "2", NULL, NULL);
    restart_under(pid, daemon_port());
}
END_TEST

START_TEST(nor_on_a_unix_socket)
{
    restart_under(daemon_start(the_program.socket, "2", NULL, NULL), 0);
    ck_assert_int_ne(access(the_program.socket, F_OK), 0);
}
END_TEST

/* As systemd does it: descriptor 3, and LISTEN_PID is the program's own. */
START_TEST(nor_on_sockets_of_systemd)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    ck_assert_int_eq(listen(fd, 100), 0);
    getsockname(fd, (struct sockaddr *)&in, &len);
    pid_t pid = process_start(&(struct process_spec){
        .argv = (const char *const[]){ "sh", "-c",
                                       "exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" --config "
                                       "\"$1\" --workers 2",
                                       the_program.path, the_program.conf, NULL },
        .env = PROGRAM_ENV,
        .log = the_program.log,
        .stdin_fd = fd });
    close(fd);
    program_expect_logged("started by systemd");
    restart_under(pid, ntohs(in.sin_port));
}
END_TEST

START_TEST(a_restart_reads_the_configuration_and_may_change_the_number_of_workers)
{
    char reply[DAEMON_REPLY_MAX];
    char *conf = text_of("workers = 4\nlisten_http = 127.0.0.1:0, %s\n", the_program.socket);

    file_write(the_program.conf, slice_of(conf));
    free(conf);
    pid_t pid = PROGRAM_START("--config", the_program.conf);
    program_expect_logged("listening on ");
    int port = daemon_port();
    struct family f = daemon_expect_family(pid, 4, NULL);
    static const char *const numbers[] = { "2", "1", "6" };
    for (size_t i = 0; i < LENGTH(numbers); i++) {
        conf = text_of("workers = %s\nlisten_http = 127.0.0.1:0, %s\n", numbers[i],
                       the_program.socket);
        file_write(the_program.conf, slice_of(conf));
        free(conf);
        kill(pid, SIGUSR2);
        f = daemon_expect_family(pid, strtoul(numbers[i], NULL, 10), &f);
        for (int j = 0; j < 30; j++) {
            daemon_expect_answer(port, reply);
            daemon_expect_answer(0, reply);
        }
    }
    /* an address that is wanted no more is not listened to any more */
    file_write(the_program.conf, SLICE("workers = 2\nlisten_http = 127.0.0.1:0\n"));
    kill(pid, SIGUSR2);
    daemon_expect_family(pid, 2, &f);
    daemon_expect_answer(port, reply);
    ck_assert_int_lt(daemon_connect(0), 0);
    program_expect_stop(pid);
}
END_TEST

START_TEST(a_configuration_that_is_not_good_changes_nothing)
{
    char reply[DAEMON_REPLY_MAX];
    pid_t pid = daemon_start("127.0.0.1:0", "2", NULL, NULL);
    int port = daemon_port();
    struct family f = daemon_expect_family(pid, 2, NULL);

    file_write(the_program.conf, SLICE("drein = 5s\n"));
    kill(pid, SIGUSR2);
    program_expect_logged("did you mean 'drain'?");
    program_expect_logged("all stays as it was");
    file_write(the_program.conf, SLICE("tls_certificate = /nonexistent/certificate.pem\n"));
    kill(pid, SIGUSR2);
    program_expect_logged("/nonexistent/certificate.pem: No such file");
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(kill(f.before[i], 0), 0);
    daemon_expect_answer(port, reply);
    file_write(the_program.conf, SLICE("drain = 2s\n"));
    kill(pid, SIGUSR2);
    daemon_expect_family(pid, 2, &f);
    program_expect_stop(pid);
}
END_TEST

/* What -n cannot know shows itself when a worker begins. */
START_TEST(new_workers_that_do_not_serve_leave_the_old_ones_in_place)
{
    char reply[DAEMON_REPLY_MAX];
    pid_t pid = process_start(&(struct process_spec){
        .argv = (const char *const[]){ the_program.path, "--config", the_program.conf, "--listen",
                                       "127.0.0.1:0", "--workers", "2", NULL },
        .log = the_program.log });
    program_expect_logged("listening on ");
    int port = daemon_port();
    struct family f = daemon_expect_family(pid, 2, NULL);

    daemon_expect_answer(port, reply);
    file_write(the_program.conf, SLICE("database = host=a nonsense=b\n"));
    kill(pid, SIGUSR2);
    program_expect_logged("has ended with status 1; another begins in 0.4 s");
    for (int i = 0; i < 20; i++) {
        daemon_expect_answer(port, reply);
        pid_t by = daemon_process_of(reply);
        ck_assert(by == f.before[0] || by == f.before[1]);
    }
    file_write(the_program.conf, SLICE("drain = 2s\n"));
    kill(pid, SIGUSR2);
    daemon_expect_family(pid, 2, &f);
    daemon_expect_answer(port, reply);
    program_expect_stop(pid);
}
END_TEST

START_TEST(streams_of_before_end_politely)
{
    pid_t pid = daemon_start("127.0.0.1:0", "1", NULL, NULL);
    struct family f = daemon_expect_family(pid, 1, NULL);
    int fd = daemon_connect(daemon_port());
    static const char ask[] = "GET /push/events?topic=a HTTP/1.1\r\nHost: a\r\n\r\n";
    char bytes[DAEMON_REPLY_MAX];
    size_t got = 0;
    ssize_t n;

    ck_assert_int_eq(send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL), sizeof(ask) - 1);
    n = read(fd, bytes, sizeof(bytes) - 1);
    ck_assert_int_gt(n, 0);
    kill(pid, SIGUSR2);
    do {
        got += (size_t)n;
        n = read(fd, bytes + got, sizeof(bytes) - 1 - got);
    } while (n > 0);
    ck_assert_int_eq(n, 0);
    bytes[got] = '\0';
    ck_assert_msg(strstr(bytes, "retry:") != NULL, "%s", bytes);
    close(fd);
    daemon_expect_family(pid, 1, &f);
    program_expect_stop(pid);
}
END_TEST

/* A file that its reader takes slowly is under way for longer than a restart takes. */
START_TEST(who_drains_is_not_hurried_by_another_restart)
{
    enum { LARGE = 8 * 1024 * 1024 };
    char *www = text_of("%s/www", the_program.dir),
         *file = text_of("%s/www/large", the_program.dir);
    char *large = calloc(1, LARGE), bytes[DAEMON_REPLY_MAX];
    static const char ask[] = "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    size_t got = 0;
    ssize_t n;

    ck_assert_int_eq(mkdir(www, 0755), 0);
    file_write(file, (struct slice){ large, LARGE });
    file_write(the_program.conf, SLICE("drain = 60s\n"));
    pid_t pid = daemon_start("127.0.0.1:0", "1", "--www", www);
    struct family f = daemon_expect_family(pid, 1, NULL);
    int fd = daemon_connect(daemon_port());
    ck_assert_int_eq(send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL), sizeof(ask) - 1);
    ck_assert_int_eq(recv(fd, bytes, 1, MSG_PEEK), 1);
    pid_t first = f.before[0];
    for (size_t i = 0; i < 3; i++) { /* the first stays among the children */
        f.before[0] = 0;
        kill(pid, SIGUSR2);
        for (int64_t end = now_ms() + PROGRAM_DEADLINE_MS; now_ms() < end; poll(NULL, 0, 5)) {
            char *log = file_read(the_program.log);
            size_t times = 0;
            for (const char *at = log; (at = strstr(at, "1 of before drain")); at++)
                times++;
            free(log);
            if (times == i + 1)
                break;
        }
    }
    ck_assert_int_eq(kill(first, 0), 0);
    while ((n = read(fd, bytes, sizeof(bytes))) > 0)
        got += (size_t)n;
    ck_assert_int_eq(n, 0);
    ck_assert_uint_gt(got, LARGE);
    f.before[0] = first;
    f.n_before = 1;
    daemon_expect_family(pid, 1, &f);
    close(fd);
    free(large);
    free(www);
    free(file);
    program_expect_stop(pid);
}
END_TEST

START_TEST(alone_it_does_not_mind_the_signal)
{
    char reply[DAEMON_REPLY_MAX];
    pid_t pid = daemon_start("127.0.0.1:0", "0", NULL, NULL);

    kill(pid, SIGUSR2);
    daemon_expect_answer(daemon_port(), reply);
    ck_assert_int_eq(daemon_process_of(reply), pid);
    program_expect_stop(pid);
}
END_TEST

SUITE(restart)
{
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, program_tear_down);
    tcase_add_test(tc, a_restart_loses_no_connection_attempt);
    tcase_add_test(tc, nor_on_a_unix_socket);
    tcase_add_test(tc, nor_on_sockets_of_systemd);
    tcase_add_test(tc, a_restart_reads_the_configuration_and_may_change_the_number_of_workers);
    tcase_add_test(tc, a_configuration_that_is_not_good_changes_nothing);
    tcase_add_test(tc, new_workers_that_do_not_serve_leave_the_old_ones_in_place);
    tcase_add_test(tc, streams_of_before_end_politely);
    tcase_add_test(tc, who_drains_is_not_hurried_by_another_restart);
    tcase_add_test(tc, alone_it_does_not_mind_the_signal);
}
