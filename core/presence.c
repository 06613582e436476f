/*
 * presence.c - who is on a topic: the members of this process, told to the database.
 *
 * Members stand in one list, in the order of their numbers, which is the order in which they are
 * told.  So whoever waits stands behind whoever has been told:
 *
 *      IN  IN  IN  IN  TELLING  TELLING  WAITING  WAITING
 *                      ^ telling         ^ waiting
 *
 * Whoever leaves is gone from the list at once; of him there only remains a number in `gone`, until
 * the database has been told.
 *
 * What the database knows can come to differ from the list: a statement's answer never came, a
 * lease has ended while this process was frozen, a backup was restored, or there was no memory for
 * a number in `gone`.  The cure is always the same: everybody is told anew, the list cut into
 * ranges of numbers; whoever the database has in a range and is not among the arrivals has left.
 *
 * Every statement has a number too (`turn`), one more each time.  The database does none twice and
 * none that a later one has overtaken, whatever connections do in between.
 */
#include "core/presence.h"

#include <stdlib.h>

#include "core/server.h"
#include "core/text.h"
#include "core/topic.h"

enum {
    BATCH_MAX = 1000, /* arrivals, and departures, of one statement */
    BATCH_BYTES = 1 << 20,
    RETRY_MS = 1000,
    RETRY_MAX_MS = 16 * 1000,
    LAST_WORDS_MS = 2000,
};

struct presence {
    struct server *server;
    struct member *first, **end, *telling, *waiting;
    size_t count;
    int64_t nr; /* given last */

    int64_t *gone; /* numbers of those that have left; the first gone_sent are being told */
    size_t gone_n, gone_cap, gone_sent;

    struct source_call *call;
    int64_t turn, known; /* of the last statement; of the last that is known to be done */
    size_t sent;         /* its arrivals, and the number of the first */
    int64_t sent_nr;
    size_t careful; /* so many arrivals are told one by one: one of them spoils a statement */

    bool lost;     /* everybody is to be told anew, as soon as no statement is under way */
    bool anew;     /* and this has begun: */
    int64_t place; /* up to this number it is done */
    int64_t upto;  /* and up to this when the statement is */
    bool stopped;

    struct turn at_end;
    struct alarm retry, last_words;
    unsigned failures;
    void (*done)(void *arg); /* presence_end() */
    void *arg;
};

/* ---- the list ------------------------------------------------------------------------------- */

static void list_add(struct presence *p, struct member *m)
{
    m->next = NULL;
    m->link = p->end;
    *p->end = m;
    p->end = &m->next;
    if (!p->waiting)
        p->waiting = m;
    m->state = MEMBER_WAITING;
    m->joiner->members++;
    p->count++;
}

/* The next one if it is in the same state. */
static struct member *neighbour(const struct member *m)
{
    return m->next && m->next->state == m->state ? m->next : NULL;
}

static void list_remove(struct member *m)
{
    struct presence *p = m->presence;

    if (p->telling == m)
        p->telling = neighbour(m);
    if (p->waiting == m)
        p->waiting = neighbour(m);
    *m->link = m->next;
    if (m->next)
        m->next->link = m->link;
    else
        p->end = m->link;
    m->joiner->members--;
    p->count--;
    free(m->words);
    m->words = NULL;
    m->state = MEMBER_OUT;
}

/* The statement has come to nothing: who was in it waits again. */
static void list_back(struct presence *p)
{
    if (p->telling)
        p->waiting = p->telling;
    for (struct member *m = p->telling; m && m->state == MEMBER_TELLING; m = m->next)
        m->state = MEMBER_WAITING;
    p->telling = NULL;
}

static void refuse(struct member *m, enum rc rc, const char *why)
{
    joined_fn *joined = m->joined;

    list_remove(m);
    joined(m, rc, why);
}

static void note_gone(struct presence *p, int64_t nr)
{
    if (p->gone_n == p->gone_cap) {
        size_t cap = p->gone_cap ? 2 * p->gone_cap : 16;
        int64_t *more = realloc(p->gone, cap * sizeof(*more));
        if (!more) {
            p->lost = true;
            return;
        }
        p->gone = more;
        p->gone_cap = cap;
    }
    p->gone[p->gone_n++] = nr;
}

/* ---- a statement ---------------------------------------------------------------------------- */

static struct slice words_of(const struct member *m, size_t from, size_t len)
{
    return len > 0 ? (struct slice){ m->words + from, len } : SLICE_NONE;
}

static struct arrival arrival_of(const struct member *m)
{
    return (struct arrival){
        .nr = m->nr,
        .topic = words_of(m, 0, m->topic_len),
        .name = words_of(m, m->topic_len, m->name_len),
        .data = words_of(m, (size_t)m->topic_len + m->name_len, m->data_len),
    };
}

/* Who is to be told next. */
static struct member *told_next(const struct presence *p)
{
    struct member *m = p->anew ? p->first : p->waiting;

    while (p->anew && m && m->nr <= p->place)
        m = m->next;
    return m;
}

