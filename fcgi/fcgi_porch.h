/*
 * fcgi_porch.h - a porch whose connections speak FastCGI.
 */
#ifndef FCGI_FCGI_PORCH_H
#define FCGI_FCGI_PORCH_H

#include "core/porch.h"

/* As porch_new().  allowed: FCGI_WEB_SERVER_ADDRS, or NULL: anybody; lent. */
struct porch *fcgi_porch_new(struct server *, int listen_fd, const struct porch_limits *,
                             const char *allowed) MUST_USE;

#endif
