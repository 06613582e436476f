/*
 * outbox_test.c - what one connection still has to send.
 *
 * The kernel here is __wrap_writev() and __wrap_send(): it takes as many bytes as its script
 * allows, so that a send can be cut at every position.
 */
#include "core/outbox.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/suite.h"

static struct {
    struct buf taken;
    size_t room;  /* bytes that it still takes */
    size_t calls; /* calls that took something */
    int error;    /* instead */
} kernel;

ssize_t __wrap_writev(int fd, const struct iovec *iov, int n);
ssize_t __real_writev(int fd, const struct iovec *iov, int n);

ssize_t __wrap_writev(int fd, const struct iovec *iov, int n)
{
    size_t before = kernel.taken.len;

    if (fd != -1)
        return __real_writev(fd, iov, n);
    if (kernel.error || kernel.room == 0) {
        errno = kernel.error ? kernel.error : EAGAIN;
        return -1;
    }
    kernel.calls++;
    for (int i = 0; i < n && kernel.room > 0; i++) {
        size_t len = iov[i].iov_len < kernel.room ? iov[i].iov_len : kernel.room;
        buf_put(&kernel.taken, (struct slice){ iov[i].iov_base, len });
        kernel.room -= len;
    }
    return (ssize_t)(kernel.taken.len - before);
}

ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags);
ssize_t __real_send(int fd, const void *bytes, size_t len, int flags);

ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags)
{
    struct iovec all = { (void *)(uintptr_t)bytes, len };
    return fd == -1 ? __wrap_writev(fd, &all, 1) : __real_send(fd, bytes, len, flags);
}

static void kernel_reset(size_t room)
{
    buf_fini(&kernel.taken);
    kernel.room = room;
    kernel.calls = 0;
    kernel.error = 0;
}

/* "<N>" before N bytes of payload, "<end>" as the trailer. */
static size_t bracket_frame(void *arg, size_t payload, uint8_t head[OUTBOX_HEAD_MAX])
{
    (void)arg;
    return (size_t)snprintf((char *)head, OUTBOX_HEAD_MAX, payload ? "<%zu>" : "<end>", payload);
}

/* Undo the frames: the payload, and whether the end was seen. */
static void unframe(const struct buf *wire, struct buf *payload, bool *end)
{
    *end = false;
    for (size_t i = 0; i < wire->len;) {
        ck_assert_msg(!*end, "bytes after the trailer");
        ck_assert_int_eq(wire->at[i], '<');
        if (wire->len - i >= 5 && memcmp(wire->at + i, "<end>", 5) == 0) {
            *end = true;
            i += 5;
            continue;
        }
        char *after;
        size_t len = strtoul(wire->at + i + 1, &after, 10);
        ck_assert_int_eq(*after, '>');
        ck_assert_uint_gt(len, 0);
        i = (size_t)(after + 1 - wire->at);
        ck_assert_uint_le(i + len, wire->len);
        buf_put(payload, (struct slice){ wire->at + i, len });
        i += len;
    }
}

static struct block *block_of(const char *text)
{
    struct block *b = block_new(slice_of(text));
    ck_assert_ptr_nonnull(b);
    return b;
}

static void lend(struct outbox *o, struct block *b)
{
    ck_assert_int_eq(outbox_lend(o, b), RC_OK);
}

START_TEST(all_that_waits_leaves_in_one_write_and_one_frame)
{
    struct outbox o;
    struct block *b = block_of("shared");

    outbox_init(&o);
    kernel_reset(1000);
    ck_assert_int_eq(outbox_put(&o, SLICE("own,")), RC_OK);
    for (int i = 0; i < 16; i++)
        lend(&o, b);
    ck_assert_uint_eq(o.bytes, 4 + 16 * 6);
    ck_assert_int_eq(outbox_send(&o, -1, bracket_frame, NULL), RC_OK);
    ck_assert_uint_eq(kernel.calls, 1);
    ck_assert_int_eq(memcmp(kernel.taken.at, "<100>own,sharedshared", 21), 0);
    ck_assert(outbox_empty(&o));
    ck_assert_ptr_null(o.queue); /* nothing is kept while nothing waits */
    block_unref(b);
    outbox_fini(&o);
}
END_TEST

