/*
 * bouncer.c - see bouncer.h.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/peers/bouncer.h"
#include "tests/peers/process.h"

#define PROGRAM "/usr/sbin/pgbouncer"

enum { START_MS = 20000, STOP_MS = 10000 };

struct bouncer {
    char *folder, *ini, *log, *dsn, *dsn_tcp;
    pid_t pid;
};

static _Noreturn void give_up(const struct bouncer *b, const char *why)
{
    char *said = file_read(b->log);

    fprintf(stderr, "tests: PgBouncer: %s\n%s", why, said ? said : "");
    exit(EXIT_FAILURE);
}

bool bouncer_is_there(void)
{
    return access(PROGRAM, X_OK) == 0;
}

/* ---- laying out -------------------------------------------------------------------------------
 */

/* Exchange, or fail: a recipe that no longer says what we expect is not tried as it stands. */
static void swap(const struct bouncer *b, char **text, const char *from, char *to)
{
    char *with = text_exchange(*text, from, to);

    if (!with) {
        fprintf(stderr, "tests: contrib/pgbouncer/pgbouncer.ini no longer says \"%s\"\n", from);
        give_up(b, "cannot use the recipe");
    }
    free(*text);
    free(to);
    *text = with;
}

static void write_recipe(const struct bouncer *b, const struct bouncer_spec *spec, int port)
{
    const char *top = getenv("BELLPUSH_TEST_TOP");
    char *path = text_of("%s/contrib/pgbouncer/pgbouncer.ini", top ? top : ".");
    char *text = file_read(path);

    if (!text)
        give_up(b, "cannot read contrib/pgbouncer/pgbouncer.ini (BELLPUSH_TEST_TOP?)");
    swap(b, &text, "\nshop = host=/run/postgresql port=5432",
         text_of("\n%s = host=%s port=5432", spec->database, cluster_socket(spec->cluster)));
    swap(b, &text, "listen_port = 6432", text_of("listen_port = %d", port));
    swap(b, &text, "unix_socket_dir = /run/postgresql", text_of("unix_socket_dir = %s", b->folder));
    swap(b, &text, "logfile = /var/log/postgresql/pgbouncer.log", text_of("logfile = %s", b->log));
    swap(b, &text, "pidfile = /run/postgresql/pgbouncer.pid",
         text_of("pidfile = %s/pid", b->folder));
    swap(b, &text, "auth_file = /etc/pgbouncer/userlist.txt",
         text_of("auth_file = %s/users", b->folder));
    if (spec->mode)
        swap(b, &text, "pool_mode = transaction", text_of("pool_mode = %s", spec->mode));
    if (spec->sessions)
        swap(b, &text, "default_pool_size = 20", text_of("default_pool_size = %d", spec->sessions));
    file_write(b->ini, slice_of(text));
    free(text);
    free(path);
}

static void write_users(const struct bouncer *b, const char *name)
{
    char *path = text_of("%s/users", b->folder), *text = text_of("\"%s\" \"change-me\"\n", name);

    file_write(path, slice_of(text));
    file_own(path, "postgres");
    free(text);
    free(path);
}

/* ---- running ----------------------------------------------------------------------------------
 */

static bool answers(void *arg)
{
    struct bouncer *b = arg;

    if (process_ended(b->pid, NULL))
        give_up(b, "ended while starting");
    return PQping(b->dsn) == PQPING_OK;
}

void bouncer_again(struct bouncer *b)
{
    const char *argv[] = { PROGRAM, "-q", b->ini, NULL }; /* -q: only to the log, not twice */
    const struct process_spec spec = {
        .argv = argv, .log = b->log, .dir = "/", .user = "postgres"
    };

    b->pid = process_start(&spec);
    if (!wait_until(answers, b, START_MS))
        give_up(b, "does not answer");
}

void bouncer_stop(struct bouncer *b, int signal)
{
    if (b->pid <= 0)
        return;
    kill(b->pid, signal);
    if (!process_wait(b->pid, STOP_MS, NULL))
        process_stop(b->pid, 0);
    b->pid = 0;
}

struct bouncer *bouncer_start(const struct bouncer_spec *spec)
{
    struct bouncer *b = calloc(1, sizeof *b);
    int port = free_port();

    if (!b)
        abort();
    b->folder = temp_folder("bouncer");
    b->ini = text_of("%s/pgbouncer.ini", b->folder);
    b->log = text_of("%s/log", b->folder);
    b->dsn = text_of("host=%s port=%d dbname=%s user=%s password=change-me", b->folder, port,
                     spec->database, spec->database);
    b->dsn_tcp = text_of("host=localhost port=%d dbname=%s user=%s password=change-me", port,
                         spec->database, spec->database);
    write_recipe(b, spec, port);
    write_users(b, spec->database);
    file_write(b->log, SLICE(""));
    file_own(b->log, "postgres");
    file_own(b->folder, "postgres");
    bouncer_again(b);
    return b;
}

void bouncer_free(struct bouncer *b)
{
    if (!b)
        return;
    bouncer_stop(b, SIGTERM);
    free(b->folder); /* the folder itself goes with the process (process.c) */
    free(b->ini);
    free(b->log);
    free(b->dsn);
    free(b->dsn_tcp);
    free(b);
}

const char *bouncer_dsn(const struct bouncer *b)
{
    return b->dsn;
}

const char *bouncer_dsn_tcp(const struct bouncer *b)
{
    return b->dsn_tcp;
}

pid_t bouncer_pid(const struct bouncer *b)
{
    return b->pid;
}
