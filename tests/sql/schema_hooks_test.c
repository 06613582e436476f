/*
 * schema_hooks_test.c - contrib/hooks.sql, as it stands.
 */
#include <stdlib.h>

#include "tests/peers/process.h"
#include "tests/sql/schema_db.h"
#include "tests/suite.h"

START_TEST(examples_define_a_hook_of_each_scheme)
{
    PGconn *db = db_open(schema_dsn());
    const char *top = getenv("BELLPUSH_TEST_TOP");
    char *path = text_of("%s/contrib/hooks.sql", top ? top : "."), *sql = file_read(path);

    ck_assert_msg(sql != NULL, "cannot read %s (BELLPUSH_TEST_TOP?)", path);
    for (int i = 0; i < 2; i++) { /* again: the same */
        PGresult *r = PQexec(db, sql);
        ck_assert_msg(PQresultStatus(r) == PGRES_TUPLES_OK, "%s", PQresultErrorMessage(r));
        PQclear(r);
    }
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(DISTINCT scheme, ' ') FROM bellpush.hooks"),
                     "cloudevents github gitlab hmac shopify slack standard stripe twilio websub");
    /* what services tell is not for everybody; a feed is */
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(name, ' ') FROM bellpush.hooks"
                                " WHERE options->'private' IS DISTINCT FROM 'true'"),
                     "feed");
    free(sql);
    free(path);
    PQfinish(db);
}
END_TEST

SUITE(schema_hooks)
{
    tcase_add_unchecked_fixture(tc, schema_server, NULL);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, examples_define_a_hook_of_each_scheme);
}
