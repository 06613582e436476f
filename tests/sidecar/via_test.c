/*
 * via_test.c - connections of which the client's bytes are wrapped: in TLS, behind a PROXY header,
 * or both.  The protocol above says who is there and echoes, or counts up to a number.
 */
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sidecar/conn.h"
#include "tests/peers/certificate.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { DEADLINE_MS = 10000, MUCH = 3 * 1024 * 1024, SOME = 20000 };

#define V2_HEAD "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\7\xc6\x33\x64\1\xdc\4\1\xbb"

static struct {
    uv_loop_t loop;
    struct conf conf;
    struct server server;
    struct porch *porch;
    struct via_door door;
    struct tls_context *tls;
    char *pem, *key;
    struct sockaddr_un name;
    size_t much; /* bytes still to be sent */
    uint8_t next;
    int ended;
} stand;

/* ---- the protocol ---------------------------------------------------------------------------- */

static void send_more(struct conn *c)
{
    char piece[20000];
    size_t n = stand.much < sizeof(piece) ? stand.much : sizeof(piece);

    for (size_t i = 0; i < n; i++)
        piece[i] = (char)stand.next++;
    stand.much -= n;
    ck_assert_int_eq(outbox_put(&c->answer.out, (struct slice){ piece, n }), RC_OK);
    conn_turn(c);
}

static void talk_bytes(struct conn *c, struct slice bytes)
{
    char who[ADDRESS_TEXT_MAX + 1];
    struct buf b = BUF_EMPTY;

    if (slice_is(bytes, SLICE("much"))) {
        stand.much = MUCH;
        send_more(c);
    } else if (slice_is(bytes, SLICE("some"))) {
        uv_os_fd_t fd;
        ck_assert_int_eq(uv_fileno((uv_handle_t *)&c->poll, &fd), 0);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int));
        stand.much = SOME;
        send_more(c);
    } else if (slice_is(bytes, SLICE("linger"))) {
        conn_linger(c, "was told to");
    } else if (slice_is(bytes, SLICE("close"))) {
        conn_close(c, "was told to");
    } else {
        buf_put(&b, (struct slice){ who, conn_remote(c, who) });
        buf_putc(&b, ':');
        buf_put(&b, bytes);
        buf_putc(&b, '\n');
        ck_assert_int_eq(outbox_put(&c->answer.out, buf_slice(&b)), RC_OK);
        buf_fini(&b);
        conn_turn(c);
    }
}

static void talk_sent(struct conn *c)
{
    if (stand.much > 0)
        send_more(c);
}

static void talk_nothing(struct conn *c)
{
    (void)c;
}

static void talk_ended(struct conn *c)
{
    stand.ended++;
    conn_close(c, "the peer has left");
}

static const struct protocol talk = { .name = "talk",
                                      .bytes = talk_bytes,
                                      .ended = talk_ended,
                                      .sent = talk_sent,
                                      .stop = talk_nothing,
                                      .closed = talk_nothing };

/* ---- the stand ------------------------------------------------------------------------------- */

static enum rc on_open(struct porch *porch, const struct porch_socket *by, int fd,
                       const struct sockaddr_storage *peer, bool surplus)
{
    (void)peer;
    return conn_open(porch, fd, by->tag, &talk, surplus);
}

