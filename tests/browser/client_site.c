/*
 * client_site.c - see client_site.h.
 */
#include "tests/browser/client_site.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/peers/cluster.h"
#include "tests/peers/process.h"

enum { ANSWER_MS = 15000, WORKERS_MAX = 16 };

/* Short times, for there is no network here that would need more. */
static const char settings[] = "retry = 100ms\nheartbeat = 1s\npoll_wait = 2s\nqueue_age = 5s\n"
                               "publish_key = key\ntoken_in_query = yes\n";

static _Noreturn void give_up(const char *why, const char *which)
{
    fprintf(stderr, "tests: client page: %s %s\n", why, which);
    exit(EXIT_FAILURE);
}

static void copy_pages(const char *folder)
{
    static const char line[] = "cp \"$1\"/www/* \"$1\"/tests/browser/page/* \"$2\"/docroot/";
    const char *const argv[] = {
        "sh", "-ec", line, "sh", getenv("BELLPUSH_TEST_TOP"), folder, NULL
    };
    if (process_run(&(struct process_spec){ .argv = argv }, ANSWER_MS))
        give_up("cannot be copied to", folder);
}

struct client_site *client_site_start(enum front_kind kind)
{
    static const char *const names[] = {
        [FRONT_NGINX] = "nginx", [FRONT_LIGHTTPD] = "lighttpd", [FRONT_APACHE_PROXY_FCGI] = "apache"
    };
    struct client_site *s = calloc(1, sizeof *s);

    if (!s)
        abort();
    s->front_name = names[kind];
    char *database = text_of("client_%s", s->front_name);
    s->dsn = cluster_database(cluster_shared(), database);
    free(database);
    s->front = front_start(&(struct front_spec){ .kind = kind,
                                                 .program = getenv("BELLPUSH_TEST_PROGRAM"),
                                                 .dsn = s->dsn,
                                                 .settings = settings });
    copy_pages(front_folder(s->front));
    s->rude = rude_start(front_port(s->front));
    return s;
}

void client_site_free(struct client_site *s)
{
    if (!s)
        return;
    rude_free(s->rude);
    front_free(s->front);
    free(s->dsn);
    free(s);
}

char *client_site_topic(struct client_site *s)
{
    return text_of("run/%d", s->topics++);
}

char *client_site_url(const struct client_site *s, int port, const char *topic, const char *query)
{
    return text_of("http://127.0.0.1:%d/client.html?topic=%s%s%s", port, topic, query ? "&" : "",
                   query ? query : "");
}

char *client_site_page(const struct client_site *s, const char *page, const char *topic,
                       const char *query)
{
    return text_of("http://127.0.0.1:%d/%s?topic=%s%s", front_port(s->front), page, topic, query);
}

void client_site_publish(const struct client_site *s, const char *topic, int first, int end)
{
    char *sql = text_of("DO $$ BEGIN FOR i IN %d..%d LOOP PERFORM bellpush.publish('%s', i::text); "
                        "COMMIT; END LOOP; END $$",
                        first, end - 1, topic);
    free(cluster_sql(s->dsn, sql));
    free(sql);
}

void client_site_kill_workers(const struct client_site *s)
{
    pid_t pids[WORKERS_MAX];
    size_t n = front_workers(s->front, pids, WORKERS_MAX);

    if (n == 0 || n > WORKERS_MAX)
        give_up("no workers, or too many, behind", front_folder(s->front));
    for (size_t i = 0; i < n; i++)
        kill(pids[i], SIGKILL);
}
