/*
 * site_standby.c - a database with a streaming standby on this machine, synchronous: what was
 * acknowledged is there, too.
 */
#include "tests/faults/site_priv.h"

static void start_database(struct site *s)
{
    static const char *const settings[] = { "wal_keep_size=256MB", NULL };

    site_plain_database(s, settings);
    cluster_follow(s->cluster);
}

SITE_KIND(standby, .flavour = SITE_STANDBY, .start_database = start_database);
