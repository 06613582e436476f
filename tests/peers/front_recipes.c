/*
 * front_recipes.c - each web server's ways (front_recipes.h).
 */
#include <signal.h>
#include <unistd.h>

#include "tests/peers/front_recipes.h"

static const char *const fcgi_name[] = { "bellpush.fcgi", NULL };
static const char *const daemon_name[] = { "bellpushd", NULL };
static const char *const shared_names[] = { "push.fcgi", "push.cgi", NULL };

/* ---- nginx ------------------------------------------------------------------------------------
 */

static void nginx_conf(const struct front_place *p, struct buf *out)
{
    if (p->user)
        buf_printf(out, "user %s;\n", p->user);
    buf_printf(out,
               "daemon off;\n"
               "pid %s/run/nginx.pid;\n"
               "worker_processes 2;\n"
               "worker_rlimit_nofile 8192;\n"
               "events { worker_connections 4096; }\n"
               "http {\n"
               "    access_log off;\n",
               p->folder);
    static const char *const temps[] = { "client_body", "proxy", "fastcgi", "uwsgi", "scgi" };
    for (size_t i = 0; i < LENGTH(temps); i++)
        buf_printf(out, "    %s_temp_path %s/run/%s;\n", temps[i], p->folder, temps[i]);
    buf_printf(
        out,
        "    types { text/html html; text/css css; text/javascript js mjs; text/event-stream sse; "
        "image/svg+xml svg; "
        "}\n"
        "    gzip on;\n"
        "    gzip_min_length 0;\n"
        "    gzip_types text/event-stream text/plain application/json application/x-ndjson;\n"
        "    server {\n"
        "        listen 127.0.0.1:%d;\n"
        "        root %s/docroot;\n"
        "        include %s/etc/recipe.conf;\n",
        p->port, p->folder, p->folder);
    if (p->sidecar)
        buf_printf(out, "        include %s/etc/ws.conf;\n", p->folder);
    buf_puts(out, "    }\n}\n");
}

/* ---- lighttpd ---------------------------------------------------------------------------------
 */

static void lighttpd_conf(const struct front_place *p, struct buf *out)
{
    /* The module is a package of its own, which a site may have or not. */
    const char *deflate = access("/usr/lib/lighttpd/mod_deflate.so", R_OK)
                              ? ""
                              : "server.modules += ( \"mod_deflate\" )\n"
                                "deflate.mimetypes = ( \"text/\", \"application/\" )\n"
                                "deflate.allowed-encodings = ( \"gzip\", \"deflate\" )\n";

    if (p->user)
        buf_printf(out, "server.username = \"%s\"\nserver.groupname = \"%s\"\n", p->user, p->user);
    buf_printf(out,
               "server.modules = ( \"mod_indexfile\", \"mod_access\" )\n"
               "server.document-root = \"%s/docroot\"\n"
               "server.upload-dirs = ( \"%s/run\" )\n"
               "mimetype.assign = ( \".html\" => \"text/html\", \".js\" => \"text/javascript\" )\n"
               "server.errorlog = \"%s/log/error.log\"\n"
               "server.breakagelog = \"%s/log/workers.log\"\n"
               "server.bind = \"127.0.0.1\"\n"
               "server.port = %d\n"
               "server.feature-flags += ( \"server.h2proto\" => \"enable\" )\n"
               "server.feature-flags += ( \"server.graceful-shutdown-timeout\" => 5 )\n"
               "%s"
               "include \"%s/etc/recipe.conf\"\n",
               p->folder, p->folder, p->folder, p->folder, p->port, deflate, p->folder);
    if (p->sidecar)
        buf_printf(out, "include \"%s/etc/ws.conf\"\n", p->folder);
    buf_puts(out, "server.modules += ( \"mod_staticfile\" )\n");
}

/* ---- Apache -----------------------------------------------------------------------------------
 */

/* threads: how many requests the site may work on at once.  ServerLimit leaves room for processes
   that finish their streams after a graceful reload. */
