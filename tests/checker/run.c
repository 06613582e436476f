/*
 * run.c - see run.h.
 *
 *      transactions --> acks, ledger --+--> truth, at once
 *                                      +--> later, when the outcome is unknown and luck will have
 * it truth --> each subscriber walks it: sightings, and gaps instead of them
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/checker/run.h"
#include "tests/faults/random.h"
#include "tests/naive.h"

static const char *const topics[] = { "orders/1/status", "orders/2/status", "orders/2", "chat/a",
                                      "chat/b/c",        "$sys/x",          "notes" };
enum { N_TOPICS = LENGTH(topics), NOTES = N_TOPICS - 1 };

static const char *const filters[RUN_SUBSCRIBERS] = {
    "#",   "orders/#",        "orders/+/status notes", "notes",
    "+/+", "chat/# orders/2", "$sys/# chat/+",         "# orders/1/status",
};

enum { EVENTS_MAX = 5, WAITING_MAX = 8 };

struct transaction {
    int publisher, number;
    enum kind kind;
    int n;
    struct {
        int number, topic;
    } events[EVENTS_MAX];
    int64_t before_us;
    int steps_left; /* until it is committed after all */
};

struct maker {
    struct run *run;
    int64_t clock_us;
    int last[RUN_PUBLISHERS + 1]; /* transaction of each publisher */
    const char *epoch;
    int64_t seq;
    struct transaction waiting[WAITING_MAX];
    int n_waiting;
};

int64_t run_choose(struct run *r, int64_t low, int64_t high)
{
    return random_between(&r->random, low, high);
}

struct file *run_file(struct run *r, const char *name, int n)
{
    char text[32];
    snprintf(text, sizeof text, "%s.%d", name, n);
    return folder_file(&r->folder, text);
}

/* --- publishers ---------------------------------------------------------------------------- */

static void name_event(const struct transaction *t, int i, char out[NAME_TEXT_MAX])
{
    name_text((struct name){ t->publisher, t->number, t->events[i].number }, out);
}

static void put_number(struct maker *m, const struct transaction *t, int i)
{
    struct run *r = m->run;
    if ((r->n_log & (r->n_log - 1)) == 0)
        r->log = reallocarray(r->log, r->n_log ? 2 * (size_t)r->n_log : 1, sizeof *r->log);
    struct numbered *row = &r->log[r->n_log++];
    m->seq += run_choose(r, 1, 3);
    name_event(t, i, row->name);
    snprintf(row->cursor, sizeof row->cursor, "%s-%lld", m->epoch, (long long)m->seq);
    row->topic = topics[t->events[i].topic];
    row->before_us = t->before_us;
    row->at_us = m->clock_us;
    folder_add(&r->folder, "truth", "%s %lld %s %s", m->epoch, (long long)m->seq, row->name,
               row->topic);
}

static void commit(struct maker *m, const struct transaction *t, bool heard)
{
    for (int i = 0; i < t->n; i++) {
        char name[NAME_TEXT_MAX];
        name_event(t, i, name);
        if (t->kind != KIND_HTTP)
            folder_add(&m->run->folder, "ledger", "%s %s %s", name, topics[t->events[i].topic],
                       kind_names[t->kind]);
        if (heard)
            put_number(m, t, i);
    }
    if (heard)
        m->run->figures.committed += (size_t)t->n;
    else
        m->run->figures.unheard += (size_t)t->n;
}

static void acknowledge(struct maker *m, const struct transaction *t, const char *outcome,
                        int64_t after_us)
{
    struct buf names = BUF_EMPTY;
    for (int i = 0; t->kind == KIND_HTTP && i < t->n; i++) {
        char name[NAME_TEXT_MAX];
        name_event(t, i, name);
        buf_printf(&names, " %s:%s", name, topics[t->events[i].topic]);
    }
    char file[32];
    snprintf(file, sizeof file, "acks.%d", t->publisher);
    folder_add(&m->run->folder, file, "%d.%d %lld %lld %s %s%.*s", t->publisher, t->number,
               (long long)t->before_us, (long long)after_us, outcome, kind_names[t->kind],
               (int)names.len, names.len ? names.at : "");
    buf_fini(&names);
}

static void one_transaction(struct maker *m)
{
    struct run *r = m->run;
    struct transaction t = { .publisher = (int)run_choose(r, 1, RUN_PUBLISHERS),
                             .kind = (enum kind)run_choose(r, 0, KIND__COUNT - 1),
                             .n = (int)run_choose(r, 1, EVENTS_MAX - 1),
                             .before_us = m->clock_us };
    t.number = m->last[t.publisher] += (int)run_choose(r, 1, 2);
    for (int i = 0, number = 0; i < t.n; i++) {
        t.events[i].number = number += (int)run_choose(r, 1, 2); /* between: to a savepoint */
        t.events[i].topic = t.kind == KIND_NOTIFY ? NOTES : (int)run_choose(r, 0, N_TOPICS - 1);
    }
    m->clock_us += run_choose(r, 200, 900);
    int64_t after_us = m->clock_us, luck = run_choose(r, 1, 100);
    if (luck <= 12) {
        acknowledge(m, &t, "rolledback", after_us);
    } else if (luck <= 24) {
        acknowledge(m, &t, "unknown", after_us);
        if (luck <= 16) {
            commit(m, &t, true);
        } else if (luck <= 20 && m->n_waiting < WAITING_MAX) {
            t.steps_left = (int)run_choose(r, 1, 8);
            m->waiting[m->n_waiting++] = t;
        }
    } else {
        acknowledge(m, &t, "committed", after_us);
        bool heard = t.kind != KIND_NOTIFY || run_choose(r, 1, 5) > 1;
        commit(m, &t, heard);
        if (!heard)
            folder_add(&r->folder, "unheard", "%lld %lld nobody-listens",
                       (long long)(after_us - run_choose(r, 0, 300)), (long long)after_us + 10);
    }
    m->clock_us += run_choose(r, 100, 3000);
}

