/*
 * bellpushd_test.c - the program itself, as people and systemd start it; with a database that is
 * away, because that must not matter here.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/peers/http.h"
#include "tests/sidecar/daemon.h"
#include "tests/sidecar/mini_client.h"
#include "tests/suite.h"

static void set_up(void)
{
    daemon_set_up("bellpushd");
}

static void pump_moment(void)
{
    poll(NULL, 0, 2);
}

/* The port that it has got, from what it says itself. */
static int port_after(const char *address)
{
    char *text = text_of("listening on http:%s:", address), *log;

    program_expect_logged(text);
    log = file_read(the_program.log);
    int port = atoi(strstr(log, text) + strlen(text));
    ck_assert_int_gt(port, 0);
    free(log);
    free(text);
    return port;
}

static void expect_path_serves(const char *where)
{
    char *text = text_of("listening on http:%s\n", where);
    struct mini m;

    program_expect_logged(text);
    free(text);
    mini_open(&m, where, pump_moment);
    mini_say(&m, "GET /push/status HTTP/1.1\r\nHost: a\r\n\r\n");
    mini_expect_reply(&m, 200, "application/json", "\"away\"");
    mini_close(&m);
}

static void expect_port_serves(int port, const char *target, int status)
{
    struct http *h = http_new(&(struct http_ask){ .port = port, .target = target });

    while (!http_ended(h))
        ck_assert_msg(http_wait(h, PROGRAM_DEADLINE_MS) || http_ended(h), "no answer");
    ck_assert_int_eq(http_status(h), status);
    http_free(h);
}

