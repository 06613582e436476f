/*
 * outbox.c - what one connection still has to send.
 *
 * outbox_send() lays the queue out as a list of pieces, each a frame head or a run of payload,
 * offers them to the kernel at once, and then walks the same list again to account for what was
 * taken.  A head that was announced but not reached is forgotten: frames are cut anew next time,
 * from whatever waits by then.  Only a head that has gone out in part is kept.
 *
 * What is short is copied together and sent: for 16 events of 250 bytes a send() of 4 KB takes the
 * kernel a third less time than a writev() of 17 pieces (1.9 against 2.8 us on a unix socket), and
 * 32 events of 610 bytes to a TCP socket cost a sixth less all in all.
 */
#include "core/outbox.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* There are thousands of idle connections: all this exists only while something waits. */
struct outbox_queue {
    uint32_t first, count, cap; /* of the ring; cap is a power of two */
    uint32_t off;               /* bytes of the first block that are sent */
    uint32_t frame_left;        /* payload bytes of the announced frame that wait */
    bool bare;                  /* they belong to no frame at all */
    bool tail_due;              /* the frame's payload is sent, its tail is not */
    uint8_t head_len, head_off; /* a head (or tail) that was sent in part */
    uint8_t head[OUTBOX_HEAD_MAX];
    struct block *blocks[]; /* one reference to each */
};

enum {
    BLOCKS_FIRST = 4,
    BLOCKS_BURST = 32,    /* where few wait no longer, many do: not grown step by step */
    PIECES_MAX = 64,      /* per write; IOV_MAX is 1024 */
    FRAMES_MAX = 4,       /* new frames per write */
    TOGETHER_MAX = 32768, /* so many bytes are rather copied than pointed to */
};

/* One write in the making. */
struct layout {
    struct iovec iov[PIECES_MAX];
    uint32_t frame_of[PIECES_MAX]; /* head pieces: payload bytes announced; all others: 0 */
    bool is_head[PIECES_MAX];      /* or a tail */
    int pieces;
    size_t bytes; /* of all pieces */
    uint8_t heads[FRAMES_MAX][OUTBOX_HEAD_MAX];
    int frames;
    bool trailer; /* the last head is the trailer */
    uint8_t tail[OUTBOX_HEAD_MAX];
    size_t tail_len; /* 0: frames have none */
};

void outbox_init(struct outbox *o)
{
    *o = (struct outbox){ 0 };
}

static struct block **block_at(struct outbox_queue *q, uint32_t i)
{
    return &q->blocks[(q->first + i) & (q->cap - 1)];
}

static void queue_free(struct outbox_queue *q)
{
    for (uint32_t i = 0; q && i < q->count; i++)
        block_unref(*block_at(q, i));
    free(q);
}

void outbox_fini(struct outbox *o)
{
    if (o->is_lone)
        block_unref(o->lone);
    else
        queue_free(o->queue);
    outbox_init(o);
}

/* See that there is a queue with room for one more block; false: no memory. */
static bool queue_reserve(struct outbox *o)
{
    struct block *lone = o->is_lone ? o->lone : NULL;
    struct outbox_queue *old = lone ? NULL : o->queue, *q;

    if (old && old->count < old->cap)
        return true;
    uint32_t cap = !old ? BLOCKS_FIRST : old->cap < BLOCKS_BURST ? BLOCKS_BURST : old->cap * 2;
    q = malloc(sizeof(*q) + cap * sizeof(q->blocks[0]));
    if (!q)
        return false;
    *q = old ? *old : (struct outbox_queue){ 0 };
    q->first = 0;
    q->cap = cap;
    for (uint32_t i = 0; old && i < old->count; i++)
        q->blocks[i] = *block_at(old, i);
    if (lone)
        q->blocks[q->count++] = lone;
    free(old);
    o->queue = q;
    o->is_lone = false;
    return true;
}

/* Takes the reference, if it is RC_OK. */
static enum rc add(struct outbox *o, struct block *block)
{
    if (block->len > UINT32_MAX - o->bytes)
        return RC_LIMIT;
    if (!o->queue) {
        o->lone = block;
        o->is_lone = true;
    } else if (queue_reserve(o)) {
        *block_at(o->queue, o->queue->count++) = block;
    } else {
        return RC_NOMEM;
    }
    o->bytes += block->len;
    return RC_OK;
}

enum rc outbox_put(struct outbox *o, struct slice bytes)
{
    if (bytes.len == 0)
        return RC_OK;
    if (bytes.len > UINT32_MAX - o->bytes)
        return RC_LIMIT;
    struct block *block = block_new(bytes);
    enum rc rc = block ? add(o, block) : RC_NOMEM;
    if (rc != RC_OK)
        block_unref(block);
    return rc;
}

enum rc outbox_lend(struct outbox *o, struct block *block)
{
    enum rc rc = block->len > 0 ? add(o, block) : RC_OK;

    if (rc == RC_OK && block->len > 0)
        block_ref(block);
    return rc;
}