START_TEST(a_send_cut_anywhere_goes_on_where_it_was_cut)
{
    static const char *const pieces[] = { "head", "first event", "second", "x", "the last one" };
    size_t whole = 0;

    for (size_t first = 0; first == 0 || first < whole; first++) {
        struct outbox o;
        struct buf payload = BUF_EMPTY, expected = BUF_EMPTY;
        bool end;

        outbox_init(&o);
        kernel_reset(first ? first : 1000);
        for (size_t i = 0; i < LENGTH(pieces); i++) {
            struct block *b = block_of(pieces[i]);
            buf_puts(&expected, pieces[i]);
            if (i == 3) /* something comes while the first frame is under way */
                (void)!outbox_send(&o, -1, bracket_frame, NULL);
            if (i % 2)
                lend(&o, b);
            else
                ck_assert_int_eq(outbox_put(&o, slice_of(pieces[i])), RC_OK);
            block_unref(b);
        }
        outbox_finish(&o);
        while (outbox_send(&o, -1, bracket_frame, NULL) == RC_AGAIN)
            kernel.room = 1; /* and from there byte by byte */
        unframe(&kernel.taken, &payload, &end);
        ck_assert(end);
        ck_assert(slice_is(buf_slice(&payload), buf_slice(&expected)));
        ck_assert(outbox_empty(&o));
        if (first == 0)
            whole = kernel.taken.len;
        buf_fini(&payload);
        buf_fini(&expected);
        outbox_fini(&o);
    }
    ck_assert_uint_gt(whole, 40);
}
END_TEST

START_TEST(a_shared_block_is_held_until_its_last_byte_is_sent)
{
    struct block *b = block_of("a run of events");

    for (size_t cut = 1; cut < b->len; cut++) {
        struct outbox slow, gone;
        outbox_init(&slow);
        outbox_init(&gone);
        lend(&slow, b);
        lend(&gone, b);
        ck_assert_uint_eq(b->refs, 3);
        kernel_reset(cut);
        ck_assert_int_eq(outbox_send(&slow, -1, NULL, NULL), RC_AGAIN);
        ck_assert_uint_eq(slow.bytes, b->len - cut);
        ck_assert_uint_eq(b->refs, 3);
        kernel.room = b->len;
        ck_assert_int_eq(outbox_send(&slow, -1, NULL, NULL), RC_OK);
        ck_assert(slice_is(buf_slice(&kernel.taken), block_slice(b)));
        ck_assert_uint_eq(b->refs, 2);
        outbox_fini(&gone);
        ck_assert_uint_eq(b->refs, 1);
        outbox_fini(&slow);
    }
    block_unref(b);
}
END_TEST

START_TEST(a_single_block_waits_without_a_queue)
{
    struct block *b = block_of("one event");
    struct outbox o;

    outbox_init(&o);
    lend(&o, b);
    ck_assert(o.is_lone);
    ck_assert(!outbox_amid_frame(&o));
    kernel_reset(0);
    ck_assert_int_eq(outbox_send(&o, -1, NULL, NULL), RC_AGAIN);
    ck_assert(o.is_lone);
    ck_assert_int_eq(outbox_put(&o, SLICE(", two")), RC_OK); /* no longer alone */
    ck_assert(!o.is_lone);
    kernel_reset(100);
    ck_assert_int_eq(outbox_send(&o, -1, NULL, NULL), RC_OK);
    ck_assert(slice_is(buf_slice(&kernel.taken), SLICE("one event, two")));
    ck_assert(outbox_empty(&o));
    lend(&o, b);
    kernel_reset(100);
    ck_assert_int_eq(outbox_send(&o, -1, bracket_frame, NULL), RC_OK);
    ck_assert(slice_is(buf_slice(&kernel.taken), SLICE("<9>one event")));
    lend(&o, b);
    outbox_finish(&o);
    kernel_reset(100);
    ck_assert_int_eq(outbox_send(&o, -1, bracket_frame, NULL), RC_OK);
    ck_assert(slice_is(buf_slice(&kernel.taken), SLICE("<9>one event<end>")));
    ck_assert_uint_eq(b->refs, 1);
    block_unref(b);
    outbox_fini(&o);
}
END_TEST

START_TEST(more_than_a_frame_and_more_pieces_than_a_write_arrive_whole)
{
    struct outbox o;
    struct buf big = BUF_EMPTY, expected = BUF_EMPTY, payload = BUF_EMPTY;
    bool end;

    outbox_init(&o);
    kernel_reset(SIZE_MAX);
    for (int i = 0; i < 300000; i++)
        buf_putc(&big, (char)('a' + i % 23));
    struct block *b = block_of("small");
    for (int i = 0; i < 200; i++) {
        lend(&o, b);
        buf_puts(&expected, "small");
    }
    ck_assert_int_eq(outbox_put(&o, buf_slice(&big)), RC_OK);
    buf_put(&expected, buf_slice(&big));
    outbox_finish(&o);
    ck_assert_int_eq(outbox_send(&o, -1, bracket_frame, NULL), RC_OK);
    unframe(&kernel.taken, &payload, &end);
    ck_assert(end);
    ck_assert(slice_is(buf_slice(&payload), buf_slice(&expected)));
    block_unref(b);
    buf_fini(&big);
    buf_fini(&expected);
    buf_fini(&payload);
    outbox_fini(&o);
}
END_TEST

