/*
 * tls.c - the server's side of TLS on one connection.
 *
 * OpenSSL's usual ways with sockets would cost two system calls for each record that is read, one
 * for each that is written, and a promise to offer the same bytes again after a write that would
 * block, which an outbox that cuts frames anew each time cannot keep.  So it is given memory
 * instead.
 */
#include "sidecar/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "sidecar/tls_priv.h"

enum { BACKLOG_MAX = 2 * TLS_OUT_MAX }; /* who makes us write, but does not read, is gone */

struct tls {
    SSL *ssl;
    struct tls_context *context;
    struct buf backlog; /* for the socket, in front of everything else */
    const char *why;    /* not NULL: it is over */
    int fd;
};

/* ---- between OpenSSL and memory -------------------------------------------------------------- */

static int memory_read(BIO *bio, char *out, int len)
{
    struct tls *t = BIO_get_data(bio);
    struct slice *in = &t->context->in;
    size_t n = in->len < (size_t)len ? in->len : (size_t)len;

    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, in->at, n);
    *in = (struct slice){ in->at + n, in->len - n };
    return (int)n;
}

/* As much as the socket takes. */
static enum rc send_some(const struct tls *t, struct slice *bytes)
{
    ssize_t n = send(t->fd, bytes->at, bytes->len, MSG_NOSIGNAL);

    if (n < 0)
        return errno == EINTR                            ? RC_OK
               : errno == EAGAIN || errno == EWOULDBLOCK ? RC_AGAIN
                                                         : RC_CLOSED;
    *bytes = (struct slice){ bytes->at + n, bytes->len - (size_t)n };
    return RC_OK;
}

/* Hand what OpenSSL has written to the socket; what that does not take waits.  False: it is over.
 */
static bool push(struct tls *t)
{
    struct tls_context *x = t->context;
    struct slice rest = { x->out, x->out_len };
    enum rc rc = tls_flush(t);

    x->out_len = 0;
    while (rc == RC_OK && rest.len > 0)
        rc = send_some(t, &rest);
    if (rc == RC_CLOSED)
        t->why = "the peer has left";
    else if (rest.len > BACKLOG_MAX - t->backlog.len)
        t->why = "the peer does not read";
    else if (rest.len > 0)
        buf_put(&t->backlog, rest);
    if (buf_rc(&t->backlog) != RC_OK)
        t->why = "out of memory";
    return !t->why;
}

static int memory_write(BIO *bio, const char *bytes, int len)
{
    struct tls *t = BIO_get_data(bio);
    struct tls_context *x = t->context;

    BIO_clear_retry_flags(bio);
    if ((size_t)len > sizeof(x->out) - x->out_len && !push(t))
        return -1;
    if ((size_t)len > sizeof(x->out))
        return -1; /* a record has at most SSL3_RT_MAX_PACKET_SIZE */
    memcpy(x->out + x->out_len, bytes, (size_t)len);
    x->out_len += (size_t)len;
    return len;
}

