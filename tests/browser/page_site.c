/*
 * page_site.c - see page_site.h.
 *
 * A front (tests/peers/front.h) serves static files and Bellpush.  What a site adds to that is one
 * script of its own, run by fcgiwrap; the lines for it are added to the configuration, and the
 * server is reloaded.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/browser/page_site.h"
#include "tests/browser/run_site.h"
#include "tests/peers/cluster.h"
#include "tests/peers/front.h"
#include "tests/peers/http.h"
#include "tests/peers/process.h"

enum { ANSWER_MS = 15000, STOP_MS = 5000, WORKERS_MAX = 16 };

struct page_site {
    enum page_site_kind kind;
    struct run_site *run;
    struct front *front;
    pid_t wrap; /* fcgiwrap */
    char *url, *dsn;
};

static _Noreturn void give_up(const char *why, const char *which)
{
    fprintf(stderr, "tests: demo page: %s %s\n", why, which);
    exit(EXIT_FAILURE);
}

/* What the site adds to its configuration. */
static char *script_lines(const struct page_site *s, const char *folder)
{
    if (s->kind == PAGE_APACHE)
        return text_of("<Location \"/site.cgi\">\n"
                       "    ProxyPass \"unix:%s/run/site.sock|fcgi://site/\"\n"
                       "    ProxyFCGISetEnvIf true SCRIPT_FILENAME \"%s/docroot/site.cgi\"\n"
                       "    ProxyFCGISetEnvIf true DEMO_DATABASE \"%s\"\n"
                       "</Location>\n",
                       folder, folder, s->dsn);
    return text_of(
        "location = /site.cgi {\n"
        "    include fastcgi_params;\n"
        "    fastcgi_param SCRIPT_FILENAME %s/docroot/site.cgi;\n"
        "    fastcgi_param DEMO_DATABASE \"%s\";\n"
        "    fastcgi_pass unix:%s/run/site.sock;\n"
        "}\n"
        "types { text/html html; text/css css; text/javascript js; image/svg+xml svg; }\n"
        "%s",
        folder, s->dsn, folder,
        s->kind == PAGE_NO_EVENTS ? "location = /push/events { return 502; }\n" : "");
}

static void copy_page(const char *top, const char *folder)
{
    static const char line[] = "cp \"$1\"/www/* \"$1\"/contrib/run/site.cgi \"$2\"/docroot/";
    const char *const argv[] = { "sh", "-ec", line, "sh", top, folder, NULL };
    if (process_run(&(struct process_spec){ .argv = argv }, ANSWER_MS))
        give_up("cannot be copied from", top);
}

static void append(const char *path, const char *text)
{
    char *old = file_read(path), *all = text_of("%s\n%s", old ? old : "", text);
    file_write(path, slice_of(all));
    free(all);
    free(old);
}

/* One process: more would be its children, which outlive it when it is killed. */
static void start_wrap(struct page_site *s, const char *folder)
{
    char *socket = text_of("unix:%s/run/site.sock", folder);
    char *log = text_of("%s/log/fcgiwrap.log", folder);
    const char *const argv[] = { "fcgiwrap", "-s", socket, NULL };
    s->wrap = process_start(&(struct process_spec){ .argv = argv, .log = log, .user = "www-data" });
    free(log);
    free(socket);
}

static bool script_answers(void *arg)
{
    struct page_site *s = arg;
    struct http *h =
        http_new(&(struct http_ask){ .port = front_port(s->front), .target = "/site.cgi" });
    while (http_wait(h, ANSWER_MS))
        ;
    bool yes = http_status(h) == 200 && http_body(h).len > 0 && http_body(h).at[0] == '{';
    http_free(h);
    return yes;
}

static void start_front(struct page_site *s)
{
    static const char *const databases[] = { [PAGE_NGINX] = "page_nginx",
                                             [PAGE_APACHE] = "page_apache",
                                             [PAGE_NO_EVENTS] = "page_no_events" };
    const char *top = getenv("BELLPUSH_TEST_TOP");

    s->dsn = cluster_database(cluster_shared(), databases[s->kind]);
    char *path = text_of("%s/contrib/run/demo.sql", top), *sql = file_read(path);
    if (!sql)
        give_up("cannot read", path);
    free(cluster_sql(s->dsn, sql));
    free(sql);
    free(path);

    s->front = front_start(&(struct front_spec){
        .kind = s->kind == PAGE_APACHE ? FRONT_APACHE_PROXY_FCGI : FRONT_NGINX,
        .program = getenv("BELLPUSH_TEST_PROGRAM"),
        .dsn = s->dsn });
    const char *folder = front_folder(s->front);
    copy_page(top, folder);
    start_wrap(s, folder);
    char *recipe = text_of("%s/etc/recipe.conf", folder), *lines = script_lines(s, folder);
    append(recipe, lines);
    free(lines);
    free(recipe);
    front_restart(s->front);
    if (!wait_until(script_answers, s, ANSWER_MS)) {
        front_show_logs(s->front);
        give_up("its script does not answer behind", page_site_name(s));
    }
    s->url = text_of("http://127.0.0.1:%d/", front_port(s->front));
}

struct page_site *page_site_start(enum page_site_kind kind)
{
    struct page_site *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->kind = kind;
    if (kind == PAGE_RUN) {
        s->run = run_site_start(NULL);
        s->url = text_of("%s", s->run->page);
        s->dsn = text_of("%s", s->run->dsn);
    } else {
        start_front(s);
    }
    return s;
}

void page_site_free(struct page_site *s)
{
    if (!s)
        return;
    run_site_end(s->run, SIGTERM);
    process_stop(s->wrap, STOP_MS);
    front_free(s->front);
    free(s->url);
    free(s->dsn);
    free(s);
}

const char *page_site_name(const struct page_site *s)
{
    static const char *const names[] = { "lighttpd", "nginx", "apache", "nginx-without-events" };
    return names[s->kind];
}

const char *page_site_url(const struct page_site *s)
{
    return s->url;
}

const char *page_site_dsn(const struct page_site *s)
{
    return s->dsn;
}

int page_site_port(const struct page_site *s)
{
    return s->run ? s->run->port : front_port(s->front);
}

const char *page_site_transport(const struct page_site *s)
{
    return s->run ? "websocket" : "eventsource";
}

static bool has_reader(void *arg)
{
    const struct page_site *s = arg;
    return front_open_requests(s->front) > 0;
}

void page_site_await_reader(const struct page_site *s)
{
    if (!wait_until(has_reader, (void *)(uintptr_t)s, ANSWER_MS))
        give_up("nobody listens behind", page_site_name(s));
}

void page_site_kill_workers(const struct page_site *s)
{
    pid_t pids[WORKERS_MAX];
    size_t n = s->run ? run_site_workers(s->run, pids, WORKERS_MAX)
                      : front_workers(s->front, pids, WORKERS_MAX);
    if (n == 0 || n > WORKERS_MAX)
        give_up("no workers, or too many, behind", page_site_name(s));
    for (size_t i = 0; i < n; i++)
        kill(pids[i], SIGKILL);
    if (s->run)
        kill(run_site_sidecar(s->run), SIGKILL);
}
