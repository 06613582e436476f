/*
 * front_recipes.h - what front.c knows of each web server: which file of contrib/ is tried, which
 * paths in it are exchanged, what stands around it, how the server is started and reloaded.
 */
#ifndef TESTS_PEERS_FRONT_RECIPES_H
#define TESTS_PEERS_FRONT_RECIPES_H

#include "tests/peers/front.h"

/* Where a front lives. */
struct front_place {
    const char *top;    /* the source tree */
    const char *folder; /* the temporary folder */
    const char *user;   /* NULL: as we are */
    const char *dsn;
    int port;
    bool sidecar; /* ws_file is to be included */
};

/* One path or value of a file in contrib/ and what the test puts in its place. */
struct front_swap {
    const char *from;
    const char *to; /* FOLDER in it: the temporary folder; DSN: the database */
};

struct front_recipe {
    const char *name;
    const char *file; /* in contrib/; becomes FOLDER/etc/recipe.conf; NULL: none */
    struct front_swap swaps[4];
    const char *ws_file; /* in contrib/: the way to the sidecar; becomes FOLDER/etc/ws.conf */
    const char *conf; /* in contrib/: the worker's bellpush.conf; NULL: only what the test says */
    struct front_swap conf_swap;
    const char *site;            /* the program's folder below FOLDER */
    const char *const *programs; /* its names there; NULL-terminated */
    /* The configuration around the recipe, written to FOLDER/etc/main.conf. */
    void (*main_conf)(const struct front_place *, struct buf *out);
    const char *argv[8]; /* FOLDER in one: the temporary folder */
    int reload_signal;
    bool is_program;        /* there is no web server: the program is all */
    bool keeps_worker;      /* the worker is started by us, not by the web server */
    const char *sockets[2]; /* the workers' FastCGI sockets below FOLDER; NULL: not addressable */
};

extern const struct front_recipe front_recipes[]; /* by enum front_kind */

#endif
