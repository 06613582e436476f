/*
 * check_log.c - the log against the ledger and the acks: has everything committed a number, once,
 * in the order of its publisher, and nothing else?
 */
#include <stdlib.h>

#include "tests/faults/check_priv.h"

/* --- each event ---------------------------------------------------------------------------- */

/*
 * May it have been committed while no process listened?  When its publisher does not know the
 * outcome, the server may have committed long after he gave up.
 */
static bool maybe_unheard(const struct history *h, const struct event *e)
{
    const struct ack *ack = e->ack == NONE ? NULL : &h->acks[e->ack];
    int64_t from = ack ? ack->before_us : 0;
    int64_t to = ack && ack->outcome != UNKNOWN ? ack->after_us : INT64_MAX;
    for (int i = 0; i < h->n_unheard; i++)
        if (h->unheard[i].from_us <= to && from <= h->unheard[i].to_us)
            return true;
    return false;
}

/* Its publisher's file ends in the middle of a line: it may be what that line was about. */
static bool maybe_cut(const struct history *h, const struct event *e)
{
    for (int i = 0; i < h->n_cuts; i++)
        if (h->cuts[i].publisher == e->name.publisher &&
            h->cuts[i].transaction < e->name.transaction)
            return true;
    return false;
}

/* Nobody says that he committed it, and the log has it. */
static void judge_stranger(struct history *h, struct event *e)
{
    if (e->origin == IN_TRUTH && e->ack == NONE && maybe_cut(h, e)) {
        e->owed = true;
        return;
    }
    check_found(h->check, PHANTOM, "%s %.*s: numbered %s-%lld, %s", EVENT_ARGS(h, e),
                ROW_ARGS(h, e->row),
                history_outcome(h, e) == ROLLED_BACK ? "although its transaction was rolled back"
                                                     : "but neither ledger nor acks have it");
}

static void judge_committed(struct history *h, struct event *e)
{
    if (e->row == NONE && e->kind == KIND_NOTIFY && maybe_unheard(h, e)) {
        h->check->figures->unheard++;
        return;
    }
    e->owed = true;
    if (e->row == NONE) {
        check_found(h->check, LOST, "%s %.*s: committed (%s), but the log has no number for it",
                    EVENT_ARGS(h, e), kind_names[e->kind]);
        return;
    }
    int topic = h->rows[e->row].topic;
    if (topic != e->topic)
        check_found(h->check, PHANTOM, "%s %.*s: numbered %s-%lld with another topic, %.*s",
                    EVENT_ARGS(h, e), ROW_ARGS(h, e->row), TOPIC_ARGS(h, topic));
}

static void judge_event(struct history *h, struct event *e)
{
    enum outcome outcome = history_outcome(h, e);
    if (e->origin == IN_LEDGER && outcome == ROLLED_BACK)
        check_found(h->check, PHANTOM, "%s %.*s: in the ledger, although it was rolled back",
                    EVENT_ARGS(h, e));
    else if (e->origin == IN_LEDGER || (e->origin == IN_ACKS && outcome == COMMITTED) ||
             (e->origin == IN_ACKS && outcome == UNKNOWN && h->acks[e->ack].proved))
        judge_committed(h, e);
    else if (e->row != NONE)
        judge_stranger(h, e);
    if (e->owed)
        h->check->figures->committed++;
}

static void judge_transactions(struct history *h)
{
    for (int i = 0; i < h->n_acks; i++) {
        const struct ack *ack = &h->acks[i];
        if (ack->outcome == COMMITTED && ack->kind != KIND_HTTP && !ack->proved)
            check_found(h->check, LOST,
                        "transaction %d.%d (%s): its publisher was told that it is committed, but "
                        "the ledger has nothing of it",
                        ack->publisher, ack->transaction, kind_names[ack->kind]);
    }
}

/* --- order --------------------------------------------------------------------------------- */

static void judge_numbers(struct history *h)
{
    for (int i = 0; i < h->n_rows; i++) {
        const struct row *row = &h->rows[i], *before = i > 0 ? row - 1 : NULL;
        const struct event *e = &h->events[row->event];
        if (e->row != i)
            check_found(h->check, DUPLICATED, "%s %.*s: numbered %s-%lld and again %s-%lld",
                        EVENT_ARGS(h, e), ROW_ARGS(h, e->row), ROW_ARGS(h, i));
        if (before && before->epoch == row->epoch && before->seq == row->seq)
            check_found(h->check, DUPLICATED, "%s %.*s: numbered %s-%lld, as %s is",
                        EVENT_ARGS(h, e), ROW_ARGS(h, i),
                        label_of(h->events[before->event].name).text);
    }
}

struct lane {
    const struct event *event;
    int row;
};

static int compare_lanes(const void *a, const void *b)
{
    const struct lane *x = a, *y = b;
    if (x->event->name.publisher != y->event->name.publisher)
        return x->event->name.publisher < y->event->name.publisher ? -1 : 1;
    if (x->event->kind != y->event->kind)
        return x->event->kind < y->event->kind ? -1 : 1;
    return x->row - y->row;
}

static bool is_later(const struct name a, const struct name b)
{
    return a.transaction != b.transaction ? a.transaction > b.transaction : a.event > b.event;
}

/*
 * A publisher begins a transaction when it knows the end of the one before, so numbers must ascend
 * as its transactions do.  But one whose outcome it never learnt may be committed by the server
 * at any later time: that one has only to come after those before it.
 */
static void judge_lane(struct history *h, const struct lane *lane, int n)
{
    const struct event *last = lane[0].event;
    for (int i = 1; i < n; i++) {
        const struct event *e = lane[i].event, *previous = lane[i - 1].event;
        if (is_later(e->name, last->name)) {
            last = e;
            continue;
        }
        const struct event *after = last;
        if (history_outcome(h, e) == UNKNOWN && e->name.transaction != last->name.transaction) {
            bool behind = e->name.transaction == previous->name.transaction &&
                          is_later(previous->name, e->name);
            after = behind ? previous : NULL;
        }
        if (after)
            check_found(h->check, REORDERED, "%s %.*s: numbered %s-%lld, after %s",
                        EVENT_ARGS(h, e), ROW_ARGS(h, e->row), label_of(after->name).text);
    }
}

static void judge_lanes(struct history *h)
{
    struct lane *lanes = check_alloc((size_t)h->n_events + 1, sizeof *lanes);
    int n = 0;
    for (int i = 0; i < h->n_events; i++)
        if (h->events[i].owed && h->events[i].origin != IN_TRUTH && h->events[i].row != NONE)
            lanes[n++] = (struct lane){ &h->events[i], h->events[i].row };
    qsort(lanes, (size_t)n, sizeof *lanes, compare_lanes);
    for (int first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n; end++)
            if (lanes[end].event->name.publisher != lanes[first].event->name.publisher ||
                lanes[end].event->kind != lanes[first].event->kind)
                break;
        judge_lane(h, &lanes[first], end - first);
    }
    free(lanes);
}

void log_judge(struct history *h)
{
    for (int i = 0; i < h->n_events; i++)
        judge_event(h, &h->events[i]);
    judge_transactions(h);
    judge_numbers(h);
    judge_lanes(h);
}
