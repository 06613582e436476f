/*
 * schema_steps.c - see schema_steps.h.
 *
 * The search keeps no states: it plays a schedule to its end, goes back to the last choice that had
 * another way, and plays from the start with that.  So the same turns must lead to the same
 * choices; that is why a step is over only when every session is idle, or waits where it can be
 * seen in pg_locks.
 */
#include <check.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/peers/process.h"
#include "tests/sql/schema_db.h"
#include "tests/sql/schema_steps.h"

enum {
    GATES = 77,
    CHOICES_MAX = STEPS_SESSIONS * STEPS_MOST * 3,
    EVENTS_MAX = 32,
    STUCK_MS = 20000
};

enum place { IDLE, RUNNING, AT_GATE, WAITING };

struct session {
    PGconn *conn;
    const char *const *steps;
    int next;
    enum place place;
    unsigned gate;
    int point, finished; /* when: see enum steps_order; its last step was answered.  -1: not yet */
    bool ending;         /* its last step was sent */
    char answer[64];     /* of the last statement that gave one */
};

struct play {
    const struct steps_plan *plan;
    PGconn *control, *reader;
    struct session sessions[STEPS_SESSIONS];
    int n, now;
    int taken[CHOICES_MAX], of[CHOICES_MAX];
    int64_t last, begin;
    struct {
        char name[8];
        int64_t seq;
    } seen[EVENTS_MAX];
    int seen_n;
    char wrong[256]; /* about this schedule; "": nothing */
    char turns[CHOICES_MAX + 1];
};

void steps_prepare(const char *dsn)
{
    PGconn *conn = db_open(dsn);

    db_do(conn,
          "CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE"
          " key int := hashtext(convert_from(NEW.data, 'UTF8') || ' ' || TG_ARGV[0]) & 2147483647;"
          " BEGIN PERFORM pg_advisory_lock_shared(%d, key);"
          " PERFORM pg_advisory_unlock_shared(%d, key); RETURN NULL; END $$",
          GATES, GATES);
    /* Triggers of one row fire in the order of their names, and ours is called "number". */
    db_do(conn, "CREATE CONSTRAINT TRIGGER a_gate AFTER INSERT ON bellpush.inbox"
                " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION gate('before');"
                " CREATE CONSTRAINT TRIGGER z_gate AFTER INSERT ON bellpush.inbox"
                " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION gate('after')");
    PQfinish(conn);
}

/* ---- what is wrong ---- */

PRINTF(2, 3)
static void complain(struct play *p, const char *format, ...)
{
    va_list ap;

    if (p->wrong[0])
        return;
    va_start(ap, format);
    vsnprintf(p->wrong, sizeof p->wrong, format, ap);
    va_end(ap);
}

static bool is_expected(const struct play *p, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = p->plan->expected; (at = strstr(at, name)); at++)
        if ((at == p->plan->expected || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' '))
            return true;
    return false;
}

static struct session *session_of(struct play *p, const char *name)
{
    int i = name[0] - 'a';

    ck_assert_msg(i >= 0 && i < p->n, "event %s of nobody", name);
    return &p->sessions[i];
}

/* ---- the reader ---- */

