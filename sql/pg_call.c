/*
 * pg_call.c - one question from core/source.h: its parameters, and its answer understood.
 */
#include <sodium.h>
#include <stdlib.h>

#include "sql/pg_call.h"
#include "sql/pg_rows.h"

enum { /* of one page of replay() */
       PAGE_ROWS = 200,
       PAGE_BYTES = 1 << 20,
       PAGE_SCAN = 50 * 1000,
};

static struct source_call *call_new(enum pg_call_kind kind, const char *sql)
{
    struct source_call *call = calloc(1, sizeof(*call));

    if (call) {
        call->kind = kind;
        call->sql = sql;
        call->bytes = sizeof(*call);
    }
    return call;
}

void pg_call_free(struct source_call *call)
{
    for (size_t i = 0; i < LENGTH(call->arrays); i++)
        pg_array_fini(&call->arrays[i]);
    buf_fini(&call->text);
    free(call);
}

static void param(struct source_call *call, enum pg_type type, struct slice value)
{
    call->params[call->n++] = (struct pg_param){ type, value };
    call->bytes += value.len;
}

static void param_int4(struct source_call *call, char bytes[8], int32_t value)
{
    pg_put_int4(bytes, value);
    param(call, PG_INT4, (struct slice){ bytes, 4 });
}

static void param_int8(struct source_call *call, char bytes[8], int64_t value)
{
    pg_put_int8(bytes, value);
    param(call, PG_INT8, (struct slice){ bytes, 8 });
}

/* False: memory was short. */
static bool param_array(struct source_call *call, enum pg_type type, struct pg_array *array)
{
    struct slice bytes = pg_array_end(array);

    param(call, type, bytes);
    return bytes.at != NULL;
}

/* ---- publish ------------------------------------------------------------------------------------
 */

static struct slice or_null(struct slice s)
{
    return s.len > 0 ? s : SLICE_NONE;
}

static void hash_slice(crypto_generichash_state *hash, struct slice s)
{
    char length[8];

    pg_put_int8(length, (int64_t)s.len);
    crypto_generichash_update(hash, (unsigned char *)length, sizeof(length));
    if (s.len > 0)
        crypto_generichash_update(hash, (const unsigned char *)s.at, s.len);
}

/* What an idempotency key stands for: everything that was asked, in order. */
static void hash_drafts(const struct draft *drafts, size_t n, unsigned char out[32])
{
    crypto_generichash_state hash;

    crypto_generichash_init(&hash, NULL, 0, 32);
    for (size_t i = 0; i < n; i++) {
        const struct draft *d = &drafts[i];
        char rest[9];
        pg_put_int8(rest, d->expires_ms);
        rest[8] = (char)(d->retain | d->is_private << 1);
        hash_slice(&hash, d->topic);
        hash_slice(&hash, d->type);
        hash_slice(&hash, d->content_type);
        hash_slice(&hash, d->id);
        hash_slice(&hash, d->data);
        hash_slice(&hash, (struct slice){ rest, sizeof(rest) });
    }
    crypto_generichash_final(&hash, out, 32);
}

