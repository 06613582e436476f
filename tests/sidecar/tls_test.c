/*
 * tls_test.c - TLS between a socket pair's ends: a client of OpenSSL's own, whose bytes are held in
 * memory and brought to the socket in pieces of any size.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/outbox.h"
#include "sidecar/tls.h"
#include "tests/logged.h"
#include "tests/peers/certificate.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { LOOK_MS = 60 };

static char *dir, *pem, *key;
static struct tls_context *context;
static char plain[PORCH_READ_BYTES];

/* ---- both sides ------------------------------------------------------------------------------ */

struct pair {
    int ours, theirs; /* sockets */
    struct tls *tls;
    SSL_CTX *settings;
    SSL *client;
    struct buf got; /* what the server has read */
    ssize_t last;   /* what tls_receive() said last, */
    int last_error; /* and why */
};

static void context_open(void)
{
    struct buf error = BUF_EMPTY;

    context = tls_context_new(pem, key, &error);
    ck_assert_msg(context != NULL, "%.*s", (int)error.len, error.at);
}

static void set_up(void)
{
    dir = temp_folder("tls");
    certificate_make(dir, "one", 30);
    certificate_make(dir, "two", 30);
    certificate_make(dir, "now", 30);
    certificate_replace(dir, "now", "one");
    pem = text_of("%s/now.pem", dir);
    key = text_of("%s/now.key", dir);
    context_open();
}

static void tear_down(void)
{
    tls_context_free(context);
    free(dir);
    free(pem);
    free(key);
}

static void pair_open(struct pair *p, int version, SSL_SESSION *session)
{
    int fds[2];

    *p = (struct pair){ .last = -1 };
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    p->ours = fds[0];
    p->theirs = fds[1];
    p->tls = tls_new(context, p->ours);
    ck_assert_ptr_nonnull(p->tls);
    p->settings = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(p->settings, 0);
    SSL_CTX_set_min_proto_version(p->settings, version);
    SSL_CTX_set_max_proto_version(p->settings, version);
    p->client = SSL_new(p->settings);
    SSL_set_bio(p->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(p->client);
    if (session)
        SSL_set_session(p->client, session);
}

static void pair_close(struct pair *p)
{
    tls_free(p->tls);
    SSL_free(p->client);
    SSL_CTX_free(p->settings);
    buf_fini(&p->got);
    close(p->ours);
    if (p->theirs >= 0)
        close(p->theirs);
}

/* The server reads once. */
static void server_reads(struct pair *p)
{
    p->last = tls_receive(p->tls, plain, sizeof(plain));
    p->last_error = errno;
    if (p->last > 0)
        buf_put(&p->got, (struct slice){ plain, (size_t)p->last });
}

/* What the client has written goes to the server in pieces; after each of them it reads. */
static bool client_to_server(struct pair *p, size_t piece)
{
    char *at;
    size_t len = (size_t)BIO_get_mem_data(SSL_get_wbio(p->client), &at), sent = 0;

    while (sent < len) {
        size_t n = len - sent < piece ? len - sent : piece;
        ck_assert_int_eq(write(p->theirs, at + sent, n), n);
        sent += n;
        server_reads(p);
    }
    (void)BIO_reset(SSL_get_wbio(p->client));
    return len > 0;
}

static bool server_to_client(struct pair *p)
{
    static char bytes[256 * 1024];
    ssize_t n = read(p->theirs, bytes, sizeof(bytes));

    if (n > 0)
        BIO_write(SSL_get_rbio(p->client), bytes, (int)n);
    if (n == 0)
        BIO_set_mem_eof_return(SSL_get_rbio(p->client), 0);
    return n > 0;
}

/* Both go on until nothing moves any more. */
static void shake_hands(struct pair *p, size_t piece)
{
    bool moved = true;

    while (moved) {
        SSL_do_handshake(p->client);
        moved = client_to_server(p, piece);
        moved |= server_to_client(p);
    }
}

static void client_says(struct pair *p, struct slice bytes, size_t piece)
{
    ck_assert_int_eq(SSL_write(p->client, bytes.at, (int)bytes.len), bytes.len);
    client_to_server(p, piece);
}

static ssize_t server_says(struct pair *p, struct slice bytes)
{
    struct iovec iov = { (void *)(uintptr_t)bytes.at, bytes.len };
    return tls_send(p->tls, &iov, 1, bytes.len);
}

/* All that the client can read now. */
static void client_hears(struct pair *p, struct buf *into)
{
    char bytes[5000];
    int n;

    server_to_client(p);
    while ((n = SSL_read(p->client, bytes, sizeof(bytes))) > 0)
        buf_put(into, (struct slice){ bytes, (size_t)n });
}

static void expect_heard(struct pair *p, struct slice expected)
{
    struct buf heard = BUF_EMPTY;

    client_hears(p, &heard);
    ck_assert(slice_is(buf_slice(&heard), expected));
    buf_fini(&heard);
}

static const char *name_of_server(struct pair *p)
{
    static char name[100];
    X509 *x = SSL_get0_peer_certificate(p->client);

    ck_assert_ptr_nonnull(x);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, sizeof(name));
    return name;
}

