/*
 * params.h - CGI meta-variables (RFC 3875) as a request's head.
 *
 * One form for FastCGI and CGI: FastCGI's own name-value pairs, one after another in a row of
 * bytes; the environment of a CGI program is brought into the same form.  Looking one up walks the
 * row: there are some thirty, and a request asks for five.
 */
#ifndef FCGI_PARAMS_H
#define FCGI_PARAMS_H

#include "core/request.h"

/*
 * Cut the next pair off *rest; lent.  RC_AGAIN: the end.  RC_SYNTAX: a length passes the end.
 */
enum rc params_next(struct slice *rest, struct slice *name, struct slice *value);

/* Append a pair. */
void params_put(struct buf *, struct slice name, struct slice value);

/* Value of a name; {NULL, 0}: absent. */
struct slice params_get(struct slice params, const char *name);

/* Value of a request header, by its lower-case name ("last-event-id"); {NULL, 0}: absent. */
struct slice params_header(struct slice params, const char *lower_case_name);

/* All request headers, names in lower case; lent to the callback. */
void params_each_header(struct slice params, header_fn *, void *arg);

/*
 * Fill method, mount, path, query and remote (lent from params or scratch; body is the caller's).
 * RC_SYNTAX: pairs malformed, no method, or an address that does not decode.  RC_NOMEM.
 *
 * The path is PATH_INFO.  Where a front does not split it off:
 *
 *      REQUEST_URI /push/events?q   SCRIPT_NAME /push          what follows the script's name
 *      SCRIPT_NAME /a/push.fcgi/events                         what follows the .fcgi or .cgi
 *      SCRIPT_NAME /push/events                                the last segment, "/hook/NAME" whole
 *
 * and without SCRIPT_NAME the same is tried with DOCUMENT_URI and REQUEST_URI.
 */
enum rc params_head(struct slice params, struct request_head *out, struct buf *scratch) MUST_USE;

/*
 * Did all of the body come?  CONTENT_LENGTH says more than what is here: no; half a message must
 * never be published.  Unless the front decoded it (HTTP_CONTENT_ENCODING): then nothing is known.
 */
bool params_body_is_whole(struct slice params, size_t got);

#endif
