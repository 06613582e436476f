/*
 * options.h - the worker's command line.
 */
#ifndef FCGI_OPTIONS_H
#define FCGI_OPTIONS_H

#include "core/settings.h"

struct options {
    struct settings settings;
    const char *listen; /* NULL: see listen.h */
    int mode;           /* of a unix socket; SETTINGS_MODE_UMASK */
};

/*
 * Read the command line; everything is lent from argv.  Under CGI it is not read at all: there its
 * words may come from the query string (RFC 3875 section 4.4), that is from anybody.
 */
enum settings_task options_parse(struct options *, int argc, char **argv);

#endif
