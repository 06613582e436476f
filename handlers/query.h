/*
 * query.h - what a request asks for, read once from its query string into a typed struct.
 *
 * Percent-encoding is decoded, '+' stands for itself: it is a wildcard (RFC 3986 knows no other
 * meaning; a space is %20).  Every value must be UTF-8.  Unknown parameters are ignored; one that
 * may stand once and stands twice is an error, because nobody can say which was meant.
 */
#ifndef HANDLERS_QUERY_H
#define HANDLERS_QUERY_H

#include "core/conf.h"
#include "core/follow.h"

enum {
    QUERY_MAX = 65536, /* bytes of a query string */
    QUERY_CALLBACK_MAX = 100,
    QUERY_WORD_MAX = 255, /* type, id, Idempotency-Key, content type */
};

#define QUERY_TIME_MAX (INT64_C(86400000) * 3650) /* ms: ten years */

enum query_format {
    FORMAT_NONE,
    FORMAT_RAW,
    FORMAT_JSON,
    FORMAT_NDJSON,
    FORMAT_FRAME,
    FORMAT_CLOUD,
    FORMAT_SSE,
};

struct query {
    struct slice *topics; /* decoded; not yet known to be topics or filters */
    size_t topic_count;

    bool has_since; /* some place in the log was named; otherwise since is SINCE_NOW */
    struct since since;
    int64_t wait_ms;       /* -1: not given */
    int64_t limit;         /* INT32_MAX: not given; otherwise 1 or more */
    struct slice after;    /* a member's name; empty: none */
    struct slice callback; /* a safe JavaScript name; empty: none */
    enum query_format format;
    bool padding;

    /* publish */
    struct slice type, id;
    bool retain, is_private;
    int64_t expires_ms; /* 0: never */

    char why[240]; /* for a person, after RC_SYNTAX, RC_LIMIT */

    struct buf bytes;  /* what the slices point into */
    unsigned seen;     /* bit per parameter; while parsing */
    size_t topics_max; /* while parsing */
};

/*
 * Read a query string (lent; copies) and the Last-Event-ID header (absent: {NULL, 0}).
 * RC_SYNTAX: say 400; RC_LIMIT: say 414; RC_NOMEM.  query_fini() in every case.
 *
 * Place in the log: the header, or else last_event_id=, or else since=, or else now.  Browsers send
 * the first two by themselves, so what is none of our cursors there is SINCE_FOREIGN (the stream
 * says so and goes on), while a malformed since= is an error.
 */
enum rc query_parse(struct query *, struct slice text, struct slice last_event_id,
                    const struct conf *) MUST_USE;
void query_fini(struct query *);

/* A name that may stand in JSONP: identifiers joined by dots, at most QUERY_CALLBACK_MAX bytes. */
bool query_callback_ok(struct slice);

/* NULL when it may be an event's type (or publisher's id), or else the reason why not. */
const char *query_word_error(struct slice);

#endif
