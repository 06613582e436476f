/*
 * refusal.c - why a token is not accepted.
 */
#include "core/refusal.h"

#include <stdarg.h>
#include <stdio.h>

const char *flaw_word(enum flaw flaw)
{
    static const char *const words[FLAW__COUNT] = {
        [FLAW_NONE] = "none",
        [FLAW_MALFORMED] = "malformed",
        [FLAW_TOO_LARGE] = "too-large",
        [FLAW_ALGORITHM] = "algorithm",
        [FLAW_UNKNOWN_KEY] = "unknown-key",
        [FLAW_SIGNATURE] = "signature",
        [FLAW_EXPIRED] = "expired",
        [FLAW_EARLY] = "early",
        [FLAW_NO_EXPIRY] = "no-expiry",
        [FLAW_ISSUER] = "issuer",
        [FLAW_AUDIENCE] = "audience",
        [FLAW_REVOKED] = "revoked",
        [FLAW_NOMEM] = "no-memory",
    };
    return words[flaw];
}

enum rc refusal_set(struct refusal *out, enum flaw flaw, const char *format, ...)
{
    if (out) {
        va_list arguments;
        out->flaw = flaw;
        va_start(arguments, format);
        vsnprintf(out->why, sizeof out->why, format, arguments);
        va_end(arguments);
    }
    return flaw == FLAW_NOMEM ? RC_NOMEM : RC_DENIED;
}
