/*
 * pg_dial.c - from a connection string to an open connection, without ever blocking the loop.
 *
 * PQconnectPoll() never blocks but in one place: it asks the resolver for the addresses of a host
 * name.  So names are looked up first, on libuv's thread pool, and handed to libpq as `hostaddr`
 * (`host` stays, for the certificate's sake).
 *
 * Which hosts?  They may stand in the string, in PGHOST, or in a service file.  Only libpq knows,
 * so we ask it: a connection with an impossible sslmode is refused after all options have been
 * collected and before the network is touched, and PQconninfo() then tells what they came to.
 *
 * While it connects, libpq may close its socket and open another (next address, next host, SSL
 * refused), so the loop forgets the descriptor before every PQconnectPoll().
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "sql/pg_dial.h"
#include "sql/pg_error.h"

enum {
    CONNECT_MS = 10 * 1000,
    HOSTS_MAX = 16,    /* names in one connection string */
    ADDRESSES_MAX = 8, /* taken of one name */
};

struct pg_dial {
    struct pg_loop *loop;
    pg_dialled_fn *fn;
    void *arg;
    char *dsn;
    struct alarm alarm; /* the deadline */
    bool starting;      /* still inside pg_dial_start() */
    uint64_t timeout_ms;
    PQconninfoOption *options; /* what dsn, environment and files come to; may be NULL */
    /* looking up */
    struct pg_lookup *lookup;
    char *hosts[HOSTS_MAX];
    const char *ports[HOSTS_MAX]; /* into port_text */
    char *host_text, *port_text;
    size_t host_count, next_host;
    struct buf host, hostaddr, port; /* the lists that libpq will be given */
    char why[PG_WHY_MAX];
    /* connecting */
    PGconn *pg;
    struct pg_watch *watch;
    int watched; /* descriptor */
};

bool pg_dial_understands(const char *dsn)
{
    if (!strchr(dsn, '=') && !strstr(dsn, "://"))
        return true; /* a database name, or nothing */
    PQconninfoOption *options = PQconninfoParse(dsn, NULL);

    PQconninfoFree(options);
    return options != NULL;
}

static const char *option(const struct pg_dial *d, const char *keyword)
{
    for (PQconninfoOption *o = d->options; o && o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0)
            return o->val && *o->val ? o->val : NULL;
    return NULL;
}

/* ---- the end, one way or another ----------------------------------------------------------------
 */

static void free_dial(struct pg_dial *d)
{
    alarm_cancel(&d->alarm);
    pg_lookup_cancel(d->lookup);
    pg_watch_close(d->watch);
    PQfinish(d->pg);
    for (PQconninfoOption *o = d->options; o && o->keyword; o++)
        if (o->val && o->dispchar[0] == '*') /* a password */
            explicit_bzero(o->val, strlen(o->val));
    PQconninfoFree(d->options);
    free(d->host_text);
    free(d->port_text);
    buf_fini(&d->host);
    buf_fini(&d->hostaddr);
    buf_fini(&d->port);
    if (d->dsn)
        explicit_bzero(d->dsn, strlen(d->dsn));
    free(d->dsn);
    free(d);
}

void pg_dial_cancel(struct pg_dial *d)
{
    if (d)
        free_dial(d);
}

static void on_failed(struct alarm *alarm)
{
    struct pg_dial *d = CONTAINER(alarm, struct pg_dial, alarm);
    pg_dialled_fn *fn = d->fn;
    void *arg = d->arg;
    char why[PG_WHY_MAX];

    memcpy(why, d->why, sizeof(why));
    free_dial(d);
    fn(arg, NULL, why);
}

static void fail(struct pg_dial *d, const char *message)
{
    char why[PG_WHY_MAX];

    pg_error_line(message, why); /* message may be d->why */
    memcpy(d->why, why, sizeof(why));
    if (d->starting)
        alarm_set(d->loop->wheel, &d->alarm, 0, on_failed);
    else
        on_failed(&d->alarm);
}

static void succeed(struct pg_dial *d)
{
    pg_dialled_fn *fn = d->fn;
    void *arg = d->arg;
    PGconn *pg = d->pg;

    d->pg = NULL;
    free_dial(d); /* before the callback: the descriptor is watched anew there */
    fn(arg, pg, "");
}

