/*
 * cluster.c - see cluster.h.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/peers/cluster.h"
#include "tests/peers/process.h"

enum { START_MS = 60000, STOP_MS = 30000, SETTINGS_MAX = 32 };

struct cluster {
    char *folder, *data, *log;
    char *standby;                /* the data of the one that cluster_back_up() made; NULL: none */
    char *settings[SETTINGS_MAX]; /* "name=value", NULL-terminated */
    pid_t maker, pid;             /* pid 0: stopped */
};

static _Noreturn void give_up(const char *why, const char *log)
{
    char *text = log ? file_read(log) : NULL;
    fprintf(stderr, "tests: PostgreSQL: %s\n%s", why, text ? text : "");
    exit(EXIT_FAILURE);
}

/* The program's path: given. */
static char *program(const char *name)
{
    const char *dir = getenv("BELLPUSH_PG_BINDIR");
    char line[512] = "", *path;
    FILE *ask;

    if (!dir && (ask = popen("pg_config --bindir 2>/dev/null", "r"))) {
        if (fgets(line, sizeof line, ask))
            line[strcspn(line, "\n")] = '\0';
        pclose(ask);
        dir = line;
    }
    if (dir && *dir) {
        path = text_of("%s/%s", dir, name);
        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return text_of("%s", name);
}

/* --- the server ---------------------------------------------------------------------------- */

static void make_data(struct cluster *c)
{
    char *initdb = program("initdb");
    const char *argv[] = { initdb,      "-D",
                           c->data,     "-U",
                           "postgres",  "-A",
                           "trust",     "-E",
                           "UTF8",      "--locale=C.UTF-8",
                           "--no-sync", "--no-instructions",
                           NULL };
    struct process_spec spec = { .argv = argv, .log = c->log, .dir = "/", .user = "postgres" };

    if (process_run(&spec, START_MS) != 0)
        give_up("initdb failed", c->log);
    free(initdb);
}

static bool answers(void *arg)
{
    struct cluster *c = arg;
    int status;

    if (process_ended(c->pid, &status))
        give_up("the server ended while starting", c->log);
    char *dsn = cluster_dsn(c, "postgres");
    PGPing ping = PQping(dsn);
    free(dsn);
    return ping == PQPING_OK;
}

void cluster_again(struct cluster *c)
{
    char *postgres = program("postgres");
    char *socket_dir = text_of("unix_socket_directories=%s", c->folder);
    const char *argv[8 + 2 * (SETTINGS_MAX + 8)];
    const char *fixed[] = { socket_dir, "listen_addresses=", "max_connections=200",
                            "shared_buffers=32MB", "max_prepared_transactions=10" };
    size_t n = 0;

    argv[n++] = postgres;
    argv[n++] = "-D";
    argv[n++] = c->data;
    for (size_t i = 0; i < LENGTH(fixed); i++)
        argv[n++] = "-c", argv[n++] = fixed[i];
    for (char **s = c->settings; *s; s++)
        argv[n++] = "-c", argv[n++] = *s;
    argv[n] = NULL;
    /* SIGQUIT, not SIGKILL: the postmaster then takes its shared memory and its children along. */
    c->pid = process_start(&(struct process_spec){
        .argv = argv, .log = c->log, .dir = "/", .user = "postgres", .death_signal = SIGQUIT });
    if (!wait_until(answers, c, START_MS))
        give_up("the server does not answer", c->log);
    free(socket_dir);
    free(postgres);
}

void cluster_stop(struct cluster *c, const char *mode)
{
    if (c->pid <= 0)
        return;
    kill(c->pid, strcmp(mode, "immediate") == 0 ? SIGQUIT : SIGINT);
    if (!process_wait(c->pid, STOP_MS, NULL))
        process_stop(c->pid, 0);
    c->pid = 0;
}

void cluster_back_up(struct cluster *c)
{
    char *pg_basebackup = program("pg_basebackup");
    const char *argv[] = { pg_basebackup, "-D", NULL,   "-h",        c->folder, "-U",
                           "postgres",    "-c", "fast", "--no-sync", NULL };
    struct process_spec spec = { .argv = argv, .log = c->log, .dir = "/", .user = "postgres" };

    free(c->standby);
    argv[2] = c->standby = text_of("%s.standby", c->data);
    if (process_run(&spec, START_MS) != 0)
        give_up("pg_basebackup failed", c->log);
    char *signal = text_of("%s/standby.signal", c->standby);
    file_write(signal, SLICE(""));
    file_own(signal, "postgres");
    free(signal);
    free(pg_basebackup);
}

static bool is_primary(void *arg)
{
    char *answer = cluster_sql(arg, "SELECT pg_is_in_recovery()");
    bool primary = strcmp(answer, "f") == 0;

    free(answer);
    return primary;
}

void cluster_fail_over(struct cluster *c)
{
    cluster_stop(c, "immediate");
    free(c->data);
    c->data = c->standby;
    c->standby = NULL;
    cluster_again(c);
    char *dsn = cluster_dsn(c, "postgres");
    free(cluster_sql(dsn, "SELECT pg_promote()"));
    if (!wait_until(is_primary, dsn, START_MS))
        give_up("the standby is not promoted", c->log);
    free(dsn);
}

struct cluster *cluster_start_with(const char *const *settings)
{
    struct cluster *c = calloc(1, sizeof *c);

    if (!c)
        give_up("no memory", NULL);
    c->maker = getpid();
    c->folder = temp_folder("pg");
    c->data = text_of("%s/data", c->folder);
    c->log = text_of("%s/log", c->folder);
    for (size_t n = 0; settings && settings[n] && n + 1 < SETTINGS_MAX; n++)
        c->settings[n] = text_of("%s", settings[n]);
    if (mkdir(c->data, 0700))
        give_up("cannot make the data folder", NULL);
    file_own(c->folder, "postgres");
    file_own(c->data, "postgres");
    file_write(c->log, SLICE(""));
    file_own(c->log, "postgres");
    make_data(c);
    cluster_again(c);
    return c;
}

struct cluster *cluster_start(void)
{
    return cluster_start_with(NULL);
}

void cluster_free(struct cluster *c)
{
    if (!c)
        return;
    if (c->maker == getpid()) /* a forked test only lets go of its copy */
        cluster_stop(c, "immediate");
    for (char **s = c->settings; *s; s++)
        free(*s);
    free(c->folder); /* the folder itself goes with the process (process.c) */
    free(c->data);
    free(c->standby);
    free(c->log);
    free(c);
}

static struct cluster *shared;

static void free_shared(void)
{
    cluster_free(shared);
    shared = NULL;
}

struct cluster *cluster_shared(void)
{
    if (!shared) {
        shared = cluster_start_with((const char *const[]){ "fsync=off", NULL });
        atexit(free_shared); /* after temp_folder()'s own, so it runs before */
    }
    return shared;
}

const char *cluster_socket(const struct cluster *c)
{
    return c->folder;
}

/* --- databases ----------------------------------------------------------------------------- */

static char *dsn_as(const struct cluster *c, const char *user, const char *database)
{
    return text_of("host=%s port=5432 user=%s dbname=%s", c->folder, user, database);
}

char *cluster_dsn(const struct cluster *c, const char *database)
{
    return dsn_as(c, "postgres", database);
}

char *cluster_schema(void)
{
    const char *top = getenv("BELLPUSH_TEST_TOP");
    char *path = text_of("%s/sql/bellpush.sql", top ? top : ".");
    char *text = file_read(path);
    if (!text)
        give_up("cannot read sql/bellpush.sql (BELLPUSH_TEST_TOP?)", NULL);
    free(path);
    return text;
}

/* Each %s in text becomes the name; gives. */
static char *with_name(const char *text, const char *name)
{
    struct buf b = BUF_EMPTY;
    const char *cut;
    for (; (cut = strstr(text, "%s")); text = cut + 2) {
        buf_put(&b, (struct slice){ text, (size_t)(cut - text) });
        buf_puts(&b, name);
    }
    buf_puts(&b, text);
    buf_putc(&b, '\0');
    return b.at;
}

char *cluster_empty_database(struct cluster *c, const char *name)
{
    char *admin = cluster_dsn(c, "postgres");
    const char *steps[] = { "DROP DATABASE IF EXISTS \"%s\" WITH (FORCE)",
                            "DROP ROLE IF EXISTS \"%s\"", "CREATE ROLE \"%s\" LOGIN",
                            "CREATE DATABASE \"%s\" OWNER \"%s\"" };

    for (size_t i = 0; i < LENGTH(steps); i++) {
        char *sql = with_name(steps[i], name);
        free(cluster_sql(admin, sql));
        free(sql);
    }
    free(admin);
    return dsn_as(c, name, name);
}

char *cluster_database(struct cluster *c, const char *name)
{
    char *dsn = cluster_empty_database(c, name);
    char *schema = cluster_schema();
    free(cluster_sql(dsn, schema));
    free(schema);
    return dsn;
}

/* --- SQL ----------------------------------------------------------------------------------- */

static void no_notice(void *arg, const PGresult *result)
{
    (void)arg, (void)result;
}

/* The result, or an error in *error (given).  Notices are not for the tests' output. */
static char *run(const char *dsn, const char *sql, char **error)
{
    PGconn *conn = PQconnectdb(dsn);
    char *value = NULL;

    *error = NULL;
    if (PQstatus(conn) != CONNECTION_OK) {
        *error = text_of("08001 %s", PQerrorMessage(conn));
        PQfinish(conn);
        return NULL;
    }
    PQsetNoticeReceiver(conn, no_notice, NULL);
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK && PQntuples(result) > 0 && PQnfields(result) > 0)
        value = text_of("%s", PQgetvalue(result, 0, 0));
    else if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY)
        value = text_of("%s", "");
    else {
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        *error = text_of("%s %s", state ? state : "08000", text ? text : PQerrorMessage(conn));
    }
    PQclear(result);
    PQfinish(conn);
    return value;
}

char *cluster_sql(const char *dsn, const char *sql)
{
    char *error, *value = run(dsn, sql, &error);
    if (!value) {
        fprintf(stderr, "tests: %.300s\ntests: %s\n", sql, error);
        exit(EXIT_FAILURE);
    }
    return value;
}

char *cluster_try(const char *dsn, const char *sql)
{
    char *error, *value = run(dsn, sql, &error);
    free(value);
    return error ? error : text_of("00000");
}
