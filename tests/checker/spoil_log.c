/*
 * spoil_log.c - what may be wrong with ledger, acks and truth (spoil.h).
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/checker/spoil.h"

void spoilt_finding(struct spoilt *s, const char *kind, const char *name)
{
    snprintf(s->finding, sizeof s->finding, "%s: %s", kind, name);
}

int spoil_choose(struct run *r, const struct file *f, fits_fn *fits)
{
    int first = (int)run_choose(r, 0, f->n - 1);
    for (int i = 0; i < f->n; i++)
        if (fits(r, f, (first + i) % f->n))
            return (first + i) % f->n;
    return -1;
}

/* --- looking things up ----------------------------------------------------------------------- */

static size_t sightings(struct run *r, const char *name, bool drop)
{
    size_t n = 0;
    for (int s = 1; s <= RUN_SUBSCRIBERS; s++) {
        struct file *f = run_file(r, "seen", s);
        for (int i = 0; (i = file_find(f, i, 3, name)) >= 0; i++) {
            n++;
            if (drop)
                file_drop(f, i--);
        }
    }
    return n;
}

size_t spoil_unsee(struct run *r, const char *name)
{
    return sightings(r, name, true);
}

size_t spoil_sightings(struct run *r, const char *name)
{
    return sightings(r, name, false);
}

/* The line of acks.P about the transaction of a name. */
static int ack_of(struct run *r, const char *name, struct file **f)
{
    struct name n;
    char transaction[32];
    name_find(slice_of(name), &n);
    snprintf(transaction, sizeof transaction, "%d.%d", n.publisher, n.transaction);
    *f = run_file(r, "acks", n.publisher);
    return file_find(*f, 0, 0, transaction);
}

static bool has_outcome(struct run *r, const char *name, const char *outcome, const char *kind)
{
    struct file *acks;
    int i = ack_of(r, name, &acks);
    return file_says(acks, i, 3, outcome) && (!kind || file_says(acks, i, 4, kind));
}

/* Is row i of truth of this kind, and does its publisher know that it is committed? */
static bool is_committed_row(struct run *r, const struct file *truth, int i, const char *kind)
{
    char *name = file_field(truth, i, 2);
    bool is = has_outcome(r, name, "committed", kind);
    free(name);
    return is;
}

static bool is_published_row(struct run *r, const struct file *truth, int i)
{
    return is_committed_row(r, truth, i, "publish") || is_committed_row(r, truth, i, "watch");
}

static bool is_http_row(struct run *r, const struct file *truth, int i)
{
    return is_committed_row(r, truth, i, "http");
}

static bool is_notify_row(struct run *r, const struct file *truth, int i)
{
    char *name = file_field(truth, i, 2);
    struct file *acks, *unheard = folder_file(&r->folder, "unheard");
    int ack = ack_of(r, name, &acks);
    bool is = is_committed_row(r, truth, i, "notify");
    for (int w = 0; is && w < unheard->n; w++)
        is = atoll(unheard->lines[w]) > atoll(strchr(strchr(acks->lines[ack], '\t') + 1, '\t')) ||
             atoll(strchr(unheard->lines[w], '\t')) < atoll(strchr(acks->lines[ack], '\t'));
    free(name);
    return is;
}

/* --- losses -------------------------------------------------------------------------------- */

static bool drop_row(struct run *r, struct spoilt *want, fits_fn *fits)
{
    struct file *truth = folder_file(&r->folder, "truth");
    int i = spoil_choose(r, truth, fits);
    if (i < 0)
        return false;
    char *name = file_field(truth, i, 2);
    file_drop(truth, i);
    want->figures.lost = 1;
    spoilt_finding(want, "lost", name);
    want->figures.skipped = SIZE_MAX; /* somebody may have skipped it */
    free(name);
    return true;
}

static bool a_row_is_gone(struct run *r, struct spoilt *want)
{
    if (!drop_row(r, want, is_published_row))
        return false;
    want->figures.phantom = spoil_sightings(r, strchr(want->finding, '@'));
    return true;
}

static bool lost_to_everybody(struct run *r, struct spoilt *want, fits_fn *fits)
{
    if (!drop_row(r, want, fits))
        return false;
    want->figures.delivered -= spoil_unsee(r, strchr(want->finding, '@'));
    return true;
}

static bool an_event_is_lost_to_everybody(struct run *r, struct spoilt *want)
{
    return lost_to_everybody(r, want, is_published_row);
}

static bool a_post_is_lost_to_everybody(struct run *r, struct spoilt *want)
{
    return lost_to_everybody(r, want, is_http_row);
}

static bool a_notify_is_lost_while_somebody_listened(struct run *r, struct spoilt *want)
{
    return lost_to_everybody(r, want, is_notify_row);
}

