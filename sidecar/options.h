/*
 * options.h - the command line of bellpushd.
 */
#ifndef SIDECAR_OPTIONS_H
#define SIDECAR_OPTIONS_H

#include "core/settings.h"
#include "sidecar/listen.h"

enum { OPTIONS_SETS = 8, OPTIONS_SET_MAX = 1024 };

struct options {
    struct settings settings;
    const char *listen[LISTEN_MAX];
    size_t n_listen;
    int mode;                                 /* of unix sockets; SETTINGS_MODE_UMASK */
    char sets[OPTIONS_SETS][OPTIONS_SET_MAX]; /* options that stand for settings */
    size_t n_sets;
};

/* Read the command line; everything is lent from argv. */
enum settings_task options_parse(struct options *, int argc, char **argv);

#endif
