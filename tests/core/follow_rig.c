/*
 * follow_rig.c - readers of a log played by script, and the truth.
 */
#include "tests/core/follow_rig.h"

#include <stdio.h>

#include "core/topic.h"
#include "tests/suite.h"

static uv_loop_t loop;
static struct conf conf;
struct server follow_server;

struct follow_truth follow_truth;

void follow_rig_set_up(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(conf_init(&conf), RC_OK);
    conf.journal_events = 16;
    ck_assert_int_eq(server_init(&follow_server, &loop, &conf), RC_OK);
    follow_server.log.level = LOG_ERROR;
    follow_server.source = source_new(&follow_server);
    memset(&follow_truth, 0, sizeof(follow_truth));
}

void follow_rig_tear_down(void)
{
    source_free(follow_server.source, NULL, NULL);
    server_fini(&follow_server);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    conf_fini(&conf);
}

void follow_commit_draft(struct draft d)
{
    ck_assert_int_lt(follow_truth.head, TRUTH_MAX);
    follow_truth.topic[++follow_truth.head] = d.is_private ? NULL : d.topic.at;
    d.data = SLICE("x");
    ck_assert_int_eq(fake_commit(follow_server.source, &d, 1), follow_truth.head);
}

void follow_commit(const char *topic)
{
    follow_commit_draft((struct draft){ .topic = slice_of(topic) });
}

void follow_turn(int n)
{
    while (n-- > 0)
        uv_run(&loop, UV_RUN_NOWAIT);
}

/* ---- readers ------------------------------------------------------------------------------- */

void reader_missed_nothing(const struct reader *r, int64_t upto)
{
    for (int64_t i = r->pos + 1; i < upto && i <= follow_truth.head; i++)
        ck_assert_msg(!follow_truth.topic[i] ||
                          !topic_matches(slice_of(r->filter), slice_of(follow_truth.topic[i])),
                      "%s: event %lld (%s) is lost between %lld and %lld", r->filter, (long long)i,
                      follow_truth.topic[i], (long long)r->pos, (long long)upto);
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
    ck_assert_ptr_nonnull(follow_truth.topic[e->seq]);
    reader_missed_nothing(r, e->seq);
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
        ck_assert_int_gt(follow_truth.pruned, r->pos);
        ck_assert_int_ge(continues_after, r->pos);
    }
    r->pos = continues_after;
    return reaction(r);
}

static enum rc on_caught_up(struct follow *f)
{
    struct reader *r = CONTAINER(f, struct reader, follow);

    r->caught_up++;
    reader_missed_nothing(r, follow_server.head + 1);
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

void reader_start(struct reader *r, struct since since)
{
    struct slice filter = slice_of(r->filter);

    memset(&r->follow, 0, sizeof(r->follow));
    r->started = true;
    ck_assert_int_eq(follow_start(&r->follow, &follow_server, &reader_ops, &filter, 1, &since),
                     RC_OK);
}

struct since reader_cursor(int64_t seq)
{
    struct since since = { .kind = SINCE_CURSOR, .cursor.seq = seq };
    snprintf(since.cursor.epoch, sizeof(since.cursor.epoch), "%s", follow_server.epoch);
    return since;
}

void reader_stop(struct reader *r)
{
    follow_stop(&r->follow);
    r->started = false;
}
