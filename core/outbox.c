/*
 * outbox.c - what one connection still has to send.
 *
 * outbox_send() lays the queue out as a list of pieces, each a frame head or a run of payload,
 * offers them to the kernel in one writev(), and then walks the same list again to account for
 * what was taken.  A head that was announced but not reached is forgotten: frames are cut anew
 * next time, from whatever waits by then.  Only a head that has gone out in part is kept.
 */
#include "core/outbox.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/uio.h>

struct outbox_item {
    struct event *event; /* NULL: the bytes are our own */
    const char *at;
    uint32_t len;
};

enum {
    ITEMS_FIRST = 8,
    PIECES_MAX = 64, /* per writev(); IOV_MAX is 1024 */
    FRAMES_MAX = 4,  /* new frames per writev() */
};

/* One writev() in the making. */
struct layout {
    struct iovec iov[PIECES_MAX];
    uint32_t frame_of[PIECES_MAX]; /* head pieces: payload bytes announced; payload pieces: 0 */
    bool is_head[PIECES_MAX];
    int pieces;
    uint8_t heads[FRAMES_MAX][OUTBOX_HEAD_MAX];
    int frames;
    bool trailer; /* the last head is the trailer */
};

void outbox_init(struct outbox *o)
{
    *o = (struct outbox){ 0 };
}

static struct outbox_item *item_at(struct outbox *o, uint32_t i)
{
    return &o->items[(o->first + i) & (o->cap - 1)];
}

static void item_release(struct outbox_item *item)
{
    if (item->event)
        event_unref(item->event);
    else
        free((void *)(uintptr_t)item->at);
}

static void queue_free(struct outbox *o)
{
    free(o->items);
    o->items = NULL;
    o->first = o->count = o->cap = 0;
}

void outbox_fini(struct outbox *o)
{
    for (uint32_t i = 0; i < o->count; i++)
        item_release(item_at(o, i));
    queue_free(o);
    outbox_init(o);
}

static struct outbox_item *item_new(struct outbox *o)
{
    if (o->count == o->cap) {
        uint32_t cap = o->cap ? o->cap * 2 : ITEMS_FIRST;
        struct outbox_item *items = malloc(cap * sizeof(*items));
        if (!items)
            return NULL;
        for (uint32_t i = 0; i < o->count; i++)
            items[i] = *item_at(o, i);
        free(o->items);
        o->items = items;
        o->cap = cap;
        o->first = 0;
    }
    o->count++;
    return item_at(o, o->count - 1);
}

enum rc outbox_put(struct outbox *o, struct slice bytes)
{
    if (bytes.len == 0)
        return RC_OK;
    if (bytes.len > UINT32_MAX)
        return RC_LIMIT;
    char *copy = malloc(bytes.len);
    if (!copy)
        return RC_NOMEM;
    struct outbox_item *item = item_new(o);
    if (!item) {
        free(copy);
        return RC_NOMEM;
    }
    memcpy(copy, bytes.at, bytes.len);
    *item = (struct outbox_item){ NULL, copy, (uint32_t)bytes.len };
    o->bytes += bytes.len;
    return RC_OK;
}

enum rc outbox_lend(struct outbox *o, struct event *event, struct slice bytes)
{
    if (bytes.len == 0)
        return RC_OK;
    if (bytes.len > UINT32_MAX)
        return RC_LIMIT;
    struct outbox_item *item = item_new(o);
    if (!item)
        return RC_NOMEM;
    *item = (struct outbox_item){ event_ref(event), bytes.at, (uint32_t)bytes.len };
    o->bytes += bytes.len;
    return RC_OK;
}

static void piece_add(struct layout *l, const void *at, size_t len, bool is_head, uint32_t frame)
{
    l->iov[l->pieces] = (struct iovec){ (void *)(uintptr_t)at, len };
    l->is_head[l->pieces] = is_head;
    l->frame_of[l->pieces] = frame;
    l->pieces++;
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

static void lay_out(struct layout *l, struct outbox *o, outbox_frame_fn *frame, void *arg)
{
    size_t waiting = o->bytes, left = frame ? o->frame_left : SIZE_MAX;
    uint32_t off = o->off;

    l->pieces = l->frames = 0;
    l->trailer = false;
    if (o->head_off < o->head_len)
        piece_add(l, o->head + o->head_off, (size_t)(o->head_len - o->head_off), true,
                  o->frame_left);
    for (uint32_t i = 0; i < o->count && l->pieces < PIECES_MAX;) {
        if (left == 0 && !frame_add(l, o, waiting, frame, arg, &left))
            return;
        if (l->pieces == PIECES_MAX)
            return;
        const struct outbox_item *item = item_at(o, i);
        size_t len = item->len - off < left ? item->len - off : left;
        piece_add(l, item->at + off, len, false, 0);
        waiting -= len;
        left -= frame ? len : 0;
        off += (uint32_t)len;
        if (off == item->len) {
            off = 0;
            i++;
        }
    }
    if (frame && waiting == 0)
        frame_add(l, o, 0, frame, arg, &left);
}

/* n payload bytes of the first item have been sent. */
static void payload_sent(struct outbox *o, size_t n, bool framed)
{
    struct outbox_item *item = item_at(o, 0);

    o->off += (uint32_t)n;
    o->bytes -= n;
    if (framed)
        o->frame_left -= (uint32_t)n;
    if (o->off < item->len)
        return;
    item_release(item);
    o->first = (o->first + 1) & (o->cap - 1);
    o->off = 0;
    if (--o->count == 0)
        queue_free(o);
}

/* A head has been sent, whole or its first n bytes. */
static void head_sent(struct outbox *o, const struct layout *l, int piece, size_t n)
{
    const struct iovec *iov = &l->iov[piece];

    o->frame_left = l->frame_of[piece];
    if (l->trailer && piece == l->pieces - 1)
        o->finished = true;
    if (n == iov->iov_len) {
        o->head_len = o->head_off = 0;
    } else if (iov->iov_base == o->head + o->head_off) { /* was a remainder already */
        o->head_off = (uint8_t)(o->head_off + n);
    } else {
        memcpy(o->head, iov->iov_base, iov->iov_len);
        o->head_len = (uint8_t)iov->iov_len;
        o->head_off = (uint8_t)n;
    }
}

enum rc outbox_send(struct outbox *o, int fd, outbox_frame_fn *frame, void *arg)
{
    struct layout l;

    for (;;) {
        lay_out(&l, o, frame, arg);
        if (l.pieces == 0)
            return RC_OK;
        ssize_t sent = writev(fd, l.iov, l.pieces);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? RC_AGAIN : RC_CLOSED;
        size_t left = (size_t)sent;
        for (int i = 0; i < l.pieces && left > 0; i++) {
            size_t n = left < l.iov[i].iov_len ? left : l.iov[i].iov_len;
            if (l.is_head[i])
                head_sent(o, &l, i, n);
            else
                payload_sent(o, n, frame != NULL);
            left -= n;
        }
    }
}
