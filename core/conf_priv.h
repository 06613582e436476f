/*
 * conf_priv.h - what conf.c lends to conf_read.c.
 */
#ifndef CORE_CONF_PRIV_H
#define CORE_CONF_PRIV_H

#include "core/conf.h"

/* Place of a setting in the table; -1: there is none of that name. */
int conf_index(struct slice name);

/* Set one; RC_SYNTAX after appending a line to *errors, RC_NOMEM. */
enum rc conf_assign(struct conf *, struct slice name, struct slice value, const char *origin,
                    struct buf *errors) MUST_USE;

/* Name of the n-th setting if it holds a secret, and where that was said; NULL: it holds none. */
const char *conf_secret(const struct conf *, size_t n, const char **origin);

#endif
