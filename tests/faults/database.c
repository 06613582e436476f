/*
 * database.c - see database.h.
 */
#include <stdlib.h>

#include "tests/faults/act_priv.h"
#include "tests/faults/database.h"
#include "tests/peers/http.h"
#include "tests/peers/process.h"

enum {
    SETTLE_MS = 30000,  /* a tick of each worker, on a machine that is busy */
    PUBLISH_MS = 40000, /* longest that a publisher may be left without an answer */
    SERVE_MS = 10000,   /* for what does not need the database */
};

/* By what it last said: sessions of the pool and of the keeper say other things. */
const char database_listeners[] =
    "datname = 'site' AND application_name = 'bellpush' AND pid <> pg_backend_pid() AND query ~ "
    "'bellpush_(read|few)|bellpush\\.(read|housekeeper|report|record|hello)\\(|pg_notify'";

struct settling {
    char *dsn, *sql;
};

static bool is_settled(void *arg)
{
    const struct settling *s = arg;
    char *left = cluster_sql(s->dsn, s->sql);
    bool settled = strcmp(left, "0") == 0;

    free(left);
    return settled;
}

/*
 * A session is signalled before the COMMIT of a NOTIFY is answered, and tells its client what it
 * was signalled for before it says that a statement is over.
 */
void database_quiet(struct act *a)
{
    struct settling s = { .dsn = cluster_dsn(a->site->cluster, "postgres") };

    act_unheard(a);
    char *now = cluster_sql(s.dsn, "SELECT clock_timestamp()");
    s.sql = text_of("SELECT count(*) FROM pg_stat_activity WHERE %s"
                    " AND NOT (state = 'idle' AND state_change > '%s')",
                    database_listeners, now);
    if (!act_wait(a, is_settled, &s, SETTLE_MS))
        act_fail(a, "some worker's listening session does nothing");
    free(now);
    free(s.sql);
    free(s.dsn);
}

void database_back(struct act *a)
{
    evidence_status(a, 0, "database.state", "listening");
    act_heard(a);
    evidence_log(a, 0, "database back after");
    act_flows(a, 20);
}

/* ---- clients meanwhile --------------------------------------------------------------------------
 */

struct clients {
    struct act *act;
    struct http *publish, *stream, *poll;
    int64_t asked_ms;
};

static struct http *ask(const struct act *a, const char *method, const char *target,
                        struct slice body)
{
    char *key = text_of("Authorization: Bearer %s", a->site->key);
    const char *const headers[] = { key, "Content-Type: text/plain", NULL };
    struct http *h = http_new(&(struct http_ask){ .port = front_port(a->site->fronts[0]),
                                                  .method = method,
                                                  .target = target,
                                                  .headers = headers,
                                                  .body = body });
    free(key);
    return h;
}

static char *present_cursor(const struct act *a)
{
    json_t *status = act_ask(a, 0, 0);
    const char *head = json_string_value(json_object_get(json_object_get(status, "log"), "head"));
    char *cursor = text_of("%s", head ? head : "");

    json_decref(status);
    return cursor;
}

static struct clients come(struct act *a)
{
    char *cursor = present_cursor(a);
    char *poll = text_of("/push/poll?topic=filler/nothing&wait=1&since=%s", cursor);
    struct clients c = { .act = a, .asked_ms = now_ms() };

    c.publish = ask(a, "POST", "/push/publish?topic=filler/away", SLICE("while it was away"));
    c.stream = ask(a, "GET", "/push/events?topic=filler/nothing", SLICE_NONE);
    c.poll = ask(a, "GET", poll, SLICE_NONE);
    free(poll);
    free(cursor);
    return c;
}

static bool publish_is_answered(void *arg)
{
    struct clients *c = arg;
    http_step(c->publish);
    return http_ended(c->publish);
}

static bool poll_is_answered(void *arg)
{
    struct clients *c = arg;
    http_step(c->poll);
    return http_ended(c->poll);
}

/* Asked anew, with nothing read before: the next beat is one of now. */
static bool stream_beats(void *arg)
{
    struct clients *c = arg;
    http_step(c->stream);
    return http_status(c->stream) == 200 && http_body(c->stream).len > 0;
}

static void see_that_they_are_served(struct clients *c)
{
    struct act *a = c->act;
    bool patient = act_choose(a, 0, 2) == 0; /* a frozen server lets a publish wait for long */

    http_step(c->stream);
    http_forget(c->stream, http_body(c->stream).len);
    if (!act_wait(a, stream_beats, c, SERVE_MS))
        act_fail(a, "a stream does not beat while the database is away: status %d",
                 http_status(c->stream));
    if (!act_wait(a, poll_is_answered, c, SERVE_MS) || http_status(c->poll) != 200)
        act_fail(a, "a poll is not answered while the database is away: status %d",
                 http_status(c->poll));
    int64_t left = c->asked_ms + PUBLISH_MS - now_ms();
    if (!http_ended(c->publish) && !patient)
        return;
    if (!act_wait(a, publish_is_answered, c, left > 0 ? left : 0))
        act_fail(a, "a publish is not answered within %d ms", PUBLISH_MS);
    else
        act_note(a, "a publish meanwhile is answered %d after %lld ms: %.*s",
                 http_status(c->publish), (long long)(now_ms() - c->asked_ms),
                 (int)http_body(c->publish).len, http_body(c->publish).at);
}

void database_away(struct act *a, int64_t ms)
{
    struct clients c = come(a);

    evidence_status(a, 0, "database.state", "away");
    int64_t took = now_ms() - c.asked_ms;
    if (took > ms)
        act_fail(a, "it took %lld ms until all workers had noticed", (long long)took);
    else
        act_note(a, "noticed by all workers after %lld ms", (long long)took);
    evidence_log(a, 0, "database away");
    see_that_they_are_served(&c);
    http_free(c.publish);
    http_free(c.stream);
    http_free(c.poll);
}
