/*
 * client_site.c - see client_site.h.
 */
#include "tests/browser/client_site.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/peers/cluster.h"
#include "tests/peers/process.h"

enum { ANSWER_MS = 15000, WORKERS_MAX = 16 };

/* Short times, for there is no network here that would need more. */
static const char settings[] = "retry = 100ms\nheartbeat = 1s\npoll_wait = 2s\nqueue_age = 5s\n"
                               "publish_key = key\ntoken_in_query = yes\nws_ping = 1s\n";

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

/* The port that it has been given, as soon as it says so. */
static bool says_port(void *arg)
{
    static const char mark[] = "listening on ";
    struct client_site *s = arg;
    char *log = file_read(s->log), *line = log ? strstr(log, mark) : NULL;
    char *end = line ? strchr(line, '\n') : NULL;

    if (end) {
        *end = '\0';
        s->port = atoi(strrchr(line, ':') + 1);
    }
    free(log);
    return s->port > 0;
}

static void start_daemon(struct client_site *s)
{
    s->folder = temp_folder("client");
    s->log = text_of("%s/log", s->folder);
    char *conf = text_of("%s/bellpush.conf", s->folder), *www = text_of("%s/docroot", s->folder);
    char *lines = text_of("database = %s\n%s", s->dsn, settings);
    const char *const argv[] = { getenv("BELLPUSH_TEST_DAEMON"),
                                 "--config",
                                 conf,
                                 "--listen",
                                 "127.0.0.1:0",
                                 "--workers",
                                 "1",
                                 "--www",
                                 www,
                                 NULL };

    file_write(conf, slice_of(lines));
    chmod(conf, 0600);
    mkdir(www, 0755);
    copy_pages(s->folder);
    s->daemon = process_start(&(struct process_spec){ .argv = argv, .log = s->log });
    if (!wait_until(says_port, s, ANSWER_MS)) {
        char *log = file_read(s->log);
        give_up("bellpushd does not listen:", log ? log : "");
    }
    free(lines);
    free(www);
    free(conf);
}

static void start_front(struct client_site *s, enum front_kind kind)
{
    s->front = front_start(&(struct front_spec){ .kind = kind,
                                                 .program = getenv("BELLPUSH_TEST_PROGRAM"),
                                                 .daemon = getenv("BELLPUSH_TEST_DAEMON"),
                                                 .daemon_works = true,
                                                 .dsn = s->dsn,
                                                 .settings = settings });
    copy_pages(front_folder(s->front));
    s->port = front_port(s->front);
}

void client_site_spoil(const struct client_site *s, const char *line, const char *other)
{
    char *path = text_of("%s/etc/recipe.conf", front_folder(s->front)), *text = file_read(path);
    char *worse = text ? text_exchange(text, line, other) : NULL;

    if (!worse)
        give_up("has no such line:", path);
    file_write(path, slice_of(worse));
    front_restart(s->front);
    free(worse);
    free(text);
    free(path);
}

void client_site_set(const struct client_site *s, const char *lines)
{
    char *path = text_of("%s/site/bellpush.conf", front_folder(s->front)), *text = file_read(path);
    char *more = text_of("%s%s", text ? text : "", lines);

    file_write(path, slice_of(more));
    client_site_kill_workers(s);
    free(more);
    free(text);
    free(path);
}

struct client_site *client_site_start(enum client_front kind)
{
    static const struct {
        const char *name;
        enum front_kind front;
    } kinds[] = {
        [CLIENT_NGINX] = { "nginx", FRONT_NGINX },
        [CLIENT_LIGHTTPD] = { "lighttpd", FRONT_LIGHTTPD },
        [CLIENT_APACHE] = { "apache", FRONT_APACHE_PROXY_FCGI },
        [CLIENT_BELLPUSHD] = { "bellpushd", 0 },
        [CLIENT_GATHERING] = { "gathering", FRONT_NGINX },
    };
    struct client_site *s = calloc(1, sizeof *s);

    if (!s)
        abort();
    s->front_name = kinds[kind].name;
    char *database = text_of("client_%s", s->front_name);
    s->dsn = cluster_database(cluster_shared(), database);
    free(database);
    if (kind == CLIENT_BELLPUSHD)
        start_daemon(s);
    else
        start_front(s, kinds[kind].front);
    if (kind == CLIENT_GATHERING) /* and more than that, for our X-Accel-Buffering would save it */
        client_site_spoil(s, "fastcgi_buffering off;", "fastcgi_ignore_headers X-Accel-Buffering;");
    s->rude = rude_start(s->port);
    return s;
}

void client_site_free(struct client_site *s)
{
    if (!s)
        return;
    rude_free(s->rude);
    front_free(s->front);
    process_stop(s->daemon, ANSWER_MS);
    free(s->folder);
    free(s->log);
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
    return text_of("http://127.0.0.1:%d/%s?topic=%s%s", s->port, page, topic, query);
}

void client_site_publish(const struct client_site *s, const char *topic, int first, int end)
{
    char *sql = text_of("DO $$ BEGIN FOR i IN %d..%d LOOP PERFORM bellpush.publish('%s', i::text); "
                        "COMMIT; END LOOP; END $$",
                        first, end - 1, topic);
    free(cluster_sql(s->dsn, sql));
    free(sql);
}

char *client_site_token(const struct client_site *s, const char *subject)
{
    char *sql =
        text_of("SELECT bellpush.token(ARRAY['right/#'], ttl => '40 s', subject => '%s')", subject);
    char *token = cluster_sql(s->dsn, sql);
    token[strcspn(token, "\n")] = '\0';
    free(sql);
    return token;
}

void client_site_kill_workers(const struct client_site *s)
{
    pid_t pids[WORKERS_MAX];
    size_t n = s->front ? front_workers(s->front, pids, WORKERS_MAX)
                        : process_children(s->daemon, pids, WORKERS_MAX);

    if (n == 0 || n > WORKERS_MAX)
        give_up("no workers, or too many, behind", s->front_name);
    for (size_t i = 0; i < n; i++)
        kill(pids[i], SIGKILL);
}
