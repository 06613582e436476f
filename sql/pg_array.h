/*
 * pg_array.h - one-dimensional arrays in PostgreSQL's binary format.
 *
 *      int32 dimensions (0 or 1) · int32 has NULLs · int32 element type
 *      int32 length · int32 lower bound (1)              only when there are elements
 *      int32 bytes (-1: NULL) · bytes                    each element
 *
 * All numbers are big-endian.  Bytes travel as they are: no quoting, no hex.
 */
#ifndef SQL_PG_ARRAY_H
#define SQL_PG_ARRAY_H

#include "core/buf.h"

/* Type numbers from pg_type.dat; they never change. */
enum pg_type {
    PG_BOOL = 16,
    PG_BYTEA = 17,
    PG_INT8 = 20,
    PG_INT4 = 23,
    PG_TEXT = 25,
    PG_JSONB = 3802,
    PG_BOOL_ARRAY = 1000,
    PG_BYTEA_ARRAY = 1001,
    PG_TEXT_ARRAY = 1009,
    PG_INT8_ARRAY = 1016,
};

struct pg_array {
    struct buf bytes; /* the finished array; after the last put */
    uint32_t count;
};

#define PG_ARRAY_EMPTY ((struct pg_array){ BUF_EMPTY, 0 })

/* Begin an array of elements of a type; the put functions must fit the type. */
void pg_array_begin(struct pg_array *, enum pg_type element);
void pg_array_put(struct pg_array *, struct slice); /* text, bytea; at NULL and len 0: SQL NULL */
void pg_array_put_bool(struct pg_array *, bool);
void pg_array_put_int8(struct pg_array *, int64_t);
/* Lend the bytes; {NULL, 0}: memory was short.  Nothing may be put afterwards. */
struct slice pg_array_end(struct pg_array *);
void pg_array_fini(struct pg_array *);

/* Big-endian numbers, as binary parameters and columns have them. */
void pg_put_int4(char out[4], int32_t);
void pg_put_int8(char out[8], int64_t);
int32_t pg_get_int4(const char *);
int64_t pg_get_int8(const char *);

/*
 * Read a binary int8[] without NULLs: *out gets a malloc()ed copy (caller frees; NULL when empty),
 * *n its length.  RC_SYNTAX: it is not one; RC_NOMEM.
 */
enum rc pg_array_read_int8(struct slice, int64_t **out, size_t *n) MUST_USE;

#endif
