/*
 * load_tables.c - the tables of a run: what was committed (ledger), what the log gave numbers to
 * (truth), a table that is watched (goods), and the last events of all.
 *
 * Truth is written by a trigger on the log, so it holds exactly what was numbered, even when
 * retention has removed it.  It does not say the epoch of each row: a REPEATABLE READ transaction
 * that is open across a change of the epoch would still read the old one.  Instead a second trigger
 * notes up to which number the log had come when the epoch changed, which is exact because both
 * happen under the numbering lock.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/faults/load_priv.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"

enum {
    CONNECT_MS = 60000,
    QUIET_MS = 15000,
    FLUSH_MS = 20000,
    AGAIN_MS = 50,
    FLUSH_AGAIN_MS = 500
};

/* Names are found in the first bytes; the whole of a large event is looked through only if need be.
   escape: any bytes are text then. */
static const char set_up[] =
    "CREATE SCHEMA faults;"
    "CREATE TABLE faults.ledger (name text NOT NULL, topic text NOT NULL, kind text NOT NULL);"
    "CREATE INDEX ledger_name ON faults.ledger (name);"
    "CREATE TABLE faults.goods (id bigserial PRIMARY KEY, shelf int NOT NULL, name text NOT NULL);"
    "CREATE TABLE faults.truth (seq bigint NOT NULL, name text NOT NULL, topic text NOT NULL);"
    "CREATE TABLE faults.epochs (nr bigserial PRIMARY KEY, epoch text NOT NULL,"
    "                            after bigint NOT NULL);"
    "INSERT INTO faults.epochs (epoch, after) SELECT epoch, 0 FROM bellpush.state;"

    "CREATE FUNCTION faults.numbered() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
    " SET search_path = pg_catalog, pg_temp AS $$ "
    "DECLARE"
    "  sign CONSTANT text := '@[0-9]+\\.[0-9]+\\.[0-9]+@';"
    "  found text := substring(encode(substr(NEW.data, 1, 500), 'escape') FROM sign); "
    "BEGIN"
    "  IF found IS NULL AND octet_length(NEW.data) > 500 THEN"
    "    found := substring(encode(NEW.data, 'escape') FROM sign);"
    "  END IF;"
    "  IF found IS NOT NULL THEN"
    "    INSERT INTO faults.truth VALUES (NEW.seq, found, NEW.topic);"
    "  END IF;"
    "  RETURN NULL; "
    "END $$;"
    "CREATE TRIGGER faults AFTER INSERT ON bellpush.log"
    " FOR EACH ROW WHEN (NEW.topic !~ '^filler/')" /* of faults: large, and without a name */
    " EXECUTE FUNCTION faults.numbered();"

    "CREATE FUNCTION faults.renewed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
    " SET search_path = pg_catalog, pg_temp AS $$ "
    "BEGIN"
    "  INSERT INTO faults.epochs (epoch, after)"
    "    SELECT NEW.epoch, last_value FROM bellpush.seq;"
    "  RETURN NULL; "
    "END $$;"
    "CREATE TRIGGER faults AFTER UPDATE OF epoch ON bellpush.state"
    " FOR EACH ROW EXECUTE FUNCTION faults.renewed();"

    "SELECT bellpush.watch('faults.goods', 'goods/{shelf}', operations => '{INSERT}')";

/* Each row of truth with its epoch. */
#define TRUTH                                                                                      \
    "SELECT e.epoch, t.seq, t.name, t.topic FROM faults.truth t, LATERAL ("                        \
    " SELECT epoch FROM faults.epochs WHERE after < t.seq ORDER BY nr DESC LIMIT 1) e"

void load_prepare(const char *dsn)
{
    free(cluster_sql(dsn, set_up));
}

/* ---- asking -----------------------------------------------------------------------------------
 */

static void no_notice(void *arg, const PGresult *result)
{
    (void)arg, (void)result;
}