/* How many of them in one statement. */
static size_t batch_of(const struct presence *p, const struct member *m)
{
    size_t most = p->careful ? 1 : BATCH_MAX, n = 0, bytes = 0;

    for (; m && n < most && (n == 0 || bytes < BATCH_BYTES); m = m->next, n++)
        bytes += (size_t)m->topic_len + m->name_len + m->data_len;
    return n;
}

static void retry_later(struct presence *);
static void on_changed(void *arg, const struct changed *);

static void mark_told(struct presence *p, struct member *m, size_t n)
{
    for (; n > 0; n--, m = m->next) {
        if (m->state != MEMBER_WAITING)
            continue;
        if (!p->telling)
            p->telling = m;
        m->state = MEMBER_TELLING;
        p->waiting = m->next;
    }
}

static void say(struct presence *p)
{
    struct member *first = told_next(p), *m = first;
    size_t n = batch_of(p, first);
    struct arrival *arrivals = calloc(n + 1, sizeof(*arrivals));

    for (size_t i = 0; arrivals && i < n; i++, m = m->next)
        arrivals[i] = arrival_of(m);
    p->sent = n;
    p->sent_nr = first ? first->nr : 0;
    p->gone_sent = p->gone_n < BATCH_MAX ? p->gone_n : BATCH_MAX;
    p->upto = arrivals && m ? arrivals[n - 1].nr : INT64_MAX;
    struct changes changes = {
        .turn = ++p->turn,
        .known = p->known,
        .arrivals = arrivals,
        .n = n,
        .departures = p->gone,
        .departure_n = p->gone_sent,
        .anew = p->anew,
        .after = p->place,
        .upto = p->upto,
        .topic_max = p->server->conf->joined_per_topic,
    };
    if (arrivals)
        p->call = source_presence(p->server->source, &changes, on_changed, p);
    if (p->call)
        mark_told(p, first, n);
    else
        retry_later(p);
    free(arrivals);
}

static void tell(struct presence *p)
{
    if (p->stopped || p->call || p->retry.link || !p->server->source ||
        p->server->source_state == SOURCE_AWAY || presence_is_told(p))
        return;
    if (p->lost) {
        p->lost = false;
        p->anew = true;
        p->place = 0;
        p->gone_n = 0; /* they are not among those who will be told */
    }
    say(p);
}

static void end(struct presence *p)
{
    void (*done)(void *) = p->done;

    p->done = NULL;
    alarm_cancel(&p->last_words);
    done(p->arg);
}

static void on_turn(struct turn *turn)
{
    struct presence *p = CONTAINER(turn, struct presence, at_end);

    if (p->done && presence_is_told(p))
        end(p);
    else
        tell(p);
}

static void tell_soon(struct presence *p)
{
    if (!p->stopped)
        turn_add(p->server, &p->at_end);
}

static void on_retry(struct alarm *alarm)
{
    tell(CONTAINER(alarm, struct presence, retry));
}

static void retry_later(struct presence *p)
{
    uint64_t ms = (uint64_t)RETRY_MS << (p->failures < 4 ? p->failures : 4);

    p->failures++;
    alarm_set(p->server->wheel, &p->retry, ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS, on_retry);
}

/* ---- its answer ----------------------------------------------------------------------------- */

/* Those who are told may do anything, so nothing is held across a callback but p->telling. */
static void welcome(struct presence *p, const int64_t *full, size_t n)
{
    size_t i = 0;

    for (struct member *m; (m = p->telling);) {
        p->telling = neighbour(m);
        while (i < n && full[i] < m->nr)
            i++;
        if (i < n && full[i] == m->nr) {
            refuse(m, RC_LIMIT, "as many are on this topic as may be");
        } else {
            m->state = MEMBER_IN;
            m->joined(m, RC_OK, "");
        }
    }
}

static void on_done(struct presence *p, const struct changed *c)
{
    p->known = p->turn;
    p->failures = 0;
    p->careful -= p->sent < p->careful ? p->sent : p->careful;
    p->gone_n -= p->gone_sent;
    if (p->gone_n > 0)
        memmove(p->gone, p->gone + p->gone_sent, p->gone_n * sizeof(*p->gone));
    if (p->anew) {
        p->place = p->upto;
        p->anew = p->upto < INT64_MAX;
    }
    welcome(p, c->full, c->n);
}

/* One of them has words that the database does not take: which one shows when each comes alone. */
static void on_refused(struct presence *p, const struct changed *c)
{
    struct member *m = p->first;

    list_back(p);
    if (p->sent > 1) {
        p->careful = p->sent;
        return;
    }
    p->careful = 0;
    while (m && m->nr != p->sent_nr)
        m = m->next;
    if (m)
        refuse(m, c->rc, c->why);
}

static void on_changed(void *arg, const struct changed *c)
{
    struct presence *p = arg;

    p->call = NULL;
    if (c->rc == RC_OK && !c->lost) {
        on_done(p, c);
    } else if ((c->rc == RC_SYNTAX || c->rc == RC_LIMIT) && p->sent > 0) {
        on_refused(p, c);
    } else {
        list_back(p);
        p->lost = true;
        if (c->rc == RC_OK)
            log_info(&p->server->log,
                     "the database has lost who was present here: %zu are told anew", p->count);
        else
            retry_later(p);
    }
    tell_soon(p);
}