struct source_call *pg_call_publish(const struct draft *drafts, size_t n, struct slice key)
{
    enum { TOPIC, TYPE, CONTENT_TYPE, ID, DATA, RETAIN, PRIVATE, EXPIRES, ONCE, DIGEST };
    static const struct {
        enum pg_type element, array;
    } types[] = {
        [TOPIC] = { PG_TEXT, PG_TEXT_ARRAY },        [TYPE] = { PG_TEXT, PG_TEXT_ARRAY },
        [CONTENT_TYPE] = { PG_TEXT, PG_TEXT_ARRAY }, [ID] = { PG_TEXT, PG_TEXT_ARRAY },
        [DATA] = { PG_BYTEA, PG_BYTEA_ARRAY },       [RETAIN] = { PG_BOOL, PG_BOOL_ARRAY },
        [PRIVATE] = { PG_BOOL, PG_BOOL_ARRAY },      [EXPIRES] = { PG_INT8, PG_INT8_ARRAY },
        [ONCE] = { PG_TEXT, PG_TEXT_ARRAY },         [DIGEST] = { PG_BYTEA, PG_BYTEA_ARRAY },
    };
    bool by_event = drafts[0].once.len > 0;
    size_t arrays = by_event ? LENGTH(types) : ONCE;
    struct source_call *call = call_new(
        PG_PUBLISH, by_event
                        ? "SELECT seqs, cardinality(repeats) = cardinality($9), repeats"
                          " FROM bellpush.publish_once($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
                        : "SELECT seqs, repeated, NULL::bigint[]"
                          " FROM bellpush.publish_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
    unsigned char hash[32];

    if (!call)
        return NULL;
    call->drafts = n;
    struct pg_array *a = call->arrays;
    for (size_t i = 0; i < arrays; i++)
        pg_array_begin(&a[i], types[i].element);
    for (size_t i = 0; i < n; i++) {
        const struct draft *d = &drafts[i];
        pg_array_put(&a[TOPIC], d->topic);
        pg_array_put(&a[TYPE], or_null(d->type));
        pg_array_put(&a[CONTENT_TYPE], or_null(d->content_type));
        pg_array_put(&a[ID], or_null(d->id));
        pg_array_put(&a[DATA], d->data.len > 0 ? d->data : SLICE(""));
        pg_array_put_bool(&a[RETAIN], d->retain);
        pg_array_put_bool(&a[PRIVATE], d->is_private);
        if (d->expires_ms > 0)
            pg_array_put_int8(&a[EXPIRES], d->expires_ms);
        else
            pg_array_put(&a[EXPIRES], SLICE_NONE);
        if (by_event) {
            pg_array_put(&a[ONCE], d->once);
            pg_array_put(&a[DIGEST], d->digest);
        }
    }
    call->has_key = by_event || key.len > 0;
    if (key.len > 0) {
        hash_drafts(drafts, n, hash);
        buf_put(&call->text, key);
        buf_put(&call->text, (struct slice){ (char *)hash, sizeof(hash) });
    }
    bool whole = buf_rc(&call->text) == RC_OK;
    for (size_t i = 0; i < arrays; i++)
        whole &= param_array(call, types[i].array, &a[i]);
    if (!whole) {
        pg_call_free(call);
        return NULL;
    }
    struct slice all = buf_slice(&call->text);
    if (!by_event) {
        bool keyed = key.len > 0;
        param(call, PG_TEXT, keyed ? (struct slice){ all.at, key.len } : SLICE_NONE);
        param(call, PG_BYTEA,
              keyed ? (struct slice){ all.at + key.len, sizeof(hash) } : SLICE_NONE);
    }
    return call;
}

static void answer_publish(struct source_call *call, const PGresult *result)
{
    struct publication done = { .rc = RC_OK, .why = "" };
    int64_t *seqs = NULL, *repeats = NULL;
    struct slice array = pg_field(result, 0, 0), places = pg_field(result, 0, 2);

    if (PQntuples(result) != 1)
        done.rc = RC_SOURCE;
    else if (array.at) /* NULL in relay mode */
        done.rc = pg_array_read_int8(array, &seqs, &done.n);
    if (done.rc == RC_OK && places.at)
        done.rc = pg_array_read_int8(places, &repeats, &done.repeat_n);
    if (done.rc != RC_OK) {
        free(seqs);
        call->uncertain = true;
        pg_call_fail(call, RC_SOURCE, "publish_batch() gave an answer that is not understood");
        return;
    }
    done.seqs = seqs;
    done.repeats = repeats;
    if (!array.at)
        done.n = call->drafts;
    done.repeated = pg_field_true(result, 0, 1);
    call->fn.published(call->arg, &done);
    free(seqs);
    free(repeats);
    pg_call_free(call);
}

/* ---- replay -------------------------------------------------------------------------------------
 */

struct source_call *pg_call_replay(int64_t after, const struct slice *filters, size_t n)
{
    struct source_call *call =
        call_new(PG_REPLAY, "SELECT " PG_ROW_COLUMNS " FROM bellpush.replay($1, $2, $3, $4, $5)");

