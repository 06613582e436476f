/*
 * cgi_test.c - the program as a web server's CGI: environment, pipes, sockets and files.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fcgi/mini_front.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { DEADLINE_MS = 20000, ENV_MAX = 16 };

#define KEY "key-of-the-test-for-cgi"

static char *dir, *log_path, *slots;

static void set_up(void)
{
    dir = temp_folder("cgi");
    log_path = text_of("%s/log", dir);
    slots = text_of("BELLPUSH_SLOTS_FILE=%s/slots", dir);
}

static void tear_down(void)
{
    free(dir);
    free(log_path);
    free(slots);
}

struct run {
    const char *method, *path, *query;
    const char *more[6]; /* of the environment */
    const char *argument;
};

/* in, out: descriptors of the child; in 0: /dev/null. */
static pid_t start(const struct run *run, int in, int out)
{
    const char *program = getenv("BELLPUSH_TEST_PROGRAM");
    char *method = text_of("REQUEST_METHOD=%s", run->method), *query = NULL;
    char *path = text_of("PATH_INFO=%s", run->path);
    const char *env[ENV_MAX] = { "GATEWAY_INTERFACE=CGI/1.1",
                                 "BELLPUSH_DATABASE=host=/nonexistent dbname=none",
                                 "BELLPUSH_PUBLISH_KEY=" KEY,
                                 "SCRIPT_NAME=/push.cgi",
                                 "LISTEN_PID",
                                 slots,
                                 method,
                                 path };
    size_t n = 8;

    ck_assert_msg(program && access(program, X_OK) == 0, "set BELLPUSH_TEST_PROGRAM");
    if (run->query)
        env[n++] = query = text_of("QUERY_STRING=%s", run->query);
    for (size_t i = 0; i < LENGTH(run->more) && run->more[i]; i++)
        env[n++] = run->more[i];
    pid_t pid = process_start(
        &(struct process_spec){ .argv = (const char *const[]){ program, run->argument, NULL },
                                .env = env,
                                .log = log_path,
                                .stdin_fd = in,
                                .stdout_fd = out });
    free(method);
    free(query);
    free(path);
    return pid;
}

/* Read until the text is there, or to the end (NULL). */
static void read_until(int fd, struct buf *got, const char *text)
{
    double deadline = now_s() + 20;
    char bytes[4096];

    while (!text || got->len == 0 || !memmem(got->at, got->len, text, strlen(text))) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        ck_assert_msg(now_s() < deadline, "waited in vain for '%s'; got '%.*s'", text,
                      (int)got->len, got->at);
        if (poll(&p, 1, 100) == 0)
            continue;
        ssize_t n = read(fd, bytes, sizeof(bytes));
        if (n <= 0) {
            ck_assert_msg(!text, "ended before '%s' came: '%.*s'", text, (int)got->len, got->at);
            return;
        }
        buf_put(got, (struct slice){ bytes, (size_t)n });
    }
}

static void expect_exit_0(pid_t pid)
{
    int status = 0;
    ck_assert_msg(process_wait(pid, DEADLINE_MS, &status), "it does not end");
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x: %s", status,
                  file_read(log_path));
}

