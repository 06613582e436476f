/*
 * follow_rig.h - readers of a log played by script, and the truth.
 *
 * Readers assert at every step what the project promises: each event that they asked for, in log
 * order, once, or a gap that says where the stream goes on.  The truth is a plain array of topics.
 */
#ifndef TESTS_CORE_FOLLOW_RIG_H
#define TESTS_CORE_FOLLOW_RIG_H

#include "core/follow.h"
#include "core/server.h"
#include "tests/fake/fake_source.h"

enum { TRUTH_MAX = 20000 };

extern struct server follow_server; /* its source is a database by script */

extern struct follow_truth {
    const char *topic[TRUTH_MAX + 1]; /* by number; NULL: nobody may hear it */
    int64_t head, pruned;
    bool holes_allowed;
} follow_truth;

void follow_rig_set_up(void);
void follow_rig_tear_down(void);
void follow_commit_draft(struct draft);
void follow_commit(const char *topic); /* which must last as long as the test */
void follow_turn(int n);               /* of the loop */

struct reader {
    struct follow follow;
    const char *filter;
    int64_t pos; /* everything up to here has been seen, or announced as missing */
    size_t events, gaps, caught_up, failures;
    enum gap_reason reason;
    bool started, in_past;
    bool takes_runs; /* if it neither pauses nor leaves amid them */
    size_t runs;
    int pause_in, close_in; /* callbacks until it takes no more, or leaves; 0: never */
};

void reader_start(struct reader *, struct since);
struct since reader_cursor(int64_t seq); /* of this history */
void reader_stop(struct reader *);
/* Asserts that nothing it asked for was committed in (pos, upto). */
void reader_missed_nothing(const struct reader *, int64_t upto);

#endif
