/*
 * follow_test.c - from a cursor through the past into the present.
 *
 * Readers assert at every step what the project promises: each event that they asked for, in log
 * order, once, or a gap that says where the stream goes on.  The truth is a plain array of topics.
 */
#include "core/follow.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/server.h"
#include "core/topic.h"
#include "tests/fake/fake_source.h"
#include "tests/suite.h"

enum { TRUTH_MAX = 20000, READERS = 12 };

static uv_loop_t loop;
static struct conf conf;
static struct server server;

static struct {
    const char *topic[TRUTH_MAX + 1]; /* by number; NULL: nobody may hear it */
    int64_t head, pruned;
    bool holes_allowed;
} truth;

static void world_make(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(conf_init(&conf), RC_OK);
    conf.journal_events = 16;
    ck_assert_int_eq(server_init(&server, &loop, &conf), RC_OK);
    server.log.level = LOG_ERROR;
    server.source = source_new(&server);
    memset(&truth, 0, sizeof(truth));
}

static void world_unmake(void)
{
    source_free(server.source, NULL, NULL);
    server_fini(&server);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    conf_fini(&conf);
}

static void commit_draft(struct draft d)
{
    ck_assert_int_lt(truth.head, TRUTH_MAX);
    truth.topic[++truth.head] = d.is_private ? NULL : d.topic.at;
    d.data = SLICE("x");
    ck_assert_int_eq(fake_commit(server.source, &d, 1), truth.head);
}

static void commit(const char *topic)
{
    commit_draft((struct draft){ .topic = slice_of(topic) });
}

static void turn(int n)
{
    while (n-- > 0)
        uv_run(&loop, UV_RUN_NOWAIT);
}

/* ---- readers ----------------------------------------------------------------------------------
 */

struct reader {
    struct follow follow;
    const char *filter;
    int64_t pos; /* everything up to here has been seen, or announced as missing */
    size_t events, gaps, caught_up, failures;
    enum gap_reason reason;
    bool started, in_past;
    bool takes_runs; /* if it neither pauses nor leaves amid them */
    size_t runs;
    int pause_in, close_in; /* callbacks until it takes no more, or leaves; 0: never */
};

/* Nothing that this reader asked for is committed in (pos, upto). */
static void nothing_missed(const struct reader *r, int64_t upto)
{
    for (int64_t i = r->pos + 1; i < upto && i <= truth.head; i++)
        ck_assert_msg(!truth.topic[i] ||
                          !topic_matches(slice_of(r->filter), slice_of(truth.topic[i])),
                      "%s: event %lld (%s) is lost between %lld and %lld", r->filter, (long long)i,
                      truth.topic[i], (long long)r->pos, (long long)upto);
}

static enum rc reaction(struct reader *r)
{
    if (r->close_in && --r->close_in == 0) {
        follow_stop(&r->follow);
        r->started = false;
        return RC_CLOSED;
    }
    return r->pause_in && --r->pause_in == 0 ? RC_AGAIN : RC_OK;
}

static void hear(struct reader *r, struct event *event)
{
    const struct event_fields *e = event_fields(event);

    ck_assert(topic_matches(slice_of(r->filter), e->topic));
    ck_assert_int_gt(e->seq, r->pos); /* once, and in order */
    ck_assert_ptr_nonnull(truth.topic[e->seq]);
    nothing_missed(r, e->seq);
    r->pos = e->seq;
    r->events++;
    /* Whoever asks for the place right now is not told of one that lies before us. */
    ck_assert_int_eq(follow_cursor(&r->follow), r->in_past ? e->seq : follow_cursor(&r->follow));
}

static enum rc on_event(struct follow *f, struct event *event)
{
    struct reader *r = CONTAINER(f, struct reader, follow);

    hear(r, event);
    return reaction(r);
}

static enum rc on_run(struct follow *f, struct run *run)
{
    struct reader *r = CONTAINER(f, struct reader, follow);
    int n = (int)run->n;

