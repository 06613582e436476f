/*
 * tls_context.c - what all TLS connections of a process share.
 *
 * An SSL_CTX keeps its certificates: new ones take their places, and each connection holds on to
 * that which it has begun with.  All connections begin with the first, whatever name they say then,
 * so its key is that of all tickets.  It goes over to the new first one, and a client that comes
 * back is known after a change of certificates, too.
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
    while (x->ticket_turns < ms / TLS_TICKET_KEY_MS && turn_ticket_key(x->set.ssl[0]))
        x->ticket_turns++;
}

/* ---- files ----------------------------------------------------------------------------------- */

static const char *setting_of(const struct tls_files *files, size_t i)
{
    return i < files->n_certificates ? "tls_certificate" : "tls_key";
}

/* Remember the file as it is before it is read: what changes while we read is read again. */
static bool look_at(struct tls_file *file, const char *setting, struct buf *error)
{
    if (stat(file->path, &file->as) == 0)
        return true;
    file->as = (struct stat){ .st_size = 0 };
    buf_printf(error, "%s: %s: %s\n", setting, file->path, strerror(errno));
    return false;
}

static bool look_at_all(struct tls_files *files, struct buf *error)
{
    size_t first_key = files->n > files->n_certificates ? files->n_certificates : 0;
    bool good = true;

    for (size_t i = 0; i < files->n; i++) {
        struct tls_file *file = &files->at[i];
        good &= look_at(file, setting_of(files, i), error);
        if (i < first_key || !(file->as.st_mode & (S_IROTH | S_IWOTH)))
            continue;
        buf_printf(error, "tls_key: %s: is open to everybody: chmod o-rw\n", file->path);
        good = false;
    }
    return good;
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

/* Read all of them into a new set, which takes the old one's place; false: the old one stays. */
static bool load(struct tls_context *x, struct buf *error)
{
    struct tls_set set;

    if (!look_at_all(&x->files, error) || !tls_set_read(&set, &x->files, &x->set, error))
        return false;
    if (x->set.n > 0 && !move_ticket_key(x->set.ssl[0], set.ssl[0])) {
        buf_printf(error, "TLS cannot be set up: %s\n", tls_reason());
        tls_set_fini(&set);
        return false;
    }
    tls_set_fini(&x->set);
    x->set = set;
    return true;
}

static bool take_paths(struct tls_files *files, const struct conf_list *certificates,
                       const struct conf_list *keys, struct buf *error)
{
    if (certificates->n > TLS_CERTIFICATES_MAX) {
        buf_printf(error, "tls_certificate: there are %zu, but %d are the most\n", certificates->n,
                   TLS_CERTIFICATES_MAX);
        return false;
    }
    files->n_certificates = certificates->n;
    for (size_t i = 0; i < certificates->n; i++)
        files->at[files->n++].path = certificates->at[i];
    for (size_t i = 0; i < keys->n; i++)
        files->at[files->n++].path = keys->at[i];
    return true;
}

/* That of all processes, and of loops that do not run yet. */
static uint64_t clock_ms(void)
{
    return uv_hrtime() / 1000000;
}

struct tls_context *tls_context_new(const struct conf_list *certificates,
                                    const struct conf_list *keys, struct buf *error)
{
    struct tls_context *x = calloc(1, sizeof(*x));

    if (!x || !(x->memory = tls_memory_new())) {
        buf_puts(error, "out of memory\n");
        free(x);
        return NULL;
    }
    x->made_ms = clock_ms();
    if (take_paths(&x->files, certificates, keys, error) && load(x, error))
        return x;
    tls_context_free(x);
    return NULL;
}

void tls_context_free(struct tls_context *x)
{
    if (!x)
        return;
    alarm_cancel(&x->look);
    tls_set_fini(&x->set);
    BIO_meth_free(x->memory);
    free(x);
}

/* ---- looking after them ---------------------------------------------------------------------- */

static void warn_of_expiry(const char *path, const X509 *certificate, const struct log *log)
{
    int days = 0, seconds = 0;

    if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) != 1)
        return;
    if (days < 0 || seconds < 0)
        log_warn(log, "tls_certificate: %s has expired", path);
    else if (days * 24 * 3600 < EXPIRES_SOON_S)
        log_warn(log, "tls_certificate: %s expires in %d days", path, days);
}

static void warn_of_all(const struct tls_context *x, const struct log *log)
{
    for (size_t i = 0; i < x->set.n; i++)
        warn_of_expiry(x->files.at[i].path, x->set.certificate[i], log);
}

/* A line for each file that was wrong. */
static void tell_why_not(const struct tls_context *x, struct buf *error, const struct log *log)
{
    const char *stays = x->set.n == 1 ? "the old certificate stays" : "all old certificates stay";

    buf_putc(error, '\0');
    for (char *rest = error->at, *line; (line = strsep(&rest, "\n")) && *line;)
        log_error(log, "%s; %s", line, stays);
}

static void read_again(struct tls_context *x, const struct log *log)
{
    struct buf error = BUF_EMPTY;

    if (load(x, &error)) {
        for (size_t i = 0; i < x->set.n; i++)
            log_info(log, "tls_certificate: %s has been read again", x->files.at[i].path);
        warn_of_all(x, log);
    } else {
        tell_why_not(x, &error, log);
    }
    buf_fini(&error);
}

void tls_context_refresh(struct tls_context *x, const struct log *log)
{
    bool changed = false;

    for (size_t i = 0; !changed && i < x->files.n; i++)
        changed = has_changed(&x->files.at[i]);
    if (changed)
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
    warn_of_all(x, &server->log);
    on_look(&x->look); /* it may have been read long ago, by the process that has made this one */
}

void tls_context_reload(struct tls_context *x)
{
    if (x->server)
        read_again(x, &x->server->log);
}
