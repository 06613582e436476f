/*
 * once.h - the keys under which a publish takes place once, however often it is sent.
 *
 * What a client calls it (Idempotency-Key, or a CloudEvent's source and id) counts for that client
 * only: two who choose the same words neither collide nor learn of each other.
 */
#ifndef HANDLERS_ONCE_H
#define HANDLERS_ONCE_H

#include "handlers/visit.h"

enum { ONCE_LEN = 3 + 64 };

/*
 * Append who it is that publishes: the holders of the publish key; or else the token's subject, in
 * all its tokens; or else the token, and the session that the site knows.  Ask before admit(),
 * which may add rights that come and go.
 */
void once_scope(const struct visit *, struct buf *out);

/* The key for these words, in this order; kind: three characters that say what they are. */
void once_key(const char *kind, const struct slice *words, size_t n, char out[ONCE_LEN + 1]);

#endif
