/*
 * once.c - the keys under which a publish takes place once, however often it is sent.
 */
#include "handlers/once.h"

#include <sodium.h>

#include "core/text.h"

static void put_words(struct buf *out, const struct slice *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%zu:", words[i].len);
        buf_put(out, words[i]);
    }
}

void once_scope(const struct visit *v, struct buf *out)
{
    const struct who *who = v->who;
    const struct rights_fields *f = who->rights ? rights_fields(who->rights) : NULL;

    if (who->has_key) {
        buf_puts(out, "key");
    } else if (f && f->subject.len > 0) {
        buf_puts(out, "subject");
        put_words(out, (struct slice[]){ f->issuer, f->subject }, 2);
    } else {
        buf_puts(out, "other");
        gate_put_who(v->server->gate, out, who, &v->credentials, SLICE_NONE);
        if (f) {
            put_words(out, (struct slice[]){ f->issuer, f->token_id }, 2);
            put_words(out, f->filters[VERB_PUBLISH].at, f->filters[VERB_PUBLISH].n);
        }
    }
}

void once_key(const char *kind, const struct slice *words, size_t n, char out[ONCE_LEN + 1])
{
    crypto_generichash_state hash;
    unsigned char digest[32];

    crypto_generichash_init(&hash, NULL, 0, sizeof(digest));
    for (size_t i = 0; i < n; i++) {
        uint64_t len = words[i].len;
        crypto_generichash_update(&hash, (unsigned char *)&len, sizeof(len));
        if (len > 0)
            crypto_generichash_update(&hash, (const unsigned char *)words[i].at, len);
    }
    crypto_generichash_final(&hash, digest, sizeof(digest));
    memcpy(out, kind, 3);
    sodium_bin2hex(out + 3, ONCE_LEN + 1 - 3, digest, sizeof(digest));
}
