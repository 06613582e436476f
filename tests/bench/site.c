/*
 * site.c - see site.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/reader.h"
#include "tests/bench/site.h"
#include "tests/peers/http.h"
#include "tests/peers/process.h"

#define NCHAN   "/usr/lib/nginx/modules/ngx_nchan_module.so"
#define NODE    "/usr/bin/node"
#define NODE_WS "/usr/share/nodejs/ws"

enum { START_MS = 15000, STOP_MS = 3000, ANSWER_MS = 2000, CONNECTIONS = 16000 };

struct site {
    enum site_kind kind;
    const struct site_place *place;
    char *folder, *log, *address;
    int port;
    pid_t web, worker; /* 0: none of its own */
};

struct recipe {
    const char *name, *target, *holder;
    void (*start)(struct site *);
    bool websockets, database;
    const char *ready; /* says 200 there when it serves; NULL: any answer will do */
};

static void start_bare(struct site *);
static void start_nginx(struct site *);
static void start_lighttpd(struct site *);
static void start_nchan(struct site *);
static void start_node(struct site *);
static void start_bellpushd(struct site *);

static const struct recipe recipes[SITE__COUNT] = {
    [SITE_BARE] = { "bare, a write per event", "/%s", "bare", start_bare, false, false, NULL },
    [SITE_BARE_TOGETHER] = { "bare, written together", "/%s", "bare", start_bare, false, false,
                             NULL },
    [SITE_NGINX] = { "worker behind nginx", "/push/events?topic=%s", "bellpush.fcgi", start_nginx,
                     false, true, "/push/ready" },
    [SITE_LIGHTTPD] = { "worker behind lighttpd", "/push/events?topic=%s", "bellpush.fcgi",
                        start_lighttpd, false, true, "/push/ready" },
    [SITE_NCHAN] = { "nchan in nginx", "/sub/%s", "nginx", start_nchan, false, false, NULL },
    [SITE_WS_BARE] = { "bare, a write per event", "/%s", "bare", start_bare, true, false, NULL },
    [SITE_WS_BARE_TOGETHER] = { "bare, written together", "/%s", "bare", start_bare, true, false,
                                NULL },
    [SITE_WS_BARE_LOG] = { "bare, told by the log", "/%s", "bare", start_bare, true, true, NULL },
    [SITE_WS_NODE] = { "node's ws", "/%s", "node", start_node, true, false, NULL },
    [SITE_WS_NCHAN] = { "nchan in nginx", "/sub/%s", "nginx", start_nchan, true, false, NULL },
    [SITE_BELLPUSHD] = { "bellpushd", "/push/ws?topic=%s", "bellpushd", start_bellpushd, true, true,
                         "/push/ready" },
};

static _Noreturn void give_up(const struct site *s, const char *why)
{
    char *text = file_read(s->log);
    fprintf(stderr, "bench: %s: %s\n%s", recipes[s->kind].name, why, text ? text : "");
    exit(EXIT_FAILURE);
}

/* --- configurations ------------------------------------------------------------------------ */

/* A file of contrib/ with each "from" replaced by "to"; one that is not there is an error. */
static void put_recipe(struct site *s, const char *file, const char *const (*swaps)[2],
                       struct buf *out)
{
    char *path = text_of("%s/contrib/%s", s->place->top, file), *text = file_read(path);

    if (!text)
        give_up(s, path);
    for (; (*swaps)[0]; swaps++) {
        char *at = strstr(text, (*swaps)[0]), *next;
        if (!at)
            give_up(s, (*swaps)[0]);
        for (; at; at = strstr(next + strlen((*swaps)[1]), (*swaps)[0])) {
            size_t before = (size_t)(at - text);
            char *swapped =
                text_of("%.*s%s%s", (int)before, text, (*swaps)[1], at + strlen((*swaps)[0]));
            free(text);
            text = swapped;
            next = text + before;
        }
    }
    buf_puts(out, text);
    free(text);
    free(path);
}

static char *write_conf(struct site *s, struct buf *text)
{
    char *path = text_of("%s/main.conf", s->folder);
    if (buf_rc(text) != RC_OK)
        abort();
    file_write(path, buf_slice(text));
    buf_fini(text);
    return path;
}

