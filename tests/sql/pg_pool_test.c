/*
 * pg_pool_test.c - publishing, and reading the past.
 */
#include <libpq-fe.h>

#include "tests/sql/pg_rig.h"

static char *dsn;
static struct rig *rig;

static void set_up(void)
{
    dsn = rig_database();
    rig = rig_listening(dsn, NULL);
}

static void tear_down(void)
{
    rig_free(rig);
    free(dsn);
}

/* ---- publish ------------------------------------------------------------------------------------
 */

struct outcome {
    int calls;
    enum rc rc;
    char why[300];
    int64_t seqs[8];
    size_t n;
    bool numbered, repeated, uncertain;
};

static void on_published(void *arg, const struct publication *p)
{
    struct outcome *o = arg;

    o->calls++;
    o->rc = p->rc;
    snprintf(o->why, sizeof(o->why), "%s", p->why);
    o->n = p->n;
    o->numbered = p->seqs != NULL;
    o->repeated = p->repeated;
    o->uncertain = p->uncertain;
    for (size_t i = 0; i < p->n && i < LENGTH(o->seqs) && p->seqs; i++)
        o->seqs[i] = p->seqs[i];
}

static bool is_called(void *arg)
{
    return ((struct outcome *)arg)->calls > 0;
}

static struct outcome publish(const struct draft *drafts, size_t n, const char *key)
{
    struct outcome o = { 0 };

    ck_assert_ptr_nonnull(
        source_publish(rig->server.source, drafts, n, slice_of(key), on_published, &o));
    ck_assert_int_eq(o.calls, 0); /* never from within */
    rig_until(rig, "a publish", is_called, &o);
    ck_assert_int_eq(o.calls, 1);
    return o;
}

static struct draft draft(const char *topic, const char *data)
{
    return (struct draft){ .topic = slice_of(topic), .data = slice_of(data) };
}

START_TEST(batch_comes_back_whole_and_in_order)
{
    struct draft drafts[3] = { draft("a", "one"), draft("b/c", ""), draft("d", "x") };

    drafts[1].type = SLICE("kind");
    drafts[1].content_type = SLICE("application/json");
    drafts[1].id = SLICE("id-7");
    drafts[1].is_private = true;
    drafts[2].data = (struct slice){ "\0\x01\xff", 3 };
    drafts[2].retain = true;
    drafts[2].expires_ms = 60000;
    struct outcome o = publish(drafts, 3, NULL);

    ck_assert_msg(o.rc == RC_OK, "%s", o.why);
    ck_assert_uint_eq(o.n, 3);
    ck_assert(o.numbered && !o.repeated);
    ck_assert_int_lt(o.seqs[0], o.seqs[1]);
    ck_assert_int_lt(o.seqs[1], o.seqs[2]);
    rig_until_heard(rig, 3);
    ck_assert_str_eq(rig->heard[0].topic, "a");
    ck_assert_str_eq(rig->heard[0].data, "one");
    ck_assert_uint_eq(rig->heard[1].len, 0);
    ck_assert_uint_eq(rig->heard[1].flags, EVENT_PRIVATE);
    ck_assert_uint_eq(rig->heard[2].flags, EVENT_RETAINED);
    ck_assert_uint_eq(rig->heard[2].len, 3);
    ck_assert_mem_eq(rig->heard[2].data, "\0\x01\xff", 3);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(rig->heard[i].seq, o.seqs[i]);
    const struct event_fields *f =
        event_fields(journal_next(rig->server.journal, rig->heard[0].seq));
    ck_assert(slice_is(f->type, SLICE("kind")));
    ck_assert(slice_is(f->content_type, SLICE("application/json")));
    ck_assert(slice_is(f->id, SLICE("id-7")));
    ck_assert_int_gt(f->time_us, 0);
    ck_assert_int_eq(f->expires_us, 0);
    f = event_fields(journal_next(rig->server.journal, rig->heard[1].seq));
    ck_assert_int_gt(f->expires_us, f->time_us + 50 * 1000000);
    ck_assert_int_lt(f->expires_us, f->time_us + 70 * 1000000);
}
END_TEST

START_TEST(a_megabyte_passes_and_more_is_refused)
{
    size_t size = (1 << 20) + 1;
    char *data = malloc(size);
    struct draft d = draft("large", NULL);

    memset(data, 0xfe, size);
    d.data = (struct slice){ data, size - 1 };
    struct outcome o = publish(&d, 1, NULL);
    ck_assert_msg(o.rc == RC_OK, "%s", o.why);
    rig_until_heard(rig, 1);
    ck_assert_uint_eq(rig->heard[0].len, size - 1);
    ck_assert_mem_eq(rig->heard[0].data, data, size - 1);
    d.data.len = size;
    o = publish(&d, 1, NULL);
    ck_assert_int_eq(o.rc, RC_LIMIT);
    ck_assert_str_ne(o.why, "");
    free(data);
}
END_TEST

