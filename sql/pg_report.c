/*
 * pg_report.c - what a process tells the database of itself (bellpush.workers, .subscribers).
 */
#include <inttypes.h>

#include "core/text.h"
#include "sql/pg_report.h"

enum { FILTERS_MAX = 1000, FILTERS_MAX_BYTES = 256 * 1024 };

struct filters {
    struct buf *out;
    size_t n, from;
};

static bool put_filter(void *arg, struct slice filter, size_t subscribers)
{
    struct filters *f = arg;

    if (f->n == FILTERS_MAX || f->out->len - f->from > FILTERS_MAX_BYTES)
        return false;
    buf_puts(f->out, f->n++ ? "," : "");
    json_put_string(f->out, filter);
    buf_printf(f->out, ":%zu", subscribers);
    return true;
}

void pg_report_state(const struct server *s, int64_t backend, struct buf *out)
{
    static const char *const states[] = { "away", "polling", "listening" };
    const struct stats *t = &s->stats;

    buf_printf(out,
               "{\"version\":\"%s\",\"source\":\"%s\",\"housekeeper\":%s,\"backend\":%" PRId64
               ",\"head\":%" PRId64 ",\"started_us\":%" PRId64
               ",\"subscribers\":%zu,\"requests\":%" PRIu64 ",\"published\":%" PRIu64
               ",\"events\":%" PRIu64 ",\"deliveries\":%" PRIu64 ",\"filters\":{",
               BELLPUSH_VERSION, states[s->source_state], s->housekeeper ? "true" : "false",
               backend, s->head, s->started_us, hub_subscribers(s->hub), t->requests, t->published,
               t->events, t->deliveries);
    struct filters filters = { out, 0, out->len };
    hub_each(s->hub, put_filter, &filters);
    buf_puts(out, "}}");
}