static void put_nginx_frame(struct site *s, struct buf *out, const char *load)
{
    static const char *const temps[] = { "client_body", "proxy", "fastcgi", "uwsgi", "scgi" };

    buf_printf(out,
               "%s%sdaemon off;\npid %s/nginx.pid;\n"
               "worker_processes %d;\nworker_rlimit_nofile %d;\n"
               "events { worker_connections %d; }\n"
               "http {\naccess_log off;\nkeepalive_requests 100000000;\n",
               load, geteuid() == 0 ? "user root;\n" : "", s->folder, s->place->nginx_processes,
               CONNECTIONS, CONNECTIONS);
    for (size_t i = 0; i < LENGTH(temps); i++)
        buf_printf(out, "%s_temp_path %s/%s;\n", temps[i], s->folder, temps[i]);
    buf_printf(out, "server {\nlisten 127.0.0.1:%d backlog=4096;\n", s->port);
}

/* --- starting ------------------------------------------------------------------------------ */

/* stdout_fd 0: the log's. */
static pid_t start(struct site *s, const char *const *argv, int stdout_fd)
{
    /* The same for the worker whoever starts it; nobody else looks at these. */
    char *dsn = text_of("BELLPUSH_DATABASE=%s", s->place->dsn ? s->place->dsn : "");
    const char *env[] = { dsn, NULL };
    pid_t pid = process_start(&(struct process_spec){
        .argv = argv, .env = env, .stdout_fd = stdout_fd, .log = s->log, .death_signal = SIGTERM });
    free(dsn);
    return pid;
}

static void start_nginx_program(struct site *s, struct buf *conf)
{
    char *path = write_conf(s, conf);
    const char *argv[] = { "/usr/sbin/nginx", "-e", s->log, "-c", path, NULL };
    s->web = start(s, argv, 0);
    free(path);
}

static void start_nginx(struct site *s)
{
    char *socket = text_of("%s/worker.sock", s->folder);
    const char *const swaps[][2] = { { "/run/bellpush/bellpush.sock", socket },
                                     { "include fastcgi_params",
                                       "include /etc/nginx/fastcgi_params" },
                                     { NULL, NULL } };
    const char *argv[] = { s->place->program, "--listen", socket, NULL };
    struct buf conf = BUF_EMPTY;

    s->worker = start(s, argv, 0);
    put_nginx_frame(s, &conf, "");
    put_recipe(s, "nginx/bellpush.conf", swaps, &conf);
    buf_puts(&conf, "}\n}\n");
    start_nginx_program(s, &conf);
    free(socket);
}

static void start_lighttpd(struct site *s)
{
    char *socket = text_of("%s/worker.sock", s->folder);
    const char *const swaps[][2] = { { "/run/lighttpd/bellpush.sock", socket },
                                     { "/usr/local/lib/bellpush/bellpush.fcgi", s->place->program },
                                     { NULL, NULL } };
    struct buf conf = BUF_EMPTY;

    buf_printf(&conf,
               "server.modules = ( \"mod_deflate\" )\nserver.document-root = \"%s\"\n"
               "server.bind = \"127.0.0.1\"\nserver.port = %d\nserver.errorlog = \"%s\"\n"
               "server.breakagelog = \"%s\"\nserver.listen-backlog = 4096\n",
               s->folder, s->port, s->log, s->log);
    put_recipe(s, "lighttpd/bellpush.conf", swaps, &conf);
    char *path = write_conf(s, &conf);
    const char *argv[] = { "/usr/sbin/lighttpd", "-D", "-f", path, NULL };
    s->web = start(s, argv, 0);
    free(path);
    free(socket);
}

static void start_nchan(struct site *s)
{
    struct buf conf = BUF_EMPTY;

    put_nginx_frame(s, &conf, "load_module " NCHAN ";\n");
    buf_puts(&conf, "location ~ ^/sub/(.+)$ {\n  nchan_subscriber eventsource websocket;\n"
                    "  nchan_channel_id $1;\n  nchan_subscriber_first_message newest;\n}\n"
                    "location ~ ^/pub/(.+)$ {\n  nchan_publisher;\n  nchan_channel_id $1;\n}\n"
                    "}\n}\n");
    start_nginx_program(s, &conf);
}

/* A program that takes any port and prints it. */
static void start_by_itself(struct site *s, const char *const *argv)
{
    int pipe_fd[2];
    char line[16] = "";

    if (pipe(pipe_fd))
        give_up(s, "pipe");
    s->web = start(s, argv, pipe_fd[1]);
    close(pipe_fd[1]);
    if (read(pipe_fd[0], line, sizeof line - 1) <= 0)
        give_up(s, "it prints no port");
    close(pipe_fd[0]);
    s->port = atoi(line);
}

static void start_bare(struct site *s)
{
    bool each = s->kind == SITE_BARE || s->kind == SITE_WS_BARE, log = s->kind == SITE_WS_BARE_LOG;
    const char *argv[] = { s->place->bare, log ? "log" : each ? "each" : "together", NULL };

    start_by_itself(s, argv);
}

