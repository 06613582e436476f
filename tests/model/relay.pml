/*
 * relay.pml - relay mode: publishers only insert, a keeper numbers what is committed, sleeps when
 * nothing is left and is woken; set_mode() while all this runs (sql/bellpush.sql, sql/pg_keeper.c).
 *
 *      ordered   what becomes visible in the log is numbered above all that is visible already
 *      caused    an event is numbered after those that were committed when it was published
 *      lost      when nothing moves any more, nothing that was committed waits in the inbox
 *      stuck     and every publisher has come to its end
 *
 * There is no alarm clock here (the real keeper looks once a second anyway): the bell alone must
 * do.  Two keepers work at once, which is more than an election allows: the old one may live on for a while.
 * Either may lose its connection at any step; while it comes back, its locks are free.
 *
 * Not promised, and refuted here so that nobody builds on it: relay mode does not keep the order of
 * the commits of transactions that overlap, only that of cause and effect.
 *
 * holds PUBLISHERS=3
 * holds KEEPERS=2 BREAKS=1
 * holds SWITCHES=1 BREAKS=1
 * fails caused    RELAY_WITHOUT_LOCK KEEPERS=2      two relays number at once
 * fails lost      RELAY_IN_INSERTION_ORDER          the relay goes on after the last nr it has seen
 * fails lost      RING_WITHOUT_KEEPING              a publisher only looks whether the relay sleeps
 * fails lost      SLEEP_WITHOUT_LOOKING             a relay falls asleep without a last look
 * fails lost      LISTEN_AFTER_SLEEP                the keeper falls asleep, then listens
 * fails lost      STILL_ASLEEP BREAKS=1             a keeper that comes back takes itself for asleep
 * fails caused    SWITCH_WITHOUT_WAITING SWITCHES=1 set_mode() does not wait for open publishers
 * fails caused    SWITCH_WITHOUT_DRAINING SWITCHES=1 nor number what is left
 * fails stuck     LOCKS_CROSSED SWITCHES=1          relay() takes its locks in the other order
 * fails by_commit COMMIT_ORDER                      the promise that is not given
 */
#ifndef PUBLISHERS
#define PUBLISHERS 2
#endif
#ifndef BREAKS
#define BREAKS 0
#endif
#ifndef SWITCHES
#define SWITCHES 0
#endif
#define EVENTS 3 /* with two publishers, the first has two: one in a savepoint */
#define SECOND (PUBLISHERS == 2)
#ifndef KEEPERS
#define KEEPERS 1
#endif
#define SWITCHER KEEPERS
#define BATCH 2
#define NOBODY 255

hidden byte ordered, caused, lost, stuck, by_commit; /* never set: see numbering.pml */

mtype = { out, open, waiting, taken, logged };

mtype state[EVENTS] = out;
byte nr[EVENTS], seq[EVENTS], taken_by[EVENTS];
byte next_nr = 1, next_seq = 1, top;
byte numbering = NOBODY; /* who holds the numbering lock */
byte users;              /* open transactions with a lock on the inbox */
bool locked;             /* set_mode() has it alone */
byte asleep = NOBODY;    /* the sleeper's lock: held alone by a keeper */
byte sharing;            /* or shared by so many publishes */
bool relaying;           /* the mode */
bool listening[KEEPERS], rung[KEEPERS];
byte running = PUBLISHERS, breaks = BREAKS;

byte done;             /* the set of events that are committed */
byte in_log;           /* and of those that are numbered */
byte before[EVENTS];   /* what was committed when this was published */
#ifdef COMMIT_ORDER
byte after_commit[EVENTS]; /* what was committed when this was */
#endif

#define BIT(e) (1 << (e))

/* ---- publishers ---- */

inline commit(e)
{
#ifdef COMMIT_ORDER
    after_commit[e] = done;
#endif
    done = done | BIT(e)
}

