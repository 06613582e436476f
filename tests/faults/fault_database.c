/*
 * fault_database.c - faults of the server: stopped, crashed, restarted, its sessions ended, frozen,
 * replaced by its standby.
 */
#include <signal.h>
#include <stdlib.h>

#include "tests/faults/database.h"
#include "tests/peers/process.h"

enum {
    NOTICE_MS = 5000,         /* somebody hung up */
    NOTICE_SILENCE_MS = 30000 /* nobody hung up: the patience of a statement, and of two attempts */
};

/* ---- stopped and started ------------------------------------------------------------------------
 */

static void stop_and_start(struct act *a, const char *mode)
{
    struct cluster *c = a->site->cluster;

    database_quiet(a);
    cluster_stop(c, mode);
    database_away(a, NOTICE_MS);
    act_last(a, act_choose(a, 0, 5000));
    cluster_again(c);
    database_back(a);
}

static void stop_fast(struct act *a)
{
    stop_and_start(a, "fast");
}

static void crash(struct act *a)
{
    stop_and_start(a, "immediate");
}

static void restart(struct act *a)
{
    database_quiet(a);
    cluster_stop(a->site->cluster, "fast");
    cluster_again(a->site->cluster);
    evidence_log(a, 0, "database away");
    database_back(a);
}

FAULT(database_stop_fast, .name = "database-stop-fast",
      .what = "PostgreSQL stopped fast, and started again after a while", .soak = true,
      .run = stop_fast);
FAULT(database_crash, .name = "database-crash",
      .what = "PostgreSQL stopped immediate (a crash), and started again after a while",
      .soak = true, .run = crash);
FAULT(database_restart, .name = "database-restart",
      .what = "PostgreSQL stopped fast and started at once", .soak = true, .run = restart);

/* ---- its sessions ended -------------------------------------------------------------------------
 */

/* How many it were. */
static int terminate(struct act *a, const char *which)
{
    char *dsn = cluster_dsn(a->site->cluster, "postgres");
    char *sql = text_of("SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM "
                        "pg_stat_activity WHERE datname = 'site' AND %s) AS x",
                        which);
    char *n = cluster_sql(dsn, sql);
    int ended = atoi(n);

    free(n);
    free(sql);
    free(dsn);
    return ended;
}

/* All sessions but one, on which a worker listens: nothing that is notified may be lost. */
static void terminate_all_but_one(struct act *a)
{
    char *which = text_of("pid <> (SELECT pid FROM pg_stat_activity WHERE %s ORDER BY md5(pid::text"
                          " || '%lld') LIMIT 1)",
                          database_listeners, (long long)act_choose(a, 0, 1000000));

    act_note(a, "%d sessions ended, all but one listener's", terminate(a, which));
    free(which);
}

static void terminate_backends(struct act *a)
{
    bool all = act_choose(a, 0, 1) == 0;

    if (all) {
        database_quiet(a);
        act_note(a, "%d sessions ended, all", terminate(a, "true"));
    } else {
        terminate_all_but_one(a);
    }
    evidence_log(a, 0, "database away: FATAL: terminating connection due to administrator command");
    database_back(a);
}

FAULT(terminate_backends, .name = "terminate-backends",
      .what = "sessions ended by pg_terminate_backend(): all, or all but one that listens",
      .soak = true, .run = terminate_backends);

/* ---- frozen -------------------------------------------------------------------------------------
 */

static void freeze(struct act *a)
{
    database_quiet(a);
    cluster_freeze(a->site->cluster);
    database_away(a, NOTICE_SILENCE_MS);
    act_last(a, act_choose(a, 0, 3000));
    cluster_thaw(a->site->cluster);
    database_back(a);
}

FAULT(database_freeze, .name = "database-freeze",
      .what = "PostgreSQL frozen by SIGSTOP: nobody answers, nobody hangs up", .soak = true,
      .run = freeze);

/* The sessions that workers listen on, to a signal. */
static void signal_listeners(const char *pids, int signal)
{
    char *list = text_of("%s", pids), *save = NULL;

    for (char *pid = strtok_r(list, ",", &save); pid; pid = strtok_r(NULL, ",", &save))
        kill((pid_t)atoi(pid), signal);
    free(list);
}

/*
 * Each worker gives its session up and makes a new one.  The housekeeper's lock stays with the
 * frozen one, and what it was just told to record may yet be recorded when it thaws.
 */
static void freeze_sessions(struct act *a)
{
    char *dsn = cluster_dsn(a->site->cluster, "postgres");
    char *sql = text_of("SELECT string_agg(pid::text, ',') FROM pg_stat_activity WHERE %s",
                        database_listeners);

    database_quiet(a);
    char *pids = cluster_sql(dsn, sql);
    signal_listeners(pids, SIGSTOP);
    evidence_log(a, 0, "database away: no answer within");
    evidence_status(a, 0, "database.state", "listening");
    act_heard(a);
    act_last(a, act_choose(a, 0, 3000));
    signal_listeners(pids, SIGCONT);
    database_back(a);
    free(pids);
    free(sql);
    free(dsn);
}

FAULT(sessions_freeze, .name = "sessions-freeze",
      .what = "the sessions that workers listen on frozen by SIGSTOP, the server is not",
      .soak = true, .run = freeze_sessions);

/* ---- replaced -----------------------------------------------------------------------------------
 */

static void promote(struct act *a)
{
    struct cluster *c = a->site->cluster;

    database_quiet(a);
    cluster_stop(c, "immediate");
    database_away(a, NOTICE_MS);
    if (act_choose(a, 0, 1)) { /* clients meet a standby that is none yet */
        cluster_move(c);
        act_last(a, act_choose(a, 0, 3000));
        cluster_promote(c);
    } else {
        cluster_promote(c);
        act_last(a, act_choose(a, 0, 3000));
        cluster_move(c);
    }
    evidence_log(a, 0, "the log's history has changed (restored, failed over");
    database_back(a);
    cluster_follow(c); /* the next fail-over needs one */
    act_flows(a, 20);
}

FAULT(promote_standby, .name = "promote-standby",
      .what = "PostgreSQL crashed, its standby promoted and given its address",
      .flavour = SITE_STANDBY, .run = promote);
