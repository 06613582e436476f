/*
 * cursor.h - a place in the log, as clients hold it: "EPOCH-SEQ".
 *
 * The epoch names one unbroken history of numbers: 1 to EPOCH_MAX letters and digits, made by the
 * database.  A sequence number means nothing in another epoch.  Clients treat the text as opaque.
 */
#ifndef CORE_CURSOR_H
#define CORE_CURSOR_H

#include "core/buf.h"

enum {
    EPOCH_MAX = 16,
    CURSOR_TEXT_MAX = EPOCH_MAX + 1 + 19, /* without NUL */
};

struct cursor {
    char epoch[EPOCH_MAX + 1];
    int64_t seq; /* 0: before the first event */
};

/* RC_SYNTAX: not of the form; *out untouched. */
enum rc cursor_parse(struct slice, struct cursor *out) MUST_USE;

/* Write the text and a NUL; returns its length. */
size_t cursor_text(const char *epoch, int64_t seq, char out[CURSOR_TEXT_MAX + 1]);

#endif
