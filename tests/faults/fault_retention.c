/*
 * fault_retention.c - retention overtakes readers that sleep: the log keeps one second for a while.
 *
 * Who comes back gets a gap where events are missing, and goes on.  Whoever was there all the time
 * gets none.  (The checker sees to it: what was missed must lie within gaps.)
 */
#include <stdlib.h>

#include "core/cursor.h"
#include "tests/faults/clients.h"
#include "tests/faults/gauge.h"
#include "tests/peers/process.h"

enum {
    /* Of 2,000 that a worker remembers itself (site.c): so who sleeps a second is overtaken there,
       too. */
    FORGET_AT_ONCE = 500,
    PRUNED_MS = 40000,
    SOME_GAPS = 3,
};

static void sql(const struct act *a, const char *text)
{
    free(cluster_sql(a->site->dsn, text));
}

/* ---- a reader that sleeps -----------------------------------------------------------------------
 */

struct sleeper {
    struct act *act;
    struct cursor at;
    char *cursor;
};

static struct sleeper fall_asleep(struct act *a)
{
    struct sleeper s = { .act = a, .cursor = client_cursor(a, 0) };

    if (cursor_parse(slice_of(s.cursor), &s.at) != RC_OK)
        act_fail(a, "a poll gives no cursor");
    fillers_say(a, "missed by who sleeps");
    return s;
}

static void keep_a_second(const struct act *a)
{
    char *forget = text_of("SELECT bellpush.publish('" FILLER_TOPIC "', '')"
                           " FROM generate_series(1, %d)",
                           FORGET_AT_ONCE);

    sql(a, forget);
    sql(a, "SELECT bellpush.maintain()"); /* parts are closed and dropped a step at a time */
    free(forget);
}

/* Its place is pruned in the log, and forgotten by every worker. */
static bool is_overtaken(void *arg)
{
    const struct sleeper *s = arg;

    keep_a_second(s->act);
    char *pruned_to = cluster_sql(s->act->site->dsn, "SELECT pruned_to FROM bellpush.stats");
    bool pruned = strtoll(pruned_to, NULL, 10) > s->at.seq;
    free(pruned_to);
    return pruned && gauge_least(s->act, "log.journal_floor") > s->at.seq;
}

/* The load's own sleepers. */
static int64_t gaps_of_load(const struct act *a)
{
    struct load_progress p;

    load_look(a->load, &p);
    return p.gaps;
}

struct expectation {
    struct act *act;
    int64_t gaps, until_ms;
};

static bool some_were_overtaken(void *arg)
{
    const struct expectation *e = arg;

    keep_a_second(e->act);
    return gaps_of_load(e->act) >= e->gaps && now_ms() >= e->until_ms;
}

static void wake(const struct sleeper *s, const char *path)
{
    for (size_t front = 0; front < SITE_FRONTS; front++) {
        char *target = text_of("/push/%s?topic=%s&since=%s", path, FILLER_FILTER, s->cursor);
        struct http *h = client_ask(s->act, front, "GET", target, "");
        client_hears(s->act, h, "bellpush-gap");
        client_hears(s->act, h, "\"reason\":\"expired\"");
        if (strcmp(path, "poll") != 0) {
            fillers_say(s->act, "and on it goes");
            client_hears(s->act, h, "and on it goes");
        }
        http_free(h);
        free(target);
    }
}

static void retention_overtakes(struct act *a)
{
    int64_t gaps = gauge_sum(a, "counts.gaps");
    struct expectation others = { .act = a, .gaps = gaps_of_load(a) + SOME_GAPS };
    struct sleeper s = fall_asleep(a);

    sql(a, "SELECT bellpush.set('retention', '1 second')");
    if (!act_wait(a, is_overtaken, &s, PRUNED_MS))
        act_fail(a, "nothing is pruned within %d s", PRUNED_MS / 1000);
    wake(&s, "poll");
    wake(&s, "events");
    wake(&s, "stream");
    others.until_ms = now_ms() + act_choose(a, 0, 4000);
    if (!act_wait(a, some_were_overtaken, &others, PRUNED_MS))
        act_fail(a, "nobody of the load is overtaken");
    act_flows(a, 20);
    sql(a, "SELECT bellpush.set('retention', '24 hours')");
    gauge_rises(a, "counts.gaps", gaps + (int64_t)3 * SITE_FRONTS + SOME_GAPS);
    act_flows(a, 20);
    free(s.cursor);
}

FAULT(retention_overtakes, .name = "retention-overtakes",
      .what = "the log is pruned quicker than readers come back", .soak = true,
      .run = retention_overtakes);
