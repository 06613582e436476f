/*
 * signature.c - what the schemes share, and the table of them.
 *
 * A scheme reads its headers into struct check; most then have nothing of their own but a recipe:
 * the pieces that are signed, and the hash.  First the signature, then the clock: only who knows
 * the secret learns that a delivery is too old.
 */
#include "handlers/signature_priv.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/text.h"

enum {
    TOLERANCE_S = 300,
    TOLERANCE_MAX_S = 86400 * 7,
    QUOTE_MAX = 100,
};

#define TIMESTAMP_MAX INT64_C(99999999999) /* seconds; milliseconds have two digits more */

bool check_fails(struct check *c, enum signature_word word, const char *format, ...)
{
    va_list arguments;

    c->out->word = word;
    va_start(arguments, format);
    vsnprintf(c->out->why, sizeof(c->out->why), format, arguments);
    va_end(arguments);
    return false;
}

static bool no_memory(struct check *c)
{
    return check_fails(c, SIGNATURE_NOMEM, "out of memory");
}

static int shown(struct slice s)
{
    return (int)(s.len < QUOTE_MAX ? s.len : QUOTE_MAX);
}

/* ---- headers and options --------------------------------------------------------------------- */

bool check_header_if_any(struct check *c, struct slice name, struct slice *out)
{
    if (delivery_header(c->delivery, name, out) == RC_LIMIT)
        return check_fails(c, SIGNATURE_MALFORMED, "the header %.*s is there twice", shown(name),
                           name.at);
    return true;
}

bool check_header(struct check *c, struct slice name, struct slice *out)
{
    if (!check_header_if_any(c, name, out))
        return false;
    if (out->len == 0)
        return check_fails(c, SIGNATURE_MISSING, "it has no header %.*s", shown(name), name.at);
    return true;
}

bool check_option(struct check *c, const char *name, struct slice *out)
{
    const json_t *value = json_object_get(c->options, name);

    *out = SLICE_NONE;
    if (!value)
        return true;
    if (!json_is_string(value))
        return check_fails(c, SIGNATURE_UNUSABLE, "its option \"%s\" is not text", name);
    *out = (struct slice){ json_string_value(value), json_string_length(value) };
    return true;
}

static bool read_tolerance(struct check *c)
{
    const json_t *value = json_object_get(c->options, "tolerance");

    c->tolerance_s = TOLERANCE_S;
    if (!value)
        return true;
    c->tolerance_s = json_integer_value(value);
    if (!json_is_integer(value) || c->tolerance_s < 1 || c->tolerance_s > TOLERANCE_MAX_S)
        return check_fails(c, SIGNATURE_UNUSABLE,
                           "its option \"tolerance\" is not a number of seconds up to a week");
    return true;
}

/* ---- signatures ------------------------------------------------------------------------------ */

static bool decode(enum encoding_of_mac encoding, struct slice text, size_t n,
                   unsigned char out[MAC_MAX])
{
    struct buf bytes = BUF_EMPTY;
    size_t len = 0;

    if (encoding == ENCODED_HEX)
        return text.len == 2 * n &&
               sodium_hex2bin(out, n, text.at, text.len, NULL, &len, NULL) == 0 && len == n;
    bool good =
        text.len == (n + 2) / 3 * 4 && base64_decode(&bytes, text) == RC_OK && bytes.len == n;
    if (good)
        memcpy(out, bytes.at, n);
    buf_fini(&bytes);
    return good;
}

bool check_note(struct check *c, enum encoding_of_mac encoding, struct slice text, size_t n)
{
    struct candidate *next = &c->signatures[c->n];

    if (c->n == SIGNATURES_MAX || !decode(encoding, text, n, next->bytes))
        return false;
    next->len = n;
    c->n++;
    return true;
}

bool check_mac(struct check *c, enum mac mac, const struct slice *pieces, size_t n, bool *right)
{
    const struct slice *keys = c->keys ? c->keys : c->hook->secrets;
    size_t key_count = c->keys ? c->key_count : c->hook->n;
    unsigned char made[MAC_MAX];

    for (size_t k = 0; k < key_count; k++) {
        if (mac_make(mac, keys[k], pieces, n, made) != RC_OK)
            return no_memory(c);
        for (size_t i = 0; i < c->n; i++)
            if (c->signatures[i].len == mac_bytes(mac))
                *right |= sodium_memcmp(c->signatures[i].bytes, made, mac_bytes(mac)) == 0;
    }
    sodium_memzero(made, sizeof made);
    return true;
}

bool check_wrong(struct check *c, struct slice header)
{
    return check_fails(c, SIGNATURE_WRONG,
                       "the signature in %.*s is not that of this body by any secret of this hook",
                       shown(header), header.at);
}

/* ---- what is signed -------------------------------------------------------------------------- */

