/*
 * batch.h - many events in one JSON array, and what makes a draft acceptable.
 *
 *      [{"topic":"orders/42","data":"paid","type":"paid","content_type":"text/plain","id":"my-17",
 *        "retain":true,"private":false,"expires":"60s"}, …]
 *
 * data: a string is itself; any other JSON value is published as its compact JSON text, of content
 * type application/json.  data_base64 instead of data: bytes.
 */
#ifndef HANDLERS_BATCH_H
#define HANDLERS_BATCH_H

#include <jansson.h>

#include "core/conf.h"
#include "core/gate.h"
#include "core/source.h"

struct batch_error {
    int status; /* 0: none; 400, 403, 413, 422, 503 */
    char why[400];
};

struct batch {
    struct draft *drafts; /* lent slices: into root and owned */
    size_t n;
    struct batch_error error;
    json_t *root;
    char **owned; /* per draft: encoded or decoded data; may be NULL */
};

/* Read and check the whole array.  False: error says why.  batch_fini() in both cases. */
bool batch_read(struct batch *, struct slice body, const struct conf *) MUST_USE;
void batch_fini(struct batch *);

/* Is this draft one that may be published?  422: what it says is not acceptable. */
struct batch_error batch_check(const struct conf *, const struct draft *);

/* Say what is wrong; always false. */
bool batch_wrong(struct batch_error *, int status, const char *format, ...) PRINTF(3, 4);

/* "type/subtype…", at most 255 visible ASCII characters and blanks. */
bool batch_content_type_ok(struct slice);

#endif
