/*
 * cluster.c - see cluster.h.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/peers/cluster_priv.h"
#include "tests/peers/disk.h"
#include "tests/peers/process.h"

enum { STOP_MS = 30000 };

_Noreturn void cluster_give_up(const char *why, const char *log)
{
    char *text = log ? file_read(log) : NULL;
    fprintf(stderr, "tests: PostgreSQL: %s\n%s", why, text ? text : "");
    exit(EXIT_FAILURE);
}

char *cluster_program(const char *name)
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
    char *initdb = cluster_program("initdb");
    const char *argv[] = { initdb,      "-D",
                           c->data,     "-U",
                           "postgres",  "-A",
                           "trust",     "-E",
                           "UTF8",      "--locale=C.UTF-8",
                           "--no-sync", "--no-instructions",
                           NULL };
    struct process_spec spec = { .argv = argv, .log = c->log, .dir = "/", .user = "postgres" };

    if (process_run(&spec, CLUSTER_START_MS) != 0)
        cluster_give_up("initdb failed", c->log);
    free(initdb);
}

struct answer {
    pid_t pid;
    const char *folder, *log;
};

static bool answers(void *arg)
{
    struct answer *a = arg;
    int status;

    if (process_ended(a->pid, &status))
        cluster_give_up("the server ended while starting", a->log);
    char *dsn = text_of("host=%s port=5432 user=postgres dbname=postgres", a->folder);
    PGPing ping = PQping(dsn);
    free(dsn);
    return ping == PQPING_OK;
}

pid_t cluster_serve(const struct cluster *c, const char *data, const char *folder)
{
    char *postgres = cluster_program("postgres");
    char *socket_dir = text_of("unix_socket_directories=%s", folder);
    char *address = text_of("listen_addresses=%s", c->address ? c->address : "");
    const char *argv[8 + 2 * (CLUSTER_SETTINGS_MAX + 8)];
    const char *fixed[] = { socket_dir, address, "max_connections=200", "shared_buffers=32MB",
                            "max_prepared_transactions=10" };
    struct answer a = { .folder = folder, .log = c->log };
    size_t n = 0;

    argv[n++] = postgres;
    argv[n++] = "-D";
    argv[n++] = data;
    for (size_t i = 0; i < LENGTH(fixed); i++)
        argv[n++] = "-c", argv[n++] = fixed[i];
    for (char *const *s = c->settings; *s; s++)
        argv[n++] = "-c", argv[n++] = *s;
    argv[n] = NULL;
    /* SIGQUIT, not SIGKILL: the postmaster then takes its shared memory and its children along. */
    a.pid = process_start(&(struct process_spec){ .argv = argv,
                                                  .log = c->log,
                                                  .dir = "/",
                                                  .user = "postgres",
                                                  .death_signal = SIGQUIT,
                                                  .net = c->net });
    if (!wait_until(answers, &a, CLUSTER_START_MS))
        cluster_give_up("the server does not answer", c->log);
    free(address);
    free(socket_dir);
    free(postgres);
    return a.pid;
}

void cluster_again(struct cluster *c)
{
    c->pid = cluster_serve(c, c->data, c->folder);
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

bool cluster_died(struct cluster *c)
{
    if (c->pid > 0 && process_ended(c->pid, NULL))
        c->pid = 0;
    return c->pid == 0;
}

/* To all children of the server: those that are there now.  How many. */
static size_t signal_children(pid_t parent, int signal)
{
    char path[64];
    size_t n = 0;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
    char *list = file_read(path), *save = NULL;
    for (char *pid = list ? strtok_r(list, " ", &save) : NULL; pid;
         pid = strtok_r(NULL, " ", &save))
        n += kill((pid_t)atoi(pid), signal) == 0;
    free(list);
    return n;
}

void cluster_freeze(struct cluster *c)
{
    if (c->pid > 0 && kill(c->pid, SIGSTOP) == 0) /* the server first: it forks no more */
        signal_children(c->pid, SIGSTOP);
}

void cluster_thaw(struct cluster *c)
{
    if (c->pid > 0) {
        signal_children(c->pid, SIGCONT);
        kill(c->pid, SIGCONT);
    }
}

/* Who comes over the network is trusted: it is one that only this machine has. */
static void trust_everybody(struct cluster *c)
{
    char *path = text_of("%s/pg_hba.conf", c->data);
    FILE *file = fopen(path, "a");

    if (!file || fputs("host all all all trust\n", file) < 0 || fclose(file))
        cluster_give_up("cannot write pg_hba.conf", NULL);
    free(path);
}

struct cluster *cluster_start_as(const struct cluster_spec *spec)
{
    struct cluster *c = calloc(1, sizeof *c);
    const char *const *settings = spec->settings;

    if (!c)
        cluster_give_up("no memory", NULL);
    c->maker = getpid();
    c->folder = temp_folder("pg");
    c->data = text_of("%s/data", c->folder);
    c->log = text_of("%s/log", c->folder);
    c->net = spec->net;
    c->address = spec->address ? text_of("%s", spec->address) : NULL;
    for (size_t n = 0; settings && settings[n] && n + 1 < CLUSTER_SETTINGS_MAX; n++)
        c->settings[n] = text_of("%s", settings[n]);
    if (mkdir(c->data, 0700))
        cluster_give_up("cannot make the data folder", NULL);
    c->on_disk = spec->disk_bytes > 0;
    if (c->on_disk)
        disk_mount(c->data, spec->disk_bytes);
    file_own(c->folder, "postgres");
    file_own(c->data, "postgres");
    file_write(c->log, SLICE(""));
    file_own(c->log, "postgres");
    make_data(c);
    if (c->address)
        trust_everybody(c);
    cluster_again(c);
    return c;
}

struct cluster *cluster_start_with(const char *const *settings)
{
    return cluster_start_as(&(struct cluster_spec){ .settings = settings });
}

struct cluster *cluster_start(void)
{
    return cluster_start_with(NULL);
}

void cluster_free(struct cluster *c)
{
    if (!c)
        return;
    if (c->maker == getpid()) { /* a forked test only lets go of its copy */
        cluster_thaw(c);
        cluster_stop(c, "immediate");
        cluster_stop_standby(c);
        if (c->on_disk)
            disk_unmount(c->data);
    }
    for (char **s = c->settings; *s; s++)
        free(*s);
    free(c->folder); /* the folder itself goes with the process (process.c) */
    free(c->data);
    free(c->standby);
    free(c->standby_folder);
    free(c->address);
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

const char *cluster_data(const struct cluster *c)
{
    return c->data;
}

const char *cluster_log(const struct cluster *c)
{
    return c->log;
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
        cluster_give_up("cannot read sql/bellpush.sql (BELLPUSH_TEST_TOP?)", NULL);
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
