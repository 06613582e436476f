/*
 * tls_pair.c - one TLS connection, ours on one side and OpenSSL's client on the other.
 */
#include "tests/sidecar/tls_pair.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/porch.h"
#include "tests/peers/certificate.h"
#include "tests/peers/process.h"

struct tls_rig tls_rig;

static char plain[PORCH_READ_BYTES];

void tls_rig_context(void)
{
    struct buf error = BUF_EMPTY;

    tls_rig.context = tls_context_new(&(struct conf_list){ &tls_rig.pem, 1 },
                                      &(struct conf_list){ &tls_rig.key, 1 }, &error);
    ck_assert_msg(tls_rig.context != NULL, "%.*s", (int)error.len, error.at);
}

void tls_rig_set_up(void)
{
    tls_rig.dir = temp_folder("tls");
    certificate_make(tls_rig.dir, "one", 30);
    certificate_make(tls_rig.dir, "two", 30);
    certificate_make(tls_rig.dir, "now", 30);
    certificate_replace(tls_rig.dir, "now", "one");
    tls_rig.pem = text_of("%s/now.pem", tls_rig.dir);
    tls_rig.key = text_of("%s/now.key", tls_rig.dir);
    tls_rig_context();
}

void tls_rig_tear_down(void)
{
    tls_context_free(tls_rig.context);
    free(tls_rig.dir);
    free(tls_rig.pem);
    free(tls_rig.key);
}

void pair_open(struct pair *p, int version, SSL_SESSION *session)
{
    int fds[2];

    *p = (struct pair){ .last = -1 };
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    p->ours = fds[0];
    p->theirs = fds[1];
    p->tls = tls_new(tls_rig.context, p->ours);
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

void pair_close(struct pair *p)
{
    tls_free(p->tls);
    SSL_free(p->client);
    SSL_CTX_free(p->settings);
    buf_fini(&p->got);
    close(p->ours);
    if (p->theirs >= 0)
        close(p->theirs);
}

void server_reads(struct pair *p)
{
    p->last = tls_receive(p->tls, plain, sizeof(plain));
    p->last_error = errno;
    if (p->last > 0)
        buf_put(&p->got, (struct slice){ plain, (size_t)p->last });
}

bool client_to_server(struct pair *p, size_t piece)
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

bool server_to_client(struct pair *p)
{
    static char bytes[256 * 1024];
    ssize_t n = read(p->theirs, bytes, sizeof(bytes));

    if (n > 0)
        BIO_write(SSL_get_rbio(p->client), bytes, (int)n);
    if (n == 0)
        BIO_set_mem_eof_return(SSL_get_rbio(p->client), 0);
    return n > 0;
}

void shake_hands(struct pair *p, size_t piece)
{
    bool moved = true;

    while (moved) {
        SSL_do_handshake(p->client);
        moved = client_to_server(p, piece);
        moved |= server_to_client(p);
    }
}

void client_says(struct pair *p, struct slice bytes, size_t piece)
{
    ck_assert_int_eq(SSL_write(p->client, bytes.at, (int)bytes.len), bytes.len);
    client_to_server(p, piece);
}

ssize_t server_says(struct pair *p, struct slice bytes)
{
    struct iovec iov = { (void *)(uintptr_t)bytes.at, bytes.len };
    return tls_send(p->tls, &iov, 1, bytes.len);
}

void client_hears(struct pair *p, struct buf *into)
{
    char bytes[5000];
    int n;

    server_to_client(p);
    while ((n = SSL_read(p->client, bytes, sizeof(bytes))) > 0)
        buf_put(into, (struct slice){ bytes, (size_t)n });
}

void expect_heard(struct pair *p, struct slice expected)
{
    struct buf heard = BUF_EMPTY;

    client_hears(p, &heard);
    ck_assert(slice_is(buf_slice(&heard), expected));
    buf_fini(&heard);
}

const char *name_of_server(struct pair *p)
{
    static char name[100];
    X509 *x = SSL_get0_peer_certificate(p->client);

    ck_assert_ptr_nonnull(x);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, sizeof(name));
    return name;
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void pair_open_for(struct pair *p, int version, SSL_SESSION *session, const char *name)
{
    pair_open(p, version, session);
    if (name)
        ck_assert_int_eq(SSL_set_tlsext_host_name(p->client, name), 1);
    shake_hands(p, 1000);
}

SSL_SESSION *pair_ticket(int version, const char *name)
{
    struct pair p;
    struct buf nothing = BUF_EMPTY;

    pair_open_for(&p, version, NULL, name);
    server_says(&p, SLICE("and your ticket"));
    client_hears(&p, &nothing);
    buf_fini(&nothing);
    SSL_SESSION *session = SSL_get1_session(p.client);
    SSL_shutdown(p.client);
    pair_close(&p);
    return session;
}

bool pair_is_known(int version, SSL_SESSION *ticket, const char *name)
{
    struct pair p;

    pair_open_for(&p, version, ticket, name);
    client_says(&p, SLICE("hello"), 1000);
    ck_assert(slice_is(buf_slice(&p.got), SLICE("hello")));
    bool known = SSL_session_reused(p.client);
    SSL_shutdown(p.client); /* otherwise OpenSSL takes the ticket for spoilt */
    pair_close(&p);
    return known;
}

void expect_certificate(int version, const char *name, const char *wanted)
{
    struct pair p;

    pair_open_for(&p, version, NULL, name);
    ck_assert_str_eq(name_of_server(&p), wanted);
    pair_close(&p);
}
