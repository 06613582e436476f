/*
 * client_site.h - www/bellpush.js and a page that uses it, behind a web server with a worker and,
 * for WebSockets, a bellpushd beside it, or behind bellpushd, which is all of it; and between
 * browser and web server, if one likes, somebody rude.
 */
#ifndef TESTS_BROWSER_CLIENT_SITE_H
#define TESTS_BROWSER_CLIENT_SITE_H

#include "tests/peers/front.h"
#include "tests/peers/rude.h"

enum client_front {
    CLIENT_NGINX,
    CLIENT_LIGHTTPD,
    CLIENT_APACHE, /* mod_proxy_fcgi */
    CLIENT_BELLPUSHD,
    CLIENT_GATHERING, /* nginx without the lines that keep it from buffering */
};

struct client_site {
    int port;
    struct front *front; /* NULL: bellpushd */
    pid_t daemon;
    char *folder, *log; /* of bellpushd */
    struct rude *rude;
    const char *front_name;
    char *dsn;
    int topics; /* so many have been given out */
};

struct client_site *client_site_start(enum client_front); /* gives */
void client_site_free(struct client_site *);              /* NULL: nothing happens */

/* The page at a port, hearing a topic of its own; query: more of the address, NULL: none.  Both
 * give. */
char *client_site_topic(struct client_site *);
char *client_site_url(const struct client_site *, int port, const char *topic, const char *query);

/* Another page of tests/browser/page; query: "" or "&" and more.  Gives. */
char *client_site_page(const struct client_site *, const char *page, const char *topic,
                       const char *query);

/* Publish the numbers from `first` up to below `end`, each in a transaction of its own. */
void client_site_publish(const struct client_site *, const char *topic, int first, int end);

/* A token for all below right/, soon to expire, of the subject.  Gives. */
char *client_site_token(const struct client_site *, const char *subject);

/* As a site has it that has not read contrib/: the recipe says something else instead of a line. */
void client_site_spoil(const struct client_site *, const char *line, const char *other);

/* More lines for bellpush.conf, and workers that have read them.  Not for bellpushd. */
void client_site_set(const struct client_site *, const char *lines);

/* Every worker dies, as in a crash; whoever keeps them starts new ones. */
void client_site_kill_workers(const struct client_site *);

#endif