static bool connects(void *arg)
{
    PGconn *conn = *(PGconn **)arg;

    if (PQstatus(conn) != CONNECTION_OK)
        PQreset(conn);
    return PQstatus(conn) == CONNECTION_OK;
}

static PGconn *connect_to(const char *dsn)
{
    PGconn *conn = PQconnectdb(dsn);

    if (!wait_until(connects, &conn, CONNECT_MS))
        load_fail("cannot connect: %s", PQerrorMessage(conn));
    PQsetNoticeReceiver(conn, no_notice, NULL);
    return conn;
}

/* The rows, given; an error ends the program. */
static PGresult *ask(PGconn *conn, const char *sql, const char *value)
{
    PGresult *result =
        value ? PQexecParams(conn, sql, 1, NULL, &value, NULL, NULL, 0) : PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        load_fail("%.200s: %s", sql, PQerrorMessage(conn));
    return result;
}

static void tell(PGconn *conn, const char *sql, const char *value)
{
    PQclear(ask(conn, sql, value));
}

/* Ask again and again until the first column of the first row is true. */
static bool comes_true(PGconn *conn, const char *sql, const char *value, int64_t ms)
{
    for (int64_t until = now_ms() + ms;;) {
        PGresult *result = ask(conn, sql, value);
        bool yes = PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), "t") == 0;
        PQclear(result);
        if (yes || now_ms() >= until)
            return yes;
        poll(NULL, 0, AGAIN_MS);
    }
}

void tables_empty(const char *dsn)
{
    PGconn *conn = connect_to(dsn);
    tell(conn,
         "BEGIN; SET LOCAL lock_timeout = '30s';"
         "TRUNCATE faults.ledger, faults.truth, faults.goods; COMMIT",
         NULL);
    PQfinish(conn);
}

/* ---- the last events --------------------------------------------------------------------------
 */

/* Publishers are gone, but what they sent last, or what a worker was asked to publish, may still be
   under way in some backend.  One that waits for a publisher, whose farewell was lost, would wait
   for ever. */
static bool is_quiet(PGconn *conn)
{
    return comes_true(conn,
                      "SELECT count(*) = 0, count(CASE WHEN state LIKE 'idle in transaction%'"
                      " AND application_name = '" LOAD_PUBLISHER_NAME "'"
                      " THEN pg_terminate_backend(pid) END)"
                      " FROM pg_stat_activity WHERE xact_start IS NOT NULL"
                      " AND pid <> pg_backend_pid() AND datname = current_database()"
                      " AND (application_name = '" LOAD_PUBLISHER_NAME "'"
                      "      OR query LIKE '%bellpush.publish_batch%')",
                      NULL, QUIET_MS);
}

/* What was notified before must be recorded before: a NOTIFY without a name, until one has come. */
static bool notifies_are_recorded(PGconn *conn)
{
    PGresult *head = ask(conn, "SELECT coalesce(max(seq), 0) FROM bellpush.log", NULL);
    bool recorded = false;

    for (int64_t until = now_ms() + FLUSH_MS; !recorded && now_ms() < until;) {
        tell(conn, "NOTIFY " LOAD_CHANNEL ", 'all before this one'", NULL);
        recorded = comes_true(conn,
                              "SELECT EXISTS (SELECT FROM bellpush.log WHERE seq > $1"
                              " AND topic = '" LOAD_CHANNEL "' AND data = 'all before this one')",
                              PQgetvalue(head, 0, 0), FLUSH_AGAIN_MS);
    }
    PQclear(head);
    return recorded;
}

