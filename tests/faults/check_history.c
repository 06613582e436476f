/*
 * check_history.c - reads what was published and what the log made of it into one place.
 *
 * Each event is there once, by its name, whoever speaks of it: acks first (they hold the outcomes
 * that the others are judged by, and the events of HTTP), then the ledger, then the log.
 */
#include <stdlib.h>

#include "core/topic.h"
#include "tests/faults/check_priv.h"

/* --- tables -------------------------------------------------------------------------------- */

enum { FIRST_SLOTS = 64 };

static void table_place(struct table *t, struct slot entry)
{
    size_t at = entry.hash & (t->n_slots - 1);
    while (t->slots[at].index != NONE)
        at = (at + 1) & (t->n_slots - 1);
    t->slots[at] = entry;
}

static void table_grow(struct table *t)
{
    struct table old = *t;
    t->n_slots = old.n_slots ? old.n_slots * 2 : FIRST_SLOTS;
    t->slots = check_alloc(t->n_slots, sizeof *t->slots);
    for (size_t i = 0; i < t->n_slots; i++)
        t->slots[i].index = NONE;
    for (size_t i = 0; i < old.n_slots; i++)
        if (old.slots[i].index != NONE)
            table_place(t, old.slots[i]);
    free(old.slots);
}

/* The key must not be in it. */
static void table_add(struct table *t, uint32_t hash, int index)
{
    if (2 * (t->used + 1) > t->n_slots)
        table_grow(t);
    table_place(t, (struct slot){ hash, index });
    t->used++;
}

/* The index of the next entry with this hash; *at goes from slot to slot and begins as the hash. */
static int table_next(const struct table *t, uint32_t hash, size_t *at)
{
    if (t->n_slots == 0)
        return NONE;
    for (;; ++*at) {
        const struct slot *s = &t->slots[*at & (t->n_slots - 1)];
        if (s->index != NONE && s->hash != hash)
            continue;
        ++*at;
        return s->index;
    }
}

/* --- topics and names ---------------------------------------------------------------------- */

static uint32_t hash_bytes(struct slice s)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.at[i]) * 16777619u;
    return h;
}

/* NONE: it is no topic. */
static int topic_index(struct history *h, struct slice topic)
{
    uint32_t hash = hash_bytes(topic);
    size_t at = hash;
    int i;
    while ((i = table_next(&h->by_topic, hash, &at)) != NONE)
        if (slice_is(h->topics[i], topic))
            return i;
    if (topic_error(topic))
        return NONE;
    char *copy = slice_dup(topic);
    if (!copy)
        abort();
    h->topics = check_room(h->topics, (size_t)h->n_topics, &h->topics_cap, sizeof *h->topics);
    h->topics[h->n_topics] = (struct slice){ copy, topic.len };
    table_add(&h->by_topic, hash, h->n_topics);
    return h->n_topics++;
}

static uint32_t hash_name(struct name n)
{
    uint64_t h = ((uint64_t)(uint32_t)n.publisher << 32 | (uint32_t)n.transaction) +
                 (uint64_t)(uint32_t)n.event * 0x9E3779B97F4A7C15u;
    h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9u;
    h = (h ^ h >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)(h >> 32);
}

int history_event(const struct history *h, struct name name)
{
    uint32_t hash = hash_name(name);
    size_t at = hash;
    int i;
    while ((i = table_next(&h->by_name, hash, &at)) != NONE) {
        struct name n = h->events[i].name;
        if (n.publisher == name.publisher && n.transaction == name.transaction &&
            n.event == name.event)
            return i;
    }
    return NONE;
}

static int compare_acks(const void *a, const void *b)
{
    const struct ack *x = a, *y = b;
    if (x->publisher != y->publisher)
        return x->publisher < y->publisher ? -1 : 1;
    return (x->transaction > y->transaction) - (x->transaction < y->transaction);
}

int history_ack(const struct history *h, struct name name)
{
    struct ack key = { .publisher = name.publisher, .transaction = name.transaction };
    const struct ack *found =
        h->n_acks ? bsearch(&key, h->acks, (size_t)h->n_acks, sizeof key, compare_acks) : NULL;
    return found ? (int)(found - h->acks) : NONE;
}

static int add_event(struct history *h, struct event event)
{
    h->events = check_room(h->events, (size_t)h->n_events, &h->events_cap, sizeof *h->events);
    h->events[h->n_events] = event;
    table_add(&h->by_name, hash_name(event.name), h->n_events);
    return h->n_events++;
}

enum outcome history_outcome(const struct history *h, const struct event *e)
{
    return e->ack == NONE ? UNKNOWN : h->acks[e->ack].outcome;
}