static void start_node(struct site *s)
{
    char *script = text_of("%s/tests/bench/node_ws.js", s->place->top);
    const char *argv[] = { NODE, script, NULL };

    start_by_itself(s, argv);
    free(script);
}

static void start_bellpushd(struct site *s)
{
    char *address = text_of("127.0.0.1:%d", s->port);
    const char *argv[] = { s->place->daemon, "--listen", address, NULL };

    s->web = start(s, argv, 0);
    free(address);
}

/* Does it answer as it will? */
static bool is_ready(void *arg)
{
    struct site *s = arg;
    const char *asked = recipes[s->kind].ready;
    bool ready;
    struct http *h;

    if (process_ended(s->web, NULL) || (s->worker && process_ended(s->worker, NULL)))
        give_up(s, "it has ended");
    h = http_new(&(struct http_ask){ .port = s->port, .target = asked ? asked : "/" });
    while (http_status(h) == 0 && http_wait(h, ANSWER_MS))
        ;
    ready = asked ? http_status(h) == 200 : http_status(h) > 0;
    http_free(h);
    return ready;
}

const char *site_missing(enum site_kind kind)
{
    bool nchan = kind == SITE_NCHAN || kind == SITE_WS_NCHAN;

    if ((kind == SITE_NGINX || nchan) && access("/usr/sbin/nginx", X_OK))
        return "no /usr/sbin/nginx";
    if (kind == SITE_LIGHTTPD && access("/usr/sbin/lighttpd", X_OK))
        return "no /usr/sbin/lighttpd";
    if (nchan && access(NCHAN, R_OK))
        return "no " NCHAN " (Debian: libnginx-mod-nchan)";
    if (kind == SITE_WS_NODE && access(NODE, X_OK))
        return "no " NODE " (Debian: nodejs)";
    if (kind == SITE_WS_NODE && access(NODE_WS, R_OK))
        return "no " NODE_WS " (Debian: node-ws)";
    return NULL;
}

struct site *site_start(enum site_kind kind, const struct site_place *place)
{
    struct site *s = calloc(1, sizeof *s);

    if (!s)
        abort();
    s->kind = kind;
    s->place = place;
    s->folder = temp_folder("bench");
    s->log = text_of("%s/log", s->folder);
    file_write(s->log, SLICE(""));
    s->port = free_port();
    recipes[kind].start(s);
    s->address = text_of("127.0.0.1:%d", s->port);
    if (!wait_until(is_ready, s, START_MS))
        give_up(s, "it does not answer");
    return s;
}

void site_stop(struct site *s)
{
    if (!s)
        return;
    process_stop(s->web, STOP_MS);
    process_stop(s->worker, STOP_MS);
    free(s->folder); /* removed when we end */
    free(s->log);
    free(s->address);
    free(s);
}

/* --- asking -------------------------------------------------------------------------------- */

const char *site_name(enum site_kind kind)
{
    return recipes[kind].name;
}

bool site_has_websockets(enum site_kind kind)
{
    return recipes[kind].websockets;
}

bool site_wants_database(enum site_kind kind)
{
    return recipes[kind].database;
}

const char *site_address(const struct site *s)
{
    return s->address;
}

char *site_request(const struct site *s, const char *topic)
{
    const struct recipe *r = &recipes[s->kind];
    const char *hole = strstr(r->target, "%s");
    char *target = text_of("%.*s%s", (int)(hole - r->target), r->target, topic);
    char *request = reader_request(target, r->websockets);

    free(target);
    return request;
}

struct publisher *site_publisher(const struct site *s, const char *topic, size_t bytes, bool each)
{
    struct publisher *p;
    char *target;

    if (recipes[s->kind].database)
        return publisher_pg(s->place->dsn, topic, bytes, each);
    target = text_of("/pub/%s", topic);
    p = publisher_http(s->address, target, bytes);
    free(target);
    return p;
}

struct usage site_usage(const struct site *s)
{
    struct usage web = usage_of(s->web, NULL), worker = { 0 };
    if (s->worker)
        worker = usage_of(s->worker, NULL);
    return (
        struct usage){ web.processes + worker.processes, web.private_bytes + worker.private_bytes,
                       web.cpu_seconds + worker.cpu_seconds, web.descriptors + worker.descriptors };
}

struct usage site_holder_usage(const struct site *s)
{
    return usage_of(s->worker ? s->worker : s->web, recipes[s->kind].holder);
}
