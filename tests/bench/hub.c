/*
 * hub.c - what a publish costs in the hub alone: no sockets, no encoding, only finding and telling.
 *
 * With 100,000 distinct subscriptions in the tree, events go to topics that 1, 10 or 1,000
 * subscribers want.  The cost must follow those who are told, not those who are there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/hub.h"
#include "core/topic.h"

enum { DISTINCT = 100000, TELL = 2000000, EVENTS_MAX = 200000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t told;

static void deliver(struct subscriber *s, struct run *run)
{
    (void)s;
    told += run->n;
}

static void subscribe(struct hub *hub, struct subscriber *s, const char *filter)
{
    struct slice f = slice_of(filter);
    s->deliver = deliver;
    if (hub_subscribe(hub, s, &f, 1) != RC_OK)
        abort();
}

/* Publish to topics made from a format with one number below range, each with `each` listeners. */
static void measure(struct hub *hub, const char *what, const char *format, int range, int each)
{
    static int64_t seq;
    int n = TELL / each < EVENTS_MAX ? TELL / each : EVENTS_MAX;
    struct event **events = calloc((size_t)n, sizeof(struct event *));
    uint64_t before = told;
    char topic[64];
    double began, took;

    for (int i = 0; events && i < n; i++) {
        snprintf(topic, sizeof topic, "%s/%d", format, (int)((int64_t)i * 7919 % range));
        events[i] = event_new(&(struct event_fields){
            .epoch = "bench", .seq = ++seq, .topic = slice_of(topic), .data = SLICE("x") });
        if (!events[i])
            abort();
    }
    began = now();
    for (int i = 0; events && i < n; i++) {
        struct run alone = run_of(&events[i], 1);
        hub_publish(hub, &alone);
    }
    took = now() - began;
    for (int i = 0; events && i < n; i++)
        event_unref(events[i]);
    free(events);
    if (told - before != (uint64_t)n * (uint64_t)each)
        fprintf(stderr, "hub: %s: told %llu, not %llu\n", what, (unsigned long long)(told - before),
                (unsigned long long)n * (unsigned)each);
    printf("%-44s | %10d | %12.0f | %10.1f\n", what, each, took * 1e9 / n, took * 1e9 / n / each);
}

int main(void)
{
    struct hub *hub = hub_new();
    size_t n = DISTINCT + 10000 + 10000;
    struct subscriber *subs = calloc(n, sizeof *subs), *s = subs;
    char filter[64];
    double began;

    if (!hub || !subs)
        abort();
    began = now();
    for (int i = 0; i < DISTINCT; i++) {
        snprintf(filter, sizeof filter, "one/%d", i);
        subscribe(hub, s++, filter);
    }
    printf("\nhub alone: %d distinct filters, subscribed in %.0f ms\n", DISTINCT,
           (now() - began) * 1e3);
    for (int i = 0; i < 10000; i++) {
        snprintf(filter, sizeof filter, "ten/%d", i / 10);
        subscribe(hub, s++, filter);
    }
    for (int i = 0; i < 10000; i++) {
        snprintf(filter, sizeof filter, i % 2 ? "thousand/%d" : "thousand/%d/#", i / 1000);
        subscribe(hub, s++, filter);
    }
    printf("%-44s | %10s | %12s | %10s\n", "an event for", "told", "ns per event", "ns per one");
    measure(hub, "one of 100,000 distinct filters", "one", DISTINCT, 1);
    measure(hub, "ten of one filter", "ten", 1000, 10);
    measure(hub, "a thousand of two filters", "thousand", 10, 1000);
    for (struct subscriber *u = subs; u < subs + n; u++)
        hub_unsubscribe(hub, u);
    hub_free(hub);
    free(subs);
    return EXIT_SUCCESS;
}
