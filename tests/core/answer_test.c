/*
 * answer_test.c - when answers are sent that have been lent events.
 *
 * A crowd of readers, each with an answer whose socket is a count; what happens is written down as
 * it happens: "told" and "sent", by reader.
 */
#include "core/answer.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/hub.h"
#include "tests/suite.h"

enum { CROWD = 100 }; /* several times as many as are sent to together */

static uv_loop_t loop;
static struct conf conf;
static struct server server;
static int64_t number;

static struct reader {
    struct subscriber sub;
    struct answer answer;
    size_t told, sent, turns; /* events; those that had been queued when it was sent to; turns */
    size_t tries;
    size_t moment; /* how many had been told of everything when it was sent to */
    enum rc gives; /* what its socket says */
    void (*act)(struct reader *);
} crowd[CROWD];

static size_t told;
static int sockets[2];

static enum rc op_send(struct request *r)
{
    struct reader *reader = CONTAINER(r, struct reader, answer.request);

    reader->tries++;
    if (reader->gives != RC_OK)
        return reader->gives;
    reader->sent = reader->told;
    reader->moment = told;
    outbox_fini(&reader->answer.out);
    return RC_OK;
}

/* The socket takes everything; what it says comes after. */
static bool op_pack(struct request *r, struct parcel *parcel)
{
    parcel->fd = sockets[0];
    parcel->bytes = 1;
    parcel->iov[0] = (struct iovec){ parcel->head, 1 };
    parcel->pieces = 1;
    return true;
}

static enum rc op_posted(struct request *r, const struct parcel *parcel)
{
    ck_assert_int_eq(parcel->taken, 1);
    return op_send(r);
}

static const struct request_ops one_by_one = { .send = op_send },
                                packing = { .send = op_send, .pack = op_pack, .posted = op_posted };

static void on_turn(struct turn *turn)
{
    struct reader *reader = CONTAINER(turn, struct reader, answer.turn);

    reader->turns++;
    reader->gives = RC_OK;
    ck_assert_int_eq(op_send(&reader->answer.request), RC_OK);
}

static void on_events(struct subscriber *sub, struct run *run)
{
    struct reader *reader = CONTAINER(sub, struct reader, sub);

    for (size_t i = 0; i < run->n; i++) {
        struct block *block = block_new(event_fields(run->events[i])->topic);
        ck_assert_ptr_nonnull(block);
        ck_assert_int_eq(answer_lend(&reader->answer.request, block), RC_OK);
        block_unref(block);
        reader->told++;
    }
    told++;
    if (reader->act)
        reader->act(reader);
}

static void crowd_make_of(const struct request_ops *ops)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(conf_init(&conf), RC_OK);
    ck_assert_int_eq(server_init(&server, &loop, &conf), RC_OK);
    ck_assert_int_eq(server_epoch(&server, "e", 0, 0), 0);
    memset(crowd, 0, sizeof(crowd));
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i].sub.deliver = on_events;
        crowd[i].answer.turn.run = on_turn;
        crowd[i].answer.request = (struct request){ .ops = ops, .server = &server };
        ck_assert_int_eq(hub_subscribe(server.hub, &crowd[i].sub, &SLICE("#"), 1), RC_OK);
    }
    number = 0;
    told = 0;
}

static void crowd_make(void)
{
    crowd_make_of(&one_by_one);
}

static void packing_crowd_make(void)
{
    crowd_make_of(&packing);
}

static void crowd_unmake(void)
{
    close(sockets[0]);
    close(sockets[1]);
    for (size_t i = 0; i < CROWD; i++) {
        hub_unsubscribe(server.hub, &crowd[i].sub);
        outbox_fini(&crowd[i].answer.out);
    }
    server_fini(&server);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    conf_fini(&conf);
}

/* Events come together, one of each topic. */
static void come(const char *const *topics, size_t n)
{
    struct event *events[8] = { NULL };

    for (size_t i = 0; i < n; i++) {
        struct event_fields f = { .epoch = "e", .seq = ++number, .topic = slice_of(topics[i]) };
        events[i] = event_new(&f);
        ck_assert_ptr_nonnull(events[i]);
    }
    server_events(&server, events, n, number);
    for (size_t i = 0; i < n; i++)
        event_unref(events[i]);
}

static void everybody_was_sent(size_t events, size_t turns)
{
    for (size_t i = 0; i < CROWD; i++) {
        ck_assert_uint_eq(crowd[i].told, events);
        ck_assert_uint_eq(crowd[i].sent, events);
        ck_assert_uint_eq(crowd[i].turns, turns);
        ck_assert(outbox_empty(&crowd[i].answer.out));
    }
}

START_TEST(readers_are_sent_to_while_others_are_still_told)
{
    size_t early = 0;

    come((const char *const[]){ "a", "a", "a" }, 3);
    everybody_was_sent(3, 0); /* each with all of it, and nobody has to wait for the turn */
    for (size_t i = 0; i < CROWD; i++)
        early += crowd[i].moment < CROWD;
    ck_assert_uint_gt(early, CROWD / 2);
    uv_run(&loop, UV_RUN_NOWAIT);
    everybody_was_sent(3, 0);
}
END_TEST