    ck_assert_int_gt(n, 1);
    if (!r->takes_runs || (r->pause_in && r->pause_in < n) || (r->close_in && r->close_in < n))
        return RC_LIMIT;
    r->runs++;
    for (int i = 0; i < n; i++)
        hear(r, run->events[i]);
    r->pause_in -= r->pause_in ? n - 1 : 0;
    r->close_in -= r->close_in ? n - 1 : 0;
    return reaction(r);
}

static enum rc on_gap(struct follow *f, enum gap_reason reason, int64_t continues_after)
{
    struct reader *r = CONTAINER(f, struct reader, follow);

    r->gaps++;
    r->reason = reason;
    if (reason == GAP_EXPIRED) {
        ck_assert_int_gt(truth.pruned, r->pos);
        ck_assert_int_ge(continues_after, r->pos);
    }
    r->pos = continues_after;
    return reaction(r);
}

static enum rc on_caught_up(struct follow *f)
{
    struct reader *r = CONTAINER(f, struct reader, follow);

    r->caught_up++;
    nothing_missed(r, server.head + 1);
    return RC_OK;
}

static void on_failed(struct follow *f, enum rc rc)
{
    struct reader *r = CONTAINER(f, struct reader, follow);

    ck_assert_int_ne(rc, RC_OK);
    r->failures++;
    r->started = false;
}

static const struct follow_ops reader_ops = { on_event, on_gap, on_caught_up, on_failed, on_run };

static void start(struct reader *r, struct since since)
{
    struct slice filter = slice_of(r->filter);

    memset(&r->follow, 0, sizeof(r->follow));
    r->started = true;
    ck_assert_int_eq(follow_start(&r->follow, &server, &reader_ops, &filter, 1, &since), RC_OK);
}

static struct since cursor(int64_t seq)
{
    struct since since = { .kind = SINCE_CURSOR, .cursor.seq = seq };
    snprintf(since.cursor.epoch, sizeof(since.cursor.epoch), "%s", server.epoch);
    return since;
}

static void stop(struct reader *r)
{
    follow_stop(&r->follow);
    r->started = false;
}

/* ---- single paths -----------------------------------------------------------------------------
 */

START_TEST(who_begins_now_hears_only_what_comes)
{
    struct reader r = { .filter = "a" };

    commit("a");
    turn(3);
    r.pos = 1;
    start(&r, (struct since){ .kind = SINCE_NOW });
    ck_assert_uint_eq(r.caught_up, 1);
    commit("a");
    commit("b");
    turn(3);
    ck_assert_uint_eq(r.events, 1);
    ck_assert_int_eq(follow_cursor(&r.follow), 3);
    stop(&r);
    commit("a");
    turn(3);
    ck_assert_uint_eq(r.events, 1);
}
END_TEST

START_TEST(who_comes_before_the_log_is_known_waits_for_it)
{
    struct reader r = { .filter = "#" }, gone = { .filter = "#" };

    start(&r, (struct since){ .kind = SINCE_EARLIEST });
    start(&gone, (struct since){ .kind = SINCE_EARLIEST });
    ck_assert_int_eq(follow_cursor(&r.follow), -1);
    stop(&gone);
    commit("a");
    turn(6);
    ck_assert_uint_eq(r.events, 1);
    ck_assert_uint_eq(gone.events, 0);
    stop(&r);
}
END_TEST

START_TEST(a_recent_cursor_is_served_from_memory_an_old_one_from_the_database)
{
    struct reader recent = { .filter = "a", .pos = 95, .in_past = true },
                  old = { .filter = "a", .pos = 3 };

    turn(2);
    for (int i = 0; i < 100; i++)
        commit("a");
    turn(3);
    start(&recent, cursor(95));
    ck_assert_uint_eq(recent.events, 5); /* at one go */
    ck_assert_uint_eq(server.stats.database_replays, 0);
    start(&old, cursor(3));
    ck_assert_uint_eq(old.events, 0);
    turn(30);
    ck_assert_uint_eq(old.events, 97);
    ck_assert_uint_gt(server.stats.database_replays, 1);
    stop(&recent);
    stop(&old);
}
END_TEST

