/*
 * schema_presence.c - what a process says of its members, and what others are told, in SQL.
 */
#include "tests/sql/schema_presence.h"

#include <check.h>
#include <stdio.h>

PGconn *db;

void presence_db_open(void)
{
    db = db_open(schema_dsn());
}

void presence_db_close(void)
{
    PQfinish(db);
}

static const char *or_empty(const char *array)
{
    return array ? array : "{}";
}

const char *change(struct say s)
{
    char datas[300];

    snprintf(datas, sizeof(datas),
             s.datas ? "'%s'" : "array_fill(NULL::text, ARRAY[cardinality('%s'::text[])])",
             s.datas ? s.datas : or_empty(s.nrs));
    return db_ask(db,
                  "SELECT concat_ws(' ', lost, rejected) FROM bellpush.presence_change('%s', %d, "
                  "%d, '%s', '%s', '%s', %s, '%s', %s, %d)",
                  s.worker, s.turn, s.known, or_empty(s.nrs), or_empty(s.topics),
                  or_empty(s.members), datas, or_empty(s.departures),
                  s.range ? s.range : "NULL, NULL", s.topic_max ? s.topic_max : 1000);
}

const char *look_after(const char *interval)
{
    db_do(db, "UPDATE bellpush.presence_worker SET looked_at = looked_at - interval '%s'",
          interval);
    return db_ask(db, "SELECT m ->> 'more' FROM bellpush.maintain() m");
}
