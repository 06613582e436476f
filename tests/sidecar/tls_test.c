/*
 * tls_test.c - TLS on one connection: handshakes and records however they are cut, slow readers,
 * ends, and strangers.
 */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/outbox.h"
#include "tests/sidecar/tls_pair.h"
#include "tests/suite.h"

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

SUITE(tls)
{
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, tls_rig_set_up, tls_rig_tear_down);
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
}
