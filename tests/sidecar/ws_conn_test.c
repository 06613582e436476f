/*
 * ws_conn_test.c - a WebSocket on the loop: what it does with time, memory and the manners of its
 * peer, with limits small enough to be waited for.  What it makes of frames: ws_echo_test.c.
 */
#include "sidecar/ws_conn.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "sidecar/http1_conn.h"
#include "sidecar/ws_deflate.h"
#include "tests/peers/process.h"
#include "tests/peers/ws_client.h"
#include "tests/stand/stand.h"
#include "tests/suite.h"

enum { DEADLINE_MS = 20000, SOON_MS = 150, TALKS_MAX = 16 };

/* What the handler has heard on a connection. */
static struct talk {
    struct request *request; /* NULL: over */
    size_t messages;
    struct buf last;
    bool gone, drained;
} talks[TALKS_MAX];

static size_t n_talks;
static struct ws_share share;
static struct porch_limits limits;
static int64_t ping_ms;

/* ---- the stand: a handler of our own -----------------------------------------------------------
 */

static void on_message(void *owner, enum message_kind kind, struct slice message)
{
    struct talk *t = owner;

    (void)kind;
    t->messages++;
    t->last.len = 0;
    buf_put(&t->last, message);
    if (slice_is(message, SLICE("quiet")))
        reply_deafen(t->request, true);
    else if (slice_is(message, SLICE("bye")))
        reply_close(t->request, 4001, "as you wish");
}

static void on_gone(void *owner)
{
    struct talk *t = owner;

    t->gone = true;
    t->request = NULL;
}

static void on_drain(void *owner)
{
    struct talk *t = owner;

    t->drained = true;
    reply_close(t->request, 1012, "drain");
}

static const struct reply_ops talk_ops = { .message = on_message,
                                           .gone = on_gone,
                                           .drain = on_drain };

static void serve(struct request *r)
{
    struct talk *t = &talks[n_talks];
    const char *why;

    if (!slice_is(r->head->path, SLICE("/ws"))) {
        stand_serve(r);
        return;
    }
    ck_assert_uint_lt(n_talks++, TALKS_MAX);
    ck_assert_int_eq(r->ops->socket->refuses(r, &why), 0);
    t->request = r;
    reply_upgrade(r, SLICE_NONE, SLICE_NONE);
    reply_hold(r, &talk_ops, t);
}

static enum rc on_open(struct porch *porch, const struct porch_socket *by, int fd,
                       const struct sockaddr_storage *peer, bool surplus)
{
    (void)by;
    (void)peer;
    return conn_open(porch, fd, NULL, &http1_protocol, surplus);
}

static struct porch *ws_stand(struct server *server, int fd, const struct porch_limits *l)
{
    static const struct porch_ops ops = { .open = on_open,
                                          .stop = conn_porch_stop,
                                          .close = conn_porch_close };

    server->serve = serve;
    stand.conf.ws_ping_ms = ping_ms;
    ck_assert_int_eq(ws_share_init(&share, &stand.conf) == RC_OK, 1);
    struct porch *porch = porch_new(server, &ops, &share, &(struct porch_socket){ .fd = fd }, 1, l);
    ws_share_watch(&share, porch);
    return porch;
}

static void open_stand(void)
{
    stand_open(ws_stand, &limits);
    stand.server.serve = serve;
}

static void set_up(void)
{
    limits = (struct porch_limits){ .max_conns = 100,
                                    .surplus = 1,
                                    .head_ms = 60000,
                                    .body_ms = 60000,
                                    .next_ms = 60000,
                                    .flush_ms = 60000,
                                    .unfinished = 64 << 20 };
    ping_ms = 3600000;
}

