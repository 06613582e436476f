/*
 * ws_handshake.c - may this request become a WebSocket, and on what terms?
 *
 * Lists in headers are those of RFC 9110 section 5.6.1: elements between commas, blanks around
 * them, empty ones are no elements.  Sec-WebSocket-Extensions has a grammar of its own on top (RFC
 * 6455 section 9.1): `name; parameter; parameter=value, name …`, where a value may be quoted if
 * what is inside the quotes is a token.
 */
#include "sidecar/ws_handshake.h"

#include <openssl/sha.h>
#include <sodium.h>

#include "core/text.h"
#include "sidecar/ws_deflate.h"

enum { KEY_LEN = 24 }; /* base64 of 16 bytes */

/* ---- what lists are made of ------------------------------------------------------------------ */

/* RFC 9110 section 5.6.2. */
static bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

/* ---- may it? --------------------------------------------------------------------------------- */

/*
 * 16 bytes in base64: 22 characters of the alphabet and two of padding.  Nobody decodes them, so
 * the four bits that the last character has too many may be what they like.
 */
static bool key_valid(struct slice key)
{
    if (key.len != KEY_LEN || key.at[KEY_LEN - 2] != '=' || key.at[KEY_LEN - 1] != '=')
        return false;
    for (size_t i = 0; i < KEY_LEN - 2; i++) {
        char c = key.at[i];
        if (c != '+' && c != '/' && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
            !(c >= '0' && c <= '9'))
            return false;
    }
    return true;
}

bool ws_handshake_wanted(const struct ws_asked *a)
{
    return list_has(a->upgrade, SLICE("websocket"));
}

static bool refuse(struct ws_refusal *refusal, int status, const char *why)
{
    *refusal = (struct ws_refusal){ status, why };
    return false;
}

/* RFC 6455 section 4.2.1, in an order in which the first complaint is the most useful one. */
bool ws_handshake_check(const struct ws_asked *a, struct ws_refusal *refusal)
{
    if (!ws_handshake_wanted(a))
        return refuse(refusal, 426, "this is a WebSocket; ask with \"Upgrade: websocket\"");
    if (!slice_is(a->method, SLICE("GET")))
        return refuse(refusal, 405, "a WebSocket begins with GET");
    if (!a->http_1_1)
        return refuse(refusal, 400, "a WebSocket begins with HTTP/1.1");
    if (!a->host.at)
        return refuse(refusal, 400, "there is no Host");
    if (!list_has(a->connection, SLICE("upgrade")))
        return refuse(refusal, 400,
                      "Connection does not say \"Upgrade\": is a proxy in between that does not "
                      "pass it on?");
    if (!slice_is(slice_trim(a->version), SLICE("13")))
        return refuse(refusal, 426, "Sec-WebSocket-Version is not 13");
    if (!key_valid(slice_trim(a->key)))
        return refuse(refusal, 400, "Sec-WebSocket-Key is not 16 bytes in base64");
    return true;
}

