/*
 * refusal.h - why a token is not accepted: a word for machines and a sentence for a person.
 *
 * Neither ever holds a piece of the token, of a key, or of what only the token's maker should know:
 * both may go to the log and to the client.
 */
#ifndef CORE_REFUSAL_H
#define CORE_REFUSAL_H

#include "core/buf.h"

enum flaw {
    FLAW_NONE,
    FLAW_MALFORMED,   /* not a token, or claims of a wrong type */
    FLAW_TOO_LARGE,   /* longer, deeper or more than the limits */
    FLAW_ALGORITHM,   /* of an algorithm that no key here has; "none" */
    FLAW_UNKNOWN_KEY, /* names a key that is not here */
    FLAW_SIGNATURE,   /* signed by no key of this server, or changed since */
    FLAW_EXPIRED,     /* its time is over */
    FLAW_EARLY,       /* its time has not come, or it was issued in the future */
    FLAW_NO_EXPIRY,   /* it would be good forever, and that is not allowed */
    FLAW_ISSUER,      /* by somebody else */
    FLAW_AUDIENCE,    /* for somebody else */
    FLAW_REVOKED,     /* taken back (said by the gate, not by the token) */
    FLAW_NOMEM,       /* not the token's fault */
    FLAW__COUNT
};

struct refusal {
    enum flaw flaw;
    char why[160]; /* "expired 5 minutes ago"; NUL-terminated, UTF-8, no newline */
};

/* "expired", "unknown-key", …: for metrics and logs; lent forever. */
const char *flaw_word(enum flaw);

/* Set both; returns RC_NOMEM for FLAW_NOMEM and RC_DENIED for all others.  refusal may be NULL. */
enum rc refusal_set(struct refusal *, enum flaw, const char *format, ...) PRINTF(3, 4);

#endif
