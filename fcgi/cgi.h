/*
 * cgi.h - plain CGI (RFC 3875): one request from the environment and standard input, one reply to
 * standard output, and then the process is over.
 *
 * The same loop, the same outbox (without frames), never a blocking call: while a reply is open the
 * process hears at once when the web server closes its end, and database events arrive.
 */
#ifndef FCGI_CGI_H
#define FCGI_CGI_H

#include "core/server.h"

struct cgi; /* opaque: cgi.c */

/*
 * Serve the request that these variables describe; reads from in, writes to out; both are closed at
 * the end.  over() comes once, from the loop: the reply is sent, or the peer has left.
 * Gives; NULL: no memory or no loop handle.
 */
struct cgi *cgi_new(struct server *, char *const *environment, int in, int out,
                    void (*over)(void *arg), void *arg) MUST_USE;

/* Give up what is not over, and free. done() when no handle is left.  */
void cgi_free(struct cgi *, void (*done)(void *arg), void *arg);

#endif
