/*
 * fault_front.c - web servers are reloaded and restarted, as by systemctl.
 *
 * A reload of nginx and Apache leaves streams to the old processes until they end; lighttpd ends
 * them, and its workers.  A restart ends all streams.
 */
#include <stdlib.h>

#include "tests/faults/fault.h"
#include "tests/peers/process.h"

enum { CHILDREN_MAX = 64, SOME_COMMITS = 40 };

struct children {
    const struct front *front;
    pid_t pids[CHILDREN_MAX];
    size_t n;
};

static struct children look(const struct front *front)
{
    struct children c = { .front = front };

    c.n = process_children(front_server(front), c.pids, CHILDREN_MAX);
    if (c.n > CHILDREN_MAX)
        c.n = CHILDREN_MAX;
    return c;
}

/* A reloaded server has a process that it had not before. */
static bool has_new_child(void *arg)
{
    const struct children *before = arg;
    struct children now = look(before->front);

    for (size_t i = 0; i < now.n; i++) {
        size_t k = 0;
        while (k < before->n && before->pids[k] != now.pids[i])
            k++;
        if (k == before->n)
            return true;
    }
    return false;
}

static void reload(struct act *a, size_t i)
{
    struct children before = look(a->site->fronts[i]);

    front_reload(a->site->fronts[i]);
    if (!act_wait(a, has_new_child, &before, ACT_PATIENCE_MS))
        act_fail(a, "%s does not start new processes", a->site->load_fronts[i].name);
}

static void restart(struct act *a, size_t i)
{
    front_restart(a->site->fronts[i]);
}

/* Each of the three, beginning with any. */
static void each(struct act *a, void (*what)(struct act *a, size_t front))
{
    size_t first = (size_t)act_choose(a, 0, SITE_FRONTS - 1);

    for (size_t i = 0; i < SITE_FRONTS && !a->failed; i++) {
        size_t front = (first + i) % SITE_FRONTS;
        what(a, front);
        (void)evidence_status(a, 1u << front, "database.state", "listening");
        act_flows(a, act_choose(a, 1, SOME_COMMITS));
    }
    (void)evidence_some_status(a, 0, "database.housekeeper", "true");
}

static void reload_fronts(struct act *a)
{
    each(a, reload);
}

static void restart_fronts(struct act *a)
{
    each(a, restart);
}

FAULT(reload_front, .name = "reload-front", .what = "each web server is reloaded", .soak = true,
      .lethal = true, .run = reload_fronts);
FAULT(restart_front, .name = "restart-front", .what = "each web server is restarted", .soak = true,
      .lethal = true, .run = restart_fronts);
