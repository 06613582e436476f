/*
 * outbox.h - what one connection still has to send.
 *
 *      head        sent part   [own block][shared block][shared block] …    queue
 *      of frame    |<-- off -->|<---------- frame_left ---------->|
 *
 * The payload is a queue of blocks: bytes of its own (copied), or what is lent to many, with one
 * reference.  Whoever sends cuts the payload into frames: FastCGI records, HTTP chunks, or nothing
 * at all; frame() writes a head before each, and perhaps a tail behind it.  So everything that
 * waits for a socket leaves in one sendmsg(), however many events it is.  The queue exists only
 * while something waits, and not for a single block of which nothing is sent yet.
 */
#ifndef CORE_OUTBOX_H
#define CORE_OUTBOX_H

#include <sys/types.h>
#include <sys/uio.h>

#include "core/block.h"
#include "core/post.h"

enum {
    OUTBOX_HEAD_MAX = PARCEL_EDGE_MAX, /* bytes a frame head may take */
    OUTBOX_FRAME_MAX = 65528,          /* payload bytes of one frame, multiple of 8 */
};

struct outbox_queue; /* what waits, in one block; opaque */

struct outbox {
    union {
        struct outbox_queue *queue; /* NULL: no payload and no half-sent head waits */
        struct block *lone;         /* is_lone: nothing but this waits, and all of it */
    };
    uint32_t bytes; /* payload bytes that wait */
    bool is_lone;
    bool finishing, finished; /* a trailer is wanted; it has been announced */
    bool tailed;              /* frames have tails, too; set before anything is queued */
};

/*
 * Write the head of a frame of payload bytes (1 to OUTBOX_FRAME_MAX); returns the head's length.
 * payload 0: write the trailer that ends it all (outbox_finish()).  OUTBOX_TAIL: what follows a
 * frame; asked only where outbox.tailed.  NULL as a framer: no frames.
 */
#define OUTBOX_TAIL SIZE_MAX
typedef size_t outbox_frame_fn(void *arg, size_t payload, uint8_t head[OUTBOX_HEAD_MAX]);

void outbox_init(struct outbox *);
void outbox_fini(struct outbox *); /* drops everything */

/* Queue a copy of the bytes; queue a block (takes its own reference).  RC_NOMEM; RC_LIMIT: 4 GiB
   wait. */
enum rc outbox_put(struct outbox *, struct slice) MUST_USE;
enum rc outbox_lend(struct outbox *, struct block *) MUST_USE;

/* A copy that goes out before any frame: only when nothing waits, but for more of the kind. */
enum rc outbox_put_bare(struct outbox *, struct slice) MUST_USE;

/* Nothing more will be queued: after the last payload the framer's trailer follows, in the same
   write. */
static inline void outbox_finish(struct outbox *o)
{
    o->finishing = true;
}

/* Does nothing at all wait, not even a head? */
static inline bool outbox_empty(const struct outbox *o)
{
    return !o->queue && (!o->finishing || o->finished);
}

/* Has a frame been sent in part, so that other bytes must not come between? */
bool outbox_amid_frame(const struct outbox *);

/*
 * Send what waits to a non-blocking descriptor (socket, pipe or file; SIGPIPE is ignored).
 * RC_OK: all is sent.  RC_AGAIN: the peer takes no more now.  RC_CLOSED: the peer is gone.
 * RC_NOMEM.
 */
enum rc outbox_send(struct outbox *, int fd, outbox_frame_fn *, void *arg) MUST_USE;

/*
 * The same to somebody else: pieces, bytes in all of them.  sink() returns as send() does, -1 with
 * errno; what it did not take is offered again later, but perhaps cut otherwise.
 */
typedef ssize_t outbox_sink_fn(void *to, const struct iovec *, int pieces, size_t bytes);
enum rc outbox_send_to(struct outbox *, outbox_sink_fn *, void *to, outbox_frame_fn *,
                       void *arg) MUST_USE;

/*
 * For who sends for many in one call: put all that waits into a parcel, which points into the
 * outbox until outbox_posted() says what became of it, as outbox_send() does.  False: it is not
 * just one block that fits a frame; send it otherwise.
 */
bool outbox_pack(const struct outbox *, outbox_frame_fn *, void *arg, struct parcel *) MUST_USE;
enum rc outbox_posted(struct outbox *, const struct parcel *, outbox_frame_fn *,
                      void *arg) MUST_USE;

#endif