static void stand_open(bool proxy, bool tls)
{
    static const struct porch_ops ops = { .open = on_open,
                                          .stop = conn_porch_stop,
                                          .close = conn_porch_close };
    static const struct porch_limits limits = { .max_conns = 100, .surplus = 1 };
    struct buf error = BUF_EMPTY;
    char *dir = temp_folder("via");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (tls) {
        certificate_make(dir, "a", 30);
        stand.pem = text_of("%s/a.pem", dir);
        stand.key = text_of("%s/a.key", dir);
        stand.tls = tls_context_new(&(struct conf_list){ &stand.pem, 1 },
                                    &(struct conf_list){ &stand.key, 1 }, &error);
        ck_assert_msg(stand.tls != NULL, "%.*s", (int)error.len, error.at);
    }
    stand.door = (struct via_door){ .proxy = proxy, .tls = stand.tls };
    ck_assert_int_eq(conf_init(&stand.conf), RC_OK);
    ck_assert_int_eq(uv_loop_init(&stand.loop), 0);
    ck_assert_int_eq(server_init(&stand.server, &stand.loop, &stand.conf), RC_OK);
    stand.server.log.level = LOG_ERROR;
    stand.name = (struct sockaddr_un){ .sun_family = AF_UNIX };
    snprintf(stand.name.sun_path, sizeof(stand.name.sun_path), "%s/socket", dir);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&stand.name, sizeof(stand.name)), 0);
    ck_assert_int_eq(listen(fd, 10), 0);
    struct porch_socket by = { .fd = fd, .tag = &stand.door };
    stand.porch = porch_new(&stand.server, &ops, NULL, &by, 1, &limits);
    ck_assert_ptr_nonnull(stand.porch);
    free(dir);
}

static void on_freed(void *arg)
{
    *(bool *)arg = true;
}

static void stand_close(void)
{
    bool freed = false;

    porch_free(stand.porch, on_freed, &freed);
    while (!freed)
        uv_run(&stand.loop, UV_RUN_ONCE);
    server_fini(&stand.server);
    uv_run(&stand.loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&stand.loop), 0);
    conf_fini(&stand.conf);
    tls_context_free(stand.tls);
    free(stand.pem);
    free(stand.key);
}

/* One turn of the loop, and a moment for the kernel. */
static void pump(void)
{
    uv_run(&stand.loop, UV_RUN_NOWAIT);
}

/* ---- clients --------------------------------------------------------------------------------- */

static int client_open(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&stand.name, sizeof(stand.name)), 0);
    pump();
    return fd;
}

static void client_says(int fd, struct slice bytes)
{
    ck_assert_int_eq(write(fd, bytes.at, bytes.len), bytes.len);
    pump();
}

/* All that comes until so many bytes are here, or the end; returns how many. */
static size_t client_hears(int fd, char *into, size_t wanted)
{
    int64_t deadline = now_ms() + DEADLINE_MS;
    size_t got = 0;

    while (got < wanted && now_ms() < deadline) {
        ssize_t n = read(fd, into + got, wanted - got);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return got;
        got += n > 0 ? (size_t)n : 0;
        pump();
    }
    return got;
}

static void expect_heard(int fd, const char *expected)
{
    char heard[200];
    size_t n = client_hears(fd, heard, strlen(expected));

    ck_assert_msg(slice_is((struct slice){ heard, n }, slice_of(expected)), "heard '%.*s'", (int)n,
                  heard);
}

static void expect_closed(int fd)
{
    char byte;
    ck_assert_uint_eq(client_hears(fd, &byte, 1), 0);
}

/* ---- behind a PROXY header ------------------------------------------------------------------- */

START_TEST(a_header_says_who_is_there)
{
    static const struct {
        struct slice head;
        const char *heard, *again;
    } cases[] = {
        { SLICE("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"), "192.0.2.7:hello\n",
          "192.0.2.7:PROXY\n" },
        { SLICE("PROXY TCP6 2001:db8::7 ::1 56324 443\r\n"), "2001:db8::7:hello\n",
          "2001:db8::7:PROXY\n" },
        { SLICE(V2_HEAD), "192.0.2.7:hello\n", "192.0.2.7:PROXY\n" },
        { SLICE("PROXY UNKNOWN\r\n"), ":hello\n", ":PROXY\n" },
        { SLICE("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"), ":hello\n", ":PROXY\n" },
    };

    stand_open(true, false);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct buf all = BUF_EMPTY;
        int fd = client_open(); /* whole, with the client's first bytes */
        buf_put(&all, cases[i].head);
        buf_puts(&all, "hello");
        client_says(fd, buf_slice(&all));
        expect_heard(fd, cases[i].heard);
        client_says(fd, SLICE("PROXY")); /* the second is nothing special */
        expect_heard(fd, cases[i].again);
        close(fd);
        fd = client_open(); /* byte by byte */
        for (size_t at = 0; at < cases[i].head.len; at++)
            client_says(fd, (struct slice){ cases[i].head.at + at, 1 });
        client_says(fd, SLICE("hello"));
        expect_heard(fd, cases[i].heard);
        close(fd);
        buf_fini(&all);
    }
    stand_close();
}
END_TEST

