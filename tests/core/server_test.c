/*
 * server_test.c - turns of the loop, and how a process degrades near its limits.
 */
#include "core/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/suite.h"

static uv_loop_t loop;
static struct conf conf;
static struct server server;

static void server_make(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(conf_init(&conf), RC_OK);
    ck_assert_int_eq(server_init(&server, &loop, &conf), RC_OK);
}

static void server_unmake(void)
{
    server_fini(&server);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    conf_fini(&conf);
}

/* ---- turns ---------------------------------------------------------------------------------- */

static struct note {
    struct turn turn;
    int again; /* how often it puts itself back */
    struct note *other;
} notes[3];
static char order[16];
static size_t ran;

static void on_turn(struct turn *t)
{
    struct note *n = CONTAINER(t, struct note, turn);

    order[ran++] = (char)('a' + (n - notes));
    if (n->again-- > 0)
        turn_add(&server, &n->turn);
    if (n->other)
        turn_cancel(&server, &n->other->turn);
}

static void turns_begin(void)
{
    ran = 0;
    memset(order, 0, sizeof(order));
    memset(notes, 0, sizeof(notes));
    for (size_t i = 0; i < LENGTH(notes); i++)
        notes[i].turn.run = on_turn;
}

START_TEST(turns_run_once_in_order_before_the_loop_waits)
{
    turns_begin();
    turn_add(&server, &notes[1].turn);
    turn_add(&server, &notes[0].turn);
    turn_add(&server, &notes[1].turn); /* is on the list already */
    ck_assert_uint_eq(ran, 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_str_eq(order, "ba");
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_str_eq(order, "ba");
}
END_TEST

START_TEST(a_turn_may_call_for_another_and_end_others)
{
    turns_begin();
    notes[0].other = &notes[1];
    notes[0].again = 1;
    turn_add(&server, &notes[0].turn);
    turn_add(&server, &notes[1].turn);
    turn_add(&server, &notes[2].turn);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_str_eq(order, "aca");
}
END_TEST

START_TEST(turns_that_never_end_do_not_starve_the_loop)
{
    turns_begin();
    notes[0].again = 10;
    turn_add(&server, &notes[0].turn);
    uv_run(&loop, UV_RUN_ONCE); /* does not wait, for there is more to do */
    ck_assert_uint_gt(ran, 0);
    ck_assert_uint_lt(ran, 10);
    while (ran < 11)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert(!uv_is_active((uv_handle_t *)&server.idle) || server.turns);
}
END_TEST

/* ---- events ---------------------------------------------------------------------------------- */

struct ear {
    struct subscriber sub;
    char told[16]; /* 'y' or 'n' for each run: is this all that comes? */
    size_t n;
};

static void on_run(struct subscriber *sub, struct run *run)
{
    struct ear *ear = CONTAINER(sub, struct ear, sub);

    (void)run;
    ear->told[ear->n++] = server.telling ? 'y' : 'n';
}

/* What is heard of events of these topics, a capital letter's being as large as a run may be. */
static void expect_told(const char *topics, const char *wanted)
{
    static char bytes[64 * 1024];
    struct ear ear = { .sub.deliver = on_run };
    struct event *events[8];
    struct slice all = SLICE("#");
    size_t n = strlen(topics);

    memset(bytes, 'x', sizeof(bytes));
    ck_assert_int_eq(hub_subscribe(server.hub, &ear.sub, &all, 1), RC_OK);
    for (size_t i = 0; i < n; i++) {
        bool large = topics[i] < 'a';
        char topic[] = { (char)(topics[i] | 0x20), '\0' };
        events[i] =
            event_new(&(struct event_fields){ .epoch = "e",
                                              .seq = server.head + 1 + (int64_t)i,
                                              .topic = slice_of(topic),
                                              .data = { bytes, large ? sizeof(bytes) : 1 } });
        ck_assert_ptr_nonnull(events[i]);
    }
    server_events(&server, events, n, server.head + (int64_t)n);
    ck_assert_msg(strcmp(ear.told, wanted) == 0, "%s: %s", topics, ear.told);
    ck_assert(!server.telling);
    for (size_t i = 0; i < n; i++)
        event_unref(events[i]);
    hub_unsubscribe(server.hub, &ear.sub);
}

START_TEST(who_is_told_of_one_topic_is_told_of_all_that_has_come)
{
    expect_told("a", "y");
    expect_told("aaa", "y");
    expect_told("ab", "nn");
    expect_told("aab", "nn");
    expect_told("aba", "nnn");
    expect_told("aAa", "yyy"); /* more than one run of it */
    expect_told("aAAb", "nnnn");
}
END_TEST

/* ---- capacity ------------------------------------------------------------------------------- */

START_TEST(holds_shorten_near_the_limit_then_cease_then_are_refused)
{
    server.max_open = 1000;
    int64_t last = 25000;
    for (server.open_count = 0; server.open_count < 1000; server.open_count++) {
        struct grant g = server_grant(&server, 25000);
        ck_assert(!g.refuse);
        ck_assert_int_le(g.hold_ms, last);
        ck_assert_int_gt(g.retry_ms, 0);
        last = g.hold_ms;
        if (server.open_count < 750)
            ck_assert_int_eq(g.hold_ms, 25000);
        if (server.open_count >= 950)
            ck_assert_int_eq(g.hold_ms, 0);
    }
    struct grant g = server_grant(&server, 25000);
    ck_assert(g.refuse);
    ck_assert_int_ge(g.retry_ms, conf.retry_ms * 5);
    ck_assert_uint_eq(server.stats.refused, 1);
    server.open_count = 0;
}
END_TEST

START_TEST(retry_times_are_spread)
{
    int64_t low = INT64_MAX, high = 0;

    for (int i = 0; i < 200; i++) {
        struct grant g = server_grant(&server, 1000);
        low = g.retry_ms < low ? g.retry_ms : low;
        high = g.retry_ms > high ? g.retry_ms : high;
    }
    ck_assert_int_ge(low, conf.retry_ms / 2);
    ck_assert_int_le(high, conf.retry_ms * 3 / 2 + 1);
    ck_assert_int_gt(high - low, conf.retry_ms / 2);
}
END_TEST

START_TEST(one_request_processes_share_their_holds)
{
    char path[] = "/tmp/bellpush-server-XXXXXX";
    int fd = mkstemp(path);
    struct grant held[3];

    ck_assert_int_ge(fd, 0);
    free(conf.slots_file);
    conf.slots_file = strdup(path);
    conf.processes = 6;
    server.one_slot = true;
    for (size_t i = 0; i < 3; i++) {
        /* Each grant as another process would ask for it. */
        server.slots_fd = -1;
        held[i] = server_grant(&server, 25000);
        ck_assert_int_eq(held[i].slot, (int)i);
        ck_assert_int_eq(held[i].hold_ms, 25000);
    }
    int last = server.slots_fd;
    server.slots_fd = -1;
    struct grant g = server_grant(&server, 25000);
    ck_assert(!g.refuse);
    ck_assert_int_eq(g.hold_ms, 0);
    ck_assert_int_eq(g.slot, -1);
    ck_assert_int_ge(g.retry_ms, conf.retry_ms);
    close(last); /* as if that process had died */
    g = server_grant(&server, 25000);
    ck_assert_int_eq(g.slot, 2);
    server_grant_end(&server, &g);
    ck_assert_int_eq(g.slot, -1);
    close(fd);
    unlink(path);
}
END_TEST

START_TEST(a_draining_server_holds_nothing)
{
    server.draining = true;
    struct grant g = server_grant(&server, 25000);
    ck_assert(!g.refuse);
    ck_assert_int_eq(g.hold_ms, 0);
}
END_TEST

START_TEST(short_of_memory_it_does_without_the_journal)
{
    struct event_fields fields = { .epoch = "e", .seq = 6, .topic = SLICE("t") };
    struct event *event;

    ck_assert_int_eq(server_epoch(&server, "e", 0, 5), 5);
    event = event_new(&fields);
    ck_assert_ptr_nonnull(event);
    server_events(&server, &event, 1, 8);
    event_unref(event);
    ck_assert_uint_eq(journal_count(server.journal), 1);
    server.log.level = LOG_ERROR;
    server_no_memory(&server, "a test");
    ck_assert_uint_eq(journal_count(server.journal), 1); /* somebody may be looking */
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(journal_count(server.journal), 0);
    ck_assert_int_eq(journal_floor(server.journal), 8); /* nothing is missing above */
    ck_assert_uint_eq(server.stats.no_memory, 1);
    fields.seq = 9;
    event = event_new(&fields);
    server_events(&server, &event, 1, 9);
    event_unref(event);
    ck_assert_uint_eq(journal_count(server.journal), 1);
}
END_TEST

SUITE(server)
{
    tcase_add_checked_fixture(tc, server_make, server_unmake);
    tcase_add_test(tc, turns_run_once_in_order_before_the_loop_waits);
    tcase_add_test(tc, a_turn_may_call_for_another_and_end_others);
    tcase_add_test(tc, who_is_told_of_one_topic_is_told_of_all_that_has_come);
    tcase_add_test(tc, turns_that_never_end_do_not_starve_the_loop);
    tcase_add_test(tc, holds_shorten_near_the_limit_then_cease_then_are_refused);
    tcase_add_test(tc, retry_times_are_spread);
    tcase_add_test(tc, one_request_processes_share_their_holds);
    tcase_add_test(tc, a_draining_server_holds_nothing);
    tcase_add_test(tc, short_of_memory_it_does_without_the_journal);
}
