/*
 * post.c - bytes for many sockets, handed to the kernel in one system call.
 *
 * The ring is no more than a vector of sendmsg(): with MSG_DONTWAIT the kernel completes each in
 * the call that submits it, in order, and nothing stays under way.  So there is no state between
 * two calls; where the ring itself fails (for want of memory, most of all) it is given up, and what
 * it has not taken goes by plain sendmsg().
 *
 * The ring is made when it is first needed, since it belongs to the process (after fork) and to the
 * thread that sends.
 */
#include "core/post.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#ifdef BELLPUSH_URING
#include <liburing.h>
#endif

enum {
    FEW = 4, /* fewer are not worth the ring's own cost */
    UNTOLD = -EIO,
};

struct post {
    bool may_gather; /* the ring is there, or has not been tried yet */
#ifdef BELLPUSH_URING
    bool is_open;
    struct io_uring ring;
    struct msghdr messages[POST_MAX];
#endif
};

struct post *post_new(bool may_gather)
{
    struct post *p = calloc(1, sizeof(*p));

    if (p)
        p->may_gather = may_gather;
    return p;
}

static void send_alone(struct parcel *parcel)
{
    struct msghdr message = { .msg_iov = parcel->iov, .msg_iovlen = (size_t)parcel->pieces };

    do
        parcel->taken = parcel->pieces == 1
                            ? send(parcel->fd, parcel->iov[0].iov_base, parcel->iov[0].iov_len,
                                   MSG_DONTWAIT | MSG_NOSIGNAL)
                            : sendmsg(parcel->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (parcel->taken < 0 && errno == EINTR);
    if (parcel->taken < 0)
        parcel->taken = -errno;
}

#ifdef BELLPUSH_URING

/* Is there a ring? */
static bool open_ring(struct post *p)
{
    /* Those of newer kernels save locks and wake-ups; without them it does the same. */
    static const unsigned flags[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL, 0
    };

    for (size_t i = 0; !p->is_open && i < sizeof(flags) / sizeof(flags[0]); i++)
        p->is_open = io_uring_queue_init(POST_MAX, &p->ring, flags[i]) == 0;
    p->may_gather = p->is_open;
    return p->is_open;
}

static void close_ring(struct post *p)
{
    if (p->is_open)
        io_uring_queue_exit(&p->ring);
    p->is_open = p->may_gather = false;
}

static void prepare(struct post *p, struct parcel *parcels, unsigned i)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&p->ring); /* all POST_MAX are free */
    struct parcel *parcel = &parcels[i];

    if (parcel->pieces == 1) {
        io_uring_prep_send(sqe, parcel->fd, parcel->iov[0].iov_base, parcel->iov[0].iov_len,
                           MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
        p->messages[i] =
            (struct msghdr){ .msg_iov = parcel->iov, .msg_iovlen = (size_t)parcel->pieces };
        io_uring_prep_sendmsg(sqe, parcel->fd, &p->messages[i], MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    io_uring_sqe_set_data(sqe, parcel);
    parcel->taken = UNTOLD;
}

/*
 * The ring has failed: from now on each goes alone.  What it had not taken is forgotten with it;
 * where there is no word of what became of what it had taken, nothing may follow.
 */
static void give_up_ring(struct post *p, const struct parcel *parcels, unsigned submitted)
{
    for (unsigned i = 0; i < submitted; i++)
        if (parcels[i].taken == UNTOLD)
            (void)shutdown(parcels[i].fd, SHUT_RDWR);
    close_ring(p);
}

/* How many of them, from the first on, the ring has taken. */
static unsigned send_together(struct post *p, struct parcel *parcels, unsigned n)
{
    struct io_uring_cqe *done;
    unsigned head, seen = 0;

    for (unsigned i = 0; i < n; i++)
        prepare(p, parcels, i);
    int rc = io_uring_submit_and_wait(&p->ring, n);
    unsigned submitted = rc < 0 ? 0 : (unsigned)rc;
    io_uring_for_each_cqe(&p->ring, head, done)
    {
        ((struct parcel *)io_uring_cqe_get_data(done))->taken = done->res;
        seen++;
    }
    io_uring_cq_advance(&p->ring, seen);
    if (seen < n)
        give_up_ring(p, parcels, submitted);
    return submitted;
}

void post_free(struct post *p)
{
    if (p)
        close_ring(p);
    free(p);
}

void post_send(struct post *p, struct parcel *parcels, unsigned n)
{
    unsigned i = n >= FEW && p->may_gather && open_ring(p) ? send_together(p, parcels, n) : 0;

    for (; i < n; i++)
        send_alone(&parcels[i]);
}

#else

void post_free(struct post *p)
{
    free(p);
}

void post_send(struct post *p, struct parcel *parcels, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        send_alone(&parcels[i]);
}

#endif
