/*
 * counts.c - everything that is counted, once: its name in /status and /metrics, and what it means.
 */
#include "handlers/counts.h"

#include <inttypes.h>

static const struct counter {
    const char *name, *help;
    size_t offset; /* in struct stats; uint64_t */
} counters[] = {
    { "requests", "Requests answered or being answered", offsetof(struct stats, requests) },
    { "published", "Events published over HTTP", offsetof(struct stats, published) },
    { "events", "Events read from the log", offsetof(struct stats, events) },
    { "deliveries", "Events handed to subscribers", offsetof(struct stats, deliveries) },
    { "gaps", "Gaps told to readers", offsetof(struct stats, gaps) },
    { "slow_closed", "Readers closed because they took nothing",
      offsetof(struct stats, slow_closed) },
    { "refused", "Requests refused because the process was full", offsetof(struct stats, refused) },
    { "limited", "Requests refused because somebody had used up a limit",
      offsetof(struct stats, limited) },
    { "denied", "Requests for topics that were not theirs", offsetof(struct stats, denied) },
    { "bells", "Notifications heard", offsetof(struct stats, bells) },
    { "reads", "Reads of the log", offsetof(struct stats, reads) },
    { "journal_replays", "Readers brought forward from memory",
      offsetof(struct stats, journal_replays) },
    { "database_replays", "Pages of the past asked of the database",
      offsetof(struct stats, database_replays) },
    { "reconnects", "Connections to the database after the first",
      offsetof(struct stats, reconnects) },
    { "recorded", "Plain NOTIFYs recorded into the log", offsetof(struct stats, recorded) },
    { "relayed", "Events numbered in relay mode", offsetof(struct stats, relayed) },
    { "publishes_refused", "Publishes refused because the database was away or too busy",
      offsetof(struct stats, publishes_refused) },
    { "publishes_uncertain", "Publishes whose answer never came",
      offsetof(struct stats, publishes_uncertain) },
    { "accept_pauses", "Times when no connection could be accepted",
      offsetof(struct stats, accept_pauses) },
    { "no_memory", "Times when there was no memory for something",
      offsetof(struct stats, no_memory) },
    { "clock_jumps", "Times when the wall clock was set", offsetof(struct stats, clock_jumps) },
};

static uint64_t count_of(const struct server *s, const struct counter *c)
{
    uint64_t n;
    memcpy(&n, (const char *)&s->stats + c->offset, sizeof(n));
    return n;
}

void counts_put_json(const struct server *s, struct buf *out)
{
    buf_putc(out, '{');
    for (size_t i = 0; i < LENGTH(counters); i++)
        buf_printf(out, "%s\"%s\":%" PRIu64, i ? "," : "", counters[i].name,
                   count_of(s, &counters[i]));
    buf_putc(out, '}');
}

void counts_put_metrics(const struct server *s, struct buf *out)
{
    for (size_t i = 0; i < LENGTH(counters); i++) {
        const struct counter *c = &counters[i];
        buf_printf(out,
                   "# TYPE bellpush_%s counter\n# HELP bellpush_%s %s.\n"
                   "bellpush_%s_total %" PRIu64 "\n",
                   c->name, c->name, c->help, c->name, count_of(s, c));
    }
}