/* Run to the end with pipes; the body is written whole, then closed. */
static struct buf answer(const struct run *run, struct slice body)
{
    int in[2], out[2];
    struct buf got = BUF_EMPTY;

    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    pid_t pid = start(run, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    while (body.len > 0) {
        ssize_t n = write(in[1], body.at, body.len < 65536 ? body.len : 65536);
        if (n < 0)
            break; /* it did not want to read all of it */
        body.at += n;
        body.len -= (size_t)n;
    }
    close(in[1]);
    read_until(out[0], &got, NULL);
    close(out[0]);
    expect_exit_0(pid);
    buf_putc(&got, '\0');
    return got;
}

static void expect_answer(const struct run *run, struct slice body, const char *start_text,
                          const char *text)
{
    struct buf got = answer(run, body);

    ck_assert_msg(strncmp(got.at, start_text, strlen(start_text)) == 0 && strstr(got.at, text),
                  "got: %s", got.at);
    buf_fini(&got);
}

START_TEST(one_request_is_answered)
{
    expect_answer(&(struct run){ "GET", "/status", NULL, { NULL }, NULL }, SLICE_NONE,
                  "Status: 200 OK\r\nContent-Type: application/json\r\n", "\"one_request\":true");
    expect_answer(&(struct run){ "GET", "/nothing", NULL, { NULL }, NULL }, SLICE_NONE,
                  "Status: 404 Not Found\r\n", "application/problem+json");
}
END_TEST

START_TEST(words_from_the_query_string_are_no_options)
{
    /* RFC 3875 section 4.4: "GET /push.cgi?--help" arrives as an argument */
    expect_answer(&(struct run){ "GET", "/status", "--help", { NULL }, "--help" }, SLICE_NONE,
                  "Status: 200 OK\r\n", "\"one_request\":true");
    expect_answer(&(struct run){ "GET", "/status", "-n", { NULL }, "--set=publish_key=mine" },
                  SLICE_NONE, "Status: 200 OK\r\n", "\"one_request\":true");
}
END_TEST

START_TEST(a_body_is_read_whole)
{
    struct run run = { "POST",
                       "/publish",
                       "topic=a",
                       { "HTTP_AUTHORIZATION=Bearer " KEY, "CONTENT_LENGTH=4", NULL },
                       NULL };
    struct buf big = BUF_EMPTY;

    /* all is well but the database */
    expect_answer(&run, SLICE("body"), "Status: 503 ", "problem+json");
    expect_answer(&run, SLICE("body and more"), "Status: 503 ", "problem+json");
    expect_answer(&run, SLICE("bod"), "Status: 400 ", "shorter than its Content-Length");
    while (big.len < 1024 * 1024 + 1)
        buf_puts(&big, "0123456789abcdef");
    run.more[1] = "CONTENT_LENGTH=1048592";
    expect_answer(&run, buf_slice(&big), "Status: 413 ", "problem+json");
    run.more[1] = "BELLPUSH_MAX_EVENT_BYTES=2m"; /* no length: read to the end */
    expect_answer(&run, buf_slice(&big), "Status: 503 ", "problem+json");
    run.more[1] = "BELLPUSH_MAX_EVENT_BYTES=1m"; /* and thrown away above the limit */
    run.more[2] = "BELLPUSH_MAX_BODY_BYTES=1m";
    expect_answer(&run, buf_slice(&big), "Status: 413 ", "problem+json");
    buf_fini(&big);
}
END_TEST

START_TEST(files_do_as_well_as_pipes)
{
    char *in_path = text_of("%s/in", dir), *out_path = text_of("%s/out", dir);

    file_write(in_path, SLICE("body"));
    int in = open(in_path, O_RDONLY), out = open(out_path, O_WRONLY | O_CREAT, 0600);
    pid_t pid = start(&(struct run){ "POST",
                                     "/publish",
                                     "topic=a",
                                     { "HTTP_AUTHORIZATION=Bearer " KEY, "CONTENT_LENGTH=4", NULL },
                                     NULL },
                      in, out);
    expect_exit_0(pid);
    char *got = file_read(out_path);
    ck_assert_msg(strncmp(got, "Status: 503 ", 12) == 0, "%s", got);
    close(in);
    close(out);
    free(got);
    free(in_path);
    free(out_path);
}
END_TEST

static const struct run stream = { "GET", "/events", "topic=a", { NULL }, NULL };

START_TEST(a_reader_who_leaves_is_noticed)
{
    int out[2];
    struct buf got = BUF_EMPTY;

    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = start(&stream, 0, out[1]);
    close(out[1]);
    read_until(out[0], &got, "\r\n\r\n");
    ck_assert_ptr_nonnull(memmem(got.at, got.len, "text/event-stream", 17));
    ck_assert(!process_ended(pid, NULL));
    close(out[0]);
    expect_exit_0(pid);
    buf_fini(&got);
}
END_TEST

START_TEST(a_socket_for_both_ends_may_be_half_closed)
{
    int pair[2];
    struct buf got = BUF_EMPTY;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid_t pid = start(&stream, pair[1], pair[1]);
    close(pair[1]);
    shutdown(pair[0], SHUT_WR); /* the body is over, but somebody still reads */
    read_until(pair[0], &got, "\r\n\r\n");
    ck_assert(!process_ended(pid, NULL));
    close(pair[0]);
    expect_exit_0(pid);
    buf_fini(&got);
}
END_TEST

START_TEST(a_signal_ends_the_stream_politely)
{
    int out[2];
    struct buf got = BUF_EMPTY;

    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = start(&stream, 0, out[1]);
    close(out[1]);
    read_until(out[0], &got, "\r\n\r\n");
    kill(pid, SIGTERM);
    read_until(out[0], &got, NULL);
    ck_assert_ptr_nonnull(memmem(got.at, got.len, "retry:", 6));
    close(out[0]);
    expect_exit_0(pid);
    buf_fini(&got);
}
END_TEST

START_TEST(a_broken_configuration_is_told_without_its_secrets)
{
    int out[2], status;
    struct buf got = BUF_EMPTY;
    struct run run = { "GET", "/status", NULL, { "BELLPUSH_FROBNICATE=hunter2", NULL }, NULL };

    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = start(&run, 0, out[1]);
    close(out[1]);
    read_until(out[0], &got, NULL);
    close(out[0]);
    ck_assert(process_wait(pid, DEADLINE_MS, &status));
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    buf_putc(&got, '\0');
    ck_assert_int_eq(strncmp(got.at, "Status: 500 ", 12), 0);
    ck_assert_ptr_nonnull(strstr(got.at, "configuration is broken"));
    ck_assert_ptr_null(strcasestr(got.at, "frobnicate"));
    buf_fini(&got);
    char *log = file_read(log_path);
    ck_assert_ptr_nonnull(strstr(log, "unknown setting 'frobnicate'"));
    ck_assert_ptr_null(strstr(log, "hunter2"));
    free(log);
}
END_TEST

SUITE(cgi)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, one_request_is_answered);
    tcase_add_test(tc, words_from_the_query_string_are_no_options);
    tcase_add_test(tc, a_body_is_read_whole);
    tcase_add_test(tc, files_do_as_well_as_pipes);
    tcase_add_test(tc, a_reader_who_leaves_is_noticed);
    tcase_add_test(tc, a_socket_for_both_ends_may_be_half_closed);
    tcase_add_test(tc, a_signal_ends_the_stream_politely);
    tcase_add_test(tc, a_broken_configuration_is_told_without_its_secrets);
}
