/*
 * numbering.pml - commit mode: publish() fills the inbox, COMMIT numbers it (sql/bellpush.sql).
 *
 * A reader remembers one number and asks for what is above it.  That is complete only if nothing
 * below a number that was ever seen becomes visible later:
 *
 *      ordered   what becomes visible is numbered above all that is visible already
 *      phantom   nobody reads what was rolled back, whole or to a savepoint, or lost in a crash
 *      lost      in the end the reader has had each committed event once
 *
 * What PostgreSQL does between COMMIT and its answer is one step each here: the deferred triggers
 * (lock, nextval and insert, row by row), flush, visible, unlock.  It may fail before the flush, which
 * leaves a hole, and the server may crash at any step: what was flushed is visible afterwards, all
 * else is gone, and the sequence may have fallen back to where the last flush left it.  A
 * transaction may also number at once (publish_batch(), SET CONSTRAINTS), within a savepoint, too.
 *
 * holds PUBLISHERS=3
 * holds PUBLISHERS=2 CRASHES=1
 * fails ordered NUMBER_AT_INSERT        publish() gives the number, as a bigserial does
 * fails ordered NO_LOCK                 the trigger takes no lock
 * fails ordered UNLOCK_EARLY            the lock is given back before the commit is visible
 * fails ordered SEQUENCE_CACHE          each session draws two numbers at a time
 * fails ordered HEAD_FROM_SEQUENCE      a cursor is made of the sequence's last_value
 * fails phantom READ_UNCOMMITTED        the reader sees rows that are not committed
 * fails ordered VISIBLE_FIRST CRASHES=1 synchronous_commit = off: seen, then undone by a crash
 * fails lost    WAIT_FOR_HOLES          the reader wants every number to be there
 */
#ifndef PUBLISHERS
#define PUBLISHERS 2
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#define EACH 2 /* events of a transaction; the second stands in a savepoint */
#define EVENTS (EACH * PUBLISHERS)
#define NUMBERS (2 * EVENTS + 2)

hidden byte ordered, phantom, lost; /* never set: they name the promise that an assertion is about */

byte owner;     /* of the numbering lock: publisher + 1; 0: nobody */
byte next = 1;  /* the sequence: forgets nothing but in a crash */
byte safe = 1;  /* what a crash would leave of it */
byte row[NUMBERS]; /* the log: number -> event + 1; 0: no row */
bool visible[NUMBERS];
byte top; /* the greatest visible number */
bool inbox[EVENTS];
byte number[EVENTS];
bool flushed[PUBLISHERS];
byte server; /* how often it has been started again */
byte running = PUBLISHERS;

bool committed[EVENTS], undone[EVENTS], seen[EVENTS]; /* what has really happened */
byte last;                                            /* the reader's cursor */

inline take_lock()
{
#ifdef NO_LOCK
    skip
#else
    atomic { owner == 0 || owner == me + 1 -> owner = me + 1 }
#endif
}

inline give_lock()
{
    if
    :: owner == me + 1 -> owner = 0
    :: else
    fi
}

inline draw()
{
#ifdef SEQUENCE_CACHE
    if
    :: cached -> number[e] = cached; cached = 0
    :: else -> number[e] = next; cached = next + 1; next = next + 2
    fi
#else
    number[e] = next; next++
#endif
}

inline publish(k)
{
    d_step {
        e = EACH * me + k;
        inbox[e] = true;
#ifdef NUMBER_AT_INSERT
        draw();
        row[number[e]] = e + 1;
#endif
        e = 0
    }
}

/* The trigger, for each row that has no number yet. */
inline number_all()
{
    e = EACH * me;
    do
    :: e < EACH * (me + 1) ->
        if
        :: inbox[e] && number[e] == 0 ->
            take_lock();
            d_step {
                draw();
                row[number[e]] = e + 1
            }
        :: else
        fi;
        e++
    :: else -> break
    od;
    e = 0
}

