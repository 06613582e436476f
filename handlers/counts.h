/*
 * counts.h - struct stats, for /status and /metrics.
 */
#ifndef HANDLERS_COUNTS_H
#define HANDLERS_COUNTS_H

#include "core/server.h"

/* Append {"name":number,…}. */
void counts_put_json(const struct server *, struct buf *);

/* Append one OpenMetrics counter for each. */
void counts_put_metrics(const struct server *, struct buf *);

#endif
