/*
 * keyring_priv.h - for keyring*.c only.
 */
#ifndef CORE_KEYRING_PRIV_H
#define CORE_KEYRING_PRIV_H

#include "core/keyring.h"

struct keyring {
    size_t n;
    struct key keys[KEYRING_MAX];
};

/* NULL, or why this cannot be the name of a key. */
const char *kid_error(struct slice kid);

/*
 * Takes the key in any case and gives it this kid (checked, copied).  RC_SYNTAX: this kid has one
 * of this algorithm already; RC_LIMIT; RC_NOMEM; *why as ever.
 */
enum rc keyring_take(struct keyring *, struct key *, struct slice kid, const char **why) MUST_USE;

/* Drop those that were added last, until n are left. */
void keyring_cut(struct keyring *, size_t n);

#endif
