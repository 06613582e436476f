/*
 * tls_set.c - the certificates of one reading of their files, and which of them is for whom.
 *
 * OpenSSL looks for the session that a client wants to resume before it calls back for the name of
 * a server; so the name is read where its first message comes in, which is before both.
 */
#include "sidecar/tls_set.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>

const char *tls_reason(void)
{
    unsigned long code = ERR_peek_error();
    const char *why = code ? ERR_reason_error_string(code) : NULL;

    if (code && ERR_SYSTEM_ERROR(code))
        why = strerror(ERR_GET_REASON(code));
    ERR_clear_error();
    return why ? why : "no reason given";
}

/* ---- names ----------------------------------------------------------------------------------- */

/* One ServerName, of type host_name (0), in a ServerNameList: nobody has ever sent another. */
struct slice tls_set_name_in(struct slice extension)
{
    const unsigned char *at = (const unsigned char *)extension.at;

    if (extension.len <= 5 || extension.len > 5 + TLSEXT_MAXLEN_host_name ||
        (size_t)(at[0] << 8 | at[1]) != extension.len - 2 || at[2] != TLSEXT_NAMETYPE_host_name ||
        (size_t)(at[3] << 8 | at[4]) != extension.len - 5)
        return SLICE_NONE;
    return (struct slice){ extension.at + 5, extension.len - 5 };
}

/*
 * Could a certificate be for it?  X509_check_host() would take one that begins with a dot for any
 * name that ends so, and the empty one for a text that ends with a zero.  An address is no name
 * (RFC 6066 section 3).
 */
static bool is_host_name(const char *name, size_t len)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr address;

    if (len == 0 || name[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
              name[i] == '-' || name[i] == '_' || name[i] == '.'))
            return false;
    if (len >= sizeof(text))
        return true;
    memcpy(text, name, len);
    text[len] = '\0';
    return inet_pton(AF_INET, text, &address) != 1;
}

/* As clients will: RFC 9525 has neither f*.example.org nor names in the subject. */
static SSL_CTX *find(const struct tls_set *set, const char *name, size_t len)
{
    enum {
        LIKE_CLIENTS = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
    };

    for (size_t i = 0; i < set->n_ssl && is_host_name(name, len); i++)
        if (X509_check_host(SSL_CTX_get0_certificate(set->ssl[i]), name, len, LIKE_CLIENTS, NULL) ==
            1)
            return set->ssl[i];
    return NULL;
}

/* The i-th of them, if it is a DNS name. */
static const ASN1_STRING *dns_name(const GENERAL_NAMES *names, int i)
{
    int type;
    const ASN1_STRING *name = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);

    return type == GEN_DNS ? name : NULL;
}

static bool is_among(const ASN1_STRING *name, const GENERAL_NAMES *names)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const ASN1_STRING *other = dns_name(names, i);
        if (other && ASN1_STRING_length(other) == ASN1_STRING_length(name) &&
            strncasecmp((const char *)ASN1_STRING_get0_data(other),
                        (const char *)ASN1_STRING_get0_data(name),
                        (size_t)ASN1_STRING_length(name)) == 0)
            return true;
    }
    return false;
}

static bool are_among(const GENERAL_NAMES *some, const GENERAL_NAMES *names)
{
    bool all = true;

    for (int i = 0; all && i < sk_GENERAL_NAME_num(some); i++)
        all = !dns_name(some, i) || is_among(dns_name(some, i), names);
    return all;
}

static bool has_names(const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool has = !are_among(names, NULL);

    GENERAL_NAMES_free(names);
    return has;
}

static bool have_same_names(const X509 *a, const X509 *b)
{
    GENERAL_NAMES *of_a = X509_get_ext_d2i(a, NID_subject_alt_name, NULL, NULL);
    GENERAL_NAMES *of_b = X509_get_ext_d2i(b, NID_subject_alt_name, NULL, NULL);
    bool same = are_among(of_a, of_b) && are_among(of_b, of_a);

    GENERAL_NAMES_free(of_a);
    GENERAL_NAMES_free(of_b);
    return same;
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

/* Names are the same in capitals.  Returns how many bytes; 0: no name is said. */
static size_t name_said(SSL *ssl, char lower[TLSEXT_MAXLEN_host_name])
{
    const unsigned char *at;
    struct slice name = SLICE_NONE;
    size_t len;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &at, &len) == 1)
        name = tls_set_name_in((struct slice){ (const char *)at, len });
    for (size_t i = 0; i < name.len; i++)
        lower[i] =
            (char)(name.at[i] >= 'A' && name.at[i] <= 'Z' ? name.at[i] + ('a' - 'A') : name.at[i]);
    return name.len;
}

/*
 * A session of another context is not resumed, but a new one made, in every version of TLS.  It
 * is the name that counts and not the certificate: sessions outlive that.
 */
static bool bind_sessions(SSL *ssl, const char *name, size_t len)
{
    unsigned char id[EVP_MAX_MD_SIZE];
    unsigned id_len;

    _Static_assert(SSL_MAX_SID_CTX_LENGTH >= 32, "the hash of a name is the context of sessions");
    return EVP_Digest(name, len, id, &id_len, EVP_sha256(), NULL) == 1 &&
           SSL_set_session_id_context(ssl, id, id_len) == 1;
}

