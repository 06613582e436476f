/*
 * check_seen.c - what one subscriber saw, against the log.
 *
 *      rows   0 1 2 3 4 5 6 7 8 9
 *                 ^ begin       ^ next: the first that neither a sighting nor a gap has passed
 *
 * A sighting must stand at next or behind it; what it leaves out is looked for at the end, because
 * it may come late, and then it is reordered and not lost.
 */
#include <stdlib.h>

#include "core/topic.h"
#include "tests/faults/check_priv.h"

struct watcher {
    const struct history *h;
    struct check *check;
    int id;
    struct slice who; /* "7 poll nginx" */
    struct buf who_text;
    bool *wants;   /* by topic */
    uint8_t *rows; /* enum passed */
    bool started, done;
    int begin, next;
};

enum passed { NOT_PASSED, SKIPPED, SEEN };

/* --- what may be wrong with a sighting ----------------------------------------------------- */

#define WHO_ARGS(w) (int)(w)->who.len, (w)->who.at

/* The row of the event that has this cursor; NONE: none has. */
static int row_at(const struct watcher *w, int event, const struct cursor *cursor)
{
    const struct history *h = w->h;
    int row = h->events[event].row;
    if (row != NONE && h->rows[row].seq == cursor->seq &&
        strcmp(h->epochs[h->rows[row].epoch], cursor->epoch) == 0)
        return row;
    /* it may have been numbered twice, or share its number: the log has been blamed for it */
    for (row = history_after(h, cursor) - 1; row >= 0; row--) {
        if (h->rows[row].seq != cursor->seq ||
            strcmp(h->epochs[h->rows[row].epoch], cursor->epoch) != 0)
            break;
        if (h->rows[row].event == event)
            return row;
    }
    return NONE;
}

/* What it saw is no event of the log, or none of its own; *row is marked as seen nevertheless. */
static bool is_phantom(struct watcher *w, const struct cursor *cursor, struct name name,
                       struct slice topic, int *row)
{
    const struct history *h = w->h;
    int event = history_event(h, name);
    const struct event *e = event == NONE ? NULL : &h->events[event];
    char at[CURSOR_TEXT_MAX + 1];
    cursor_text(cursor->epoch, cursor->seq, at);
    *row = NONE;
    if (!e || e->row == NONE) {
        int ack = history_ack(h, name);
        const char *why = e ? "the log does not have it" : "nobody published it";
        if (ack != NONE && h->acks[ack].outcome == ROLLED_BACK)
            why = "it was rolled back";
        check_found(w->check, PHANTOM, "%s %.*s: seen as %s by %.*s, but %s", label_of(name).text,
                    (int)topic.len, topic.at, at, WHO_ARGS(w), why);
        return true;
    }
    *row = row_at(w, event, cursor);
    if (*row == NONE) {
        *row = e->row;
        check_found(w->check, PHANTOM, "%s %.*s: seen as %s by %.*s, but it is %s-%lld",
                    EVENT_ARGS(h, e), at, WHO_ARGS(w), ROW_ARGS(h, e->row));
        return true;
    }
    int right = h->rows[*row].topic;
    if (!slice_is(topic, h->topics[right])) {
        check_found(w->check, PHANTOM, "%s %.*s: seen with another topic, %.*s, by %.*s",
                    label_of(name).text, TOPIC_ARGS(h, right), (int)topic.len, topic.at,
                    WHO_ARGS(w));
        return true;
    }
    if (!w->wants[right]) {
        check_found(w->check, PHANTOM, "%s %.*s: seen by %.*s, whose filters do not match it",
                    EVENT_ARGS(h, e), WHO_ARGS(w));
        return true;
    }
    return false;
}

/* Seen before, or too late? */
static void judge_order(struct watcher *w, int row)
{
    const struct event *e = &w->h->events[w->h->rows[row].event];
    if (w->rows[row] == SEEN)
        check_found(w->check, DUPLICATED, "%s %.*s: seen again by %.*s", EVENT_ARGS(w->h, e),
                    WHO_ARGS(w));
    else if (row < w->begin)
        check_found(w->check, DUPLICATED, "%s %.*s: seen by %.*s, who had started after it",
                    EVENT_ARGS(w->h, e), WHO_ARGS(w));
    else if (w->rows[row] == SKIPPED)
        check_found(w->check, REORDERED, "%s %.*s: seen by %.*s after the gap that skipped it",
                    EVENT_ARGS(w->h, e), WHO_ARGS(w));
    else if (row < w->next)
        check_found(w->check, REORDERED, "%s %.*s: seen by %.*s, who was at %s-%lld already",
                    EVENT_ARGS(w->h, e), WHO_ARGS(w), ROW_ARGS(w->h, w->next - 1));
}

static void judge_time(struct watcher *w, const struct event *e, int64_t at_us)
{
    if (e->ack == NONE)
        return;
    int64_t delay = at_us - w->h->acks[e->ack].before_us;
    if (delay < 0)
        check_found(w->check, PHANTOM, "%s %.*s: seen by %.*s %lld us before its COMMIT was sent",
                    EVENT_ARGS(w->h, e), WHO_ARGS(w), (long long)-delay);
    else if (delay > w->check->figures->worst_delay_us)
        w->check->figures->worst_delay_us = delay;
}

/* --- its lines ----------------------------------------------------------------------------- */