/* One transaction, and what its publisher, number 0, was told. */
static void commit_last(const struct load_spec *spec, PGconn *conn)
{
    struct buf topics = BUF_EMPTY, names = BUF_EMPTY;

    for (int i = 0; i < LOAD_TOPICS_ALL; i++) {
        char name[NAME_TEXT_MAX];
        name_text((struct name){ 0, 0, i + 1 }, name);
        buf_printf(&topics, "%c\"%s\"", i ? ',' : '{', load_topic((size_t)i));
        buf_printf(&names, "%c\"%s\"", i ? ',' : '{', name);
    }
    buf_printf(&topics, "}%c", '\0');
    buf_printf(&names, "}%c", '\0');
    const char *values[] = { topics.at, names.at };
    int64_t before = now_us();
    PGresult *result = PQexecParams(
        conn,
        "WITH l AS (INSERT INTO faults.ledger"
        " SELECT name, topic, 'publish' FROM unnest($1::text[], $2::text[]) u(topic, name))"
        " SELECT bellpush.publish_many($1::text[], $2::text[])",
        2, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        load_fail("the last events: %s", PQerrorMessage(conn));
    PQclear(result);
    FILE *acks = record_open(spec->folder, "acks", 0, "w");
    fprintf(acks, "0.0\t%lld\t%lld\tcommitted\t%s\n", (long long)before, (long long)now_us(),
            kind_names[KIND_PUBLISH]);
    fclose(acks);
    buf_fini(&topics);
    buf_fini(&names);
}

/* Where the last events stand. */
static bool find_last(PGconn *conn, struct load_shared *shared)
{
    PGresult *rows = ask(conn, TRUTH " WHERE t.name LIKE '@0.0.%' ORDER BY t.seq", NULL);
    int n = PQntuples(rows);

    for (int i = 0; i < n; i++) {
        struct name name;
        if (name_find(slice_of(PQgetvalue(rows, i, 2)), &name) && name.event <= LOAD_TOPICS_ALL)
            shared->last_seq[name.event - 1] = strtoll(PQgetvalue(rows, i, 1), NULL, 10);
        snprintf(shared->last_epoch, sizeof shared->last_epoch, "%s", PQgetvalue(rows, i, 0));
    }
    PQclear(rows);
    return n == LOAD_TOPICS_ALL;
}

bool tables_end(const struct load_spec *spec, const char *dsn, struct load_shared *shared,
                int64_t ms)
{
    PGconn *conn = connect_to(dsn);

    for (int i = 0; i < LOAD_TOPICS_ALL; i++)
        shared->last_seq[i] = INT64_MAX;
    if (!is_quiet(conn))
        fprintf(stderr, "load: transactions of publishers that are gone do not end\n");
    if (!spec->no_notify && !notifies_are_recorded(conn))
        fprintf(stderr, "load: nobody records NOTIFYs\n");
    commit_last(spec, conn);
    bool numbered = comes_true(conn,
                               "SELECT count(*) = $1 AND NOT EXISTS (SELECT FROM bellpush.inbox)"
                               " FROM faults.truth WHERE name LIKE '@0.0.%'",
                               "13", ms);
    _Static_assert(LOAD_TOPICS_ALL == 13, "as many as the question above says");
    bool found = find_last(conn, shared);
    PQfinish(conn);
    return numbered && found;
}

/* ---- writing down -----------------------------------------------------------------------------
 */

static void copy_out(PGconn *conn, const char *sql, const char *folder, const char *name)
{
    FILE *file = record_open(folder, name, -1, "w");
    PGresult *result = PQexec(conn, sql);
    char *line;
    int len;

    if (PQresultStatus(result) != PGRES_COPY_OUT)
        load_fail("%s: %s", name, PQerrorMessage(conn));
    PQclear(result);
    while ((len = PQgetCopyData(conn, &line, 0)) > 0) {
        fwrite(line, 1, (size_t)len, file);
        PQfreemem(line);
    }
    result = PQgetResult(conn);
    if (len != -1 || PQresultStatus(result) != PGRES_COMMAND_OK || fclose(file))
        load_fail("%s: %s", name, PQerrorMessage(conn));
    PQclear(result);
}

void tables_write(const char *folder, const char *dsn)
{
    PGconn *conn = connect_to(dsn);

    copy_out(conn, "COPY (" TRUTH " ORDER BY t.seq) TO STDOUT", folder, "truth");
    copy_out(conn, "COPY faults.ledger TO STDOUT", folder, "ledger");
    PQfinish(conn);
}