START_TEST(bad_input_is_refused_in_words_and_whole)
{
    struct draft drafts[2] = { draft("good", "1"), draft("bad/+", "2") };
    struct outcome o = publish(drafts, 2, NULL);

    ck_assert_int_eq(o.rc, RC_SYNTAX);
    ck_assert_str_ne(o.why, "");
    drafts[1] = draft("latin", "x");
    drafts[1].type = SLICE("\xff\xfe");
    o = publish(drafts, 2, NULL);
    ck_assert_int_eq(o.rc, RC_SYNTAX);
    drafts[1] = draft("good", "2");
    o = publish(drafts, 2, NULL);
    ck_assert_int_eq(o.rc, RC_OK);
    rig_until_heard(rig, 2);
    ck_assert_uint_eq(rig->count, 2); /* of the refused ones nothing */
}
END_TEST

START_TEST(idempotency_key_publishes_once)
{
    struct draft d = draft("t", "1"), other = draft("t", "2");
    struct outcome first = publish(&d, 1, "key"), second = publish(&d, 1, "key");

    ck_assert_int_eq(first.rc, RC_OK);
    ck_assert(!first.repeated);
    ck_assert_int_eq(second.rc, RC_OK);
    ck_assert(second.repeated);
    ck_assert_int_eq(second.seqs[0], first.seqs[0]);
    ck_assert_int_eq(publish(&other, 1, "key").rc, RC_DENIED);
    ck_assert_int_eq(publish(&other, 1, "other key").rc, RC_OK);
    rig_until_heard(rig, 2);
    check_numbers(rig, "t", 2);
}
END_TEST

START_TEST(relay_mode_numbers_later)
{
    run_sql(dsn, "SELECT bellpush.set_mode('relay')");
    struct draft drafts[2] = { draft("t", "1"), draft("t", "2") };
    struct outcome o = publish(drafts, 2, NULL);

    ck_assert_int_eq(o.rc, RC_OK);
    ck_assert(!o.numbered);
    ck_assert_uint_eq(o.n, 2);
    rig_until_heard(rig, 2); /* the elected one relays */
    check_numbers(rig, "t", 2);
}
END_TEST

static bool all_called(void *arg)
{
    struct outcome *o = arg;

    for (int i = 0; i < 200; i++)
        if (!o[i].calls)
            return false;
    return true;
}

START_TEST(many_publishes_at_once_are_each_answered)
{
    static struct outcome o[200];
    struct draft d = draft("t", "x");

    for (int i = 0; i < 200; i++)
        ck_assert_ptr_nonnull(
            source_publish(rig->server.source, &d, 1, SLICE_NONE, on_published, &o[i]));
    rig_until(rig, "200 publishes", all_called, o);
    for (int i = 0; i < 200; i++)
        ck_assert_msg(o[i].rc == RC_OK && o[i].calls == 1, "%s", o[i].why);
    rig_until_heard(rig, 200);
}
END_TEST

START_TEST(cancelled_publish_takes_place_in_silence)
{
    struct outcome o = { 0 };
    struct draft d = draft("t", "1");

    source_cancel(source_publish(rig->server.source, &d, 1, SLICE_NONE, on_published, &o));
    rig_until_heard(rig, 1);
    ck_assert_int_eq(o.calls, 0);
}
END_TEST

START_TEST(publish_whose_answer_never_comes_is_uncertain)
{
    struct outcome o = { 0 };
    struct draft d = draft("t", "1");
    PGconn *other = PQconnectdb(dsn);
    char *waiting;

    PQclear(PQexec(other, "BEGIN; LOCK TABLE bellpush.log"));
    ck_assert_int_eq(PQtransactionStatus(other), PQTRANS_INTRANS);
    ck_assert_ptr_nonnull(source_publish(rig->server.source, &d, 1, SLICE_NONE, on_published, &o));
    for (int64_t end = now_ms() + 10000;; free(waiting)) { /* until it is stuck */
        ck_assert_int_lt(now_ms(), end);
        rig_run(rig, 10);
        waiting = cluster_sql(dsn, "SELECT count(*) FROM pg_stat_activity WHERE "
                                   "wait_event_type = 'Lock' AND query LIKE '%publish_batch%'");
        if (*waiting != '0')
            break;
    }
    free(waiting);
    run_sql(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                 "WHERE wait_event_type = 'Lock'");
    rig_until(rig, "the publish", is_called, &o);
    ck_assert_int_eq(o.rc, RC_SOURCE);
    ck_assert(o.uncertain);
    PQfinish(other);
}
END_TEST

