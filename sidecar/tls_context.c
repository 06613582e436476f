/*
 * tls_context.c - what all TLS connections of a process share.
 *
 * An SSL_CTX keeps its certificate: a new one takes its place, and each connection holds on to that
 * which it has begun with.  The key of the tickets goes over to the new one, so that a client that
 * comes back is known after a change of certificates, too.
 *
 * Whoever gets hold of that key can read what he has recorded of sessions of TLS 1.2 with tickets.
 * So it does not stay: after some hours it becomes a hash of itself.  All workers have been forked
 * from one process and take the same steps, and nothing is left that opens what was sealed before.
 */
#include "sidecar/tls_context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "sidecar/tls_priv.h"

enum {
    TICKET_KEY_MAX = 128, /* OpenSSL has 80 bytes */
    EXPIRES_SOON_S = 7 * 24 * 3600,
};

const char *tls_reason(void)
{
    unsigned long code = ERR_peek_error();
    const char *why = code ? ERR_reason_error_string(code) : NULL;

    if (code && ERR_SYSTEM_ERROR(code))
        why = strerror(ERR_GET_REASON(code));
    ERR_clear_error();
    return why ? why : "no reason given";
}

/* ---- what is offered ------------------------------------------------------------------------- */

/* A key that wants a passphrase is refused: there is nobody to ask. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

/* RFC 7301: who offers protocols, but none of ours, is told so. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned offered_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1\x08http/1.0";
    unsigned char *chosen = NULL;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/*
 * TLS 1.3 as it comes; of 1.2 only what has forward secrecy and authenticated encryption.  Tickets
 * are the clients' to keep: no session is kept here.  Buffers are given back while nothing is under
 * way: an idle connection then costs a third.
 */
static SSL_CTX *settings_new(void)
{
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());

    if (!ssl)
        return NULL;
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
    SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
    if (SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
        SSL_CTX_set_num_tickets(ssl, 1) == 1)
        return ssl;
    SSL_CTX_free(ssl);
    return NULL;
}

/* ---- tickets --------------------------------------------------------------------------------- */

struct ticket_key {
    unsigned char bytes[TICKET_KEY_MAX];
    size_t len;
};

static bool ticket_key_get(SSL_CTX *ssl, struct ticket_key *key)
{
    long len = SSL_CTX_get_tlsext_ticket_keys(ssl, NULL, 0);

    key->len = len > 0 && (size_t)len <= sizeof(key->bytes) ? (size_t)len : 0;
    return key->len > 0 && SSL_CTX_get_tlsext_ticket_keys(ssl, key->bytes, len) == 1;
}

static bool ticket_key_set(SSL_CTX *ssl, struct ticket_key *key)
{
    return SSL_CTX_set_tlsext_ticket_keys(ssl, key->bytes, (long)key->len) == 1;
}

/* The old one has connections that have begun with it: what it still seals is nobody's. */
static bool move_ticket_key(SSL_CTX *from, SSL_CTX *to)
{
    struct ticket_key key, chance;
    bool moved = ticket_key_get(from, &key) && ticket_key_set(to, &key);

    chance.len = key.len;
    if (moved)
        moved = RAND_bytes(chance.bytes, (int)chance.len) == 1 && ticket_key_set(from, &chance);
    OPENSSL_cleanse(&key, sizeof(key));
    OPENSSL_cleanse(&chance, sizeof(chance));
    return moved;
}

static bool turn_ticket_key(SSL_CTX *ssl)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    struct ticket_key key;
    bool turned = hash && ticket_key_get(ssl, &key) &&
                  EVP_DigestInit_ex(hash, EVP_shake256(), NULL) == 1 &&
                  EVP_DigestUpdate(hash, key.bytes, key.len) == 1 &&
                  EVP_DigestFinalXOF(hash, key.bytes, key.len) == 1 && ticket_key_set(ssl, &key);

    EVP_MD_CTX_free(hash);
    OPENSSL_cleanse(&key, sizeof(key));
    return turned;
}

