/*
 * spoil_seen.c - what may be wrong with what a subscriber saw (spoil.h).
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/checker/spoil.h"

static struct file *some_seen(struct run *r)
{
    return run_file(r, "seen", (int)run_choose(r, 1, RUN_SUBSCRIBERS));
}

static bool is(const struct file *f, int i, const char *word)
{
    return file_says(f, i, 0, word);
}

static bool is_event(struct run *r, const struct file *f, int i)
{
    return is(f, i, "event");
}

/* The line after i, notes left out. */
static int after(const struct file *f, int i)
{
    do {
        i++;
    } while (i < f->n && is(f, i, "note"));
    return i;
}

/* A gap after it that does not say from where would cover it, if it were not there. */
static bool is_event_without_gap(struct run *r, const struct file *f, int i)
{
    int next = after(f, i);
    return is(f, i, "event") && (!is(f, next, "gap") || !file_says(f, next, 2, "-"));
}

/* Name the event of line i. */
static void find(struct spoilt *want, const char *kind, const struct file *f, int i)
{
    char *name = file_field(f, i, 3);
    spoilt_finding(want, kind, name);
    free(name);
}

/* --- sightings ----------------------------------------------------------------------------- */

static bool a_sighting_is_gone(struct run *r, struct spoilt *want)
{
    struct file *f = some_seen(r);
    int i = spoil_choose(r, f, is_event_without_gap);
    if (i < 0)
        return false;
    find(want, "lost", f, i);
    file_drop(f, i);
    want->figures.lost = 1;
    want->figures.delivered--;
    return true;
}

static bool two_sightings_are_swapped(struct run *r, struct spoilt *want)
{
    struct file *f = some_seen(r);
    int i = spoil_choose(r, f, is_event_without_gap), j = i;
    if (i < 0)
        return false;
    for (int64_t steps = run_choose(r, 1, 20); steps > 0; steps--) {
        int next = after(f, j);
        if (!is(f, next, "event"))
            break;
        j = next;
        want->figures.reordered++;
    }
    if (j == i)
        return false;
    find(want, "reordered", f, i);
    char *line = f->lines[i];
    f->lines[i] = f->lines[j];
    f->lines[j] = line;
    return true;
}

static bool a_sighting_is_doubled(struct run *r, struct spoilt *want)
{
    struct file *f = some_seen(r);
    int i = spoil_choose(r, f, is_event);
    file_insert(f, (int)run_choose(r, i + 1, f->n), "%s", f->lines[i]);
    want->figures.duplicated = 1;
    want->figures.delivered++;
    find(want, "duplicated", f, i);
    return true;
}

/* --- phantoms ------------------------------------------------------------------------------ */

static bool insert_phantom(struct run *r, struct spoilt *want, const char *name)
{
    struct file *f = some_seen(r);
    int i = spoil_choose(r, f, is_event);
    char *at = file_field(f, i, 1), *cursor = file_field(f, i, 2), *topic = file_field(f, i, 4);
    file_insert(f, (int)run_choose(r, 2, f->n), "event %s %s %s %s", at, cursor, name, topic);
    want->figures.phantom = 1;
    want->figures.delivered++;
    spoilt_finding(want, "phantom", name);
    free(at);
    free(cursor);
    free(topic);
    return true;
}

static bool something_is_seen_that_nobody_published(struct run *r, struct spoilt *want)
{
    return insert_phantom(r, want, "@1.99999.1@");
}

static bool is_rolled_back(struct run *r, const struct file *acks, int i)
{
    return file_says(acks, i, 3, "rolledback");
}

static bool something_is_seen_that_was_rolled_back(struct run *r, struct spoilt *want)
{
    struct file *acks = run_file(r, "acks", (int)run_choose(r, 1, RUN_PUBLISHERS));
    int i = spoil_choose(r, acks, is_rolled_back);
    if (i < 0)
        return false;
    char *transaction = file_field(acks, i, 0), name[NAME_TEXT_MAX];
    snprintf(name, sizeof name, "@%s.1@", transaction);
    free(transaction);
    return insert_phantom(r, want, name);
}

static bool something_is_seen_that_no_filter_matches(struct run *r, struct spoilt *want)
{
    int s = (int)run_choose(r, 2, RUN_SUBSCRIBERS - 1), i = 0;
    struct file *f = run_file(r, "seen", s);
    for (int first = (int)run_choose(r, 0, r->n_log - 1); i < r->n_log; i++) {
        const struct numbered *row = &r->log[(first + i) % r->n_log];
        if (run_matches(r, s, row->topic))
            continue;
        file_insert(f, (int)run_choose(r, 2, f->n), "event %lld %s %s %s",
                    (long long)row->at_us + 100, row->cursor, row->name, row->topic);
        want->figures.phantom = 1;
        want->figures.delivered++;
        spoilt_finding(want, "phantom", row->name);
        return true;
    }
    return false;
}

/* Put something else into a field of a sighting. */
static bool set_field(struct run *r, struct spoilt *want, int field, const char *value)
{
    struct file *f = some_seen(r);
    int i = spoil_choose(r, f, is_event);
    if (file_says(f, i, field, value))
        return false;
    file_set(f, i, field, value);
    want->figures.phantom = 1;
    find(want, "phantom", f, i);
    return true;
}

