/*
 * site_small.c - a database on a small disk, which faults fill up.
 */
#include "tests/faults/site_priv.h"
#include "tests/peers/disk.h"

enum { DISK_BYTES = 256 << 20 }; /* an empty cluster takes 40 MB, its journal (WAL) 64 MB */

static void start_database(struct site *s)
{
    static const char *const settings[] = { "min_wal_size=32MB", "max_wal_size=64MB", NULL };
    const struct cluster_spec spec = { .settings = settings, .disk_bytes = DISK_BYTES };

    s->cluster = cluster_start_as(&spec);
    s->dsn = cluster_database(s->cluster, "site");
}

SITE_KIND(small, .flavour = SITE_SMALL, .lacks = disk_lacks, .start_database = start_database);