START_TEST(without_a_framer_the_payload_is_all_there_is)
{
    struct outbox o;

    outbox_init(&o);
    kernel_reset(3);
    ck_assert_int_eq(outbox_put(&o, SLICE("hello ")), RC_OK);
    ck_assert_int_eq(outbox_put(&o, SLICE("world")), RC_OK);
    ck_assert_int_eq(outbox_send(&o, -1, NULL, NULL), RC_AGAIN);
    ck_assert_uint_eq(o.bytes, 8);
    kernel.room = 100;
    ck_assert_int_eq(outbox_send(&o, -1, NULL, NULL), RC_OK);
    ck_assert(slice_is(buf_slice(&kernel.taken), SLICE("hello world")));
    outbox_fini(&o);
}
END_TEST

START_TEST(a_trailer_alone_is_sent_once)
{
    struct outbox o;

    outbox_init(&o);
    kernel_reset(2);
    outbox_finish(&o);
    ck_assert(!outbox_empty(&o));
    ck_assert_int_eq(outbox_send(&o, -1, bracket_frame, NULL), RC_AGAIN);
    ck_assert(!outbox_empty(&o));
    kernel.room = 100;
    ck_assert_int_eq(outbox_send(&o, -1, bracket_frame, NULL), RC_OK);
    ck_assert_int_eq(outbox_send(&o, -1, bracket_frame, NULL), RC_OK);
    ck_assert(slice_is(buf_slice(&kernel.taken), SLICE("<end>")));
    ck_assert(outbox_empty(&o));
    outbox_fini(&o);
}
END_TEST

START_TEST(a_peer_that_is_gone_is_told_apart_from_one_that_is_full)
{
    struct outbox o;

    outbox_init(&o);
    kernel_reset(0);
    ck_assert_int_eq(outbox_put(&o, SLICE("x")), RC_OK);
    ck_assert_int_eq(outbox_send(&o, -1, bracket_frame, NULL), RC_AGAIN);
    kernel.error = EPIPE;
    ck_assert_int_eq(outbox_send(&o, -1, bracket_frame, NULL), RC_CLOSED);
    kernel.error = ECONNRESET;
    ck_assert_int_eq(outbox_send(&o, -1, bracket_frame, NULL), RC_CLOSED);
    outbox_fini(&o);
}
END_TEST

START_TEST(a_pipe_is_served_like_a_socket)
{
    struct outbox o;
    char got[16] = "";
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    outbox_init(&o);
    ck_assert_int_eq(outbox_put(&o, SLICE("over ")), RC_OK);
    ck_assert_int_eq(outbox_put(&o, SLICE("a pipe")), RC_OK);
    ck_assert_int_eq(outbox_send(&o, fds[1], NULL, NULL), RC_OK);
    ck_assert(outbox_empty(&o));
    ck_assert_int_eq(read(fds[0], got, sizeof(got) - 1), 11);
    ck_assert_str_eq(got, "over a pipe");
    close(fds[0]);
    ck_assert_int_eq(outbox_put(&o, SLICE("nobody")), RC_OK);
    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(outbox_send(&o, fds[1], NULL, NULL), RC_CLOSED);
    close(fds[1]);
    outbox_fini(&o);
}
END_TEST

/* The same with a tail behind each frame: "<N>", N bytes, ";". */
static size_t tailed_frame(void *arg, size_t payload, uint8_t head[OUTBOX_HEAD_MAX])
{
    if (payload != OUTBOX_TAIL)
        return bracket_frame(arg, payload, head);
    head[0] = ';';
    return 1;
}

