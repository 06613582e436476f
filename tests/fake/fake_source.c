/*
 * fake_source.c - everything that core/source.h declares, from memory and by script.
 *
 *      log[0] log[1] …          event i has number i + 1; those up to `pruned` are not given out
 *              |    |
 *           told   committed
 *
 * One timer of zero milliseconds does all the work: it is armed by whatever leaves work behind, and
 * answers what was asked before, so that nothing is answered from within its question.
 */
#include "tests/fake/fake_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/presence.h"
#include "core/topic.h"
#include "core/wall.h"

static void on_timer(uv_timer_t *);

void fake_work(struct source *s)
{
    uv_timer_start(&s->timer, on_timer, 0, 0);
}

void *fake_must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static int64_t now_us(const struct source *s)
{
    return wall_now_us() + s->clock_ms * 1000;
}

/* ---- life -------------------------------------------------------------------------------- */

struct source *source_new(struct server *server)
{
    struct source *s = fake_must(calloc(1, sizeof(*s)));

    s->server = server;
    s->calls_end = &s->calls;
    s->connected = true;
    snprintf(s->epoch, sizeof(s->epoch), "fake");
    uv_timer_init(server->loop, &s->timer);
    fake_work(s);
    return s;
}

static void call_free(struct source_call *c)
{
    for (size_t i = 0; c->events && i < c->n; i++)
        event_unref(c->events[i]);
    for (size_t i = 0; c->filters && i < c->n; i++)
        free(c->filters[i]);
    for (size_t i = 0; c->once && i < c->n; i++)
        free(c->once[i]);
    free(c->events);
    free(c->filters);
    free(c->once);
    free(c->digests);
    free(c->repeats);
    free(c->key);
    free(c->why);
    free(c->text);
    free(c->after_name);
    fake_changes_free(c->changes);
    free(c->seqs);
    free(c);
}

static void log_clear(struct source *s)
{
    for (size_t i = 0; i < s->committed; i++)
        event_unref(s->log[i]);
    s->committed = 0;
    s->told = s->pruned = 0;
    for (size_t i = 0; i < s->key_count; i++)
        free(s->keys[i].key);
    s->key_count = 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct source *s = CONTAINER(handle, struct source, timer);
    void (*done)(void *) = s->done;
    void *arg = s->done_arg;

    free(s->log);
    free(s);
    if (done)
        done(arg);
}

void source_free(struct source *s, void (*done)(void *arg), void *arg)
{
    for (struct source_call *c = s->calls, *next; c; c = next) {
        next = c->next;
        call_free(c);
    }
    presence_stop(s->server->presence);
    log_clear(s);
    fake_presence_free(s);
    s->done = done;
    s->done_arg = arg;
    uv_close((uv_handle_t *)&s->timer, on_closed);
}

/* ---- the log ----------------------------------------------------------------------------- */

static struct event *draft_event(const struct draft *d, const char *epoch, int64_t seq, int64_t at)
{
    return fake_must(event_new(&(struct event_fields){
        .epoch = epoch,
        .seq = seq,
        .topic = d->topic,
        .type = d->type,
        .content_type = d->content_type,
        .id = d->id,
        .data = d->data,
        .time_us = at,
        .expires_us = d->expires_ms ? at + d->expires_ms * 1000 : 0,
        .flags = (d->retain ? EVENT_RETAINED : 0) | (d->is_private ? EVENT_PRIVATE : 0) }));
}

/* Takes the reference. */
static void append(struct source *s, struct event *event)
{
    if (s->committed == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->log = fake_must(realloc(s->log, s->cap * sizeof(struct event *)));
    }
    s->log[s->committed++] = event;
}

int64_t fake_commit(struct source *s, const struct draft *drafts, size_t n)
{
    int64_t at = now_us(s);

    for (size_t i = 0; i < n; i++)
        append(s, draft_event(&drafts[i], s->epoch, (int64_t)s->committed + 1, at));
    fake_work(s);
    return (int64_t)s->committed;
}

