/*
 * pg_error.c - what libpq and the server say when something is wrong, and what to do about it.
 */
#include "sql/pg_error.h"

void pg_error_line(const char *message, char out[PG_WHY_MAX])
{
    size_t n = 0;
    bool gap = false;

    for (const char *p = message ? message : ""; *p && n + 2 < PG_WHY_MAX; p++) {
        if (*p == '\n' || *p == '\t' || *p == ' ') {
            gap = n > 0;
            continue;
        }
        if (gap)
            out[n++] = ' ';
        gap = false;
        out[n++] = *p;
    }
    out[n] = '\0';
}

const char *pg_error_state(const PGresult *result)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

    return state ? state : "";
}

bool pg_error_none(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

static bool begins(const char *sqlstate, const char *class)
{
    return strncmp(sqlstate, class, strlen(class)) == 0;
}

/* An event is too large only when the schema says so.  The server has limits of the same kind, of
   which no event is guilty: its queue of notifications is full, its transaction numbers are used
   up. */
static bool is_too_large(const PGresult *result)
{
    const char *said = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    return begins(pg_error_state(result), "54") && said && begins(said, "bellpush:");
}

enum pg_cure pg_error_cure(const PGresult *result)
{
    const char *sqlstate = pg_error_state(result);

    if (strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0)
        return PG_CURE_REPEAT;
    if (strcmp(sqlstate, "55P03") == 0)
        return PG_CURE_LATER;
    if (begins(sqlstate, "42") || begins(sqlstate, "3F") || begins(sqlstate, "53") ||
        begins(sqlstate, "57") || begins(sqlstate, "58") || begins(sqlstate, "25") ||
        begins(sqlstate, "XX") || (begins(sqlstate, "54") && !is_too_large(result)))
        return PG_CURE_OPERATOR;
    return PG_CURE_NONE;
}

enum rc pg_error_rc(const PGresult *result)
{
    const char *sqlstate = pg_error_state(result);

    if (is_too_large(result))
        return RC_LIMIT;
    if (strcmp(sqlstate, "BP001") == 0)
        return RC_DENIED;
    switch (pg_error_cure(result)) {
    case PG_CURE_REPEAT:
    case PG_CURE_LATER:
        return RC_AGAIN;
    case PG_CURE_OPERATOR:
        return RC_SOURCE;
    case PG_CURE_NONE:
        break;
    }
    return begins(sqlstate, "22") || begins(sqlstate, "23") ? RC_SYNTAX : RC_SOURCE;
}
