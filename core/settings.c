/*
 * settings.c - from the command line to the configuration.
 */
#include "core/settings.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool settings_mode(const char *text, int *out)
{
    char *end;
    long mode = strtol(text, &end, 8);

    if (end == text || *end || mode < 0 || mode > 0777)
        return false;
    *out = (int)mode;
    return true;
}

enum settings_task settings_wrong(const struct settings *s, const char *what)
{
    fprintf(stderr, "%s: %s; see --help\n", s->program, what);
    return SETTINGS_WRONG;
}

static enum settings_task print_settings(void)
{
    struct buf out = BUF_EMPTY;

    conf_help(&out);
    bool ok = buf_rc(&out) == RC_OK && fwrite(out.at, 1, out.len, stdout) == out.len;
    buf_fini(&out);
    return ok ? SETTINGS_DONE : SETTINGS_WRONG;
}

enum settings_task settings_option(struct settings *s, int option, const char *argument)
{
    switch (option) {
    case SETTINGS_CONFIG:
        s->config = argument;
        return SETTINGS_SERVE;
    case SETTINGS_SET:
        if (s->n_sets == SETTINGS_SETS_MAX)
            return settings_wrong(s, "too many --set");
        s->sets[s->n_sets++] = argument;
        return SETTINGS_SERVE;
    case 'n':
        return SETTINGS_CHECK;
    case SETTINGS_HELP_CONFIG:
        return print_settings();
    case SETTINGS_VERSION:
        return printf("%s " BELLPUSH_VERSION "\n", s->program) < 0 ? SETTINGS_WRONG : SETTINGS_DONE;
    case SETTINGS_HELP:
        return fputs(s->usage, stdout) < 0 ? SETTINGS_WRONG : SETTINGS_DONE;
    default:
        return settings_wrong(s, "that was not understood");
    }
}

/* The file to read: named, beside the program, or the system's; NULL: none. */
static const char *conf_path(const struct settings *s, char beside[PATH_MAX])
{
    static const char name[] = "bellpush.conf", of_system[] = "/etc/bellpush/bellpush.conf";

    if (s->config)
        return s->config;
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

enum rc settings_conf(const struct settings *s, struct conf *conf, struct buf *errors)
{
    extern char **environ;
    char beside[PATH_MAX];
    const char *path = conf_path(s, beside);
    enum rc rc = conf_init(conf);

    if (rc != RC_OK)
        return RC_NOMEM;
    if (path)
        worst(&rc, conf_read_file(conf, path, errors));
    worst(&rc, conf_read_env(conf, environ, errors));
    for (size_t i = 0; i < s->n_sets; i++)
        worst(&rc, conf_set(conf, s->sets[i], "--set", errors));
    if (rc == RC_OK)
        rc = conf_check(conf, errors);
    if (rc == RC_NOMEM)
        conf_fini(conf);
    return rc;
}

int settings_check(const struct settings *s)
{
    struct conf conf;
    struct buf out = BUF_EMPTY, errors = BUF_EMPTY;
    int status = EXIT_FAILURE;
    enum rc rc = settings_conf(s, &conf, &errors);

    if (rc == RC_OK)
        conf_warn(&conf, false, &errors);
    if (errors.len > 0)
        fwrite(errors.at, 1, errors.len, stderr);
    if (rc == RC_OK) {
        conf_print(&conf, &out);
        if (buf_rc(&out) == RC_OK && fwrite(out.at, 1, out.len, stdout) == out.len)
            status = EXIT_SUCCESS;
        buf_fini(&out);
    }
    if (rc != RC_NOMEM)
        conf_fini(&conf);
    buf_fini(&errors);
    return status;
}
