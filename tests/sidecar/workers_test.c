/*
 * workers_test.c - several processes that share their sockets, and die; with a database that is
 * away, because that must not matter here.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/sidecar/daemon.h"
#include "tests/suite.h"

static void set_up(void)
{
    daemon_set_up("workers");
    file_write(the_program.conf, SLICE("drain = 2s\n"));
}

START_TEST(workers_share_a_port)
{
    char reply[DAEMON_REPLY_MAX];
    pid_t pid = daemon_start("127.0.0.1:0", "2", NULL, NULL), one = 0;
    int port = daemon_port();
    bool both = false;

    for (int i = 0; i < 200 && !both; i++) {
        daemon_expect_answer(port, reply);
        pid_t by = daemon_process_of(reply);
        ck_assert_int_ne(by, pid);
        both = one && by != one;
        one = by;
    }
    ck_assert(both);
    program_expect_stop(pid);
    ck_assert_int_lt(daemon_connect(port), 0);
}
END_TEST

START_TEST(workers_share_a_unix_socket_whose_file_goes_with_the_first_process)
{
    char reply[DAEMON_REPLY_MAX];
    pid_t pid = daemon_start(the_program.socket, "3", NULL, NULL);

    daemon_expect_family(pid, 3, NULL);
    for (int i = 0; i < 50; i++)
        daemon_expect_answer(0, reply);
    program_expect_stop(pid);
    ck_assert_int_ne(access(the_program.socket, F_OK), 0);
}
END_TEST

START_TEST(a_worker_that_dies_is_replaced)
{
    char reply[DAEMON_REPLY_MAX];
    pid_t pid = daemon_start("127.0.0.1:0", "2", NULL, NULL);
    int port = daemon_port();
    struct family f = daemon_expect_family(pid, 2, NULL);

    daemon_expect_answer(port, reply);
    for (int i = 0; i < 3; i++) {
        struct family one = { .first = pid, .wanted = 2, .n_before = 1 };
        one.before[0] = f.before[0];
        kill(f.before[0], SIGKILL);
        f = daemon_expect_family(pid, 2, &one);
    }
    program_expect_logged("was killed by signal 9; another begins in 0.1 s");
    program_expect_logged("was killed by signal 9; another begins in 0.2 s"); /* later and later */
    daemon_expect_answer(port, reply);
    program_expect_stop(pid);
}
END_TEST

START_TEST(workers_that_never_serve_end_it)
{
    file_write(the_program.conf, SLICE("database = host=a nonsense=b\n"));
    pid_t pid = process_start(&(struct process_spec){
        .argv = (const char *const[]){ the_program.path, "--config", the_program.conf, "--listen",
                                       "127.0.0.1:0", "--workers", "2", NULL },
        .log = the_program.log });
    program_expect_end(pid, 1);
    program_expect_logged("before anybody served: giving up");
}
END_TEST

START_TEST(workers_do_not_outlive_the_first_process)
{
    pid_t pid = daemon_start("127.0.0.1:0", "2", NULL, NULL);
    struct family f = daemon_expect_family(pid, 2, NULL);
    char reply[DAEMON_REPLY_MAX];

    daemon_expect_answer(daemon_port(), reply);
    kill(pid, SIGKILL);
    ck_assert(process_wait(pid, PROGRAM_DEADLINE_MS, NULL));
    for (size_t i = 0; i < 2; i++) {
        char *proc = text_of("/proc/%d/exe", (int)f.before[i]), exe[10];
        for (int64_t end = now_ms() + PROGRAM_DEADLINE_MS; readlink(proc, exe, sizeof(exe)) > 0;) {
            ck_assert_int_lt(now_ms(), end);
            poll(NULL, 0, 5);
        }
        free(proc);
    }
}
END_TEST

START_TEST(a_port_that_another_one_shares_out_is_in_use)
{
    pid_t pid = daemon_start("127.0.0.1:0", "2", NULL, NULL);
    char *address = text_of("127.0.0.1:%d", daemon_port());

    daemon_expect_family(pid, 2, NULL);
    for (int workers = 0; workers < 3; workers++) {
        char *n = text_of("%d", workers);
        program_expect_end(PROGRAM_START("--listen", address, "--workers", n), 1);
        free(n);
    }
    program_expect_logged("Address already in use");
    free(address);
    program_expect_stop(pid);
}
END_TEST

SUITE(workers)
{
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, program_tear_down);
    tcase_add_test(tc, workers_share_a_port);
    tcase_add_test(tc, workers_share_a_unix_socket_whose_file_goes_with_the_first_process);
    tcase_add_test(tc, a_worker_that_dies_is_replaced);
    tcase_add_test(tc, workers_that_never_serve_end_it);
    tcase_add_test(tc, workers_do_not_outlive_the_first_process);
    tcase_add_test(tc, a_port_that_another_one_shares_out_is_in_use);
}