static PGresult *rows_after(struct play *p, int64_t after)
{
    char sql[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(sql, sizeof sql,
             p->plan->read ? p->plan->read
                           : "SELECT seq, convert_from(data, 'UTF8')"
                             " FROM bellpush.read(%lld, 1000, 1000000)"
                             " WHERE seq IS NOT NULL",
             (long long)after);
#pragma GCC diagnostic pop
    PGresult *rows = PQexec(p->reader, sql);
    ck_assert_msg(PQresultStatus(rows) == PGRES_TUPLES_OK, "%s", PQerrorMessage(p->reader));
    return rows;
}

static void see(struct play *p, int64_t seq, const char *name)
{
    if (seq <= p->last)
        complain(p, "%s has the number %lld, after %lld", name, (long long)seq, (long long)p->last);
    if (!is_expected(p, name))
        complain(p, "%s was rolled back, and is seen", name);
    else if (!session_of(p, name)->ending)
        complain(p, "%s is seen before its COMMIT", name);
    for (int i = 0; i < p->seen_n; i++)
        if (strcmp(p->seen[i].name, name) == 0)
            complain(p, "%s is seen twice", name);
    ck_assert_int_lt(p->seen_n, EVENTS_MAX);
    snprintf(p->seen[p->seen_n].name, sizeof p->seen[0].name, "%s", name);
    p->seen[p->seen_n++].seq = seq;
    p->last = seq;
}

static void read_on(struct play *p)
{
    PGresult *rows = rows_after(p, p->last);

    for (int i = 0; i < PQntuples(rows); i++)
        see(p, strtoll(PQgetvalue(rows, i, 0), NULL, 10), PQgetvalue(rows, i, 1));
    PQclear(rows);
}

static const int64_t *number_of(const struct play *p, const char *name)
{
    for (int i = 0; i < p->seen_n; i++)
        if (strcmp(p->seen[i].name, name) == 0)
            return &p->seen[i].seq;
    return NULL;
}

/* A session's events in the order of the plan; and those of a session that was done before. */
static void check_order(struct play *p, const char *one, const char *two)
{
    struct session *a = session_of(p, one), *b = session_of(p, two);
    const int64_t *first = number_of(p, one), *second = number_of(p, two);

    if (!first || !second || *first < *second)
        return;
    if (a == b)
        complain(p, "%s comes before %s of the same transaction", two, one);
    else if (a->finished >= 0 && a->finished < b->point)
        complain(p, "%s comes before %s, which was committed earlier", two, one);
}

/* What the log holds in the end, against what the reader had along the way. */
static void check_all(struct play *p)
{
    char *expected = text_of("%s", p->plan->expected), *rest = NULL;
    const char *names[EVENTS_MAX];
    int n = 0;

    PGresult *rows = rows_after(p, p->begin);
    for (int i = 0; i < PQntuples(rows); i++)
        if (!number_of(p, PQgetvalue(rows, i, 1)))
            complain(p, "%s has the number %s and was never seen: the reader was at %lld already",
                     PQgetvalue(rows, i, 1), PQgetvalue(rows, i, 0), (long long)p->last);
    PQclear(rows);
    for (char *name = strtok_r(expected, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
        if (!number_of(p, name))
            complain(p, "%s was committed and is lost", name);
        names[n++] = name;
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            if (i < j || names[i][0] != names[j][0])
                check_order(p, names[i], names[j]);
    free(expected);
}

/* ---- steps ---- */

/* Take the answer, if it is there. */
static void listen_to(struct play *p, struct session *s)
{
    PQconsumeInput(s->conn);
    if (PQisBusy(s->conn))
        return;
    const char *sql = s->steps[s->next - 1];
    bool failed = false;
    for (PGresult *r; (r = PQgetResult(s->conn)); PQclear(r)) {
        ExecStatusType status = PQresultStatus(r);
        failed |= status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK;
        ck_assert_msg(!failed || *sql == '!', "%s: %s: %s", p->turns, sql, PQresultErrorMessage(r));
        if (PQntuples(r) > 0)
            snprintf(s->answer, sizeof s->answer, "%s", PQgetvalue(r, 0, 0));
    }
    ck_assert_msg(failed == (*sql == '!'), "%s: %s does not fail", p->turns, sql);
    s->place = IDLE;
    if (s->ending)
        s->finished = p->now;
}

/* set_mode() tries again and again: it will not come to an end as long as others have published. */
static bool is_held_up(const struct play *p, const struct session *s)
{
    if (!strstr(s->steps[s->next - 1], "set_mode"))
        return false;
    for (int i = 0; i < p->n; i++) {
        const struct session *other = &p->sessions[i];
        if (other != s && other->next > 0 && PQtransactionStatus(other->conn) != PQTRANS_IDLE &&
            other->place != WAITING)
            return true;
    }
    return false;
}

/* Where does it stand?  RUNNING, if nothing is to be seen.  A table is waited for
   where somebody has it; who only stands in the queue before, as set_mode() does, gives up soon. */
static void look_for(struct play *p, struct session *s)
{
    const char *lock =
        db_ask(p->control,
               "SELECT l.locktype || ' ' || coalesce(l.classid, 0) || ' ' || coalesce(l.objid, 0)"
               " FROM pg_locks l WHERE l.pid = %d AND NOT l.granted AND (l.locktype <> 'relation'"
               " OR EXISTS (SELECT FROM pg_locks h WHERE h.relation = l.relation AND h.granted"
               " AND h.pid <> l.pid AND h.mode = 'AccessExclusiveLock'))",
               PQbackendPID(s->conn));
    unsigned class, object;

    s->place = RUNNING;
    if (sscanf(lock, "advisory %u %u", &class, &object) == 2) {
        s->place = class == GATES ? AT_GATE : WAITING;
        s->gate = object;
    } else if (strncmp(lock, "transactionid ", 14) == 0 || strncmp(lock, "relation ", 9) == 0 ||
               is_held_up(p, s)) {
        s->place = WAITING;
    }
}

/* Until everybody is idle, or waits. */
static void settle(struct play *p)
{
    int64_t deadline = now_ms() + STUCK_MS;

    for (bool moving = true; moving;) {
        struct pollfd fds[STEPS_SESSIONS];
        nfds_t running = 0;
        moving = false;
        for (int i = 0; i < p->n; i++)
            if (p->sessions[i].place == RUNNING)
                fds[running++] = (struct pollfd){ PQsocket(p->sessions[i].conn), POLLIN, 0 };
        poll(fds, running, running > 0);
        for (int i = 0; i < p->n; i++) {
            struct session *s = &p->sessions[i];
            enum place before = s->place;
            if (s->place != IDLE)
                listen_to(p, s);
            if (s->place == RUNNING || s->place == WAITING)
                look_for(p, s);
            /* who has moved may have let somebody go on that we have already looked at */
            moving |= s->place == RUNNING || s->place != before;
        }
        ck_assert_msg(now_ms() < deadline, "schedule %s: no session moves, none is seen waiting",
                      p->turns);
    }
}

static void step(struct play *p, struct session *s)
{
    if (s->place == AT_GATE) {
        db_do(p->control, "SELECT pg_advisory_unlock(%d, %u)", GATES, s->gate);
    } else {
        const char *sql = s->steps[s->next++];
        s->ending = !s->steps[s->next];
        if (p->plan->order == STEPS_BY_PUBLISH ? s->next == 1 : s->ending)
            s->point = p->now;
        ck_assert_msg(PQsendQuery(s->conn, sql + (*sql == '!')), "%s", PQerrorMessage(s->conn));
    }
    s->place = RUNNING;
    settle(p);
}

static bool may_go(const struct session *s)
{
    return s->place == AT_GATE || (s->place == IDLE && s->steps[s->next]);
}

/* ---- schedules ---- */

static void close_gates(struct play *p)
{
    if (p->plan->gates)
        db_do(p->control,
              "SELECT pg_advisory_lock(%d, hashtext(gate) & 2147483647)"
              " FROM string_to_table('%s', ',') gate",
              GATES, p->plan->gates);
}

static void play_one(struct play *p)
{
    const char *answers[STEPS_SESSIONS];
    PGconn *conns[STEPS_SESSIONS];

    if (p->plan->before)
        db_do(p->control, "%s", p->plan->before);
    close_gates(p);
    p->begin = p->last;
    p->seen_n = 0;
    p->wrong[0] = '\0';
    for (int i = 0; i < p->n; i++) {
        struct session *s = &p->sessions[i];
        *s = (struct session){ s->conn, p->plan->sessions[i], .point = -1, .finished = -1 };
        conns[i] = s->conn;
        answers[i] = s->answer;
    }
    for (p->now = 0;; p->now++) {
        int able[STEPS_SESSIONS], n = 0;
        for (int i = 0; i < p->n; i++)
            if (may_go(&p->sessions[i]))
                able[n++] = i;
        if (n == 0)
            break;
        ck_assert_int_lt(p->now, CHOICES_MAX);
        if (p->of[p->now] == 0)
            p->of[p->now] = n;
        ck_assert_msg(p->of[p->now] == n, "schedule %s: another choice than the last time",
                      p->turns);
        int chosen = able[p->taken[p->now]];
        p->turns[p->now] = (char)('a' + chosen);
        p->turns[p->now + 1] = '\0';
        step(p, &p->sessions[chosen]);
        read_on(p);
    }
    for (int i = 0; i < p->n; i++)
        if (p->sessions[i].place != IDLE)
            complain(p, "session %c never comes to its end", 'a' + i);
    const char *wrong = p->plan->verify ? p->plan->verify(conns, answers, p->control) : NULL;
    if (wrong)
        complain(p, "%s", wrong);
    if (p->plan->after)
        db_do(p->control, "%s", p->plan->after);
    read_on(p);
    check_all(p);
}

/* The last choice that had another way takes it; what came after it is open again. */
static bool another(struct play *p)
{
    for (int i = p->now - 1; i >= 0; i--) {
        if (++p->taken[i] < p->of[i])
            return true;
        p->taken[i] = p->of[i] = 0;
    }
    return false;
}

struct steps_result steps_play(const char *dsn, const struct steps_plan *plan, bool to_the_end)
{
    struct steps_result result = { 0 };
    struct play *p = calloc(1, sizeof *p);

    ck_assert_ptr_nonnull(p);
    p->plan = plan;
    p->control = db_open(dsn);
    p->reader = db_open(dsn);
    while (p->n < STEPS_SESSIONS && plan->sessions[p->n])
        p->sessions[p->n++].conn = db_open(dsn);
    do {
        play_one(p);
        result.schedules++;
        if (p->wrong[0] && result.broken++ == 0)
            snprintf(result.first, sizeof result.first, "schedule %s: %s", p->turns, p->wrong);
    } while (another(p) && (to_the_end || result.broken == 0));
    for (int i = 0; i < p->n; i++)
        PQfinish(p->sessions[i].conn);
    PQfinish(p->reader);
    PQfinish(p->control);
    free(p);
    return result;
}