/* ---- the door ------------------------------------------------------------------------------- */

static bool has_control(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7F)
            return true;
    return false;
}

static const char *words_error(const struct joining *j)
{
    const char *error = topic_error(j->topic);

    if (error)
        return error;
    if (j->topic.at[0] == '$')
        return "topics that begin with '$' are the system's own: nobody is there";
    if (j->topic.len > TOPIC_MAX - sizeof(TOPIC_PRESENCE) + 1)
        return "a topic that is joined has at most 1014 bytes";
    if (j->name.len == 0 || j->name.len > MEMBER_NAME_MAX)
        return "a member's name has 1 to 255 bytes";
    if (has_control(j->name) || !utf8_valid(j->name))
        return "a member's name must be valid UTF-8 without control characters";
    if (!utf8_valid(j->data))
        return "a member's data must be valid UTF-8";
    return NULL;
}

static enum rc check(const struct presence *p, const struct joiner *joiner, const struct joining *j,
                     const char **why)
{
    const struct conf *conf = p->server->conf;

    if ((*why = words_error(j)))
        return RC_SYNTAX;
    *why = "this topic is closed to you";
    if (gate_may(p->server->gate, j->who, VERB_SUBSCRIBE, j->topic) != RC_OK)
        return RC_DENIED;
    *why = "a member's data is larger than join_bytes";
    if (j->data.len > (size_t)conf->join_bytes)
        return RC_LIMIT;
    *why = "this connection has joined as many topics as it may";
    if (joiner->members >= (size_t)conf->joins_per_connection)
        return RC_LIMIT;
    *why = conf->max_joined ? "as many are present here as may be" : "nobody may join here";
    return p->count < (size_t)conf->max_joined ? RC_OK : RC_LIMIT;
}

enum rc presence_join(struct presence *p, struct joiner *joiner, struct member *m,
                      const struct joining *j, const char **why)
{
    enum rc rc = check(p, joiner, j, why);
    struct buf words = BUF_EMPTY;

    if (rc != RC_OK)
        return rc;
    buf_put(&words, j->topic);
    buf_put(&words, j->name);
    buf_put(&words, j->data);
    if (buf_rc(&words) != RC_OK) {
        buf_fini(&words);
        *why = "out of memory";
        return RC_NOMEM;
    }
    *m = (struct member){ .presence = p,
                          .joiner = joiner,
                          .joined = j->joined,
                          .words = words.at,
                          .nr = ++p->nr,
                          .topic_len = (uint16_t)j->topic.len,
                          .name_len = (uint16_t)j->name.len,
                          .data_len = (uint32_t)j->data.len };
    list_add(p, m);
    tell_soon(p);
    *why = "";
    return RC_OK;
}

void presence_leave(struct member *m)
{
    struct presence *p = m->presence;

    if (m->state == MEMBER_OUT)
        return;
    if (m->state != MEMBER_WAITING)
        note_gone(p, m->nr);
    list_remove(m);
    tell_soon(p);
}

struct slice member_topic(const struct member *m)
{
    return arrival_of(m).topic;
}

struct slice member_name(const struct member *m)
{
    return arrival_of(m).name;
}

size_t presence_count(const struct presence *p)
{
    return p->count;
}

bool presence_is_told(const struct presence *p)
{
    return !p->call && !p->waiting && p->gone_n == 0 && !p->lost && !p->anew;
}

static void on_last_words(struct alarm *alarm)
{
    struct presence *p = CONTAINER(alarm, struct presence, last_words);

    log_info(&p->server->log, "the database does not hear who has left: others will tell it");
    end(p);
}

void presence_end(struct presence *p, void (*done)(void *arg), void *arg)
{
    p->done = done;
    p->arg = arg;
    if (presence_is_told(p) || p->server->source_state == SOURCE_AWAY)
        end(p);
    else
        alarm_set(p->server->wheel, &p->last_words, LAST_WORDS_MS, on_last_words);
}

/* ---- life ----------------------------------------------------------------------------------- */

struct presence *presence_new(struct server *server)
{
    struct presence *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->server = server;
    p->end = &p->first;
    p->at_end.run = on_turn;
    return p;
}

void presence_free(struct presence *p)
{
    if (!p)
        return;
    alarm_cancel(&p->retry);
    alarm_cancel(&p->last_words);
    turn_cancel(p->server, &p->at_end);
    free(p->gone);
    free(p);
}

void presence_wake(struct presence *p)
{
    tell_soon(p);
}

void presence_stop(struct presence *p)
{
    p->stopped = true;
    p->call = NULL;
    alarm_cancel(&p->retry);
    turn_cancel(p->server, &p->at_end);
}

int64_t presence_turn(const struct presence *p)
{
    return p->known;
}

void presence_known(struct presence *p, int64_t asked, int64_t known)
{
    if (known >= asked || p->lost || p->anew)
        return;
    log_info(&p->server->log, "the database has lost who was present here: %zu are told anew",
             p->count);
    p->lost = true;
    tell_soon(p);
}
