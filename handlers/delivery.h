/*
 * delivery.h - what the sender of a webhook has sent, and how to find things in it by name.
 *
 * Bytes and a clock, nothing that waits or asks: so that signatures and templates are functions
 * that a test can call.  Headers, clock and body are lent by whoever has made the delivery.
 */
#ifndef HANDLERS_DELIVERY_H
#define HANDLERS_DELIVERY_H

#include <jansson.h>

#include "core/buf.h"

struct delivery_header {
    struct slice name, value;
};

struct delivery {
    const struct delivery_header *headers;
    size_t n;
    struct slice body;
    struct slice url; /* as its sender knows it, as far as can be told from here */
    int64_t now_s;    /* since 1970 */

    /* private: the body as JSON, read when it is first asked for */
    json_t *json;
    bool has_read;
};

void delivery_fini(struct delivery *);

/*
 * A header by its name, in any case.  RC_DENIED: there is none, or it is empty; RC_LIMIT: it is
 * there twice, and nobody can say which was meant.
 */
enum rc delivery_header(const struct delivery *, struct slice name, struct slice *out) MUST_USE;

/* Lend the body as a JSON object; NULL: it is none, or was written to be understood in two ways. */
const json_t *delivery_json(struct delivery *);

/*
 * Append the value of
 *
 *      header.x-github-event       a header
 *      json.commits.0.id           a member, an element; text, a number, true or false
 *      form.From                   a field of a form (application/x-www-form-urlencoded)
 *
 * RC_DENIED: there is none; RC_LIMIT: twice; RC_SYNTAX: not one of these three; RC_NOMEM.
 */
enum rc delivery_find(struct delivery *, struct slice what, struct buf *out) MUST_USE;

/* Is the body a form, by its Content-Type? */
bool delivery_is_form(const struct delivery *);

#endif
