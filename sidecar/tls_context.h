/*
 * tls_context.h - what all TLS connections of a process share: certificates with their keys, what
 * is offered and accepted, and the secret of session tickets.
 *
 * The files are looked at every few seconds and read again, all of them, when one has changed, or
 * at once when somebody says so.  What cannot be used (half written, a key that does not fit) is
 * said once in the log, and all the old certificates stay.  Connections that are open keep the one
 * they have begun with.
 */
#ifndef SIDECAR_TLS_CONTEXT_H
#define SIDECAR_TLS_CONTEXT_H

#include "core/server.h"

struct tls_context;

/*
 * Read the certificates (PEM, the chain behind each; TLS_CERTIFICATES_MAX at most) and their keys
 * (PEM, not open to everybody, no passphrase): one for each, one for all, or none, where they are
 * in the same files.  Which certificate is for whom: tls_set.h.  Paths are lent for the context's
 * life.  Gives; NULL with a line in *error for each file that cannot be used.
 */
struct tls_context *tls_context_new(const struct conf_list *certificates,
                                    const struct conf_list *keys, struct buf *error) MUST_USE;
void tls_context_free(struct tls_context *); /* no connection is left; NULL: nothing happens */

/* Read them again if they have changed: now. */
void tls_context_refresh(struct tls_context *, const struct log *);

/*
 * Tickets are sealed with one key, which another one follows after so long; then they are of no use
 * to anybody any more.  All processes that were forked from the one that has made the context have
 * the same keys at the same time (ms: since it was made), and none can go back to an earlier one.
 */
#define TLS_TICKET_KEY_MS (UINT64_C(12) * 3600 * 1000)
void tls_context_age(struct tls_context *, uint64_t ms);

/* From now on, look at the files so often, and at the age of the tickets' key. */
enum { TLS_LOOK_MS = 5 * 1000 };
void tls_context_watch(struct tls_context *, struct server *, uint64_t look_ms);

/* No more: the server is about to end. */
void tls_context_unwatch(struct tls_context *);

/* Read them again now, if it is being watched: SIGHUP. */
void tls_context_reload(struct tls_context *);

#endif