enum rc outbox_put_bare(struct outbox *o, struct slice bytes)
{
    bool alone = !o->queue || (!o->is_lone && o->queue->bare && o->queue->frame_left == o->bytes);

    if (!alone || bytes.len == 0)
        return outbox_put(o, bytes);
    if (!o->queue && !queue_reserve(o))
        return RC_NOMEM;
    enum rc rc = outbox_put(o, bytes);
    if (rc == RC_OK) {
        o->queue->frame_left = o->bytes;
        o->queue->bare = true;
    }
    return rc;
}

static void piece_add(struct layout *l, const void *at, size_t len, bool is_head, uint32_t frame)
{
    l->iov[l->pieces] = (struct iovec){ (void *)(uintptr_t)at, len };
    l->is_head[l->pieces] = is_head;
    l->frame_of[l->pieces] = frame;
    l->pieces++;
    l->bytes += len;
}

/* Cut the next frame, or the trailer; false when there is none to cut. */
static bool frame_add(struct layout *l, const struct outbox *o, size_t waiting,
                      outbox_frame_fn *frame, void *arg, size_t *left)
{
    if (l->frames == FRAMES_MAX || l->pieces == PIECES_MAX)
        return false;
    if (waiting == 0 && (!o->finishing || o->finished || l->trailer))
        return false;
    *left = waiting < OUTBOX_FRAME_MAX ? waiting : OUTBOX_FRAME_MAX;
    uint8_t *head = l->heads[l->frames++];
    piece_add(l, head, frame(arg, *left, head), true, (uint32_t)*left);
    l->trailer = *left == 0;
    return true;
}

/* The frame's payload is complete: its tail.  False: no room for it. */
static bool tail_add(struct layout *l)
{
    if (l->tail_len > 0 && l->pieces == PIECES_MAX)
        return false;
    if (l->tail_len > 0)
        piece_add(l, l->tail, l->tail_len, true, 0);
    return true;
}

static void lay_out(struct layout *l, struct outbox *o, outbox_frame_fn *frame, void *arg)
{
    struct outbox_queue *q = o->queue;
    size_t waiting = o->bytes, left = frame ? q->frame_left : SIZE_MAX;
    bool bare = q->bare;
    uint32_t off = q->off;

    l->pieces = l->frames = 0;
    l->bytes = 0;
    l->trailer = false;
    l->tail_len = frame && o->tailed ? frame(arg, OUTBOX_TAIL, l->tail) : 0;
    if (q->head_off < q->head_len)
        piece_add(l, q->head + q->head_off, (size_t)(q->head_len - q->head_off), true,
                  q->frame_left);
    else if (q->tail_due)
        (void)tail_add(l);
    for (uint32_t i = 0; i < q->count && l->pieces < PIECES_MAX;) {
        if (left == 0 && !frame_add(l, o, waiting, frame, arg, &left))
            return;
        if (l->pieces == PIECES_MAX)
            return;
        const struct block *block = *block_at(q, i);
        size_t len = block->len - off < left ? block->len - off : left;
        piece_add(l, block->bytes + off, len, false, 0);
        waiting -= len;
        left -= frame ? len : 0;
        off += (uint32_t)len;
        if (off == block->len) {
            off = 0;
            i++;
        }
        if (left == 0 && !bare && !tail_add(l))
            return;
        bare = bare && left > 0;
    }
    if (frame && waiting == 0)
        frame_add(l, o, 0, frame, arg, &left);
}

/* n payload bytes of the first block have been sent. */
static void payload_sent(struct outbox *o, size_t n, bool framed)
{
    struct outbox_queue *q = o->queue;
    struct block *block = *block_at(q, 0);

    q->off += (uint32_t)n;
    o->bytes -= (uint32_t)n;
    if (framed) {
        q->frame_left -= (uint32_t)n;
        q->tail_due = q->frame_left == 0 && o->tailed && !q->bare;
        q->bare = q->bare && q->frame_left > 0;
    }
    if (q->off < block->len)
        return;
    block_unref(block);
    q->first = (q->first + 1) & (q->cap - 1);
    q->off = 0;
    q->count--;
}

/* A head or a tail has been sent, whole or its first n bytes. */
static void head_sent(struct outbox *o, const struct layout *l, int piece, size_t n)
{
    const struct iovec *iov = &l->iov[piece];
    struct outbox_queue *q = o->queue;

    q->frame_left = l->frame_of[piece];
    q->tail_due = false;
    if (l->trailer && piece == l->pieces - 1)
        o->finished = true;
    if (n == iov->iov_len) {
        q->head_len = q->head_off = 0;
    } else if (iov->iov_base == q->head + q->head_off) { /* was a remainder already */
        q->head_off = (uint8_t)(q->head_off + n);
    } else {
        memcpy(q->head, iov->iov_base, iov->iov_len);
        q->head_len = (uint8_t)iov->iov_len;
        q->head_off = (uint8_t)n;
    }
}