void tls_context_age(struct tls_context *x, uint64_t ms)
{
    while (x->ticket_turns < ms / TLS_TICKET_KEY_MS && turn_ticket_key(x->ssl))
        x->ticket_turns++;
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool complain(struct buf *error, const char *setting, const char *path, const char *why)
{
    buf_printf(error, "%s: %s: %s\n", setting, path, why);
    return false;
}

/* Remember the file as it is before it is read: what changes while we read is read again. */
static bool look_at(struct tls_file *file, const char *setting, struct buf *error)
{
    if (stat(file->path, &file->as) == 0)
        return true;
    file->as = (struct stat){ .st_size = 0 };
    return complain(error, setting, file->path, strerror(errno));
}

static bool has_changed(const struct tls_file *file)
{
    struct stat now = { .st_size = 0 };
    const struct stat *as = &file->as;

    (void)stat(file->path, &now);
    return now.st_dev != as->st_dev || now.st_ino != as->st_ino || now.st_size != as->st_size ||
           now.st_mtim.tv_sec != as->st_mtim.tv_sec || now.st_mtim.tv_nsec != as->st_mtim.tv_nsec ||
           now.st_ctim.tv_sec != as->st_ctim.tv_sec || now.st_ctim.tv_nsec != as->st_ctim.tv_nsec;
}

static bool read_files(struct tls_context *x, SSL_CTX *ssl, struct buf *error)
{
    bool there = look_at(&x->certificate, "tls_certificate", error);

    ERR_clear_error();
    if (!look_at(&x->key, "tls_key", error) || !there)
        return false;
    if (x->key.as.st_mode & (S_IROTH | S_IWOTH))
        return complain(error, "tls_key", x->key.path, "is open to everybody: chmod o-rw");
    if (SSL_CTX_use_certificate_chain_file(ssl, x->certificate.path) != 1)
        return complain(error, "tls_certificate", x->certificate.path, tls_reason());
    if (SSL_CTX_use_PrivateKey_file(ssl, x->key.path, SSL_FILETYPE_PEM) != 1)
        return complain(error, "tls_key", x->key.path, tls_reason());
    return true;
}

/* Read both into a new SSL_CTX, which takes the old one's place; false: the old one stays. */
static bool load(struct tls_context *x, struct buf *error)
{
    SSL_CTX *ssl = settings_new();

    if (!ssl) {
        buf_printf(error, "TLS cannot be set up: %s\n", tls_reason());
        return false;
    }
    if (!read_files(x, ssl, error) || (x->ssl && !move_ticket_key(x->ssl, ssl))) {
        SSL_CTX_free(ssl);
        return false;
    }
    SSL_CTX_free(x->ssl);
    x->ssl = ssl;
    return true;
}

/* That of all processes, and of loops that do not run yet. */
static uint64_t clock_ms(void)
{
    return uv_hrtime() / 1000000;
}

struct tls_context *tls_context_new(const char *certificate, const char *key, struct buf *error)
{
    struct tls_context *x = calloc(1, sizeof(*x));

    if (!x || !(x->memory = tls_memory_new())) {
        buf_puts(error, "out of memory\n");
        free(x);
        return NULL;
    }
    x->made_ms = clock_ms();
    x->certificate.path = certificate;
    x->key.path = *key ? key : certificate;
    if (load(x, error))
        return x;
    tls_context_free(x);
    return NULL;
}

void tls_context_free(struct tls_context *x)
{
    if (!x)
        return;
    alarm_cancel(&x->look);
    SSL_CTX_free(x->ssl);
    BIO_meth_free(x->memory);
    free(x);
}

/* ---- looking after them ---------------------------------------------------------------------- */

static void warn_of_expiry(const struct tls_context *x, const struct log *log)
{
    const ASN1_TIME *end = X509_get0_notAfter(SSL_CTX_get0_certificate(x->ssl));
    int days = 0, seconds = 0;

    if (ASN1_TIME_diff(&days, &seconds, NULL, end) != 1)
        return;
    if (days < 0 || seconds < 0)
        log_warn(log, "tls_certificate: %s has expired", x->certificate.path);
    else if (days * 24 * 3600 < EXPIRES_SOON_S)
        log_warn(log, "tls_certificate: %s expires in %d days", x->certificate.path, days);
}

static void read_again(struct tls_context *x, const struct log *log)
{
    struct buf error = BUF_EMPTY;
    bool good = load(x, &error);
    int len = (int)(error.len > 0 ? error.len - 1 : 0); /* without the newline */

    if (good)
        log_info(log, "tls_certificate: %s has been read again", x->certificate.path);
    else
        log_error(log, "%.*s; the old certificate stays", len, error.at);
    buf_fini(&error);
    if (good)
        warn_of_expiry(x, log);
}

void tls_context_refresh(struct tls_context *x, const struct log *log)
{
    if (has_changed(&x->certificate) || has_changed(&x->key))
        read_again(x, log);
}

static void on_look(struct alarm *alarm)
{
    struct tls_context *x = CONTAINER(alarm, struct tls_context, look);

    tls_context_refresh(x, &x->server->log);
    tls_context_age(x, clock_ms() - x->made_ms);
    alarm_set(x->server->wheel, &x->look, x->look_ms, on_look);
}

void tls_context_unwatch(struct tls_context *x)
{
    alarm_cancel(&x->look);
    x->server = NULL;
}

void tls_context_watch(struct tls_context *x, struct server *server, uint64_t look_ms)
{
    x->server = server;
    x->look_ms = look_ms;
    warn_of_expiry(x, &server->log);
    on_look(&x->look); /* it may have been read long ago, by the process that has made this one */
}

void tls_context_reload(struct tls_context *x)
{
    if (x->server)
        read_again(x, &x->server->log);
}