    if (!call)
        return NULL;
    call->after = after;
    pg_array_begin(&call->arrays[0], PG_TEXT);
    for (size_t i = 0; i < n; i++)
        pg_array_put(&call->arrays[0], filters[i]);
    param_int8(call, call->numbers[0], after);
    if (!param_array(call, PG_TEXT_ARRAY, &call->arrays[0])) {
        pg_call_free(call);
        return NULL;
    }
    param_int4(call, call->numbers[1], PAGE_ROWS);
    param_int8(call, call->numbers[2], PAGE_BYTES);
    param_int4(call, call->numbers[3], PAGE_SCAN);
    return call;
}

static void answer_replay(struct source_call *call, const PGresult *result, const char *epoch)
{
    struct pg_page page;
    enum rc rc = pg_page_read(result, epoch, &page);

    if (rc != RC_OK) {
        pg_call_fail(call, rc == RC_NOMEM ? rc : RC_SOURCE, "replay() gave rows of another form");
        return;
    }
    if (page.foreign) { /* the listening connection will say so soon, and tell of the gap */
        pg_page_fini(&page);
        page.upto = call->after;
    }
    struct replay replay = {
        .rc = RC_OK,
        .events = page.events,
        .n = page.n,
        .upto = page.upto > call->after ? page.upto : call->after,
        .pruned_to = page.pruned_to >= 0 ? page.pruned_to : 0,
    };
    call->fn.replayed(call->arg, &replay);
    pg_page_fini(&page);
    pg_call_free(call);
}

/* ---- locate and notify --------------------------------------------------------------------------
 */

struct source_call *pg_call_locate(int64_t time_us)
{
    struct source_call *call =
        call_new(PG_LOCATE, "SELECT epoch, pruned_to, head, seq FROM bellpush.locate($1)");

    if (call)
        param_int8(call, call->numbers[0], time_us);
    return call;
}

static void answer_locate(struct source_call *call, const PGresult *result)
{
    struct slice epoch = pg_field(result, 0, 0);

    if (PQntuples(result) != 1 || !epoch.at || epoch.len > EPOCH_MAX) {
        pg_call_fail(call, RC_SOURCE, "locate() gave an answer that is not understood");
        return;
    }
    struct place place = {
        .rc = RC_OK,
        .epoch = epoch.at, /* libpq ends every field with a NUL */
        .pruned_to = pg_field_number(result, 0, 1, 0),
        .head = pg_field_number(result, 0, 2, 0),
        .seq = pg_field_number(result, 0, 3, 0),
    };
    call->fn.located(call->arg, &place);
    pg_call_free(call);
}

struct source_call *pg_call_notify(const char *channel)
{
    struct source_call *call = call_new(PG_NOTIFY, "SELECT pg_notify($1, '')");

    if (!call)
        return NULL;
    buf_puts(&call->text, channel);
    if (buf_rc(&call->text) != RC_OK) {
        pg_call_free(call);
        return NULL;
    }
    param(call, PG_TEXT, buf_slice(&call->text));
    return call;
}

/* ---- may, hook ----------------------------------------------------------------------------------
 */

struct source_call *pg_call_may(struct slice who, enum verb verb, const struct slice *names,
                                size_t n)
{
    struct source_call *call =
        call_new(PG_MAY, "SELECT m FROM unnest(bellpush.may($1::jsonb, $2, $3))"
                         " WITH ORDINALITY u(m, nr) ORDER BY nr");

    if (!call)
        return NULL;
    call->names = n;
    buf_put(&call->text, who);
    pg_array_begin(&call->arrays[0], PG_TEXT);
    for (size_t i = 0; i < n; i++)
        pg_array_put(&call->arrays[0], names[i]);
    param(call, PG_TEXT, buf_slice(&call->text));
    param(call, PG_TEXT, slice_of(verb == VERB_PUBLISH ? "publish" : "subscribe"));
    if (!param_array(call, PG_TEXT_ARRAY, &call->arrays[0]) || buf_rc(&call->text) != RC_OK) {
        pg_call_free(call);
        return NULL;
    }
    return call;
}

static void answer_may(struct source_call *call, const PGresult *result)
{
    int n = PQntuples(result);
    bool *may = calloc((size_t)n + 1, sizeof(*may));

    if (!may || (size_t)n != call->names) {
        free(may);
        pg_call_fail(call, may ? RC_SOURCE : RC_NOMEM, "may() gave an answer of another form");
        return;
    }
    for (int i = 0; i < n; i++)
        may[i] = pg_field_true(result, i, 0);
    call->fn.answered(call->arg, &(struct answers){ RC_OK, may, (size_t)n });
    free(may);
    pg_call_free(call);
}

struct source_call *pg_call_hook(struct slice name)
{
    struct source_call *call = call_new(PG_HOOK, "SELECT scheme, topic, type, options, s"
                                                 " FROM bellpush.hook_of($1), unnest(secrets) s");