inline publish(e, holds, rang)
{
    d_step {
        by_relay = relaying;
        state[e] = open;
        nr[e] = next_nr;
        next_nr++;
        before[e] = done
    }
    d_step { /* trigger `ring`; in commit mode there is none */
        if
        :: by_relay && asleep != NOBODY -> rang = true
        :: by_relay && asleep == NOBODY ->
#ifndef RING_WITHOUT_KEEPING
            holds++;
            sharing++
#else
            skip
#endif
        :: else
        fi
    }
}

inline log_one(e)
{
    assert(ordered || seq[e] > top);
    assert(caused || (before[e] & ~in_log) == 0);
#ifdef COMMIT_ORDER
    assert(by_commit || (after_commit[e] & ~in_log) == 0);
#endif
    state[e] = logged;
    top = seq[e];
    in_log = in_log | BIT(e)
}

inline ring_keepers()
{
    d_step {
        rung[0] = rung[0] || listening[0];
        rung[KEEPERS - 1] = rung[KEEPERS - 1] || listening[KEEPERS - 1]
    }
}

proctype publisher(byte me)
{
    byte holds, kept, e;
    bool rang, rang_too, by_relay;

    atomic { !locked -> users++ } /* a table lock, to the end of the transaction */
    publish(me, holds, rang);
    if
    :: me == 0 && SECOND -> /* SAVEPOINT */
        publish(2, kept, rang_too);
        if
        :: d_step { /* ROLLBACK TO; locks and NOTIFYs since the savepoint are gone, too */
                state[2] = out;
                sharing = sharing - kept;
                kept = 0;
                rang_too = false
            }
        :: true
        fi
    :: else
    fi;
    if
    :: by_relay -> /* COMMIT */
        d_step {
            commit(me);
            state[me] = waiting;
            if
            :: me == 0 && SECOND && state[2] == open ->
                commit(2);
                state[2] = waiting
            :: else
            fi
        }
    :: !by_relay ->
        atomic { numbering == NOBODY -> numbering = SWITCHER + 1 + me }
        d_step {
            seq[me] = next_seq;
            next_seq++;
            if
            :: me == 0 && SECOND && state[2] == open ->
                seq[2] = next_seq;
                next_seq++
            :: else
            fi
        }
        d_step {
            commit(me);
            log_one(me);
            if
            :: me == 0 && SECOND && state[2] == open ->
                commit(2);
                log_one(2)
            :: else
            fi
        }
        numbering = NOBODY
    :: d_step { /* ROLLBACK */
            rang = false;
            rang_too = false;
            state[me] = out;
            if
            :: me == 0 && SECOND -> state[2] = out
            :: else
            fi
        }
    fi;
    d_step {
        sharing = sharing - holds - kept;
        holds = 0;
        kept = 0;
        users--
    }
    if
    :: rang || rang_too -> ring_keepers()
    :: else
    fi;
    running--
}

/* ---- relay(): one transaction ---- */

#ifdef RELAY_IN_INSERTION_ORDER
#define WAITS(e) (state[e] == waiting && nr[e] > mark)
#else
#define WAITS(e) (state[e] == waiting)
#endif
#define ANY_WAITS (WAITS(0) || WAITS(1) || WAITS(2))