START_TEST(a_cursor_that_is_none_of_ours_is_told_so)
{
    struct reader foreign = { .filter = "a" }, epoch = { .filter = "a" }, ahead = { .filter = "a" };
    struct since other = { .kind = SINCE_CURSOR, .cursor = { "other", 1 } };

    turn(2);
    commit("a");
    turn(3);
    start(&foreign, (struct since){ .kind = SINCE_FOREIGN });
    ck_assert_uint_eq(foreign.gaps, 1);
    ck_assert_int_eq(foreign.reason, GAP_UNKNOWN);
    start(&epoch, other);
    ck_assert_int_eq(epoch.reason, GAP_EPOCH);
    start(&ahead, cursor(1000));
    turn(3);
    ck_assert_uint_eq(ahead.gaps, 1);
    ck_assert_int_eq(ahead.reason, GAP_UNKNOWN);
    commit("a");
    turn(3);
    ck_assert_uint_eq(foreign.events, 1);
    ck_assert_uint_eq(epoch.events, 1);
    ck_assert_uint_eq(ahead.events, 1);
    stop(&foreign);
    stop(&epoch);
    stop(&ahead);
}
END_TEST

START_TEST(a_cursor_from_a_process_that_is_ahead_of_us_is_good)
{
    struct reader r = { .filter = "a" };

    turn(2);
    commit("a");
    turn(3);
    fake_mute(server.source); /* this process lags behind */
    commit("a");
    commit("a");
    turn(3);
    ck_assert_int_eq(server.head, 1);
    r.pos = 2;
    start(&r, cursor(2));
    turn(3);
    ck_assert_uint_eq(r.gaps, 0);
    fake_bell(server.source);
    turn(3);
    ck_assert_uint_eq(r.events, 1); /* 3, and not 2 again */
    stop(&r);
}
END_TEST

START_TEST(who_takes_no_more_is_brought_forward_later)
{
    struct reader r = { .filter = "a", .pause_in = 2 };

    turn(2);
    start(&r, (struct since){ .kind = SINCE_NOW });
    for (int i = 0; i < 10; i++)
        commit("a");
    turn(3);
    ck_assert_uint_eq(r.events, 2);
    ck_assert_int_eq(follow_cursor(&r.follow), 2);
    follow_resume(&r.follow);
    ck_assert_uint_eq(r.events, 10); /* from the journal */
    r.pause_in = 1;
    for (int i = 0; i < 50; i++)
        commit("a");
    turn(3);
    ck_assert_uint_eq(r.events, 11);
    follow_resume(&r.follow);
    turn(30);
    ck_assert_uint_eq(r.events, 60); /* from the database */
    follow_resume(&r.follow);        /* is not paused: nothing happens */
    stop(&r);
}
END_TEST

START_TEST(while_it_is_paused_its_filters_may_be_exchanged)
{
    struct reader r = { .filter = "a" };
    struct slice both[] = { SLICE("a"), SLICE("b") };

    turn(2);
    start(&r, (struct since){ .kind = SINCE_NOW });
    commit("a");
    commit("b");
    turn(3);
    ck_assert_uint_eq(r.events, 1);
    ck_assert(follow_pause(&r.follow));
    ck_assert(follow_pause(&r.follow));
    ck_assert_int_eq(follow_cursor(&r.follow), 2);
    commit("a");
    commit("b");
    turn(3);
    ck_assert_uint_eq(r.events, 1);
    r.filter = "#"; /* what it expects from here on: both, and nothing else is committed */
    r.pos = 2;
    ck_assert_int_eq(follow_change(&r.follow, both, 2, &r.follow.who), RC_OK);
    follow_resume(&r.follow);
    ck_assert_uint_eq(r.events, 3); /* the past between the pause and the change, too */
    commit("b");
    turn(3);
    ck_assert_uint_eq(r.events, 4);
    stop(&r);
}
END_TEST

START_TEST(who_reads_the_past_can_be_paused_and_who_waits_for_its_place_cannot)
{
    struct reader r = { .filter = "a" };

    start(&r, (struct since){ .kind = SINCE_EARLIEST });
    ck_assert(!follow_pause(&r.follow));
    turn(2);
    for (int i = 0; i < 60; i++) /* more than the journal holds */
        commit("a");
    turn(3);
    stop(&r);
    r = (struct reader){ .filter = "a" };
    start(&r, cursor(0)); /* the page is on its way */
    ck_assert(follow_pause(&r.follow));
    turn(3);
    ck_assert_uint_eq(r.events, 0);
    follow_resume(&r.follow);
    turn(30);
    ck_assert_uint_eq(r.events, 60);
    stop(&r);
    ck_assert(!follow_pause(&r.follow));
}
END_TEST

