/*
 * settings.h - from the command line to the configuration: the options that all programs have.
 *
 * A program adds its own options to SETTINGS_OPTIONS and hands what it does not know itself to
 * settings_option().
 */
#ifndef CORE_SETTINGS_H
#define CORE_SETTINGS_H

#include <getopt.h>

#include "core/conf.h"

enum { SETTINGS_SETS_MAX = 64, SETTINGS_MODE_UMASK = -1 };

enum settings_task {
    SETTINGS_SERVE,
    SETTINGS_CHECK, /* read the configuration, print it, end */
    SETTINGS_DONE,  /* --help and the like: all is said */
    SETTINGS_WRONG, /* said too, on stderr */
};

struct settings {
    const char *program, *usage;
    const char *config;                  /* NULL: look for it */
    const char *sets[SETTINGS_SETS_MAX]; /* name=value */
    size_t n_sets;
};

enum {
    SETTINGS_CONFIG = 256,
    SETTINGS_SET,
    SETTINGS_HELP_CONFIG,
    SETTINGS_VERSION,
    SETTINGS_HELP,
    SETTINGS__COUNT, /* a program's own begin here */
};

/* For getopt_long(), whose short options are "n". */
#define SETTINGS_OPTIONS                                                                           \
    { "config", required_argument, NULL, SETTINGS_CONFIG },                                        \
        { "set", required_argument, NULL, SETTINGS_SET },                                          \
        { "check-config", no_argument, NULL, 'n' },                                                \
        { "help-config", no_argument, NULL, SETTINGS_HELP_CONFIG },                                \
        { "version", no_argument, NULL, SETTINGS_VERSION },                                        \
    {                                                                                              \
        "help", no_argument, NULL, SETTINGS_HELP                                                   \
    }

/* Take one option; everything is lent from argv.  Returns the task it leads to; only SERVE and
   CHECK go on. */
enum settings_task settings_option(struct settings *, int option, const char *argument);

/* "PROGRAM: WHAT; see --help" */
enum settings_task settings_wrong(const struct settings *, const char *what);

/* Octal permissions. */
bool settings_mode(const char *text, int *out);

/*
 * Fill the configuration from its file, the environment and --set, in this order, and check it.
 * conf is initialised even when RC_SYNTAX (errors say why, a line each).  RC_NOMEM: it is not.
 */
enum rc settings_conf(const struct settings *, struct conf *, struct buf *errors) MUST_USE;

/* The task CHECK; returns the process's exit status. */
int settings_check(const struct settings *) MUST_USE;

#endif
