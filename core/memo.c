/*
 * memo.c - see memo.h.
 */
#include <sodium.h>
#include <stdlib.h>

#include "core/memo.h"

enum { SLOTS = 8192, HASH_BYTES = 24 }; /* 320 kB, taken when the first answer comes */

struct slot {
    unsigned char hash[HASH_BYTES];
    int64_t until_us; /* 0: empty */
    bool may;
};

struct memo {
    unsigned char key[crypto_generichash_KEYBYTES];
    struct slot *slots; /* NULL: none came yet */
};

struct memo *memo_new(void)
{
    struct memo *m = calloc(1, sizeof(*m));

    if (m)
        randombytes_buf(m->key, sizeof(m->key));
    return m;
}

void memo_free(struct memo *m)
{
    if (!m)
        return;
    free(m->slots);
    sodium_memzero(m->key, sizeof(m->key));
    free(m);
}

void memo_clear(struct memo *m)
{
    free(m->slots);
    m->slots = NULL;
}

/* Lengths go in too, so that no two questions run together. */
static void hash_of(const struct memo *m, struct slice description, enum verb verb,
                    struct slice name, unsigned char out[HASH_BYTES])
{
    crypto_generichash_state state;
    uint64_t lengths[] = { verb, description.len, name.len };

    crypto_generichash_init(&state, m->key, sizeof(m->key), HASH_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)lengths, sizeof(lengths));
    crypto_generichash_update(&state, (const unsigned char *)description.at, description.len);
    crypto_generichash_update(&state, (const unsigned char *)name.at, name.len);
    crypto_generichash_final(&state, out, HASH_BYTES);
}

static struct slot *slot_of(const struct memo *m, const unsigned char hash[HASH_BYTES])
{
    uint32_t n;
    memcpy(&n, hash, sizeof(n));
    return &m->slots[n % SLOTS];
}

void memo_put(struct memo *m, struct slice description, enum verb verb, struct slice name, bool may,
              int64_t until_us)
{
    struct slot slot = { .until_us = until_us, .may = may };

    if (!m->slots && !(m->slots = calloc(SLOTS, sizeof(*m->slots))))
        return; /* then it is asked again */
    hash_of(m, description, verb, name, slot.hash);
    *slot_of(m, slot.hash) = slot;
}

enum word memo_get(const struct memo *m, struct slice description, enum verb verb,
                   struct slice name, int64_t now_us)
{
    unsigned char hash[HASH_BYTES];

    if (!m->slots)
        return WORD_UNKNOWN;
    hash_of(m, description, verb, name, hash);
    const struct slot *s = slot_of(m, hash);
    if (s->until_us <= now_us || sodium_memcmp(s->hash, hash, HASH_BYTES) != 0)
        return WORD_UNKNOWN;
    return s->may ? WORD_YES : WORD_NO;
}
