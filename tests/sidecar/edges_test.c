/*
 * edges_test.c - the program itself with TLS, PROXY headers and files, and clients that are not
 * ours: curl, openssl s_client, and OpenSSL in this process.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/peers/certificate.h"
#include "tests/sidecar/daemon.h"
#include "tests/suite.h"

enum { REPLY_MAX = 64 * 1024 };

static char *pem, *key;

static void set_up(void)
{
    daemon_set_up("edges");
    pem = text_of("%s/now.pem", the_program.dir);
    key = text_of("%s/now.key", the_program.dir);
    certificate_make(the_program.dir, "one", 30);
    certificate_make(the_program.dir, "two", 30);
    certificate_make(the_program.dir, "now", 30);
    certificate_replace(the_program.dir, "now", "one");
}

static void tear_down(void)
{
    program_tear_down();
    free(pem);
    free(key);
}

static pid_t start(const char *address, const char *settings)
{
    char *conf = text_of("tls_certificate = %s\ntls_key = %s\n"
                         "database = host=/nonexistent dbname=none\ndrain = 2s\n%s",
                         pem, key, settings);

    file_write(the_program.conf, slice_of(conf));
    pid_t pid = process_start(&(struct process_spec){
        .argv = (const char *const[]){ the_program.path, "--config", the_program.conf, "--listen",
                                       address, NULL },
        .log = the_program.log });
    program_expect_logged("listening on ");
    free(conf);
    return pid;
}

static int connect_to(int port)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = { PROGRAM_DEADLINE_MS / 1000, 0 };

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    return fd;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

struct secure {
    SSL_CTX *settings;
    SSL *ssl;
    int fd;
    char reply[REPLY_MAX];
};

static void secure_open(struct secure *s, int port)
{
    s->settings = SSL_CTX_new(TLS_client_method());
    s->ssl = SSL_new(s->settings);
    s->fd = connect_to(port);
    SSL_set_fd(s->ssl, s->fd);
    ck_assert_int_eq(SSL_connect(s->ssl), 1);
}

static void secure_close(struct secure *s)
{
    SSL_free(s->ssl);
    SSL_CTX_free(s->settings);
    close(s->fd);
}

static const char *name_of_server(struct secure *s)
{
    static char name[100];
    X509_NAME *subject = X509_get_subject_name(SSL_get0_peer_certificate(s->ssl));

    X509_NAME_get_text_by_NID(subject, NID_commonName, name, sizeof(name));
    return name;
}

/* Read until this text has come, or the end; false: it has not. */
static bool secure_hears(struct secure *s, const char *text)
{
    size_t got = 0;
    int n;

    s->reply[0] = '\0';
    while (!strstr(s->reply, text) && got < sizeof(s->reply) - 1 &&
           (n = SSL_read(s->ssl, s->reply + got, (int)(sizeof(s->reply) - 1 - got))) > 0) {
        got += (size_t)n;
        s->reply[got] = '\0';
    }
    return strstr(s->reply, text) != NULL;
}