static bool a_notify_is_lost_while_nobody_listened(struct run *r, struct spoilt *want)
{
    if (!a_notify_is_lost_while_somebody_listened(r, want))
        return false;
    struct file *acks;
    int i = ack_of(r, strchr(want->finding, '@'), &acks);
    char *before = file_field(acks, i, 1);
    folder_add(&r->folder, "unheard", "%s %s nobody-listens", before, before);
    free(before);
    want->figures.lost = 0;
    want->figures.unheard++;
    want->figures.committed--;
    want->finding[0] = '\0';
    return true;
}

static bool a_committed_transaction_is_gone(struct run *r, struct spoilt *want)
{
    struct file *truth = folder_file(&r->folder, "truth");
    struct file *ledger = folder_file(&r->folder, "ledger");
    int i = spoil_choose(r, truth, is_published_row);
    if (i < 0)
        return false;
    char *first = file_field(truth, i, 2), transaction[48];
    snprintf(transaction, sizeof transaction, "%.*s.", (int)(strrchr(first, '.') - first), first);
    free(first);
    for (i = 0; i < ledger->n; i++) {
        if (strncmp(ledger->lines[i], transaction, strlen(transaction)) != 0)
            continue;
        char *name = file_field(ledger, i, 0);
        file_drop(ledger, i--);
        file_drop(truth, file_find(truth, 0, 2, name));
        want->figures.delivered -= spoil_unsee(r, name);
        want->figures.committed--;
        free(name);
    }
    want->figures.lost = 1;
    want->figures.skipped = SIZE_MAX;
    transaction[strlen(transaction) - 1] = '\0';
    snprintf(want->finding, sizeof want->finding, "lost: transaction %s ", transaction + 1);
    return true;
}

/* --- phantoms ------------------------------------------------------------------------------ */

static bool is_rolled_back(struct run *r, const struct file *acks, int i)
{
    return file_says(acks, i, 3, "rolledback");
}

/* A number is free before row i of its epoch. */
static bool has_room_before(struct run *r, const struct file *truth, int i)
{
    char *epoch = file_field(truth, i, 0), *seq = file_field(truth, i, 1), before[24];
    snprintf(before, sizeof before, "%lld", atoll(seq) - 1);
    bool has = i > 0 && file_says(truth, i - 1, 0, epoch) && !file_says(truth, i - 1, 1, before);
    free(epoch);
    free(seq);
    return has;
}

static bool a_rolled_back_event_is_numbered(struct run *r, struct spoilt *want)
{
    int publisher = (int)run_choose(r, 1, RUN_PUBLISHERS);
    struct file *acks = run_file(r, "acks", publisher);
    struct file *truth = folder_file(&r->folder, "truth");
    int ack = spoil_choose(r, acks, is_rolled_back), i = spoil_choose(r, truth, has_room_before);
    if (ack < 0 || i < 0)
        return false;
    char *transaction = file_field(acks, ack, 0), *epoch = file_field(truth, i, 0);
    char *seq = file_field(truth, i, 1), name[NAME_TEXT_MAX];
    snprintf(name, sizeof name, "@%s.1@", transaction);
    file_insert(truth, i, "%s %lld %s chat/a", epoch, atoll(seq) - 1, name);
    want->figures.phantom = 1;
    spoilt_finding(want, "phantom", name);
    free(transaction);
    free(epoch);
    free(seq);
    return true;
}

static bool a_committed_event_was_rolled_back(struct run *r, struct spoilt *want)
{
    struct file *truth = folder_file(&r->folder, "truth"), *acks;
    struct file *ledger = folder_file(&r->folder, "ledger");
    int i = spoil_choose(r, truth, is_published_row);
    if (i < 0)
        return false;
    char *name = file_field(truth, i, 2);
    i = ack_of(r, name, &acks);
    file_set(acks, i, 3, "rolledback");
    spoilt_finding(want, "phantom", name);
    size_t len = (size_t)(strrchr(name, '.') - name) + 1;
    for (i = 0; i < ledger->n; i++) {
        if (strncmp(ledger->lines[i], name, len) == 0) {
            want->figures.phantom++;
            want->figures.committed--;
        }
    }
    want->figures.skipped = SIZE_MAX;
    free(name);
    return true;
}

static bool a_row_has_another_topic(struct run *r, struct spoilt *want)
{
    struct file *truth = folder_file(&r->folder, "truth");
    int i = spoil_choose(r, truth, is_published_row);
    if (i < 0)
        return false;
    char *name = file_field(truth, i, 2);
    file_set(truth, i, 3, file_says(truth, i, 3, "orders/2") ? "chat/a" : "orders/2");
    want->figures.phantom = 1;
    want->about = true;
    spoilt_finding(want, "phantom", name);
    free(name);
    return true;
}

/* --- order and numbers --------------------------------------------------------------------- */

