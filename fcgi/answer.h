/*
 * answer.h - the head of a reply as CGI wants it, and refusals that the transport itself makes.
 */
#ifndef FCGI_ANSWER_H
#define FCGI_ANSWER_H

#include "core/request.h"

/* "Not Found"; of a status unknown to us, what its hundred means. */
const char *answer_reason(int status);

/* Append "Status: 200 OK\r\n", the headers and the blank line. */
void answer_head(struct buf *, int status, struct slice headers);

/* A whole reply: problem+json (RFC 9457) with a detail for a person, and Retry-After unless 0. */
void answer_problem(struct request *, int status, const char *detail, int retry_after_s);

#endif
