/*
 * site_far.c - a database on a machine of its own (far.h): workers and publishers come over TCP,
 * on a line that loses packets when a fault says so.
 *
 * site->extra is the struct far.  site->dsn is the unix socket, which is a way around the line.
 * Publishers bring the patience that an application needs; workers bring none: theirs is built in.
 */
#include <stdlib.h>

#include "tests/faults/site_priv.h"
#include "tests/peers/far.h"
#include "tests/peers/process.h"

static void start_database(struct site *s)
{
    struct far *far = far_new();
    const struct cluster_spec spec = { .net = far_net(far), .address = far_address(far) };

    s->extra = far;
    s->cluster = cluster_start_as(&spec);
    s->dsn = cluster_database(s->cluster, "site");
}

static void prepare(struct site *s, struct site_workers *workers)
{
    free(workers->dsn);
    free(s->publisher_dsn);
    workers->dsn = text_of("host=%s port=5432 user=site dbname=site", far_address(s->extra));
    /* Both ends: an application that vanishes leaves no open transaction for hours. */
    s->publisher_dsn = text_of("%s connect_timeout=3 tcp_user_timeout=3000 keepalives_idle=2 "
                               "keepalives_interval=1 keepalives_count=3 "
                               "options='-c tcp_user_timeout=3s -c tcp_keepalives_idle=2 "
                               "-c tcp_keepalives_interval=1 -c tcp_keepalives_count=3'",
                               workers->dsn);
}

static void release(struct site *s)
{
    far_free(s->extra);
}

SITE_KIND(far, .flavour = SITE_FAR, .lacks = far_lacks, .start_database = start_database,
          .prepare = prepare, .release = release);