/* Undo those: what was bare, the payload, and whether the end was seen. */
static void untail(const struct buf *wire, struct buf *bare, struct buf *payload, bool *end)
{
    struct buf framed = BUF_EMPTY;
    size_t i = 0;

    while (i < wire->len && wire->at[i] != '<')
        buf_putc(bare, wire->at[i++]);
    while (i < wire->len) { /* leave the tails out, and see that they are there */
        size_t len = strtoul(wire->at + i + 1, NULL, 10); /* of "<end>": 0 */
        const char *close = memchr(wire->at + i, '>', wire->len - i);
        ck_assert_ptr_nonnull(close);
        size_t all = (size_t)(close + 1 - (wire->at + i)) + len;
        ck_assert_uint_le(i + all, wire->len);
        buf_put(&framed, (struct slice){ wire->at + i, all });
        i += all;
        if (len > 0) {
            ck_assert_uint_lt(i, wire->len);
            ck_assert_int_eq(wire->at[i++], ';');
        }
    }
    unframe(&framed, payload, end);
    buf_fini(&framed);
}

START_TEST(frames_with_tails_after_something_bare_can_be_cut_anywhere)
{
    static const char *const pieces[] = { "first event", "second", "x", "the last one" };
    size_t whole = 0;

    for (size_t first = 0; first == 0 || first < whole; first++) {
        struct outbox o;
        struct buf bare = BUF_EMPTY, payload = BUF_EMPTY;
        bool end;

        outbox_init(&o);
        o.tailed = true;
        kernel_reset(first ? first : 1000);
        ck_assert_int_eq(outbox_put_bare(&o, SLICE("interim,")), RC_OK);
        ck_assert_int_eq(outbox_put_bare(&o, SLICE("head")), RC_OK);
        for (size_t i = 0; i < LENGTH(pieces); i++) {
            if (i == 2) /* something comes while the first frame is under way */
                (void)!outbox_send(&o, -1, tailed_frame, NULL);
            ck_assert_int_eq(outbox_put(&o, slice_of(pieces[i])), RC_OK);
        }
        outbox_finish(&o);
        while (outbox_send(&o, -1, tailed_frame, NULL) == RC_AGAIN)
            kernel.room = 1; /* and from there byte by byte */
        untail(&kernel.taken, &bare, &payload, &end);
        ck_assert(end);
        ck_assert(slice_is(buf_slice(&bare), SLICE("interim,head")));
        ck_assert(slice_is(buf_slice(&payload), SLICE("first eventsecondxthe last one")));
        ck_assert(outbox_empty(&o));
        ck_assert_ptr_null(o.queue);
        if (first == 0)
            whole = kernel.taken.len;
        buf_fini(&bare);
        buf_fini(&payload);
        outbox_fini(&o);
    }
    ck_assert_uint_gt(whole, 50);
}
END_TEST

START_TEST(a_tail_leaves_in_the_same_write_as_its_frame)
{
    struct outbox o;

    outbox_init(&o);
    o.tailed = true;
    kernel_reset(1000);
    ck_assert_int_eq(outbox_put_bare(&o, SLICE("head")), RC_OK);
    ck_assert_int_eq(outbox_put(&o, SLICE("one")), RC_OK);
    ck_assert_int_eq(outbox_send(&o, -1, tailed_frame, NULL), RC_OK);
    ck_assert(!outbox_amid_frame(&o));
    ck_assert_int_eq(outbox_put(&o, SLICE("three")), RC_OK);
    ck_assert_int_eq(outbox_send(&o, -1, tailed_frame, NULL), RC_OK);
    ck_assert(slice_is(buf_slice(&kernel.taken), SLICE("head<3>one;<5>three;")));
    ck_assert_uint_eq(kernel.calls, 2);
    outbox_fini(&o);
}
END_TEST

/* Whatever number of pieces there is, and wherever that makes a write end. */
START_TEST(many_pieces_with_tails_arrive_whole)
{
    for (size_t n = 50; n < 140; n++) {
        struct outbox o;
        struct buf bare = BUF_EMPTY, payload = BUF_EMPTY, piece = BUF_EMPTY;
        bool end;

        outbox_init(&o);
        o.tailed = true;
        kernel_reset(SIZE_MAX);
        for (size_t i = 0; i < 1100; i++)
            buf_putc(&piece, 'p');
        ck_assert_int_eq(outbox_put_bare(&o, SLICE("head")), RC_OK);
        for (size_t i = 0; i < n; i++)
            ck_assert_int_eq(outbox_put(&o, buf_slice(&piece)), RC_OK);
        outbox_finish(&o);
        ck_assert_int_eq(outbox_send(&o, -1, tailed_frame, NULL), RC_OK);
        untail(&kernel.taken, &bare, &payload, &end);
        ck_assert(end);
        ck_assert_uint_eq(bare.len, 4);
        ck_assert_uint_eq(payload.len, n * 1100);
        buf_fini(&bare);
        buf_fini(&payload);
        buf_fini(&piece);
        outbox_fini(&o);
    }
}
END_TEST

