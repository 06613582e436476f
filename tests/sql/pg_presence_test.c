/*
 * pg_presence_test.c - who is on a topic, from one process through a real database to another.
 */
#include "core/presence.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/sql/pg_rig.h"

static char *dsn;
static struct rig *rig;

/* ---- what is heard ----------------------------------------------------------------------------
 */

static struct ear {
    struct subscriber sub;
    struct rig *rig;
    size_t events;
    char told[8000]; /* "join t ann, leave t ann" */
} ear;

static void hear(struct ear *e, const struct event_fields *f)
{
    const char *name = f->data.at + 11; /* {"member":"… */
    size_t len = strcspn(name, "\""), had = strlen(e->told);

    e->events++;
    snprintf(e->told + had, sizeof(e->told) - had, "%s%.*s %.*s %.*s", had ? ", " : "",
             (int)f->type.len, f->type.at, (int)f->topic.len - 10, f->topic.at + 10, (int)len,
             name);
}

static void on_events(struct subscriber *sub, struct run *run)
{
    for (size_t i = 0; i < run->n; i++)
        hear(CONTAINER(sub, struct ear, sub), event_fields(run->events[i]));
}

static void listen_in(struct rig *r)
{
    memset(&ear, 0, sizeof(ear));
    ear.rig = r;
    ear.sub.deliver = on_events;
    ck_assert_int_eq(hub_subscribe(r->server.hub, &ear.sub, &SLICE("$presence/#"), 1), RC_OK);
}

static bool is_told(void *text)
{
    return strcmp(ear.told, text) == 0;
}

static void until_told(const char *text)
{
    char what[9000];
    int64_t end = now_ms() + 40000;

    while (!is_told((void *)(uintptr_t)text) && now_ms() < end)
        rig_run(ear.rig, 10);
    snprintf(what, sizeof(what), "%s", ear.told);
    ck_assert_str_eq(what, text);
}

static void set_up(void)
{
    dsn = rig_database();
    rig = rig_listening(dsn, NULL);
    listen_in(rig);
}

static void tear_down(void)
{
    hub_unsubscribe(rig->server.hub, &ear.sub);
    rig_free(rig);
    free(dsn);
}

/* ---- members ----------------------------------------------------------------------------------
 */

struct guest {
    struct member member;
    int calls;
    enum rc rc;
    char why[200];
};

static struct joiner joiner;

static void on_joined(struct member *m, enum rc rc, const char *why)
{
    struct guest *g = CONTAINER(m, struct guest, member);

    g->calls++;
    g->rc = rc;
    snprintf(g->why, sizeof(g->why), "%s", why);
}

static void join_with(struct rig *r, struct guest *g, const char *topic, const char *name,
                      const char *data)
{
    static const struct who nobody;
    const char *why;

    memset(g, 0, sizeof(*g));
    ck_assert_int_eq(presence_join(r->server.presence, &joiner, &g->member,
                                   &(struct joining){ .topic = slice_of(topic),
                                                      .name = slice_of(name),
                                                      .data = slice_of(data),
                                                      .who = &nobody,
                                                      .joined = on_joined },
                                   &why),
                     RC_OK);
}

static void join(struct rig *r, struct guest *g, const char *topic, const char *name)
{
    join_with(r, g, topic, name, NULL);
}

static bool is_called(void *g)
{
    return ((struct guest *)g)->calls > 0;
}

static bool presence_settled(void *r)
{
    return presence_is_told(((struct rig *)r)->server.presence);
}

static void until_settled(struct rig *r)
{
    rig_until(r, "the database to be told", presence_settled, r);
}

static char *there(void)
{
    return cluster_sql(dsn, "SELECT coalesce(string_agg(concat_ws(' ', topic, member, sessions), "
                            "', ' ORDER BY topic, member), '') FROM bellpush.present");
}

static void check_there(const char *text)
{
    char *is = there();

    ck_assert_str_eq(is, text);
    free(is);
}

/* ---- tests ------------------------------------------------------------------------------------
 */

START_TEST(a_join_is_committed_and_heard_and_so_is_a_leave)
{
    struct guest ann, bob;

    join_with(rig, &ann, "chat/7", "ann", "{\"n\":[1,\"ä\"]}");
    join(rig, &bob, "chat/7", "bob");
    rig_until(rig, "the join", is_called, &ann);
    ck_assert_int_eq(ann.rc, RC_OK);
    until_told("join chat/7 ann, join chat/7 bob");
    char *data = cluster_sql(dsn, "SELECT data FROM bellpush.present WHERE member = 'ann'");
    ck_assert_str_eq(data, "{\"n\":[1,\"ä\"]}");
    free(data);
    presence_leave(&ann.member);
    until_told("join chat/7 ann, join chat/7 bob, leave chat/7 ann");
    check_there("chat/7 bob 1");
    presence_leave(&bob.member);
    until_settled(rig);
}
END_TEST

