/*
 * listener.pml - the listening connection of one worker: LISTEN, hello(), read(), the bell, and all of
 * it again when the connection breaks (sql/pg_listen.c, server_epoch() and server_events() in
 * core/server.c).
 *
 * `ghost` is the last number that was told or covered by an announced gap.  Numbers are dense here,
 * so what is told must be ghost + 1, neither less nor more:
 *
 *      exact    each event is told once and in order, or a gap that covers it was announced
 *      needless a gap is announced only for something that happened
 *      lost     when nothing moves any more, everything that was committed has been told
 *      live     the same where something always moves (the tick): it comes about, and stays
 *
 * A statement is sent, looks at the log some time later, and is answered later still; a commit is
 * visible first and rings later; equal bells fold; retention may pass between any two of these.
 * read() looks at the rows first and at retention's mark then (bellpush_few at both at once, which is
 * one of the ways that takes).  NEW_EPOCHS: bellpush.new_epoch().
 * FAIL_OVERS: the newest event is lost, numbers are used again, the epoch is another.
 * TICK: the log is looked at once in a while without a bell; SILENT: no bell is heard (PgBouncer).
 *
 * holds EVENTS=4 BREAKS=2 PRUNES=2
 * holds EVENTS=4 BREAKS=1 PRUNES=1 FAIL_OVERS=1
 * holds EVENTS=4 BREAKS=1 NEW_EPOCHS=1 TICK=1
 * holds live EVENTS=3 BREAKS=1 NEW_EPOCHS=1 TICK=1
 * holds live EVENTS=3 BREAKS=1 PRUNES=1 SILENT=1 TICK=1
 * fails lost  READ_BEFORE_LISTEN          the log is read, then LISTEN
 * fails lost  CLEARED_BY_ANSWER           a bell that rings while a read is under way is forgotten
 * fails lost  ONE_PAGE                    a full page is not followed by another read
 * fails lost  LIVE_AT_ONCE BREAKS=1       a new connection waits for the bell before it reads
 * fails lost  SILENT=1                    nothing is heard, and nobody polls
 * fails live  SILENT=1 NO_POLL TICK=1     the tick neither reads nor says hello()
 * fails exact AFTER_HELLO BREAKS=1        a new connection goes on after the head that hello() says
 * fails exact MARK_BEFORE_ROWS PRUNES=1   retention's mark is of the same snapshot as the rows
 * fails exact ROWS_BEFORE_GAP PRUNES=1    a page's rows are told before its gap
 * fails lost  EPOCH_IGNORED FAIL_OVERS=1  only numbers are compared after a reconnect
 */
#ifndef EVENTS
#define EVENTS 3
#endif
#ifndef BREAKS
#define BREAKS 0
#endif
#ifndef PRUNES
#define PRUNES 0
#endif
#ifndef FAIL_OVERS
#define FAIL_OVERS 0
#endif
#ifndef NEW_EPOCHS
#define NEW_EPOCHS 0
#endif
#ifndef TICK
#define TICK 0
#endif
#ifndef SILENT
#define SILENT 0
#endif
#define PAGE 2

hidden byte exact, needless, lost; /* never set: see numbering.pml */

/* the database */
byte head, pruned, epoch = 1, commits;
bool listening, bell; /* the session's; equal bells are one */
byte cuts;            /* how often the connection has been cut */

/* the worker */
mtype = { subscribe, greet, catch_up, live_state };
mtype state = subscribe;
byte known_epoch, known_head; /* server->epoch, server->head; 0: none yet */
byte ghost;

inline ring()
{
    d_step { bell = bell || (listening && !SILENT) }
}

inline cut()
{
    listening = false;
    bell = false;
    cuts++
}

active proctype publishers()
{
    do
    :: commits < EVENTS ->
        d_step {
            commits++;
            head++
        }
        ring()
    :: else -> break
    od
}

active proctype faults()
{
    byte breaks = BREAKS, prunes = PRUNES, fail_overs = FAIL_OVERS, new_epochs = NEW_EPOCHS;

    do
    :: d_step { breaks > 0 -> breaks--; cut() }
    :: d_step { prunes > 0 && pruned < head -> prunes--; pruned++ }
    :: d_step { prunes > 0 && pruned < head -> prunes = 0; pruned = head }
    :: d_step {
            fail_overs > 0 && head > pruned ->
            fail_overs--;
            head--;
            epoch++;
            cut()
        }
    :: d_step { new_epochs > 0 -> new_epochs--; epoch++ }
        ring()
    :: breaks == 0 && prunes == 0 && fail_overs == 0 && new_epochs == 0 -> break
#if !TICK
    :: timeout -> break
#endif
    od
}

