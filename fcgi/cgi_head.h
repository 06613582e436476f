/*
 * cgi_head.h - the head of a reply as CGI wants it (RFC 3875 section 6), and FastCGI, too.
 */
#ifndef FCGI_CGI_HEAD_H
#define FCGI_CGI_HEAD_H

#include "core/answer.h"

/* request_ops.begin: "Status: 200 OK\r\n", the headers and the blank line. */
enum rc cgi_head_begin(struct request *, int status, struct slice headers);

#endif
