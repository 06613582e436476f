/*
 * schema_presence.h - what a process says of its members, and what others are told, in SQL.
 */
#ifndef TESTS_SQL_SCHEMA_PRESENCE_H
#define TESTS_SQL_SCHEMA_PRESENCE_H

#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/sql/schema_db.h"
#include "tests/sql/schema_steps.h"

extern PGconn *db; /* a database of the test's own */

void presence_db_open(void);
void presence_db_close(void);

/* What was told, oldest first: "join t ann, leave t ann". */
#define TOLD                                                                                       \
    "SELECT coalesce(string_agg(type || ' ' || substr(topic, 11) || ' ' || "                       \
    "(data::json ->> 'member'), ', ' ORDER BY seq), '') FROM bellpush.events "                     \
    "WHERE topic ^@ '$presence/'"

/* "t ann 2, t bob 1" */
#define THERE                                                                                      \
    "SELECT coalesce(string_agg(concat_ws(' ', topic, member, sessions), ', ' "                    \
    "ORDER BY topic, member), '') FROM bellpush.present"

struct say {
    const char *worker;
    int turn, known;
    const char *nrs, *topics, *members, *departures; /* arrays; NULL: empty */
    const char *datas;                               /* NULL: of NULLs */
    const char *range;                               /* "0, 9"; NULL: not anew */
    int topic_max;                                   /* 0: many */
};

#define SAY(w, t, k, ...)                                                                          \
    (struct say)                                                                                   \
    {                                                                                              \
        .worker = (w), .turn = (t), .known = (k), __VA_ARGS__                                      \
    }
#define COME(n, t, m) .nrs = (n), .topics = (t), .members = (m)

/* "f {}": lost, rejected */
const char *change(struct say s);

/* maintain(), as if so much time had gone by since the last look. */
const char *look_after(const char *interval);

#endif