static long memory_control(BIO *bio, int what, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return what == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_memory_new(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "memory of bellpush");

    if (!m || (BIO_meth_set_read(m, memory_read) && BIO_meth_set_write(m, memory_write) &&
               BIO_meth_set_ctrl(m, memory_control)))
        return m;
    BIO_meth_free(m);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

struct tls *tls_new(struct tls_context *context, int fd)
{
    struct tls *t = calloc(1, sizeof(*t));
    SSL *ssl = t ? SSL_new(context->set.ssl[0]) : NULL;
    BIO *bio = ssl ? BIO_new(context->memory) : NULL;

    if (!bio) {
        ERR_clear_error();
        SSL_free(ssl);
        free(t);
        return NULL;
    }
    *t = (struct tls){ .ssl = ssl, .context = context, .fd = fd };
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    return t;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    buf_fini(&t->backlog);
    free(t);
}

const char *tls_why(const struct tls *t)
{
    return t->why ? t->why : "TLS";
}

static ssize_t failed(struct tls *t, int why, const char *words)
{
    if (!t->why)
        t->why = words;
    errno = why;
    return -1;
}

/* ---- in -------------------------------------------------------------------------------------- */

/* Somebody speaks HTTP in clear where TLS is spoken: the most frequent slip. */
static void answer_in_clear(const struct tls *t)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\n"
                                 "Content-Type: text/plain\r\n"
                                 "Connection: close\r\n\r\n"
                                 "This port speaks TLS: the address begins with https.\n";

    (void)!send(t->fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
}

static ssize_t read_failed(struct tls *t)
{
    bool in_clear = ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;

    if (in_clear) {
        t->context->out_len = 0; /* an alert would be noise to it */
        answer_in_clear(t);
    } else {
        (void)push(t); /* the alert that says what was wrong */
    }
    return failed(t, EPROTO, tls_reason());
}

/* All that context->in holds; the invariant: nothing stays in it. */
static ssize_t read_all(struct tls *t, char *at, size_t len)
{
    size_t got = 0;
    int n = 1, error = SSL_ERROR_NONE;

    ERR_clear_error();
    while (got < len) {
        n = SSL_read(t->ssl, at + got, (int)(len - got));
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    if (n <= 0)
        error = SSL_get_error(t->ssl, n);
    if (error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL) {
        ssize_t rc = read_failed(t);
        return got > 0 ? (ssize_t)got : rc; /* what was good before counts; then it is over */
    }
    if (!push(t))
        return failed(t, EPIPE, NULL);
    if (got > 0)
        return (ssize_t)got;
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = EAGAIN;
    return -1;
}

ssize_t tls_receive(struct tls *t, char *at, size_t len)
{
    struct tls_context *x = t->context;

    if (t->why)
        return failed(t, EPROTO, NULL);
    ssize_t n = recv(t->fd, x->in_bytes, sizeof(x->in_bytes), 0);
    if (n <= 0)
        return n;
    x->in = (struct slice){ x->in_bytes, (size_t)n };
    return read_all(t, at, len);
}

ssize_t tls_receive_from(struct tls *t, struct slice bytes, char *at, size_t len)
{
    struct tls_context *x = t->context;

    _Static_assert((int)TLS_FROM_MAX <= (int)TLS_IN_MAX, "what others receive must fit");
    memcpy(x->in_bytes, bytes.at, bytes.len); /* they may lie where `at` is */
    x->in = (struct slice){ x->in_bytes, bytes.len };
    return read_all(t, at, len);
}

/* ---- out ------------------------------------------------------------------------------------- */

size_t tls_waiting(const struct tls *t)
{
    return t->backlog.len;
}

enum rc tls_flush(struct tls *t)
{
    struct slice rest = buf_slice(&t->backlog);
    enum rc rc = RC_OK;

    while (rc == RC_OK && rest.len > 0)
        rc = send_some(t, &rest);
    buf_shift(&t->backlog, t->backlog.len - rest.len);
    if (rest.len == 0 && t->backlog.cap > 0)
        buf_fini(&t->backlog);
    return rc;
}

/* Some pieces, up to here. */
struct walk {
    const struct iovec *iov;
    int left;
    size_t off;
};

/* As many of the next bytes as fit. */
static size_t gather(struct walk *w, char *into, size_t most)
{
    size_t got = 0;

    while (w->left > 0 && got < most) {
        size_t n = w->iov->iov_len - w->off < most - got ? w->iov->iov_len - w->off : most - got;
        memcpy(into + got, (const char *)w->iov->iov_base + w->off, n);
        got += n;
        w->off += n;
        if (w->off == w->iov->iov_len) {
            w->iov++;
            w->left--;
            w->off = 0;
        }
    }
    return got;
}

ssize_t tls_send(struct tls *t, const struct iovec *iov, int pieces, size_t bytes)
{
    struct walk walk = { iov, pieces, 0 };
    char record[TLS_RECORD_MAX];
    size_t taken = 0;

    if (t->why || !SSL_is_init_finished(t->ssl)) /* before the handshake nothing can be said */
        return failed(t, EPIPE, "no handshake yet");
    enum rc rc = tls_flush(t);
    if (rc == RC_CLOSED)
        return failed(t, EPIPE, "the peer has left");
    if (rc == RC_AGAIN) {
        errno = EAGAIN;
        return -1;
    }
    ERR_clear_error();
    for (int i = 0; i < TLS_RECORDS_PER_SEND && taken < bytes; i++) {
        size_t n = gather(&walk, record, sizeof(record));
        if (n == 0)
            break;
        if (SSL_write(t->ssl, record, (int)n) != (int)n) {
            t->context->out_len = 0;
            return failed(t, EPIPE, tls_reason());
        }
        taken += n;
    }
    return push(t) ? (ssize_t)taken : failed(t, EPIPE, NULL);
}

void tls_goodbye(struct tls *t)
{
    if (t->why || t->backlog.len > 0 || !SSL_is_init_finished(t->ssl))
        return;
    ERR_clear_error();
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
    (void)push(t);
}
