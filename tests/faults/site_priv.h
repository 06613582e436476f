/*
 * site_priv.h - what a flavour of site does differently; for site.c and site_*.c.
 *
 * Each flavour but SITE_PLAIN is one SITE_KIND() in a file of its own, found by the linker.
 * site_start() goes like this; what a kind leaves NULL is done as for SITE_PLAIN:
 *
 *      start_database   site->cluster, and site->dsn in it with the schema loaded
 *      prepare          what stands between: poolers, limits, clocks; may change
 * site->publisher_dsn, and in *workers how the workers run (site.c) load_prepare(site->dsn); three
 * fronts with workers
 *
 * and site_free(): the fronts end, release(), the cluster ends.
 */
#ifndef TESTS_FAULTS_SITE_PRIV_H
#define TESTS_FAULTS_SITE_PRIV_H

#include "tests/faults/site.h"

struct site_workers {
    char *dsn;           /* their `database`; at first site->dsn; free and replace */
    struct buf settings; /* more lines for bellpush.conf; a name given twice is an error there, and
                            site_settings in site.c has some */
    struct buf before;   /* lines of sh run before each worker, in its process: "ulimit -n 64\n" */
};

struct site_kind {
    enum site_flavour flavour;
    const char *(*lacks)(void); /* as site_lacks() */
    void (*start_database)(struct site *);
    void (*prepare)(struct site *, struct site_workers *);
    void (*release)(struct site *); /* site->extra, and processes of its own */
};

#define SITE_KIND(ident, ...)                                                                      \
    static const struct site_kind site_kind_##ident = { __VA_ARGS__ };                             \
    static const struct site_kind *const site_kind_pointer_##ident                                 \
        __attribute__((used, section("bellpush_site_kinds"))) = &site_kind_##ident

/* What SITE_PLAIN does: a cluster with these settings more (NULL: none), site->dsn in it. */
void site_plain_database(struct site *, const char *const *settings);

#endif