/* ---- connecting ---------------------------------------------------------------------------------
 */

static void on_progress(void *arg, int events);

/* Wait for what libpq wants, on the descriptor that it has now. */
static bool watch(struct pg_dial *d, int events)
{
    int fd = PQsocket(d->pg);

    if (!d->watch || fd != d->watched) {
        pg_watch_close(d->watch);
        d->watch = pg_watch_new(d->loop, fd, on_progress, d);
        d->watched = fd;
        if (!d->watch)
            return false;
    }
    pg_watch_set(d->watch, events);
    return true;
}

static void on_progress(void *arg, int events)
{
    struct pg_dial *d = arg;
    bool watching = true;

    (void)events;
    pg_watch_set(d->watch, 0);
    switch (PQconnectPoll(d->pg)) {
    case PGRES_POLLING_READING:
        watching = watch(d, UV_READABLE);
        break;
    case PGRES_POLLING_WRITING:
        watching = watch(d, UV_WRITABLE);
        break;
    case PGRES_POLLING_OK:
        PQsetnonblocking(d->pg, 1);
        succeed(d);
        return;
    default:
        fail(d, PQerrorMessage(d->pg));
        return;
    }
    if (!watching)
        fail(d, "out of memory");
}

static void connect_now(struct pg_dial *d)
{
    const char *keys[16], *values[16];
    int n = 0;

    keys[n] = "dbname", values[n++] = d->dsn; /* expanded; what follows overrides it */
    keys[n] = "fallback_application_name", values[n++] = "bellpush";
    keys[n] = "client_encoding", values[n++] = "UTF8";
    if (d->hostaddr.len > 0) {
        keys[n] = "host", values[n++] = d->host.at;
        keys[n] = "hostaddr", values[n++] = d->hostaddr.at;
        keys[n] = "port", values[n++] = d->port.at;
    }
    /* A dead server is to be noticed in seconds, not hours: unless the operator says otherwise. */
    static const char *const alive[][2] = { { "keepalives_idle", "2" },
                                            { "keepalives_interval", "1" },
                                            { "keepalives_count", "3" },
                                            { "tcp_user_timeout", "3000" } };
    for (size_t i = 0; i < LENGTH(alive); i++)
        if (!option(d, alive[i][0]))
            keys[n] = alive[i][0], values[n++] = alive[i][1];
    keys[n] = values[n] = NULL;

    d->pg = PQconnectStartParams(keys, values, 1);
    if (!d->pg || PQstatus(d->pg) == CONNECTION_BAD)
        fail(d, d->pg ? PQerrorMessage(d->pg) : "out of memory");
    else if (!watch(d, UV_WRITABLE)) /* as if PQconnectPoll() had said so, says the manual */
        fail(d, "out of memory");
}

/* ---- looking up ---------------------------------------------------------------------------------
 */

static bool is_name(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    return host[0] != '\0' && host[0] != '/' && host[0] != '@' &&
           inet_pton(AF_INET, host, address) != 1 && inet_pton(AF_INET6, host, address) != 1;
}

/* Cut a comma-separated list into pieces, in place. */
static size_t cut(char *list, const char **out, size_t max)
{
    size_t n = 0;

    for (char *p = list; p && n < max; n++) {
        char *comma = strchr(p, ',');
        out[n] = p;
        if (comma)
            *comma++ = '\0';
        p = comma;
    }
    return n;
}

static void put_entry(struct pg_dial *d, size_t i, const char *address)
{
    const char *comma = d->port.len > 0 || d->host.len > 0 || d->hostaddr.len > 0 ? "," : "";

    buf_printf(&d->host, "%s%s", comma, d->hosts[i]);
    buf_printf(&d->hostaddr, "%s%s", comma, address);
    buf_printf(&d->port, "%s%s", comma, d->ports[i]);
}

static void look_up_next(struct pg_dial *d);