static void apache_conf(const struct front_place *p, struct buf *out, const char *const *modules,
                        int threads, const char *include)
{
    static const char *const common[] = { "mpm_event", "authz_core", "env",       "setenvif",
                                          "mime",      "dir",        "alias",     "filter",
                                          "deflate",   "rewrite",    "reqtimeout" };
    int per_child = threads < 64 ? threads : 64;

    for (size_t i = 0; i < LENGTH(common); i++)
        buf_printf(out, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", common[i],
                   common[i]);
    for (; *modules; modules++)
        buf_printf(out, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", *modules,
                   *modules);
    if (p->user)
        buf_printf(out, "User %s\nGroup %s\n", p->user, p->user);
    buf_printf(out,
               "ServerName localhost\n"
               "Listen 127.0.0.1:%d\n"
               "DefaultRuntimeDir %s/run\n"
               "PidFile %s/run/apache.pid\n"
               "Mutex flock:%s/run default\n" /* not file: see contrib/apache/fcgid.conf */
               "ErrorLog %s/log/error.log\n"
               "TypesConfig /etc/mime.types\n"
               "ThreadsPerChild %d\nThreadLimit %d\nServerLimit %d\nMaxRequestWorkers %d\n"
               "AcceptFilter http none\n"
               "KeepAliveTimeout 300\n"
               "DocumentRoot %s/docroot\n"
               "SetOutputFilter DEFLATE\n"
               "AddOutputFilterByType DEFLATE text/plain text/event-stream application/json\n"
               "<Directory \"%s/docroot\">\n"
               "    Require all granted\n    AllowOverride All\n    Options FollowSymLinks\n"
               "</Directory>\n"
               "%s",
               p->port, p->folder, p->folder, p->folder, p->folder, per_child, per_child,
               2 * ((threads + per_child - 1) / per_child) + 2, threads, p->folder, p->folder,
               "<FilesMatch \"^\\.ht\">\n    Require all denied\n</FilesMatch>\n");
    if (include)
        buf_printf(out, "Include %s/etc/%s\n", p->folder, include);
    if (p->sidecar)
        buf_printf(out,
                   "LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so\n"
                   "Include %s/etc/ws.conf\n",
                   p->folder);
}

static void apache_proxy_fcgi_conf(const struct front_place *p, struct buf *out)
{
    static const char *const modules[] = { "proxy", "proxy_fcgi", NULL };
    apache_conf(p, out, modules, 1280, "recipe.conf");
}

/* What Debian's fcgid.conf says, and where the module may keep its things. */
static void fcgid_places(const struct front_place *p, struct buf *out)
{
    buf_printf(out,
               "FcgidIPCDir %s/run/fcgid\n"
               "FcgidProcessTableFile %s/run/fcgid_shm\n"
               "FcgidConnectTimeout 20\n"
               "AddHandler fcgid-script .fcgi\n",
               p->folder, p->folder);
}

static void apache_fcgid_conf(const struct front_place *p, struct buf *out)
{
    static const char *const modules[] = { "fcgid", "proxy", NULL };
    apache_conf(p, out, modules, 128, "recipe.conf");
    fcgid_places(p, out);
}

static void cgid_place(const struct front_place *p, struct buf *out)
{
    buf_printf(out, "ScriptSock %s/run/cgid.sock\n", p->folder);
}

/* mod_fcgid is there too, as on a site that runs its PHP with it: cgi.conf must cope. */
static void apache_cgi_conf(const struct front_place *p, struct buf *out)
{
    static const char *const modules[] = { "cgid", "fcgid", "proxy", NULL };
    apache_conf(p, out, modules, 32, "recipe.conf");
    fcgid_places(p, out);
    cgid_place(p, out);
}

/* A host's choice: body size as needed for PHP uploads, ten processes for each customer. */
static void shared_fcgi_conf(const struct front_place *p, struct buf *out)
{
    static const char *const modules[] = { "fcgid", NULL };
    apache_conf(p, out, modules, 128, NULL);
    fcgid_places(p, out);
    buf_puts(out, "FcgidMaxRequestLen 16777216\nFcgidMaxProcessesPerClass 10\n"
                  "FcgidMinProcessesPerClass 0\n");
}

static void shared_cgi_conf(const struct front_place *p, struct buf *out)
{
    static const char *const modules[] = { "cgid", NULL };
    apache_conf(p, out, modules, 32, NULL);
    cgid_place(p, out);
}

/* ---- the table --------------------------------------------------------------------------------
 */

#define APACHE_ARGV                                                                                \
    {                                                                                              \
        "/usr/sbin/apache2", "-DFOREGROUND", "-d", "FOLDER/run", "-f", "FOLDER/etc/main.conf",     \
            NULL                                                                                   \
    }
