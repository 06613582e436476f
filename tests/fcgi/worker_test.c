/*
 * worker_test.c - the program itself, as its managers start it: by hand, with a socket at
 * descriptor 0, by systemd, as CGI; with a database that is away, because that must not matter
 * here.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fcgi/fcgi_wire.h"
#include "tests/fcgi/mini_front.h"
#include "tests/peers/program.h"
#include "tests/suite.h"

static void set_up(void)
{
    program_set_up("BELLPUSH_TEST_PROGRAM", "worker");
}

static void pump_moment(void)
{
    poll(NULL, 0, 2);
}

static bool is_listening(void *arg)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(name.sun_path, sizeof(name.sun_path), "%s", (const char *)arg);
    bool is = connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0;
    close(fd);
    return is;
}

static pid_t start_listening(const char *option, const char *value)
{
    pid_t pid = PROGRAM_START("--listen", the_program.socket, option, value);
    ck_assert_msg(wait_until(is_listening, the_program.socket, PROGRAM_DEADLINE_MS),
                  "it does not listen");
    return pid;
}

static struct mini ask_with(const char *where, const char *of, const char *query)
{
    const char *const pairs[] = { "REQUEST_METHOD", "GET", "SCRIPT_NAME", "/push", "PATH_INFO", of,
                                  "QUERY_STRING",   query, NULL };
    struct mini m;
    struct buf b = BUF_EMPTY;

    mini_open(&m, where, pump_moment);
    put_request(&b, 1, 0, pairs, SLICE_NONE);
    mini_send_buf(&m, &b);
    return m;
}

static void expect_status(const char *where, const char *of, int status, const char *text)
{
    struct mini m = ask_with(where, of, "");
    struct mini_reply *r = mini_expect_end(&m, 1);

    ck_assert_msg(reply_status(r) == status && reply_has(r, text), "%.*s", (int)r->out.len,
                  r->out.at);
    mini_close(&m);
}

/* ---- as FastCGI ------------------------------------------------------------------------------ */

START_TEST(a_signal_ends_open_streams_politely_and_the_socket_goes)
{
    static const int signals[] = { SIGTERM, SIGUSR1, SIGINT };

    for (size_t i = 0; i < LENGTH(signals); i++) {
        pid_t pid = start_listening(NULL, NULL);
        expect_status(the_program.socket, "/status", 200, "\"away\"");
        struct mini m = ask_with(the_program.socket, "/events", "topic=a");
        mini_expect_text(&m, 1, "text/event-stream");
        kill(pid, signals[i]);
        ck_assert(reply_has(mini_expect_end(&m, 1), "retry:"));
        mini_close(&m);
        program_expect_end(pid, 0);
        ck_assert_int_ne(access(the_program.socket, F_OK), 0);
    }
}
END_TEST

