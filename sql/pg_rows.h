/*
 * pg_rows.h - rows of the log in libpq's binary format, made into events.
 */
#ifndef SQL_PG_ROWS_H
#define SQL_PG_ROWS_H

#include <libpq-fe.h>

#include "core/event.h"

/* The columns of a row (README.md), in this order. */
#define PG_ROW_COLUMNS "seq, topic, type, content_type, id, data, at_us, expires_us, flags"

/* One field, lent; {NULL, 0}: SQL NULL. */
struct slice pg_field(const PGresult *, int row, int column);
/* A bigint or an int; if_null where it is NULL or neither. */
int64_t pg_field_number(const PGresult *, int row, int column, int64_t if_null);
bool pg_field_true(const PGresult *, int row, int column);

struct pg_page {
    struct event **events; /* owned, one reference each */
    size_t n;
    size_t bytes;      /* that the rows took on the wire, roughly */
    int64_t upto;      /* seq of the last row that has one; 0: none has */
    int64_t pruned_to; /* of the closing row without a topic; -1: there is none */
    bool cut;          /* it ends before an event whose data was not given: too large */
    bool foreign;      /* its epoch is another: some of the rows may be of that history */
};

/*
 * Make events of all rows.  A last row with topic NULL ends the page: upto and pruned_to are its.
 * RC_SYNTAX: these are not rows of the log.  RC_NOMEM.  On failure *page is empty.
 */
enum rc pg_page_read(const PGresult *, const char *epoch, struct pg_page *) MUST_USE;
void pg_page_fini(struct pg_page *);

#endif
