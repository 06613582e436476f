/*
 * web.c - setting the site up (web.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "tests/suite.h"
#include "tests/web/web.h"

/* As the recipes of contrib/ ask for it; and the echo. */
#define SIDECAR_SETTINGS "trusted_proxies = unix\nws_echo = yes\n"

struct web web;

/* lighttpd answers for itself, in HTML, where a URL holds encoded control characters. */
static const struct web_way ways[] = {
    [FRONT_NGINX] = { { "nginx", false, 1000, true, false },
                      .sees_leaving = true,
                      .lasting = true,
                      .ws = true },
    [FRONT_LIGHTTPD] = { { "lighttpd", false, 1000, false, false },
                         .sees_leaving = true,
                         .lasting = true,
                         .ws = true },
    [FRONT_APACHE_PROXY_FCGI] = { { "apache_proxy_fcgi", false, 1000, true, false },
                                  .lasting = true,
                                  .ws = true },
    [FRONT_APACHE_FCGID] = { { "apache_fcgid", true, 4, true, false }, .ws = true },
    [FRONT_APACHE_CGI] = { { "apache_cgi", true, 4, true, false }, .ws = true },
    [FRONT_SHARED_FCGI] = { { "shared_hosting_fcgi", true, 4, true, true }, .ws = false },
    [FRONT_SHARED_CGI] = { { "shared_hosting_cgi", true, 4, true, false }, .ws = false },
    [FRONT_SIDECAR] = { { "sidecar", false, 1000, true, false },
                        .sees_leaving = true,
                        .lasting = true,
                        .by_itself = true,
                        .ws = true },
};

/* Fronts that see a client's leaving only when they write to it get more to write. */
static char *settings_for(const struct web_way *way, const char *more)
{
    return text_of("publish_key = " STAGE_KEY "\n"
                   "closed = secret/#\n"
                   "cors_origins = https://app.example\n"
                   "token_cookie = bell\n"
                   "token_in_query = yes\n"
                   "session_cookies = PHPSESSID\n"
                   "slots_file = FOLDER/run/slots\n"
                   "log_level = info\n"
                   "%s%s",
                   way->sees_leaving ? "" : "heartbeat = 1s\n", more ? more : "");
}

static const char *setting_of(const char *name)
{
    const char *value = getenv(name);
    if (!value) {
        fprintf(stderr, "tests: %s is not set: use `make check-web`\n", name);
        exit(EXIT_FAILURE);
    }
    return value;
}

static struct front *start_front(const char *more, const char *program, const char *daemon)
{
    char *settings = settings_for(web.way, more);
    const char *usual = web.way->by_itself ? "BELLPUSH_TEST_DAEMON" : "BELLPUSH_TEST_PROGRAM";
    const struct front_spec spec = { .kind = web.kind,
                                     .program = program ? program : setting_of(usual),
                                     .daemon = daemon,
                                     .dsn = web.dsn,
                                     .settings = settings };
    struct front *front = front_start(&spec);
    free(settings);
    return front;
}

/* A thousand streams are a thousand descriptors here too. */
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

void web_open(enum front_kind kind, const char *settings)
{
    raise_limit();
    web.kind = kind;
    web.way = &ways[kind];
    web.cluster = cluster_shared();
    web.dsn = cluster_database(web.cluster, web.way->traits.name);
    char *all = text_of("%s%s", web.way->ws ? SIDECAR_SETTINGS : "", settings ? settings : "");
    bool beside = web.way->ws && !web.way->by_itself;
    web.front = start_front(all, NULL, beside ? setting_of("BELLPUSH_TEST_DAEMON") : NULL);
    free(all);
}

void web_close(void)
{
    front_free(web.front);
    free(web.dsn);
    web = (struct web){ 0 };
}

struct web web_aside(struct cluster *cluster, const char *settings, const char *program)
{
    struct web before = web;
    char *dsn = cluster ? cluster_database(cluster, web.way->traits.name) : NULL;

    web_forget_database();
    web.cluster = cluster ? cluster : before.cluster;
    web.dsn = dsn ? dsn : before.dsn;
    web.front = start_front(settings, program, NULL);
    return before;
}

void web_back(struct web before)
{
    web_forget_database();
    front_free(web.front);
    if (web.dsn != before.dsn)
        free(web.dsn);
    web = before;
}

struct http *web_ask(const struct ask *ask)
{
    char *target = text_of("/push%s", ask->target);
    const struct http_ask what = { .port = front_port(web.front),
                                   .method = ask->method,
                                   .target = target,
                                   .headers = ask->headers,
                                   .body = ask->body };
    struct http *http = http_new(&what);
    free(target);
    return http;
}

/* ---- the suites -------------------------------------------------------------------------------
 */

#define WEB_SUITE(name, kind)                                                                      \
    static void open_##name(void)                                                                  \
    {                                                                                              \
        web_open(kind, NULL);                                                                      \
    }                                                                                              \
    SUITE(name)                                                                                    \
    {                                                                                              \
        tcase_add_unchecked_fixture(tc, open_##name, web_close);                                   \
        fill(tc, kind);                                                                            \
    }

static void fill(TCase *tc, enum front_kind kind)
{
    const struct web_way *way = &ways[kind];

    flow_tests(tc, way);
    if (!way->by_itself)
        passing_tests(tc, way);
    limits_tests(tc, way);
    smuggle_tests(tc, way);
    ws_tests(tc, way);
    scenarios_add(tc);
    crowd_tests(tc, way);
    upset_tests(tc, way);
}

WEB_SUITE(nginx, FRONT_NGINX)
WEB_SUITE(lighttpd, FRONT_LIGHTTPD)
WEB_SUITE(apache_proxy_fcgi, FRONT_APACHE_PROXY_FCGI)
WEB_SUITE(apache_fcgid, FRONT_APACHE_FCGID)
WEB_SUITE(apache_cgi, FRONT_APACHE_CGI)
WEB_SUITE(shared_hosting_fcgi, FRONT_SHARED_FCGI)
WEB_SUITE(shared_hosting_cgi, FRONT_SHARED_CGI)
WEB_SUITE(sidecar, FRONT_SIDECAR)
