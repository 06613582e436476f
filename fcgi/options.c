/*
 * options.c - the command line, and the configuration that it leads to.
 */
#include "fcgi/options.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fcgi/listen.h"

static const char usage[] =
    "usage: bellpush.fcgi [options]\n"
    "\n"
    "Started by a web server it needs no options: it is a FastCGI program when descriptor 0 is a\n"
    "listening socket (lighttpd, mod_fcgid, spawn-fcgi), when systemd hands over a socket, and a\n"
    "CGI program when the environment says so.\n"
    "\n"
    "  --listen PATH|HOST:PORT  open a FastCGI socket of its own\n"
    "  --mode OCTAL             permissions of that unix socket (0660); otherwise the umask's\n"
    "  --config FILE            settings; otherwise bellpush.conf beside this program, or\n"
    "                           /etc/bellpush/bellpush.conf, whichever exists first\n"
    "  --set NAME=VALUE         one setting; again for more\n"
    "  --check-config, -n       read the settings, print them with their sources, and end\n"
    "  --help-config            list all settings\n"
    "  --version, --help\n"
    "\n"
    "SIGTERM, SIGINT and SIGUSR1 stop it gracefully, a second one at once; SIGHUP reopens the "
    "log.\n";

static bool mode_parse(const char *text, int *out)
{
    char *end;
    long mode = strtol(text, &end, 8);

    if (end == text || *end || mode < 0 || mode > 0777)
        return false;
    *out = (int)mode;
    return true;
}

static enum options_task wrong(const char *what)
{
    fprintf(stderr, "bellpush.fcgi: %s; see --help\n", what);
    return OPTIONS_WRONG;
}

static enum options_task print_settings(void)
{
    struct buf out = BUF_EMPTY;

    conf_help(&out);
    bool ok = buf_rc(&out) == RC_OK && fwrite(out.at, 1, out.len, stdout) == out.len;
    buf_fini(&out);
    return ok ? OPTIONS_DONE : OPTIONS_WRONG;
}

enum options_task options_parse(struct options *o, int argc, char **argv)
{
    enum { CONFIG = 256, SET, LISTEN, MODE, HELP_CONFIG, VERSION, HELP };
    static const struct option longs[] = {
        { "config", required_argument, NULL, CONFIG },
        { "set", required_argument, NULL, SET },
        { "listen", required_argument, NULL, LISTEN },
        { "mode", required_argument, NULL, MODE },
        { "check-config", no_argument, NULL, 'n' },
        { "help-config", no_argument, NULL, HELP_CONFIG },
        { "version", no_argument, NULL, VERSION },
        { "help", no_argument, NULL, HELP },
        { NULL, 0, NULL, 0 },
    };
    enum options_task task = OPTIONS_SERVE;
    int c;

    *o = (struct options){ .mode = LISTEN_MODE_UMASK };
    if (getenv("GATEWAY_INTERFACE"))
        return OPTIONS_SERVE;
    while ((c = getopt_long(argc, argv, "n", longs, NULL)) != -1) {
        switch (c) {
        case CONFIG:
            o->config = optarg;
            break;
        case SET:
            if (o->n_sets == OPTIONS_SETS_MAX)
                return wrong("too many --set");
            o->sets[o->n_sets++] = optarg;
            break;
        case LISTEN:
            o->listen = optarg;
            break;
        case MODE:
            if (!mode_parse(optarg, &o->mode))
                return wrong("--mode takes octal permissions, such as 0660");
            break;
        case 'n':
            task = OPTIONS_CHECK;
            break;
        case HELP_CONFIG:
            return print_settings();
        case VERSION:
            return puts("bellpush.fcgi " BELLPUSH_VERSION) < 0 ? OPTIONS_WRONG : OPTIONS_DONE;
        case HELP:
            return fputs(usage, stdout) < 0 ? OPTIONS_WRONG : OPTIONS_DONE;
        default:
            return wrong("that was not understood");
        }
    }
    return optind < argc ? wrong("there are only options, no arguments") : task;
}

/* The file to read: named, beside the program, or the system's; NULL: none. */
static const char *conf_path(const struct options *o, char beside[PATH_MAX])
{
    static const char name[] = "bellpush.conf", of_system[] = "/etc/bellpush/bellpush.conf";

    if (o->config)
        return o->config;
    ssize_t len = readlink("/proc/self/exe", beside, PATH_MAX - sizeof(name));
    while (len > 0 && beside[len - 1] != '/')
        len--;
    if (len > 0) {
        memcpy(beside + len, name, sizeof(name));
        if (access(beside, F_OK) == 0)
            return beside;
    }
    return access(of_system, F_OK) == 0 ? of_system : NULL;
}

/* Errors are gathered: a person wants to see all of them at once. */
static void worst(enum rc *all, enum rc one)
{
    if (*all == RC_OK || one == RC_NOMEM)
        *all = one;
}

enum rc options_conf(const struct options *o, struct conf *conf, struct buf *errors)
{
    extern char **environ;
    char beside[PATH_MAX];
    const char *path = conf_path(o, beside);
    enum rc rc = conf_init(conf);

    if (rc != RC_OK)
        return RC_NOMEM;
    if (path)
        worst(&rc, conf_read_file(conf, path, errors));
    worst(&rc, conf_read_env(conf, environ, errors));
    for (size_t i = 0; i < o->n_sets; i++)
        worst(&rc, conf_set(conf, o->sets[i], "--set", errors));
    if (rc == RC_OK)
        rc = conf_check(conf, errors);
    if (rc == RC_NOMEM)
        conf_fini(conf);
    return rc;
}
