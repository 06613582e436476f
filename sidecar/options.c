/*
 * options.c - the command line of bellpushd.
 */
#include "sidecar/options.h"

static const char usage[] =
    "usage: bellpushd [options]\n"
    "\n"
    "  --listen [http:]ADDRESS  HOST:PORT, [IPV6]:PORT, *:PORT or the PATH of a unix socket; "
    "again\n"
    "                           for more.  Port 0 is any; all are told on standard output.\n"
    "                           Otherwise sockets that systemd hands over, or listen_http\n"
    "  --mode OCTAL             permissions of unix sockets (0660); otherwise the umask's\n"
    "  --config FILE            settings; otherwise bellpush.conf beside this program, or\n"
    "                           /etc/bellpush/bellpush.conf, whichever exists first\n"
    "  --set NAME=VALUE         one setting; again for more\n"
    "  --check-config, -n       read the settings, print them with their sources, and end\n"
    "  --help-config            list all settings\n"
    "  --version, --help\n"
    "\n"
    "SIGTERM, SIGINT and SIGUSR1 stop it gracefully, a second one at once; SIGHUP reopens the "
    "log.\n";

enum settings_task options_parse(struct options *o, int argc, char **argv)
{
    enum { LISTEN = SETTINGS__COUNT, MODE };
    static const struct option longs[] = {
        SETTINGS_OPTIONS,
        { "listen", required_argument, NULL, LISTEN },
        { "mode", required_argument, NULL, MODE },
        { NULL, 0, NULL, 0 },
    };
    enum settings_task task = SETTINGS_SERVE, one;
    int c;

    *o = (struct options){ .settings = { .program = "bellpushd", .usage = usage },
                           .mode = SETTINGS_MODE_UMASK };
    while ((c = getopt_long(argc, argv, "n", longs, NULL)) != -1) {
        if (c == LISTEN) {
            if (o->n_listen == LISTEN_MAX)
                return settings_wrong(&o->settings, "too many --listen");
            o->listen[o->n_listen++] = optarg;
        } else if (c == MODE) {
            if (!settings_mode(optarg, &o->mode))
                return settings_wrong(&o->settings, "--mode takes octal permissions, such as 0660");
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
