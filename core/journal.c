/*
 * journal.c - a ring of the last events.
 *
 *      ring   [ . . . e1 e2 e3 … en . . ]      first: e1; count: n; cap grows up to max_events
 *
 * What an event weighs is written down when it comes and taken off when it leaves: event_size()
 * grows as wire forms are made, and a sum that is counted up with one number and down with another
 * drifts.
 */
#include "core/journal.h"

#include <assert.h>
#include <stdlib.h>

enum { JOURNAL_FIRST_CAP = 64 };

struct entry {
    struct event *event;
    size_t bytes; /* as counted at append */
};

struct journal {
    struct entry *ring;
    size_t first, count, cap;
    size_t bytes, max_events, max_bytes;
    int64_t floor;
};

struct journal *journal_new(size_t max_events, size_t max_bytes)
{
    struct journal *j = malloc(sizeof *j);
    if (j)
        *j = (struct journal){ .max_events = max_events, .max_bytes = max_bytes };
    return j;
}

void journal_free(struct journal *j)
{
    if (!j)
        return;
    journal_reset(j, 0);
    free(j->ring);
    free(j);
}

static struct entry *entry_at(const struct journal *j, size_t i)
{
    size_t at = j->first + i;
    return &j->ring[at < j->cap ? at : at - j->cap];
}

static void drop_oldest(struct journal *j)
{
    struct entry *oldest = entry_at(j, 0);
    j->floor = event_seq(oldest->event);
    j->bytes -= oldest->bytes;
    event_unref(oldest->event);
    j->count--;
    j->first = j->first + 1 < j->cap ? j->first + 1 : 0;
}

void journal_reset(struct journal *j, int64_t seq)
{
    while (j->count > 0)
        drop_oldest(j);
    j->floor = seq;
}

static bool grow(struct journal *j)
{
    size_t cap = j->cap ? j->cap * 2 : JOURNAL_FIRST_CAP;
    if (cap > j->max_events)
        cap = j->max_events;
    struct entry *ring = malloc(cap * sizeof *ring);
    if (!ring)
        return false;
    for (size_t i = 0; i < j->count; i++)
        ring[i] = *entry_at(j, i);
    free(j->ring);
    j->ring = ring;
    j->cap = cap;
    j->first = 0;
    return true;
}

enum rc journal_append(struct journal *j, struct event *event)
{
    int64_t seq = event_seq(event);
    size_t bytes = event_size(event) + sizeof(struct entry);
    assert(seq > journal_last(j));

    if (j->max_events == 0 || bytes > j->max_bytes) {
        journal_reset(j, seq); /* what is above the floor stays complete */
        return RC_OK;
    }
    while (j->count == j->max_events || j->bytes + bytes > j->max_bytes)
        drop_oldest(j);
    if (j->count == j->cap && !grow(j)) {
        journal_reset(j, seq);
        return RC_NOMEM;
    }
    j->count++;
    j->bytes += bytes;
    *entry_at(j, j->count - 1) = (struct entry){ event_ref(event), bytes };
    return RC_OK;
}

int64_t journal_floor(const struct journal *j)
{
    return j->floor;
}

int64_t journal_last(const struct journal *j)
{
    return j->count ? event_seq(entry_at(j, j->count - 1)->event) : j->floor;
}

size_t journal_count(const struct journal *j)
{
    return j->count;
}

struct event *journal_next(const struct journal *j, int64_t after)
{
    size_t low = 0, high = j->count; /* the answer is in [low, high] */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (event_seq(entry_at(j, middle)->event) > after)
            high = middle;
        else
            low = middle + 1;
    }
    return low < j->count ? entry_at(j, low)->event : NULL;
}
