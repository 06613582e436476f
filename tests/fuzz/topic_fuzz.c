/*
 * topic_fuzz.c - the first line is a topic, the others are filters: the matcher, the naive matcher
 * and the hub must agree, and the relations between filters must hold for this topic.
 */
#include "core/hub.h"
#include "core/topic.h"
#include "tests/fuzz/fuzz.h"
#include "tests/naive.h"

enum { FILTERS_MAX = 24 };

struct ear {
    struct subscriber sub;
    size_t heard;
};

static void on_events(struct subscriber *sub, struct run *run)
{
    CONTAINER(sub, struct ear, sub)->heard += run->n;
}

static void check_relations(struct slice a, struct slice b, struct slice topic)
{
    bool in_a = topic_matches(a, topic), in_b = topic_matches(b, topic);
    bool overlap = filters_overlap(a, b);
    must(overlap == filters_overlap(b, a));
    must(overlap || !(in_a && in_b));
    if (filter_covers(a, b)) {
        must(overlap);
        must(in_a || !in_b);
    }
    if (!filter_is_wild(a)) {
        must(overlap == topic_matches(b, a));
        must(filter_covers(b, a) == topic_matches(b, a));
    }
}

static void check_hub(const struct slice *filters, size_t n, struct slice topic)
{
    struct hub *hub = hub_new();
    struct ear ears[FILTERS_MAX] = { 0 }, all = { .sub.deliver = on_events };
    struct event *event =
        event_new(&(struct event_fields){ .epoch = "e", .seq = 1, .topic = topic });
    size_t expected = 0;
    must(hub && event);
    for (size_t i = 0; i < n; i++) {
        ears[i].sub.deliver = on_events;
        must(hub_subscribe(hub, &ears[i].sub, &filters[i], 1) == RC_OK);
    }
    if (n > 0)
        must(hub_subscribe(hub, &all.sub, filters, n) == RC_OK);
    struct run alone = run_of(&event, 1);
    size_t told = hub_publish(hub, &alone);
    for (size_t i = 0; i < n; i++) {
        struct buf b = BUF_EMPTY;
        bool matches = naive_matches(filters[i], topic);
        must(ears[i].heard == matches);
        must(hub_wants(hub, &ears[i].sub, topic) == matches);
        must(hub_filter(hub, &ears[i].sub, 0, &b) && slice_is(buf_slice(&b), filters[i]));
        buf_fini(&b);
        expected += matches;
    }
    must(all.heard == (expected > 0));
    must(told == expected + all.heard);
    for (size_t i = 0; i < n; i += 2)
        hub_unsubscribe(hub, &ears[i].sub);
    hub_publish(hub, &alone);
    for (size_t i = 0; i < n; i++)
        must(ears[i].heard == naive_matches(filters[i], topic) * (i % 2 ? 2u : 1u));
    for (size_t i = 1; i < n; i += 2)
        hub_unsubscribe(hub, &ears[i].sub);
    hub_unsubscribe(hub, &all.sub);
    must(hub_filters(hub) == 0 && hub_subscribers(hub) == 0);
    hub_free(hub);
    event_unref(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = { (const char *)data, size }, line, topic, filters[FILTERS_MAX];
    size_t n = 0;
    if (!line_next(&rest, &line))
        return 0;
    topic = exact_copy(line.at, line.len);
    while (n < FILTERS_MAX && line_next(&rest, &line)) {
        filters[n] = exact_copy(line.at, line.len);
        if (!filter_error(filters[n])) {
            must(topic_error(filters[n]) == NULL || filter_is_wild(filters[n]));
            n++;
        } else {
            must(topic_error(filters[n]));
            free((char *)filters[n].at);
        }
    }
    if (!topic_error(topic)) {
        for (size_t i = 0; i < n; i++) {
            must(topic_matches(filters[i], topic) == naive_matches(filters[i], topic));
            for (size_t j = 0; j < n; j++)
                check_relations(filters[i], filters[j], topic);
        }
        check_hub(filters, n, topic);
    }
    for (size_t i = 0; i < n; i++)
        free((char *)filters[i].at);
    free((char *)topic.at);
    return 0;
}