START_TEST(retention_that_overtakes_a_sleeper_is_told)
{
    struct reader r = { .filter = "a", .pause_in = 1 };

    turn(2);
    start(&r, (struct since){ .kind = SINCE_NOW });
    for (int i = 0; i < 60; i++)
        commit("a");
    turn(3);
    fake_prune(server.source, truth.pruned = 40);
    follow_resume(&r.follow);
    turn(20);
    ck_assert_uint_eq(r.gaps, 1);
    ck_assert_int_eq(r.reason, GAP_EXPIRED);
    ck_assert_uint_eq(r.events, 1 + 20);
    stop(&r);
}
END_TEST

START_TEST(retention_that_overtakes_the_whole_process_is_told)
{
    struct reader r = { .filter = "a" };

    turn(2);
    start(&r, (struct since){ .kind = SINCE_NOW });
    commit("a");
    turn(3);
    fake_away(server.source);
    for (int i = 0; i < 9; i++)
        commit("a");
    fake_prune(server.source, truth.pruned = 5);
    fake_back(server.source);
    turn(3);
    ck_assert_uint_eq(r.gaps, 1);
    ck_assert_uint_eq(r.events, 1 + 5);
    stop(&r);
}
END_TEST

START_TEST(another_history_is_told_to_everyone)
{
    struct reader live = { .filter = "a" }, paused = { .filter = "a", .pause_in = 1 };

    turn(2);
    start(&live, (struct since){ .kind = SINCE_NOW });
    start(&paused, (struct since){ .kind = SINCE_NOW });
    commit("a");
    commit("a");
    turn(3);
    fake_away(server.source);
    fake_restore(server.source, "second");
    fake_back(server.source);
    turn(3);
    ck_assert_str_eq(server.epoch, "second");
    ck_assert_int_eq(live.reason, GAP_EPOCH);
    ck_assert_uint_eq(live.gaps, 1);
    ck_assert_uint_eq(paused.gaps, 1);
    truth.head = 0;
    commit("a");
    turn(3);
    ck_assert_uint_eq(live.events, 3);
    follow_resume(&paused.follow);
    ck_assert_uint_eq(paused.events, 2);
    stop(&live);
    stop(&paused);
}
END_TEST

START_TEST(private_and_expired_events_are_passed_over)
{
    struct reader r = { .filter = "#" };

    turn(2);
    start(&r, (struct since){ .kind = SINCE_NOW });
    commit_draft((struct draft){ .topic = SLICE("a"), .is_private = true });
    commit("a");
    fake_clock(server.source, -60000);
    commit_draft((struct draft){ .topic = SLICE("a"), .expires_ms = 1000 });
    truth.topic[truth.head] = NULL;
    turn(3);
    ck_assert_uint_eq(r.events, 1);
    ck_assert_int_eq(follow_cursor(&r.follow), 3);
    stop(&r);
}
END_TEST

/* So many events on "a" come together. */
static void commit_run(int n)
{
    while (n-- > 0)
        commit("a");
    turn(3);
}

START_TEST(events_of_one_topic_that_come_together_are_handed_out_as_a_run)
{
    struct reader takes = { .filter = "a", .takes_runs = true }, refuses = { .filter = "#" };

    turn(2);
    start(&takes, (struct since){ .kind = SINCE_NOW });
    start(&refuses, (struct since){ .kind = SINCE_NOW });
    commit_run(5);
    ck_assert_uint_eq(takes.runs, 1);
    ck_assert_uint_eq(takes.events, 5);
    ck_assert_uint_eq(refuses.events, 5);
    commit_run(1); /* is none */
    ck_assert_uint_eq(takes.runs, 1);
    ck_assert_uint_eq(takes.events, 6);
    stop(&takes);
    stop(&refuses);
}
END_TEST

