/*
 * pg_source.h - the parts of a source, and how they know each other.
 *
 *      struct source
 *        pg_listen   one connection: hears the bell, reads the log, records plain NOTIFYs
 *        pg_pool     a few connections: what others ask (core/source.h)
 *        pg_keeper   one connection of the elected process: relays, prunes
 *
 * For sql/ only; everybody else knows core/source.h.
 */
#ifndef SQL_PG_SOURCE_H
#define SQL_PG_SOURCE_H

#include "core/server.h"
#include "sql/pg_keeper.h"
#include "sql/pg_listen.h"
#include "sql/pg_loop.h"
#include "sql/pg_pool.h"

struct source {
    struct server *server;
    struct pg_loop loop;
    struct pg_listen *listen;
    struct pg_pool *pool;
    struct pg_keeper *keeper;
    void (*done)(void *arg);
    void *arg;
    struct turn turn; /* source_free(): when nothing is left to wait for */
};

/* Where LISTEN and session locks work: a direct connection, not a pooler's. */
static inline const char *source_direct(const struct source *s)
{
    const char *direct = s->server->conf->listen_database;

    return direct && *direct ? direct : s->server->conf->database ? s->server->conf->database : "";
}

#endif
