/*
 * presence_rig.h - this process's members against a database played by script.
 *
 * The truth at the end of each test is what the log says: whoever reads all `join` and `leave`
 * events knows who is there.
 */
#ifndef TESTS_CORE_PRESENCE_RIG_H
#define TESTS_CORE_PRESENCE_RIG_H

#include <uv.h>

#include "core/presence.h"
#include "core/server.h"
#include "core/topic.h"
#include "tests/core/memory.h"
#include "tests/fake/fake_source.h"

/* This process; a database by script is its source. */
extern uv_loop_t rig_loop;
extern struct conf rig_conf;
extern struct server rig_server;
extern struct joiner rig_joiner;    /* of whoever joins here */
extern const struct who rig_nobody; /* as whom */

void presence_rig_set_up(void);
void presence_rig_tear_down(void);
void turn(int n);      /* of the loop */
void until_told(void); /* all that is news */

/* ---- the log, as somebody hears it ----------------------------------------------------------- */

enum { HEARD_MAX = 8000 };

extern struct ear {
    struct subscriber sub;
    size_t joins, leaves, there;
    char names[HEARD_MAX][32]; /* "topic name" of those who are there */
    char last[400];
} ear;

bool hears(const char *topic, const char *name);

/* ---- members --------------------------------------------------------------------------------- */

struct guest {
    struct member member;
    int calls;
    enum rc rc;
    char why[100];
    void (*then)(struct guest *);
};

void on_joined(struct member *, enum rc, const char *why); /* counts, notes, and calls then() */
enum rc try_join(struct guest *, const char *topic, const char *name, const char *data,
                 const char **why);
void join(struct guest *, const char *topic, const char *name); /* which must go well */
void leave(struct guest *);

#endif