/* Clients are gone by now; their connections will be. */
static void tear_down(void)
{
    int64_t until = now_ms() + DEADLINE_MS;

    while (stand.porch->count > 0 && now_ms() < until)
        stand_pump();
    ck_assert_uint_eq(stand.porch->count, 0);
    ck_assert_uint_eq(stand.porch->unfinished, 0);
    if (share.rules.deflate)
        ck_assert_uint_eq(ws_inflates_out(share.rules.deflate), 0);
    for (size_t i = 0; i < n_talks; i++) {
        ck_assert_ptr_eq(talks[i].request, NULL); /* each has heard of its end */
        buf_fini(&talks[i].last);
    }
    ws_share_fini(&share);
    stand_close();
}

/* ---- clients, in the same process
 * ---------------------------------------------------------------- */

#define UNTIL(condition, c)                                                                        \
    do {                                                                                           \
        int64_t until_ = now_ms() + DEADLINE_MS;                                                   \
        while (!(condition)) {                                                                     \
            ck_assert_msg(now_ms() < until_, "waited in vain for " #condition);                    \
            stand_pump();                                                                          \
            ws_client_step(c);                                                                     \
        }                                                                                          \
    } while (0)

static struct ws_client *client(const char *extensions)
{
    struct ws_client *c = ws_client_new(&(struct ws_client_ask){
        .path = stand.path, .target = "/push/ws", .extensions = extensions });
    size_t had = n_talks;

    UNTIL(n_talks > had && ws_client_status(c) == 101, c);
    ck_assert_ptr_eq(ws_client_wrong(c), NULL);
    return c;
}

static struct ws_message hear(struct ws_client *c)
{
    struct ws_message m;

    UNTIL(ws_client_next(c, &m), c);
    return m;
}

/* The server closes with this code; then its end of the connection. */
static void expect_closed(struct ws_client *c, unsigned code)
{
    struct ws_message m;

    UNTIL((ws_client_next(c, &m), ws_client_over(c)), c);
    ck_assert_uint_eq(ws_client_code(c), code);
    ck_assert_ptr_eq(ws_client_wrong(c), NULL);
    ws_client_free(c);
}

/* ---- time
 * ---------------------------------------------------------------------------------------- */

START_TEST(a_message_must_be_finished_in_time)
{
    limits.body_ms = SOON_MS;
    open_stand();
    struct ws_client *idle = client(NULL), *head = client(NULL), *fragment = client(NULL),
                     *packed = client("permessage-deflate");

    ws_client_bytes(head, SLICE("\x81"));
    ws_client_frame(fragment, FRAME_TEXT, FRAME_MORE, SLICE("frag"));
    ws_client_frame(packed, FRAME_TEXT, FRAME_RSV1 + FRAME_MORE, SLICE("\xF2"));
    expect_closed(head, 1008);
    expect_closed(fragment, 1008);
    expect_closed(packed, 1008);
    ck_assert(!talks[0].gone && talks[1].gone && talks[2].gone && talks[3].gone);
    ws_client_free(idle);
}
END_TEST

/* Sends for so long, the end of one message and the beginning of the next together.  False: closed
   after a pause that this machine made (our process did not run), so that it was late indeed. */
static bool sent_without_pause(struct ws_client *c, const struct talk *t, int64_t ms)
{
    int64_t last = now_ms(), until = last + ms;

    ws_client_frame(c, FRAME_TEXT, FRAME_MORE, SLICE("be"));
    for (size_t sent = 1; last < until; sent++) {
        struct buf both = BUF_EMPTY;
        ws_frame_put(&both, FRAME_CONT, 0, SLICE("gun"));
        ws_frame_put(&both, FRAME_TEXT, FRAME_MORE, SLICE("be"));
        ws_client_bytes(c, buf_slice(&both));
        buf_fini(&both);
        UNTIL(t->messages == sent || t->gone, c);
        int64_t pause = now_ms() - last, late = (int64_t)limits.body_ms;
        if (t->gone && pause >= late / 2)
            return false;
        ck_assert_msg(!t->gone, "closed with %u after %zu messages", ws_client_code(c), sent);
        last += pause;
    }
    return true;
}

/* The clock is that of a message, not of a connection that always has one under way. */
START_TEST(who_sends_without_pause_is_not_late)
{
    limits.body_ms = 2 * SOON_MS;
    open_stand();
    struct ws_client *c = client(NULL);
    struct talk *t = &talks[0];

    for (; !sent_without_pause(c, t, 6 * SOON_MS); t++) {
        ws_client_free(c);
        c = client(NULL);
    }
    size_t before = t->messages;
    ws_client_frame(c, FRAME_CONT, 0, SLICE("gun"));
    UNTIL(t->messages == before + 1, c);
    ck_assert(slice_is(buf_slice(&t->last), SLICE("begun")));
    ws_client_free(c);
}
END_TEST

/* A client that answers pings; returns how many there were. */
static size_t answer_pings(struct ws_client *c)
{
    struct ws_message m;
    size_t pings = 0;

    ws_client_step(c);
    while (ws_client_next(c, &m)) {
        ck_assert_uint_eq(m.opcode, FRAME_PING);
        ws_client_frame(c, FRAME_PONG, 0, m.data);
        pings++;
    }
    return pings;
}

START_TEST(a_silent_peer_is_pinged_and_then_given_up)
{
    ping_ms = 2 * SOON_MS;
    open_stand();
    struct ws_client *dead = client(NULL), *lives = client(NULL), *chats = client(NULL);
    struct ws_message m;
    size_t pings = 0, pinged = 0;
    int64_t until = now_ms() + DEADLINE_MS;

    while (now_ms() < until && (pings < 3 || !ws_client_over(dead))) {
        stand_pump();
        ws_client_step(dead);
        pinged += ws_client_next(dead, &m) && m.opcode == FRAME_PING;
        pings += answer_pings(lives);
        ws_client_frame(chats, FRAME_PONG, 0, SLICE_NONE); /* as good a sign of life as any */
        ck_assert_uint_eq(answer_pings(chats), 0);
    }
    ck_assert_uint_ge(pings, 3);
    ck_assert_uint_eq(pinged, 1);
    ck_assert(talks[0].gone && !talks[1].gone && !talks[2].gone);
    ck_assert(ws_client_over(dead));
    ws_client_free(dead);
    ws_client_free(lives);
    ws_client_free(chats);
}
END_TEST

/* ---- memory
 * -------------------------------------------------------------------------------------- */

START_TEST(all_unfinished_messages_together_are_limited)
{
    limits.unfinished = 1 << 20;
    open_stand();
    struct ws_client *c[4];
    static char much[400 << 10];

    for (size_t i = 0; i < LENGTH(c); i++)
        c[i] = client(NULL);
    for (size_t i = 0; i < LENGTH(c); i++) { /* the one that is too much is told to come back */
        ws_client_frame(c[i], FRAME_BINARY, FRAME_MORE, (struct slice){ much, sizeof(much) });
        ws_client_frame(c[i], FRAME_PING, 0, SLICE("there?"));
        struct ws_message m = hear(c[i]);
        ck_assert_uint_le(stand.porch->unfinished, limits.unfinished);
        if (m.opcode == FRAME_CLOSE) {
            ck_assert_uint_eq(ws_client_code(c[i]), 1013);
            expect_closed(c[i], 1013);
            c[i] = NULL;
        }
    }
    ck_assert_ptr_ne(c[0], NULL);
    ck_assert_ptr_eq(c[3], NULL);
    ws_client_frame(c[0], FRAME_CONT, 0, SLICE("."));
    UNTIL(talks[0].messages == 1, c[0]);
    ck_assert_uint_eq(talks[0].last.len, sizeof(much) + 1);
    for (size_t i = 0; i < LENGTH(c); i++)
        ws_client_free(c[i]);
}
END_TEST

START_TEST(who_is_not_listened_to_waits_and_loses_nothing)
{
    open_stand();
    struct ws_client *c = client(NULL);
    struct buf many = BUF_EMPTY;

    ws_client_say(c, FRAME_TEXT, SLICE("quiet"));
    for (size_t i = 0; i < 20000; i++)
        ws_frame_put(&many, FRAME_TEXT, 0, SLICE("and this, and that, and something else"));
    ws_client_bytes(c, buf_slice(&many));
    UNTIL(talks[0].messages > 0, c);
    for (size_t i = 0; i < 100; i++) {
        stand_pump();
        ws_client_step(c);
    }
    ck_assert_uint_eq(talks[0].messages, 1);
    ck_assert(!ws_client_flush(c, 50)); /* the kernel is full, for nobody reads */
    reply_deafen(talks[0].request, false);
    UNTIL(talks[0].messages == 20001, c);
    ws_client_free(c);
    buf_fini(&many);
}
END_TEST

/* ---- endings
 * ------------------------------------------------------------------------------------- */

START_TEST(the_handler_hears_of_every_end)
{
    open_stand();
    struct ws_client *leaves = client(NULL), *says = client(NULL), *breaks = client(NULL),
                     *drops = client(NULL);

    ws_client_free(leaves);
    ws_client_frame(drops, FRAME_TEXT, FRAME_MORE, SLICE("half a mess"));
    ws_client_close(says, 1001, "going");
    ws_client_frame(breaks, FRAME_TEXT, FRAME_BARE, SLICE("no mask"));
    expect_closed(says, 1001);
    expect_closed(breaks, 1002);
    for (size_t i = 0; i < 20; i++) {
        stand_pump();
        ws_client_step(drops);
    }
    ws_client_free(drops);
    int64_t until = now_ms() + DEADLINE_MS;
    while (now_ms() < until && !(talks[0].gone && talks[1].gone && talks[2].gone && talks[3].gone))
        stand_pump();
    ck_assert(talks[0].gone && talks[1].gone && talks[2].gone && talks[3].gone);
}
END_TEST

START_TEST(the_handler_may_end_it_with_a_code)
{
    open_stand();
    struct ws_client *c = client(NULL);

    ws_client_say(c, FRAME_TEXT, SLICE("bye"));
    ws_client_say(c, FRAME_TEXT, SLICE("one more thing"));
    struct ws_message m = hear(c);
    ck_assert_uint_eq(m.opcode, FRAME_CLOSE);
    ck_assert_str_eq(ws_client_reason(c), "as you wish");
    talks[0].request = NULL; /* ended by us: no gone() */
    expect_closed(c, 4001);
    ck_assert_uint_eq(talks[0].messages, 1);
}
END_TEST

START_TEST(what_was_queued_goes_before_the_close)
{
    open_stand();
    struct ws_client *c = client(NULL);
    static char much[300000];

    reply_message(talks[0].request, MESSAGE_BINARY, (struct slice){ much, sizeof(much) });
    reply_message(talks[0].request, MESSAGE_TEXT, SLICE("the end"));
    reply_close(talks[0].request, 1000, "");
    talks[0].request = NULL;
    ck_assert_uint_eq(hear(c).data.len, sizeof(much));
    ck_assert(slice_is(hear(c).data, SLICE("the end")));
    expect_closed(c, 1000);
}
END_TEST

/* ---- what is said to many
 * ------------------------------------------------------------------------ */

static enum rc encode_data(const struct event *event, const void *with, struct buf *out)
{
    buf_put(out, event_fields(event)->data);
    return buf_rc(out);
}

static const struct encoder data_alone = { ENC_JSON, encode_data, NULL };

START_TEST(an_event_is_framed_once_for_all_with_the_same_terms)
{
    open_stand();
    struct ws_client *c[] = { client(NULL), client(NULL), client("permessage-deflate"),
                              client("permessage-deflate"),
                              client("permessage-deflate; server_max_window_bits=9") };
    struct buf data = BUF_EMPTY;
    size_t sizes[LENGTH(c) + 1];

    for (size_t i = 0; i < 500; i++)
        buf_printf(&data, "{\"id\":%zu},", i);
    struct event *event = event_new(&(struct event_fields){
        .epoch = "e", .seq = 1, .topic = SLICE("t"), .data = buf_slice(&data) });
    struct run alone = run_of(&event, 1);
    struct block *bytes;
    sizes[0] = event_size(event);
    for (size_t i = 0; i < LENGTH(c); i++) {
        ck_assert_int_eq(reply_bytes(talks[i].request, &alone, &data_alone, &bytes), RC_OK);
        reply_lend(talks[i].request, bytes);
        sizes[i + 1] = event_size(event);
    }
    ck_assert_uint_gt(sizes[1], sizes[0] + data.len); /* clear, */
    ck_assert_uint_eq(sizes[2], sizes[1]);
    ck_assert_uint_gt(sizes[3], sizes[2]); /* for 15 bits, */
    ck_assert_uint_lt(sizes[3], sizes[2] + data.len);
    ck_assert_uint_eq(sizes[4], sizes[3]);
    ck_assert_uint_gt(sizes[5], sizes[4]); /* for 9 */
    event_unref(event);
    for (size_t i = 0; i < LENGTH(c); i++) {
        struct ws_message m = hear(c[i]);
        ck_assert_int_eq(m.packed, i >= 2);
        ck_assert_uint_eq(m.opcode, FRAME_TEXT);
        ck_assert(slice_is(m.data, buf_slice(&data)));
        ck_assert_ptr_eq(ws_client_wrong(c[i]), NULL);
        ws_client_free(c[i]);
    }
    buf_fini(&data);
}
END_TEST

START_TEST(a_run_is_one_block_of_many_messages)
{
    open_stand();
    struct ws_client *c[] = { client(NULL), client(NULL), client("permessage-deflate"),
                              client("permessage-deflate") };
    struct event *events[20];
    struct block *bytes[LENGTH(c)];
    char data[300];

    for (size_t i = 0; i < LENGTH(events); i++) {
        snprintf(data, sizeof(data), "%0*zu", (int)(i % 3 ? 40 : 200), i);
        events[i] = event_new(&(struct event_fields){
            .epoch = "e", .seq = (int64_t)i + 1, .topic = SLICE("t"), .data = slice_of(data) });
        ck_assert_ptr_nonnull(events[i]);
    }
    struct run run = run_of(events, LENGTH(events));
    for (size_t i = 0; i < LENGTH(c); i++) {
        ck_assert_int_eq(reply_bytes(talks[i].request, &run, &data_alone, &bytes[i]), RC_OK);
        reply_lend(talks[i].request, bytes[i]);
    }
    ck_assert_ptr_eq(bytes[0], bytes[1]); /* of each kind one, for everybody */
    ck_assert_ptr_eq(bytes[2], bytes[3]);
    ck_assert_ptr_ne(bytes[0], bytes[2]);
    run_fini(&run);
    for (size_t i = 0; i < LENGTH(events); i++)
        event_unref(events[i]);
    for (size_t i = 0; i < LENGTH(c); i++) {
        for (size_t k = 0; k < LENGTH(events); k++) {
            struct ws_message m = hear(c[i]);
            snprintf(data, sizeof(data), "%0*zu", (int)(k % 3 ? 40 : 200), k);
            ck_assert_uint_eq(m.opcode, FRAME_TEXT);
            ck_assert(slice_is(m.data, slice_of(data)));
        }
        ck_assert_ptr_eq(ws_client_wrong(c[i]), NULL);
        ws_client_free(c[i]);
    }
}
END_TEST

SUITE(ws_conn)
{
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_message_must_be_finished_in_time);
    tcase_add_test(tc, who_sends_without_pause_is_not_late);
    tcase_add_test(tc, a_silent_peer_is_pinged_and_then_given_up);
    tcase_add_test(tc, all_unfinished_messages_together_are_limited);
    tcase_add_test(tc, who_is_not_listened_to_waits_and_loses_nothing);
    tcase_add_test(tc, the_handler_hears_of_every_end);
    tcase_add_test(tc, the_handler_may_end_it_with_a_code);
    tcase_add_test(tc, what_was_queued_goes_before_the_close);
    tcase_add_test(tc, an_event_is_framed_once_for_all_with_the_same_terms);
    tcase_add_test(tc, a_run_is_one_block_of_many_messages);
}
