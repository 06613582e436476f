/*
 * unpublished.h - telling a publisher, or a sender of webhooks, why nothing was published.
 */
#ifndef HANDLERS_UNPUBLISHED_H
#define HANDLERS_UNPUBLISHED_H

#include "core/source.h"
#include "handlers/problem.h"

/* What is said differently to each. */
struct unpublished_words {
    const char *under_way; /* the same one is being published this moment (409) */
    const char *used;      /* its key was used for something else (422) */
    const char *unknown;   /* the answer never came (503) */
};

/* Answer a publication whose rc is not RC_OK, and end the reply. */
void unpublished_reply(struct request *, struct slice headers, const struct publication *,
                       const struct unpublished_words *);

#endif
