/*
 * signature_one.c - schemes of one header with one signature, or with the secret itself.
 *
 *      github    X-Hub-Signature-256: sha256=HEX                       body
 *      shopify   X-Shopify-Hmac-Sha256: BASE64                         body
 *      slack     X-Slack-Signature: v0=HEX, X-Slack-Request-Timestamp  v0:TIME:body
 *      websub    X-Hub-Signature: METHOD=HEX                           body
 *      hmac      whatever its options say
 *      gitlab    X-Gitlab-Token: SECRET                                nothing is signed
 *      cloudevents   Authorization: Bearer SECRET                      the same
 */
#include <sodium.h>

#include "core/text.h"
#include "handlers/signature_priv.h"

/* Where the one signature stands and how it is written. */
struct stand {
    struct slice header, prefix;
    enum encoding_of_mac encoding;
};

/* Cut the prefix off; false: it does not begin so. */
static bool without(struct slice *text, struct slice prefix)
{
    if (text->len < prefix.len || (prefix.len && memcmp(text->at, prefix.at, prefix.len) != 0))
        return false;
    text->at += prefix.len;
    text->len -= prefix.len;
    return true;
}

static bool read_one(struct check *c, const struct stand *p, enum mac mac)
{
    struct slice value;

    if (!check_header(c, p->header, &value))
        return false;
    if (without(&value, p->prefix) && check_note(c, p->encoding, value, mac_bytes(mac)))
        return true;
    return check_fails(c, SIGNATURE_MALFORMED, "the header %.*s is not %.*s and %zu bytes in %s",
                       (int)p->header.len, p->header.at, (int)p->prefix.len,
                       p->prefix.len ? p->prefix.at : "", mac_bytes(mac),
                       p->encoding == ENCODED_HEX ? "hexadecimal" : "base64");
}

static bool check_one(struct check *c, const struct stand *p, const struct recipe *r)
{
    return read_one(c, p, r->mac) && check_recipe(c, r, p->header);
}

bool signature_github(struct check *c)
{
    static const struct stand stand = { { "X-Hub-Signature-256", 19 },
                                        { "sha256=", 7 },
                                        ENCODED_HEX };
    static const struct recipe recipe = { MAC_SHA256, { "{body}", 6 } };

    return check_one(c, &stand, &recipe) && check_id_from(c, SLICE("header.x-github-delivery"));
}

bool signature_shopify(struct check *c)
{
    static const struct stand stand = { { "X-Shopify-Hmac-Sha256", 21 },
                                        { "", 0 },
                                        ENCODED_BASE64 };
    static const struct recipe recipe = { MAC_SHA256, { "{body}", 6 } };

    return check_one(c, &stand, &recipe) && check_id_from(c, SLICE("header.x-shopify-webhook-id"));
}

bool signature_slack(struct check *c)
{
    static const struct stand stand = { { "X-Slack-Signature", 17 }, { "v0=", 3 }, ENCODED_HEX };
    static const struct recipe recipe = { MAC_SHA256, { "v0:{timestamp}:{body}", 21 } };

    return check_header(c, SLICE("X-Slack-Request-Timestamp"), &c->timestamp) &&
           check_one(c, &stand, &recipe) && check_id_from(c, SLICE("json.event_id"));
}

/* ---- the hub chooses the method -------------------------------------------------------------- */

bool signature_websub(struct check *c)
{
    struct stand stand = { SLICE("X-Hub-Signature"), SLICE_NONE, ENCODED_HEX };
    struct slice value;

    if (!check_header(c, stand.header, &value))
        return false;
    const char *equals = memchr(value.at, '=', value.len);
    stand.prefix = (struct slice){ value.at, equals ? (size_t)(equals - value.at) + 1 : 0 };
    struct recipe recipe = { MAC__COUNT, SLICE("{body}") };
    if (equals)
        recipe.mac = mac_of((struct slice){ value.at, stand.prefix.len - 1 });
    if (recipe.mac == MAC__COUNT)
        return check_fails(c, SIGNATURE_MALFORMED,
                           "the header X-Hub-Signature is not sha1=, sha256=, sha384= or sha512= "
                           "and hexadecimal digits");
    return check_one(c, &stand, &recipe);
}

/* ---- as its options say ---------------------------------------------------------------------- */

