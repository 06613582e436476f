/*
 * pg_far_test.c - a database on a machine of its own, behind a line that loses every packet.
 */
#include "tests/peers/far.h"
#include "tests/sql/pg_rig.h"

enum { PATIENCE_MS = 10 * 1000 }; /* tcp_user_timeout after the next tick; keepalives 2 + 3 s */

struct far_site {
    struct far *far;
    struct cluster *cluster;
    char *direct, *distant; /* connection strings: around the line, and over it */
};

static struct far_site far_site_new(void)
{
    struct far_site p = { .far = far_new() };

    p.cluster = cluster_start_as(
        &(struct cluster_spec){ .net = far_net(p.far), .address = far_address(p.far) });
    p.direct = cluster_database(p.cluster, "site");
    p.distant = text_of("host=%s port=5432 user=site dbname=site", far_address(p.far));
    return p;
}

static void leave(struct far_site *p)
{
    cluster_free(p->cluster);
    far_free(p->far);
    free(p->direct);
    free(p->distant);
}

static void on_published(void *arg, const struct publication *p)
{
    *(int *)arg = p->rc == RC_OK ? 1 : -1;
}

static bool is_answered(void *arg)
{
    return *(int *)arg != 0;
}

static int publish(struct rig *r)
{
    struct draft d = { .topic = SLICE("t"), .data = SLICE("1") };
    int answer = 0;

    ck_assert_ptr_nonnull(
        source_publish(r->server.source, &d, 1, SLICE_NONE, on_published, &answer));
    rig_until(r, "a publish", is_answered, &answer);
    return answer;
}

/* Of ours, over the line, since before some moment. */
struct old_sessions {
    const char *dsn;
    char *sql;
};

static bool are_gone(void *arg)
{
    const struct old_sessions *s = arg;
    char *n = cluster_sql(s->dsn, s->sql);
    bool gone = strcmp(n, "0") == 0;

    free(n);
    return gone;
}

/*
 * Listening, asking and housekeeping connection: each has a session at the other end, which would
 * stay for hours, and with it what it has locked: the relay's sleep, the housekeeper's office.
 */
START_TEST(black_hole_is_noticed_at_both_ends)
{
    static const char *const settings[] = { "probe=200ms", NULL };

    if (far_lacks()) {
        fprintf(stderr, "black_hole_is_noticed_at_both_ends: skipped: %s\n", far_lacks());
        return;
    }
    struct far_site p = far_site_new();
    run_sql(p.direct, "SELECT bellpush.set_mode('relay')");
    struct rig *r = rig_listening(p.distant, settings);
    rig_until_housekeeper(r);
    ck_assert_int_eq(publish(r), 1);
    rig_until_heard(r, 1);
    char *now = cluster_sql(p.direct, "SELECT clock_timestamp()");
    struct old_sessions old = {
        p.direct, text_of("SELECT count(*) FROM pg_stat_activity WHERE application_name = "
                          "'bellpush' AND backend_start < '%s'",
                          now)
    };
    ck_assert(!are_gone(&old));

    int64_t began = now_ms();
    far_lose(p.far, FAR_LOSES_ALL);
    rig_until_state(r, SOURCE_AWAY);
    ck_assert_int_lt(now_ms() - began, PATIENCE_MS);
    ck_assert_str_eq(r->server.source_why, "could not receive data from server: "
                                           "Connection timed out");
    ck_assert_int_eq(publish(r), -1);
    rig_until(r, "the end of the old sessions", are_gone, &old);

    far_lose(p.far, FAR_LOSES_NOTHING);
    rig_until_state(r, SOURCE_LISTENING);
    ck_assert_int_eq(publish(r), 1);
    rig_until_heard(r, 2);
    rig_free(r);
    free(old.sql);
    free(now);
    leave(&p);
}
END_TEST

SUITE(pg_far)
{
    tcase_add_test(tc, black_hole_is_noticed_at_both_ends);
}
