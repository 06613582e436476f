/*
 * front.c - see front.h.
 *
 *      FOLDER/etc/main.conf       what surrounds the recipe
 *      FOLDER/etc/recipe.conf     the file of contrib/, its paths exchanged
 *      FOLDER/etc/ws.conf         the same for the sidecar's, where there is one
 *      FOLDER/site/               bellpush.fcgi and bellpush.conf, readable for the workers' user
 *      FOLDER/sbin/               bellpushd
 *      FOLDER/docroot/            …/push/ on shared hosting
 *      FOLDER/run/                sockets, pid files; belongs to the web server's user
 *      FOLDER/log/                whatever anybody says
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/peers/front.h"
#include "tests/peers/front_recipes.h"
#include "tests/peers/guard.h"
#include "tests/peers/http.h"
#include "tests/peers/keeper.h"
#include "tests/peers/process.h"

enum { READY_MS = 30000, ASK_MS = 5000, STOP_MS = 20000, PORT_TRIES = 5, LOG_TAIL = 4000 };

struct front {
    const struct front_recipe *recipe;
    struct front_place place;
    char *folder, *worker; /* the program's path as the site has it */
    pid_t server, keeper, sidecar;
    int sidecar_port;
    bool sidecar_works;
};

static _Noreturn void give_up(const struct front *f, const char *what, const char *which)
{
    fprintf(stderr, "tests: %s: %s %s\n", f->recipe->name, what, which);
    front_show_logs(f);
    exit(EXIT_FAILURE);
}

/* ---- laying out the site ------------------------------------------------------------------------
 */

/* FOLDER and DSN in a table's text; gives. */
static char *filled(const struct front *f, const char *text)
{
    char *with = text_exchange(text, "FOLDER", f->folder);
    if (!with)
        with = text_exchange(text, "DSN", f->place.dsn);
    return with ? with : text_of("%s", text);
}

static char *read_contrib(const struct front *f, const char *name)
{
    char *path = text_of("%s/contrib/%s", f->place.top, name);
    char *text = file_read(path);
    if (!text)
        give_up(f, "cannot read", path);
    free(path);
    return text;
}

/* Exchange, or fail: a recipe that no longer says what the table expects is not tried as it stands.
 */
static char *swapped(const struct front *f, char *text, const struct front_swap *swap,
                     const char *file)
{
    char *to = filled(f, swap->to), *out = text_exchange(text, swap->from, to);
    if (!out) {
        fprintf(stderr, "tests: contrib/%s no longer says \"%s\"\n", file, swap->from);
        give_up(f, "cannot exchange", swap->from);
    }
    free(text);
    free(to);
    return out;
}

static void write_in(const struct front *f, const char *name, struct slice text)
{
    char *path = text_of("%s/%s", f->folder, name);
    file_write(path, text);
    free(path);
}

static void make_folder(const struct front *f, const char *name, bool theirs)
{
    char *path = text_of("%s/%s", f->folder, name);
    if (mkdir(path, 0755) && errno != EEXIST)
        give_up(f, "cannot make", path);
    if (theirs && f->place.user)
        file_own(path, f->place.user);
    free(path);
}

static void copy_program(const struct front *f, const char *program, const char *to)
{
    const char *const argv[] = { "cp", "-f", program, to, NULL };
    const struct process_spec cp = { .argv = argv };
    if (process_run(&cp, ASK_MS) || chmod(to, 0755))
        give_up(f, "cannot copy", program);
}

/* The program as the site has it; where something is to be run first, a script with that name. */
static void place_program(struct front *f, const struct front_spec *spec, const char *to)
{
    if (!spec->before) {
        copy_program(f, spec->program, to);
        return;
    }
    char *real = text_of("%s/%s/worker", f->folder, f->recipe->site);
    char *script = text_of("#!/bin/sh\n%s\nexec %s \"$@\"\n", spec->before, real);

    copy_program(f, spec->program, real);
    file_write(to, slice_of(script));
    chmod(to, 0755);
    free(script);
    free(real);
}