START_TEST(a_stale_socket_is_replaced_a_living_one_is_not)
{
    pid_t pid = start_listening(NULL, NULL);

    program_expect_end(PROGRAM_START("--listen", the_program.socket), 1);
    program_expect_logged("in use by another process");
    kill(pid, SIGKILL);
    ck_assert(process_wait(pid, PROGRAM_DEADLINE_MS, NULL));
    ck_assert_int_eq(access(the_program.socket, F_OK), 0); /* left behind */
    pid = start_listening("--mode", "0601");
    struct stat st;
    ck_assert_int_eq(stat(the_program.socket, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0601);
    program_expect_stop(pid);
}
END_TEST

START_TEST(what_is_no_address_is_refused_in_words)
{
    const char *const wrong[][2] = {
        { "127.0.0.1:0", "from 1 to 65535" },
        { "127.0.0.1:http", "from 1 to 65535" },
        { "[::1]:9000", "IPv6" },
        { "/etc/passwd", "not a socket" },
        { "/nonexistent/folder/socket", "cannot listen on" },
        { "192.0.2.1:39999", "cannot listen on" },
        { "no.such.host.invalid:39999", "cannot listen on" },
    };

    for (size_t i = 0; i < LENGTH(wrong); i++) {
        program_forget_log();
        program_expect_end(PROGRAM_START("--listen", wrong[i][0]), 1);
        char *log = file_read(the_program.log);
        ck_assert_msg(strstr(log, wrong[i][1]) != NULL, "%s: %s", wrong[i][0], log);
        free(log);
    }
}
END_TEST

START_TEST(a_socket_at_descriptor_0_is_served)
{
    int fd = program_listen(the_program.socket);
    pid_t pid = program_start(fd, (const char *const[]){ NULL });

    close(fd);
    expect_status(the_program.socket, "/status", 200, "\"one_request\":false");
    expect_status(the_program.socket, "/nothing", 404, "problem+json");
    program_expect_stop(pid);
    ck_assert_int_eq(access(the_program.socket, F_OK), 0); /* not ours to remove */
}
END_TEST

START_TEST(mod_fcgid_is_known_by_the_name_of_its_socket)
{
    char *theirs = text_of("%s/1234.7", the_program.dir);
    int fd = program_listen(theirs);
    pid_t pid = program_start(fd, (const char *const[]){ NULL });

    close(fd);
    expect_status(theirs, "/status", 200, "\"one_request\":true");
    program_expect_stop(pid);
    free(theirs);
}
END_TEST

START_TEST(systemd_hands_over_descriptor_3)
{
    int fd = program_listen(the_program.socket);
    pid_t pid = process_start(&(struct process_spec){
        .argv = (const char *const[]){ "/bin/sh", "-c",
                                       "exec 3<&0 0</dev/null; "
                                       "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\"",
                                       the_program.path, NULL },
        .env = PROGRAM_ENV,
        .stdin_fd = fd,
        .log = the_program.log });

    close(fd);
    expect_status(the_program.socket, "/status", 200, "\"away\"");
    program_expect_stop(pid);
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
    pid_t pid = start_listening("--set", setting);

    ck_assert(wait_until(exists, file, PROGRAM_DEADLINE_MS));
    ck_assert_int_eq(rename(file, rotated), 0);
    kill(pid, SIGHUP);
    ck_assert(wait_until(exists, file, PROGRAM_DEADLINE_MS));
    expect_status(the_program.socket, "/status", 200, "");
    program_expect_stop(pid);
    char *text = file_read(file);
    ck_assert_ptr_nonnull(strstr(text, "stopped"));
    free(text);
    free(setting);
    free(rotated);
}
END_TEST

/* ---- broken configurations ------------------------------------------------------------------- */

static char *broken_conf(void)
{
    char *file = text_of("%s/broken.conf", the_program.dir);
    file_write(file, SLICE("publish_key = hunter2hunter2\nfrobnicate = on\n"));
    return file;
}

START_TEST(started_by_hand_a_broken_configuration_ends_it)
{
    char *file = broken_conf();

    program_expect_end(PROGRAM_START("--listen", the_program.socket, "--config", file), 1);
    program_expect_logged("broken.conf:2: unknown setting 'frobnicate'");
    ck_assert_int_ne(access(the_program.socket, F_OK), 0);
    free(file);
}
END_TEST

START_TEST(started_by_a_web_server_it_says_so_on_every_page)
{
    char *file = broken_conf();
    int fd = program_listen(the_program.socket);
    pid_t pid = program_start(fd, (const char *const[]){ "--config", file, NULL });

    close(fd);
    expect_status(the_program.socket, "/events", 500, "configuration is broken");
    struct mini m = ask_with(the_program.socket, "/status", "");
    ck_assert(!reply_has(mini_expect_end(&m, 1), "hunter2"));
    ck_assert(!reply_has(&m.reply[1], "frobnicate"));
    mini_close(&m);
    program_expect_logged("frobnicate");
    program_expect_not_logged("hunter2");
    kill(pid, SIGTERM);
    program_expect_end(pid, 1);
    free(file);
}
END_TEST

START_TEST(settings_are_checked_and_shown)
{
    char *file = text_of("%s/good.conf", the_program.dir);

    file_write(file, SLICE("publish_key = hunter2hunter2\npoll_wait = 7s\n"));
    program_expect_end(PROGRAM_START("--check-config", "--config", file, "--set", "retry=3s"), 0);
    char *shown = file_read(the_program.log);
    ck_assert_ptr_nonnull(strstr(shown, "poll_wait = 7s"));
    ck_assert_ptr_nonnull(strstr(shown, "good.conf:2"));
    ck_assert_ptr_nonnull(strstr(shown, "retry = 3s"));
    ck_assert_ptr_nonnull(strstr(shown, "--set"));
    ck_assert_ptr_null(strstr(shown, "hunter2"));
    free(shown);
    free(file);
}
END_TEST

START_TEST(what_should_be_known_is_said_at_the_start)
{
    char *file = text_of("%s/open.conf", the_program.dir);

    file_write(file, SLICE("publish_key = hunter2hunter2\none_request = yes\n"
                           "requests_per_subject = 5\n"));
    ck_assert_int_eq(chmod(file, 0644), 0);
    pid_t pid = start_listening("--config", file);
    program_expect_logged("open.conf holds a secret (publish_key) and is open to everybody");
    program_expect_logged("requests_per_subject limits nothing here");
    program_expect_not_logged("hunter2");
    program_expect_stop(pid);
    free(file);
}
END_TEST

/* Half a rotation of keys would be worse than none, and is said while somebody looks. */
START_TEST(token_keys_that_are_none_are_told_with_file_and_reason)
{
    static const struct {
        const char *text, *why;
    } sets[] = {
        { "nonsense", "JSON" },
        { "{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"k7\",\"k\":\"c2hvcnQ\"}]}",
          "k7" },
        { "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\",\"x\":\"AAAA\"}]}",
          "ed" },
    };
    char *file = text_of("%s/keys.json", the_program.dir),
         *set = text_of("token_keys_file=%s", file);

    for (size_t i = 0; i < LENGTH(sets); i++) {
        const char *const check[] = { "--check-config", "--set", set, NULL };
        const char *const start[] = { "--listen", the_program.socket, "--set", set, NULL };
        const char *const *const ways[] = { check, start };
        file_write(file, slice_of(sets[i].text));
        ck_assert_int_eq(chmod(file, 0600), 0);
        for (size_t way = 0; way < LENGTH(ways); way++) {
            program_forget_log();
            program_expect_end(program_start(0, ways[way]), 1);
            char *start_of_it = text_of("--set: token_keys_file: '%s': ", file);
            program_expect_logged(start_of_it);
            free(start_of_it);
            program_expect_logged(sets[i].why);
            program_expect_not_logged("c2hvcnQ");
            program_expect_not_logged("out of memory");
        }
    }
    free(file);
    free(set);
}
END_TEST

SUITE(worker)
{
    tcase_add_checked_fixture(tc, set_up, program_tear_down);
    tcase_add_test(tc, a_signal_ends_open_streams_politely_and_the_socket_goes);
    tcase_add_test(tc, a_stale_socket_is_replaced_a_living_one_is_not);
    tcase_add_test(tc, what_is_no_address_is_refused_in_words);
    tcase_add_test(tc, a_socket_at_descriptor_0_is_served);
    tcase_add_test(tc, mod_fcgid_is_known_by_the_name_of_its_socket);
    tcase_add_test(tc, systemd_hands_over_descriptor_3);
    tcase_add_test(tc, the_log_is_reopened_after_rotation);
    tcase_add_test(tc, started_by_hand_a_broken_configuration_ends_it);
    tcase_add_test(tc, started_by_a_web_server_it_says_so_on_every_page);
    tcase_add_test(tc, settings_are_checked_and_shown);
    tcase_add_test(tc, what_should_be_known_is_said_at_the_start);
    tcase_add_test(tc, token_keys_that_are_none_are_told_with_file_and_reason);
}
