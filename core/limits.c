/*
 * limits.c - how much somebody may ask, and has asked.
 *
 * A bucket is one number: the time at which it will be full again (the "theoretical arrival time"
 * of the generic cell rate algorithm, ITU-T I.371).  Asking moves it into the future; what lies
 * more than a minute ahead is refused.
 *
 *      ........now---------------full_ns----(now + 1 min)
 *                 what was asked          what may be
 *
 * So nothing needs to be filled up as time goes by, and the bucket that is the least loss is the
 * one with the smallest number, the fullest and the oldest alike.
 *
 * Buckets stand in rows of ROW_BUCKETS; a party's row is chosen by its number, which is a keyed
 * hash of its name (SipHash-2-4) that nobody outside can compute.  Who wants to have his own debt
 * forgotten must fill his row with parties that owe even more.
 */
#include "core/limits.h"

#include <sodium.h>
#include <stdlib.h>

#include "core/conf.h"

enum {
    ROWS = 4096,
    ROW_BUCKETS = 16, /* together 1 MiB, taken when the first is needed */
    SEATS_MIN = 64,
};

#define NS_PER_MS   INT64_C(1000000)
#define MINUTE_NS   (60000 * NS_PER_MS)
#define DEBT_MAX_NS (10000000 * MINUTE_NS) /* nineteen years */

struct bucket {
    uint64_t name; /* of party and flow; 0: empty */
    int64_t full_ns;
};

/* A party with open replies; the first of the pool is never used, so that 0 is none. */
struct seat {
    uint64_t party; /* 0: free */
    uint32_t count, next;
};

struct limits {
    unsigned char keys[PARTY__COUNT][crypto_shorthash_KEYBYTES];
    struct networks trusted, exempt;
    struct bucket *buckets; /* NULL: none was needed yet */
    size_t used;
    struct seat *seats; /* the pool; NULL: none yet */
    uint32_t *heads;    /* lists of seats by party, as many as the pool has seats */
    uint32_t room, free;
    size_t seated;
    char *header; /* forwarded_header, in lower case */
};

/* ---- life -------------------------------------------------------------------------------------
 */

struct limits *limits_new(const struct conf *conf)
{
    struct limits *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    for (size_t i = 0; i < PARTY__COUNT; i++)
        crypto_shorthash_keygen(l->keys[i]);
    l->header = slice_dup(slice_of(conf->forwarded_header));
    for (char *c = l->header; c && *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    if (l->header &&
        networks_init(&l->trusted, conf->trusted_proxies.at, conf->trusted_proxies.n) == RC_OK &&
        networks_init(&l->exempt, conf->unlimited_addresses.at, conf->unlimited_addresses.n) ==
            RC_OK)
        return l;
    limits_free(l);
    return NULL;
}

void limits_free(struct limits *l)
{
    if (!l)
        return;
    networks_fini(&l->trusted);
    networks_fini(&l->exempt);
    free(l->buckets);
    free(l->seats);
    free(l->heads);
    free(l->header);
    free(l);
}

const struct networks *limits_trusted(const struct limits *l)
{
    return &l->trusted;
}

const struct networks *limits_exempt(const struct limits *l)
{
    return &l->exempt;
}

const char *limits_forwarded_header(const struct limits *l)
{
    return l->header;
}

uint64_t limits_party(const struct limits *l, enum party_kind kind, struct slice name)
{
    unsigned char hash[crypto_shorthash_BYTES];
    uint64_t party;

    crypto_shorthash(hash, (const unsigned char *)name.at, name.len, l->keys[kind]);
    memcpy(&party, hash, sizeof(party));
    return party == PARTY_NONE ? 1 : party;
}

/* ---- what flows -------------------------------------------------------------------------------
 */

static uint64_t name_of(uint64_t party, enum flow flow)
{
    uint64_t name = party + UINT64_C(0x9e3779b97f4a7c15) * flow;
    return name == 0 ? 1 : name;
}

static struct bucket *row_of(const struct limits *l, uint64_t name)
{
    return &l->buckets[name % ROWS * ROW_BUCKETS];
}

/* NULL: it is full, as far as anybody knows. */
static struct bucket *find(const struct limits *l, uint64_t name)
{
    struct bucket *row = l->buckets ? row_of(l, name) : NULL;

    for (size_t i = 0; row && i < ROW_BUCKETS; i++)
        if (row[i].name == name)
            return &row[i];
    return NULL;
}

/* The place of the least loss: an empty one, or the fullest. */
static struct bucket *place_for(struct limits *l, uint64_t name)
{
    struct bucket *row = row_of(l, name), *best = row;