void ws_handshake_accept(struct slice key, char out[WS_ACCEPT_LEN + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* section 1.3 */
    unsigned char both[KEY_LEN + sizeof(guid) - 1], digest[SHA_DIGEST_LENGTH];

    key = slice_trim(key);
    size_t len = key.len < KEY_LEN ? key.len : KEY_LEN;
    if (len > 0)
        memcpy(both, key.at, len);
    memcpy(both + len, guid, sizeof(guid) - 1);
    SHA1(both, len + sizeof(guid) - 1, digest);
    sodium_bin2base64(out, WS_ACCEPT_LEN + 1, digest, sizeof(digest),
                      sodium_base64_VARIANT_ORIGINAL);
}

/* ---- on what terms? -------------------------------------------------------------------------- */

struct param {
    struct slice name, value; /* value.at NULL: none */
};

/* What an offer of permessage-deflate says so far. */
struct offer {
    bool possible;                         /* it can be kept */
    bool server_takeover, client_takeover; /* the parameter that denies it was there */
    uint8_t server_bits, client_bits;      /* 0: not said; client_bits 15 if without a value */
};

static void skip_blanks(struct slice *s)
{
    while (s->len > 0 && (*s->at == ' ' || *s->at == '\t')) {
        s->at++;
        s->len--;
    }
}

/* Step over this character, if it comes next. */
static bool step_over(struct slice *s, char c)
{
    if (s->len == 0 || *s->at != c)
        return false;
    s->at++;
    s->len--;
    return true;
}

/* The same with blanks on either side of it. */
static bool skip(struct slice *s, char c)
{
    skip_blanks(s);
    bool there = step_over(s, c);
    if (there)
        skip_blanks(s);
    return there;
}

static bool take_token(struct slice *s, struct slice *token)
{
    size_t n = 0;

    while (n < s->len && is_token_char(s->at[n]))
        n++;
    *token = (struct slice){ s->at, n };
    s->at += n;
    s->len -= n;
    return n > 0;
}

/*
 * A quoted string whose inside is a token.  Backslashes need not be understood: what they quote
 * would have to be a token's character, and nobody quotes those.
 */
static bool take_quoted(struct slice *s, struct slice *token)
{
    return step_over(s, '"') && take_token(s, token) && step_over(s, '"');
}

/* `; name` or `; name=value`.  False: it breaks the grammar. */
static bool take_param(struct slice *s, struct param *p)
{
    p->value = SLICE_NONE;
    if (!take_token(s, &p->name))
        return false;
    if (!skip(s, '='))
        return true;
    if (s->len > 0 && *s->at == '"')
        return take_quoted(s, &p->value);
    return take_token(s, &p->value);
}

/* 8 to 15, without a zero in front; 0: anything else. */
static uint8_t window_bits(struct slice value)
{
    int64_t bits;

    if (value.len == 0 || value.at[0] == '0' || number_parse(value, WS_WINDOW_MAX, &bits) != RC_OK)
        return 0;
    return bits >= WS_WINDOW_MIN ? (uint8_t)bits : 0;
}

static bool flag_once(bool *flag, const struct param *p)
{
    bool ok = !*flag && !p->value.at;
    *flag = true;
    return ok;
}

/* RFC 7692 section 7.1: unknown, doubled or invalid parameters: decline that offer. */
static bool param_kept(struct offer *o, const struct param *p)
{
    if (slice_is_nocase(p->name, SLICE("server_no_context_takeover")))
        return flag_once(&o->server_takeover, p);
    if (slice_is_nocase(p->name, SLICE("client_no_context_takeover")))
        return flag_once(&o->client_takeover, p);
    if (slice_is_nocase(p->name, SLICE("server_max_window_bits"))) {
        bool first = o->server_bits == 0;
        o->server_bits = window_bits(p->value);
        return first && o->server_bits > 0;
    }
    if (slice_is_nocase(p->name, SLICE("client_max_window_bits"))) {
        bool first = o->client_bits == 0;
        o->client_bits = p->value.at ? window_bits(p->value) : WS_WINDOW_MAX;
        return first && o->client_bits > 0;
    }
    return false;
}

/* One element of the list: an extension and its parameters. */
static enum rc take_offer(struct slice *s, struct offer *o)
{
    struct slice name;
    struct param p;

    *o = (struct offer){ 0 };
    if (!take_token(s, &name))
        return RC_SYNTAX;
    o->possible = slice_is_nocase(name, SLICE("permessage-deflate"));
    while (skip(s, ';')) {
        if (!take_param(s, &p))
            return RC_SYNTAX;
        o->possible = o->possible && param_kept(o, &p);
    }
    skip_blanks(s);
    return s->len == 0 || *s->at == ',' ? RC_OK : RC_SYNTAX;
}

static uint8_t least(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

/*
 * What we send: the smaller window wins, and must be said if the client has asked or we have less
 * than 15 bits to offer (section 7.1.2.1).  What we are sent: we may only ask for less of a client
 * that has mentioned it (section 7.1.2.2); of others we take 15.
 */
static void agree(struct ws_terms *t, const struct offer *o, const struct ws_policy *policy)
{
    t->deflate = true;
    t->server_bits = policy->server_bits;
    if (o->server_bits > 0)
        t->server_bits = least(o->server_bits, policy->server_bits);
    t->say_server_bits = o->server_bits > 0 || policy->server_bits < WS_WINDOW_MAX;
    t->client_bits = WS_WINDOW_MAX;
    if (o->client_bits > 0)
        t->client_bits = least(o->client_bits, policy->client_bits);
    t->say_client_bits = t->client_bits < WS_WINDOW_MAX;
}

enum rc ws_handshake_deflate(struct slice extensions, const struct ws_policy *policy,
                             struct ws_terms *terms)
{
    struct offer o;

    *terms = (struct ws_terms){ 0 };
    for (;;) {
        while (skip(&extensions, ',')) {
        }
        if (extensions.len == 0)
            return RC_OK;
        if (take_offer(&extensions, &o) != RC_OK) {
            *terms = (struct ws_terms){ 0 };
            return RC_SYNTAX;
        }
        if (o.possible && !terms->deflate)
            agree(terms, &o, policy);
    }
}

void ws_handshake_put_deflate(struct buf *out, const struct ws_terms *t)
{
    buf_puts(out, "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    if (t->say_server_bits)
        buf_printf(out, "; server_max_window_bits=%u", t->server_bits);
    if (t->say_client_bits)
        buf_printf(out, "; client_max_window_bits=%u", t->client_bits);
}
