/*
 * routes.h - one table: which path and method is answered by whom.
 */
#ifndef HANDLERS_ROUTES_H
#define HANDLERS_ROUTES_H

#include "core/request.h"

/* server->serve: answer the request, now or later. */
void routes_serve(struct request *);

#endif