    if (!call)
        return NULL;
    buf_put(&call->text, name);
    if (buf_rc(&call->text) != RC_OK) {
        pg_call_free(call);
        return NULL;
    }
    param(call, PG_TEXT, buf_slice(&call->text));
    return call;
}

static void answer_hook(struct source_call *call, const PGresult *result)
{
    struct slice secrets[16];
    int n = PQntuples(result);

    if (n > (int)LENGTH(secrets))
        n = (int)LENGTH(secrets);
    for (int i = 0; i < n; i++)
        secrets[i] = pg_field(result, i, 4);
    struct hook hook = { .rc = n > 0 ? RC_OK : RC_DENIED };
    if (n > 0)
        hook = (struct hook){ .rc = RC_OK,
                              .scheme = pg_field(result, 0, 0),
                              .topic = pg_field(result, 0, 1),
                              .type = pg_field(result, 0, 2),
                              .options = pg_field(result, 0, 3),
                              .secrets = secrets,
                              .n = (size_t)n };
    call->fn.hooked(call->arg, &hook);
    pg_call_free(call);
}

/* ---- presence -----------------------------------------------------------------------------------
 */

struct source_call *pg_call_presence(const char *worker, const struct changes *c)
{
    enum { NR, TOPIC, MEMBER, DATA, DEPARTURE };
    struct source_call *call =
        call_new(PG_PRESENCE, "SELECT lost, rejected FROM bellpush.presence_change($1, $2, $3, $4,"
                              " $5, $6, $7, $8, $9, $10, $11)");

    if (!call)
        return NULL;
    struct pg_array *a = call->arrays;
    buf_puts(&call->text, worker);
    for (int i = NR; i <= DEPARTURE; i++)
        pg_array_begin(&a[i], i == NR || i == DEPARTURE ? PG_INT8 : PG_TEXT);
    for (size_t i = 0; i < c->n; i++) {
        pg_array_put_int8(&a[NR], c->arrivals[i].nr);
        pg_array_put(&a[TOPIC], c->arrivals[i].topic);
        pg_array_put(&a[MEMBER], c->arrivals[i].name);
        pg_array_put(&a[DATA], or_null(c->arrivals[i].data));
    }
    for (size_t i = 0; i < c->departure_n; i++)
        pg_array_put_int8(&a[DEPARTURE], c->departures[i]);
    param(call, PG_TEXT, buf_slice(&call->text));
    param_int8(call, call->numbers[0], c->turn);
    param_int8(call, call->numbers[1], c->known);
    bool whole = buf_rc(&call->text) == RC_OK;
    for (int i = NR; i <= DEPARTURE; i++)
        whole &=
            param_array(call, i == NR || i == DEPARTURE ? PG_INT8_ARRAY : PG_TEXT_ARRAY, &a[i]);
    if (!whole) {
        pg_call_free(call);
        return NULL;
    }
    if (c->anew) {
        param_int8(call, call->numbers[2], c->after);
        param_int8(call, call->numbers[3], c->upto);
    } else {
        param(call, PG_INT8, SLICE_NONE);
        param(call, PG_INT8, SLICE_NONE);
    }
    param_int8(call, call->numbers[4], c->topic_max);
    return call;
}

static void answer_presence(struct source_call *call, const PGresult *result)
{
    struct changed changed = { .rc = RC_OK, .why = "" };
    struct slice rejected = pg_field(result, 0, 1);
    int64_t *full = NULL;

    if (PQntuples(result) != 1 || !rejected.at ||
        pg_array_read_int8(rejected, &full, &changed.n) != RC_OK) {
        pg_call_fail(call, RC_SOURCE, "presence_change() gave an answer that is not understood");
        return;
    }
    changed.lost = pg_field_true(result, 0, 0);
    changed.full = full;
    call->fn.changed(call->arg, &changed);
    free(full);
    pg_call_free(call);
}

struct source_call *pg_call_who(struct slice topic, struct slice after, size_t most)
{
    struct source_call *call =
        call_new(PG_WHO, "SELECT member, data, since_us, sessions, epoch, head, total"
                         " FROM bellpush.who($1, $2, $3)");

