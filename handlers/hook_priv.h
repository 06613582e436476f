/*
 * hook_priv.h - the three steps of a webhook: hook.c, hook_deliver.c, hook_submit.c.
 */
#ifndef HANDLERS_HOOK_PRIV_H
#define HANDLERS_HOOK_PRIV_H

#include "handlers/visit.h"

/* "github" of "/hook/github"; lent. */
struct slice hook_name(const struct request_head *);

/* Its definition is here (rc is RC_OK): verify what was sent, and answer. */
void hook_deliver(const struct visit *, const struct hook *);

/* Publish, and answer when it is committed, in the way that senders of this scheme understand.
   All is copied. */
void hook_submit(const struct visit *, const struct hook *, const struct draft *, size_t n,
                 struct slice key);

#endif
