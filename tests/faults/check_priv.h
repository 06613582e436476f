/*
 * check_priv.h - what the files of the checker share.
 *
 *      check.c          the folder, the findings, the figures
 *      check_lines.c    files as lines, lines as fields
 *      check_history.c  acks, ledger, truth and unheard become a history
 *      check_log.c      which must be right in itself
 *      check_seen.c     what one subscriber saw, against the history
 *
 * An event is what a publisher published; a row is a number of the log.  Usually each has the
 * other. Functions that read give false for a malformed file, told already.  Without memory the
 * program ends.
 */
#ifndef TESTS_FAULTS_CHECK_PRIV_H
#define TESTS_FAULTS_CHECK_PRIV_H

#include "core/cursor.h"
#include "tests/faults/check.h"
#include "tests/faults/records.h"

/* --- findings (check.c) -------------------------------------------------------------------- */

enum finding { LOST, REORDERED, PHANTOM, DUPLICATED, UNFINISHED, FINDING__COUNT };

struct check {
    const char *folder;
    struct buf *report;
    struct figures *figures;
};

/* Count it, and tell it if it is one of the first hundred of its kind. */
void check_found(struct check *, enum finding, const char *format, ...) PRINTF(3, 4);

/* Room for one more in an array of n that has room for *cap; gives where it is now. */
void *check_room(void *array, size_t n, size_t *cap, size_t size) MUST_USE;
void *check_alloc(size_t n, size_t size) MUST_USE; /* zeroes */

/* --- lines (check_lines.c) ----------------------------------------------------------------- */

struct lines {
    struct check *check;
    char *file; /* "acks.3" */
    struct buf text;
    struct slice rest; /* of the text, after the present line */
    struct slice line; /* of the present line, after the fields taken from it */
    int number;
    bool cut; /* the last line has no end: it is not given */
};

/* FOLDER/NAME.N, or FOLDER/NAME when n < 0; optional: a missing file is an empty one. */
bool lines_open(struct lines *, struct check *, const char *name, int n, bool optional) MUST_USE;
void lines_close(struct lines *);

/* Go to the next line; false: there is none. */
bool lines_next(struct lines *);
/* At the end: was it the end of a line? */
bool lines_whole(struct lines *);

/* "acks.3:17: what"; always false, so that it can be returned. */
bool lines_malformed(struct lines *, const char *what);

/* Take the next field off the line, and read it as something. */
bool field_text(struct lines *, struct slice *);
bool field_word(struct lines *, const char *const *words, int n, int *which);
bool field_time(struct lines *, int64_t *us);
bool field_name(struct lines *, struct name *);
bool field_cursor(struct lines *, struct cursor *);
bool field_none(struct lines *); /* the line ends here */

/* --- history (check_history.c) ------------------------------------------------------------- */

enum outcome { COMMITTED, ROLLED_BACK, UNKNOWN };

struct ack {
    int publisher, transaction;
    enum outcome outcome;
    enum kind kind;
    bool proved; /* it is committed: an event of it is in the ledger, or, http, in the log */
    int64_t before_us, after_us;
};

enum { NONE = -1 }; /* an index of nothing */

struct event {
    struct name name;
    enum origin { IN_LEDGER, IN_ACKS, IN_TRUTH } origin; /* IN_TRUTH: nobody says he published it */
    enum kind kind;                                      /* not known IN_TRUTH */
    bool owed; /* it is committed: whoever's filters match must see it */
    int topic;
    int ack; /* of its transaction; NONE: it has no line */
    int row; /* its first; NONE: the log has no number for it */
};

struct row {
    int epoch;
    int64_t seq;
    int event, topic;
};

struct window {
    int64_t from_us, to_us;
};

/* From what has this key to its index.  The array is its user's. */
struct table {
    struct slot {
        uint32_t hash;
        int index;
    } * slots;
    size_t n_slots, used;
};

struct history {
    struct check *check;
    struct row *rows; /* in the log's order */
    int n_rows;
    struct event *events; /* in no order: history_event() */
    int n_events;
    struct slice *topics;
    int n_topics;
    char (*epochs)[EPOCH_MAX + 1]; /* in order of first appearance */
    int n_epochs;
    struct ack *acks; /* by publisher and transaction */
    int n_acks;
    struct cut { /* a file of acks whose last line is cut, and its last whole one */
        int publisher, transaction;
    } * cuts;
    int n_cuts;
    struct window *unheard;
    int n_unheard;

    size_t rows_cap, events_cap, topics_cap, epochs_cap, acks_cap, cuts_cap, unheard_cap;
    struct table by_name, by_topic;
};

/* Read acks.P of these publishers, who ascend, and ledger, truth and unheard. */
bool history_read(struct history *, struct check *, const int *publishers, int n) MUST_USE;
void history_fini(struct history *);

/* NONE: nobody published it and the log does not have it. */
int history_event(const struct history *, struct name);

/* The line about the transaction of this name; NONE: there is none. */
int history_ack(const struct history *, struct name);

/* What the publisher was told of it. */
enum outcome history_outcome(const struct history *, const struct event *);

/* How many rows come before or at a cursor: the index of the first one after it.  An epoch that the
   log never had: 0. */
int history_after(const struct history *, const struct cursor *);

/* For "%s %.*s", an event's name and topic, and "%s-%lld", a row's cursor. */
struct label {
    char text[NAME_TEXT_MAX];
};
static inline struct label label_of(struct name name)
{
    struct label l;
    name_text(name, l.text);
    return l;
}
#define TOPIC_ARGS(h, topic) (int)(h)->topics[topic].len, (h)->topics[topic].at
#define EVENT_ARGS(h, e)     label_of((e)->name).text, TOPIC_ARGS(h, (e)->topic)
#define ROW_ARGS(h, i)       (h)->epochs[(h)->rows[i].epoch], (long long)(h)->rows[i].seq

/* --- the log (check_log.c) ----------------------------------------------------------------- */

/* Judge the history; count `committed` and `unheard`; decide what is owed. */
void log_judge(struct history *);

/* --- subscribers (check_seen.c) ------------------------------------------------------------ */

bool seen_judge(const struct history *, int subscriber) MUST_USE;

#endif
