/*
 * pg_limit_test.c - limits of the server that are not the event's fault: its queue of notifications
 * is full, its transaction numbers are used up.  They have the SQLSTATE of an event that is too
 * large, and must not be taken for one.
 */
#include "tests/sql/pg_rig.h"

#define QUEUE_IS_FULL                                                                              \
    "BEGIN RAISE 'too many notifications in the NOTIFY queue' USING ERRCODE = '54000'; END"

static char *dsn;

static void set_up(void)
{
    dsn = rig_database();
}

static void tear_down(void)
{
    free(dsn);
}

static bool is_refused(void *arg)
{
    return *(enum rc *)arg != RC_OK;
}

static void on_published(void *arg, const struct publication *p)
{
    *(enum rc *)arg = p->rc;
}

/* As at COMMIT: whatever is written to the log fails. */
static void fill_queue(void)
{
    run_sql(dsn, "CREATE FUNCTION full_queue() RETURNS trigger LANGUAGE plpgsql AS $$" QUEUE_IS_FULL
                 "$$; CREATE CONSTRAINT TRIGGER full_queue AFTER INSERT ON "
                 "bellpush.log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION "
                 "full_queue()");
}

static void empty_queue(void)
{
    run_sql(dsn, "DROP TRIGGER full_queue ON bellpush.log");
}

START_TEST(a_full_queue_of_notifications_is_not_a_large_event)
{
    struct draft d = { .topic = SLICE("t"), .data = SLICE("1") };
    struct rig *r = rig_listening(dsn, NULL);
    enum rc rc = RC_OK;

    fill_queue();
    ck_assert_ptr_nonnull(source_publish(r->server.source, &d, 1, SLICE_NONE, on_published, &rc));
    rig_until(r, "the publish to be refused", is_refused, &rc);
    ck_assert_int_eq(rc, RC_SOURCE); /* come back later; not RC_LIMIT: make it smaller */
    rig_free(r);
}
END_TEST

START_TEST(a_notify_waits_until_it_can_be_recorded)
{
    static const char *const settings[] = { "channels=orders", NULL };
    struct rig *r = rig_listening(dsn, settings);

    rig_until_housekeeper(r);
    fill_queue();
    run_sql(dsn, "NOTIFY orders, '1'; NOTIFY orders, '2'");
    rig_run(r, 1500); /* it tries, once a second */
    ck_assert_uint_eq(r->count, 0);
    empty_queue();
    rig_until_heard(r, 2);
    check_numbers(r, "orders", 2);
    rig_free(r);
}
END_TEST

/* No pooler is suspected where none can be. */
START_TEST(a_server_that_cannot_notify_is_polled)
{
    static const char *const settings[] = { "probe=100ms", NULL };
    struct rig *r = rig_listening(dsn, settings);
    char *name = cluster_sql(dsn, "SELECT current_database()");
    char *owner = cluster_dsn(cluster_shared(), name);

    run_sql(owner, "REVOKE EXECUTE ON FUNCTION pg_notify FROM public");
    rig_until_state(r, SOURCE_POLLING);
    rig_until_why(r, "queue of notifications");
    run_sql(owner, "GRANT EXECUTE ON FUNCTION pg_notify TO public");
    rig_until_state(r, SOURCE_LISTENING);
    rig_free(r);
    free(name);
    free(owner);
}
END_TEST

SUITE(pg_limit)
{
    tcase_add_unchecked_fixture(tc, rig_cluster, NULL);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_full_queue_of_notifications_is_not_a_large_event);
    tcase_add_test(tc, a_notify_waits_until_it_can_be_recorded);
    tcase_add_test(tc, a_server_that_cannot_notify_is_polled);
}
