/*
 * listen.h - what /events, /stream and /poll have in common: which topics, from where, and the
 * right.
 */
#ifndef HANDLERS_LISTEN_H
#define HANDLERS_LISTEN_H

#include "handlers/query.h"
#include "handlers/visit.h"

/*
 * Read the query and pass it through the gate.  False: the request has been answered, or is kept to
 * be served again.  True: every topic is a filter this reader may hear.  query_fini() in both
 * cases.
 */
bool listen_read(const struct visit *, struct query *) MUST_USE;

/* Answer 400, 414 or 503 to a query that could not be read. */
void listen_refuse(const struct visit *, const struct query *, enum rc);

#endif