/* --- acks ---------------------------------------------------------------------------------- */

static const char acks_form[] =
    "expected P.T, BEFORE, AFTER, committed|rolledback|unknown, KIND and, of http, NAME:TOPIC...";

/* NAME:TOPIC of the transaction that is the last of all. */
static bool read_http_event(struct history *h, struct lines *l)
{
    struct ack *ack = &h->acks[h->n_acks - 1];
    struct slice s;
    struct name name;
    if (!field_text(l, &s))
        return lines_malformed(l, acks_form);
    size_t len = name_parse(s, &name);
    if (len == 0 || len == s.len || s.at[len] != ':')
        return lines_malformed(l, acks_form);
    if (name.publisher != ack->publisher || name.transaction != ack->transaction)
        return lines_malformed(l, "the name is of another transaction");
    if (history_event(h, name) != NONE)
        return lines_malformed(l, "this name stood here already");
    int topic = topic_index(h, (struct slice){ s.at + len + 1, s.len - len - 1 });
    if (topic == NONE)
        return lines_malformed(l, "this is no topic");
    add_event(h, (struct event){ .name = name,
                                 .origin = IN_ACKS,
                                 .kind = KIND_HTTP,
                                 .topic = topic,
                                 .ack = h->n_acks - 1,
                                 .row = NONE });
    return true;
}

static bool read_ack(struct history *h, struct lines *l, int publisher)
{
    static const char *const outcomes[] = { "committed", "rolledback", "unknown" };
    struct slice id;
    struct ack ack = { .proved = false };
    int outcome, kind;
    if (!field_text(l, &id) || !transaction_parse(id, &ack.publisher, &ack.transaction) ||
        !field_time(l, &ack.before_us) || !field_time(l, &ack.after_us) ||
        !field_word(l, outcomes, LENGTH(outcomes), &outcome) ||
        !field_word(l, kind_names, KIND__COUNT, &kind))
        return lines_malformed(l, acks_form);
    ack.outcome = (enum outcome)outcome;
    ack.kind = (enum kind)kind;
    if (ack.publisher != publisher)
        return lines_malformed(l, "this transaction is another publisher's");
    if (h->n_acks && compare_acks(&h->acks[h->n_acks - 1], &ack) >= 0)
        return lines_malformed(l, "transactions must ascend");
    if (ack.before_us > ack.after_us)
        return lines_malformed(l, "AFTER is before BEFORE");
    if (ack.kind != KIND_HTTP && !field_none(l))
        return lines_malformed(l, "only http names its events here");
    if (ack.kind == KIND_HTTP && ack.outcome != ROLLED_BACK && field_none(l))
        return lines_malformed(l, "http must name its events");

    h->acks = check_room(h->acks, (size_t)h->n_acks, &h->acks_cap, sizeof *h->acks);
    h->acks[h->n_acks++] = ack;
    while (!field_none(l))
        if (!read_http_event(h, l))
            return false;
    return true;
}

static bool read_acks(struct history *h, int publisher)
{
    struct lines l;
    if (!lines_open(&l, h->check, "acks", publisher, false))
        return false;
    bool ok = true;
    int first = h->n_acks;
    while (ok && lines_next(&l))
        ok = read_ack(h, &l, publisher);
    if (ok && l.cut) {
        int last = h->n_acks > first ? h->acks[h->n_acks - 1].transaction : NONE;
        h->cuts = check_room(h->cuts, (size_t)h->n_cuts, &h->cuts_cap, sizeof *h->cuts);
        h->cuts[h->n_cuts++] = (struct cut){ publisher, last };
    }
    lines_close(&l);
    return ok;
}

/* --- ledger -------------------------------------------------------------------------------- */

static bool read_ledger_line(struct history *h, struct lines *l)
{
    struct name name;
    struct slice topic;
    int kind;
    if (!field_name(l, &name) || !field_text(l, &topic) ||
        !field_word(l, kind_names, KIND__COUNT, &kind) || !field_none(l) || kind == KIND_HTTP)
        return lines_malformed(l, "expected NAME, TOPIC, publish|notify|watch");
    if (history_event(h, name) != NONE)
        return lines_malformed(l, "this name stood here or in acks already");
    struct event e = { .name = name, .origin = IN_LEDGER, .kind = (enum kind)kind, .row = NONE };
    e.topic = topic_index(h, topic);
    if (e.topic == NONE)
        return lines_malformed(l, "this is no topic");
    e.ack = history_ack(h, name);
    if (e.ack != NONE)
        h->acks[e.ack].proved = true;
    add_event(h, e);
    return true;
}

/* --- truth --------------------------------------------------------------------------------- */

