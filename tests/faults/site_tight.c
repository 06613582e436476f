/*
 * site_tight.c - workers that may have few descriptors: enough for the load, and soon filled by a
 * crowd of streams.  (Memory is limited while they run: fault_resources.c.)
 */
#include "tests/faults/site_priv.h"
#include "tests/faults/site_tight.h"

static void prepare(struct site *s, struct site_workers *workers)
{
    (void)s;
    buf_printf(&workers->before, "ulimit -n %d\n", SITE_TIGHT_DESCRIPTORS);
}

SITE_KIND(tight, .flavour = SITE_TIGHT, .prepare = prepare);