/* Row i and the next are of one transaction and have one topic. */
static bool has_sibling(struct run *r, const struct file *truth, int i)
{
    if (i + 1 == truth->n)
        return false;
    char *name = file_field(truth, i, 2), *other = file_field(truth, i + 1, 2);
    char *topic = file_field(truth, i, 3);
    size_t len = (size_t)(strrchr(name, '.') - name) + 1;
    bool has = strncmp(name, other, len) == 0 && file_says(truth, i + 1, 3, topic);
    free(name);
    free(other);
    free(topic);
    return has;
}

static void swap_names(struct file *f, int field, const char *a, const char *b)
{
    for (int i = 0; i < f->n; i++) {
        if (file_says(f, i, field, a))
            file_set(f, i, field, b);
        else if (file_says(f, i, field, b))
            file_set(f, i, field, a);
    }
}

/* The log and everybody have two events of a transaction the wrong way round. */
static bool events_of_a_transaction_are_swapped(struct run *r, struct spoilt *want)
{
    struct file *truth = folder_file(&r->folder, "truth");
    int i = spoil_choose(r, truth, has_sibling);
    if (i < 0)
        return false;
    char *name = file_field(truth, i, 2), *other = file_field(truth, i + 1, 2);
    swap_names(truth, 2, name, other);
    for (int s = 1; s <= RUN_SUBSCRIBERS; s++)
        swap_names(run_file(r, "seen", s), 3, name, other);
    want->figures.reordered = 1;
    spoilt_finding(want, "reordered", name);
    free(name);
    free(other);
    return true;
}

/* The log alone has two transactions of a publisher the wrong way round. */
static bool rows_of_a_publisher_are_swapped(struct run *r, struct spoilt *want)
{
    struct file *truth = folder_file(&r->folder, "truth");
    int i = spoil_choose(r, truth, is_published_row), j;
    if (i < 0)
        return false;
    char *name = file_field(truth, i, 2), *other = NULL;
    struct name a, b;
    name_find(slice_of(name), &a);
    bool watch = has_outcome(r, name, "committed", "watch");
    for (j = i + 1; j < truth->n; j++) {
        free(other);
        other = file_field(truth, j, 2);
        name_find(slice_of(other), &b);
        if (a.publisher == b.publisher &&
            is_committed_row(r, truth, j, watch ? "watch" : "publish"))
            break;
    }
    bool found = j < truth->n;
    if (found) {
        char *topic = file_field(truth, i, 3), *other_topic = file_field(truth, j, 3);
        file_set(truth, i, 2, other);
        file_set(truth, i, 3, other_topic);
        file_set(truth, j, 2, name);
        file_set(truth, j, 3, topic);
        want->figures.reordered = 1;
        want->about = true;
        spoilt_finding(want, "reordered", name);
        free(topic);
        free(other_topic);
    }
    free(name);
    free(other);
    return found;
}

static bool an_event_is_numbered_twice(struct run *r, struct spoilt *want)
{
    struct file *truth = folder_file(&r->folder, "truth");
    int i = (int)run_choose(r, 0, truth->n - 1);
    char *name = file_field(truth, i, 2), *topic = file_field(truth, i, 3);
    file_insert(truth, truth->n, "EB 999999 %s %s", name, topic);
    want->figures.duplicated = 1;
    spoilt_finding(want, "duplicated", name);
    free(name);
    free(topic);
    return true;
}

static bool follows_in_its_epoch(struct run *r, const struct file *truth, int i)
{
    return i > 0 && truth->lines[i][1] == truth->lines[i - 1][1];
}

static bool a_number_is_given_twice(struct run *r, struct spoilt *want)
{
    struct file *truth = folder_file(&r->folder, "truth");
    int i = spoil_choose(r, truth, follows_in_its_epoch);
    char *seq = file_field(truth, i - 1, 1);
    file_set(truth, i, 1, seq);
    want->figures.duplicated = 1;
    want->about = true;
    spoilt_finding(want, "duplicated", "@");
    free(seq);
    return true;
}

const struct spoiler log_spoilers[] = {
    { "a row is gone", a_row_is_gone },
    { "an event is lost to everybody", an_event_is_lost_to_everybody },
    { "a POST is lost to everybody", a_post_is_lost_to_everybody },
    { "a NOTIFY is lost while somebody listened", a_notify_is_lost_while_somebody_listened },
    { "a NOTIFY is lost while nobody listened", a_notify_is_lost_while_nobody_listened },
    { "a committed transaction is gone", a_committed_transaction_is_gone },
    { "a rolled back event is numbered", a_rolled_back_event_is_numbered },
    { "a committed event was rolled back", a_committed_event_was_rolled_back },
    { "a row has another topic", a_row_has_another_topic },
    { "events of a transaction are swapped", events_of_a_transaction_are_swapped },
    { "rows of a publisher are swapped", rows_of_a_publisher_are_swapped },
    { "an event is numbered twice", an_event_is_numbered_twice },
    { "a number is given twice", a_number_is_given_twice },
};
const int n_log_spoilers = LENGTH(log_spoilers);