/* Called again where the client had to be asked for another key share: so it decides afresh. */
static int on_hello(SSL *ssl, int *alert, void *arg)
{
    struct tls_set *used = arg;
    char name[TLSEXT_MAXLEN_host_name];
    size_t len = name_said(ssl, name);
    SSL_CTX *found = find(used, name, len);

    used->known = found != NULL;
    if (SSL_set_SSL_CTX(ssl, found ? found : used->ssl[0]) && bind_sessions(ssl, name, len))
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

/* The answer says whether the name was of use (RFC 6066 section 3). */
static int on_name(SSL *ssl, int *alert, void *arg)
{
    (void)ssl;
    (void)alert;
    return ((const struct tls_set *)arg)->known ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/*
 * TLS 1.3 as it comes; of 1.2 only what has forward secrecy and authenticated encryption.  Tickets
 * are the clients' to keep: no session is kept here.  Buffers are given back while nothing is under
 * way: an idle connection then costs a third.
 */
static SSL_CTX *settings_new(struct tls_set *used)
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
    SSL_CTX_set_client_hello_cb(ssl, on_hello, used);
    SSL_CTX_set_tlsext_servername_callback(ssl, on_name);
    SSL_CTX_set_tlsext_servername_arg(ssl, used);
    if (SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
        SSL_CTX_set_num_tickets(ssl, 1) == 1)
        return ssl;
    SSL_CTX_free(ssl);
    return NULL;
}

/* ---- files ----------------------------------------------------------------------------------- */

const struct tls_file *tls_files_key(const struct tls_files *files, size_t i)
{
    size_t n_keys = files->n - files->n_certificates;

    return &files->at[n_keys == 0   ? i
                      : n_keys == 1 ? files->n_certificates
                                    : files->n_certificates + i];
}

static bool cannot_be_used(const char *key, const char *certificate, struct buf *error)
{
    buf_printf(error, "tls_key: %s: cannot be used with %s: %s\n", key, certificate, tls_reason());
    return false;
}

static bool read_pair(SSL_CTX *ssl, const char *certificate, const char *key, struct buf *error)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ssl, certificate) != 1) {
        buf_printf(error, "tls_certificate: %s: %s\n", certificate, tls_reason());
        return false;
    }
    const X509 *x = SSL_CTX_get0_certificate(ssl);
    /* a key of another type would be kept beside the certificate */
    if (SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1 ||
        X509_check_private_key(x, SSL_CTX_get0_privatekey(ssl)) != 1)
        return cannot_be_used(key, certificate, error);
    return true;
}

/* Offer the certificate of one beside those of another that has the same names. */
static bool join(SSL_CTX *to, SSL_CTX *ssl, const char *certificate, struct buf *error)
{
    STACK_OF(X509) *chain = NULL;

    SSL_CTX_get0_chain_certs(ssl, &chain);
    bool joined = SSL_CTX_use_cert_and_key(to, SSL_CTX_get0_certificate(ssl),
                                           SSL_CTX_get0_privatekey(ssl), chain, 0) == 1;
    bool is_second = !joined && ERR_GET_REASON(ERR_peek_error()) == SSL_R_NOT_REPLACING_CERTIFICATE;

    if (!joined)
        buf_printf(error, "tls_certificate: %s: %s\n", certificate,
                   is_second ? "another before it has the same names and the same type of key"
                             : tls_reason());
    ERR_clear_error();
    SSL_CTX_free(ssl);
    return joined;
}

/* Takes what has been read. */
static bool put(struct tls_set *set, SSL_CTX *ssl, bool is_first, const char *certificate,
                struct buf *error)
{
    X509 *x = SSL_CTX_get0_certificate(ssl);

    if (!is_first && !has_names(x)) {
        buf_printf(error, "tls_certificate: %s: has no DNS name (subjectAltName) to be chosen by\n",
                   certificate);
        SSL_CTX_free(ssl);
        return false;
    }
    X509_up_ref(x);
    set->certificate[set->n++] = x;
    for (size_t i = 0; i < set->n_ssl; i++)
        if (have_same_names(SSL_CTX_get0_certificate(set->ssl[i]), x))
            return join(set->ssl[i], ssl, certificate, error);
    set->ssl[set->n_ssl++] = ssl;
    return true;
}

bool tls_set_read(struct tls_set *set, const struct tls_files *files, struct tls_set *used,
                  struct buf *error)
{
    bool good = true;

    *set = (struct tls_set){ .n = 0 };
    for (size_t i = 0; i < files->n_certificates; i++) {
        const char *certificate = files->at[i].path;
        SSL_CTX *ssl = settings_new(used);
        if (!ssl) {
            buf_printf(error, "TLS cannot be set up: %s\n", tls_reason());
            good = false;
        } else if (!read_pair(ssl, certificate, tls_files_key(files, i)->path, error)) {
            SSL_CTX_free(ssl);
            good = false;
        } else {
            good &= put(set, ssl, i == 0, certificate, error);
        }
    }
    if (!good)
        tls_set_fini(set);
    return good;
}

void tls_set_fini(struct tls_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        X509_free(set->certificate[i]);
    for (size_t i = 0; i < set->n_ssl; i++)
        SSL_CTX_free(set->ssl[i]);
    *set = (struct tls_set){ .n = 0 };
}
