/*
 * fault.h - the faults: each is made while everything runs, is seen by an operator while it lasts
 * and when it ends, and loses nothing.
 *
 * fault_*.c define them by families and register them with FAULT(); faults.c runs them.  A fault's
 * function is called when the load flows.  It makes the trouble, waits until /status or the log
 * says so (evidence_*), keeps it up for a time that the seed chooses, ends it, and waits until
 * /status and the log say that all is well again.  Then the load is finished and checked.
 * Evidence that does not come fails the fault as a lost event does.
 */
#ifndef TESTS_FAULTS_FAULT_H
#define TESTS_FAULTS_FAULT_H

#include "tests/faults/check.h"
#include "tests/faults/load.h"
#include "tests/faults/records.h"
#include "tests/faults/site.h"

enum { ACT_PATIENCE_MS = 60000 }; /* generous: waiting longer means that it never comes */

struct act { /* one fault being made */
    const char *name;
    struct site *site;
    struct load *load;
    const char *folder; /* of the records */
    const char *mode;   /* of the log, at first: "commit" or "relay" */
    uint64_t random;    /* state of its generator; act_choose() */
    bool failed;
    void (*every_second)(void *arg); /* called while a fault waits; NULL: nobody */
    void *arg;
    int64_t unheard_since_us;     /* 0: a process listens */
    int64_t logs_at[SITE_FRONTS]; /* evidence_log() looks at what was written from here on */
};

struct fault {
    const char *name; /* "kill-worker" */
    const char *what; /* one line for people */
    enum site_flavour flavour;
    bool soak;   /* may be made again and again on a SITE_PLAIN under one load */
    bool lethal; /* workers end by it: not all the time in a soak, which watches how they grow */
    void (*run)(struct act *);
};

#define FAULT(ident, ...)                                                                          \
    static const struct fault fault_##ident = { __VA_ARGS__ };                                     \
    static const struct fault *const fault_pointer_##ident                                         \
        __attribute__((used, section("bellpush_faults"))) = &fault_##ident

/* A number from low to high, by the seed. */
int64_t act_choose(struct act *, int64_t low, int64_t high);

/* Let it last: go on as long as this, looking after nothing.  (The one place that lets time pass;
   what is waited for is waited for by evidence_*.) */
void act_last(struct act *, int64_t ms);

/* Ask every few milliseconds until fn(arg) holds; false: not within ms. */
bool act_wait(struct act *, bool (*fn)(void *arg), void *arg, int64_t ms) MUST_USE;

/* The load must go on: that many more commits, and everybody sees something new. */
void act_flows(struct act *, int64_t commits);

/* The fault has failed; printf-like, one line to stderr with the fault's name. */
void act_fail(struct act *, const char *format, ...) PRINTF(2, 3);
/* A line for people in the run's log. */
void act_note(struct act *, const char *format, ...) PRINTF(2, 3);

/* From here on no process may be listening, so plain NOTIFYs may go unheard; and the end of it. */
void act_unheard(struct act *);
void act_heard(struct act *);

/*
 * Wait until GET /status of every worker of the fronts in the mask (bit i: site->fronts[i]; 0: all)
 * has this value at a path ("database.state", "listening"); false and act_fail(): it never came.
 */
bool evidence_status(struct act *, unsigned mask, const char *path, const char *value);
/* The same, but it is enough that one worker says so; its pid, 0: none did. */
pid_t evidence_some_status(struct act *, unsigned mask, const char *path, const char *value);
/* Wait until the workers' logs of any front in the mask say this, in lines written since the act
   began or since the last evidence_log_mark(). */
bool evidence_log(struct act *, unsigned mask, const char *text);
void evidence_log_mark(struct act *);

#endif