START_TEST(who_takes_no_more_after_a_run_goes_on_after_it)
{
    struct reader pauses = { .filter = "a", .takes_runs = true, .pause_in = 5 },
                  leaves = { .filter = "a", .takes_runs = true, .close_in = 5 };

    turn(2);
    start(&pauses, (struct since){ .kind = SINCE_NOW });
    start(&leaves, (struct since){ .kind = SINCE_NOW });
    commit_run(5);
    ck_assert_uint_eq(pauses.runs, 1);
    ck_assert_uint_eq(leaves.runs, 1);
    ck_assert(!leaves.started);
    commit_run(3);
    ck_assert_uint_eq(pauses.events, 5);
    ck_assert_int_eq(follow_cursor(&pauses.follow), 5);
    follow_resume(&pauses.follow);
    turn(3);
    ck_assert_uint_eq(pauses.events, 8);
    ck_assert_uint_eq(leaves.events, 5);
    stop(&pauses);
}
END_TEST

START_TEST(of_a_run_that_not_all_may_hear_each_hears_what_it_may)
{
    struct reader r = { .filter = "a", .takes_runs = true };

    turn(2);
    start(&r, (struct since){ .kind = SINCE_NOW });
    commit("a");
    commit_draft((struct draft){ .topic = SLICE("a"), .is_private = true });
    commit("a");
    turn(3);
    ck_assert_uint_eq(r.events, 2);
    fake_clock(server.source, -60000);
    commit("a");
    commit_draft((struct draft){ .topic = SLICE("a"), .expires_ms = 1000 });
    truth.topic[truth.head] = NULL;
    commit("a");
    turn(3);
    ck_assert_uint_eq(r.events, 4);
    ck_assert_uint_eq(r.runs, 0);
    ck_assert_int_eq(follow_cursor(&r.follow), 6);
    commit_draft((struct draft){ .topic = SLICE("a"), .expires_ms = 3600000 }); /* lasts */
    commit_run(1);
    ck_assert_uint_eq(r.events, 6);
    ck_assert_uint_eq(r.runs, 1);
    stop(&r);
}
END_TEST

START_TEST(who_is_amid_a_run_hears_the_rest_of_it)
{
    struct reader ahead = { .filter = "a", .takes_runs = true, .pos = 2 };

    turn(2);
    fake_mute(server.source);
    commit_run(5);
    start(&ahead, cursor(2)); /* given out by a process that has heard of it already */
    turn(3);
    fake_bell(server.source);
    turn(3);
    ck_assert_uint_eq(ahead.events, 3);
    ck_assert_uint_eq(ahead.runs, 0);
    stop(&ahead);
}
END_TEST

START_TEST(too_many_questions_end_the_reader_that_asks)
{
    struct reader r = { .filter = "a" };

    turn(2);
    fake_refuse(server.source, true);
    start(&r, (struct since){ .kind = SINCE_EARLIEST });
    ck_assert_uint_eq(r.failures, 1);
    ck_assert_uint_eq(hub_subscribers(server.hub), 0);
}
END_TEST

/* ---- all at once, by chance -------------------------------------------------------------------
 */

static uint64_t dice_state;

static unsigned dice(unsigned sides)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice_state >> 33) % sides;
}

static void one_chance(struct reader *readers)
{
    static const char *const topics[] = { "a", "a/b", "a/b/c", "b", "b/b", "$s/a" };
    struct reader *r = &readers[dice(READERS)];

    switch (dice(16)) {
    case 0:
        fake_away(server.source);
        break;
    case 1:
    case 2:
        fake_back(server.source);
        break;
    case 3:
        fake_mute(server.source);
        break;
    case 4:
    case 5:
        fake_bell(server.source);
        break;
    case 6:
        if (truth.holes_allowed && dice(4) == 0 && truth.head > truth.pruned)
            fake_prune(server.source,
                       truth.pruned += 1 + dice((unsigned)(truth.head - truth.pruned)));
        break;
    case 7:
        follow_resume(&r->follow);
        break;
    case 8: /* reconnects with its cursor */
        if (r->started && follow_cursor(&r->follow) >= 0) {
            nothing_missed(r, follow_cursor(&r->follow) + 1);
            r->pos = follow_cursor(&r->follow);
        }
        if (r->started)
            stop(r);
        start(r, cursor(r->pos));
        break;
    case 9:
        r->pause_in = (int)dice(5);
        break;
    case 10:
        r->close_in = (int)dice(9);
        break;
    default:
        for (unsigned i = dice(5); i > 0; i--)
            commit(topics[dice(LENGTH(topics))]);
    }
    turn((int)dice(3));
}