static void commit_late(struct maker *m, bool all)
{
    for (int i = 0; i < m->n_waiting; i++) {
        if (!all && --m->waiting[i].steps_left > 0)
            continue;
        commit(m, &m->waiting[i], true);
        m->waiting[i--] = m->waiting[--m->n_waiting];
    }
}

static void last_of_all(struct maker *m)
{
    struct transaction t = { .kind = KIND_PUBLISH, .n = 1, .before_us = m->clock_us };
    for (t.number = 1; t.number <= N_TOPICS; t.number++) {
        t.events[0].number = 1;
        t.events[0].topic = t.number - 1;
        acknowledge(m, &t, "committed", ++m->clock_us);
        commit(m, &t, true);
    }
}

/* --- subscribers --------------------------------------------------------------------------- */

bool run_matches(struct run *r, int subscriber, const char *topic)
{
    const char *at = filters[subscriber - 1];
    for (size_t len; *at; at += len + (at[len] == ' ')) {
        len = strcspn(at, " ");
        if (naive_matches((struct slice){ at, len }, slice_of(topic)))
            return true;
    }
    return false;
}

/* A cursor after which row i comes next: the row before it, or a number that nothing has. */
static void cursor_before(struct run *r, int i, char out[40])
{
    const char *dash = strchr(r->log[i].cursor, '-');
    if (i > 0 && run_choose(r, 0, 1))
        snprintf(out, 40, "%s", r->log[i - 1].cursor);
    else
        snprintf(out, 40, "%.*s-%lld", (int)(dash - r->log[i].cursor), r->log[i].cursor,
                 atoll(dash + 1) - 1);
}

/* The gap begins at row i: gives the row after it. */
static int one_gap(struct run *r, int s, int i, const char *reason)
{
    struct file *f = run_file(r, "seen", s);
    struct told_gap gap = { .subscriber = s, .line = f->n, .first = -1 };
    int end = i + (int)run_choose(r, 0, 12);
    if (end > r->n_log - N_TOPICS)
        end = r->n_log - N_TOPICS;
    char next[40];
    cursor_before(r, end, next);
    file_insert(f, f->n, "gap %lld %s %s %s", (long long)r->log[end].at_us,
                run_choose(r, 0, 1) ? "-" : r->log[i - 1].cursor, next, reason);
    for (; i < end; i++) {
        if (!run_matches(r, s, r->log[i].topic))
            continue;
        gap.first = gap.skipped++ == 0 ? i : gap.first;
    }
    r->figures.gaps++;
    r->figures.skipped += (size_t)gap.skipped;
    if ((r->n_gaps & (r->n_gaps - 1)) == 0)
        r->gaps = reallocarray(r->gaps, r->n_gaps ? 2 * (size_t)r->n_gaps : 1, sizeof gap);
    r->gaps[r->n_gaps++] = gap;
    return end;
}

static void one_sighting(struct run *r, struct file *f, int i)
{
    const struct numbered *row = &r->log[i];
    int64_t at_us = row->at_us + run_choose(r, 200, 3000);
    file_insert(f, f->n, "event %lld %s %s %s", (long long)at_us, row->cursor, row->name,
                row->topic);
    r->figures.delivered++;
    if (at_us - row->before_us > r->figures.worst_delay_us)
        r->figures.worst_delay_us = at_us - row->before_us;
}

static bool epoch_begins(const struct run *r, int i)
{
    return i > 0 && r->log[i].cursor[1] != r->log[i - 1].cursor[1];
}

static void one_subscriber(struct run *r, int s)
{
    struct file *f = run_file(r, "seen", s);
    int i = s % 2 ? 0 : (int)run_choose(r, 0, r->n_log / 4);
    char start[40];
    cursor_before(r, i, start);
    file_insert(f, 0, "subscriber %d %s %s %s", s, s % 3 ? "sse" : "poll",
                s % 2 ? "nginx" : "apache", filters[s - 1]);
    file_insert(f, 1, "start 1 %s", start);
    for (int first = i; i < r->n_log; i++) {
        if (run_choose(r, 1, 25) == 1)
            file_insert(f, f->n, "note %lld it returns", (long long)r->log[i].at_us);
        if (i > first && epoch_begins(r, i))
            i = one_gap(r, s, i, "epoch");
        else if (i > first && i < r->n_log - N_TOPICS && run_choose(r, 1, 30) == 1)
            i = one_gap(r, s, i, "expired");
        if (run_matches(r, s, r->log[i].topic))
            one_sighting(r, f, i);
    }
    file_insert(f, f->n, "done %lld", (long long)r->log[r->n_log - 1].at_us + 5000);
    r->figures.subscribers++;
}

/* --- all of it ----------------------------------------------------------------------------- */

void run_make(struct run *r, uint64_t seed, int steps)
{
    *r = (struct run){ .random = seed };
    struct maker m = { .run = r, .clock_us = 1000000, .epoch = "EA" };
    for (int i = 0; i < steps; i++) {
        if (i == steps / 2) {
            m.epoch = "EB";
            m.seq = 0;
        }
        one_transaction(&m);
        commit_late(&m, false);
    }
    commit_late(&m, true);
    last_of_all(&m);
    for (int s = 1; s <= RUN_SUBSCRIBERS; s++)
        one_subscriber(r, s);
}

void run_fini(struct run *r)
{
    folder_fini(&r->folder);
    free(r->log);
    free(r->gaps);
}
