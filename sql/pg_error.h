/*
 * pg_error.h - what libpq and the server say when something is wrong, and what to do about it.
 */
#ifndef SQL_PG_ERROR_H
#define SQL_PG_ERROR_H

#include <libpq-fe.h>

#include "core/buf.h"

enum { PG_WHY_MAX = 256 };

/* libpq's message (several lines, indented) as one line, cut at PG_WHY_MAX - 1 bytes. */
void pg_error_line(const char *message, char out[PG_WHY_MAX]);

/* SQLSTATE of a failed result; "" when there is none (the connection broke). */
const char *pg_error_state(const PGresult *);

/* Is the result what its statement should give? */
bool pg_error_none(const PGresult *);

enum pg_cure {
    PG_CURE_NONE,     /* it will fail again: tell the caller */
    PG_CURE_REPEAT,   /* a serialization failure or a deadlock: at once again */
    PG_CURE_LATER,    /* a lock was not to be had, or resources are short */
    PG_CURE_OPERATOR, /* schema missing, rights missing, disk full: a person must act */
};
enum pg_cure pg_error_cure(const PGresult *);

/* The reaction to a publish that failed so (see struct publication). */
enum rc pg_error_rc(const PGresult *);

#endif
