/*
 * tls_set.h - the certificates of one reading of their files, and which of them is for whom.
 *
 * A client says in its first message whom it wants to talk to (server_name, RFC 6066 section 3).
 * The first certificate that has the name is for it, or else the very first.  What has the same
 * names, but another type of key, is offered beside it.
 *
 * A session is resumed under the name that it was made under and no other: the name is its context.
 */
#ifndef SIDECAR_TLS_SET_H
#define SIDECAR_TLS_SET_H

#include <openssl/ssl.h>
#include <sys/stat.h>

#include "core/buf.h"

enum { TLS_CERTIFICATES_MAX = 32 }; /* all of them are asked for a name that none has */

/* As the file was: another inode, size or time means that there is something new to read. */
struct tls_file {
    const char *path;
    struct stat as;
};

/* Certificates, then their keys: none (in the same files), one for all, or one for each. */
struct tls_files {
    struct tls_file at[2 * TLS_CERTIFICATES_MAX];
    size_t n, n_certificates;
};

struct tls_set {
    X509 *certificate[TLS_CERTIFICATES_MAX]; /* in the order of the files */
    size_t n;
    SSL_CTX *ssl[TLS_CERTIFICATES_MAX]; /* one for all that have the same names; [0]: for others */
    size_t n_ssl;
    bool known; /* during one call of OpenSSL: is the name that was asked for in a certificate? */
};

/* The file that holds the key of the i-th certificate. */
const struct tls_file *tls_files_key(const struct tls_files *, size_t i);

/*
 * Read the files.  False, with a line in *error for each that cannot be used: there is no set, and
 * nothing to release.  `used` is where connections will find the set that is in force when they
 * say a name: it outlives them.
 */
bool tls_set_read(struct tls_set *, const struct tls_files *, struct tls_set *used,
                  struct buf *error) MUST_USE;
void tls_set_fini(struct tls_set *);

/* The name in the data of an extension server_name, lent from it; empty: none that is well-formed.
 */
struct slice tls_set_name_in(struct slice extension);

/* What was wrong at first, as OpenSSL says it; empties its queue. */
const char *tls_reason(void);

#endif