START_TEST(two_processes_share_a_name)
{
    struct guest here, there_too;
    struct rig *other = rig_listening(dsn, NULL);

    join(rig, &here, "t", "ann");
    until_settled(rig);
    join(other, &there_too, "t", "ann");
    until_settled(other);
    check_there("t ann 2");
    presence_leave(&here.member);
    until_settled(rig);
    check_there("t ann 1");
    presence_leave(&there_too.member);
    until_settled(other);
    until_told("join t ann, leave t ann");
    rig_free(other);
}
END_TEST

START_TEST(of_many_only_the_bad_ones_are_refused)
{
    struct guest g[6];

    rig->conf.joined_per_topic = 2;
    join(rig, &g[0], "t", "a");
    join_with(rig, &g[1], "t", "b", "{\"no json");
    join(rig, &g[2], "t", "c");
    join(rig, &g[3], "t", "d"); /* one too many */
    join_with(rig, &g[4], "u", "e", "[1,]");
    join(rig, &g[5], "u", "f");
    until_settled(rig);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(g[i].calls, 1);
        ck_assert_int_eq(g[i].rc, i == 1 || i == 4 ? RC_SYNTAX : i == 3 ? RC_LIMIT : RC_OK);
    }
    ck_assert_ptr_nonnull(strstr(g[1].why, "json"));
    check_there("t a 1, t c 1, u f 1");
    presence_leave(&g[0].member);
    presence_leave(&g[2].member);
    presence_leave(&g[5].member);
    until_settled(rig);
    check_there("");
}
END_TEST

static struct {
    int calls;
    enum rc rc;
    char epoch[EPOCH_MAX + 1], names[200];
    int64_t head, count, since_us, sessions;
} roll;

static void on_roll(void *arg, const struct roll *r)
{
    (void)arg;
    memset(&roll, 0, sizeof(roll));
    roll.calls = 1;
    roll.rc = r->rc;
    snprintf(roll.epoch, sizeof(roll.epoch), "%s", r->epoch);
    roll.head = r->head;
    roll.count = r->count;
    for (size_t i = 0; i < r->n; i++) {
        size_t had = strlen(roll.names);
        snprintf(roll.names + had, sizeof(roll.names) - had, "%.*s=%.*s ",
                 (int)r->members[i].name.len, r->members[i].name.at, (int)r->members[i].data.len,
                 r->members[i].data.at ? r->members[i].data.at : "");
        roll.since_us = r->members[i].since_us;
        roll.sessions = r->members[i].sessions;
    }
}

static bool is_rolled(void *arg)
{
    (void)arg;
    return roll.calls > 0;
}

START_TEST(the_roll_is_called)
{
    struct guest g[3];

    join_with(rig, &g[0], "t", "ann", "1");
    join(rig, &g[1], "t", "bob");
    join(rig, &g[2], "t", "bob");
    until_settled(rig);
    roll.calls = 0;
    ck_assert_ptr_nonnull(source_who(rig->server.source, SLICE("t"), SLICE_NONE, 1000, on_roll, NULL));
    ck_assert_int_eq(roll.calls, 0);
    rig_until(rig, "the roll", is_rolled, NULL);
    ck_assert_int_eq(roll.rc, RC_OK);
    ck_assert_str_eq(roll.names, "ann=1 bob= ");
    ck_assert_str_eq(roll.epoch, rig->server.epoch);
    ck_assert_int_eq(roll.head, 2);
    ck_assert_int_eq(roll.count, 2);
    ck_assert_int_eq(roll.sessions, 2);
    ck_assert_int_lt(llabs(roll.since_us - rig->server.started_us), 60000000);
    roll.calls = 0;
    ck_assert_ptr_nonnull(source_who(rig->server.source, SLICE("t"), SLICE_NONE, 1, on_roll, NULL));
    rig_until(rig, "the roll", is_rolled, NULL);
    ck_assert_str_eq(roll.names, "ann=1 ");
    ck_assert_int_eq(roll.count, 2);
    roll.calls = 0;
    ck_assert_ptr_nonnull(
        source_who(rig->server.source, SLICE("t"), SLICE("ann"), 10, on_roll, NULL));
    rig_until(rig, "the roll", is_rolled, NULL);
    ck_assert_str_eq(roll.names, "bob= ");
    ck_assert_int_eq(roll.count, 2);
    roll.calls = 0;
    ck_assert_ptr_nonnull(source_who(rig->server.source, SLICE("nobody"), SLICE_NONE, 1, on_roll, NULL));
    rig_until(rig, "the roll", is_rolled, NULL);
    ck_assert_int_eq(roll.count, 0);
    for (int i = 0; i < 3; i++)
        presence_leave(&g[i].member);
    until_settled(rig);
}
END_TEST

