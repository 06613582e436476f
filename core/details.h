/*
 * details.h - problem details (RFC 9457): the document, and the phrases of the statuses.
 *
 * For handlers, who explain a request, and for transports, who sometimes must refuse one before any
 * handler has seen it.
 */
#ifndef CORE_DETAILS_H
#define CORE_DETAILS_H

#include "core/buf.h"

/* "Not Found" (RFC 9110 section 15); of a status unknown to us, what its hundred means. */
const char *details_title(int status);

/* Append the document; the title is the status' phrase, the detail is cleaned. */
void details_put(struct buf *out, int status, struct slice detail);

/* Append text with everything that is not UTF-8 as U+FFFD. */
void details_put_clean(struct buf *out, struct slice text);

#endif
