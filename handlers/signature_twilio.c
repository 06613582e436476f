/*
 * signature_twilio.c - Twilio: X-Twilio-Signature, the base64 of HMAC-SHA1.
 *
 *      form    URL NameValueNameValue…         fields by name, a field's values sorted, each once
 *      else    URL?…bodySHA256=HEX             and the body has this hash
 *
 * The URL is the one that Twilio was told, which behind a proxy nobody here can know for sure: the
 * option "url" says it.  Twilio writes its port now so, now otherwise, and its own libraries try
 * both, as we do.
 */
#include <sodium.h>
#include <stdlib.h>

#include "core/text.h"
#include "handlers/signature_priv.h"

enum { FIELDS_MAX = 1000 };

/* ---- the form -------------------------------------------------------------------------------- */

struct field {
    struct slice name, value;
};

struct form {
    struct buf bytes; /* names and values, decoded; never moves */
    struct field *fields;
    size_t n;
};

static int compare(struct slice a, struct slice b)
{
    size_t both = a.len < b.len ? a.len : b.len;
    int order = both ? memcmp(a.at, b.at, both) : 0;

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_name_and_value(const void *one, const void *other)
{
    const struct field *a = one, *b = other;
    int order = compare(a->name, b->name);

    return order ? order : compare(a->value, b->value);
}

static enum rc decode(struct form *f, struct slice text, struct slice *out)
{
    size_t at = f->bytes.len;
    enum rc rc = percent_decode(&f->bytes, text, true);

    *out = (struct slice){ f->bytes.at + at, f->bytes.len - at };
    return rc;
}

static enum rc read_form(struct form *f, struct slice body)
{
    struct slice key, value;

    f->fields = calloc(FIELDS_MAX, sizeof(*f->fields));
    if (!f->fields || !buf_reserve(&f->bytes, body.len + 1))
        return RC_NOMEM;
    while (query_next(&body, &key, &value)) {
        if (f->n == FIELDS_MAX)
            return RC_LIMIT;
        struct field *field = &f->fields[f->n++];
        enum rc rc = decode(f, key, &field->name);
        if (rc == RC_OK)
            rc = decode(f, value, &field->value);
        if (rc != RC_OK)
            return rc;
    }
    qsort(f->fields, f->n, sizeof(*f->fields), by_name_and_value);
    return RC_OK;
}

static bool put_form(struct check *c, struct buf *out)
{
    struct form f = { 0 };
    enum rc rc = read_form(&f, c->delivery->body);

    for (size_t i = 0; rc == RC_OK && i < f.n; i++)
        if (i == 0 || by_name_and_value(&f.fields[i - 1], &f.fields[i]) != 0) {
            buf_put(out, f.fields[i].name);
            buf_put(out, f.fields[i].value);
        }
    free(f.fields);
    buf_fini(&f.bytes);
    if (rc == RC_NOMEM)
        return check_fails(c, SIGNATURE_NOMEM, "out of memory");
    return rc == RC_OK || check_fails(c, SIGNATURE_MALFORMED,
                                      "the form is malformed, or has over %d fields", FIELDS_MAX);
}

/* ---- the body's hash in the address ---------------------------------------------------------- */

static struct slice query_of(struct slice url)
{
    const char *mark = url.len ? memchr(url.at, '?', url.len) : NULL;

    return mark ? (struct slice){ mark + 1, (size_t)(url.at + url.len - mark - 1) } : SLICE_NONE;
}

static struct slice body_hash(struct slice url)
{
    struct slice rest = query_of(url), key, value;

    while (query_next(&rest, &key, &value))
        if (slice_is(key, SLICE("bodySHA256")))
            return value;
    return SLICE_NONE;
}

static bool check_hash(struct check *c, struct slice hash)
{
    unsigned char given[crypto_hash_sha256_BYTES], is[crypto_hash_sha256_BYTES];
    size_t len = 0;
    struct slice body = c->delivery->body;

    crypto_hash_sha256(is, (const unsigned char *)body.at, body.len);
    if (hash.len != 2 * sizeof given ||
        sodium_hex2bin(given, sizeof given, hash.at, hash.len, NULL, &len, NULL) != 0)
        return check_fails(c, SIGNATURE_MALFORMED,
                           "bodySHA256 in the address is not 64 hexadecimal digits");
    return sodium_memcmp(given, is, sizeof is) == 0 ||
           check_fails(c, SIGNATURE_WRONG,
                       "bodySHA256 in the address is not the hash of this body");
}

/* Append what is signed behind the URL. */
static bool put_body(struct check *c, struct slice url, struct buf *out)
{
    struct slice hash = body_hash(url);

    if (hash.at)
        return check_hash(c, hash);
    if (delivery_is_form(c->delivery))
        return put_form(c, out);
    return c->delivery->body.len == 0 ||
           check_fails(c, SIGNATURE_MALFORMED,
                       "a body that is no form and has no bodySHA256 in the address is not signed");
}

/* ---- the URL --------------------------------------------------------------------------------- */

/* "https://a.example:443/x" -> the lengths of "https://a.example" and ":443". */
static void find_port(struct slice url, size_t *before, size_t *port)
{
    const char *mark = memmem(url.at, url.len, "://", 3);
    size_t at = mark ? (size_t)(mark - url.at) + 3 : 0;

    while (at < url.len && !strchr("/?#:", url.at[at]))
        at++;
    *before = at;
    while (at < url.len && !strchr("/?#", url.at[at]))
        at++;
    *port = at - *before;
}

/* The URL as it is, without its port, with the usual one. */
static void put_variant(struct buf *out, struct slice url, int variant)
{
    size_t before, port;

    if (url.len == 0)
        return;
    find_port(url, &before, &port);
    buf_put(out, (struct slice){ url.at, before });
    if (variant == 0)
        buf_put(out, (struct slice){ url.at + before, port });
    else if (variant == 2)
        buf_puts(out, url.len > 5 && memcmp(url.at, "http:", 5) == 0 ? ":80" : ":443");
    buf_put(out, (struct slice){ url.at + before + port, url.len - before - port });
}

/* The option's, with the query that came; or else as it seems from here. */
static bool put_url(struct check *c, struct buf *out)
{
    struct slice url, query = query_of(c->delivery->url);

    if (!check_option(c, "url", &url))
        return false;
    if (url.len == 0) {
        buf_put(out, c->delivery->url);
        return true;
    }
    buf_put(out, url);
    if (query.len > 0 && !memchr(url.at, '?', url.len)) {
        buf_putc(out, '?');
        buf_put(out, query);
    }
    return true;
}

static bool check_url(struct check *c, struct slice url, struct slice header)
{
    struct buf rest = BUF_EMPTY, content = BUF_EMPTY;
    bool right = false, fine = put_body(c, url, &rest);

    for (int variant = 0; fine && variant < 3; variant++) {
        content.len = 0;
        put_variant(&content, url, variant);
        buf_put(&content, buf_slice(&rest));
        struct slice piece = buf_slice(&content);
        fine = buf_rc(&content) == RC_OK && buf_rc(&rest) == RC_OK
                   ? check_mac(c, MAC_SHA1, &piece, 1, &right)
                   : check_fails(c, SIGNATURE_NOMEM, "out of memory");
    }
    if (fine) /* of the last way to write the port, so that it is the same each time */
        check_content(c, &(struct slice){ content.at, content.len }, 1);
    buf_fini(&rest);
    buf_fini(&content);
    return fine && (right || check_wrong(c, header));
}

bool signature_twilio(struct check *c)
{
    struct slice header = SLICE("X-Twilio-Signature"), value;
    struct buf url = BUF_EMPTY;

    if (!check_header(c, header, &value))
        return false;
    if (!check_note(c, ENCODED_BASE64, value, mac_bytes(MAC_SHA1)))
        return check_fails(c, SIGNATURE_MALFORMED,
                           "the header X-Twilio-Signature is not the base64 of 20 bytes");
    bool good = put_url(c, &url) && check_url(c, buf_slice(&url), header);
    buf_fini(&url);
    /* The SID of a message or call is not its name: its callbacks all carry the same. */
    return good && check_id_from(c, SLICE("header.i-twilio-idempotency-token"));
}
