/*
 * signature.h - has this webhook been sent by who holds the secret, and is it fresh?
 *
 * One function from bytes, secrets and a clock to a verdict.  All secrets of a hook are good at
 * once, which is how they are rotated.  Every comparison with something secret takes the same time
 * wherever the difference lies.  A verdict's text names the header that was looked at; it never
 * holds what would have been right.
 */
#ifndef HANDLERS_SIGNATURE_H
#define HANDLERS_SIGNATURE_H

#include "core/source.h"
#include "handlers/delivery.h"

enum signature_word {
    SIGNATURE_GOOD,
    SIGNATURE_MISSING,   /* 401: it carries none */
    SIGNATURE_MALFORMED, /* 400: what it carries cannot be one, or is there twice */
    SIGNATURE_WRONG,     /* 401 */
    SIGNATURE_STALE,     /* 401: right, but for another time */
    SIGNATURE_UNUSABLE,  /* 500: the hook's own definition is not good */
    SIGNATURE_NOMEM,     /* 503 */
};

struct signature {
    enum signature_word word;
    char why[200]; /* for a person; "" when it is good */

    /* when it is good */
    struct buf id;    /* the sender's own name for this delivery; empty: it has none */
    char content[65]; /* SHA-256 of what was signed, in hexadecimal */
};

/* options: the hook's, read.  signature_fini() in every case. */
void signature_check(struct delivery *, const struct hook *, const json_t *options,
                     struct signature *out);
void signature_fini(struct signature *);

#endif
