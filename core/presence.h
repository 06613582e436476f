/*
 * presence.h - who is on a topic: the members of this process, told to the database.
 *
 *      connection --presence_join()--> WAITING --> TELLING --joined(RC_OK)--> IN
 *                                         |            |                      |
 *                                         '------------+--presence_leave()----'--> told as gone
 *
 * A member is somebody's name on a topic, through one connection.  The first session of a name on a
 * topic is an event of type `join` on `$presence/TOPIC`, the end of the last one an event of type
 * `leave`; the data of both is {"member":NAME,"data":…}.  They are events of the log like all
 * others, so that there is nothing here for those who listen.
 *
 * What happens in a turn of the loop goes to the database in one statement, one statement at a
 * time.  While the database is away joins wait, and so do the news of who has left.  A process that
 * dies has its members removed by the others (sql/README.md).  Loop thread only.
 */
#ifndef CORE_PRESENCE_H
#define CORE_PRESENCE_H

#include "core/gate.h"
#include "core/source.h"

enum { MEMBER_NAME_MAX = 255 }; /* bytes */

struct presence; /* opaque: presence.c; one of a server: server->presence */

/* A connection that joins topics; embedded in it, zeroed. */
struct joiner {
    size_t members; /* so many now, at most conf->joins_per_connection */
};

struct member;
/*
 * The join is committed (RC_OK), or the member is not joined any more: RC_LIMIT there are as many
 * on the topic as may be, or RC_SYNTAX the database refuses its words; why: for a person.  Never
 * from within presence_join().  May join and leave anybody, and free the member if it has left or
 * is refused.
 */
typedef void joined_fn(struct member *, enum rc, const char *why);

enum member_state {
    MEMBER_OUT,     /* has not joined, or has left */
    MEMBER_WAITING, /* not told to the database yet */
    MEMBER_TELLING, /* the statement is under way */
    MEMBER_IN,      /* committed */
};

/* Embedded in its owner; zero it; the rest is presence.c's. */
struct member {
    struct member *next, **link; /* all of this process, by their numbers */
    struct presence *presence;
    struct joiner *joiner;
    joined_fn *joined;
    char *words; /* topic, name, data; one block */
    int64_t nr;  /* never given twice by this process */
    uint16_t topic_len, name_len;
    uint32_t data_len;
    enum member_state state;
};

/* Copied. */
struct joining {
    struct slice topic;
    struct slice name;     /* 1 to MEMBER_NAME_MAX bytes of UTF-8 without control characters */
    struct slice data;     /* JSON text that a parser has accepted, at most conf->join_bytes; empty:
                              none */
    const struct who *who; /* must be one who may hear the topic */
    joined_fn *joined;
};

/*
 * RC_OK: joined() will tell.  RC_DENIED: it may not hear the topic; RC_SYNTAX: no topic, or no
 * name; RC_LIMIT: too many already, or too large; RC_NOMEM.  Then nothing has begun, and *why lends
 * the reason, for a person, forever.
 */
enum rc presence_join(struct presence *, struct joiner *, struct member *, const struct joining *,
                      const char **why) MUST_USE;

/* joined() will not be called.  Not joined: nothing happens. */
void presence_leave(struct member *);

/* As they were given; lent while it is joined. */
struct slice member_topic(const struct member *);
struct slice member_name(const struct member *);

/* Members of this process now. */
size_t presence_count(const struct presence *);

/* Is there nothing that the database should still be told? */
bool presence_is_told(const struct presence *);

/*
 * The process ends, and everybody has left: done() when the database knows, or cannot be told in
 * reasonable time; perhaps from within.
 */
void presence_end(struct presence *, void (*done)(void *arg), void *arg);

/* --- for server.c and sources ---------------------------------------------------------------- */

struct presence *presence_new(struct server *) MUST_USE; /* gives; NULL: no memory */
void presence_free(struct presence *); /* source already freed, nobody joined; NULL: nothing */

/* The database can be reached again. */
void presence_wake(struct presence *);

/* Tell nothing more: the source is about to be freed. */
void presence_stop(struct presence *);

/*
 * What does the database know of us?  `asked` is what presence_turn() was when it was asked,
 * `known` what it said (0: nothing).  If it has lost something everybody joins it anew.
 */
int64_t presence_turn(const struct presence *);
void presence_known(struct presence *, int64_t asked, int64_t known);

#endif
