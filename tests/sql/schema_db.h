/*
 * schema_db.h - short words for tests that talk SQL to a database with the schema in it.
 *
 * Every test gets a database of its own in the one shared server.  A failing statement ends the
 * test with the server's message, unless the function says otherwise.
 */
#ifndef TESTS_SQL_SCHEMA_DB_H
#define TESTS_SQL_SCHEMA_DB_H

#include <libpq-fe.h>

#include "core/buf.h"

/* For tcase_add_unchecked_fixture(): the shared server, before the first test forks. */
void schema_server(void);

/* A fresh database with the schema, as its ordinary owner; lent for the test. */
const char *schema_dsn(void);
/* The same without the schema. */
const char *schema_empty_dsn(void);
/* The same database as somebody else; lent. */
const char *schema_dsn_as(const char *user);

PGconn *db_open(const char *dsn); /* gives: PQfinish() */
void db_do(PGconn *, const char *format, ...) PRINTF(2, 3);
/* First column of the first row, "" when there is none or NULL; lent until the next 15 calls. */
const char *db_ask(PGconn *, const char *format, ...) PRINTF(2, 3);
int64_t db_number(PGconn *, const char *format, ...) PRINTF(2, 3);
/* The error that a statement must raise: "SQLSTATE message"; lent as above. */
const char *db_error(PGconn *, const char *format, ...) PRINTF(2, 3);
/* As db_ask(), but an error gives "!SQLSTATE". */
const char *db_try(PGconn *, const char *format, ...) PRINTF(2, 3);

/* Free what was lent to the calling thread. */
void db_thread_ends(void);

#endif