/* ---- talking --------------------------------------------------------------------------------- */

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

START_TEST(a_handshake_is_the_same_however_it_is_cut)
{
    static const size_t pieces[] = { 1, 2, 3, 5, 6, 64, 1000, 100000 };

    for (size_t i = 0; i < LENGTH(versions) * LENGTH(pieces); i++) {
        struct pair p;
        size_t piece = pieces[i / LENGTH(versions)];
        pair_open(&p, versions[i % LENGTH(versions)], NULL);
        shake_hands(&p, piece);
        ck_assert(SSL_is_init_finished(p.client));
        ck_assert(p.last == -1 && p.last_error == EAGAIN);
        client_says(&p, SLICE("GET / HTTP/1.1\r\n"), piece);
        ck_assert(slice_is(buf_slice(&p.got), SLICE("GET / HTTP/1.1\r\n")));
        ck_assert_int_eq(server_says(&p, SLICE("HTTP/1.1 200 OK\r\n")), 17);
        ck_assert_uint_eq(tls_waiting(p.tls), 0);
        expect_heard(&p, SLICE("HTTP/1.1 200 OK\r\n"));
        pair_close(&p);
    }
}
END_TEST

START_TEST(much_that_comes_at_once_is_read_at_once)
{
    static char much[200000];
    struct pair p;

    for (size_t i = 0; i < sizeof(much); i++)
        much[i] = (char)(i * 7 + i / 251);
    pair_open(&p, TLS1_3_VERSION, NULL);
    shake_hands(&p, 1000);
    /* so that each read ends amid a record */
    client_says(&p, (struct slice){ much, sizeof(much) }, 61000);
    while (p.last_error = 0, server_reads(&p), p.last > 0)
        ;
    ck_assert_int_eq(p.last_error, EAGAIN);
    ck_assert(slice_is(buf_slice(&p.got), (struct slice){ much, sizeof(much) }));
    pair_close(&p);
}
END_TEST

START_TEST(several_records_and_a_goodbye_in_one_piece_are_all_heard)
{
    struct pair p;

    pair_open(&p, TLS1_3_VERSION, NULL);
    shake_hands(&p, 1000);
    for (int i = 0; i < 40; i++)
        SSL_write(p.client, "word ", 5);
    SSL_shutdown(p.client);
    client_to_server(&p, 100000);
    ck_assert_uint_eq(p.got.len, 200);
    shutdown(p.theirs, SHUT_WR);
    server_reads(&p);
    ck_assert_int_eq(p.last, 0);
    ck_assert_int_eq(server_says(&p, SLICE("still heard")), 11);
    expect_heard(&p, SLICE("still heard"));
    pair_close(&p);
}
END_TEST

START_TEST(a_goodbye_alone_is_the_end)
{
    struct pair p;

    pair_open(&p, TLS1_3_VERSION, NULL);
    shake_hands(&p, 1000);
    SSL_shutdown(p.client);
    client_to_server(&p, 1000);
    ck_assert_int_eq(p.last, 0);
    pair_close(&p);
}
END_TEST

START_TEST(our_goodbye_tells_an_end_from_a_cut)
{
    for (int polite = 0; polite < 2; polite++) {
        struct pair p;
        char byte;
        pair_open(&p, TLS1_3_VERSION, NULL);
        shake_hands(&p, 1000);
        if (polite)
            tls_goodbye(p.tls);
        close(p.ours);
        p.ours = -1;
        server_to_client(&p);
        server_to_client(&p);
        int n = SSL_read(p.client, &byte, 1);
        ck_assert_int_le(n, 0);
        ck_assert_int_eq(SSL_get_error(p.client, n) == SSL_ERROR_ZERO_RETURN, polite);
        pair_close(&p);
    }
}
END_TEST