/* bellpush.conf beside the program: the site's own where contrib has one, and the test's lines. */
static void write_settings(const struct front *f, const char *settings)
{
    const struct front_recipe *r = f->recipe;
    char *text = r->conf ? swapped(f, read_contrib(f, r->conf), &r->conf_swap, r->conf)
                         : text_of("database = %s\n", f->place.dsn);
    char *name = text_of("%s/bellpush.conf", r->site), *path = text_of("%s/%s", f->folder, name);
    char *more = filled(f, settings ? settings : "");
    char *all = text_of("%s\n%s", text, more);

    write_in(f, name, slice_of(all));
    chmod(path, 0600); /* as the recipe advises */
    if (f->place.user)
        file_own(path, f->place.user);
    free(text);
    free(name);
    free(path);
    free(more);
    free(all);
}

/* A file of contrib/ becomes etc/name. */
static void write_recipe(const struct front *f, const char *file, const struct front_swap *swaps,
                         size_t n, const char *name)
{
    char *text = read_contrib(f, file);

    for (size_t i = 0; i < n && swaps[i].from; i++)
        text = swapped(f, text, &swaps[i], file);
    write_in(f, name, slice_of(text));
    free(text);
}

static void lay_out(struct front *f, const struct front_spec *spec)
{
    const struct front_recipe *r = f->recipe;
    static const char *const folders[] = { "etc",          "site", "sbin", "docroot",
                                           "docroot/push", "log",  "run" };
    static const struct front_swap ws_swap = { "/run/bellpush/bellpushd.sock",
                                               "FOLDER/run/bellpushd.sock" };

    for (size_t i = 0; i < LENGTH(folders); i++)
        make_folder(f, folders[i],
                    strcmp(folders[i], "run") == 0 || strcmp(folders[i], "log") == 0);
    write_in(f, "docroot/index.html", SLICE("<!doctype html><title>a site</title>\n"));
    for (const char *const *name = r->programs; *name; name++) {
        char *to = text_of("%s/%s/%s", f->folder, r->site, *name);
        place_program(f, spec, to);
        if (!f->worker)
            f->worker = text_of("%s", to);
        free(to);
    }
    write_settings(f, spec->settings);
    if (r->file)
        write_recipe(f, r->file, r->swaps, LENGTH(r->swaps), "etc/recipe.conf");
    if (spec->daemon) {
        char *to = text_of("%s/sbin/bellpushd", f->folder);
        copy_program(f, spec->daemon, to);
        write_recipe(f, r->ws_file, &ws_swap, 1, "etc/ws.conf");
        free(to);
    }
    if (r->conf) { /* shared hosting: its .htaccess, exactly */
        char *text = read_contrib(f, "shared-hosting/docroot/push/.htaccess");
        write_in(f, "docroot/push/.htaccess", slice_of(text));
        free(text);
    }
    if (spec->kind == FRONT_NGINX) { /* Debian's, found beside the main configuration there too */
        char *at = text_of("%s/etc/fastcgi_params", f->folder);
        if (symlink("/etc/nginx/fastcgi_params", at))
            give_up(f, "cannot link", at);
        free(at);
    }
}

/* ---- starting -----------------------------------------------------------------------------------
 */

static void start_keeper(struct front *f)
{
    const char *const argv[] = { f->worker, NULL };
    char *socket = text_of("%s/%s", f->folder, f->recipe->sockets[0]);
    char *log = text_of("%s/log/workers.log", f->folder);
    const struct keeper_spec spec = {
        .argv = argv, .socket = socket, .log = log, .user = f->place.user
    };
    f->keeper = keeper_start(&spec);
    free(socket);
    free(log);
}