START_TEST(too_much_waiting_is_refused)
{
    static char data[1 << 20];
    static struct outcome o[100];
    struct draft d = { .topic = SLICE("t"), .data = { data, sizeof(data) } };
    int taken = 0;

    while (taken < 100 &&
           source_publish(rig->server.source, &d, 1, SLICE_NONE, on_published, &o[taken]))
        taken++;
    ck_assert_int_gt(taken, 50);
    ck_assert_int_lt(taken, 65);
    rig_until_heard(rig, (size_t)taken); /* and all that was taken is done */
}
END_TEST

/* ---- the past -----------------------------------------------------------------------------------
 */

struct past {
    int calls, events, last;
    enum rc rc;
    int64_t upto, pruned_to;
};

static void on_replayed(void *arg, const struct replay *page)
{
    struct past *p = arg;
    int64_t seq = 0;

    p->calls++;
    p->rc = page->rc;
    p->upto = page->upto;
    p->pruned_to = page->pruned_to;
    for (size_t i = 0; i < page->n; i++) {
        const struct event_fields *f = event_fields(page->events[i]);
        ck_assert_int_gt(f->seq, seq);
        seq = f->seq;
        p->events++;
        p->last = atoi(f->data.at);
    }
}

static bool is_replayed(void *arg)
{
    return ((struct past *)arg)->calls > 0;
}

static struct past replay(int64_t after, const char *filter)
{
    struct past p = { 0 };
    struct slice filters[2] = { slice_of(filter), SLICE("no/such/topic") };

    ck_assert_ptr_nonnull(source_replay(rig->server.source, after, filters, 2, on_replayed, &p));
    ck_assert_int_eq(p.calls, 0);
    rig_until(rig, "a replay", is_replayed, &p);
    ck_assert_int_eq(p.rc, RC_OK);
    return p;
}

static void replay_all(const char *filter, int expected)
{
    int64_t after = 0;
    int events = 0, pages = 0;
    struct past p;

    do {
        p = replay(after, filter);
        ck_assert_int_ge(p.upto, after);
        events += p.events;
        ck_assert_int_le(p.events, 200);
        if (p.events)
            ck_assert_int_eq(p.last, events);
        after = p.upto == after ? INT64_MAX : p.upto;
        ck_assert_int_lt(++pages, 100);
    } while (after < rig->server.head);
    ck_assert_int_eq(events, expected);
}

START_TEST(past_is_replayed_in_pages)
{
    run_sql(dsn, "SELECT bellpush.publish(CASE WHEN i %% 2 = 0 THEN 'odd/x' ELSE 'even' END, "
                 "((i + 1) / 2)::text) FROM generate_series(1, 2000) i");
    rig_until_heard(rig, 2000);
    replay_all("even", 1000);
    replay_all("odd/+", 1000);
    struct past p = replay(rig->server.head, "#");
    ck_assert_int_eq(p.events, 0);
    ck_assert_int_eq(p.upto, rig->server.head);
}
END_TEST

static void on_located(void *arg, const struct place *place)
{
    struct past *p = arg;

    p->calls++;
    p->rc = place->rc;
    ck_assert_str_eq(place->epoch, rig->server.epoch);
    ck_assert_int_eq(place->head, rig->server.head);
    p->upto = place->seq;
}

START_TEST(times_are_located)
{
    struct past p = { 0 };

    publish_numbers(dsn, "t", 1, 3);
    rig_until_heard(rig, 3);
    const struct event *second = journal_next(rig->server.journal, rig->heard[0].seq);
    int64_t time = event_fields(second)->time_us;
    ck_assert_ptr_nonnull(source_locate(rig->server.source, 0, on_located, &p));
    rig_until(rig, "a locate", is_replayed, &p);
    ck_assert_int_lt(p.upto, rig->heard[0].seq);
    p.calls = 0;
    ck_assert_ptr_nonnull(source_locate(rig->server.source, time, on_located, &p));
    rig_until(rig, "a locate", is_replayed, &p);
    ck_assert_int_ge(p.upto, rig->heard[0].seq);
    ck_assert_int_lt(p.upto, rig->heard[1].seq);
}
END_TEST

