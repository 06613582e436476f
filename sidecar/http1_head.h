/*
 * http1_head.h - what the head of an HTTP/1 request says (RFC 9112 sections 2 to 7).
 *
 *      POST /push/publish?topic=a HTTP/1.1 CR LF
 *      Host: example.org CR LF
 *      Content-Length: 5 CR LF
 *      CR LF
 *
 * Nothing is guessed and nothing repaired: where two readers could disagree about what a request
 * is or where it ends, it is refused, for one of the two may stand in front of us (request
 * smuggling).  That is: a length twice, or a length beside Transfer-Encoding; a coding other than
 * chunked; blanks before a colon; folded lines; bare CR or LF.
 */
#ifndef SIDECAR_HTTP1_HEAD_H
#define SIDECAR_HTTP1_HEAD_H

#include "core/buf.h"

enum {
    HTTP1_METHOD_MAX = 24, /* longer ones are none of ours: 501 */
    HTTP1_COUNT_MAX = 100, /* header fields: 431 */
};

/* Why a request is refused, and with which status. */
struct http1_fault {
    int status;
    const char *why; /* for a person */
};

/* Slices point into what was read. */
struct http1_head {
    struct slice method;
    struct slice path;   /* still encoded; "*" of OPTIONS */
    struct slice query;  /* still encoded, without '?' */
    struct slice fields; /* see http1_field_next() */
    uint8_t minor;       /* HTTP/1.0 or HTTP/1.1 (and whatever 1.x will come) */
    bool keep;           /* the connection may stay */
    bool chunked;        /* the body comes in chunks; otherwise */
    uint64_t length;     /* it has so many bytes */
    bool expects;        /* the client waits for 100 (Continue) before it sends the body */
};

/* May a method, a field's name have this byte (RFC 9110 section 5.6.2)?  A field's value? */
bool http1_is_token(unsigned char);
bool http1_is_value(unsigned char);

/* Only the first line, without CR LF: visible ASCII and blanks.  RC_SYNTAX: *fault says what to
   answer. */
enum rc http1_line_read(struct slice line, struct http1_head *, struct http1_fault *fault) MUST_USE;

/*
 * The whole head with its empty line, each line already known to be made of bytes that it may have.
 * It is brought into order where it lies: names of fields are in lower case then, a field that came
 * in several lines is one, its values joined in their order (RFC 9110 section 5.3), and the host
 * of an absolute target has become the Host (RFC 9112 section 3.2.2).  RC_SYNTAX, RC_NOMEM.
 */
enum rc http1_head_read(struct buf *bytes, struct http1_head *, struct http1_fault *) MUST_USE;

/* Cut the next field off; false: there is none. */
bool http1_field_next(struct slice *fields, struct slice *name, struct slice *value);

/* Value of a field by its lower-case name; {NULL, 0}: absent. */
struct slice http1_field(struct slice fields, const char *name);

#endif
