/*
 * fake_priv.h - the fake source from inside, for the three files that it is made of.
 */
#ifndef TESTS_FAKE_FAKE_PRIV_H
#define TESTS_FAKE_FAKE_PRIV_H

#include "tests/fake/fake_source.h"

enum { CALLS_MAX = 256, KEYS_MAX = 256 };

enum call_kind {
    CALL_PUBLISH,
    CALL_REPLAY,
    CALL_LOCATE,
    CALL_MAY,
    CALL_HOOK,
    CALL_PRESENCE,
    CALL_WHO,
};

struct source_call {
    struct source_call *next;
    enum call_kind kind;
    bool cancelled;
    void *arg;
    union {
        published_fn *published;
        replayed_fn *replayed;
        located_fn *located;
        answered_fn *answered;
        hooked_fn *hooked;
        changed_fn *changed;
        called_fn *called;
    } fn;
    /* publish */
    struct event **events; /* without number or time yet; NULL: refused */
    size_t n;
    char *key, *why;
    char **once; /* per draft; NULL: they have none */
    uint64_t *digests;
    int64_t *repeats;
    size_t repeat_n;
    enum rc rc;
    bool repeated;
    int64_t *seqs;
    /* replay, locate */
    int64_t after, time_us;
    char **filters;               /* and the names of may() */
    struct fake_changes *changes; /* presence */
    size_t n_most;                /* who */
    char *after_name;
    /* may, hook, who: who, the hook's name, the topic */
    char *text;
    enum verb verb;
};

struct fake_key {
    char *key;
    uint64_t hash;
    int64_t first;
    size_t n;
};

struct fake_gate { /* what bellpush.gate() would say, and bellpush.may() */
    struct gate_entry entries[16];
    size_t n;
    bool told, given;
    fake_may_fn *may;
    const struct hook *hook;
    const char *hook_name;
    size_t asked; /* questions answered */
};

struct fake_session {
    int64_t nr; /* 0: another process's */
    char *topic, *name;
};

struct fake_present {
    char *topic, *name, *data;
    int64_t since_us, sessions;
};

struct fake_presence {
    struct fake_session *sessions;
    struct fake_present *members;
    size_t session_n, member_n, statements;
    int64_t turn;
    bool under_way, uncertain, takes_place;
};

struct source {
    struct server *server;
    uv_timer_t timer;
    struct event **log;
    size_t committed, cap;
    int64_t told, pruned, clock_ms;
    char epoch[EPOCH_MAX + 1];
    bool connected, known, mute, relay, refuse, stall;
    struct source_call *calls, **calls_end;
    size_t call_count;
    struct fake_gate gate;
    struct fake_presence presence;
    struct fake_key keys[KEYS_MAX];
    size_t key_count;
    void (*done)(void *);
    void *done_arg;
};

/* A question, answered from the loop.  NULL: too many wait, or by script. */
struct source_call *fake_call_new(struct source *, enum call_kind, void *arg);
void fake_work(struct source *);
void *fake_must(void *memory); /* aborts on NULL */

/* fake_gate.c */
void fake_gate_tell(struct source *);
void fake_answer_may(struct source *, struct source_call *);
void fake_answer_hook(struct source *, struct source_call *);

/* fake_presence.c */
void fake_answer_presence(struct source *, struct source_call *);
void fake_answer_who(struct source *, struct source_call *);
void fake_changes_free(struct fake_changes *); /* NULL: nothing happens */
void fake_presence_free(struct source *);

#endif