START_TEST(who_sends_no_header_where_one_must_be_is_closed)
{
    stand_open(true, false);
    int fd = client_open();
    client_says(fd, SLICE("GET / HTTP/1.1\r\n"));
    expect_closed(fd);
    close(fd);
    fd = client_open();
    client_says(fd, SLICE("PROXY TCP4 1.2.3.4\r\n"));
    expect_closed(fd);
    close(fd);
    stand_close();
}
END_TEST

START_TEST(elsewhere_a_header_is_never_believed)
{
    stand_open(false, false);
    int fd = client_open();
    client_says(fd, SLICE("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"));
    expect_heard(fd, ":PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n\n");
    close(fd);
    stand_close();
}
END_TEST

/* ---- in TLS ---------------------------------------------------------------------------------- */

struct secure {
    SSL_CTX *settings;
    SSL *ssl;
    int fd;
};

static struct secure secure_new(int fd)
{
    struct secure s = { .settings = SSL_CTX_new(TLS_client_method()), .fd = fd };

    s.ssl = SSL_new(s.settings);
    SSL_set_fd(s.ssl, fd);
    SSL_set_connect_state(s.ssl);
    return s;
}

static void secure_close(struct secure *s)
{
    SSL_free(s->ssl);
    SSL_CTX_free(s->settings);
    close(s->fd);
}

static bool goes_on(struct secure *s, int rc)
{
    int error = SSL_get_error(s->ssl, rc);

    pump();
    return rc <= 0 && (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE);
}

static void secure_says(struct secure *s, struct slice bytes)
{
    int64_t deadline = now_ms() + DEADLINE_MS;
    int n;

    while (n = SSL_write(s->ssl, bytes.at, (int)bytes.len), goes_on(s, n))
        ck_assert_int_lt(now_ms(), deadline);
    ck_assert_int_eq(n, bytes.len);
}

/* Returns as SSL_read(). */
static int secure_hears(struct secure *s, char *into, size_t most)
{
    int64_t deadline = now_ms() + DEADLINE_MS;
    int n;

    while (n = SSL_read(s->ssl, into, (int)most), goes_on(s, n))
        ck_assert_int_lt(now_ms(), deadline);
    return n;
}

static void expect_secure(struct secure *s, const char *expected)
{
    char heard[200];
    int n = secure_hears(s, heard, sizeof(heard));

    ck_assert_int_gt(n, 0);
    ck_assert_msg(slice_is((struct slice){ heard, (size_t)n }, slice_of(expected)), "heard '%.*s'",
                  n, heard);
}

START_TEST(tls_lies_between_and_ends_with_a_goodbye)
{
    static const struct slice how[] = { SLICE("linger"), SLICE("close") };

    stand_open(false, true);
    for (size_t i = 0; i < LENGTH(how); i++) {
        struct secure s = secure_new(client_open());
        char byte;
        secure_says(&s, SLICE("hello"));
        expect_secure(&s, ":hello\n");
        secure_says(&s, how[i]);
        int n = secure_hears(&s, &byte, 1);
        ck_assert_int_eq(SSL_get_error(s.ssl, n), SSL_ERROR_ZERO_RETURN);
        secure_close(&s);
    }
    stand_close();
}
END_TEST

START_TEST(a_goodbye_of_the_peer_is_its_end)
{
    stand_open(false, true);
    struct secure s = secure_new(client_open());
    secure_says(&s, SLICE("hello"));
    expect_secure(&s, ":hello\n");
    SSL_shutdown(s.ssl);
    pump();
    ck_assert_int_eq(stand.ended, 1);
    secure_close(&s);
    stand_close();
}
END_TEST