static bool piece_of(const struct check *c, struct slice name, struct slice *out)
{
    *out = slice_is(name, SLICE("body"))        ? c->delivery->body
           : slice_is(name, SLICE("timestamp")) ? c->timestamp
           : slice_is(name, SLICE("id"))        ? c->id
                                                : SLICE_NONE;
    return slice_is(name, SLICE("body")) || out->at;
}

bool check_pieces(struct check *c, struct slice signed_as, struct slice pieces[PIECES_MAX],
                  size_t *n)
{
    const char *at = signed_as.at, *end = at + signed_as.len;

    for (*n = 0; at < end; (*n)++) {
        const char *stop = memchr(at, *at == '{' ? '}' : '{', (size_t)(end - at));
        if (*n == PIECES_MAX || (*at == '{' && !stop))
            break;
        if (*at != '{') {
            pieces[*n] = (struct slice){ at, (size_t)((stop ? stop : end) - at) };
            at += pieces[*n].len;
            continue;
        }
        if (!piece_of(c, (struct slice){ at + 1, (size_t)(stop - at - 1) }, &pieces[*n]))
            break;
        at = stop + 1;
    }
    if (at < end)
        return check_fails(c, SIGNATURE_UNUSABLE,
                           "its option \"signed\" is not made of {body}, {timestamp} and {id}, or "
                           "of what it has no header for");
    return true;
}

void check_content(struct check *c, const struct slice *pieces, size_t n)
{
    crypto_hash_sha256_state state;
    unsigned char hash[crypto_hash_sha256_BYTES];

    crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < n; i++)
        crypto_hash_sha256_update(&state, (const unsigned char *)pieces[i].at, pieces[i].len);
    crypto_hash_sha256_final(&state, hash);
    sodium_bin2hex(c->out->content, sizeof(c->out->content), hash, sizeof hash);
}

bool check_time(struct check *c)
{
    int64_t at, now = c->delivery->now_s;

    if (!c->timestamp.at)
        return true;
    if (number_parse(c->timestamp, TIMESTAMP_MAX, &at) != RC_OK)
        return check_fails(c, SIGNATURE_MALFORMED,
                           "its time is not a number of seconds since 1970");
    if (at < now - c->tolerance_s)
        return check_fails(c, SIGNATURE_STALE, "too old: it was signed %lld seconds ago",
                           (long long)(now - at));
    if (at > now + c->tolerance_s)
        return check_fails(c, SIGNATURE_STALE, "it was signed %lld seconds in the future",
                           (long long)(at - now));
    return true;
}

bool check_recipe(struct check *c, const struct recipe *r, struct slice header)
{
    struct slice pieces[PIECES_MAX];
    size_t n;
    bool right = false;

    if (!check_pieces(c, r->signed_as, pieces, &n) || !check_mac(c, r->mac, pieces, n, &right))
        return false;
    if (!right)
        return check_wrong(c, header);
    check_content(c, pieces, n);
    return check_time(c);
}

bool check_id(struct check *c, struct slice id)
{
    buf_put(&c->out->id, id);
    return buf_rc(&c->out->id) == RC_OK || no_memory(c);
}

bool check_id_from(struct check *c, struct slice what)
{
    return delivery_find(c->delivery, what, &c->out->id) != RC_NOMEM || no_memory(c);
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct scheme {
    const char *name;
    bool (*check)(struct check *);
} schemes[] = {
    { "github", signature_github },     { "stripe", signature_stripe },
    { "slack", signature_slack },       { "gitlab", signature_gitlab },
    { "shopify", signature_shopify },   { "twilio", signature_twilio },
    { "standard", signature_standard }, { "websub", signature_websub },
    { "hmac", signature_hmac },         { "cloudevents", signature_cloudevents },
};

static const struct scheme *scheme_of(struct slice name)
{
    for (size_t i = 0; i < LENGTH(schemes); i++)
        if (slice_is(name, slice_of(schemes[i].name)))
            return &schemes[i];
    return NULL;
}

void signature_check(struct delivery *d, const struct hook *hook, const json_t *options,
                     struct signature *out)
{
    struct check c = { .delivery = d, .hook = hook, .options = options, .out = out };
    const struct scheme *scheme = scheme_of(hook->scheme);

    *out = (struct signature){ .word = SIGNATURE_UNUSABLE };
    if (!scheme)
        check_fails(&c, SIGNATURE_UNUSABLE, "there is no scheme %.*s here", shown(hook->scheme),
                    hook->scheme.at);
    else if (hook->n == 0)
        check_fails(&c, SIGNATURE_UNUSABLE, "it has no secret");
    else if (read_tolerance(&c) && scheme->check(&c))
        out->word = SIGNATURE_GOOD;
}

void signature_fini(struct signature *s)
{
    buf_fini(&s->id);
}