static void secure_asks(struct secure *s, const char *target)
{
    char *ask = text_of("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);

    ck_assert_int_eq(SSL_write(s->ssl, ask, (int)strlen(ask)), (int)strlen(ask));
    free(ask);
}

START_TEST(curl_verifies_the_certificate_and_gets_an_answer)
{
    pid_t pid = start("tls:127.0.0.1:0", "");
    char *url = text_of("https://localhost:%d/push/status", daemon_port());
    char *out = text_of("%s/out", the_program.dir);

    ck_assert_int_eq(
        process_run(
            &(struct process_spec){ .argv = (const char *const[]){ "curl", "-sS", "-4", "--cacert",
                                                                   pem, "-o", out, "-w",
                                                                   "%{http_code} %{http_version}",
                                                                   url, url, NULL },
                                    .log = the_program.log },
            PROGRAM_DEADLINE_MS),
        0);
    program_expect_logged("200 1.1");
    char *body = file_read(out);
    ck_assert_msg(body && strstr(body, "\"version\""), "%s", body);
    free(body);
    free(url);
    free(out);
    program_expect_stop(pid);
}
END_TEST

START_TEST(s_client_resumes_its_session_with_every_worker)
{
    static const char *const versions[] = { "-tls1_2", "-tls1_3" };
    pid_t pid = start("tls:127.0.0.1:0", "workers = 3\n");
    char *at = text_of("127.0.0.1:%d", daemon_port()),
         *session = text_of("%s/session", the_program.dir);

    for (size_t i = 0; i < LENGTH(versions); i++) {
        /* -reconnect knows no tickets of TLS 1.3: so once to get one, then many times with it */
        char *get = text_of("(printf 'GET /push/status HTTP/1.0\\r\\n\\r\\n'; sleep 0.2) | openssl "
                            "s_client -connect %s %s -sess_out %s -ign_eof 2>&1 | grep -c '200 OK'",
                            at, versions[i], session);
        ck_assert_int_eq(
            process_run(
                &(struct process_spec){ .argv = (const char *const[]){ "sh", "-c", get, NULL },
                                        .log = the_program.log },
                PROGRAM_DEADLINE_MS),
            0);
        char *again = text_of("for i in 1 2 3 4 5 6 7 8; do openssl s_client -connect %s %s "
                              "-sess_in %s </dev/null 2>&1 | grep '^Reused' || exit 1; done",
                              at, versions[i], session);
        ck_assert_int_eq(
            process_run(
                &(struct process_spec){ .argv = (const char *const[]){ "sh", "-c", again, NULL },
                                        .log = the_program.log },
                PROGRAM_DEADLINE_MS),
            0);
        free(get);
        free(again);
    }
    free(at);
    free(session);
    program_expect_stop(pid);
}
END_TEST

START_TEST(who_speaks_in_clear_is_told_so)
{
    pid_t pid = start("tls:127.0.0.1:0", "");
    char *url = text_of("http://127.0.0.1:%d/push/status", daemon_port());

    ck_assert_int_eq(
        process_run(
            &(struct process_spec){ .argv = (const char *const[]){ "curl", "-sS", url, NULL },
                                    .log = the_program.log },
            PROGRAM_DEADLINE_MS),
        0);
    program_expect_logged("This port speaks TLS");
    free(url);
    program_expect_stop(pid);
}
END_TEST

/* Somebody who comes again and again, until told that it is enough. */
static pid_t start_client(int port)
{
    static struct secure s;
    int n = 0;
    pid_t pid = daemon_fork_client();

    if (pid != 0)
        return pid;
    for (; n < 20 || !daemon_is_enough(); n++) {
        secure_open(&s, port);
        const char *name = name_of_server(&s);
        if (strcmp(name, "one") != 0 && strcmp(name, "two") != 0)
            _exit(1);
        secure_asks(&s, "/push/status");
        if (!secure_hears(&s, "}}\n"))
            _exit(2);
        secure_close(&s);
    }
    _exit(0);
}

static bool serves(int port, const char *name)
{
    static struct secure s;

    secure_open(&s, port);
    bool is = strcmp(name_of_server(&s), name) == 0;
    secure_close(&s);
    return is;
}

static bool serves_one(void *arg)
{
    return serves(*(const int *)arg, "one");
}

static bool serves_two(void *arg)
{
    return serves(*(const int *)arg, "two");
}

static void exchange_under_load(const char *settings, int how)
{
    static struct secure stream;
    pid_t pid = start("tls:127.0.0.1:0", settings);
    int port = daemon_port();
    pid_t client = start_client(port);

    secure_open(&stream, port);
    ck_assert_str_eq(name_of_server(&stream), "one");
    secure_asks(&stream, "/push/events?topic=a");
    ck_assert(secure_hears(&stream, "text/event-stream"));
    certificate_replace(the_program.dir, "now", "two");
    if (how)
        kill(pid, how);
    ck_assert(wait_until(serves_two, &port, PROGRAM_DEADLINE_MS));
    file_write(pem, SLICE("half a certifi"));
    if (how != SIGUSR2) {
        kill(pid, SIGHUP);
        program_expect_logged("the old certificate stays");
        ck_assert(serves_two(&port));
    } else {
        kill(pid, SIGUSR2);
        program_expect_logged("all stays as it was");
        ck_assert(wait_until(serves_two, &port,
                             PROGRAM_DEADLINE_MS)); /* those of before may still accept */
    }
    daemon_expect_content(client);
    secure_close(&stream);
    program_expect_stop(pid);
}

START_TEST(certificates_are_exchanged_under_load_by_a_signal)
{
    exchange_under_load("", SIGHUP);
}
END_TEST

START_TEST(and_by_themselves)
{
    exchange_under_load("workers = 1\n", 0); /* two would look at different times */
}
END_TEST

START_TEST(and_by_a_restart)
{
    exchange_under_load("workers = 2\n", SIGUSR2);
}
END_TEST

START_TEST(a_key_that_only_root_may_read_is_read_before_root_is_left)
{
    static struct secure s;

    if (geteuid() != 0) /* nothing to leave */
        return;
    pid_t pid = start("tls:127.0.0.1:0", "user = nobody\nworkers = 1\n");
    int port = daemon_port();
    struct stat st;
    ck_assert_int_eq(stat(key, &st), 0);
    ck_assert(st.st_uid == 0 && (st.st_mode & 077) == 0);
    secure_open(&s, port);
    secure_asks(&s, "/push/status");
    ck_assert(secure_hears(&s, "\"version\""));
    secure_close(&s);
    /* a worker that replaces another has been root, too */
    pid_t worker;
    certificate_replace(the_program.dir, "now", "two");
    ck_assert_uint_eq(process_children(pid, &worker, 1), 1);
    kill(worker, SIGKILL);
    ck_assert(wait_until(serves_two, &port, PROGRAM_DEADLINE_MS));
    certificate_replace(the_program.dir, "now", "one");
    kill(pid, SIGUSR2);
    ck_assert(wait_until(serves_one, &port, PROGRAM_DEADLINE_MS));
    program_expect_stop(pid);
}
END_TEST

START_TEST(tls_without_a_certificate_is_no_start)
{
    ck_assert_int_eq(
        process_run(
            &(struct process_spec){
                .argv =
                    (const char *const[]){ the_program.path, "--listen", "tls:127.0.0.1:0", NULL },
                .env = (const char *const[]){ "BELLPUSH_DATABASE=host=/nonexistent", NULL },
                .log = the_program.log },
            PROGRAM_DEADLINE_MS),
        1);
    program_expect_logged("there is no tls_certificate");
}
END_TEST

/* ---- PROXY ----------------------------------------------------------------------------------- */

/* Status of an answer to a request behind a PROXY header; 0: none. */
static int ask_behind(int port, const char *header, const char *forwarded)
{
    char *ask = text_of("%sGET /push/status HTTP/1.1\r\nHost: a\r\n%sConnection: close\r\n\r\n",
                        header, forwarded);
    int fd = connect_to(port), status = 0;
    char reply[REPLY_MAX];
    size_t got = 0;
    ssize_t n;

    ck_assert_int_eq(send(fd, ask, strlen(ask), MSG_NOSIGNAL), strlen(ask));
    while ((n = read(fd, reply + got, sizeof(reply) - 1 - got)) > 0)
        got += (size_t)n;
    reply[got] = '\0';
    sscanf(reply, "HTTP/1.1 %d", &status);
    close(fd);
    free(ask);
    return status;
}

#define FROM(a) "PROXY TCP4 " a " 192.0.2.1 5000 80\r\n"

/* Limits are counted by address: so they tell whose request it was. */
START_TEST(limits_are_counted_for_whom_the_proxy_names)
{
    pid_t pid = start("proxy:127.0.0.1:0", "requests_per_address = 4\nunlimited_addresses = unix\n"
                                           "trusted_proxies = 198.51.100.0/24\n");
    int port = daemon_port();

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(ask_behind(port, FROM("203.0.113.1"), ""), 200);
    ck_assert_int_eq(ask_behind(port, FROM("203.0.113.1"), ""), 429);
    ck_assert_int_eq(ask_behind(port, FROM("203.0.113.2"), ""), 200);
    /* a header is believed of trusted proxies: whom PROXY names decides whether it is one */
    ck_assert_int_eq(ask_behind(port, FROM("203.0.113.1"), "X-Forwarded-For: 203.0.113.9\r\n"),
                     429);
    ck_assert_int_eq(ask_behind(port, FROM("198.51.100.1"), "X-Forwarded-For: 203.0.113.9\r\n"),
                     200);
    ck_assert_int_eq(ask_behind(port, FROM("198.51.100.1"), "X-Forwarded-For: 203.0.113.1\r\n"),
                     429);
    ck_assert_int_eq(ask_behind(port, "PROXY UNKNOWN\r\n", ""),
                     200); /* the peer's own: 127.0.0.1 */
    ck_assert_int_eq(ask_behind(port, "", ""), 0);
    ck_assert_int_eq(ask_behind(port, "PROXY TCP4 x y 1 2\r\n", ""), 0);
    program_expect_stop(pid);
}
END_TEST

START_TEST(elsewhere_a_proxy_header_is_no_request)
{
    pid_t pid = start("127.0.0.1:0", "");
    ck_assert_int_eq(ask_behind(daemon_port(), FROM("203.0.113.1"), ""), 400);
    program_expect_stop(pid);
}
END_TEST

START_TEST(curl_speaks_proxy_and_tls_at_once)
{
    pid_t pid = start("proxy-tls:127.0.0.1:0", "");
    char *url = text_of("https://localhost:%d/push/status", daemon_port());

    ck_assert_int_eq(process_run(
                         &(struct process_spec){
                             .argv = (const char *const[]){ "curl", "-sS", "-4", "--cacert", pem,
                                                            "--haproxy-protocol", url, NULL },
                             .log = the_program.log },
                         PROGRAM_DEADLINE_MS),
                     0);
    program_expect_logged("\"version\"");
    free(url);
    program_expect_stop(pid);
}
END_TEST

/* ---- files ----------------------------------------------------------------------------------- */

START_TEST(files_are_served_outside_the_mount_only)
{
    char *www = text_of("www = %s\n", the_program.dir),
         *page = text_of("%s/page.html", the_program.dir);
    char *push = text_of("%s/push", the_program.dir),
         *hidden = text_of("%s/push/page.html", the_program.dir);
    char *out = text_of("%s/out", the_program.dir);

    ck_assert_int_eq(mkdir(push, 0755), 0);
    file_write(page, SLICE("a page"));
    file_write(hidden, SLICE("never seen"));
    pid_t pid = start("127.0.0.1:0", www);
    static const struct {
        const char *path;
        int status;
    } cases[] = {
        { "/page.html", 200 }, { "/push/page.html", 404 }, { "/push/status", 200 },
        { "/nothing", 404 },   { "/%70age.html", 200 },    { "/%2e%2e/page.html", 404 },
        { "/push", 404 },      { "/pushy", 404 },
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char *url = text_of("http://127.0.0.1:%d%s", daemon_port(), cases[i].path);
        char *code = text_of("%d of %s", cases[i].status, cases[i].path);
        char *format = text_of("%%{http_code} of %s\n", cases[i].path);
        ck_assert_int_eq(
            process_run(
                &(struct process_spec){ .argv = (const char *const[]){ "curl", "-sS", "-o", out,
                                                                       "--path-as-is", "-w", format,
                                                                       url, NULL },
                                        .log = the_program.log },
                PROGRAM_DEADLINE_MS),
            0);
        program_expect_logged(code);
        free(url);
        free(code);
        free(format);
    }
    free(www);
    free(page);
    free(push);
    free(hidden);
    free(out);
    program_expect_stop(pid);
}
END_TEST

SUITE(edges)
{
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, curl_verifies_the_certificate_and_gets_an_answer);
    tcase_add_test(tc, s_client_resumes_its_session_with_every_worker);
    tcase_add_test(tc, who_speaks_in_clear_is_told_so);
    tcase_add_test(tc, certificates_are_exchanged_under_load_by_a_signal);
    tcase_add_test(tc, and_by_themselves);
    tcase_add_test(tc, and_by_a_restart);
    tcase_add_test(tc, a_key_that_only_root_may_read_is_read_before_root_is_left);
    tcase_add_test(tc, tls_without_a_certificate_is_no_start);
    tcase_add_test(tc, limits_are_counted_for_whom_the_proxy_names);
    tcase_add_test(tc, elsewhere_a_proxy_header_is_no_request);
    tcase_add_test(tc, curl_speaks_proxy_and_tls_at_once);
    tcase_add_test(tc, files_are_served_outside_the_mount_only);
}
