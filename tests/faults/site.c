/*
 * site.c - see site.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/faults/site_priv.h"
#include "tests/peers/process.h"

enum { ASK_MS = 2000 };

extern const struct site_kind *const __start_bellpush_site_kinds[] __attribute__((weak));
extern const struct site_kind *const __stop_bellpush_site_kinds[] __attribute__((weak));

static const enum front_kind kinds[SITE_FRONTS] = { FRONT_NGINX, FRONT_LIGHTTPD,
                                                    FRONT_APACHE_PROXY_FCGI };
static const char *const front_names[SITE_FRONTS] = { "nginx", "lighttpd", "apache" };

/* Impatient, so that a fault is noticed and got over within seconds; and with a short memory, so
   that it is soon full and readers who come back are served from the database, too. */
static const char site_settings[] = "heartbeat = 1s\n"
                                    "retry = 200ms\n"
                                    "probe = 1s\n"
                                    "drain = 2s\n"
                                    "database_pool = 2\n"
                                    "log_level = info\n"
                                    "journal_events = 2000\n"
                                    "journal_bytes = 8m\n"
                                    "queue_age = 3s\n"
                                    "ws_ping = 1s\n"
                                    "channels = " LOAD_CHANNEL "\n";

/* NULL: as SITE_PLAIN. */
static const struct site_kind *kind_of(enum site_flavour flavour)
{
    for (const struct site_kind *const *k = __start_bellpush_site_kinds;
         k < __stop_bellpush_site_kinds; k++)
        if ((*k)->flavour == flavour)
            return *k;
    return NULL;
}

const char *site_lacks(enum site_flavour flavour)
{
    const struct site_kind *k = kind_of(flavour);

    if (flavour != SITE_PLAIN && !k)
        return "nobody has described such a site";
    return k && k->lacks ? k->lacks() : NULL;
}

void site_plain_database(struct site *s, const char *const *settings)
{
    s->cluster = cluster_start_with(settings);
    s->dsn = cluster_database(s->cluster, "site");
}

/*
 * For WebSockets, behind nginx and behind Apache.  Not where a flavour does something to the
 * workers themselves (their clock, their limits, their network), which the sidecars would not
 * share.
 */
static bool has_sidecar(const struct site *s, size_t front)
{
    return kinds[front] != FRONT_LIGHTTPD && s->flavour != SITE_CLOCK && s->flavour != SITE_TIGHT &&
           s->flavour != SITE_FAR;
}

static void start_fronts(struct site *s, const struct site_workers *workers)
{
    struct buf settings = BUF_EMPTY;
    char *before = workers->before.len ? slice_dup(buf_slice(&workers->before)) : NULL;

    buf_printf(&settings, "%spublish_key = %s\n", site_settings, s->key);
    buf_put(&settings, buf_slice(&workers->settings));
    buf_putc(&settings, '\0');
    if (buf_rc(&settings) != RC_OK)
        abort();
    for (size_t i = 0; i < SITE_FRONTS; i++) {
        const struct front_spec spec = { .kind = kinds[i],
                                         .program = getenv("BELLPUSH_TEST_PROGRAM"),
                                         .daemon = has_sidecar(s, i)
                                                       ? getenv("BELLPUSH_TEST_DAEMON")
                                                       : NULL,
                                         .daemon_works = true,
                                         .dsn = workers->dsn,
                                         .settings = settings.at,
                                         .before = before };
        s->fronts[i] = front_start(&spec);
        s->load_fronts[i] =
            (struct load_front){ front_names[i], front_port(s->fronts[i]), has_sidecar(s, i) };
    }
    buf_fini(&settings);
    free(before);
}

struct site *site_start(enum site_flavour flavour, uint64_t seed)
{
    const struct site_kind *k = kind_of(flavour);
    struct site_workers workers = { .settings = BUF_EMPTY, .before = BUF_EMPTY };
    struct site *s = calloc(1, sizeof *s);

    if (!s)
        abort();
    s->flavour = flavour;
    s->seed = seed;
    s->key = text_of("key-%016llx", (unsigned long long)seed);
    if (k && k->start_database)
        k->start_database(s);
    else
        site_plain_database(s, NULL);
    s->publisher_dsn = text_of("%s", s->dsn);
    workers.dsn = text_of("%s", s->dsn);
    if (k && k->prepare)
        k->prepare(s, &workers);
    load_prepare(s->dsn);
    start_fronts(s, &workers);
    free(workers.dsn);
    buf_fini(&workers.settings);
    buf_fini(&workers.before);
    return s;
}

void site_free(struct site *s)
{
    if (!s)
        return;
    const struct site_kind *k = kind_of(s->flavour);
    for (size_t i = 0; i < SITE_FRONTS; i++)
        front_free(s->fronts[i]);
    if (k && k->release)
        k->release(s);
    cluster_free(s->cluster);
    free(s->dsn);
    free(s->publisher_dsn);
    free(s->key);
    free(s);
}

bool site_is_well(const struct site *s)
{
    for (size_t i = 0; i < SITE_FRONTS; i++)
        for (size_t k = 0; k < front_sockets(s->fronts[i]); k++) {
            char *answer = front_ask(s->fronts[i], k, "/ready", NULL, ASK_MS);
            bool ready = answer && strstr(answer, "\"ready\":true");
            free(answer);
            if (!ready)
                return false;
        }
    return !s->spent;
}

/* The words of lighttpd, which our keeper says as well, and of the sanitizers. */
static const char *const crashes[] = {
    "child signalled: 4",  "child signalled: 6",   "child signalled: 7",  "child signalled: 8",
    "child signalled: 11", "killed by signal 4;",  "killed by signal 6;", "killed by signal 7;",
    "killed by signal 8;", "killed by signal 11;", "Sanitizer",           "runtime error"
};

char *site_crash(const struct site *s)
{
    static const char *const logs[] = { "workers.log", "error.log" };
    char *line = NULL;

    for (size_t i = 0; i < SITE_FRONTS * LENGTH(logs) && !line; i++) {
        char *path =
            text_of("%s/log/%s", front_folder(s->fronts[i / LENGTH(logs)]), logs[i % LENGTH(logs)]);
        char *text = file_read(path);
        for (size_t k = 0; text && k < LENGTH(crashes) && !line; k++) {
            const char *at = strstr(text, crashes[k]);
            if (at)
                line = text_of("%s: %.*s", path, (int)strcspn(at, "\n"), at);
        }
        free(text);
        free(path);
    }
    return line;
}