static bool read_event(struct watcher *w, struct lines *l, int64_t at_us)
{
    struct cursor cursor;
    struct name name;
    struct slice topic;
    if (!field_cursor(l, &cursor) || !field_name(l, &name) || !field_text(l, &topic) ||
        !field_none(l))
        return lines_malformed(l, "expected event, AT, CURSOR, NAME, TOPIC");
    w->check->figures->delivered++;
    int row;
    if (!is_phantom(w, &cursor, name, topic, &row)) {
        judge_order(w, row);
        judge_time(w, &w->h->events[w->h->rows[row].event], at_us);
        if (row >= w->next)
            w->next = row + 1;
    }
    if (row != NONE)
        w->rows[row] = SEEN;
    return true;
}

/* Whoever is told that the gap begins at FROM has been given everything before it. */
static bool read_gap(struct watcher *w, struct lines *l)
{
    struct slice from, reason;
    struct cursor place, next;
    if (!field_text(l, &from) || !field_cursor(l, &next) || !field_text(l, &reason) ||
        !field_none(l) || (!slice_is(from, SLICE("-")) && cursor_parse(from, &place) != RC_OK))
        return lines_malformed(l, "expected gap, AT, FROM|-, NEXT, REASON");
    w->check->figures->gaps++;
    int first = slice_is(from, SLICE("-")) ? w->next : history_after(w->h, &place);
    for (int end = history_after(w->h, &next); w->next < end; w->next++)
        if (w->next >= first && w->rows[w->next] == NOT_PASSED)
            w->rows[w->next] = SKIPPED;
    return true;
}

static bool read_line(struct watcher *w, struct lines *l)
{
    enum { EVENT, GAP, START, DONE, NOTE };
    static const char *const words[] = { "event", "gap", "start", "done", "note" };
    int64_t at_us;
    int word;
    if (!field_word(l, words, LENGTH(words), &word) || !field_time(l, &at_us))
        return lines_malformed(l, "expected event, gap, start, done or note, and AT");
    if (word == NOTE)
        return true;
    if (w->started == (word == START))
        return lines_malformed(l, w->started ? "it has started already" : "it has not started");
    switch (word) {
    case EVENT:
        return read_event(w, l, at_us);
    case GAP:
        return read_gap(w, l);
    case START: {
        struct cursor cursor;
        if (!field_cursor(l, &cursor) || !field_none(l))
            return lines_malformed(l, "expected start, AT, CURSOR");
        w->begin = w->next = history_after(w->h, &cursor);
        w->started = true;
        return true;
    }
    default:
        w->done = true;
        return field_none(l) || lines_malformed(l, "expected done, AT");
    }
}

static bool read_head(struct watcher *w, struct lines *l)
{
    static const char *const word[] = { "subscriber" };
    struct slice transport, front, filter;
    int64_t id;
    int ignored;
    if (!field_word(l, word, 1, &ignored) || !field_time(l, &id) || !field_text(l, &transport) ||
        !field_text(l, &front) || field_none(l))
        return lines_malformed(l, "expected subscriber, S, TRANSPORT, FRONT, FILTER...");
    if (id != w->id)
        return lines_malformed(l, "this file is another subscriber's");
    while (!field_none(l)) {
        if (!field_text(l, &filter) || filter_error(filter))
            return lines_malformed(l, "this is no filter");
        for (int t = 0; t < w->h->n_topics; t++)
            w->wants[t] = w->wants[t] || topic_matches(filter, w->h->topics[t]);
    }
    buf_printf(&w->who_text, "subscriber %d (%.*s, %.*s)", w->id, (int)transport.len, transport.at,
               (int)front.len, front.at);
    if (buf_rc(&w->who_text) != RC_OK)
        abort();
    w->who = buf_slice(&w->who_text);
    return true;
}

static bool read_seen(struct watcher *w)
{
    struct lines l;
    if (!lines_open(&l, w->check, "seen", w->id, false))
        return false;
    bool ok = lines_next(&l) ? read_head(w, &l) : l.cut || lines_malformed(&l, "it is empty");
    while (ok && lines_next(&l))
        ok = read_line(w, &l);
    ok = ok && lines_whole(&l);
    lines_close(&l);
    return ok;
}

/* --- in the end ---------------------------------------------------------------------------- */

static void judge_rest(struct watcher *w)
{
    if (!w->done)
        check_found(w->check, UNFINISHED, "%.*s: did not see the last event of all%s", WHO_ARGS(w),
                    w->started ? "" : ", it did not even start");
    if (!w->started)
        return;
    int end = w->done ? w->h->n_rows : w->next;
    for (int i = w->begin; i < end; i++) {
        const struct row *row = &w->h->rows[i];
        const struct event *e = &w->h->events[row->event];
        if (w->rows[i] == SEEN || !w->wants[row->topic] || !e->owed || e->row != i)
            continue;
        if (w->rows[i] == SKIPPED)
            w->check->figures->skipped++;
        else
            check_found(w->check, LOST, "%s %.*s: %s-%lld, not seen by %.*s", EVENT_ARGS(w->h, e),
                        ROW_ARGS(w->h, i), WHO_ARGS(w));
    }
}

bool seen_judge(const struct history *h, int subscriber)
{
    struct watcher w = { .h = h, .check = h->check, .id = subscriber };
    w.wants = check_alloc((size_t)h->n_topics + 1, sizeof *w.wants);
    w.rows = check_alloc((size_t)h->n_rows + 1, sizeof *w.rows);
    bool ok = read_seen(&w);
    if (ok)
        judge_rest(&w);
    h->check->figures->subscribers++;
    free(w.wants);
    free(w.rows);
    buf_fini(&w.who_text);
    return ok;
}