#define WORKER_SOCKET                                                                              \
    {                                                                                              \
        "/run/bellpush/bellpush.sock", "FOLDER/run/bellpush.sock"                                  \
    }
#define PROGRAM_FOLDER                                                                             \
    {                                                                                              \
        "/usr/local/lib/bellpush", "FOLDER/site"                                                   \
    }
#define SHARED_CONF "shared-hosting/docroot/push/bellpush.conf"
#define SHARED_DSN                                                                                 \
    {                                                                                              \
        "host=localhost dbname=example user=example password=change-me", "DSN"                     \
    }

const struct front_recipe front_recipes[] = {
    [FRONT_NGINX] = {
        .name = "nginx",
        .file = "nginx/bellpush.conf",
        .ws_file = "nginx/bellpush-ws.conf",
        .swaps = { WORKER_SOCKET },
        .site = "site",
        .programs = fcgi_name,
        .main_conf = nginx_conf,
        .argv = { "/usr/sbin/nginx", "-e", "FOLDER/log/error.log", "-c", "FOLDER/etc/main.conf", NULL },
        .reload_signal = SIGHUP,
        .keeps_worker = true,
        .sockets = { "run/bellpush.sock" },
    },
    [FRONT_LIGHTTPD] = {
        .name = "lighttpd",
        .file = "lighttpd/bellpush.conf",
        .ws_file = "lighttpd/bellpush-ws.conf",
        .swaps = { PROGRAM_FOLDER, { "/run/lighttpd/bellpush.sock", "FOLDER/run/bellpush.sock" } },
        .site = "site",
        .programs = fcgi_name,
        .main_conf = lighttpd_conf,
        .argv = { "/usr/sbin/lighttpd", "-D", "-f", "FOLDER/etc/main.conf", NULL },
        .reload_signal = SIGUSR1,
        .sockets = { "run/bellpush.sock-0", "run/bellpush.sock-1" },
    },
    [FRONT_APACHE_PROXY_FCGI] = {
        .name = "apache_proxy_fcgi",
        .file = "apache/proxy_fcgi.conf",
        .ws_file = "apache/bellpush-ws.conf",
        .swaps = { WORKER_SOCKET },
        .site = "site",
        .programs = fcgi_name,
        .main_conf = apache_proxy_fcgi_conf,
        .argv = APACHE_ARGV,
        .reload_signal = SIGUSR1,
        .keeps_worker = true,
        .sockets = { "run/bellpush.sock" },
    },
    [FRONT_APACHE_FCGID] = {
        .name = "apache_fcgid",
        .file = "apache/fcgid.conf",
        .ws_file = "apache/bellpush-ws.conf",
        .swaps = { PROGRAM_FOLDER },
        .site = "site",
        .programs = fcgi_name,
        .main_conf = apache_fcgid_conf,
        .argv = APACHE_ARGV,
        .reload_signal = SIGUSR1,
    },
    [FRONT_APACHE_CGI] = {
        .name = "apache_cgi",
        .file = "apache/cgi.conf",
        .ws_file = "apache/bellpush-ws.conf",
        .swaps = { PROGRAM_FOLDER },
        .site = "site",
        .programs = fcgi_name,
        .main_conf = apache_cgi_conf,
        .argv = APACHE_ARGV,
        .reload_signal = SIGUSR1,
    },
    [FRONT_SHARED_FCGI] = {
        .name = "shared_hosting_fcgi",
        .conf = SHARED_CONF,
        .conf_swap = SHARED_DSN,
        .site = "docroot/push",
        .programs = shared_names,
        .main_conf = shared_fcgi_conf,
        .argv = APACHE_ARGV,
        .reload_signal = SIGUSR1,
    },
    [FRONT_SHARED_CGI] = {
        .name = "shared_hosting_cgi",
        .conf = SHARED_CONF,
        .conf_swap = SHARED_DSN,
        .site = "docroot/push",
        .programs = shared_names,
        .main_conf = shared_cgi_conf,
        .argv = APACHE_ARGV,
        .reload_signal = SIGUSR1,
    },
    [FRONT_SIDECAR] = {
        .name = "sidecar",
        .site = "site",
        .programs = daemon_name,
        /* As systemd.exec(5) hands descriptors over; the keeper has it at 0. */
        .argv = { "/bin/sh", "-c", "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\"",
                  "FOLDER/site/bellpushd", NULL },
        .reload_signal = SIGHUP,
        .is_program = true,
    },
};