static bool a_sighting_has_another_topic(struct run *r, struct spoilt *want)
{
    return set_field(r, want, 4, run_choose(r, 0, 1) ? "orders/2" : "never/heard/of");
}

static bool a_sighting_has_another_cursor(struct run *r, struct spoilt *want)
{
    const char *cursors[] = { "EA-999999", "EC-1", r->log[run_choose(r, 0, r->n_log - 1)].cursor };
    return set_field(r, want, 2, cursors[run_choose(r, 0, 2)]);
}

static bool a_sighting_is_too_early(struct run *r, struct spoilt *want)
{
    return set_field(r, want, 1, "999");
}

/* --- start, gaps, end ---------------------------------------------------------------------- */

static bool it_starts_after_its_first_sighting(struct run *r, struct spoilt *want)
{
    struct file *f = some_seen(r);
    int i = after(f, 1);
    if (!is(f, i, "event"))
        return false;
    char *cursor = file_field(f, i, 2);
    file_set(f, 1, 2, cursor);
    find(want, "duplicated", f, i);
    want->figures.duplicated = 1;
    free(cursor);
    return true;
}

/* A gap that skips something and is not followed by another before the next sighting. */
static const struct told_gap *some_gap(struct run *r, struct file **f)
{
    int first = (int)run_choose(r, 0, r->n_gaps - 1);
    for (int i = 0; i < r->n_gaps; i++) {
        const struct told_gap *gap = &r->gaps[(first + i) % r->n_gaps];
        *f = run_file(r, "seen", gap->subscriber);
        if (gap->skipped > 0 && !is(*f, after(*f, gap->line), "gap"))
            return gap;
    }
    return NULL;
}

static bool a_gap_does_not_reach_far_enough(struct run *r, struct spoilt *want)
{
    struct file *f;
    const struct told_gap *gap = some_gap(r, &f);
    if (!gap)
        return false;
    file_set(f, gap->line, 3, run_choose(r, 0, 1) ? "EA-0" : "EC-999999");
    want->figures.lost = (size_t)gap->skipped;
    want->figures.skipped -= (size_t)gap->skipped;
    spoilt_finding(want, "lost", r->log[gap->first].name);
    return true;
}

static bool a_gap_is_not_told(struct run *r, struct spoilt *want)
{
    struct file *f;
    const struct told_gap *gap = some_gap(r, &f);
    if (!gap)
        return false;
    file_drop(f, gap->line);
    want->figures.lost = (size_t)gap->skipped;
    want->figures.skipped -= (size_t)gap->skipped;
    want->figures.gaps--;
    spoilt_finding(want, "lost", r->log[gap->first].name);
    return true;
}

static bool something_is_seen_after_the_gap_that_skipped_it(struct run *r, struct spoilt *want)
{
    struct file *f;
    const struct told_gap *gap = some_gap(r, &f);
    if (!gap)
        return false;
    const struct numbered *row = &r->log[gap->first];
    file_insert(f, (int)run_choose(r, gap->line + 1, f->n), "event %lld %s %s %s",
                (long long)row->at_us, row->cursor, row->name, row->topic);
    want->figures.reordered = 1;
    want->figures.skipped--;
    want->figures.delivered++;
    spoilt_finding(want, "reordered", row->name);
    return true;
}

static bool it_never_saw_the_end(struct run *r, struct spoilt *want)
{
    int s = (int)run_choose(r, 1, RUN_SUBSCRIBERS);
    struct file *f = run_file(r, "seen", s);
    file_drop(f, f->n - 1);
    for (int64_t n = run_choose(r, 0, 10); n > 0 && is(f, f->n - 1, "event"); n--) {
        file_drop(f, f->n - 1);
        want->figures.delivered--;
    }
    want->figures.unfinished = 1;
    snprintf(want->finding, sizeof want->finding, "unfinished: subscriber %d ", s);
    return true;
}

const struct spoiler seen_spoilers[] = {
    { "a sighting is gone", a_sighting_is_gone },
    { "two sightings are swapped", two_sightings_are_swapped },
    { "a sighting is doubled", a_sighting_is_doubled },
    { "something is seen that nobody published", something_is_seen_that_nobody_published },
    { "something is seen that was rolled back", something_is_seen_that_was_rolled_back },
    { "something is seen that no filter matches", something_is_seen_that_no_filter_matches },
    { "a sighting has another topic", a_sighting_has_another_topic },
    { "a sighting has another cursor", a_sighting_has_another_cursor },
    { "a sighting is too early", a_sighting_is_too_early },
    { "it starts after its first sighting", it_starts_after_its_first_sighting },
    { "a gap does not reach far enough", a_gap_does_not_reach_far_enough },
    { "a gap is not told", a_gap_is_not_told },
    { "something is seen after the gap that skipped it",
      something_is_seen_after_the_gap_that_skipped_it },
    { "it never saw the end", it_never_saw_the_end },
};
const int n_seen_spoilers = LENGTH(seen_spoilers);