static size_t bracket_frame(void *arg, size_t payload, uint8_t head[OUTBOX_HEAD_MAX])
{
    (void)arg;
    return (size_t)snprintf((char *)head, OUTBOX_HEAD_MAX, payload ? "<%zu>" : "<end>", payload);
}

static ssize_t into_tls(void *to, const struct iovec *iov, int pieces, size_t bytes)
{
    return tls_send(to, iov, pieces, bytes);
}

/* Undo bracket_frame(). */
static void unframe(const struct buf *wire, struct buf *payload)
{
    for (size_t i = 0; i < wire->len;) {
        char *after;
        ck_assert_int_eq(wire->at[i], '<');
        size_t len = strtoul(wire->at + i + 1, &after, 10);
        i = (size_t)(after + 1 - wire->at);
        buf_put(payload, (struct slice){ wire->at + i, len });
        i += len;
    }
}

START_TEST(a_slow_reader_gets_all_of_it_though_frames_are_cut_anew)
{
    struct buf wanted = BUF_EMPTY, wire = BUF_EMPTY, payload = BUF_EMPTY;
    struct outbox out;
    struct pair p;
    int stuck = 0;

    pair_open(&p, TLS1_3_VERSION, NULL);
    shake_hands(&p, 1000);
    setsockopt(p.ours, SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int));
    outbox_init(&out);
    for (int round = 0; round < 200; round++) {
        char piece[3000];
        memset(piece, 'a' + round % 26, sizeof(piece));
        struct slice bytes = { piece, (size_t)(round * 37 % 2999 + 1) };
        buf_put(&wanted, bytes);
        ck_assert_int_eq(outbox_put(&out, bytes), RC_OK);
        enum rc rc = outbox_send_to(&out, into_tls, p.tls, bracket_frame, NULL);
        stuck += rc == RC_AGAIN;
        ck_assert(rc == RC_AGAIN || rc == RC_OK);
        if (round % 10 == 9)
            client_hears(&p, &wire);
    }
    ck_assert_int_gt(stuck, 50);
    for (;;) {
        enum rc rc = outbox_send_to(&out, into_tls, p.tls, bracket_frame, NULL);
        enum rc flushed = tls_flush(p.tls);
        client_hears(&p, &wire);
        if (rc == RC_OK && flushed == RC_OK)
            break;
    }
    unframe(&wire, &payload);
    ck_assert(slice_is(buf_slice(&payload), buf_slice(&wanted)));
    ck_assert_uint_eq(tls_waiting(p.tls), 0);
    outbox_fini(&out);
    buf_fini(&wanted);
    buf_fini(&wire);
    buf_fini(&payload);
    pair_close(&p);
}
END_TEST

/* ---- strangers ------------------------------------------------------------------------------- */

static void server_hears(struct pair *p, struct slice raw)
{
    ck_assert_int_eq(write(p->theirs, raw.at, raw.len), raw.len);
    server_reads(p);
}

START_TEST(http_in_clear_is_told_so_in_clear)
{
    static const struct slice asked[] = { SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
                                          SLICE("POST /publish HTTP/1.1\r\n\r\n") };
    char said[1000];

    for (size_t i = 0; i < LENGTH(asked); i++) {
        struct pair p;
        pair_open(&p, TLS1_3_VERSION, NULL);
        server_hears(&p, asked[i]);
        ck_assert(p.last == -1 && p.last_error == EPROTO);
        ssize_t n = read(p.theirs, said, sizeof(said) - 1);
        ck_assert_int_gt(n, 0);
        said[n] = '\0';
        ck_assert_msg(strstr(said, "HTTP/1.1 400 ") == said && strstr(said, "https"), "%s", said);
        pair_close(&p);
    }
}
END_TEST

