/*
 * site_pooled.c - a PgBouncer in transaction mode before the database, with the file of contrib/:
 * SITE_POOLED goes through it for everything, SITE_SPLIT listens past it.
 *
 * site->extra is the struct bouncer.
 */
#include <stdlib.h>

#include "tests/faults/site_priv.h"
#include "tests/peers/bouncer.h"
#include "tests/peers/process.h"

static const char *lacks(void)
{
    return bouncer_is_there() ? NULL : "pgbouncer is not installed";
}

static void replace(char **text, const char *with)
{
    free(*text);
    *text = text_of("%s", with);
}

static void pool(struct site *s, struct site_workers *workers)
{
    char *name = cluster_sql(s->dsn, "SELECT current_database()");
    struct bouncer *b =
        bouncer_start(&(struct bouncer_spec){ .cluster = s->cluster, .database = name });

    s->extra = b;
    replace(&s->publisher_dsn, bouncer_dsn(b));
    replace(&workers->dsn, bouncer_dsn(b));
    free(name);
}

static void split(struct site *s, struct site_workers *workers)
{
    pool(s, workers);
    buf_printf(&workers->settings, "listen_database = %s\n", s->dsn);
}

static void release(struct site *s)
{
    bouncer_free(s->extra);
}

SITE_KIND(pooled, .flavour = SITE_POOLED, .lacks = lacks, .prepare = pool, .release = release);
SITE_KIND(split, .flavour = SITE_SPLIT, .lacks = lacks, .prepare = split, .release = release);