/* bellpushd is its own web server: port and all. */
static void start_program(struct front *f, const char *const *argv)
{
    char *log = text_of("%s/log/workers.log", f->folder);
    const struct keeper_spec spec = {
        .argv = argv, .port = &f->place.port, .log = log, .user = f->place.user
    };
    f->server = keeper_start(&spec);
    free(log);
}

static bool is_ready(int port)
{
    const struct http_ask ask = { .port = port, .target = "/push/ready" };
    struct http *h = http_new(&ask);
    while (http_wait(h, ASK_MS))
        ;
    bool ready = http_status(h) == 200;
    http_free(h);
    return ready;
}

/* As the recipes say, and on a port too: what a test wants to know of it, it asks there. */
static void start_sidecar(struct front *f)
{
    char *program = text_of("%s/sbin/bellpushd", f->folder);
    char *conf = text_of("%s/%s/bellpush.conf", f->folder, f->recipe->site);
    char *socket = text_of("%s/run/bellpushd.sock", f->folder);
    char *log = text_of("%s/log/%s.log", f->folder, f->sidecar_works ? "workers" : "sidecar");
    const char *const argv[] = {
        program,  "--config", conf,       "--listen",    socket,
        "--mode", "0660",     "--listen", "127.0.0.1:0", f->sidecar_works ? "--workers" : NULL,
        "1",      NULL
    };

    file_write(log, SLICE(""));
    if (f->place.user) /* as whom lighttpd opens it, too */
        file_own(log, f->place.user);
    f->sidecar = process_start(&(struct process_spec){
        .argv = argv, .log = log, .user = f->place.user, .death_signal = SIGTERM });
    free(program);
    free(conf);
    free(socket);
    free(log);
}

/* It has said on which port it is, and is ready there. */
static bool sidecar_is_ready(void *arg)
{
    static const char where[] = "listening on http:127.0.0.1:";
    struct front *f = arg;
    char *log = text_of("%s/log/%s.log", f->folder, f->sidecar_works ? "workers" : "sidecar");
    char *text = file_read(log);
    const char *at = text ? strstr(text, where) : NULL;

    f->sidecar_port = at && strchr(at, '\n') ? atoi(at + strlen(where)) : 0;
    free(text);
    free(log);
    return f->sidecar_port && is_ready(f->sidecar_port);
}

static void choose_port(struct front *f)
{
    struct buf conf = BUF_EMPTY;

    if (f->recipe->is_program)
        return;

    f->place.port = free_port();
    f->recipe->main_conf(&f->place, &conf);
    write_in(f, "etc/main.conf", buf_slice(&conf));
    buf_fini(&conf);
}

static void start_server(struct front *f)
{
    char *argv[LENGTH(f->recipe->argv)] = { NULL };
    char *log = text_of("%s/log/server.log", f->folder);

    for (size_t i = 0; i < LENGTH(argv) && f->recipe->argv[i]; i++)
        argv[i] = filled(f, f->recipe->argv[i]);
    const struct process_spec spec = { .argv = (const char *const *)argv,
                                       .log = log,
                                       .death_signal = SIGTERM };
    if (f->recipe->is_program)
        start_program(f, spec.argv);
    else
        f->server = process_start(&spec);
    if (f->place.user && !f->recipe->is_program)
        guard_start(f->server);
    for (size_t i = 0; i < LENGTH(argv); i++)
        free(argv[i]);
    free(log);
}

struct attempt {
    struct front *front;
    bool ended;
};

static bool ready_or_ended(void *arg)
{
    struct attempt *a = arg;
    a->ended = process_ended(a->front->server, NULL);
    return a->ended || is_ready(a->front->place.port);
}

/* False: it ended at once. */
static bool starts(struct front *f)
{
    struct attempt a = { .front = f };

    start_server(f);
    if (!wait_until(ready_or_ended, &a, READY_MS))
        give_up(f, "is not ready on", "its port");
    return !a.ended;
}

struct front *front_start(const struct front_spec *spec)
{
    struct front *f = calloc(1, sizeof *f);
    const char *top = getenv("BELLPUSH_TEST_TOP");

