/*
 * stream.h - one open stream, for the routes (streams.c) and for those who converse over one
 * (talk.h).
 *
 * Everything that a reader needs while it is open is here once: its place and what it was told of
 * it, heartbeats, slowness, the end of its rights, the end of its hold, how each is told.  A
 * conversation embeds a stream and sets `talks`: it may then be without filters at first, and what
 * concerns it is handed on to talk.c.
 */
#ifndef HANDLERS_STREAM_H
#define HANDLERS_STREAM_H

#include "handlers/face.h"
#include "handlers/query.h"
#include "handlers/visit.h"

struct stream {
    struct request *request;
    struct follow follow;
    struct alarm alarm; /* the next heartbeat, look at a stalled reader, or end of the hold */
    int64_t told;       /* the place that the client knows; -1: none */
    uint32_t bytes;     /* payload so far, low bits: stream_bytes is at most 2 GiB */
    uint32_t taken;     /* stalled: low bits of what the client had taken when last looked at */
    uint32_t wrote_ms;  /* loop time of the last write, low bits */
    uint32_t ends_ms;   /* loop time at which the hold is over, low bits */
    uint32_t retry_ms;  /* of server_grant(): for the end of the hold */
    int16_t slot;       /* of server_grant(); -1: none */
    uint8_t face;
    bool limited_hold : 1; /* ends_ms counts */
    bool no_hold : 1;      /* end as soon as the past is told */
    bool stalled : 1;      /* something waits since the alarm before */
    bool paused : 1;       /* the follower waits for room */
    bool starting : 1;     /* within follow_start(): do not free */
    bool expiring : 1;     /* its client has been told that its rights will end */
    bool over : 1;
    bool talks : 1; /* part of a struct talk */
};

_Static_assert(sizeof(struct stream) <= 184, "a thousand streams are a thousand of these");

/*
 * Open one: count it, begin the reply, hold it.  q: its topics, which may be none, and
 * where to begin; protocol: it becomes a WebSocket of this subprotocol (perhaps empty); NULL: none.
 * False: refused and answered; *s is as it was.  True: open; it may be over already (s->over), and
 * what there is to free is the caller's.
 */
bool stream_open(const struct visit *, struct stream *, const struct query *,
                 const struct slice *protocol) MUST_USE;

/* HEAD: how it would begin. */
void stream_head(const struct visit *, enum face_name, const struct query *);

/* --- for talk.c ---------------------------------------------------------------------------- */

/* Begin to follow: it has had no filters until now, or no longer.  As follow_start(); s->over may
   be set by it. */
enum rc stream_follow(struct stream *, const struct slice *filters, size_t n,
                      const struct since *) MUST_USE;

/* An event of the past that does not move the stream's place.  As follow_ops.event. */
enum rc stream_tell(struct stream *, struct event *) MUST_USE;
enum rc stream_tell_gap(struct stream *, enum gap_reason, int64_t from, int64_t next) MUST_USE;

/* Say something of its own. */
void stream_say(struct stream *, struct buf *text); /* takes the text */

/* It is somebody else now (who has been exchanged): when must its rights be looked at next? */
void stream_rights_changed(struct stream *);

void stream_cursor(const struct stream *, char out[CURSOR_TEXT_MAX + 1]); /* "": not known yet */

/* Say why, where to go on, and close.  The stream is freed, unless it is just starting. */
void stream_finish(struct stream *, enum end_reason);
/* The same without a word: the caller ends the reply. */
void stream_drop(struct stream *);

#endif
