/*
 * schema_db.c - see schema_db.h.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/sql/schema_db.h"

void schema_server(void)
{
    cluster_shared();
}

/* Names of databases and roles belong to the whole server: one for each test process. */
static const char *name_of_database(void)
{
    static char name[32];
    snprintf(name, sizeof name, "t%d", (int)getpid());
    return name;
}

/* For as long as the test runs; reachable, so that no leak is reported. */
static const char *keep(char *text)
{
    static struct kept {
        struct kept *next;
        char *text;
    } * all;
    struct kept *k = malloc(sizeof *k);
    ck_assert_ptr_nonnull(k);
    *k = (struct kept){ all, text };
    all = k;
    return text;
}

const char *schema_dsn(void)
{
    return keep(cluster_database(cluster_shared(), name_of_database()));
}

const char *schema_empty_dsn(void)
{
    return keep(cluster_empty_database(cluster_shared(), name_of_database()));
}

const char *schema_dsn_as(const char *user)
{
    return keep(text_of("host=%s port=5432 dbname=%s user=%s", cluster_socket(cluster_shared()),
                        name_of_database(), user));
}

static void no_notice(void *arg, const PGresult *result)
{
    (void)arg, (void)result;
}

PGconn *db_open(const char *dsn)
{
    PGconn *conn = PQconnectdb(dsn);
    ck_assert_msg(PQstatus(conn) == CONNECTION_OK, "%s", PQerrorMessage(conn));
    PQsetNoticeReceiver(conn, no_notice, NULL);
    return conn;
}

static _Thread_local char *lent[16];
static _Thread_local unsigned next_lent;

static const char *lend(char *text)
{
    char **place = &lent[next_lent++ % LENGTH(lent)];
    free(*place);
    return *place = text;
}

void db_thread_ends(void)
{
    for (size_t i = 0; i < LENGTH(lent); i++) {
        free(lent[i]);
        lent[i] = NULL;
    }
}

PRINTF(2, 0)
static PGresult *run(PGconn *conn, const char *format, va_list ap)
{
    char *sql;
    ck_assert_int_ge(vasprintf(&sql, format, ap), 0);
    PGresult *result = PQexec(conn, sql);
    free(sql);
    return result;
}

static bool failed(const PGresult *result)
{
    ExecStatusType s = PQresultStatus(result);
    return s != PGRES_TUPLES_OK && s != PGRES_COMMAND_OK;
}

static const char *first(PGresult *result)
{
    bool any = PQntuples(result) > 0 && PQnfields(result) > 0;
    const char *value = lend(text_of("%s", any ? PQgetvalue(result, 0, 0) : ""));
    PQclear(result);
    return value;
}

PRINTF(2, 0)
static const char *ask(PGconn *conn, const char *format, va_list ap)
{
    PGresult *result = run(conn, format, ap);
    ck_assert_msg(!failed(result), "%s\n%s", format, PQresultErrorMessage(result));
    return first(result);
}

void db_do(PGconn *conn, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    ask(conn, format, ap);
    va_end(ap);
}

const char *db_ask(PGconn *conn, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const char *value = ask(conn, format, ap);
    va_end(ap);
    return value;
}

int64_t db_number(PGconn *conn, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const char *value = ask(conn, format, ap);
    va_end(ap);
    ck_assert_msg(*value, "no number: %s", format);
    return strtoll(value, NULL, 10);
}

const char *db_error(PGconn *conn, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    PGresult *result = run(conn, format, ap);
    va_end(ap);
    ck_assert_msg(failed(result), "this should have failed: %s", format);
    const char *error = lend(text_of("%s %s", PQresultErrorField(result, PG_DIAG_SQLSTATE),
                                     PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)));
    PQclear(result);
    return error;
}

const char *db_try(PGconn *conn, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    PGresult *result = run(conn, format, ap);
    va_end(ap);
    if (!failed(result))
        return first(result);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *error = lend(text_of("!%s", state ? state : "08006"));
    PQclear(result);
    return error;
}
