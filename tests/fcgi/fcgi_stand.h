/*
 * fcgi_stand.h - the stand (tests/stand/stand.h) with FastCGI.
 */
#ifndef TESTS_FCGI_FCGI_STAND_H
#define TESTS_FCGI_FCGI_STAND_H

#include "fcgi/fcgi_porch.h"
#include "tests/stand/stand.h"

static inline struct porch *fcgi_stand(struct server *server, int fd,
                                       const struct porch_limits *limits)
{
    return fcgi_porch_new(server, fd, limits, NULL);
}

#endif
