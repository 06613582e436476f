/*
 * post_test.c - bytes for many sockets: the same with the kernel's ring, without it, and when the
 * ring fails in the middle.
 *
 * The kernel is real, and so are the sockets; only the call that submits to the ring is watched,
 * and made to fail.
 */
#include "core/post.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef BELLPUSH_URING
#include <liburing.h>
#endif

#include "tests/suite.h"

enum { MANY = POST_MAX, FULL = 5, GONE = 9, NARROW = 13, NARROW_BYTES = 1 << 20 };

static struct post *post;
static int ours[MANY], theirs[MANY];
static struct parcel parcels[MANY];
static char text[MANY][16];
static char narrow[NARROW_BYTES];

/* ---- a ring that fails -------------------------------------------------------------------------
 */

static int ring_takes = MANY; /* of what is submitted to it; -1: it refuses */
static unsigned ring_hides;   /* of its first completions */
static unsigned ring_calls;

#ifdef BELLPUSH_URING
int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait);

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait)
{
    ring_calls++;
    if (ring_takes < 0)
        return -EAGAIN;
    unsigned n = wait < (unsigned)ring_takes ? wait : (unsigned)ring_takes;
    ring->sq.sqe_tail -= wait - n;
    int submitted = __real_io_uring_submit_and_wait(ring, n);
    io_uring_cq_advance(ring, ring_hides);
    return submitted;
}

/* Does this machine have one? */
static bool ring_is_here(void)
{
    struct io_uring ring;
    bool here = io_uring_queue_init(1, &ring, 0) == 0;

    if (here)
        io_uring_queue_exit(&ring);
    return here;
}
#else
static bool ring_is_here(void)
{
    return false;
}
#endif

/* ---- sockets -----------------------------------------------------------------------------------
 */

static void sockets_open(void)
{
    for (int i = 0; i < MANY; i++) {
        int pair[2];
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        ours[i] = pair[0];
        theirs[i] = pair[1];
    }
    ring_takes = MANY;
    ring_hides = ring_calls = 0;
}

static void sockets_close(void)
{
    for (int i = 0; i < MANY; i++) {
        close(ours[i]);
        close(theirs[i]);
    }
    post_free(post);
    post = NULL;
}

static void with_ring(void)
{
    sockets_open();
    ck_assert_ptr_nonnull(post = post_new(true));
}

static void without_ring(void)
{
    sockets_open();
    ck_assert_ptr_nonnull(post = post_new(false));
}

/* "<7>" in a head, a body and a tail. */
static void fill(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct parcel *p = &parcels[i];
        *p = (struct parcel){ .fd = ours[i], .pieces = i % 2 ? 1 : 3, .taken = 12345 };
        p->bytes = (size_t)snprintf(text[i], sizeof(text[i]), "<%u>", i);
        p->iov[0] = (struct iovec){ text[i], p->bytes };
        if (p->pieces == 3) {
            p->head[0] = '<';
            p->tail[0] = '>';
            p->iov[0] = (struct iovec){ p->head, 1 };
            p->iov[1] = (struct iovec){ text[i] + 1, p->bytes - 2 };
            p->iov[2] = (struct iovec){ p->tail, 1 };
        }
    }
}

static void arrived_once(unsigned i)
{
    char got[64];
    ssize_t n = recv(theirs[i], got, sizeof(got), 0);

    ck_assert_int_eq(n, (ssize_t)strlen(text[i]));
    ck_assert_int_eq(memcmp(got, text[i], (size_t)n), 0);
    ck_assert_int_eq(parcels[i].taken, n);
}

/* ---- what it does ------------------------------------------------------------------------------
 */

START_TEST(each_gets_its_own)
{
    for (unsigned n = 0; n <= MANY; n++) {
        fill(n);
        post_send(post, parcels, n);
        for (unsigned i = 0; i < n; i++)
            arrived_once(i);
    }
}
END_TEST

START_TEST(one_that_is_full_or_gone_or_narrow_is_in_nobodys_way)
{
    while (send(ours[FULL], narrow, sizeof(narrow), MSG_DONTWAIT) > 0)
        ;
    close(theirs[GONE]);
    fill(MANY);
    parcels[NARROW].bytes = NARROW_BYTES;
    parcels[NARROW].iov[0] = (struct iovec){ narrow, NARROW_BYTES };
    post_send(post, parcels, MANY);
    for (unsigned i = 0; i < MANY; i++)
        if (i != FULL && i != GONE && i != NARROW)
            arrived_once(i);
    ck_assert_int_eq(parcels[FULL].taken, -EAGAIN);
    ck_assert_int_eq(parcels[GONE].taken, -EPIPE); /* and no signal, or we were not here */
    ck_assert_int_gt(parcels[NARROW].taken, 0);
    ck_assert_int_lt(parcels[NARROW].taken, NARROW_BYTES);
    theirs[GONE] = dup(ours[GONE]);
}
END_TEST

START_TEST(many_go_in_one_call_and_few_alone)
{
    fill(MANY);
    post_send(post, parcels, MANY);
    for (unsigned i = 0; i < MANY; i++)
        arrived_once(i);
    ck_assert_uint_eq(ring_calls, 1);
    fill(2);
    post_send(post, parcels, 2);
    ck_assert_uint_eq(ring_calls, 1);
}
END_TEST

START_TEST(who_wants_no_ring_has_none)
{
    fill(MANY);
    post_send(post, parcels, MANY);
    ck_assert_uint_eq(ring_calls, 0);
}
END_TEST

/* As many as the ring takes go by it, the others alone, none twice; and it is not tried again. */
START_TEST(what_a_failing_ring_does_not_take_goes_alone)
{
    ring_takes = _i;
    fill(MANY);
    post_send(post, parcels, MANY);
    for (unsigned i = 0; i < MANY; i++)
        arrived_once(i);
    ring_takes = MANY;
    fill(MANY);
    post_send(post, parcels, MANY);
    for (unsigned i = 0; i < MANY; i++)
        arrived_once(i);
    ck_assert_uint_eq(ring_calls, 1);
}
END_TEST

START_TEST(where_the_ring_does_not_say_how_it_went_nothing_follows)
{
    ring_hides = 3;
    fill(MANY);
    post_send(post, parcels, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        if (i >= ring_hides) {
            arrived_once(i);
            continue;
        }
        ck_assert_int_eq(parcels[i].taken, -EIO);
        ck_assert_int_eq(send(ours[i], "again", 5, MSG_NOSIGNAL), -1);
    }
}
END_TEST

SUITE(post)
{
    tcase_add_checked_fixture(tc, with_ring, sockets_close);
    tcase_add_test(tc, each_gets_its_own);
    tcase_add_test(tc, one_that_is_full_or_gone_or_narrow_is_in_nobodys_way);
    if (ring_is_here()) {
        tcase_add_test(tc, many_go_in_one_call_and_few_alone);
        tcase_add_test(tc, where_the_ring_does_not_say_how_it_went_nothing_follows);
        tcase_add_loop_test(tc, what_a_failing_ring_does_not_take_goes_alone, -1, MANY);
    }
}

SUITE(post_alone)
{
    tcase_add_checked_fixture(tc, without_ring, sockets_close);
    tcase_add_test(tc, each_gets_its_own);
    tcase_add_test(tc, one_that_is_full_or_gone_or_narrow_is_in_nobodys_way);
    tcase_add_test(tc, who_wants_no_ring_has_none);
}