static void on_addresses(void *arg, const struct addrinfo *found, int uv_error)
{
    struct pg_dial *d = arg;
    size_t i = d->next_host++;
    int n = 0;

    d->lookup = NULL;
    for (const struct addrinfo *a = found; a && n < ADDRESSES_MAX; a = a->ai_next) {
        char text[INET6_ADDRSTRLEN + 1];
        if ((a->ai_family == AF_INET && uv_ip4_name((void *)a->ai_addr, text, sizeof(text)) == 0) ||
            (a->ai_family == AF_INET6 &&
             uv_ip6_name((void *)a->ai_addr, text, sizeof(text)) == 0)) {
            put_entry(d, i, text);
            n++;
        }
    }
    if (n == 0)
        snprintf(d->why, sizeof(d->why), "could not find the address of host \"%s\": %s",
                 d->hosts[i], uv_error ? uv_strerror(uv_error) : "it has none");
    look_up_next(d);
}

static void look_up_next(struct pg_dial *d)
{
    while (d->next_host < d->host_count && !is_name(d->hosts[d->next_host]))
        put_entry(d, d->next_host++, "");
    if (d->next_host < d->host_count) {
        d->lookup = pg_lookup_start(d->loop, d->hosts[d->next_host], on_addresses, d);
        if (!d->lookup)
            fail(d, "out of memory");
        return;
    }
    if (d->host_count > 0 && d->host.len == 0) { /* not one of the names is known */
        fail(d, d->why);
        return;
    }
    buf_putc(&d->host, '\0');
    buf_putc(&d->hostaddr, '\0');
    buf_putc(&d->port, '\0');
    if (buf_rc(&d->host) != RC_OK || buf_rc(&d->hostaddr) != RC_OK || buf_rc(&d->port) != RC_OK)
        fail(d, "out of memory");
    else
        connect_now(d);
}

/* Are there names to look up?  Fills hosts and ports. */
static bool has_names(struct pg_dial *d)
{
    const char *host = option(d, "host"), *port = option(d, "port");
    bool names = false;

    if (!host || option(d, "hostaddr"))
        return false;
    d->host_text = strdup(host);
    d->port_text = strdup(port ? port : "5432");
    if (!d->host_text || !d->port_text)
        return false;
    d->host_count = cut(d->host_text, (const char **)d->hosts, HOSTS_MAX);
    size_t ports = cut(d->port_text, d->ports, HOSTS_MAX);
    for (size_t i = ports; ports == 1 && i < d->host_count; i++)
        d->ports[i] = d->ports[0];
    if (ports != 1 && ports != d->host_count)
        return false; /* libpq will say what is wrong with that */
    for (size_t i = 0; i < d->host_count; i++)
        names |= is_name(d->hosts[i]);
    return names;
}

/* ---- the beginning ------------------------------------------------------------------------------
 */

static void on_timeout(struct alarm *alarm)
{
    struct pg_dial *d = CONTAINER(alarm, struct pg_dial, alarm);
    char why[PG_WHY_MAX];

    snprintf(why, sizeof(why), "no connection within %llu s",
             (unsigned long long)d->timeout_ms / 1000);
    fail(d, why);
}

static void begin(struct pg_dial *d)
{
    const char *keys[] = { "dbname", "sslmode", NULL };
    const char *values[] = { d->dsn, "the network is not wanted yet", NULL };
    PGconn *reader = PQconnectStartParams(keys, values, 1);

    d->options = reader ? PQconninfo(reader) : NULL;
    PQfinish(reader);
    const char *timeout = option(d, "connect_timeout");
    d->timeout_ms = timeout && atoi(timeout) > 0 ? (uint64_t)atoi(timeout) * 1000 : CONNECT_MS;
    alarm_set(d->loop->wheel, &d->alarm, d->timeout_ms, on_timeout);
    if (has_names(d))
        look_up_next(d);
    else
        connect_now(d);
}

struct pg_dial *pg_dial_start(struct pg_loop *loop, const char *dsn, pg_dialled_fn *fn, void *arg)
{
    struct pg_dial *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->loop = loop;
    d->fn = fn;
    d->arg = arg;
    d->dsn = strdup(dsn);
    if (!d->dsn) {
        free(d);
        return NULL;
    }
    d->starting = true;
    begin(d);
    d->starting = false;
    return d;
}