START_TEST(garbage_is_refused_with_an_alert_and_nothing_more_is_read)
{
    struct pair p;
    uint8_t said[100];

    pair_open(&p, TLS1_3_VERSION, NULL);
    server_hears(&p, SLICE("\x16\x03\x01\x00\x05hello there"));
    ck_assert(p.last == -1 && p.last_error == EPROTO);
    ck_assert_int_gt(read(p.theirs, said, sizeof(said)), 5);
    ck_assert_int_eq(said[0], 21); /* alert: RFC 8446 section 5.1 */
    ck_assert_str_ne(tls_why(p.tls), "TLS");
    server_hears(&p, SLICE("more"));
    ck_assert(p.last == -1 && p.last_error == EPROTO);
    ck_assert_int_eq(server_says(&p, SLICE("to whom?")), -1);
    pair_close(&p);
}
END_TEST

START_TEST(a_byte_changed_on_the_way_ends_it_and_what_came_before_counts)
{
    struct pair p;
    char *at;

    pair_open(&p, TLS1_3_VERSION, NULL);
    shake_hands(&p, 1000);
    SSL_write(p.client, "good", 4);
    SSL_write(p.client, "evil", 4);
    long len = BIO_get_mem_data(SSL_get_wbio(p.client), &at);
    at[len - 1] ^= 1;
    client_to_server(&p, 100000);
    ck_assert(slice_is(buf_slice(&p.got), SLICE("good")));
    server_reads(&p);
    ck_assert(p.last == -1 && p.last_error == EPROTO);
    pair_close(&p);
}
END_TEST

START_TEST(old_versions_are_refused)
{
    struct pair p;

    pair_open(&p, TLS1_1_VERSION, NULL);
    SSL_set_cipher_list(p.client, "ALL:@SECLEVEL=0");
    shake_hands(&p, 1000);
    ck_assert(!SSL_is_init_finished(p.client));
    ck_assert(p.last == -1 && p.last_error == EPROTO);
    pair_close(&p);
}
END_TEST

START_TEST(a_weak_cipher_is_refused)
{
    static const char *const weak[] = { "AES128-SHA", "ECDHE-ECDSA-AES128-SHA" };

    for (size_t i = 0; i < LENGTH(weak); i++) {
        struct pair p;
        pair_open(&p, TLS1_2_VERSION, NULL);
        ck_assert_int_eq(SSL_set_cipher_list(p.client, weak[i]), 1);
        shake_hands(&p, 1000);
        ck_assert(!SSL_is_init_finished(p.client));
        pair_close(&p);
    }
}
END_TEST

START_TEST(nothing_is_said_before_the_handshake)
{
    struct pair p;

    pair_open(&p, TLS1_3_VERSION, NULL);
    ck_assert_int_eq(server_says(&p, SLICE("503")), -1);
    ck_assert_int_eq(errno, EPIPE); /* not EAGAIN: it would be asked again and again */
    pair_close(&p);
}
END_TEST

START_TEST(the_protocol_is_http_or_none)
{
    static const struct {
        struct slice offered;
        const char *chosen; /* NULL: refused */
    } cases[] = {
        { SLICE("\x02h2\x08http/1.1"), "http/1.1" },
        { SLICE("\x08http/1.0"), "http/1.0" },
        { SLICE("\x02h2"), NULL },
    };

    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct pair p;
        const unsigned char *name;
        unsigned len;
        pair_open(&p, TLS1_3_VERSION, NULL);
        SSL_set_alpn_protos(p.client, (const unsigned char *)cases[i].offered.at,
                            (unsigned)cases[i].offered.len);
        shake_hands(&p, 1000);
        SSL_get0_alpn_selected(p.client, &name, &len);
        ck_assert_int_eq(SSL_is_init_finished(p.client), cases[i].chosen != NULL);
        ck_assert(slice_is((struct slice){ (const char *)name, len }, slice_of(cases[i].chosen)));
        pair_close(&p);
    }
}
END_TEST

START_TEST(a_second_handshake_is_refused)
{
    struct pair p;

    pair_open(&p, TLS1_2_VERSION, NULL);
    shake_hands(&p, 1000);
    ck_assert_int_eq(SSL_renegotiate(p.client), 1);
    shake_hands(&p, 1000);
    ck_assert(SSL_renegotiate_pending(p.client) || !SSL_is_init_finished(p.client));
    pair_close(&p);
}
END_TEST

