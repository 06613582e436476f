/*
 * cluster_standby.c - a cluster's standby: cold, as a backup would be, or streaming.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/peers/cluster_priv.h"
#include "tests/peers/process.h"

/* A copy of the data as of now; streaming: ready to follow the server. */
static void copy_data(struct cluster *c, const char *to, bool streaming)
{
    char *pg_basebackup = cluster_program("pg_basebackup");
    const char *argv[] = { pg_basebackup,
                           "-D",
                           to,
                           "-h",
                           c->folder,
                           "-U",
                           "postgres",
                           "-c",
                           "fast",
                           "-X",
                           "stream",
                           "--no-sync",
                           streaming ? "-R" : NULL,
                           NULL };
    struct process_spec spec = { .argv = argv, .log = c->log, .dir = "/", .user = "postgres" };

    if (process_run(&spec, CLUSTER_START_MS) != 0)
        cluster_give_up("pg_basebackup failed", c->log);
    free(pg_basebackup);
}

void cluster_back_up(struct cluster *c)
{
    free(c->standby);
    c->standby = text_of("%s.standby", c->data);
    copy_data(c, c->standby, false);
    char *signal = text_of("%s/standby.signal", c->standby);
    file_write(signal, SLICE(""));
    file_own(signal, "postgres");
    free(signal);
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
    if (!wait_until(is_primary, dsn, CLUSTER_START_MS))
        cluster_give_up("the standby is not promoted", c->log);
    free(dsn);
}

/* ---- streaming ----------------------------------------------------------------------------------
 */

static void run_admin(const struct cluster *c, const char *const *steps)
{
    char *dsn = cluster_dsn(c, "postgres");

    for (; *steps; steps++)
        free(cluster_sql(dsn, *steps));
    free(dsn);
}

static bool is_synchronous(void *arg)
{
    char *n = cluster_sql(arg, "SELECT count(*) FROM pg_stat_replication"
                               " WHERE state = 'streaming' AND sync_state = 'sync'");
    bool yes = strcmp(n, "1") == 0;

    free(n);
    return yes;
}

void cluster_follow(struct cluster *c)
{
    char *dsn = cluster_dsn(c, "postgres");

    c->standbys++;
    c->standby = text_of("%s/data.%u", c->folder, c->standbys);
    c->standby_folder = text_of("%s/standby.%u", c->folder, c->standbys);
    if (mkdir(c->standby_folder, 0755))
        cluster_give_up("cannot make the standby's folder", NULL);
    file_own(c->standby_folder, "postgres");
    copy_data(c, c->standby, true);
    c->standby_pid = cluster_serve(c, c->standby, c->standby_folder);
    run_admin(c, (const char *const[]){ "ALTER SYSTEM SET synchronous_standby_names = '*'",
                                        "SELECT pg_reload_conf()", NULL });
    if (!wait_until(is_synchronous, dsn, CLUSTER_START_MS))
        cluster_give_up("the standby does not stream", c->log);
    free(dsn);
}

void cluster_promote(struct cluster *c)
{
    /* Its own address, or the server's, if it has that already: the link leads there. */
    char *dsn = text_of("host=%s port=5432 user=postgres dbname=postgres",
                        c->standby_folder ? c->standby_folder : c->folder);

    free(cluster_sql(dsn, "SELECT pg_promote()"));
    if (!wait_until(is_primary, dsn, CLUSTER_START_MS))
        cluster_give_up("the standby is not promoted", c->log);
    free(cluster_sql(dsn, "ALTER SYSTEM RESET synchronous_standby_names"));
    free(cluster_sql(dsn, "SELECT pg_reload_conf()"));
    free(dsn);
}

/* The address is the path of a socket: a link in its place leads to the other's. */
void cluster_move(struct cluster *c)
{
    char *address = text_of("%s/.s.PGSQL.5432", c->folder);
    char *other = text_of("%s/.s.PGSQL.5432", c->standby_folder);
    const char *const rm[] = { "rm", "-rf", c->data, NULL };

    unlink(address); /* a link of the last time; the server took its own along */
    if (symlink(other, address))
        cluster_give_up("the address cannot be moved", NULL);
    process_run(&(struct process_spec){ .argv = rm }, CLUSTER_START_MS);
    free(c->data);
    c->data = c->standby;
    c->pid = c->standby_pid;
    free(c->standby_folder);
    c->standby = c->standby_folder = NULL;
    c->standby_pid = 0;
    free(address);
    free(other);
}

void cluster_stop_standby(struct cluster *c)
{
    if (c->standby_pid <= 0)
        return;
    kill(c->standby_pid, SIGQUIT);
    if (!process_wait(c->standby_pid, CLUSTER_START_MS, NULL))
        process_stop(c->standby_pid, 0);
    c->standby_pid = 0;
}
