/*
 * metrics.h - this process as an OpenMetrics exposition.
 */
#ifndef HANDLERS_METRICS_H
#define HANDLERS_METRICS_H

#include "core/server.h"

void metrics_put(struct server *, struct buf *);

#endif