    if (!f)
        abort();
    f->recipe = &front_recipes[spec->kind];
    f->folder = temp_folder(f->recipe->name);
    f->place = (struct front_place){ .top = top ? top : ".",
                                     .folder = f->folder,
                                     .user = geteuid() == 0 ? "www-data" : NULL,
                                     .dsn = spec->dsn,
                                     .sidecar = spec->daemon != NULL };
    f->sidecar_works = spec->daemon && spec->daemon_works;
    lay_out(f, spec);
    if (f->recipe->keeps_worker)
        start_keeper(f);
    if (spec->daemon) {
        start_sidecar(f);
        if (!wait_until(sidecar_is_ready, f, READY_MS))
            give_up(f, "has a sidecar that is not ready:", spec->daemon);
    }
    for (int i = 0; i < PORT_TRIES; i++) { /* somebody may take the free port before we do */
        choose_port(f);
        if (starts(f)) {
            f->place.dsn = NULL; /* was lent for the start */
            return f;
        }
    }
    give_up(f, "ends again and again:", f->recipe->argv[0]);
}

void front_free(struct front *f)
{
    if (!f)
        return;
    process_stop(f->server, STOP_MS);
    process_stop(f->keeper, STOP_MS);
    if (f->sidecar && process_stop(f->sidecar, STOP_MS) != 0) /* it crashed, or lost memory */
        give_up(f, "has a sidecar that ended in", "trouble");
    free(f->folder);
    free(f->worker);
    free(f);
}

int front_port(const struct front *f)
{
    return f->place.port;
}

pid_t front_server(const struct front *f)
{
    return f->server;
}

pid_t front_sidecar(const struct front *f)
{
    return f->sidecar;
}

int front_sidecar_port(const struct front *f)
{
    return f->sidecar_port;
}

const char *front_folder(const struct front *f)
{
    return f->folder;
}

void front_reload(struct front *f)
{
    pid_t pid = f->server;

    if (!f->recipe->is_program || front_workers(f, &pid, 1) > 0)
        kill(pid, f->recipe->reload_signal);
}

static bool starts_again(void *arg)
{
    return starts(arg);
}

/* A client's outgoing connection may sit on the port for a moment: try until it is ours again. */
void front_restart(struct front *f)
{
    process_stop(f->server, STOP_MS);
    if (!wait_until(starts_again, f, READY_MS))
        give_up(f, "does not start again on", "its port");
}

/* ---- looking at the workers
 * ---------------------------------------------------------------------- */

/* Whoever runs what is in this folder, but for one who looks after them. */
static size_t running(const char *site, pid_t but, pid_t *pids, size_t max)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    size_t n = 0;

    while (proc && (entry = readdir(proc))) {
        char link[64], exe[512];
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        snprintf(link, sizeof link, "/proc/%.20s/exe", entry->d_name);
        ssize_t len = readlink(link, exe, sizeof exe - 1);
        if (len < 0)
            continue;
        exe[len] = '\0';
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (strncmp(exe, site, strlen(site)) != 0 || pid == but)
            continue;
        if (n < max)
            pids[n] = pid;
        n++;
    }
    if (proc)
        closedir(proc);
    return n;
}

size_t front_workers(const struct front *f, pid_t *pids, size_t max)
{
    char *site = text_of("%s/%s/", f->folder, f->recipe->site);
    char *sbin = text_of("%s/sbin/", f->folder);
    size_t n = running(site, 0, pids, max);

    if (f->sidecar_works) {
        size_t had = n < max ? n : max;
        n += running(sbin, f->sidecar, pids ? pids + had : NULL, max - had);
    }
    free(site);
    free(sbin);
    return n;
}

static size_t fcgi_sockets(const struct front *f)
{
    size_t n = 0;

    while (!f->recipe->is_program && n < LENGTH(f->recipe->sockets) && f->recipe->sockets[n])
        n++;
    return n;
}