inline undo(from, to, i)
{
    i = from;
    do
    :: i < to ->
        if
        :: inbox[i] || number[i] ->
            assert(phantom || !seen[i]);
            undone[i] = true;
            inbox[i] = false;
            row[number[i]] = 0;
            visible[number[i]] = false;
            number[i] = 0
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

/* All rows of a transaction at once: who sees them now must not have seen a greater number. */
inline become_visible(who, i)
{
    i = EACH * who;
    do
    :: i < EACH * (who + 1) ->
        if
        :: inbox[i] ->
            assert(ordered || (number[i] > top && number[i] > last));
            visible[number[i]] = true;
            top = (number[i] > top -> number[i] : top);
            committed[i] = true;
            inbox[i] = false
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

inline flush()
{
    d_step {
        safe = next;
        flushed[me] = true
    }
}

proctype publisher(byte me)
{
    byte e, cached, mine;
    bool begun, had_lock;

    {
        d_step {
            mine = server;
            begun = true
        }
        publish(0);
        if
        :: number_all()
        :: true
        fi;
        if
        :: me < 2 -> /* two with savepoints are enough */
            had_lock = (owner == me + 1);
            if
            :: publish(1)
            :: true
            fi;
            if
            :: number_all()
            :: true
            fi;
            if
            :: d_step { /* ROLLBACK TO: what was numbered since waits again, locks go, too */
                undo(EACH * me + 1, EACH * (me + 1), e);
                if
                :: !had_lock ->
                    row[number[EACH * me]] = 0;
                    number[EACH * me] = 0;
                    give_lock()
                :: else
                fi
            }
            :: true
            fi
        :: true
        fi;
        if
        :: number_all();
#ifdef UNLOCK_EARLY
            give_lock();
#endif
#ifndef VISIBLE_FIRST
            flush();
#endif
            d_step { become_visible(me, e) }
            give_lock();
#ifdef VISIBLE_FIRST
            flush();
#endif
        :: d_step { /* ROLLBACK, or COMMIT has failed */
                undo(EACH * me, EACH * (me + 1), e);
                give_lock()
            }
        fi
    } unless {
        begun && server != mine
    }
    running--
}

proctype crash()
{
    byte p, e;

    d_step {
        server++;
        owner = 0;
        next = safe;
        do
        :: p < PUBLISHERS ->
            if
            :: flushed[p] -> become_visible(p, e)
            :: else -> undo(EACH * p, EACH * (p + 1), e)
            fi;
            p++
        :: else -> break
        od
    }
}

#ifdef READ_UNCOMMITTED
#define READABLE(n) (row[n])
#else
#define READABLE(n) (visible[n])
#endif

/* bellpush.read(last, 1), again and again; a page of many is many of these. */
proctype reader()
{
    byte n;
    bool all, done;

    do
    :: !done -> d_step {
            all = (running == 0);
            n = last + 1;
#ifndef WAIT_FOR_HOLES
            do
            :: n < next && !READABLE(n) -> n++
            :: else -> break
            od;
#endif
            if
            :: n < next && READABLE(n) ->
                assert(phantom || !undone[row[n] - 1]);
                assert(lost || !seen[row[n] - 1]);
                seen[row[n] - 1] = true;
                last = n
            :: else -> done = all
            fi;
            n = 0;
            all = false
        }
#ifdef HEAD_FROM_SEQUENCE
    :: last < next - 1 -> last = next - 1
#endif
    :: done -> break
    od;
    done = false;
    d_step {
        do
        :: n < EVENTS -> assert(lost || !committed[n] || seen[n]); n++
        :: else -> break
        od
    }
}

init
{
    byte p;

    atomic {
        do
        :: p < PUBLISHERS -> run publisher(p); p++
        :: else -> break
        od;
        run reader();
#if CRASHES
        run crash();
#endif
    }
}
