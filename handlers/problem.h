/*
 * problem.h - telling a client what is wrong: RFC 9457 problem details.
 */
#ifndef HANDLERS_PROBLEM_H
#define HANDLERS_PROBLEM_H

#include <stdarg.h>

#include "core/request.h"

/*
 * Answer with application/problem+json and end the reply.  headers: further header lines ("\r\n" at
 * each end; those of struct visit belong here), may be empty.  The detail is for a person; bytes in
 * it that are not UTF-8 become U+FFFD, and it is cut at about 600 bytes.
 */
void problem_reply(struct request *, struct slice headers, int status, const char *detail, ...)
    PRINTF(4, 5);

/* The same with a Retry-After in whole seconds, rounded up from milliseconds, at least 1. */
void problem_retry(struct request *, struct slice headers, int status, int64_t retry_ms,
                   const char *detail, ...) PRINTF(5, 6);

/* 401, with what would prove somebody (RFC 9110 section 11.6.1): `Bearer realm="bellpush"`. */
void problem_challenge(struct request *, struct slice headers, const char *challenge,
                       const char *detail, ...) PRINTF(4, 5);

/* 503: there is no memory for it; noted for the operator. */
void problem_no_memory(struct request *, struct slice headers, const char *detail);

#endif