    for (size_t i = 0; i < ROW_BUCKETS && best->name; i++)
        if (!row[i].name || row[i].full_ns < best->full_ns)
            best = &row[i];
    l->used += !best->name;
    *best = (struct bucket){ .name = name };
    return best;
}

/* How long it takes until so much has flowed in again. */
static int64_t time_of(int64_t cost, int64_t per_minute)
{
    double ns = (double)cost * (double)MINUTE_NS / (double)per_minute;

    return ns < (double)DEBT_MAX_NS ? (int64_t)ns : DEBT_MAX_NS;
}

static int64_t ns_of(uint64_t ms)
{
    return (int64_t)ms * NS_PER_MS;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t limits_wait_ms(const struct limits *l, uint64_t party, enum flow flow, int64_t per_minute,
                       int64_t cost, uint64_t now_ms)
{
    const struct bucket *b = party == PARTY_NONE ? NULL : find(l, name_of(party, flow));
    int64_t now = ns_of(now_ms);

    if (!b || per_minute == 0 || b->full_ns <= now)
        return 0;
    int64_t needs = time_of(cost, per_minute);
    int64_t full = b->full_ns + (needs < MINUTE_NS ? needs : MINUTE_NS);
    return full <= now + MINUTE_NS ? 0 : (full - now - MINUTE_NS + NS_PER_MS - 1) / NS_PER_MS;
}

void limits_charge(struct limits *l, uint64_t party, enum flow flow, int64_t per_minute,
                   int64_t cost, uint64_t now_ms)
{
    uint64_t name = name_of(party, flow);

    if (party == PARTY_NONE || per_minute == 0)
        return;
    if (!l->buckets && !(l->buckets = calloc(ROWS * ROW_BUCKETS, sizeof(*l->buckets))))
        return; /* better nobody is counted than nobody is served */
    struct bucket *b = find(l, name);
    if (!b)
        b = place_for(l, name);
    b->full_ns = later(b->full_ns, ns_of(now_ms)) + time_of(cost, per_minute);
}

void limits_refund(struct limits *l, uint64_t party, enum flow flow, int64_t per_minute,
                   int64_t cost, uint64_t now_ms)
{
    struct bucket *b = find(l, name_of(party, flow));

    if (b && party != PARTY_NONE && per_minute > 0)
        b->full_ns = later(b->full_ns - time_of(cost, per_minute), ns_of(now_ms));
}

void limits_fine(struct limits *l, uint64_t party, enum flow flow, int64_t per_minute, int64_t cost,
                 uint64_t now_ms)
{
    int64_t empty = ns_of(now_ms) + MINUTE_NS;

    limits_charge(l, party, flow, per_minute, 0, now_ms);
    struct bucket *b = find(l, name_of(party, flow));
    if (!b || party == PARTY_NONE || per_minute == 0 || b->full_ns >= empty)
        return;
    b->full_ns += time_of(cost, per_minute);
    if (b->full_ns > empty)
        b->full_ns = empty;
}

/* ---- what stays -------------------------------------------------------------------------------
 */

static uint32_t *head_of(const struct limits *l, uint64_t party)
{
    return &l->heads[party % l->room];
}

/* Into the list of its party. */
static void enlist(struct limits *l, uint32_t i)
{
    uint32_t *head = head_of(l, l->seats[i].party);

    l->seats[i].next = *head;
    *head = i;
}

/* Twice the room.  Seats keep their numbers. */
static enum rc grow(struct limits *l)
{
    uint32_t room = l->room ? 2 * l->room : SEATS_MIN;
    uint32_t *heads = calloc(room, sizeof(*heads));
    struct seat *seats = heads ? realloc(l->seats, room * sizeof(*seats)) : NULL;

    if (!seats) {
        free(heads);
        return RC_NOMEM;
    }
    uint32_t before = l->room ? l->room : 1;
    free(l->heads);
    l->heads = heads;
    l->seats = seats;
    l->room = room;
    for (uint32_t i = 1; i < before; i++)
        enlist(l, i); /* it grows when all are taken */
    for (uint32_t i = room; i-- > before;) {
        seats[i] = (struct seat){ .next = l->free };
        l->free = i;
    }
    return RC_OK;
}

enum rc limits_sit(struct limits *l, uint64_t party, size_t most, uint32_t *seat)
{
    uint32_t i = 0;

    *seat = 0;
    if (party == PARTY_NONE)
        return RC_OK;
    if (l->room > 0)
        for (i = *head_of(l, party); i && l->seats[i].party != party; i = l->seats[i].next)
            ;
    if (i) {
        if (l->seats[i].count >= most)
            return RC_LIMIT;
        l->seats[i].count++;
        *seat = i;
        return RC_OK;
    }
    if (most == 0)
        return RC_LIMIT;
    if (!l->free && grow(l) != RC_OK)
        return RC_NOMEM;
    i = l->free;
    l->free = l->seats[i].next;
    l->seats[i] = (struct seat){ .party = party, .count = 1 };
    enlist(l, i);
    l->seated++;
    *seat = i;
    return RC_OK;
}

void limits_leave(struct limits *l, uint32_t i)
{
    if (i == 0 || --l->seats[i].count > 0)
        return;
    uint32_t *link = head_of(l, l->seats[i].party);
    while (*link != i)
        link = &l->seats[*link].next;
    *link = l->seats[i].next;
    l->seats[i] = (struct seat){ .next = l->free };
    l->free = i;
    l->seated--;
}

/* ---- for the operator -------------------------------------------------------------------------
 */

void limits_look(const struct limits *l, struct limits_view *view)
{
    *view = (struct limits_view){ .buckets = l->used,
                                  .buckets_max = (size_t)ROWS * ROW_BUCKETS,
                                  .seated = l->seated };
    view->bytes = sizeof(*l) + (l->buckets ? view->buckets_max * sizeof(*l->buckets) : 0) +
                  l->room * (sizeof(*l->seats) + sizeof(*l->heads));
}
