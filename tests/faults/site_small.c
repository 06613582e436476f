/*
 * site_small.c - a database on a small disk, and its queue of notifications on a still smaller one,
 * which faults fill up.
 */
#include <stdlib.h>

#include "tests/faults/site_priv.h"
#include "tests/peers/disk.h"
#include "tests/peers/process.h"

enum {
    DISK_BYTES = 256 << 20, /* an empty cluster takes 40 MB, its journal (WAL) 64 MB */
    QUEUE_BYTES = 4 << 20,
};

static char *queue_folder(const struct site *s)
{
    return text_of("%s/pg_notify", cluster_data(s->cluster));
}

static void start_database(struct site *s)
{
    static const char *const settings[] = { "min_wal_size=32MB", "max_wal_size=64MB", NULL };
    const struct cluster_spec spec = { .settings = settings, .disk_bytes = DISK_BYTES };

    s->cluster = cluster_start_as(&spec);
    char *queue = queue_folder(s);
    cluster_stop(s->cluster, "fast");
    disk_mount(queue, QUEUE_BYTES);
    file_own(queue, "postgres");
    cluster_again(s->cluster);
    s->dsn = cluster_database(s->cluster, "site");
    free(queue);
}

static void release(struct site *s)
{
    char *queue = queue_folder(s);

    disk_unmount(queue);
    free(queue);
}

SITE_KIND(small, .flavour = SITE_SMALL, .lacks = disk_lacks, .start_database = start_database,
          .release = release);
