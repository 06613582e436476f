/*
 * pg_source.c - core/source.h on PostgreSQL: the source's life, and its door.
 */
#include <stdlib.h>

#include "core/presence.h"
#include "core/source.h"
#include "core/topic.h"
#include "sql/pg_dial.h"
#include "sql/pg_source.h"

enum { CHANNEL_MAX = 63 }; /* bytes; PostgreSQL would cut a longer name off, or refuse it */

static bool conf_is_usable(const struct server *s)
{
    const struct conf *conf = s->conf;
    bool usable = true;

    /* The values are not shown: there may be a password in them. */
    if (conf->database && !pg_dial_understands(conf->database)) {
        log_error(&s->log, "setting 'database' is not a connection string of PostgreSQL");
        usable = false;
    }
    if (conf->listen_database && !pg_dial_understands(conf->listen_database)) {
        log_error(&s->log, "setting 'listen_database' is not a connection string of PostgreSQL");
        usable = false;
    }
    for (size_t i = 0; i < conf->channels.n; i++) {
        struct slice channel = slice_of(conf->channels.at[i]);
        const char *error = topic_error(channel); /* it will be the topic of its events */
        if (!error && channel.len > CHANNEL_MAX)
            error = "the name of a channel has at most 63 bytes";
        if (!error &&
            (slice_is(channel, SLICE("bellpush")) || slice_is(channel, SLICE("bellpush_relay"))))
            error = "this one is for Bellpush's own use";
        if (error) {
            log_error(&s->log, "setting 'channels': '%s': %s", conf->channels.at[i], error);
            usable = false;
        }
    }
    return usable;
}

static void on_published(void *arg)
{
    struct source *s = arg;

    pg_listen_poke(s->listen);
}

static void dismantle(struct source *s)
{
    pg_listen_free(s->listen);
    pg_keeper_free(s->keeper);
    pg_pool_free(s->pool);
}

/* All that the loop held is gone. */
static void on_empty(void *arg)
{
    struct source *s = arg;
    void (*done)(void *) = s->done;
    void *done_arg = s->arg;

    free(s);
    if (done)
        done(done_arg);
}

struct source *source_new(struct server *server)
{
    struct source *s;

    if (!conf_is_usable(server) || !(s = calloc(1, sizeof(*s))))
        return NULL;
    s->server = server;
    s->loop.uv = server->loop;
    s->loop.wheel = server->wheel;
    s->keeper = pg_keeper_new(s);
    s->pool = pg_pool_new(server, &s->loop);
    s->listen = s->keeper && s->pool ? pg_listen_new(s) : NULL;
    if (!s->listen) {
        log_error(&server->log, "out of memory");
        dismantle(s); /* nothing is on the loop yet */
        free(s);
        return NULL;
    }
    pg_pool_on_published(s->pool, on_published, s);
    return s;
}

static void on_turn(struct turn *turn)
{
    on_empty(CONTAINER(turn, struct source, turn));
}

void source_free(struct source *s, void (*done)(void *arg), void *arg)
{
    if (!s) {
        if (done)
            done(arg);
        return;
    }
    presence_stop(s->server->presence);
    dismantle(s);
    s->done = done;
    s->arg = arg;
    s->loop.arg = s;
    s->loop.empty = on_empty;
    if (s->loop.held == 0) { /* not from within */
        s->turn.run = on_turn;
        turn_add(s->server, &s->turn);
    }
}

/* ---- questions ----------------------------------------------------------------------------------
 */

static struct source_call *take(struct source *s, struct source_call *call)
{
    if (!call)
        server_no_memory(s->server, "a statement");
    return call && pg_pool_take(s->pool, call) ? call : NULL;
}

struct source_call *source_publish(struct source *s, const struct draft *drafts, size_t n,
                                   struct slice key, published_fn *fn, void *arg)
{
    struct source_call *call = pg_call_publish(drafts, n, key);

    if (call) {
        call->fn.published = fn;
        call->arg = arg;
    }
    return take(s, call);
}

struct source_call *source_replay(struct source *s, int64_t after, const struct slice *filters,
                                  size_t n, replayed_fn *fn, void *arg)
{
    struct source_call *call = pg_call_replay(after, filters, n);

    if (call) {
        call->fn.replayed = fn;
        call->arg = arg;
    }
    return take(s, call);
}

struct source_call *source_locate(struct source *s, int64_t time_us, located_fn *fn, void *arg)
{
    struct source_call *call = pg_call_locate(time_us);

    if (call) {
        call->fn.located = fn;
        call->arg = arg;
    }
    return take(s, call);
}

struct source_call *source_may(struct source *s, struct slice who, enum verb verb,
                               const struct slice *names, size_t n, answered_fn *fn, void *arg)
{
    struct source_call *call = pg_call_may(who, verb, names, n);

    if (call) {
        call->fn.answered = fn;
        call->arg = arg;
    }
    return take(s, call);
}

struct source_call *source_hook(struct source *s, struct slice name, hooked_fn *fn, void *arg)
{
    struct source_call *call = pg_call_hook(name);

    if (call) {
        call->fn.hooked = fn;
        call->arg = arg;
    }
    return take(s, call);
}

struct source_call *source_presence(struct source *s, const struct changes *changes, changed_fn *fn,
                                    void *arg)
{
    struct source_call *call = pg_call_presence(pg_listen_worker(s->listen), changes);

    if (call) {
        call->fn.changed = fn;
        call->arg = arg;
    }
    return take(s, call);
}

struct source_call *source_who(struct source *s, struct slice topic, struct slice after,
                               size_t most, called_fn *fn, void *arg)
{
    struct source_call *call = pg_call_who(topic, after, most);

    if (call) {
        call->fn.called = fn;
        call->arg = arg;
    }
    return take(s, call);
}

void source_look(const struct source *s, struct source_view *out)
{
    *out = (struct source_view){ .contact_ms = pg_listen_contact_ms(s->listen) };
    pg_pool_look(s->pool, out);
}

void source_cancel(struct source_call *call)
{
    if (call)
        pg_pool_cancel(call);
}
