/*
 * page_site.h - the demo page, its site's script, tables and a worker, behind one web server.
 */
#ifndef TESTS_BROWSER_PAGE_SITE_H
#define TESTS_BROWSER_PAGE_SITE_H

#include <sys/types.h>

#include "core/buf.h"

enum page_site_kind {
    PAGE_RUN,    /* lighttpd, as `make run` starts it, with the sidecar */
    PAGE_NGINX,  /* contrib/nginx */
    PAGE_APACHE, /* contrib/apache/proxy_fcgi.conf */
    PAGE_KINDS,
    PAGE_NO_EVENTS = PAGE_KINDS, /* nginx that refuses /push/events */
};

struct page_site;

/* Start, and wait until the site's script answers; gives. */
struct page_site *page_site_start(enum page_site_kind);
void page_site_free(struct page_site *);

const char *page_site_name(const struct page_site *); /* "lighttpd" …; lent */
const char *page_site_url(const struct page_site *);  /* lent */
const char *page_site_dsn(const struct page_site *);  /* lent */
int page_site_port(const struct page_site *);

/* The best there is: "websocket" where there is a sidecar; lent. */
const char *page_site_transport(const struct page_site *);

/* Wait until a worker holds a request.  Not for PAGE_RUN. */
void page_site_await_reader(const struct page_site *);

/* Kill every worker, and the sidecar, as a crash does.  Whoever keeps them starts new ones. */
void page_site_kill_workers(const struct page_site *);

#endif
