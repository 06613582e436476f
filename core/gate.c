/*
 * gate.c - who may hear and who may ring.
 *
 * Secrets are compared as hashes of fixed size: neither the place of the first wrong byte nor the
 * length shows in the time it takes.
 *
 * Revocations are a sorted array, made anew whenever the database tells them: they are few, told
 * whole, and looked up far more often than changed.
 */
#include "core/gate.h"

#include <sodium.h>
#include <stdlib.h>

#include "core/claims.h"
#include "core/conf.h"
#include "core/jws.h"
#include "core/log.h"
#include "core/text.h"
#include "core/topic.h"
#include "core/wall.h"

struct revocation {
    enum gate_entry_kind kind;
    struct slice name; /* in gate.words */
    int64_t at_us;
};

struct gate {
    const struct conf *conf;
    const struct log *log;
    struct keyring *keys;       /* of the configuration, and of the database */
    struct revocation *revoked; /* sorted */
    size_t n;
    struct buf words; /* what the revocations' names point into */
    struct memo *memo;
    uint64_t age; /* how often it was loaded */
    bool loaded, can_ask;
};

/* ---- who ---------------------------------------------------------------------------------- */

struct who who_ref(const struct who *who)
{
    struct who copy = *who;
    if (copy.rights)
        rights_ref(copy.rights);
    return copy;
}

void who_unref(struct who *who)
{
    rights_unref(who->rights);
    *who = (struct who){ .rights = NULL };
}

/* ---- keys and revocations ------------------------------------------------------------------ */

static void say_lines(const struct gate *g, enum log_level level, const struct buf *lines)
{
    struct slice rest = buf_slice(lines);
    const char *end;

    while (rest.len > 0 && (end = memchr(rest.at, '\n', rest.len))) {
        size_t len = (size_t)(end - rest.at);
        log_line(g->log, level, "token keys: %.*s", (int)len, rest.at);
        rest = (struct slice){ end + 1, rest.len - len - 1 };
    }
}

/* A new keyring with the configuration's keys; NULL: no memory, or one is none (logged). */
static struct keyring *keys_of_conf(const struct gate *g)
{
    struct keyring *keys = keyring_new();
    struct buf errors = BUF_EMPTY, warnings = BUF_EMPTY;
    enum rc rc = keys ? keyring_add_conf(keys, g->conf, &errors, &warnings) : RC_NOMEM;

    say_lines(g, LOG_ERROR, &errors);
    if (!g->loaded)
        say_lines(g, LOG_WARN, &warnings);
    buf_fini(&errors);
    buf_fini(&warnings);
    if (rc != RC_OK) {
        keyring_free(keys);
        return NULL;
    }
    return keys;
}

static enum rc add_database_key(struct gate *g, struct keyring *keys, const struct gate_entry *e)
{
    struct buf errors = BUF_EMPTY;

    if (e->until_us > 0 && e->until_us <= wall_now_us())
        return RC_OK;
    enum rc rc = keyring_add(keys, e->name, SLICE("HS256"), e->value, &errors);
    say_lines(g, LOG_ERROR, &errors);
    buf_fini(&errors);
    return rc == RC_NOMEM ? RC_NOMEM : RC_OK; /* the others still count */
}

