/*
 * fcgi_wire.h - FastCGI records into requests, without any I/O.
 *
 *      | version | type | id, 2 | length, 2 | padding | 0 |   content …   |  padding …  |
 *
 * Bytes may be cut anywhere.  PARAMS and STDIN are streams: a record ends nothing, an empty record
 * of the type does.  One request at a time on a connection: one for another id meanwhile is
 * answered with FCGI_CANT_MPX_CONN; one for the same id can only be the next, pipelined, and waits.
 *
 *      IDLE --BEGIN--> PARAMS --empty--> STDIN --empty--> SERVED --fcgi_wire_answered()--> IDLE
 *        ^                |                |                |
 *        '-----ABORT------'----------------'----------------'
 *
 * What we write back is made here too.
 */
#ifndef FCGI_FCGI_WIRE_H
#define FCGI_FCGI_WIRE_H

#include <fastcgi.h>

#include "core/buf.h"

enum {
    FCGI_PARAMS_MAX = 64 * 1024,    /* of one request; more is thrown away and refused */
    FCGI_DISCARD_MAX = 1024 * 1024, /* thrown away before the connection is given up */
    FCGI_VALUES_MAX = 512,          /* of one GET_VALUES record; more is UNKNOWN_TYPE's business */
    FCGI_REPLY_MAX = 256,           /* bytes of one management answer */
    FCGI_TRAILER_LEN = 24,          /* empty STDOUT, END_REQUEST */
};

enum fcgi_state {
    FCGI_STATE_IDLE,   /* no request */
    FCGI_STATE_PARAMS, /* its meta-variables are arriving */
    FCGI_STATE_STDIN,  /* its body is arriving */
    FCGI_STATE_SERVED, /* it is complete and being answered */
};

/* What fcgi_wire_feed() has met. */
enum fcgi_step {
    FCGI_STEP_MORE,    /* all bytes are consumed */
    FCGI_STEP_REQUEST, /* a request is complete: wire->params, wire->body; answer it */
    FCGI_STEP_ABORTED, /* the request (complete or not) is called off: say END_REQUEST */
    FCGI_STEP_REPLY,   /* wire->reply must be sent back; it belongs to no request of ours */
    FCGI_STEP_NEXT,    /* the next request has begun: feed the rest after fcgi_wire_answered() */
    FCGI_STEP_BROKEN,  /* not FastCGI, or past every limit: close.  wire->why says more */
    FCGI_STEP_NOMEM,   /* close */
};

struct fcgi_wire {
    size_t max_body;    /* set by the owner */
    uint32_t max_conns; /* told to GET_VALUES; set by the owner */
    enum fcgi_state state;
    uint16_t id; /* of the request, unless IDLE */
    bool keep;   /* FCGI_KEEP_CONN */
    bool params_too_large, body_too_large;
    struct buf params; /* name-value pairs as they came (params.h) */
    struct buf body;
    uint8_t reply[FCGI_REPLY_MAX];
    size_t reply_len;
    bool reply_closes; /* after it the connection is to be closed: nobody asked to keep it */
    const char *why;

    /* the record under way */
    uint8_t head[FCGI_HEADER_LEN];
    uint8_t head_len; /* bytes of it seen */
    uint8_t padding;  /* bytes of it to come */
    bool waits;       /* a whole BEGIN_REQUEST that must wait */
    uint32_t content; /* bytes of content to come */
    size_t discarded;
    struct buf small; /* content of records that are read whole */
};

void fcgi_wire_init(struct fcgi_wire *, size_t max_body, uint32_t max_conns);
void fcgi_wire_fini(struct fcgi_wire *);

/*
 * For a decoder made anew in the middle of a connection: request id is being answered.
 */
void fcgi_wire_resume(struct fcgi_wire *, uint16_t id, bool keep);

/* Consume from the front of *in until something happens; after any step but BROKEN and NOMEM feed
   the rest.  A step's data is valid until the next feed. */
enum fcgi_step fcgi_wire_feed(struct fcgi_wire *, struct slice *in) MUST_USE;

/* The request has been answered; releases params and body (fcgi_wire_release() does so earlier). */
void fcgi_wire_answered(struct fcgi_wire *);
void fcgi_wire_release(struct fcgi_wire *);

/* While the body is arriving: drop it, and whatever more of it comes, as if it were too large. */
void fcgi_wire_discard_body(struct fcgi_wire *);

/* Between two records, and nothing kept: a new decoder could go on from here. */
bool fcgi_wire_at_rest(const struct fcgi_wire *);

/* Write a record's header; returns FCGI_HEADER_LEN.  No padding: it only costs. */
size_t fcgi_put_header(uint8_t *out, uint8_t type, uint16_t id, uint16_t length);

/* END_REQUEST, 16 bytes; or with the empty STDOUT before it, FCGI_TRAILER_LEN. */
size_t fcgi_put_end(uint8_t *out, uint16_t id, uint8_t protocol_status);
size_t fcgi_put_trailer(uint8_t out[FCGI_TRAILER_LEN], uint16_t id);

#endif
