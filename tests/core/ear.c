/*
 * ear.c - a subscriber that counts what it hears, for tests of the hub.
 */
#include "tests/core/ear.h"

#include <check.h>

void ear_on_run(struct subscriber *sub, struct run *run)
{
    struct ear *ear = CONTAINER(sub, struct ear, sub);
    ear->heard += run->n;
    if (ear->act)
        ear->act(ear, run->events[0]);
}

void ear_listen(struct hub *hub, struct ear *ear, const char *filter)
{
    struct slice s = slice_of(filter);
    ear->hub = hub;
    ear->sub.deliver = ear_on_run;
    ck_assert_int_eq(hub_subscribe(hub, &ear->sub, &s, 1), RC_OK);
}

size_t ear_tell_slice(struct hub *hub, struct slice topic)
{
    struct event *e = event_new(&(struct event_fields){ .epoch = "e", .seq = 1, .topic = topic });
    struct run alone = run_of(&e, 1);
    size_t told = hub_publish(hub, &alone);
    event_unref(e);
    return told;
}

size_t ear_tell(struct hub *hub, const char *topic)
{
    return ear_tell_slice(hub, slice_of(topic));
}

uint64_t ear_visits(struct hub *hub, const char *topic)
{
    uint64_t before = hub_visited(hub);
    ear_tell(hub, topic);
    return hub_visited(hub) - before;
}

bool ear_count_one(void *arg, struct slice filter, size_t subscribers)
{
    ++*(size_t *)arg;
    return true;
}

void ear_close_hub(struct hub *hub)
{
    size_t listed = 0;
    hub_each(hub, ear_count_one, &listed);
    ck_assert_uint_eq(listed, 0);
    ck_assert_uint_eq(hub_filters(hub), 0);
    ck_assert_uint_eq(hub_subscribers(hub), 0);
    ck_assert_uint_eq(ear_visits(hub, "a/b/c"), 1); /* the root is alone */
    hub_free(hub);
}