static int compare(const void *a, const void *b)
{
    const struct revocation *x = a, *y = b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    size_t least = x->name.len < y->name.len ? x->name.len : y->name.len;
    int order = least > 0 ? memcmp(x->name.at, y->name.at, least) : 0;
    return order ? order : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

static size_t words_of(const struct gate_entry *entries, size_t n, size_t *revocations)
{
    size_t bytes = 0;

    *revocations = 0;
    for (size_t i = 0; i < n; i++)
        if (entries[i].kind == GATE_TOKEN || entries[i].kind == GATE_SUBJECT) {
            bytes += entries[i].name.len;
            ++*revocations;
        }
    return bytes;
}

static void add_revocation(struct revocation *out, struct buf *words, const struct gate_entry *e)
{
    size_t at = words->len;

    buf_put(words, e->name);
    *out = (struct revocation){ e->kind, { words->at + at, e->name.len }, e->at_us };
}

enum rc gate_load(struct gate *g, const struct gate_entry *entries, size_t n)
{
    size_t count, bytes = words_of(entries, n, &count), made = 0;
    struct buf words = BUF_EMPTY;
    struct revocation *revoked = calloc(count + 1, sizeof(*revoked));
    struct keyring *keys = keys_of_conf(g);
    bool can_ask = false;

    if (!revoked || !keys || !buf_reserve(&words, bytes + 1))
        goto drop;
    for (size_t i = 0; i < n; i++) {
        const struct gate_entry *e = &entries[i];
        if (e->kind == GATE_KEY && add_database_key(g, keys, e) != RC_OK)
            goto drop;
        if (e->kind == GATE_TOKEN || e->kind == GATE_SUBJECT)
            add_revocation(&revoked[made++], &words, e);
        can_ask |= e->kind == GATE_ASK;
    }
    qsort(revoked, count, sizeof(*revoked), compare);
    keyring_free(g->keys);
    free(g->revoked);
    buf_fini(&g->words);
    g->keys = keys;
    g->revoked = revoked;
    g->n = count;
    g->words = words;
    g->can_ask = can_ask;
    g->loaded = true;
    g->age++;
    memo_clear(g->memo);
    return RC_OK;
drop:
    free(revoked);
    keyring_free(keys);
    buf_fini(&words);
    return RC_NOMEM;
}

bool gate_is_loaded(const struct gate *g)
{
    return g->loaded;
}

static bool is_revoked(const struct gate *g, enum gate_entry_kind kind, struct slice name,
                       int64_t issued_us)
{
    struct revocation wanted = { kind, name, 0 };
    const struct revocation *found =
        name.len > 0 && g->n > 0 ? bsearch(&wanted, g->revoked, g->n, sizeof(wanted), compare)
                                 : NULL;
    return found && (kind == GATE_TOKEN || issued_us <= found->at_us);
}

/* ---- life ---------------------------------------------------------------------------------- */

struct gate *gate_new(const struct conf *conf, const struct log *log)
{
    struct gate *g = calloc(1, sizeof(*g));

    if (!g)
        return NULL;
    g->conf = conf;
    g->log = log;
    g->memo = memo_new();
    g->keys = g->memo ? keys_of_conf(g) : NULL;
    if (g->keys)
        return g;
    gate_free(g);
    return NULL;
}

void gate_free(struct gate *g)
{
    if (!g)
        return;
    keyring_free(g->keys);
    free(g->revoked);
    buf_fini(&g->words);
    memo_free(g->memo);
    free(g);
}

/* ---- credentials ---------------------------------------------------------------------------- */

static bool same_secret(struct slice a, struct slice b)
{
    unsigned char ha[crypto_generichash_BYTES], hb[crypto_generichash_BYTES];
    crypto_generichash(ha, sizeof ha, (const unsigned char *)a.at, a.len, NULL, 0);
    crypto_generichash(hb, sizeof hb, (const unsigned char *)b.at, b.len, NULL, 0);
    bool same = sodium_memcmp(ha, hb, sizeof ha) == 0;
    sodium_memzero(ha, sizeof ha);
    sodium_memzero(hb, sizeof hb);
    return same;
}

static struct slice without_blanks(struct slice s)
{
    while (s.len > 0 && s.at[0] == ' ')
        s = (struct slice){ s.at + 1, s.len - 1 };
    while (s.len > 0 && s.at[s.len - 1] == ' ')
        s.len--;
    return s;
}

/* What follows "Bearer" (RFC 6750 section 2.1); {NULL, 0}: another scheme. */
static struct slice bearer(struct slice authorization)
{
    struct slice given = without_blanks(authorization);
    size_t scheme = 0;

    while (scheme < given.len && given.at[scheme] != ' ')
        scheme++;
    if (!slice_is_nocase((struct slice){ given.at, scheme }, SLICE("Bearer")))
        return SLICE_NONE;
    return without_blanks((struct slice){ given.at + scheme, given.len - scheme });
}

/*
 * Value of a cookie; {NULL, 0}: not there.  Said twice, none counts: a page of a neighbouring
 * domain can set a second one, and no rule says which of them is ours.
 */
static struct slice cookie(struct slice cookies, struct slice name)
{
    struct slice value = SLICE_NONE;

    while (cookies.len > 0 && name.len > 0) {
        const char *end = memchr(cookies.at, ';', cookies.len);
        size_t len = end ? (size_t)(end - cookies.at) : cookies.len;
        struct slice pair = without_blanks((struct slice){ cookies.at, len });
        len += end != NULL;
        cookies = (struct slice){ cookies.at + len, cookies.len - len };
        if (pair.len <= name.len || memcmp(pair.at, name.at, name.len) != 0 ||
            pair.at[name.len] != '=')
            continue;
        if (value.at)
            return SLICE_NONE;
        value = (struct slice){ pair.at + name.len + 1, pair.len - name.len - 1 };
        if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"')
            value = (struct slice){ value.at + 1, value.len - 2 };
    }
    return value;
}

static enum credential judge_token(struct gate *g, struct slice token, struct who *out,
                                   struct refusal *why)
{
    const struct claims_policy policy = { .issuers = &g->conf->token_issuers,
                                          .audience = g->conf->token_audience,
                                          .leeway_s = CLAIMS_LEEWAY_S,
                                          .now_us = wall_now_us() };
    struct buf claims = BUF_EMPTY;

    if (!g->loaded) /* the key may be the database's, and it may be revoked */
        return CREDENTIAL_LATER;
    enum rc rc = jws_verify(g->keys, token, &claims, why);
    if (rc == RC_OK)
        rc = claims_read(&policy, buf_slice(&claims), &out->rights, why);
    buf_fini(&claims);
    if (rc == RC_OK && gate_has_ended(g, out, why)) {
        who_unref(out);
        rc = RC_DENIED;
    }
    return rc == RC_OK ? CREDENTIAL_GOOD : CREDENTIAL_BAD;
}

static enum credential judge(struct gate *g, struct slice given, struct who *out,
                             struct refusal *why)
{
    struct slice key = slice_of(g->conf->publish_key);

    if (key.len > 0 && given.len > 0 && same_secret(given, key)) {
        out->has_key = true;
        return CREDENTIAL_GOOD;
    }
    if (jws_resembles(given))
        return judge_token(g, given, out, why);
    refusal_set(why, FLAW_MALFORMED, "neither the key nor a token");
    return CREDENTIAL_BAD;
}

enum credential gate_identify(struct gate *g, const struct credentials *c, struct who *out,
                              struct refusal *why)
{
    struct slice given = bearer(c->authorization);

    *out = (struct who){ .rights = NULL };
    refusal_set(why, FLAW_NONE, "%s", "");
    if (given.at)
        return judge(g, given, out, why);
    if (c->token.len > 0)
        return judge(g, c->token, out, why);
    given = cookie(c->cookies, slice_of(g->conf->token_cookie));
    if (!given.at)
        return CREDENTIAL_NONE;
    out->by_cookie = true;
    if (jws_resembles(given)) /* the publish key has no business in a browser */
        return judge_token(g, given, out, why);
    refusal_set(why, FLAW_MALFORMED, "the cookie holds no token");
    return CREDENTIAL_BAD;
}

bool gate_shows_key(const struct gate *g, struct slice authorization)
{
    struct slice given = bearer(authorization), key = slice_of(g->conf->publish_key);
    return key.len > 0 && given.len > 0 && same_secret(given, key);
}

bool gate_has_ended(const struct gate *g, const struct who *who, struct refusal *why)
{
    if (!who->rights)
        return false;
    const struct rights_fields *f = rights_fields(who->rights);
    if (rights_expired(who->rights, wall_now_us())) {
        refusal_set(why, FLAW_EXPIRED, "expired");
        return true;
    }
    if (is_revoked(g, GATE_TOKEN, f->token_id, f->issued_us) ||
        is_revoked(g, GATE_SUBJECT, f->subject, f->issued_us)) {
        refusal_set(why, FLAW_REVOKED, "revoked");
        return true;
    }
    return false;
}

int64_t gate_ends_us(const struct who *who)
{
    return who->rights ? rights_fields(who->rights)->expires_us : 0;
}

int64_t gate_left_ms(const struct who *who)
{
    int64_t ends_us = gate_ends_us(who), left_us = ends_us - wall_now_us();

    return ends_us == 0 ? -1 : left_us <= 0 ? 0 : (left_us + 999) / 1000;
}

/* ---- may it? -------------------------------------------------------------------------------- */

enum rc gate_may(const struct gate *g, const struct who *who, enum verb verb, struct slice name)
{
    struct slice heard = verb == VERB_SUBSCRIBE ? topic_heard_as(name) : name;
    bool covered = who->rights && rights_cover(who->rights, verb, heard);

    if (verb == VERB_PUBLISH) {
        bool may = covered || (who->has_key && *g->conf->publish_key);
        return may && name.len > 0 && name.at[0] != '$' ? RC_OK : RC_DENIED;
    }
    if (covered)
        return RC_OK;
    for (size_t i = 0; i < g->conf->closed.n; i++)
        if (filter_covers(slice_of(g->conf->closed.at[i]), heard))
            return RC_DENIED;
    return RC_OK;
}

bool gate_doubts(const struct gate *g, const struct who *who, struct slice filter)
{
    struct slice heard = topic_heard_as(filter);

    if (who->rights && rights_cover(who->rights, VERB_SUBSCRIBE, heard))
        return false;
    for (size_t i = 0; i < g->conf->closed.n; i++)
        if (filters_overlap(slice_of(g->conf->closed.at[i]), heard))
            return true;
    return false;
}

bool gate_may_hear(const struct gate *g, const struct who *who, const struct event *event)
{
    const struct event_fields *f = event_fields(event);
    struct slice heard = topic_heard_as(f->topic);

    if (who->rights && rights_match(who->rights, VERB_SUBSCRIBE, heard))
        return true;
    if (f->flags & EVENT_PRIVATE)
        return false;
    for (size_t i = 0; i < g->conf->closed.n; i++)
        if (topic_matches(slice_of(g->conf->closed.at[i]), heard))
            return false;
    return true;
}

/* ---- the site's answers ------------------------------------------------------------------------
 */

static struct slice subject_of(const struct who *who)
{
    return who->rights ? rights_fields(who->rights)->subject : SLICE_NONE;
}

bool gate_can_ask(const struct gate *g, const struct who *who, const struct credentials *c)
{
    if (!g->can_ask)
        return false;
    for (size_t i = 0; i < g->conf->session_cookies.n; i++)
        if (cookie(c->cookies, slice_of(g->conf->session_cookies.at[i])).len > 0)
            return true;
    return subject_of(who).len > 0;
}

/* What is not UTF-8 cannot be JSON: then it is not shown. */
static void put_member(struct buf *out, const char *comma, struct slice name, struct slice value)
{
    buf_puts(out, comma);
    json_put_string(out, name);
    buf_putc(out, ':');
    json_put_string(out, utf8_valid(value) ? value : SLICE(""));
}

void gate_put_who(const struct gate *g, struct buf *out, const struct who *who,
                  const struct credentials *c, struct slice address)
{
    const char *comma = "";

    buf_putc(out, '{');
    put_member(out, "", SLICE("subject"), subject_of(who));
    put_member(out, ",", SLICE("address"), address);
    if (who->rights && rights_fields(who->rights)->payload.len > 0) {
        buf_puts(out, ",\"payload\":");
        buf_put(out, rights_fields(who->rights)->payload);
    }
    buf_puts(out, ",\"cookies\":{");
    for (size_t i = 0; i < g->conf->session_cookies.n; i++) {
        struct slice name = slice_of(g->conf->session_cookies.at[i]);
        struct slice value = cookie(c->cookies, name);
        if (value.len > 0) {
            put_member(out, comma, name, value);
            comma = ",";
        }
    }
    buf_puts(out, "}}");
}

enum word gate_answer(const struct gate *g, struct slice description, enum verb verb,
                      struct slice name)
{
    return memo_get(g->memo, description, verb, name, wall_now_us());
}

void gate_answer_put(struct gate *g, struct slice description, enum verb verb, struct slice name,
                     bool may)
{
    memo_put(g->memo, description, verb, name, may,
             wall_now_us() + g->conf->authorize_for_ms * 1000);
}

uint64_t gate_age(const struct gate *g)
{
    return g->age;
}

enum rc gate_add_rights(struct gate *g, struct who *who, enum verb verb, const struct slice *names,
                        size_t n)
{
    static const struct rights_fields nothing = { .issued_us = 0 };
    struct rights_fields fields = who->rights ? *rights_fields(who->rights) : nothing;
    int64_t ends_us = wall_now_us() + g->conf->authorize_for_ms * 1000;
    size_t had = fields.filters[verb].n;
    struct slice *all = calloc(had + n + 1, sizeof(*all));
    struct rights *sum;
    const char *why;

    if (!all)
        return RC_NOMEM;
    for (size_t i = 0; i < had; i++)
        all[i] = fields.filters[verb].at[i];
    for (size_t i = 0; i < n; i++)
        all[had + i] = names[i];
    fields.filters[verb].at = all;
    fields.filters[verb].n = had + n;
    if (fields.expires_us == 0 || ends_us < fields.expires_us)
        fields.expires_us = ends_us;
    enum rc rc = rights_new(&fields, &sum, &why);
    free(all);
    if (rc != RC_OK)
        return rc;
    rights_unref(who->rights);
    who->rights = sum;
    who->asked = true;
    return RC_OK;
}