static bool read_options(struct check *c, struct stand *stand, struct recipe *recipe)
{
    struct slice algorithm, encoding, id_header, timestamp_header;

    if (!check_option(c, "header", &stand->header) || !check_option(c, "prefix", &stand->prefix) ||
        !check_option(c, "algorithm", &algorithm) || !check_option(c, "encoding", &encoding) ||
        !check_option(c, "timestamp_header", &timestamp_header) ||
        !check_option(c, "id_header", &id_header) || !check_option(c, "signed", &recipe->signed_as))
        return false;
    if (stand->header.len == 0)
        return check_fails(c, SIGNATURE_UNUSABLE,
                           "its option \"header\" must say where the signature stands");
    recipe->mac = algorithm.at ? mac_of(algorithm) : MAC_SHA256;
    if (recipe->mac != MAC_SHA256 && recipe->mac != MAC_SHA512)
        return check_fails(c, SIGNATURE_UNUSABLE,
                           "its option \"algorithm\" is neither sha256 nor sha512");
    if (encoding.at && !slice_is(encoding, SLICE("hex")) && !slice_is(encoding, SLICE("base64")))
        return check_fails(c, SIGNATURE_UNUSABLE,
                           "its option \"encoding\" is neither hex nor base64");
    stand->encoding = slice_is(encoding, SLICE("base64")) ? ENCODED_BASE64 : ENCODED_HEX;
    if (!recipe->signed_as.at)
        recipe->signed_as = timestamp_header.len ? SLICE("{timestamp}.{body}") : SLICE("{body}");
    if (!memmem(recipe->signed_as.at, recipe->signed_as.len, "{body}", 6))
        return check_fails(c, SIGNATURE_UNUSABLE, "its option \"signed\" leaves the body unsigned");
    return (!timestamp_header.len || check_header(c, timestamp_header, &c->timestamp)) &&
           (!id_header.len || check_header(c, id_header, &c->id));
}

bool signature_hmac(struct check *c)
{
    struct stand stand = { 0 };
    struct recipe recipe = { 0 };

    return read_options(c, &stand, &recipe) && check_one(c, &stand, &recipe) && check_id(c, c->id);
}

/* ---- the secret itself ----------------------------------------------------------------------- */

/* Equal?  Both are hashed first, so that neither time nor branch depends on the secret's length. */
static bool is_secret(struct slice given, struct slice secret)
{
    unsigned char a[crypto_hash_sha256_BYTES], b[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(a, (const unsigned char *)given.at, given.len);
    crypto_hash_sha256(b, (const unsigned char *)secret.at, secret.len);
    return sodium_memcmp(a, b, sizeof a) == 0;
}

/*
 * Idempotency-Key is the same for every try of one delivery (GitLab 17.4 and later).
 * X-Gitlab-Event-UUID is shared by a webhook and those that it has set off in turn, so it names a
 * delivery only together with its content.
 */
static bool gitlab_id(struct check *c)
{
    struct slice id;

    if (!check_header_if_any(c, SLICE("Idempotency-Key"), &id))
        return false;
    if (id.len > 0)
        return check_id(c, id);
    if (!check_header_if_any(c, SLICE("X-Gitlab-Event-UUID"), &id))
        return false;
    const struct slice pieces[] = { id, c->delivery->body };
    check_content(c, pieces, LENGTH(pieces));
    return true;
}

static bool check_secret(struct check *c, struct slice header, struct slice given)
{
    bool right = false;

    for (size_t i = 0; i < c->hook->n; i++)
        right |= is_secret(given, c->hook->secrets[i]);
    if (!right)
        return check_fails(c, SIGNATURE_WRONG, "what %.*s has is no secret of this hook",
                           (int)header.len, header.at);
    check_content(c, &c->delivery->body, 1);
    return true;
}

bool signature_gitlab(struct check *c)
{
    struct slice header = SLICE("X-Gitlab-Token"), given;

    return check_header(c, header, &given) && check_secret(c, header, given) && gitlab_id(c);
}

/* HTTP 1.1 Web Hooks for Event Delivery, section 3.1. */
bool signature_cloudevents(struct check *c)
{
    struct slice header = SLICE("Authorization"), given, bearer = SLICE("Bearer ");

    if (!check_header(c, header, &given))
        return false;
    if (given.len <= bearer.len || !slice_is_nocase((struct slice){ given.at, bearer.len }, bearer))
        return check_fails(c, SIGNATURE_MISSING, "the header Authorization is not Bearer SECRET");
    return check_secret(c, header, (struct slice){ given.at + bearer.len, given.len - bearer.len });
}