START_TEST(who_makes_us_write_and_does_not_read_is_gone)
{
    struct pair p;
    int rounds = 0;

    pair_open(&p, TLS1_3_VERSION, NULL);
    shake_hands(&p, 1000);
    setsockopt(p.ours, SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int));
    do { /* each asks for an answer: RFC 8446 section 4.6.3 */
        ck_assert_int_eq(SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED), 1);
        ck_assert_int_eq(SSL_write(p.client, "x", 1), 1);
        client_to_server(&p, 100000);
    } while (p.last == 1 && ++rounds < 100000);
    ck_assert(p.last == -1 && p.last_error != EAGAIN);
    ck_assert_int_gt(rounds, 100);
    pair_close(&p);
}
END_TEST

/* ---- certificates ---------------------------------------------------------------------------- */

/* A server, as far as looking after files needs one; its loop does not run. */
static uv_loop_t loop;
static struct server server;

static void watch(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    server = (struct server){ .loop = &loop, .wheel = wheel_new(&loop) };
    ck_assert_ptr_nonnull(server.wheel);
    logged_begin(&server.log);
    tls_context_watch(context, &server, LOOK_MS);
}

static void unwatch(void)
{
    tls_context_unwatch(context);
    tls_context_free(context);
    context = NULL;
    wheel_free(server.wheel);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static void expect_served(const char *name)
{
    struct pair p;

    pair_open(&p, TLS1_3_VERSION, NULL);
    shake_hands(&p, 1000);
    ck_assert_str_eq(name_of_server(&p), name);
    pair_close(&p);
}

START_TEST(a_new_certificate_is_for_those_who_come_then)
{
    struct pair p;

    watch();
    pair_open(&p, TLS1_3_VERSION, NULL);
    shake_hands(&p, 1000);
    certificate_replace(dir, "now", "two");
    expect_served("one");
    tls_context_reload(context);
    expect_served("two");
    logged_expect(&server.log, "has been read again");
    client_says(&p, SLICE("still here"), 3);
    ck_assert(slice_is(buf_slice(&p.got), SLICE("still here")));
    ck_assert_str_eq(name_of_server(&p), "one");
    pair_close(&p);
    unwatch();
}
END_TEST

static void expect_kept(const char *why)
{
    struct buf error = BUF_EMPTY;

    tls_context_reload(context);
    logged_expect(&server.log, why);
    logged_expect(&server.log, "the old certificate stays");
    expect_served("one");
    /* and a process that starts now says the same */
    ck_assert_ptr_null(tls_context_new(pem, key, &error));
    buf_putc(&error, '\0');
    ck_assert_msg(strstr(error.at, why) != NULL, "%s", error.at);
    buf_fini(&error);
}

START_TEST(what_cannot_be_used_leaves_the_old_certificate_in_place)
{
    char *two_key = text_of("%s/two.key", dir), *other = file_read(two_key);
    char *one_key = text_of("%s/one.key", dir), *mine = file_read(one_key);
    char *text = file_read(pem), *locked = text_of("%s/locked.key", dir);

    watch();
    file_write(pem, SLICE("not a certificate\n"));
    expect_kept("no start line");
    file_write(pem, (struct slice){ text, strlen(text) / 2 }); /* half written */
    expect_kept("now.pem: ");
    file_write(pem, slice_of(text));
    file_write(key, slice_of(other));
    expect_kept("key values mismatch");
    file_write(key, slice_of(mine));
    chmod(key, 0644);
    expect_kept("is open to everybody");
    const char *const argv[] = { "openssl",  "ec",     "-in",  two_key, "-aes256",
                                 "-passout", "pass:x", "-out", locked,  NULL };
    ck_assert_int_eq(process_run(&(struct process_spec){ .argv = argv, .log = "/dev/null" }, 20000),
                     0);
    free(other);
    other = file_read(locked);
    chmod(key, 0600);
    file_write(key, slice_of(other));
    expect_kept("now.key: ");
    unlink(key);
    expect_kept("No such file or directory");
    file_write(key, slice_of(mine));
    chmod(key, 0600);
    certificate_replace(dir, "now", "two");
    tls_context_reload(context);
    expect_served("two");
    free(two_key);
    free(one_key);
    free(other);
    free(mine);
    free(text);
    free(locked);
    unwatch();
}
END_TEST

/* Let the loop's clock stand further on, and ring. */
static void on_over(struct alarm *alarm)
{
    *(bool *)(alarm + 1) = true;
}

static void run_for(uint64_t ms)
{
    struct {
        struct alarm alarm;
        bool over;
    } until = { .over = false };

    alarm_set(server.wheel, &until.alarm, ms, on_over);
    while (!until.over)
        uv_run(&loop, UV_RUN_ONCE);
}

START_TEST(files_that_change_are_read_again_and_trouble_is_told_once)
{
    watch();
    run_for(3 * LOOK_MS);
    ck_assert_str_eq(logged(&server.log), ""); /* nothing has changed */
    certificate_replace(dir, "now", "two");
    run_for(3 * LOOK_MS);
    expect_served("two");
    file_write(pem, SLICE("not a certificate\n"));
    run_for(6 * LOOK_MS);
    ck_assert_int_eq(logged_count(&server.log, "the old certificate stays"), 1);
    expect_served("two");
    unwatch();
}
END_TEST

START_TEST(a_certificate_at_its_end_is_told)
{
    certificate_make(dir, "short", 3);
    certificate_replace(dir, "now", "short");
    watch();
    tls_context_reload(context);
    logged_expect(&server.log, "now.pem expires in ");
    unwatch();
}
END_TEST

START_TEST(certificate_and_key_may_be_one_file)
{
    struct buf both = BUF_EMPTY, error = BUF_EMPTY;
    char *a = file_read(pem), *b = file_read(key), *path = text_of("%s/both.pem", dir);

    buf_puts(&both, a);
    buf_puts(&both, b);
    file_write(path, buf_slice(&both));
    chmod(path, 0600);
    tls_context_free(context);
    context = tls_context_new(path, "", &error);
    ck_assert_ptr_nonnull(context);
    expect_served("one");
    free(a);
    free(b);
    free(path);
    buf_fini(&both);
}
END_TEST

/* ---- sessions -------------------------------------------------------------------------------- */

START_TEST(a_ticket_is_good_after_a_new_certificate_too)
{
    watch();
    for (size_t i = 0; i < LENGTH(versions); i++) {
        struct pair p;
        struct buf nothing = BUF_EMPTY;
        pair_open(&p, versions[i], NULL);
        shake_hands(&p, 1000);
        server_says(&p, SLICE("and your ticket"));
        client_hears(&p, &nothing);
        buf_fini(&nothing);
        SSL_SESSION *session = SSL_get1_session(p.client);
        SSL_shutdown(p.client);
        pair_close(&p);
        certificate_replace(dir, "now", i == 0 ? "two" : "one");
        tls_context_reload(context);
        pair_open(&p, versions[i], session);
        shake_hands(&p, 1000);
        ck_assert(SSL_session_reused(p.client));
        pair_close(&p);
        SSL_SESSION_free(session);
    }
    unwatch();
}
END_TEST

SUITE(tls)
{
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_handshake_is_the_same_however_it_is_cut);
    tcase_add_test(tc, much_that_comes_at_once_is_read_at_once);
    tcase_add_test(tc, several_records_and_a_goodbye_in_one_piece_are_all_heard);
    tcase_add_test(tc, a_goodbye_alone_is_the_end);
    tcase_add_test(tc, our_goodbye_tells_an_end_from_a_cut);
    tcase_add_test(tc, a_slow_reader_gets_all_of_it_though_frames_are_cut_anew);
    tcase_add_test(tc, http_in_clear_is_told_so_in_clear);
    tcase_add_test(tc, garbage_is_refused_with_an_alert_and_nothing_more_is_read);
    tcase_add_test(tc, a_byte_changed_on_the_way_ends_it_and_what_came_before_counts);
    tcase_add_test(tc, old_versions_are_refused);
    tcase_add_test(tc, a_weak_cipher_is_refused);
    tcase_add_test(tc, nothing_is_said_before_the_handshake);
    tcase_add_test(tc, the_protocol_is_http_or_none);
    tcase_add_test(tc, a_second_handshake_is_refused);
    tcase_add_test(tc, who_makes_us_write_and_does_not_read_is_gone);
    tcase_add_test(tc, a_new_certificate_is_for_those_who_come_then);
    tcase_add_test(tc, what_cannot_be_used_leaves_the_old_certificate_in_place);
    tcase_add_test(tc, files_that_change_are_read_again_and_trouble_is_told_once);
    tcase_add_test(tc, a_certificate_at_its_end_is_told);
    tcase_add_test(tc, certificate_and_key_may_be_one_file);
    tcase_add_test(tc, a_ticket_is_good_after_a_new_certificate_too);
}