static int epoch_index(const struct history *h, const char *epoch)
{
    for (int i = h->n_epochs - 1; i >= 0; i--)
        if (strcmp(h->epochs[i], epoch) == 0)
            return i;
    return NONE;
}

static int add_epoch(struct history *h, const char *epoch)
{
    h->epochs = check_room(h->epochs, (size_t)h->n_epochs, &h->epochs_cap, sizeof *h->epochs);
    memcpy(h->epochs[h->n_epochs], epoch, sizeof *h->epochs);
    return h->n_epochs++;
}

static bool read_truth_line(struct history *h, struct lines *l)
{
    struct slice epoch, seq, topic;
    struct cursor cursor;
    struct name name;
    struct row row;
    struct buf text = BUF_EMPTY;
    bool whole = field_text(l, &epoch) && field_text(l, &seq);
    if (whole) {
        buf_printf(&text, "%.*s-%.*s", (int)epoch.len, epoch.at, (int)seq.len, seq.at);
        whole = cursor_parse(buf_slice(&text), &cursor) == RC_OK;
    }
    buf_fini(&text);
    if (!whole || !field_name(l, &name) || !field_text(l, &topic) || !field_none(l))
        return lines_malformed(l, "expected EPOCH, SEQ, NAME, TOPIC");
    row.seq = cursor.seq;
    row.epoch = epoch_index(h, cursor.epoch);
    if (row.epoch == NONE)
        row.epoch = add_epoch(h, cursor.epoch);
    row.topic = topic_index(h, topic);
    if (row.topic == NONE)
        return lines_malformed(l, "this is no topic");
    row.event = history_event(h, name);
    if (row.event == NONE)
        row.event = add_event(h, (struct event){ .name = name,
                                                 .origin = IN_TRUTH,
                                                 .topic = row.topic,
                                                 .ack = history_ack(h, name),
                                                 .row = NONE });
    h->rows = check_room(h->rows, (size_t)h->n_rows, &h->rows_cap, sizeof *h->rows);
    h->rows[h->n_rows++] = row;
    return true;
}

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->epoch != y->epoch)
        return x->epoch < y->epoch ? -1 : 1;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

static void put_rows_in_order(struct history *h)
{
    if (h->n_rows)
        qsort(h->rows, (size_t)h->n_rows, sizeof *h->rows, compare_rows);
    for (int i = h->n_rows - 1; i >= 0; i--) {
        struct event *e = &h->events[h->rows[i].event];
        e->row = i;
        if (e->origin == IN_ACKS)
            h->acks[e->ack].proved = true;
    }
}

int history_after(const struct history *h, const struct cursor *cursor)
{
    struct row at = { .epoch = epoch_index(h, cursor->epoch), .seq = cursor->seq };
    if (at.epoch == NONE)
        return 0;
    int low = 0, high = h->n_rows;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (compare_rows(&h->rows[middle], &at) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* --- all of it ----------------------------------------------------------------------------- */

static bool read_window(struct history *h, struct lines *l)
{
    struct window w;
    struct slice why;
    if (!field_time(l, &w.from_us) || !field_time(l, &w.to_us) || !field_text(l, &why) ||
        !field_none(l) || w.from_us > w.to_us)
        return lines_malformed(l, "expected FROM, TO, WHY");
    h->unheard = check_room(h->unheard, (size_t)h->n_unheard, &h->unheard_cap, sizeof w);
    h->unheard[h->n_unheard++] = w;
    return true;
}

static bool read_file(struct history *h, const char *name, bool optional,
                      bool read_line(struct history *, struct lines *))
{
    struct lines l;
    if (!lines_open(&l, h->check, name, -1, optional))
        return false;
    bool ok = true;
    while (ok && lines_next(&l))
        ok = read_line(h, &l);
    ok = ok && lines_whole(&l);
    lines_close(&l);
    return ok;
}

bool history_read(struct history *h, struct check *check, const int *publishers, int n)
{
    *h = (struct history){ .check = check };
    bool ok = true;
    for (int i = 0; ok && i < n; i++)
        ok = read_acks(h, publishers[i]);
    ok = ok && read_file(h, "ledger", false, read_ledger_line) &&
         read_file(h, "truth", false, read_truth_line) &&
         read_file(h, "unheard", true, read_window);
    if (ok)
        put_rows_in_order(h);
    return ok;
}

void history_fini(struct history *h)
{
    for (int i = 0; i < h->n_topics; i++)
        free((char *)(uintptr_t)h->topics[i].at);
    free(h->rows);
    free(h->events);
    free(h->topics);
    free(h->epochs);
    free(h->acks);
    free(h->cuts);
    free(h->unheard);
    free(h->by_name.slots);
    free(h->by_topic.slots);
}
