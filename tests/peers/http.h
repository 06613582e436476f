/*
 * http.h - a small HTTP/1.1 client over real sockets, as patient or as rude as a test needs it.
 *
 * Never blocks but in http_wait(): many can be driven together with poll(2) by http_fd() and
 * http_wants().  Takes chunked, counted and unlimited bodies apart and shows the body as it grows.
 * One request per connection.
 */
#ifndef TESTS_PEERS_HTTP_H
#define TESTS_PEERS_HTTP_H

#include "core/buf.h"

struct http;

struct http_ask {
    int port;                   /* on 127.0.0.1 */
    const char *method;         /* NULL: GET */
    const char *target;         /* "/push/events?topic=a" */
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    struct slice body;
    /* Not empty: exactly these bytes are sent and nothing of the above, and the "body" is all that
       comes back, heads too, until the server closes. */
    struct slice raw;
};

/* Connect and begin to send; gives.  Copies what it is asked. */
struct http *http_new(const struct http_ask *) MUST_USE;
void http_free(struct http *); /* closes, as a client that leaves; NULL: nothing happens */

int http_fd(const struct http *);      /* -1: over */
short http_wants(const struct http *); /* POLLIN, POLLOUT */
void http_step(struct http *);         /* send and take what can be sent and taken now */

/* Wait for the next bytes and take them; false: none within ms, or it is over. */
bool http_wait(struct http *, int64_t ms);

int http_status(const struct http *);                           /* 0: no head yet */
const char *http_header(const struct http *, const char *name); /* NULL: absent; lent */
struct slice http_body(const struct http *);                    /* so far, without chunk heads */
void http_forget(struct http *, size_t n);                      /* drop the body's first n bytes */

bool http_ended(const struct http *);    /* nothing more will come */
bool http_complete(const struct http *); /* and the end came as HTTP says, not as a cut */

#endif