/* The waiting event with the least nr; EVENTS: none. */
inline find_first(found, i)
{
    found = EVENTS;
    i = 0;
    do
    :: i < EVENTS ->
        if
        :: WAITS(i) && (found == EVENTS || nr[i] < nr[found]) -> found = i
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

inline take_batch(me, most)
{
    n = 0;
    do
    :: n < most ->
        find_first(e, i);
        if
        :: e < EVENTS ->
            state[e] = taken;
            taken_by[e] = me;
            seq[e] = next_seq;
            next_seq++;
#ifdef RELAY_IN_INSERTION_ORDER
            mark = nr[e];
#endif
            n++
        :: else -> break
        fi
    :: else -> break
    od;
    n = 0;
    e = 0
}

/* The rows of a relay's transaction become visible, in the order of their numbers; or wait again. */
inline end_batch(me, commits)
{
    n = 0;
    do
    :: n < EVENTS ->
        e = EVENTS;
        i = 0;
        do
        :: i < EVENTS ->
            if
            :: state[i] == taken && taken_by[i] == me && (e == EVENTS || seq[i] < seq[e]) -> e = i
            :: else
            fi;
            i++
        :: else -> break
        od;
        if
        :: e < EVENTS && commits -> log_one(e)
        :: e < EVENTS && !commits -> state[e] = waiting; seq[e] = 0
        :: else -> break
        fi;
        n++
    :: else -> break
    od;
    n = 0;
    e = 0;
    i = 0
}

inline relay()
{
#ifdef LOCKS_CROSSED
    atomic { numbering == NOBODY -> numbering = me }
    atomic { !locked -> users++; using = true }
#else
    atomic { !locked -> users++; using = true }
#ifndef RELAY_WITHOUT_LOCK
    atomic { numbering == NOBODY -> numbering = me }
#endif
#endif
    d_step {
        if
        :: relaying -> take_batch(me, BATCH)
        :: else
        fi
    }
    d_step { end_batch(me, true) }
    d_step {
        numbering = (numbering == me -> NOBODY : numbering);
        users--;
        using = false
    }
}

/* What the server does when the connection is gone. */
inline lose_connection()
{
    end_batch(me, false);
    numbering = (numbering == me -> NOBODY : numbering);
    asleep = (asleep == me -> NOBODY : asleep);
    users = (using -> users - 1 : users);
    using = false;
    listening[me] = false;
    rung[me] = false
}

proctype keeper(byte me)
{
    byte n, e, i, mark;
    bool using, was_up;

begin:
    {
        skip;
#ifndef LISTEN_AFTER_SLEEP
        listening[me] = true;
#endif
#ifdef STILL_ASLEEP
        if
        :: was_up -> goto end_sleep
        :: else
        fi;
#endif
        was_up = true;
end_awake:
        do
        :: relaying && ANY_WAITS -> relay()
        :: relaying && !ANY_WAITS && sharing == 0 && asleep == NOBODY -> break
        od;
        atomic { /* relay_sleep() */
            if
            :: sharing == 0 && asleep == NOBODY -> asleep = me
            :: else -> goto end_awake
            fi
        }
#ifndef SLEEP_WITHOUT_LOOKING
        if
        :: relaying && ANY_WAITS -> goto wake
        :: else
        fi;
#endif
#ifdef LISTEN_AFTER_SLEEP
        listening[me] = true;
#endif
end_sleep:
        rung[me];
wake:
        skip;
        d_step {
            rung[me] = false;
            asleep = (asleep == me -> NOBODY : asleep)
        }
        goto end_awake
    } unless {
        d_step {
            was_up && breaks > 0 ->
            breaks--;
            lose_connection()
        }
        goto begin
    }
}

/* ---- set_mode() ---- */

proctype switcher()
{
    byte n, e, i, mark, me = SWITCHER;

#ifdef SWITCH_WITHOUT_WAITING
    locked = true;
#else
    atomic { !locked && users == 0 -> locked = true }
#endif
    if
    :: relaying ->
#ifndef SWITCH_WITHOUT_DRAINING
        if
        :: ANY_WAITS ->
            atomic { numbering == NOBODY -> numbering = me }
            d_step { take_batch(me, EVENTS) }
        :: else
        fi;
#endif
        skip
    :: else
    fi;
    d_step {
        end_batch(me, true);
        relaying = !relaying
    }
    d_step {
        numbering = (numbering == me -> NOBODY : numbering);
        locked = false
    }
    ring_keepers()
}

/* ---- and when nothing moves any more ---- */

proctype end_of_time()
{
    byte e;

    timeout;
    assert(stuck || running == 0);
    do
    :: e < EVENTS -> assert(lost || state[e] != waiting); e++
    :: else -> break
    od
}

init
{
    byte p;

    atomic {
        if
        :: relaying = true
        :: SWITCHES > 0 -> relaying = false
        fi;
        do
        :: p < PUBLISHERS -> run publisher(p); p++
        :: else -> break
        od;
        p = 0;
        do
        :: p < KEEPERS -> run keeper(p); p++
        :: else -> break
        od;
#if SWITCHES
        run switcher();
#endif
        run end_of_time()
    }
}