START_TEST(much_arrives_whole_though_its_reader_is_slow)
{
    stand_open(false, true);
    struct secure s = secure_new(client_open());
    char bytes[7000];
    uint8_t next = 0;
    secure_says(&s, SLICE("much"));
    for (int i = 0; i < 50; i++)
        pump();
    ck_assert_uint_gt(stand.much, MUCH / 2); /* it waits for us */
    for (size_t got = 0; got < MUCH;) {
        int n = secure_hears(&s, bytes, sizeof(bytes));
        ck_assert_int_gt(n, 0);
        for (int i = 0; i < n; i++)
            ck_assert_int_eq((uint8_t)bytes[i], next++);
        got += (size_t)n;
    }
    secure_says(&s, SLICE("still here"));
    expect_secure(&s, ":still here\n");
    secure_close(&s);
    stand_close();
}
END_TEST

START_TEST(what_tls_has_taken_goes_on_though_nothing_comes_after_it)
{
    stand_open(false, true);
    struct secure s = secure_new(client_open());
    char bytes[7000];
    secure_says(&s, SLICE("some"));
    for (int i = 0; i < 50; i++)
        pump();
    ck_assert_uint_eq(stand.much, 0); /* the protocol has nothing left */
    for (size_t got = 0; got < SOME;) {
        int n = secure_hears(&s, bytes, sizeof(bytes));
        ck_assert_int_gt(n, 0);
        got += (size_t)n;
    }
    secure_close(&s);
    stand_close();
}
END_TEST

START_TEST(a_header_may_come_before_tls_even_in_one_piece_with_it)
{
    stand_open(true, true);
    for (int together = 0; together < 2; together++) {
        struct secure s = secure_new(client_open());
        struct buf first = BUF_EMPTY;
        char hello[4000];
        int pair[2];
        buf_put(&first, SLICE(V2_HEAD));
        if (together) { /* let the client say its first words elsewhere */
            ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
            SSL_set_fd(s.ssl, pair[0]);
            SSL_do_handshake(s.ssl);
            ssize_t n = read(pair[1], hello, sizeof(hello));
            ck_assert_int_gt(n, 0);
            buf_put(&first, (struct slice){ hello, (size_t)n });
            SSL_set_fd(s.ssl, s.fd);
            close(pair[0]);
            close(pair[1]);
        }
        client_says(s.fd, buf_slice(&first));
        secure_says(&s, SLICE("hello"));
        expect_secure(&s, "192.0.2.7:hello\n");
        buf_fini(&first);
        secure_close(&s);
    }
    stand_close();
}
END_TEST

START_TEST(who_leaves_amid_a_handshake_is_let_go)
{
    stand_open(true, true);
    int fd = client_open();
    client_says(fd, SLICE(V2_HEAD "\x16\x03\x01\x02\0\x01"));
    ck_assert_uint_eq(stand.porch->count, 1);
    close(fd);
    for (int i = 0; i < 100 && stand.porch->count > 0; i++)
        pump();
    ck_assert_uint_eq(stand.porch->count, 0);
    stand_close();
}
END_TEST

SUITE(via)
{
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_header_says_who_is_there);
    tcase_add_test(tc, who_sends_no_header_where_one_must_be_is_closed);
    tcase_add_test(tc, elsewhere_a_header_is_never_believed);
    tcase_add_test(tc, tls_lies_between_and_ends_with_a_goodbye);
    tcase_add_test(tc, a_goodbye_of_the_peer_is_its_end);
    tcase_add_test(tc, much_arrives_whole_though_its_reader_is_slow);
    tcase_add_test(tc, what_tls_has_taken_goes_on_though_nothing_comes_after_it);
    tcase_add_test(tc, a_header_may_come_before_tls_even_in_one_piece_with_it);
    tcase_add_test(tc, who_leaves_amid_a_handshake_is_let_go);
}
