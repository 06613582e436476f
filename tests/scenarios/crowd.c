/*
 * crowd.c - as many open streams as this stage must bear.
 */
#include <stdlib.h>

#include "tests/scenarios/parts.h"
#include "tests/scenarios/talk.h"

enum { TOPICS = 7 };

START_TEST(every_one_of_many_streams_hears_its_topic)
{
    size_t n = stage_traits()->streams;
    struct answer **all;
    const char *topics[TOPICS];

    if (stage_traits()->one_slot) /* a crowd of readers there is a test of its own */
        return;
    all = calloc(n, sizeof(struct answer *));
    ck_assert_ptr_nonnull(all);
    for (size_t i = 0; i < TOPICS; i++)
        topics[i] = stage_topic("crowd");
    for (size_t i = 0; i < n; i++)
        all[i] = stage_get(
            text("/events?topic=%s&topic=%s/%%23", topics[i % TOPICS], topics[i % TOPICS]));
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(answer_status(all[i]), 200);
        answer_expect(all[i], "id: "); /* its place is fixed */
    }
    stage_expect_open(n);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < TOPICS; i++)
            stage_publish(topics[i], NULL, text("round %d of %zu", round, i));
        for (size_t i = 0; i < n; i++)
            answer_expect(all[i], text("data: round %d of %zu\n", round, i % TOPICS));
    }
    for (size_t i = 0; i < n; i++) { /* once each, and nothing of another topic */
        struct slice body = answer_so_far(all[i]);
        size_t events = 0;
        for (const char *at = body.at, *end = body.at + body.len;
             (at = memmem(at, (size_t)(end - at), "data: ", 6)); at += 6)
            events++;
        ck_assert_uint_eq(events, 2);
        answer_close(all[i]);
    }
    stage_expect_open(0);
    free(all);
}
END_TEST

START_TEST(readers_in_turn_hear_every_event)
{
    enum { READERS = 8, EVENTS = 6 };
    const char *topic = stage_topic("turns");
    struct poller pollers[READERS];

    for (int i = 0; i < READERS; i++)
        poller_init(&pollers[i], text("topic=%s", topic), NULL);
    for (int e = 0; e < EVENTS; e++) {
        stage_publish(topic, NULL, text("%d", e));
        for (int i = 0; i < READERS; i++)
            if ((i + e) % 3 == 0) /* the others lag behind */
                poller_expect(&pollers[i], text("%d", (int)pollers[i].seen++));
    }
    for (int i = 0; i < READERS; i++) {
        while (pollers[i].seen < EVENTS)
            poller_expect(&pollers[i], text("%d", (int)pollers[i].seen++));
        poller_fini(&pollers[i]);
    }
}
END_TEST

void scenarios_crowd(TCase *tc)
{
    tcase_add_test(tc, every_one_of_many_streams_hears_its_topic);
    tcase_add_test(tc, readers_in_turn_hear_every_event);
}
