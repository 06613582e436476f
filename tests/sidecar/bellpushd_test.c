/*
 * bellpushd_test.c - the program itself, as people and systemd start it; with a database that is
 * away, because that must not matter here.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/peers/http.h"
#include "tests/peers/process.h"
#include "tests/sidecar/mini_client.h"
#include "tests/suite.h"

enum { DEADLINE_MS = 20000 };

#define AWAY "BELLPUSH_DATABASE=host=/nonexistent dbname=none"

static char *dir, *path, *log_path;
static const char *program;

static void set_up(void)
{
    program = getenv("BELLPUSH_TEST_DAEMON");
    ck_assert_msg(program && access(program, X_OK) == 0, "set BELLPUSH_TEST_DAEMON");
    dir = temp_folder("bellpushd");
    path = text_of("%s/socket", dir);
    log_path = text_of("%s/log", dir);
}

static void tear_down(void)
{
    free(dir);
    free(path);
    free(log_path);
}

static void pump_moment(void)
{
    poll(NULL, 0, 2);
}

static bool is_logged(void *text)
{
    char *log = file_read(log_path);
    bool is = log && strstr(log, text);

    free(log);
    return is;
}

/* What is to come may come a moment later. */
static void expect_log(const char *text, bool is_there)
{
    if (is_there)
        (void)wait_until(is_logged, (void *)(uintptr_t)text, DEADLINE_MS);
    ck_assert_msg(is_logged((void *)(uintptr_t)text) == is_there, "'%s' in the log: %s", text,
                  file_read(log_path));
}

static pid_t start(const char *const *arguments)
{
    const char *argv[16] = { program };

    for (size_t i = 0; arguments[i]; i++)
        argv[i + 1] = arguments[i];
    return process_start(&(struct process_spec){
        .argv = argv, .env = (const char *const[]){ AWAY, NULL }, .log = log_path });
}

#define START(...) start((const char *const[]){ __VA_ARGS__, NULL })

static void expect_exit(pid_t pid, int wanted)
{
    int status = 0;

    ck_assert_msg(process_wait(pid, DEADLINE_MS, &status), "it does not end");
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == wanted, "status %x; log: %s", status,
                  file_read(log_path));
}

static void stop(pid_t pid)
{
    kill(pid, SIGTERM);
    expect_exit(pid, 0);
}

/* The port that it has got, from what it says itself. */
static int port_after(const char *address)
{
    char *text = text_of("listening on http:%s:", address), *log;

    expect_log(text, true);
    log = file_read(log_path);
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

    expect_log(text, true);
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
        ck_assert_msg(http_wait(h, DEADLINE_MS) || http_ended(h), "no answer");
    ck_assert_int_eq(http_status(h), status);
    http_free(h);
}

START_TEST(several_sockets_of_every_kind_are_told_and_served)
{
    char *other = text_of("http:%s/other", dir);
    pid_t pid = START("--listen", "127.0.0.1:0", "--listen", path, "--listen", other, "--listen",
                      "[::1]:0", "--listen", "HTTP:localhost:0", "--mode", "0601");
    struct stat st;

    expect_port_serves(port_after("127.0.0.1"), "/push/status", 200);
    expect_port_serves(port_after("127.0.0.1"), "/status", 404);
    expect_path_serves(path);
    expect_path_serves(other + 5);
    ck_assert_int_gt(port_after("[::1]"), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0601);
    stop(pid);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_ne(access(other + 5, F_OK), 0);
    free(other);
}
END_TEST

START_TEST(the_mount_can_be_elsewhere)
{
    pid_t pid = START("--listen", "127.0.0.1:0", "--set", "mount=");

    expect_port_serves(port_after("127.0.0.1"), "/status", 200);
    stop(pid);
    expect_log("\nlistening on ", false);
    unlink(log_path);
    pid = START("--set", "listen_http=127.0.0.1:0", "--set", "mount=/a/b");
    expect_port_serves(port_after("127.0.0.1"), "/a/b/status", 200);
    unlink(log_path);
    expect_exit(START("--listen", "127.0.0.1:0", "--set", "mount=push/"), 1);
    expect_log("--set: mount: 'push/': is not a path", true);
    stop(pid);
}
END_TEST