size_t front_sockets(const struct front *f)
{
    size_t n = fcgi_sockets(f);

    return n + (f->recipe->is_program || (n > 0 && f->sidecar_works));
}

static char *ask_by_http(int port, const char *path, const char *key, int64_t ms)
{
    char *target = text_of("/push%s", path);
    char *bearer = key ? text_of("Authorization: Bearer %s", key) : NULL;
    const char *const headers[] = { bearer, NULL };
    struct http *h =
        http_new(&(struct http_ask){ .port = port, .target = target, .headers = headers });
    int64_t end = now_ms() + ms;

    while (!http_ended(h) && http_wait(h, end - now_ms()))
        ;
    char *body = http_complete(h) ? slice_dup(http_body(h)) : NULL;
    http_free(h);
    free(target);
    free(bearer);
    return body;
}

/* libfcgi's own client asks. */
static char *ask_by_fcgi(const struct front *f, size_t i, const char *path, const char *key,
                         int64_t ms)
{
    char *socket = text_of("%s/%s", f->folder, f->recipe->sockets[i]);
    char *path_info = text_of("PATH_INFO=%s", path);
    char *bearer = key ? text_of("HTTP_AUTHORIZATION=Bearer %s", key) : NULL;
    const char *const argv[] = { "cgi-fcgi", "-bind", "-connect", socket, NULL };
    const char *const env[] = { "REQUEST_METHOD=GET",
                                "SCRIPT_NAME=/push",
                                "QUERY_STRING=",
                                path_info,
                                "SERVER_PROTOCOL=HTTP/1.1",
                                "GATEWAY_INTERFACE=CGI/1.1",
                                "REMOTE_ADDR=127.0.0.1",
                                bearer,
                                NULL };
    int fd = memfd_create("answer", MFD_CLOEXEC);
    const struct process_spec spec = {
        .argv = argv, .env = env, .log = "/dev/null", .stdout_fd = fd
    };
    char text[16384], *body = NULL;
    int status = -1;

    if (fd < 0)
        give_up(f, "no memory for the answer of", socket);
    pid_t pid = process_start(&spec);
    if (!process_wait(pid, ms, &status))
        process_stop(pid, 0);
    ssize_t n = status == 0 ? pread(fd, text, sizeof text - 1, 0) : -1;
    if (n > 0) {
        text[n] = '\0';
        body = strstr(text, "\r\n\r\n");
    }
    close(fd);
    free(socket);
    free(path_info);
    free(bearer);
    return body ? text_of("%s", body + 4) : NULL;
}

char *front_ask(const struct front *f, size_t i, const char *path, const char *key, int64_t ms)
{
    if (i < fcgi_sockets(f))
        return ask_by_fcgi(f, i, path, key, ms);
    return ask_by_http(f->recipe->is_program ? f->place.port : f->sidecar_port, path, key, ms);
}

int front_open_requests(const struct front *f)
{
    size_t n = front_sockets(f);
    int sum = n > 0 ? 0 : -1;

    for (size_t i = 0; i < n && sum >= 0; i++) {
        char *body = front_ask(f, i, "/status", NULL, ASK_MS);
        json_t *status = body ? json_loads(body, 0, NULL) : NULL;
        const json_t *open = json_object_get(status, "open");

        sum = open ? sum + (int)json_integer_value(open) : -1;
        json_decref(status);
        free(body);
    }
    return sum;
}

void front_show_logs(const struct front *f)
{
    static const char *const names[] = { "server.log", "error.log", "workers.log", "sidecar.log" };
    for (size_t i = 0; i < LENGTH(names); i++) {
        char *path = text_of("%s/log/%s", f->folder, names[i]), *text = file_read(path);
        size_t len = text ? strlen(text) : 0;
        if (len)
            fprintf(stderr, "---- %s (end)\n%s\n", path,
                    text + (len > LOG_TAIL ? len - LOG_TAIL : 0));
        free(text);
        free(path);
    }
}