START_TEST(in_relay_mode_too)
{
    struct guest ann;

    run_sql(dsn, "SELECT bellpush.set_mode('relay')");
    rig_until_housekeeper(rig);
    join(rig, &ann, "t", "ann");
    rig_until(rig, "the join", is_called, &ann);
    until_told("join t ann");
    presence_leave(&ann.member);
    until_told("join t ann, leave t ann");
}
END_TEST

/* ---- when something dies ------------------------------------------------------------------------
 */

/* Another process with a member, as if it were in the middle of its life. */
static pid_t process_with_member(const char *name)
{
    pid_t parent = getpid(), pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    struct guest g;
    struct rig *r = rig_listening(dsn, NULL);
    join(r, &g, "t", name);
    rig_run(r, 100 * 1000);
    _exit(0);
}

/* So much time as four looks take has gone by for everybody. */
static void let_time_go_by(void)
{
    for (int i = 0; i < 5; i++)
        run_sql(dsn, "UPDATE bellpush.presence_worker SET looked_at = looked_at - interval '1 "
                     "minute'; SELECT bellpush.maintain()");
}

START_TEST(who_was_in_a_process_that_is_killed_leaves)
{
    struct guest bob;
    pid_t pid = process_with_member("ann");

    until_told("join t ann");
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    join(rig, &bob, "t", "bob");
    until_settled(rig);
    rig_run(rig, 100);
    check_there("t ann 1, t bob 1");
    run_sql(dsn,
            "UPDATE bellpush.presence_worker SET looks = 3 WHERE worker IN (SELECT worker FROM "
            "bellpush.presence_session WHERE member = 'ann')");
    run_sql(dsn, "UPDATE bellpush.presence_worker SET looked_at = looked_at - interval '1 minute'; "
                 "SELECT bellpush.maintain()");
    until_told("join t ann, join t bob, leave t ann");
    presence_leave(&bob.member);
    until_settled(rig);
}
END_TEST

/* Its lease has ended (it was stopped, or cut off), and it lives: from a statement, or from its
   next report, it knows; and all are there again. */
START_TEST(who_was_taken_for_dead_comes_back)
{
    struct guest ann, bob, cid;

    join(rig, &ann, "t", "ann");
    join(rig, &bob, "t", "bob");
    until_settled(rig);
    let_time_go_by();
    check_there("");
    join(rig, &cid, "t", "cid");
    until_told("join t ann, join t bob, leave t ann, leave t bob, join t ann, join t bob, join t "
               "cid");
    let_time_go_by();
    check_there("");
    presence_leave(&bob.member);
    presence_leave(&cid.member);
    until_told("join t ann, join t bob, leave t ann, leave t bob, join t ann, join t bob, join t "
               "cid, leave t ann, leave t bob, leave t cid, join t ann");
    let_time_go_by(); /* and nobody says anything: the report comes within ten seconds */
    until_told("join t ann, join t bob, leave t ann, leave t bob, join t ann, join t bob, join t "
               "cid, leave t ann, leave t bob, leave t cid, join t ann, leave t ann, join t ann");
    presence_leave(&ann.member);
    until_settled(rig);
}
END_TEST

/* Whoever reports has not been silent, however often one looks. */
START_TEST(a_report_is_a_sign_of_life)
{
    struct guest ann;

    join(rig, &ann, "t", "ann");
    until_settled(rig);
    for (int round = 0; round < 2; round++) {
        run_sql(dsn, "UPDATE bellpush.presence_worker SET looks = 1");
        for (int64_t end = now_ms() + 20000; now_ms() < end;) {
            char *looks = cluster_sql(dsn, "SELECT looks FROM bellpush.presence_worker");
            bool heard = strcmp(looks, "0") == 0;
            free(looks);
            if (heard)
                break;
            rig_run(rig, 100);
        }
        char *looks = cluster_sql(dsn, "SELECT looks FROM bellpush.presence_worker");
        ck_assert_str_eq(looks, "0");
        free(looks);
    }
    ck_assert_str_eq(ear.told, "join t ann");
    presence_leave(&ann.member);
    until_settled(rig);
}
END_TEST