START_TEST(several_sockets_of_every_kind_are_told_and_served)
{
    char *other = text_of("http:%s/other", the_program.dir);
    pid_t pid =
        PROGRAM_START("--listen", "127.0.0.1:0", "--listen", the_program.socket, "--listen", other,
                      "--listen", "[::1]:0", "--listen", "HTTP:localhost:0", "--mode", "0601");
    struct stat st;

    expect_port_serves(port_after("127.0.0.1"), "/push/status", 200);
    expect_port_serves(port_after("127.0.0.1"), "/status", 404);
    expect_path_serves(the_program.socket);
    expect_path_serves(other + 5);
    ck_assert_int_gt(port_after("[::1]"), 0);
    ck_assert_int_eq(stat(the_program.socket, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0601);
    program_expect_stop(pid);
    ck_assert_int_ne(access(the_program.socket, F_OK), 0);
    ck_assert_int_ne(access(other + 5, F_OK), 0);
    free(other);
}
END_TEST

START_TEST(the_mount_can_be_elsewhere)
{
    pid_t pid = PROGRAM_START("--listen", "127.0.0.1:0", "--set", "mount=");

    expect_port_serves(port_after("127.0.0.1"), "/status", 200);
    program_expect_stop(pid);
    program_expect_not_logged("\nlistening on ");
    program_forget_log();
    pid = PROGRAM_START("--set", "listen_http=127.0.0.1:0", "--set", "mount=/a/b");
    expect_port_serves(port_after("127.0.0.1"), "/a/b/status", 200);
    program_forget_log();
    program_expect_end(PROGRAM_START("--listen", "127.0.0.1:0", "--set", "mount=push/"), 1);
    program_expect_logged("--set: mount: 'push/': is not a path");
    program_expect_stop(pid);
}
END_TEST

START_TEST(the_configuration_can_say_where)
{
    char *file = text_of("%s/a.conf", the_program.dir),
         *text = text_of("listen_http = 127.0.0.1:0, %s\n", the_program.socket);

    file_write(file, slice_of(text));
    pid_t pid = PROGRAM_START("--config", file);
    expect_path_serves(the_program.socket);
    expect_port_serves(port_after("127.0.0.1"), "/push/status", 200);
    program_expect_stop(pid);
    free(file);
    free(text);
}
END_TEST

START_TEST(a_stale_socket_is_replaced_a_living_one_is_not)
{
    pid_t pid = PROGRAM_START("--listen", the_program.socket);

    expect_path_serves(the_program.socket);
    program_expect_end(PROGRAM_START("--listen", the_program.socket), 1);
    program_expect_logged("in use by another process");
    kill(pid, SIGKILL);
    ck_assert(process_wait(pid, PROGRAM_DEADLINE_MS, NULL));
    ck_assert_int_eq(access(the_program.socket, F_OK), 0); /* left behind */
    program_forget_log();
    pid = PROGRAM_START("--listen", the_program.socket);
    expect_path_serves(the_program.socket);
    program_expect_stop(pid);
}
END_TEST

START_TEST(what_is_no_address_is_refused_in_words)
{
    static const char *const wrong[][2] = {
        { "127.0.0.1:http", "from 0 to 65535" },
        { "127.0.0.1:70000", "from 0 to 65535" },
        { "::1:9000", "in brackets" },
        { "/etc/passwd", "not a socket" },
        { "/nonexistent/folder/socket", "cannot listen on" },
        { "192.0.2.1:39999", "cannot listen on" },
        { "no.such.host.invalid:39999", "cannot listen on" },
    };

    for (size_t i = 0; i < LENGTH(wrong); i++) {
        program_forget_log();
        /* the good one before it is taken back, too */
        program_expect_end(PROGRAM_START("--listen", the_program.socket, "--listen", wrong[i][0]),
                           1);
        program_expect_logged(wrong[i][1]);
        ck_assert_int_ne(access(the_program.socket, F_OK), 0);
    }
    program_forget_log();
    program_expect_end(PROGRAM_START("--set", "retry=1s"), 1);
    program_expect_logged("nothing to listen on");
    program_expect_end(PROGRAM_START("--listen", the_program.socket, "--set", "frobnicate=on"), 1);
    program_expect_logged("unknown setting 'frobnicate'");
    program_expect_end(PROGRAM_START("--frobnicate"), 1);
    program_expect_logged("see --help");
    program_expect_end(PROGRAM_START("--check-config", "--set", "retry=3s"), 0);
    program_expect_logged("retry = 3s");
}
END_TEST

START_TEST(a_port_in_use_is_told)
{
    pid_t pid = PROGRAM_START("--listen", "127.0.0.1:0");
    char *address = text_of("127.0.0.1:%d", port_after("127.0.0.1"));

    program_expect_end(PROGRAM_START("--listen", address), 1);
    program_expect_logged("Address already in use");
    program_expect_stop(pid);
    free(address);
}
END_TEST

START_TEST(systemd_hands_sockets_over)
{
    int fd = program_listen(the_program.socket);
    pid_t pid = process_start(&(struct process_spec){
        .argv = (const char *const[]){ "/bin/sh", "-c",
                                       "exec 3<&0 4<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=2 "
                                       "LISTEN_FDNAMES=http:x exec \"$0\"",
                                       the_program.path, NULL },
        .env = PROGRAM_ENV,
        .stdin_fd = fd,
        .log = the_program.log });
    close(fd);
    expect_path_serves(the_program.socket);
    program_expect_logged("started by systemd");
    program_expect_stop(pid);
    ck_assert_int_eq(access(the_program.socket, F_OK), 0); /* not ours to remove */
}
END_TEST

START_TEST(a_signal_ends_open_streams_politely)
{
    static const int signals[] = { SIGTERM, SIGUSR1, SIGINT };

    for (size_t i = 0; i < LENGTH(signals); i++) {
        struct mini m;
        program_forget_log();
        pid_t pid = PROGRAM_START("--listen", the_program.socket);
        expect_path_serves(the_program.socket);
        mini_open(&m, the_program.socket, pump_moment);
        mini_say(&m, "GET /push/events?topic=a HTTP/1.1\r\nHost: a\r\n\r\n");
        mini_expect(&m, "text/event-stream");
        mini_expect(&m, "\r\n\r\n");
        kill(pid, signals[i]);
        mini_expect(&m, "retry:");
        mini_expect(&m, "\r\n0\r\n\r\n"); /* the end of the last chunk, and of the body */
        mini_close(&m);
        program_expect_end(pid, 0);
    }
}
END_TEST

static bool exists(void *arg)
{
    return access(arg, F_OK) == 0;
}

START_TEST(the_log_is_reopened_after_rotation)
{
    char *setting = text_of("log_file=%s/own.log", the_program.dir),
         *file = strchr(setting, '=') + 1;
    char *rotated = text_of("%s.1", file);
    pid_t pid = PROGRAM_START("--listen", the_program.socket, "--set", setting);

    ck_assert(wait_until(exists, file, PROGRAM_DEADLINE_MS));
    ck_assert_int_eq(rename(file, rotated), 0);
    kill(pid, SIGHUP);
    ck_assert(wait_until(exists, file, PROGRAM_DEADLINE_MS));
    expect_path_serves(the_program.socket);
    program_expect_stop(pid);
    char *text = file_read(file);
    ck_assert_ptr_nonnull(strstr(text, "stopped"));
    free(text);
    free(setting);
    free(rotated);
}
END_TEST

SUITE(bellpushd)
{
    tcase_add_checked_fixture(tc, set_up, program_tear_down);
    tcase_add_test(tc, several_sockets_of_every_kind_are_told_and_served);
    tcase_add_test(tc, the_mount_can_be_elsewhere);
    tcase_add_test(tc, the_configuration_can_say_where);
    tcase_add_test(tc, a_stale_socket_is_replaced_a_living_one_is_not);
    tcase_add_test(tc, what_is_no_address_is_refused_in_words);
    tcase_add_test(tc, a_port_in_use_is_told);
    tcase_add_test(tc, systemd_hands_sockets_over);
    tcase_add_test(tc, a_signal_ends_open_streams_politely);
    tcase_add_test(tc, the_log_is_reopened_after_rotation);
}
