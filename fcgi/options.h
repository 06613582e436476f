/*
 * options.h - the command line, and the configuration that it leads to.
 */
#ifndef FCGI_OPTIONS_H
#define FCGI_OPTIONS_H

#include "core/conf.h"

enum { OPTIONS_SETS_MAX = 64 };

enum options_task {
    OPTIONS_SERVE,
    OPTIONS_CHECK, /* read the configuration, print it, end */
    OPTIONS_DONE,  /* --help and the like: all is said */
    OPTIONS_WRONG, /* said too, on stderr */
};

struct options {
    const char *config;                 /* NULL: look for it */
    const char *listen;                 /* NULL: see listen.h */
    int mode;                           /* of a unix socket; LISTEN_MODE_UMASK */
    const char *sets[OPTIONS_SETS_MAX]; /* name=value */
    size_t n_sets;
};

/*
 * Read the command line; everything is lent from argv.  Under CGI it is not read at all: there its
 * words may come from the query string (RFC 3875 section 4.4), that is from anybody.
 */
enum options_task options_parse(struct options *, int argc, char **argv);

/*
 * Fill the configuration from its file, the environment and --set, in this order, and check it.
 * conf is initialised even when RC_SYNTAX (errors say why, a line each).  RC_NOMEM: it is not.
 */
enum rc options_conf(const struct options *, struct conf *, struct buf *errors) MUST_USE;

#endif