/* server_epoch() */
inline meet_epoch(its_epoch, its_pruned, its_head)
{
    if
    :: known_epoch == 0 ->
        known_epoch = its_epoch;
        known_head = its_head;
        ghost = its_head
#ifndef EPOCH_IGNORED
    :: known_epoch != 0 && (its_epoch != known_epoch || its_head < known_head) ->
        assert(needless || its_epoch != known_epoch);
        known_epoch = its_epoch;
        known_head = its_head;
        ghost = its_head /* gap: another history */
#endif
    :: else ->
        if
        :: its_pruned > known_head ->
            assert(needless || pruned > ghost);
            known_head = its_pruned;
            ghost = its_pruned /* gap: expired */
        :: else
        fi
    fi;
    after = known_head
}

/* server_events(): the rows (from, upto]. */
inline tell(from, upto)
{
    n = from;
    do
    :: n < upto ->
        n++;
        if
        :: n > known_head ->
            assert(exact || n == ghost + 1);
            ghost = n;
            known_head = n
        :: else
        fi
    :: else -> break
    od;
    n = 0
}

inline hear()
{
    d_step {
        bell ->
        bell = false;
        want_read = true;
        rung = true
    }
}

inline look_at_rows()
{
    d_step {
        from = (after > pruned -> after : pruned);
        upto = (head > from -> head : from);
        upto = (upto > from + PAGE -> from + PAGE : upto)
    }
}

inline read_on()
{
    d_step {
        want_read = false;
        answering = rung;
        rung = false
    }
#ifdef MARK_BEFORE_ROWS
    mark = pruned;
    look_at_rows();
#else
    look_at_rows();
    mark = pruned;
#endif
    if /* what is heard while a statement is under way is told before its answer */
    :: hear()
    :: true
    fi;
    d_step {
#ifdef CLEARED_BY_ANSWER
        want_read = false;
        rung = false;
#endif
#ifndef ONE_PAGE
        want_read = want_read || (upto - from == PAGE);
#endif
        curious = curious || (answering && upto == from);
        want_hello = want_hello || curious;
        if
        :: upto - from < PAGE && state == catch_up -> state = live_state
        :: else
        fi;
#ifdef ROWS_BEFORE_GAP
        tell(from, upto);
#endif
        if
        :: mark > after ->
            n = (upto > mark -> upto : mark);
            meet_epoch(known_epoch, mark, n)
        :: else
        fi;
        tell(from, upto);
        after = (upto > after -> upto : after);
        from = 0;
        upto = 0;
        mark = 0;
        answering = false
    }
}

inline say_hello()
{
    d_step {
        want_hello = false;
        from = epoch; /* bellpush.state first, */
        mark = pruned
    }
    upto = (head > pruned -> head : pruned); /* the head later */
    d_step {
        curious = false;
        meet_epoch(from, mark, upto);
        want_read = want_read || upto > after;
        if
        :: state == greet ->
            state = catch_up;
#ifdef LIVE_AT_ONCE
            want_read = false;
#else
            want_read = true;
#endif
#ifdef AFTER_HELLO
            after = upto;
#endif
        :: else
        fi;
        from = 0;
        upto = 0;
        mark = 0
    }
}

inline subscribe_now()
{
    d_step {
        listening = true;
        state = greet
    }
}

active proctype worker()
{
    byte n, after, from, upto, mark, had_cuts;
    bool want_read, want_hello, rung, curious, answering;

begin:
    {
        skip;
#ifdef READ_BEFORE_LISTEN
        state = greet;
        say_hello();
        read_on();
        listening = true;
        state = live_state;
#else
        subscribe_now();
        say_hello();
#endif
end:
        do
        :: want_hello -> say_hello()
        :: !want_hello && want_read -> read_on()
        :: hear()
#if TICK
        :: d_step { /* a second is longer than a statement */
                state == live_state && !want_hello && !want_read ->
#ifndef NO_POLL
                want_read = true;
                want_hello = true;
#endif
                skip
            }
#endif
        od
    } unless {
        d_step {
            had_cuts != cuts ->
            had_cuts = cuts;
            state = subscribe;
            want_read = false;
            want_hello = false;
            rung = false;
            curious = false;
            answering = false;
            from = 0;
            upto = 0;
            mark = 0;
            n = 0
        }
        goto begin
    }
}

/* When nothing moves any more. */
#if !TICK
active proctype end_of_time()
{
    timeout;
    assert(lost || (known_head == head && known_epoch == epoch && ghost == head));
}
#endif

#ifdef LIVE
ltl { <> [] (known_head == head && known_epoch == epoch) }
#endif
