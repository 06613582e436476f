/*
 * encode.h - the wire forms of an event, and of what a stream says about itself.
 *
 *      JSON
 * {"id":"EPOCH-SEQ","topic":"…","type":"…","data":"…","time":"2026-11-21T05:00:00.123456Z",
 *               "content_type":"…","publisher_id":"…","retained":true,"encoding":"base64"}
 *      CLOUD   a CloudEvent (cloudevent.h)
 *      SSE     id: EPOCH-SEQ          event: …          topic: …          data: …
 *
 * What an event does not have is absent.  Data that is not UTF-8 travels as base64, and says so.
 */
#ifndef HANDLERS_ENCODE_H
#define HANDLERS_ENCODE_H

#include "core/conf.h"
#include "core/event.h"
#include "core/follow.h"

/* How each form is made.  conf: the same for all. */
struct encoder encode_as(enum encoding, const struct conf *);

/*
 * Append the JSON object that tells of a gap; no newline.  from and next are cursors; from is empty
 * when it is not known where the reader was.
 */
void encode_gap(struct buf *, enum gap_reason, const char *from, const char *next);

/* Append the JSON object of a heartbeat, which may tell the place to go on from; "": it does not.
 */
void encode_beat(struct buf *, const char *cursor);

/* Append the JSON object that tells of a reader's rights: reason is "expiring", "expired" or
   "revoked"; ends_us: when they end, 0: has no time. */
void encode_auth(struct buf *, const char *reason, int64_t ends_us);

/* "2026-11-21T05:00:00.123456Z" and a NUL.  Times outside of years 1 to 9999 are pulled inside. */
enum { ENCODE_TIME_MAX = 27 };
void encode_time(int64_t time_us, char out[ENCODE_TIME_MAX + 1]);

#endif
