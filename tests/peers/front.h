/*
 * front.h - a real web server with a real worker behind it, as a site would have them; and, if it
 * is asked for, a real bellpushd beside the worker.
 *
 * The configuration is the file in contrib/, as it stands: only the paths of its replacement table
 * (front_recipes.c) are exchanged, and a path that is not found in the file is an error, so that a
 * recipe cannot rot.  Around it stands what Debian would have in its main configuration, with the
 * compression of everything switched on, because sites do that.
 *
 * As root the web server's and the workers' user is www-data, otherwise everything is ours.
 */
#ifndef TESTS_PEERS_FRONT_H
#define TESTS_PEERS_FRONT_H

#include <sys/types.h>

#include "core/buf.h"

enum front_kind {
    FRONT_NGINX,
    FRONT_LIGHTTPD,
    FRONT_APACHE_PROXY_FCGI,
    FRONT_APACHE_FCGID,
    FRONT_APACHE_CGI,
    FRONT_SHARED_FCGI,
    FRONT_SHARED_CGI,
    FRONT_SIDECAR, /* bellpushd by itself, its port handed over as systemd would */
};

struct front_spec {
    enum front_kind kind;
    const char *program;  /* the worker, or bellpushd; copied to where the site has it */
    const char *daemon;   /* a sidecar beside the worker; copied, too; NULL: there is none */
    bool daemon_works;    /* it is kept alive, and counts as one of the workers below, the last */
    const char *dsn;      /* its database */
    const char *settings; /* more lines for its bellpush.conf, FOLDER: front_folder(); NULL: none */
    const char
        *before; /* lines of sh for each worker to run first ("ulimit -n 64\n"); NULL: none */
};

struct front;

/* Start and wait until /ready says 200; gives.  On failure shows the logs and ends the program. */
struct front *front_start(const struct front_spec *);
/* NULL: nothing happens.  A sidecar that ends with anything but success ends the program. */
void front_free(struct front *);

int front_port(const struct front *);
pid_t front_server(const struct front *);
const char *front_folder(const struct front *); /* docroot/, site/, log/, run/ are in it; lent */

/* The sidecar, and the port on which it answers without the web server; 0: there is none. */
pid_t front_sidecar(const struct front *);
int front_sidecar_port(const struct front *);

/* As `systemctl reload` and `systemctl restart` would; the latter waits until the server, on the
   port it had, says that a worker is ready. */
void front_reload(struct front *);
void front_restart(struct front *);

/* The workers that run now; at most max of their pids.  Returns how many there are. */
size_t front_workers(const struct front *, pid_t *pids, size_t max);

/* How many workers have a FastCGI socket of their own (nginx, lighttpd, mod_proxy_fcgi), and what
   the one behind socket i answers there to GET path ("/status"); gives the body.  NULL: no answer
   within ms.  key: the publish_key, to be told everything; NULL: a stranger asks. */
size_t front_sockets(const struct front *);
char *front_ask(const struct front *, size_t i, const char *path, const char *key, int64_t ms);

/* Requests open in all workers now, their own words; -1: not all have sockets, or answer. */
int front_open_requests(const struct front *);

/* Print the end of every log on stderr: for a test that failed. */
void front_show_logs(const struct front *);

#endif