/* Whoever sends a parcel, and takes it in part: what follows goes on from there. */
START_TEST(a_parcel_cut_anywhere_goes_on_where_it_was_cut)
{
    static outbox_frame_fn *const framers[] = { NULL, bracket_frame, tailed_frame };
    static const char *const wire[] = { "an event", "<8>an event", "<8>an event;" };
    struct block *b = block_of("an event");

    for (size_t taken = 0; taken <= strlen(wire[_i]); taken++) {
        struct parcel p;
        struct outbox o;
        enum rc rc = taken == strlen(wire[_i]) ? RC_OK : RC_AGAIN;

        outbox_init(&o);
        o.tailed = framers[_i] == tailed_frame;
        kernel_reset(1000);
        lend(&o, b);
        ck_assert(outbox_pack(&o, framers[_i], NULL, &p));
        ck_assert_uint_eq(p.bytes, strlen(wire[_i]));
        for (size_t i = 0, left = taken; i < (size_t)p.pieces; i++) {
            size_t len = p.iov[i].iov_len < left ? p.iov[i].iov_len : left;
            buf_put(&kernel.taken, (struct slice){ p.iov[i].iov_base, len });
            left -= len;
        }
        p.taken = taken ? (ssize_t)taken : -EAGAIN;
        ck_assert_int_eq(outbox_posted(&o, &p, framers[_i], NULL), rc);
        ck_assert(outbox_empty(&o) == (rc == RC_OK));
        ck_assert_int_eq(outbox_send(&o, -1, framers[_i], NULL), RC_OK);
        ck_assert(slice_is(buf_slice(&kernel.taken), slice_of(wire[_i])));
        ck_assert(outbox_empty(&o));
        ck_assert_uint_eq(b->refs, 1);
        outbox_fini(&o);
    }
    block_unref(b);
}
END_TEST

START_TEST(only_a_block_that_is_all_that_waits_is_a_parcel)
{
    char large[OUTBOX_FRAME_MAX + 2];
    struct block *b = block_of("an event"), *l;
    struct outbox o;
    struct parcel p;

    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    l = block_of(large);
    outbox_init(&o);
    ck_assert(!outbox_pack(&o, NULL, NULL, &p)); /* nothing */
    lend(&o, l);
    ck_assert(!outbox_pack(&o, bracket_frame, NULL, &p)); /* too much for a frame */
    ck_assert(outbox_pack(&o, NULL, NULL, &p));           /* but for nothing else */
    p.taken = -EPIPE;
    ck_assert_int_eq(outbox_posted(&o, &p, NULL, NULL), RC_CLOSED);
    lend(&o, b);
    ck_assert(!outbox_pack(&o, NULL, NULL, &p)); /* two */
    outbox_fini(&o);
    lend(&o, b);
    outbox_finish(&o);
    ck_assert(!outbox_pack(&o, bracket_frame, NULL, &p)); /* and a trailer */
    outbox_fini(&o);
    block_unref(b);
    block_unref(l);
}
END_TEST

SUITE(outbox)
{
    tcase_add_loop_test(tc, a_parcel_cut_anywhere_goes_on_where_it_was_cut, 0, 3);
    tcase_add_test(tc, only_a_block_that_is_all_that_waits_is_a_parcel);
    tcase_add_test(tc, frames_with_tails_after_something_bare_can_be_cut_anywhere);
    tcase_add_test(tc, a_tail_leaves_in_the_same_write_as_its_frame);
    tcase_add_test(tc, many_pieces_with_tails_arrive_whole);
    tcase_add_test(tc, a_pipe_is_served_like_a_socket);
    tcase_add_test(tc, all_that_waits_leaves_in_one_write_and_one_frame);
    tcase_add_test(tc, a_send_cut_anywhere_goes_on_where_it_was_cut);
    tcase_add_test(tc, a_shared_block_is_held_until_its_last_byte_is_sent);
    tcase_add_test(tc, a_single_block_waits_without_a_queue);
    tcase_add_test(tc, more_than_a_frame_and_more_pieces_than_a_write_arrive_whole);
    tcase_add_test(tc, without_a_framer_the_payload_is_all_there_is);
    tcase_add_test(tc, a_trailer_alone_is_sent_once);
    tcase_add_test(tc, a_peer_that_is_gone_is_told_apart_from_one_that_is_full);
}