static void tell(struct source *s)
{
    int64_t upto = (int64_t)s->committed;

    if (!s->connected || s->mute)
        return;
    if (!s->known) {
        int64_t head = s->told = server_epoch(s->server, s->epoch, s->pruned, upto);
        s->known = true;
        if (head > upto)
            abort();
        server_state(s->server, SOURCE_LISTENING, "");
        s->gate.told = false;
    }
    fake_gate_tell(s);
    if (s->told < upto) {
        int64_t from = s->told;
        s->told = upto;
        server_events(s->server, s->log + from, (size_t)(upto - from), upto);
    }
}

/* ---- script ------------------------------------------------------------------------------ */

void fake_away(struct source *s)
{
    s->connected = s->known = false;
    server_state(s->server, SOURCE_AWAY,
                 "connection to server at \"db.internal\" (10.1.2.3), port 5432 failed");
    fake_work(s);
}

void fake_back(struct source *s)
{
    s->connected = true;
    fake_work(s);
}

void fake_mute(struct source *s)
{
    s->mute = true;
}

void fake_bell(struct source *s)
{
    s->mute = false;
    fake_work(s);
}

void fake_prune(struct source *s, int64_t upto)
{
    /* What was never committed cannot be pruned; the script may speak of an earlier history. */
    s->pruned = upto < (int64_t)s->committed ? upto : (int64_t)s->committed;
}

void fake_restore(struct source *s, const char *epoch)
{
    log_clear(s);
    snprintf(s->epoch, sizeof(s->epoch), "%s", epoch);
    fake_work(s);
}

void fake_relay(struct source *s, bool on)
{
    s->relay = on;
}

void fake_refuse(struct source *s, bool on)
{
    s->refuse = on;
}

void fake_stall(struct source *s, bool on)
{
    s->stall = on;
    fake_work(s);
}

void fake_clock(struct source *s, int64_t ms)
{
    s->clock_ms = ms;
}

size_t fake_calls(const struct source *s)
{
    return s->call_count;
}

/* ---- questions --------------------------------------------------------------------------- */

struct source_call *fake_call_new(struct source *s, enum call_kind kind, void *arg)
{
    if (s->refuse || s->call_count == CALLS_MAX)
        return NULL;
    struct source_call *c = fake_must(calloc(1, sizeof(*c)));
    c->kind = kind;
    c->arg = arg;
    *s->calls_end = c;
    s->calls_end = &c->next;
    s->call_count++;
    fake_work(s);
    return c;
}

void source_cancel(struct source_call *c)
{
    if (c)
        c->cancelled = true; /* freed when its turn comes */
}

static uint64_t hash_more(uint64_t h, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        h = (h ^ (unsigned char)bytes.at[i]) * 0x100000001b3u;
    return (h ^ bytes.len) * 0x100000001b3u;
}

static struct fake_key *key_find(struct source *s, const char *key)
{
    for (size_t i = 0; i < s->key_count; i++)
        if (strcmp(s->keys[i].key, key) == 0)
            return &s->keys[i];
    return NULL;
}

struct source_call *source_publish(struct source *s, const struct draft *drafts, size_t n,
                                   struct slice key, published_fn *fn, void *arg)
{
    struct source_call *c = fake_call_new(s, CALL_PUBLISH, arg);

    if (!c)
        return NULL;
    c->fn.published = fn;
    c->n = n;
    c->events = fake_must(calloc(n, sizeof(struct event *)));
    for (size_t i = 0; i < n; i++) {
        c->events[i] = draft_event(&drafts[i], "", 0, 0);
        const char *error = topic_error(drafts[i].topic);
        if (error && !c->why) {
            c->rc = RC_SYNTAX;
            c->why = fake_must(strdup(error));
        }
    }
    if (key.len)
        c->key = fake_must(slice_dup(key));
    if (drafts[0].once.len) {
        c->once = fake_must(calloc(n, sizeof(char *)));
        c->digests = fake_must(calloc(n, sizeof(*c->digests)));
        c->repeats = fake_must(calloc(n, sizeof(*c->repeats)));
    }
    for (size_t i = 0; c->once && i < n; i++) {
        c->once[i] = fake_must(slice_dup(drafts[i].once));
        c->digests[i] = hash_more(0xcbf29ce484222325u, drafts[i].digest);
    }
    return c;
}