static void play(uint64_t seed, bool holes_allowed)
{
    static const char *const filters[] = { "#", "a/#", "+", "a/+", "b", "+/b/#", "$s/#" };
    struct reader readers[READERS] = { 0 };

    dice_state = seed * 2 + 1;
    truth.holes_allowed = holes_allowed;
    turn(2);
    for (size_t i = 0; i < READERS; i++) {
        readers[i].filter = filters[i % LENGTH(filters)];
        readers[i].takes_runs = i % 2;
        start(&readers[i], cursor(0));
    }
    for (int step = 0; step < 1500; step++)
        one_chance(readers);
    fake_back(server.source);
    fake_bell(server.source);
    for (size_t i = 0; i < READERS; i++) {
        readers[i].pause_in = readers[i].close_in = 0;
        if (!readers[i].started)
            start(&readers[i], cursor(readers[i].pos));
    }
    for (int i = 0; i < 2000; i++) {
        turn(1);
        for (size_t k = 0; k < READERS; k++)
            follow_resume(&readers[k].follow);
    }
    for (size_t i = 0; i < READERS; i++) {
        ck_assert_int_eq(follow_cursor(&readers[i].follow), truth.head);
        nothing_missed(&readers[i], truth.head + 1);
        ck_assert_uint_eq(readers[i].failures, 0);
        if (!holes_allowed)
            ck_assert_uint_eq(readers[i].gaps, 0);
        stop(&readers[i]);
    }
}

START_TEST(whatever_happens_nothing_is_lost_doubled_or_swapped)
{
    play((uint64_t)_i + 1, false);
}
END_TEST

START_TEST(whatever_retention_does_every_hole_is_told)
{
    play((uint64_t)_i + 1000, true);
}
END_TEST

SUITE(follow)
{
    tcase_add_checked_fixture(tc, world_make, world_unmake);
    tcase_add_test(tc, who_begins_now_hears_only_what_comes);
    tcase_add_test(tc, who_comes_before_the_log_is_known_waits_for_it);
    tcase_add_test(tc, a_recent_cursor_is_served_from_memory_an_old_one_from_the_database);
    tcase_add_test(tc, a_cursor_that_is_none_of_ours_is_told_so);
    tcase_add_test(tc, a_cursor_from_a_process_that_is_ahead_of_us_is_good);
    tcase_add_test(tc, who_takes_no_more_is_brought_forward_later);
    tcase_add_test(tc, while_it_is_paused_its_filters_may_be_exchanged);
    tcase_add_test(tc, who_reads_the_past_can_be_paused_and_who_waits_for_its_place_cannot);
    tcase_add_test(tc, retention_that_overtakes_a_sleeper_is_told);
    tcase_add_test(tc, retention_that_overtakes_the_whole_process_is_told);
    tcase_add_test(tc, another_history_is_told_to_everyone);
    tcase_add_test(tc, private_and_expired_events_are_passed_over);
    tcase_add_test(tc, events_of_one_topic_that_come_together_are_handed_out_as_a_run);
    tcase_add_test(tc, who_takes_no_more_after_a_run_goes_on_after_it);
    tcase_add_test(tc, of_a_run_that_not_all_may_hear_each_hears_what_it_may);
    tcase_add_test(tc, who_is_amid_a_run_hears_the_rest_of_it);
    tcase_add_test(tc, too_many_questions_end_the_reader_that_asks);
    tcase_add_loop_test(tc, whatever_happens_nothing_is_lost_doubled_or_swapped, 0, 24);
    tcase_add_loop_test(tc, whatever_retention_does_every_hole_is_told, 0, 24);
}