    if (!call)
        return NULL;
    buf_put(&call->text, topic);
    buf_put(&call->text, after);
    if (buf_rc(&call->text) != RC_OK) {
        pg_call_free(call);
        return NULL;
    }
    param(call, PG_TEXT, (struct slice){ call->text.at, topic.len });
    param_int4(call, call->numbers[0], (int32_t)most);
    param(call, PG_TEXT, (struct slice){ call->text.at + topic.len, after.len });
    return call;
}

static void answer_who(struct source_call *call, const PGresult *result)
{
    enum { MEMBER, DATA, SINCE, SESSIONS, EPOCH, HEAD, TOTAL };
    int n = PQntuples(result) - 1; /* the last row is about all of them */
    struct slice epoch = n >= 0 ? pg_field(result, n, EPOCH) : SLICE_NONE;
    struct present *members = n >= 0 ? calloc((size_t)n + 1, sizeof(*members)) : NULL;

    if (!epoch.at || epoch.len > EPOCH_MAX || !members) {
        enum rc rc = n >= 0 && !members ? RC_NOMEM : RC_SOURCE;
        free(members);
        pg_call_fail(call, rc, "who() gave an answer that is not understood");
        return;
    }
    for (int i = 0; i < n; i++)
        members[i] = (struct present){ .name = pg_field(result, i, MEMBER),
                                       .data = pg_field(result, i, DATA),
                                       .since_us = pg_field_number(result, i, SINCE, 0),
                                       .sessions = pg_field_number(result, i, SESSIONS, 0) };
    call->fn.called(call->arg, &(struct roll){ .rc = RC_OK,
                                               .epoch = epoch.at, /* libpq ends it with a NUL */
                                               .head = pg_field_number(result, n, HEAD, 0),
                                               .members = members,
                                               .n = (size_t)n,
                                               .count = pg_field_number(result, n, TOTAL, 0) });
    free(members);
    pg_call_free(call);
}

/* ---- the end of each ----------------------------------------------------------------------------
 */

void pg_call_answer(struct source_call *call, const PGresult *result, const char *epoch)
{
    if (call->cancelled) {
        pg_call_free(call);
        return;
    }
    switch (call->kind) {
    case PG_PUBLISH:
        answer_publish(call, result);
        return;
    case PG_REPLAY:
        answer_replay(call, result, epoch);
        return;
    case PG_LOCATE:
        answer_locate(call, result);
        return;
    case PG_MAY:
        answer_may(call, result);
        return;
    case PG_HOOK:
        answer_hook(call, result);
        return;
    case PG_PRESENCE:
        answer_presence(call, result);
        return;
    case PG_WHO:
        answer_who(call, result);
        return;
    case PG_NOTIFY:
        pg_call_free(call);
        return;
    }
}

void pg_call_fail(struct source_call *call, enum rc rc, const char *why)
{
    if (!call->cancelled && call->kind == PG_PUBLISH)
        call->fn.published(
            call->arg, &(struct publication){ .rc = rc, .why = why, .uncertain = call->uncertain });
    else if (!call->cancelled && call->kind == PG_REPLAY)
        call->fn.replayed(call->arg, &(struct replay){ .rc = rc, .upto = call->after });
    else if (!call->cancelled && call->kind == PG_LOCATE)
        call->fn.located(call->arg, &(struct place){ .rc = rc, .epoch = "" });
    else if (!call->cancelled && call->kind == PG_MAY)
        call->fn.answered(call->arg, &(struct answers){ .rc = rc });
    else if (!call->cancelled && call->kind == PG_HOOK)
        call->fn.hooked(call->arg, &(struct hook){ .rc = rc == RC_DENIED ? RC_SOURCE : rc });
    else if (!call->cancelled && call->kind == PG_PRESENCE) /* only its own words are its fault */
        call->fn.changed(call->arg,
                         &(struct changed){ .rc = call->refused ? rc : RC_SOURCE, .why = why });
    else if (!call->cancelled && call->kind == PG_WHO)
        call->fn.called(call->arg, &(struct roll){ .rc = rc, .epoch = "" });
    pg_call_free(call);
}
