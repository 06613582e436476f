/*
 * fault_disk.c - the database's disk is full.
 *
 * What then happens is PostgreSQL's choice: a transaction that needs a new page of a table is
 * refused; one that needs a new file of the journal (WAL) takes the server down, and it cannot come
 * up again until there is room.  Workers tell both, and publishers learn that nothing was
 * committed.
 */
#include "tests/faults/database.h"
#include "tests/peers/disk.h"

static bool server_died(void *arg)
{
    const struct site *s = arg;

    disk_fill(cluster_data(s->cluster), 0); /* what it has given back meanwhile */
    return cluster_died(s->cluster);
}

static void disk_full(struct act *a)
{
    struct cluster *c = a->site->cluster;

    database_quiet(a); /* for it may take the server down */
    disk_fill(cluster_data(c), 0);
    evidence_log(a, 0, "No space left on device");
    bool died = act_wait(a, server_died, a->site, act_choose(a, 1000, 10000));
    act_note(a, died ? "PostgreSQL has died of it" : "PostgreSQL lives on");
    disk_clear(cluster_data(c));
    if (cluster_died(c))
        cluster_again(c);
    evidence_status(a, 0, "database.state", "listening");
    act_heard(a);
    act_flows(a, 20);
}

FAULT(disk_full, .name = "disk-full", .what = "the database's disk is full for a while",
      .flavour = SITE_SMALL, .run = disk_full);