struct source_call *source_replay(struct source *s, int64_t after, const struct slice *filters,
                                  size_t n, replayed_fn *fn, void *arg)
{
    struct source_call *c = fake_call_new(s, CALL_REPLAY, arg);

    if (!c)
        return NULL;
    c->fn.replayed = fn;
    c->after = after;
    c->n = n;
    c->filters = fake_must(calloc(n, sizeof(char *)));
    for (size_t i = 0; i < n; i++)
        c->filters[i] = fake_must(slice_dup(filters[i]));
    return c;
}

struct source_call *source_locate(struct source *s, int64_t time_us, located_fn *fn, void *arg)
{
    struct source_call *c = fake_call_new(s, CALL_LOCATE, arg);

    if (!c)
        return NULL;
    c->fn.located = fn;
    c->time_us = time_us;
    return c;
}

void source_look(const struct source *s, struct source_view *out)
{
    *out = (struct source_view){ .contact_ms = s->known ? 0 : -1,
                                 .max = 1,
                                 .open = s->connected,
                                 .away = !s->connected,
                                 .why = s->connected ? "" : "by script" };
    for (const struct source_call *c = s->calls; c; c = c->next) {
        out->publishes += c->kind == CALL_PUBLISH;
        out->questions += c->kind != CALL_PUBLISH;
    }
}

/* ---- answers ----------------------------------------------------------------------------- */

static uint64_t hash_of(const struct source_call *c)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < c->n; i++) {
        const struct event_fields *e = event_fields(c->events[i]);
        h = hash_more(hash_more(hash_more(h, e->topic), e->type), e->data);
    }
    return h;
}

/* What a call brings, dated and numbered now. */
static void commit(struct source *s, const struct source_call *c, size_t i)
{
    struct event_fields f = *event_fields(c->events[i]);

    f.epoch = s->epoch;
    f.seq = (int64_t)s->committed + 1;
    f.expires_us += f.expires_us ? now_us(s) : 0;
    f.time_us = now_us(s);
    append(s, fake_must(event_new(&f)));
}

static void key_put(struct source *s, const char *key, uint64_t hash, int64_t first, size_t n)
{
    if (s->key_count < KEYS_MAX)
        s->keys[s->key_count++] = (struct fake_key){ fake_must(strdup(key)), hash, first, n };
}

/* Each event by its own key, all or nothing. */
static void take_place_once(struct source *s, struct source_call *c)
{
    size_t keys = s->key_count;
    int64_t next = (int64_t)s->committed + 1;

    c->seqs = fake_must(calloc(c->n, sizeof(int64_t)));
    for (size_t i = 0; i < c->n; i++) {
        const struct fake_key *known = key_find(s, c->once[i]);
        if (known && known->hash != c->digests[i]) {
            c->rc = RC_DENIED;
            c->why = fake_must(malloc(80));
            snprintf(c->why, 80, "bellpush: event %zu: its key was used for another", i);
            while (s->key_count > keys)
                free(s->keys[--s->key_count].key);
            return;
        }
        if (known)
            c->repeats[c->repeat_n++] = (int64_t)i;
        c->seqs[i] = known ? known->first : next;
        if (!known)
            key_put(s, c->once[i], c->digests[i], next++, 1);
    }
    for (size_t i = 0, r = 0; i < c->n; i++) {
        if (r < c->repeat_n && c->repeats[r] == (int64_t)i)
            r++;
        else
            commit(s, c, i);
    }
    c->repeated = c->repeat_n == c->n;
}

