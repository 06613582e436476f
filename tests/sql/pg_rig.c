/*
 * pg_rig.c - a source on a loop, with a server as in main and one subscriber of everything.
 */
#include <stdarg.h>
#include <sys/prctl.h>

#include "tests/sql/pg_rig.h"

enum { DEADLINE_MS = 30 * 1000 };

static void hear(struct rig *r, const struct event_fields *f)
{
    if (r->count == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 256;
        r->heard = realloc(r->heard, r->cap * sizeof(*r->heard));
        ck_assert_ptr_nonnull(r->heard);
    }
    struct heard *h = &r->heard[r->count++];
    *h = (struct heard){ .seq = f->seq,
                         .flags = f->flags,
                         .topic = slice_dup(f->topic),
                         .data = slice_dup(f->data),
                         .len = f->data.len };
    snprintf(h->epoch, sizeof(h->epoch), "%s", f->epoch);
}

static void on_events(struct subscriber *sub, struct run *run)
{
    struct rig *r = CONTAINER(sub, struct rig, everything);

    r->told++;
    for (size_t i = 0; i < run->n; i++)
        hear(r, event_fields(run->events[i]));
}

static void on_heartbeat(uv_timer_t *timer)
{
    (void)timer;
}

struct rig *rig_new(const char *dsn, const char *const *settings)
{
    struct rig *r = calloc(1, sizeof(*r));
    struct buf errors = BUF_EMPTY;
    struct slice all = SLICE("#");

    ck_assert_ptr_nonnull(r);
    ck_assert_int_eq(uv_loop_init(&r->loop), 0);
    ck_assert_int_eq(conf_init(&r->conf), RC_OK);
    char *database = text_of("database=%s", dsn);
    ck_assert_int_eq(conf_set(&r->conf, database, "test", &errors), RC_OK);
    free(database);
    for (size_t i = 0; settings && settings[i]; i++)
        ck_assert_msg(conf_set(&r->conf, settings[i], "test", &errors) == RC_OK, "%s", settings[i]);
    ck_assert_int_eq(server_init(&r->server, &r->loop, &r->conf), RC_OK);
    if (!getenv("BELLPUSH_TEST_LOUD"))
        r->server.log.level = LOG_ERROR;
    r->everything.deliver = on_events;
    ck_assert_int_eq(hub_subscribe(r->server.hub, &r->everything, &all, 1), RC_OK);
    uv_timer_init(&r->loop, &r->heartbeat);
    uv_timer_start(&r->heartbeat, on_heartbeat, 5, 5);
    r->server.source = source_new(&r->server);
    return r;
}

static void on_freed(void *arg)
{
    *(bool *)arg = true;
}

static bool is_true(void *arg)
{
    return *(bool *)arg;
}

void rig_free(struct rig *r)
{
    source_free(r->server.source, on_freed, &r->freed);
    rig_until(r, "the source to be freed", is_true, &r->freed);
    hub_unsubscribe(r->server.hub, &r->everything);
    server_fini(&r->server);
    uv_close((uv_handle_t *)&r->heartbeat, NULL);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&r->loop), 0);
    conf_fini(&r->conf);
    for (size_t i = 0; i < r->count; i++) {
        free(r->heard[i].topic);
        free(r->heard[i].data);
    }
    free(r->heard);
    free(r);
}

void rig_until(struct rig *r, const char *what, bool (*fn)(void *arg), void *arg)
{
    int64_t deadline = now_ms() + DEADLINE_MS;

    while (!fn(arg)) {
        ck_assert_msg(now_ms() < deadline, "waited in vain for %s (%zu heard, state %d: %s)", what,
                      r->count, r->server.source_state, r->server.source_why);
        uv_run(&r->loop, UV_RUN_ONCE);
    }
}

void rig_run(struct rig *r, int64_t ms)
{
    for (int64_t end = now_ms() + ms; now_ms() < end;)
        uv_run(&r->loop, UV_RUN_ONCE);
}

struct wish {
    struct rig *rig;
    size_t count;
    enum source_state state;
    const char *text;
};

static bool has_heard(void *arg)
{
    struct wish *w = arg;

    return w->rig->count >= w->count;
}

void rig_until_heard(struct rig *r, size_t count)
{
    char what[64];

    snprintf(what, sizeof(what), "%zu events", count);
    rig_until(r, what, has_heard, &(struct wish){ .rig = r, .count = count });
}

static bool has_state(void *arg)
{
    struct wish *w = arg;

    return w->rig->server.source_state == w->state;
}

void rig_until_state(struct rig *r, enum source_state state)
{
    rig_until(r, "another state", has_state, &(struct wish){ .rig = r, .state = state });
}

static bool has_why(void *arg)
{
    struct wish *w = arg;

    return strstr(w->rig->server.source_why, w->text);
}

void rig_until_why(struct rig *r, const char *text)
{
    rig_until(r, text, has_why, &(struct wish){ .rig = r, .text = text });
}

void rig_until_housekeeper(struct rig *r)
{
    rig_until(r, "the election", is_true, &r->server.housekeeper);
}

struct rig *rig_listening(const char *dsn, const char *const *settings)
{
    struct rig *r = rig_new(dsn, settings);

    rig_until_state(r, SOURCE_LISTENING);
    return r;
}

void run_sql(const char *dsn, const char *format, ...)
{
    char sql[8192];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(sql, sizeof(sql), format, args);
    va_end(args);
    ck_assert_int_lt(n, (int)sizeof(sql));
    free(cluster_sql(dsn, sql));
}

void publish_numbers(const char *dsn, const char *topic, int from, int upto)
{
    run_sql(dsn,
            "DO $$ BEGIN FOR i IN %d..%d LOOP PERFORM bellpush.publish('%s', i::text); COMMIT; "
            "END LOOP; END $$",
            from, upto, topic);
}

void check_numbers(const struct rig *r, const char *topic, int count)
{
    int n = 0;
    int64_t last = 0;

    for (size_t i = 0; i < r->count; i++) {
        ck_assert_int_gt(r->heard[i].seq, last);
        last = r->heard[i].seq;
        if (strcmp(r->heard[i].topic, topic) == 0)
            ck_assert_int_eq(atoi(r->heard[i].data), ++n);
    }
    ck_assert_int_eq(n, count);
}

pid_t rig_process(const char *dsn, const char *const *settings)
{
    pid_t parent = getpid(), pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    char *named = text_of("%s application_name=%d", dsn, (int)getpid());
    struct rig *r = rig_new(named, settings);
    rig_run(r, 100 * 1000);
    _exit(0);
}

static struct cluster *cluster;

void rig_cluster(void)
{
    cluster = cluster_shared();
}

char *rig_database(void)
{
    char name[32];
    static int count;

    snprintf(name, sizeof(name), "rig_%d_%d", (int)getpid(), count++);
    return cluster_database(cluster, name);
}