START_TEST(connections_that_break_in_the_middle_leave_nothing_half_done)
{
    struct guest g[40];
    char name[16];

    for (int i = 0; i < (int)LENGTH(g); i++) {
        snprintf(name, sizeof(name), "m%d", i % 7);
        join(rig, &g[i], "t", name);
        rig_run(rig, 3);
        if (i % 3 == 0)
            run_sql(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                         "current_database() AND pid <> pg_backend_pid() AND query ~ "
                         "'presence_change'");
        if (i % 2)
            presence_leave(&g[i / 2].member);
    }
    until_settled(rig);
    char *wrong = cluster_sql(
        dsn, "SELECT count(*) FROM (SELECT type, lag(type, 1, 'leave') OVER (PARTITION BY topic, "
             "data::json ->> 'member' ORDER BY seq) AS before FROM bellpush.events) x WHERE type = "
             "before");
    ck_assert_str_eq(wrong, "0");
    free(wrong);
    char *sessions = cluster_sql(dsn, "SELECT count(*) FROM bellpush.presence_session");
    ck_assert_int_eq(atoi(sessions), (int)presence_count(rig->server.presence));
    free(sessions);
    for (int i = 0; i < (int)LENGTH(g); i++)
        presence_leave(&g[i].member);
    until_settled(rig);
    check_there("");
}
END_TEST

START_TEST(what_happened_while_the_database_was_away_is_told_after_its_return)
{
    static const char *const settings[] = { "fsync=off", NULL };
    struct cluster *own = cluster_start_with(settings);
    struct guest ann, bob, cid;

    char *own_dsn = cluster_database(own, "away"), *shared = dsn;
    struct rig *mine = rig_listening(own_dsn, NULL);
    hub_unsubscribe(rig->server.hub, &ear.sub);
    listen_in(mine);
    dsn = own_dsn;
    join(mine, &ann, "t", "ann");
    join(mine, &bob, "t", "bob");
    until_told("join t ann, join t bob");
    cluster_stop(own, "immediate"); /* it crashes, and what is committed is there afterwards */
    rig_until_state(mine, SOURCE_AWAY);
    presence_leave(&ann.member);
    join(mine, &cid, "t", "cid");
    rig_run(mine, 200);
    ck_assert_int_eq(cid.calls, 0);
    cluster_again(own);
    until_told("join t ann, join t bob, leave t ann, join t cid");
    ck_assert_int_eq(cid.rc, RC_OK);
    check_there("t bob 1, t cid 1");
    presence_leave(&bob.member);
    presence_leave(&cid.member);
    until_settled(mine);
    hub_unsubscribe(mine->server.hub, &ear.sub);
    rig_free(mine);
    dsn = shared;
    listen_in(rig);
    free(own_dsn);
    cluster_free(own);
}
END_TEST

START_TEST(a_role_that_may_only_work_may_do_this)
{
    char *who = cluster_sql(dsn, "SELECT current_user || '_w'");
    char *admin = cluster_dsn(cluster_shared(), "postgres");
    struct guest ann;

    run_sql(admin, "CREATE ROLE %s LOGIN", who);
    run_sql(dsn, "SELECT bellpush.grant_worker('%s')", who);
    char *database = cluster_sql(dsn, "SELECT current_database()");
    char *as = text_of("host=%s port=5432 dbname=%s user=%s", cluster_socket(cluster_shared()),
                       database, who);
    struct rig *worker = rig_listening(as, NULL);
    join(worker, &ann, "t", "ann");
    rig_until(worker, "the join", is_called, &ann);
    ck_assert_int_eq(ann.rc, RC_OK);
    roll.calls = 0;
    ck_assert_ptr_nonnull(source_who(worker->server.source, SLICE("t"), SLICE_NONE, 1, on_roll, NULL));
    rig_until(worker, "the roll", is_rolled, NULL);
    ck_assert_str_eq(roll.names, "ann= ");
    presence_leave(&ann.member);
    until_settled(worker);
    rig_free(worker);
    run_sql(dsn, "SELECT bellpush.revoke_all('%s')", who);
    run_sql(admin, "DROP ROLE %s", who);
    free(as);
    free(database);
    free(admin);
    free(who);
}
END_TEST

SUITE(pg_presence)
{
    tcase_set_timeout(tc, 90);
    tcase_add_unchecked_fixture(tc, rig_cluster, NULL);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_join_is_committed_and_heard_and_so_is_a_leave);
    tcase_add_test(tc, two_processes_share_a_name);
    tcase_add_test(tc, of_many_only_the_bad_ones_are_refused);
    tcase_add_test(tc, the_roll_is_called);
    tcase_add_test(tc, in_relay_mode_too);
    tcase_add_test(tc, who_was_in_a_process_that_is_killed_leaves);
    tcase_add_test(tc, who_was_taken_for_dead_comes_back);
    tcase_add_test(tc, a_report_is_a_sign_of_life);
    tcase_add_test(tc, connections_that_break_in_the_middle_leave_nothing_half_done);
    tcase_add_test(tc, what_happened_while_the_database_was_away_is_told_after_its_return);
    tcase_add_test(tc, a_role_that_may_only_work_may_do_this);
}
