/*
 * signature_list.c - schemes whose header is a list of signatures, so that a sender can rotate too.
 *
 *      stripe     Stripe-Signature: t=TIME,v1=HEX,v1=HEX,v0=…          TIME.body
 *      standard   webhook-signature: v1,BASE64 v1a,BASE64              ID.TIME.body
 *
 * What is of an unknown version, or cannot be a signature, is passed over: some other may be good.
 */
#include <sodium.h>

#include "core/text.h"
#include "handlers/signature_priv.h"

/* "v1=abc" is "abc" of "v1="; absent otherwise. */
static struct slice value_of(struct slice item, struct slice name)
{
    if (item.len < name.len || memcmp(item.at, name.at, name.len) != 0)
        return SLICE_NONE;
    return (struct slice){ item.at + name.len, item.len - name.len };
}

static bool too_many(struct check *c, struct slice header)
{
    return check_fails(c, SIGNATURE_MALFORMED, "the header %.*s has more than %d signatures",
                       (int)header.len, header.at, SIGNATURES_MAX);
}

/* ---- Stripe ---------------------------------------------------------------------------------- */

static bool read_stripe(struct check *c, struct slice header)
{
    struct slice rest, item, value;
    size_t seen = 0, times = 0;

    if (!check_header(c, header, &rest))
        return false;
    while (item_next(&rest, ',', &item)) {
        if ((value = value_of(item, SLICE("t="))).at) {
            c->timestamp = value;
            times++;
        } else if ((value = value_of(item, SLICE("v1="))).at) {
            if (seen++ == SIGNATURES_MAX)
                return too_many(c, header);
            (void)!check_note(c, ENCODED_HEX, value, mac_bytes(MAC_SHA256));
        }
    }
    if (times != 1 || c->n == 0)
        return check_fails(c, SIGNATURE_MALFORMED,
                           "the header Stripe-Signature is not t=TIME,v1=SIGNATURE: one time, and "
                           "signatures of 64 hexadecimal digits");
    return true;
}

bool signature_stripe(struct check *c)
{
    static const struct recipe recipe = { MAC_SHA256, { "{timestamp}.{body}", 18 } };
    struct slice header = SLICE("Stripe-Signature");

    return read_stripe(c, header) && check_recipe(c, &recipe, header) &&
           check_id_from(c, SLICE("json.id"));
}

/* ---- Standard Webhooks ----------------------------------------------------------------------- */

struct standard {
    struct check *check;
    struct candidate public_signatures[SIGNATURES_MAX]; /* v1a */
    size_t n;
    struct buf bytes; /* the secrets, decoded; never moves */
    struct slice keys[SECRETS_MAX];
    size_t key_count;
    unsigned char points[SECRETS_MAX][crypto_sign_PUBLICKEYBYTES]; /* whpk_ */
    size_t point_count;
};

static bool read_key(struct standard *s, struct slice secret)
{
    struct slice text;
    size_t at = s->bytes.len;

    if ((text = value_of(secret, SLICE("whsec_"))).at) {
        if (base64_decode(&s->bytes, text) != RC_OK || s->bytes.len == at)
            return false;
        s->keys[s->key_count++] = (struct slice){ s->bytes.at + at, s->bytes.len - at };
        return true;
    }
    text = value_of(secret, SLICE("whpk_"));
    if (!text.at || base64_decode(&s->bytes, text) != RC_OK ||
        s->bytes.len - at != sizeof s->points[0])
        return false;
    memcpy(s->points[s->point_count++], s->bytes.at + at, sizeof s->points[0]);
    return crypto_core_ed25519_is_valid_point(s->points[s->point_count - 1]);
}

static bool read_keys(struct standard *s)
{
    const struct hook *hook = s->check->hook;
    size_t bytes = 0;

    for (size_t i = 0; i < hook->n; i++)
        bytes += hook->secrets[i].len + 4;
    if (!buf_reserve(&s->bytes, bytes))
        return check_fails(s->check, SIGNATURE_NOMEM, "out of memory");
    for (size_t i = 0; i < hook->n && i < SECRETS_MAX; i++)
        if (!read_key(s, hook->secrets[i]))
            return check_fails(s->check, SIGNATURE_UNUSABLE,
                               "its secret %zu is neither whsec_ and base64 nor whpk_ and the "
                               "base64 of an Ed25519 public key",
                               i + 1);
    return true;
}

/* v1a: noted apart, because no secret is ever tried on it, and no public key on the others. */
static void note_public(struct standard *s, struct slice text)
{
    struct check *c = s->check;

    if (check_note(c, ENCODED_BASE64, text, crypto_sign_BYTES))
        s->public_signatures[s->n++] = c->signatures[--c->n];
}

static bool read_standard(struct standard *s, struct slice header)
{
    struct check *c = s->check;
    struct slice rest, item, value;
    size_t seen = 0;

    if (!check_header(c, SLICE("webhook-id"), &c->id) ||
        !check_header(c, SLICE("webhook-timestamp"), &c->timestamp) ||
        !check_header(c, header, &rest))
        return false;
    while (item_next(&rest, ' ', &item)) {
        if (seen++ == SIGNATURES_MAX)
            return too_many(c, header);
        if ((value = value_of(item, SLICE("v1,"))).at)
            (void)!check_note(c, ENCODED_BASE64, value, mac_bytes(MAC_SHA256));
        else if ((value = value_of(item, SLICE("v1a,"))).at)
            note_public(s, value);
    }
    if (c->n + s->n == 0)
        return check_fails(c, SIGNATURE_MALFORMED,
                           "the header webhook-signature has no signature v1,BASE64 or "
                           "v1a,BASE64");
    return true;
}

static bool check_public(struct standard *s, const struct slice *pieces, size_t n, bool *right)
{
    struct buf whole = BUF_EMPTY;

    for (size_t i = 0; i < n; i++)
        buf_put(&whole, pieces[i]);
    if (buf_rc(&whole) != RC_OK) {
        buf_fini(&whole);
        return check_fails(s->check, SIGNATURE_NOMEM, "out of memory");
    }
    for (size_t k = 0; k < s->point_count; k++)
        for (size_t i = 0; i < s->n; i++)
            *right |= crypto_sign_verify_detached(s->public_signatures[i].bytes,
                                                  (const unsigned char *)whole.at, whole.len,
                                                  s->points[k]) == 0;
    buf_fini(&whole);
    return true;
}

static bool check_standard(struct standard *s)
{
    struct check *c = s->check;
    struct slice header = SLICE("webhook-signature"), pieces[PIECES_MAX];
    size_t n;
    bool right = false;

    if (!read_keys(s) || !read_standard(s, header))
        return false;
    c->keys = s->keys;
    c->key_count = s->key_count;
    if (!check_pieces(c, SLICE("{id}.{timestamp}.{body}"), pieces, &n) ||
        !check_mac(c, MAC_SHA256, pieces, n, &right) ||
        (s->n > 0 && s->point_count > 0 && !check_public(s, pieces, n, &right)))
        return false;
    if (!right)
        return check_wrong(c, header);
    check_content(c, pieces, n);
    return check_time(c) && check_id(c, c->id);
}

bool signature_standard(struct check *c)
{
    struct standard s = { .check = c };

    bool good = check_standard(&s);
    if (s.bytes.at)
        sodium_memzero(s.bytes.at, s.bytes.cap);
    buf_fini(&s.bytes);
    return good;
}
