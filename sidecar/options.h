/*
 * options.h - the command line of bellpushd.
 */
#ifndef SIDECAR_OPTIONS_H
#define SIDECAR_OPTIONS_H

#include "core/settings.h"
#include "sidecar/listen.h"

struct options {
    struct settings settings;
    const char *listen[LISTEN_MAX];
    size_t n_listen;
    int mode; /* of unix sockets; SETTINGS_MODE_UMASK */
};

/* Read the command line; everything is lent from argv. */
enum settings_task options_parse(struct options *, int argc, char **argv);

#endif