static ssize_t offer(const struct layout *l, outbox_sink_fn *sink, void *to)
{
    char together[TOGETHER_MAX], *end = together;

    if (l->bytes > sizeof(together) || l->pieces == 1)
        return sink(to, l->iov, l->pieces, l->bytes);
    for (int i = 0; i < l->pieces; i++) {
        memcpy(end, l->iov[i].iov_base, l->iov[i].iov_len);
        end += l->iov[i].iov_len;
    }
    return sink(to, &(struct iovec){ together, l->bytes }, 1, l->bytes);
}

/* The sink that is a descriptor. */
static ssize_t to_descriptor(void *to, const struct iovec *iov, int pieces, size_t bytes)
{
    int fd = *(const int *)to;

    if (pieces > 1)
        return writev(fd, iov, pieces);
    ssize_t sent = send(fd, iov->iov_base, bytes, MSG_NOSIGNAL);
    return sent < 0 && errno == ENOTSOCK ? write(fd, iov->iov_base, bytes) : sent;
}

static void account(struct outbox *o, const struct layout *l, size_t sent, bool framed)
{
    for (int i = 0; i < l->pieces && sent > 0; i++) {
        size_t n = sent < l->iov[i].iov_len ? sent : l->iov[i].iov_len;
        if (l->is_head[i])
            head_sent(o, l, i, n);
        else
            payload_sent(o, n, framed);
        sent -= n;
    }
}

/* Why nothing was taken. */
static enum rc rc_of(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK ? RC_AGAIN : RC_CLOSED;
}

/* All of it. */
static void lone_sent(struct outbox *o)
{
    block_unref(o->lone);
    o->lone = NULL;
    o->is_lone = false;
    o->bytes = 0;
}

/* Without frames: what readers of single events have most of the time needs no list. */
static enum rc send_lone(struct outbox *o, outbox_sink_fn *sink, void *to)
{
    struct iovec all = { o->lone->bytes, o->lone->len };
    ssize_t sent;

    do
        sent = sink(to, &all, 1, all.iov_len);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return rc_of(errno);
    if ((size_t)sent == all.iov_len) {
        lone_sent(o);
    } else if (queue_reserve(o)) {
        o->queue->off = (uint32_t)sent;
        o->bytes -= (uint32_t)sent;
    } else {
        return RC_NOMEM;
    }
    return RC_OK;
}

static void parcel_add(struct parcel *p, const void *at, size_t len)
{
    p->bytes += len;
    p->iov[p->pieces++] = (struct iovec){ (void *)(uintptr_t)at, len };
}

bool outbox_pack(const struct outbox *o, outbox_frame_fn *frame, void *arg, struct parcel *p)
{
    if (!o->is_lone || (frame && (o->bytes > OUTBOX_FRAME_MAX || o->finishing)))
        return false;
    p->pieces = 0;
    p->bytes = 0;
    if (frame)
        parcel_add(p, p->head, frame(arg, o->bytes, p->head));
    parcel_add(p, o->lone->bytes, o->lone->len);
    if (frame && o->tailed)
        parcel_add(p, p->tail, frame(arg, OUTBOX_TAIL, p->tail));
    return true;
}

enum rc outbox_posted(struct outbox *o, const struct parcel *p, outbox_frame_fn *frame, void *arg)
{
    struct layout l;

    if (p->taken == (ssize_t)p->bytes) {
        lone_sent(o);
        return RC_OK;
    }
    if (p->taken < 0)
        return rc_of((int)-p->taken);
    if (!queue_reserve(o))
        return RC_NOMEM;
    lay_out(&l, o, frame, arg); /* into the same pieces */
    account(o, &l, (size_t)p->taken, frame != NULL);
    return RC_AGAIN;
}

enum rc outbox_send_to(struct outbox *o, outbox_sink_fn *sink, void *to, outbox_frame_fn *frame,
                       void *arg)
{
    struct layout l;
    enum rc rc = o->is_lone && !frame ? send_lone(o, sink, to) : RC_OK;

    if (rc != RC_OK)
        return rc;
    while (!outbox_empty(o)) {
        /* A trailer, too, may be sent in part, and must be kept. */
        if ((o->is_lone || !o->queue) && !queue_reserve(o))
            return RC_NOMEM;
        lay_out(&l, o, frame, arg);
        ssize_t sent = l.pieces > 0 ? offer(&l, sink, to) : 0;
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return rc_of(errno);
        account(o, &l, (size_t)sent, frame != NULL);
        if (o->queue->count == 0 && o->queue->head_len == o->queue->head_off &&
            !o->queue->tail_due) {
            free(o->queue);
            o->queue = NULL;
        }
        if (l.pieces == 0) /* no framer, so no trailer */
            break;
    }
    return RC_OK;
}

enum rc outbox_send(struct outbox *o, int fd, outbox_frame_fn *frame, void *arg)
{
    return outbox_send_to(o, to_descriptor, &fd, frame, arg);
}

bool outbox_amid_frame(const struct outbox *o)
{
    return o->queue && !o->is_lone &&
           (o->queue->frame_left > 0 || o->queue->head_len > 0 || o->queue->tail_due);
}
