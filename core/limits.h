/*
 * limits.h - how much somebody may ask, and has asked.
 *
 * Somebody is a party: an address, the subject of a token, the holder of the publish key.  Two
 * things are counted for it:
 *
 *   - what flows: requests, publishes, bytes, so many a minute.  A bucket of a minute's worth,
 * which fills up again as time goes by.
 *   - what stays: replies held open.
 *
 * What flows is kept in a table of fixed size, in which the fullest bucket makes room for a new one
 * (a full bucket says nothing).  So a flood of addresses, however large, makes forgotten only who
 * has asked for less than each of them; and nobody can choose whose place it takes, because places
 * are found by a keyed hash.  What stays is kept exactly, for as long as it stays; there cannot be
 * more of it than open replies.
 *
 * One process counts for itself.  Loop thread only; calls back nowhere.
 */
#ifndef CORE_LIMITS_H
#define CORE_LIMITS_H

#include "core/address.h"

struct conf;
struct limits; /* opaque: limits.c */

/* conf: its lists of networks have been checked.  NULL: no memory. */
struct limits *limits_new(const struct conf *) MUST_USE;
void limits_free(struct limits *); /* NULL: nothing happens */

/* The configured networks: whose word about addresses counts, and who is not counted. */
const struct networks *limits_trusted(const struct limits *);
const struct networks *limits_exempt(const struct limits *);
const char *limits_forwarded_header(const struct limits *); /* in lower case */

/* --- parties -------------------------------------------------------------------------------- */

enum party_kind { PARTY_ADDRESS, PARTY_SUBJECT, PARTY_KEY, PARTY__COUNT };

#define PARTY_NONE 0 /* is not counted: nothing is refused to it */

/* Its number; the same bytes are the same number for as long as this process lives. */
uint64_t limits_party(const struct limits *, enum party_kind, struct slice name);

/* --- what flows ----------------------------------------------------------------------------- */

enum flow { FLOW_REQUESTS, FLOW_PUBLISHES, FLOW_BYTES, FLOW__COUNT };

/*
 * May it have cost more now?  0, or else the milliseconds until it may.  per_minute 0: no limit.
 * What costs more than a bucket holds may be had when that is full, and is paid off afterwards.
 * Takes nothing.
 */
int64_t limits_wait_ms(const struct limits *, uint64_t party, enum flow, int64_t per_minute,
                       int64_t cost, uint64_t now_ms);

/* It has had that: what it may have is less from now on. */
void limits_charge(struct limits *, uint64_t party, enum flow, int64_t per_minute, int64_t cost,
                   uint64_t now_ms);
/* It has not, after all. */
void limits_refund(struct limits *, uint64_t party, enum flow, int64_t per_minute, int64_t cost,
                   uint64_t now_ms);
/* A fine: whatever is in the bucket, but not more. */
void limits_fine(struct limits *, uint64_t party, enum flow, int64_t per_minute, int64_t cost,
                 uint64_t now_ms);

/* --- what stays ----------------------------------------------------------------------------- */

/*
 * One more open reply of the party, if it has less than most; *seat (not 0) is then to be given
 * back, once.  PARTY_NONE: RC_OK and seat 0, which need not be.  RC_LIMIT; RC_NOMEM.
 */
enum rc limits_sit(struct limits *, uint64_t party, size_t most, uint32_t *seat) MUST_USE;
void limits_leave(struct limits *, uint32_t seat); /* 0: nothing happens */

/* --- for the operator ----------------------------------------------------------------------- */

struct limits_view {
    size_t buckets, buckets_max; /* places taken; places there are */
    size_t seated;               /* parties that have something open */
    size_t bytes;                /* of memory, all in all */
};
void limits_look(const struct limits *, struct limits_view *);

#endif