/* Commit what the call brings, unless its key has brought it before; fills rc, seqs, repeated. */
static void take_place(struct source *s, struct source_call *c)
{
    struct fake_key *known = c->key ? key_find(s, c->key) : NULL;
    int64_t first = (int64_t)s->committed + 1;

    if (c->rc != RC_OK)
        return;
    if (!s->connected) {
        c->rc = RC_SOURCE;
        return;
    }
    if (c->once) {
        take_place_once(s, c);
        return;
    }
    if (known && (known->hash != hash_of(c) || known->n != c->n)) {
        c->rc = RC_DENIED;
        return;
    }
    if (known) {
        first = known->first;
        c->repeated = true;
    } else {
        if (c->key)
            key_put(s, c->key, hash_of(c), first, c->n);
        for (size_t i = 0; i < c->n; i++)
            commit(s, c, i);
    }
    c->seqs = fake_must(calloc(c->n, sizeof(int64_t)));
    for (size_t i = 0; i < c->n; i++)
        c->seqs[i] = first + (int64_t)i;
}

static void answer_publish(struct source *s, struct source_call *c)
{
    take_place(s, c);
    if (c->cancelled)
        return;
    struct publication done = { .rc = c->rc,
                                .why = c->why           ? c->why
                                       : c->rc == RC_OK ? ""
                                                        : "by script",
                                .seqs = s->relay ? NULL : c->seqs,
                                .n = c->n,
                                .repeated = c->repeated,
                                .repeats = c->repeats,
                                .repeat_n = c->repeat_n };
    c->fn.published(c->arg, &done);
}

static bool wanted(const struct source_call *c, struct slice topic)
{
    for (size_t i = 0; i < c->n; i++)
        if (topic_matches(slice_of(c->filters[i]), topic))
            return true;
    return false;
}

static void answer_replay(struct source *s, struct source_call *c)
{
    struct event *page[FAKE_PAGE];
    struct replay answer = { .events = page, .upto = c->after, .pruned_to = s->pruned };
    int64_t from = c->after > s->pruned ? c->after : s->pruned;

    if (c->cancelled)
        return;
    if (answer.upto < from && s->committed > 0)
        answer.upto = from;
    for (int64_t i = from; i < (int64_t)s->committed && i < from + 4 * FAKE_PAGE; i++) {
        if (wanted(c, event_fields(s->log[i])->topic)) {
            if (answer.n == FAKE_PAGE)
                break;
            page[answer.n++] = s->log[i];
        }
        answer.upto = i + 1;
    }
    c->fn.replayed(c->arg, &answer);
}

static void answer_locate(struct source *s, struct source_call *c)
{
    struct place place = {
        .epoch = s->epoch, .pruned_to = s->pruned, .head = (int64_t)s->committed, .seq = s->pruned
    };
    if (c->cancelled)
        return;
    while (place.seq < place.head && event_fields(s->log[place.seq])->time_us < c->time_us)
        place.seq++;
    c->fn.located(c->arg, &place);
}

static bool can_answer(const struct source *s, const struct source_call *c)
{
    if (c->cancelled && c->kind != CALL_PUBLISH)
        return true;
    if (c->kind == CALL_PUBLISH)
        return !s->stall;
    return s->connected;
}

static void on_timer(uv_timer_t *timer)
{
    struct source *s = CONTAINER(timer, struct source, timer);
    struct source_call *todo, *next;

    tell(s); /* may bring questions */
    todo = s->calls;
    s->calls = NULL;
    s->calls_end = &s->calls;
    for (; todo; todo = next) {
        next = todo->next;
        todo->next = NULL;
        if (!can_answer(s, todo)) {
            *s->calls_end = todo;
            s->calls_end = &todo->next;
            continue;
        }
        s->call_count--;
        switch (todo->kind) {
        case CALL_PUBLISH:
            answer_publish(s, todo);
            break;
        case CALL_REPLAY:
            answer_replay(s, todo);
            break;
        case CALL_LOCATE:
            answer_locate(s, todo);
            break;
        case CALL_MAY:
            fake_answer_may(s, todo);
            break;
        case CALL_HOOK:
            fake_answer_hook(s, todo);
            break;
        case CALL_PRESENCE:
            fake_answer_presence(s, todo);
            break;
        case CALL_WHO:
            fake_answer_who(s, todo);
            break;
        }
        call_free(todo);
    }
    if (s->told < (int64_t)s->committed && s->connected && !s->mute)
        fake_work(s);
}