static bool all_replayed(void *arg)
{
    struct past *p = arg;

    for (int i = 0; i < 100; i++)
        if (!p[i].calls)
            return false;
    return true;
}

START_TEST(questions_survive_lost_connections)
{
    static struct past p[100];
    struct slice filter = SLICE("t");

    publish_numbers(dsn, "t", 1, 100);
    rig_until_heard(rig, 100);
    for (int i = 0; i < 100; i++)
        ck_assert_ptr_nonnull(source_replay(rig->server.source, 0, &filter, 1, on_replayed, &p[i]));
    rig_until(rig, "the first replay", is_replayed, &p[0]);
    run_sql(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                 "WHERE datname = current_database() AND pid <> pg_backend_pid()");
    rig_until(rig, "100 replays", all_replayed, p);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(p[i].events, 100);
}
END_TEST

START_TEST(cancelled_question_is_silent)
{
    struct past p = { 0 };
    struct slice filter = SLICE("t");

    source_cancel(source_replay(rig->server.source, 0, &filter, 1, on_replayed, &p));
    source_cancel(source_locate(rig->server.source, 0, on_located, &p));
    source_cancel(NULL);
    replay(0, "t"); /* behind them, so they are done */
    ck_assert_int_eq(p.calls, 0);
}
END_TEST

SUITE(pg_pool)
{
    tcase_add_unchecked_fixture(tc, rig_cluster, NULL);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, batch_comes_back_whole_and_in_order);
    tcase_add_test(tc, a_megabyte_passes_and_more_is_refused);
    tcase_add_test(tc, bad_input_is_refused_in_words_and_whole);
    tcase_add_test(tc, idempotency_key_publishes_once);
    tcase_add_test(tc, relay_mode_numbers_later);
    tcase_add_test(tc, many_publishes_at_once_are_each_answered);
    tcase_add_test(tc, cancelled_publish_takes_place_in_silence);
    tcase_add_test(tc, publish_whose_answer_never_comes_is_uncertain);
    tcase_add_test(tc, too_much_waiting_is_refused);
    tcase_add_test(tc, past_is_replayed_in_pages);
    tcase_add_test(tc, times_are_located);
    tcase_add_test(tc, questions_survive_lost_connections);
    tcase_add_test(tc, cancelled_question_is_silent);
}

/* ---- away ---------------------------------------------------------------------------------------
 */

START_TEST(away_publishes_fail_and_questions_wait)
{
    static const char *const settings[] = { "fsync=off", NULL };
    struct cluster *own = cluster_start_with(settings);
    char *mine = cluster_database(own, "away");
    struct past p = { 0 };
    struct slice filter = SLICE("t");
    struct draft d = draft("t", "1");

    rig = rig_listening(mine, NULL);
    ck_assert_int_eq(publish(&d, 1, NULL).rc, RC_OK);
    cluster_stop(own, "immediate");
    rig_until_state(rig, SOURCE_AWAY);
    struct outcome o = publish(&d, 1, NULL);
    ck_assert_int_eq(o.rc, RC_SOURCE);
    ck_assert_str_ne(o.why, "");
    int64_t begin = now_ms();
    o = publish(&d, 1, NULL); /* now it is known, so at once */
    ck_assert_int_eq(o.rc, RC_SOURCE);
    ck_assert(!o.uncertain);
    ck_assert_int_lt(now_ms() - begin, 2000);
    ck_assert_ptr_nonnull(source_replay(rig->server.source, 0, &filter, 1, on_replayed, &p));
    rig_run(rig, 200);
    ck_assert_int_eq(p.calls, 0);
    cluster_again(own);
    rig_until(rig, "the replay that waited", is_replayed, &p);
    ck_assert_int_eq(p.rc, RC_OK);
    ck_assert_int_eq(p.events, 1);
    o = publish(&d, 1, NULL);
    ck_assert_msg(o.rc == RC_OK, "%s", o.why);
    rig_free(rig);
    free(mine);
    cluster_free(own);
}
END_TEST

START_TEST(first_publish_waits_for_the_connection)
{
    dsn = rig_database();
    rig = rig_new(dsn, NULL);
    struct draft d = draft("t", "1");
    struct outcome o = publish(&d, 1, NULL);

    ck_assert_msg(o.rc == RC_OK, "%s", o.why);
    rig_free(rig);
    free(dsn);
}
END_TEST

SUITE(pg_away)
{
    tcase_add_unchecked_fixture(tc, rig_cluster, NULL);
    tcase_add_test(tc, away_publishes_fail_and_questions_wait);
    tcase_add_test(tc, first_publish_waits_for_the_connection);
}