START_TEST(the_configuration_can_say_where)
{
    char *file = text_of("%s/a.conf", dir),
         *text = text_of("listen_http = 127.0.0.1:0, %s\n", path);

    file_write(file, slice_of(text));
    pid_t pid = START("--config", file);
    expect_path_serves(path);
    expect_port_serves(port_after("127.0.0.1"), "/push/status", 200);
    stop(pid);
    free(file);
    free(text);
}
END_TEST

START_TEST(a_stale_socket_is_replaced_a_living_one_is_not)
{
    pid_t pid = START("--listen", path);

    expect_path_serves(path);
    expect_exit(START("--listen", path), 1);
    expect_log("in use by another process", true);
    kill(pid, SIGKILL);
    ck_assert(process_wait(pid, DEADLINE_MS, NULL));
    ck_assert_int_eq(access(path, F_OK), 0); /* left behind */
    unlink(log_path);
    pid = START("--listen", path);
    expect_path_serves(path);
    stop(pid);
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
        unlink(log_path);
        /* the good one before it is taken back, too */
        expect_exit(START("--listen", path, "--listen", wrong[i][0]), 1);
        expect_log(wrong[i][1], true);
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    unlink(log_path);
    expect_exit(START("--set", "retry=1s"), 1);
    expect_log("nothing to listen on", true);
    expect_exit(START("--listen", path, "--set", "frobnicate=on"), 1);
    expect_log("unknown setting 'frobnicate'", true);
    expect_exit(START("--frobnicate"), 1);
    expect_log("see --help", true);
    expect_exit(START("--check-config", "--set", "retry=3s"), 0);
    expect_log("retry = 3s", true);
}
END_TEST

START_TEST(a_port_in_use_is_told)
{
    pid_t pid = START("--listen", "127.0.0.1:0");
    char *address = text_of("127.0.0.1:%d", port_after("127.0.0.1"));

    expect_exit(START("--listen", address), 1);
    expect_log("Address already in use", true);
    stop(pid);
    free(address);
}
END_TEST

START_TEST(systemd_hands_sockets_over)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    ck_assert_int_eq(listen(fd, 10), 0);
    pid_t pid = process_start(&(struct process_spec){
        .argv = (const char *const[]){ "/bin/sh", "-c",
                                       "exec 3<&0 4<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=2 "
                                       "LISTEN_FDNAMES=http:x exec \"$0\"",
                                       program, NULL },
        .env = (const char *const[]){ AWAY, NULL },
        .stdin_fd = fd,
        .log = log_path });
    close(fd);
    expect_path_serves(path);
    expect_log("started by systemd", true);
    stop(pid);
    ck_assert_int_eq(access(path, F_OK), 0); /* not ours to remove */
}
END_TEST

START_TEST(a_signal_ends_open_streams_politely)
{
    static const int signals[] = { SIGTERM, SIGUSR1, SIGINT };

    for (size_t i = 0; i < LENGTH(signals); i++) {
        struct mini m;
        unlink(log_path);
        pid_t pid = START("--listen", path);
        expect_path_serves(path);
        mini_open(&m, path, pump_moment);
        mini_say(&m, "GET /push/events?topic=a HTTP/1.1\r\nHost: a\r\n\r\n");
        mini_expect(&m, "text/event-stream");
        mini_expect(&m, "\r\n\r\n");
        kill(pid, signals[i]);
        mini_expect(&m, "retry:");
        mini_expect(&m, "\r\n0\r\n\r\n"); /* the end of the last chunk, and of the body */
        mini_close(&m);
        expect_exit(pid, 0);
    }
}
END_TEST

static bool exists(void *arg)
{
    return access(arg, F_OK) == 0;
}

START_TEST(the_log_is_reopened_after_rotation)
{
    char *setting = text_of("log_file=%s/own.log", dir), *file = strchr(setting, '=') + 1;
    char *rotated = text_of("%s.1", file);
    pid_t pid = START("--listen", path, "--set", setting);

    ck_assert(wait_until(exists, file, DEADLINE_MS));
    ck_assert_int_eq(rename(file, rotated), 0);
    kill(pid, SIGHUP);
    ck_assert(wait_until(exists, file, DEADLINE_MS));
    expect_path_serves(path);
    stop(pid);
    char *text = file_read(file);
    ck_assert_ptr_nonnull(strstr(text, "stopped"));
    free(text);
    free(setting);
    free(rotated);
}
END_TEST

SUITE(bellpushd)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
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
