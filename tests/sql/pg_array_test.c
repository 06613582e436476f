/*
 * pg_array_test.c - binary arrays: what is built is what PostgreSQL means, and what is read is
 * checked.
 */
#include <libpq-fe.h>
#include <stdlib.h>

#include "sql/pg_array.h"
#include "sql/pg_error.h"
#include "tests/peers/cluster.h"
#include "tests/sql/pg_rig.h"

/* What the server makes of an array: its text form. */
static char *as_text(PGconn *pg, struct slice bytes, enum pg_type type)
{
    Oid types[] = { type };
    const char *values[] = { bytes.at };
    int lengths[] = { (int)bytes.len }, formats[] = { 1 };
    PGresult *result = PQexecParams(pg, "SELECT $1::text", 1, types, values, lengths, formats, 0);

    ck_assert_msg(pg_error_none(result), "%s", PQerrorMessage(pg));
    char *text = strdup(PQgetvalue(result, 0, 0));
    PQclear(result);
    return text;
}

START_TEST(server_reads_what_was_built)
{
    char *dsn = cluster_dsn(cluster_shared(), "postgres");
    PGconn *pg = PQconnectdb(dsn);
    struct pg_array a;
    char *text;

    ck_assert_int_eq(PQstatus(pg), CONNECTION_OK);
    pg_array_begin(&a, PG_TEXT);
    pg_array_put(&a, SLICE("plain"));
    pg_array_put(&a, SLICE(""));
    pg_array_put(&a, SLICE_NONE);
    pg_array_put(&a, SLICE("a\"b,{c}\\ \xc3\xa4"));
    text = as_text(pg, pg_array_end(&a), PG_TEXT_ARRAY);
    ck_assert_str_eq(text, "{plain,\"\",NULL,\"a\\\"b,{c}\\\\ \xc3\xa4\"}");
    free(text);
    pg_array_fini(&a);

    pg_array_begin(&a, PG_BYTEA);
    pg_array_put(&a, (struct slice){ "\0\xff", 2 });
    text = as_text(pg, pg_array_end(&a), PG_BYTEA_ARRAY);
    ck_assert_str_eq(text, "{\"\\\\x00ff\"}");
    free(text);
    pg_array_fini(&a);

    pg_array_begin(&a, PG_BOOL);
    pg_array_put_bool(&a, true);
    pg_array_put_bool(&a, false);
    text = as_text(pg, pg_array_end(&a), PG_BOOL_ARRAY);
    ck_assert_str_eq(text, "{t,f}");
    free(text);
    pg_array_fini(&a);

    pg_array_begin(&a, PG_INT8);
    pg_array_put_int8(&a, INT64_MIN);
    pg_array_put(&a, SLICE_NONE);
    pg_array_put_int8(&a, INT64_MAX);
    text = as_text(pg, pg_array_end(&a), PG_INT8_ARRAY);
    ck_assert_str_eq(text, "{-9223372036854775808,NULL,9223372036854775807}");
    free(text);
    pg_array_fini(&a);

    pg_array_begin(&a, PG_TEXT);
    text = as_text(pg, pg_array_end(&a), PG_TEXT_ARRAY);
    ck_assert_str_eq(text, "{}");
    free(text);
    pg_array_fini(&a);
    PQfinish(pg);
    free(dsn);
}
END_TEST

START_TEST(numbers_come_back)
{
    static const int64_t numbers[] = { 1, -1, INT64_MAX, INT64_MIN, 0 };
    struct pg_array a;
    int64_t *out;
    size_t n;

    pg_array_begin(&a, PG_INT8);
    for (size_t i = 0; i < LENGTH(numbers); i++)
        pg_array_put_int8(&a, numbers[i]);
    ck_assert_int_eq(pg_array_read_int8(pg_array_end(&a), &out, &n), RC_OK);
    ck_assert_uint_eq(n, LENGTH(numbers));
    ck_assert_mem_eq(out, numbers, sizeof(numbers));
    free(out);
    pg_array_fini(&a);

    pg_array_begin(&a, PG_INT8);
    ck_assert_int_eq(pg_array_read_int8(pg_array_end(&a), &out, &n), RC_OK);
    ck_assert_uint_eq(n, 0);
    ck_assert_ptr_null(out);
    pg_array_fini(&a);
}
END_TEST

/* Cut anywhere, or with any byte turned over: refused or read, but never past the end. */
START_TEST(damaged_arrays_are_refused)
{
    struct pg_array a;
    int64_t *out;
    size_t n;

    pg_array_begin(&a, PG_INT8);
    pg_array_put_int8(&a, 5);
    pg_array_put_int8(&a, 6);
    struct slice whole = pg_array_end(&a);
    for (size_t len = 0; len < whole.len; len++) {
        char *copy = malloc(len + 1); /* so that ASan sees a read past the end */
        char *tight = realloc(copy, len ? len : 1);
        memcpy(tight, whole.at, len);
        ck_assert_int_eq(pg_array_read_int8((struct slice){ tight, len }, &out, &n), RC_SYNTAX);
        free(tight);
    }
    for (size_t at = 0; at < whole.len; at++) {
        char *copy = malloc(whole.len);
        memcpy(copy, whole.at, whole.len);
        copy[at] ^= (char)0xff;
        if (pg_array_read_int8((struct slice){ copy, whole.len }, &out, &n) == RC_OK)
            free(out);
        free(copy);
    }
    pg_array_fini(&a);

    pg_array_begin(&a, PG_INT8);
    pg_array_put(&a, SLICE_NONE);
    ck_assert_int_eq(pg_array_read_int8(pg_array_end(&a), &out, &n), RC_SYNTAX);
    pg_array_fini(&a);
}
END_TEST

START_TEST(messages_become_one_line)
{
    char out[PG_WHY_MAX], longer[1000];

    pg_error_line("one\n\ttwo:  three\n", out);
    ck_assert_str_eq(out, "one two: three");
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    pg_error_line(longer, out);
    ck_assert_uint_le(strlen(out), PG_WHY_MAX - 1);
    pg_error_line(NULL, out);
    ck_assert_str_eq(out, "");
}
END_TEST

SUITE(pg_array)
{
    tcase_add_unchecked_fixture(tc, rig_cluster, NULL);
    tcase_add_test(tc, server_reads_what_was_built);
    tcase_add_test(tc, numbers_come_back);
    tcase_add_test(tc, damaged_arrays_are_refused);
    tcase_add_test(tc, messages_become_one_line);
}