START_TEST(events_of_several_topics_leave_together_in_the_turn)
{
    come((const char *const[]){ "a", "a", "b" }, 3);
    ck_assert_uint_eq(crowd[0].told, 3);
    ck_assert_uint_eq(crowd[0].sent, 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    everybody_was_sent(3, 1);
}
END_TEST

START_TEST(who_had_something_to_send_before_sends_it_in_the_turn)
{
    ck_assert_int_eq(answer_write(&crowd[3].answer.request, SLICE("before")), RC_OK);
    come((const char *const[]){ "a" }, 1);
    ck_assert_uint_eq(crowd[3].sent, 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(crowd[3].sent, 1);
    ck_assert_uint_eq(crowd[3].turns, 1);
    ck_assert_uint_eq(crowd[4].turns, 0);
}
END_TEST

START_TEST(who_takes_no_more_is_not_tried_in_vain)
{
    crowd[3].gives = RC_AGAIN;
    ck_assert_int_eq(outbox_put(&crowd[3].answer.out, SLICE("half of it")), RC_OK);
    come((const char *const[]){ "a" }, 1);
    ck_assert_uint_eq(crowd[3].tries, 0);
    ck_assert_uint_eq(crowd[4].tries, 1);
}
END_TEST

static void wants_its_turn(struct reader *reader)
{
    turn_add(&server, &reader->answer.turn);
}

START_TEST(who_has_more_to_do_than_to_send_has_its_turn)
{
    crowd[50].act = wants_its_turn;
    come((const char *const[]){ "a" }, 1);
    ck_assert_uint_eq(crowd[50].turns, 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(crowd[50].turns, 1);
    ck_assert_uint_eq(crowd[50].sent, 1);
    ck_assert_uint_eq(crowd[51].turns, 0);
}
END_TEST

static void is_over(struct reader *reader)
{
    reader->answer.request.ended = 1;
    turn_add(&server, &reader->answer.turn);
}

static void breaks(struct reader *reader)
{
    reader->answer.request.broken = 1;
}

START_TEST(whose_reply_has_ended_or_is_broken_has_its_turn)
{
    crowd[20].act = is_over;
    crowd[70].act = breaks;
    come((const char *const[]){ "a" }, 1);
    ck_assert_uint_eq(crowd[20].sent, 0);
    ck_assert_uint_eq(crowd[70].sent, 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(crowd[20].turns, 1);
    ck_assert_uint_eq(crowd[70].turns, 1);
}
END_TEST

START_TEST(who_takes_less_than_all_or_is_gone_has_its_turn)
{
    crowd[20].gives = RC_AGAIN;
    crowd[99].gives = RC_CLOSED;
    come((const char *const[]){ "a" }, 1);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(crowd[20].turns, 1);
    ck_assert_uint_eq(crowd[99].turns, 1);
    ck_assert_uint_eq(crowd[21].turns, 0);
}
END_TEST

START_TEST(who_was_given_more_than_its_queue_may_hold_hears_of_room_in_its_turn)
{
    conf.queue_bytes = 5;
    come((const char *const[]){ "three", "three" }, 2);
    ck_assert_uint_eq(crowd[7].sent, 2);
    uv_run(&loop, UV_RUN_NOWAIT);
    everybody_was_sent(2, 1);
}
END_TEST

static void leaves(struct reader *reader)
{
    hub_unsubscribe(server.hub, &reader->sub);
    turn_cancel(&server, &reader->answer.turn);
    outbox_fini(&reader->answer.out);
}

START_TEST(who_leaves_meanwhile_is_sent_to_no_more)
{
    size_t left = 0, sent = 0;

    for (size_t i = 0; i < CROWD; i += 3, left++)
        crowd[i].act = leaves;
    come((const char *const[]){ "a" }, 1);
    for (size_t i = 0; i < CROWD; i++)
        sent += crowd[i].sent;
    ck_assert_uint_eq(sent, CROWD - left);
    uv_run(&loop, UV_RUN_NOWAIT);
    for (size_t i = 0; i < CROWD; i++)
        ck_assert_uint_eq(crowd[i].sent + crowd[i].turns, i % 3 ? 1 : 0);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, readers_are_sent_to_while_others_are_still_told);
    tcase_add_test(tc, events_of_several_topics_leave_together_in_the_turn);
    tcase_add_test(tc, who_had_something_to_send_before_sends_it_in_the_turn);
    tcase_add_test(tc, who_takes_no_more_is_not_tried_in_vain);
    tcase_add_test(tc, who_has_more_to_do_than_to_send_has_its_turn);
    tcase_add_test(tc, whose_reply_has_ended_or_is_broken_has_its_turn);
    tcase_add_test(tc, who_takes_less_than_all_or_is_gone_has_its_turn);
    tcase_add_test(tc, who_was_given_more_than_its_queue_may_hold_hears_of_room_in_its_turn);
    tcase_add_test(tc, who_leaves_meanwhile_is_sent_to_no_more);
}

SUITE(answer)
{
    tcase_add_checked_fixture(tc, crowd_make, crowd_unmake);
    fill(tc);
}

SUITE(answer_packed)
{
    tcase_add_checked_fixture(tc, packing_crowd_make, crowd_unmake);
    fill(tc);
}
