/*
 * options.c - the command line of bellpushd.
 */
#include "sidecar/options.h"

#include <stdio.h>

static const char usage[] =
    "usage: bellpushd [options]\n"
    "\n"
    "  --listen [WORD:]ADDRESS  HOST:PORT, [IPV6]:PORT, *:PORT or the PATH of a unix socket; "
    "again\n"
    "                           for more.  Port 0 is any; all are told on standard output.\n"
    "                           WORD: http; tls; proxy (a PROXY header must come first); "
    "proxy-tls.\n"
    "                           Otherwise sockets that systemd hands over, or listen_http\n"
    "  --workers N              so many processes, and one that looks after them\n"
    "  --user NAME              who it becomes, started as root\n"
    "  --www DIR                files to be served outside the mount, for development\n"
    "  --mode OCTAL             permissions of unix sockets (0660); otherwise the umask's\n"
    "  --config FILE            settings; otherwise bellpush.conf beside this program, or\n"
    "                           /etc/bellpush/bellpush.conf, whichever exists first\n"
    "  --set NAME=VALUE         one setting; again for more\n"
    "  --check-config, -n       read the settings, print them with their sources, and end\n"
    "  --help-config            list all settings\n"
    "  --version, --help\n"
    "\n"
    "SIGTERM, SIGINT and SIGUSR1 stop it gracefully, a second one at once; SIGHUP reopens the log\n"
    "and reads certificates again; SIGUSR2, with --workers, restarts it with its configuration "
    "and\n"
    "program as they are then, and no connection attempt is lost.\n";

/* "workers=2" */
static bool add_set(struct options *o, const char *name, const char *value)
{
    struct settings *s = &o->settings;

    if (o->n_sets == OPTIONS_SETS || s->n_sets == SETTINGS_SETS_MAX)
        return false;
    char *set = o->sets[o->n_sets++];
    s->sets[s->n_sets++] = set;
    return snprintf(set, OPTIONS_SET_MAX, "%s=%s", name, value) < OPTIONS_SET_MAX;
}

enum settings_task options_parse(struct options *o, int argc, char **argv)
{
    enum { LISTEN = SETTINGS__COUNT, MODE, WORKERS, USER, WWW };
    static const struct option longs[] = {
        SETTINGS_OPTIONS,
        { "listen", required_argument, NULL, LISTEN },
        { "mode", required_argument, NULL, MODE },
        { "workers", required_argument, NULL, WORKERS },
        { "user", required_argument, NULL, USER },
        { "www", required_argument, NULL, WWW },
        { NULL, 0, NULL, 0 },
    };
    enum settings_task task = SETTINGS_SERVE, one;
    int c, index = 0;

    *o = (struct options){ .settings = { .program = "bellpushd", .usage = usage },
                           .mode = SETTINGS_MODE_UMASK };
    while ((c = getopt_long(argc, argv, "n", longs, &index)) != -1) {
        if (c == LISTEN) {
            if (o->n_listen == LISTEN_MAX)
                return settings_wrong(&o->settings, "too many --listen");
            o->listen[o->n_listen++] = optarg;
        } else if (c == MODE) {
            if (!settings_mode(optarg, &o->mode))
                return settings_wrong(&o->settings, "--mode takes octal permissions, such as 0660");
        } else if (c == WORKERS || c == USER || c == WWW) {
            if (!add_set(o, longs[index].name, optarg))
                return settings_wrong(&o->settings, "too long, or too many options");
        } else {
            one = settings_option(&o->settings, c, optarg);
            if (one != SETTINGS_SERVE && one != SETTINGS_CHECK)
                return one;
            task = one == SETTINGS_CHECK ? one : task;
        }
    }
    return optind < argc ? settings_wrong(&o->settings, "there are only options, no arguments")
                         : task;
}
