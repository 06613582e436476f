/*
 * follower.pml - one reader's way from its cursor through the database and the journal into the
 * present, on either of two workers, again and again (core/follow.c, core/journal.c, core/hub.c,
 * core/server.c; bellpush.replay() and locate() in sql/bellpush.sql).
 *
 * `ghost` is the last number that the client has been given, or was told of in a gap, or that the
 * cursor it came back with had covered.  Any of the events may match its filter, or none:
 *
 *      exact     an event that is handed out is above the ghost, and no matching one lies between;
 *                and no cursor covers a matching event that was not handed out; and once the
 *                worker has begun a new epoch, nothing of an older one is handed out
 *      needless  "expired" is told only if retention took something, "unknown" only of a cursor
 *                that is above the whole log
 *      lost      when nothing moves any more, the reader is live and has everything
 *
 * One process does every step, for a worker has one thread: what it does between two looks at its
 * sockets is one d_step.  Questions to the database (locate, replay) are asked, looked up and
 * answered in steps of their own.  The workers learn of events, of epochs and of retention when they
 * please, so one may be far behind the other.  Worker 1 begins at some later time.  The client
 * leaves when it likes, with the number of its last event or with follow_cursor(), and comes back
 * to either worker; sometimes it takes no more for a while.
 *
 * After a gap "epoch" a reader starts anew; it may be given again what it had in the old epoch.
 *
 * holds EVENTS=3 RECONNECTS=2 PRUNES=1
 * holds EVENTS=3 RECONNECTS=1 PRUNES=2 PAUSES=1
 * holds EVENTS=3 RECONNECTS=1 PRUNES=1 NEW_EPOCHS=1
 * holds EVENTS=3 RECONNECTS=1 FAIL_OVERS=1
 * fails exact    FLOOR_LATE                     the journal's floor is one less than it should be
 * fails exact    LIVE_AFTER_PAGES               live after the last page, without the journal
 * fails exact    TOLD_TOO_EARLY                 the hub is listened to while pages are on their way
 * fails exact    TOLD_AGAIN                     the hub is believed about numbers already passed
 * fails exact    FULL_PAGE_IS_ALL               a page that is full covers the log to its head
 * fails exact    MARK_BEFORE_ROWS PRUNES=1      retention's mark is of the same snapshot as the rows
 * fails exact    NOT_INTERRUPTED PRUNES=1       the worker steps over a hole, the live reader with it
 * fails exact    BACK_TO_THE_GAP PRUNES=1       a reader ahead of its worker is sent back to a gap
 * fails exact    JOURNAL_KEPT PRUNES=1          the journal is not emptied when there is a hole
 * fails exact    HEAD_BEFORE_TELLING            server->head moves before the reader is told
 * fails needless AHEAD_IS_UNKNOWN               a cursor above the worker's head is called unknown
 * fails exact    LATE_PAGE FAIL_OVERS=1         a page that was asked for in the old epoch is used
 * fails lost     NOBODY_SAYS_WHERE              who came before the epoch was known is forgotten
 */
#ifndef EVENTS
#define EVENTS 3
#endif
#ifndef RECONNECTS
#define RECONNECTS 1
#endif
#ifndef PRUNES
#define PRUNES 0
#endif
#ifndef PAUSES
#define PAUSES 0
#endif
#ifndef NEW_EPOCHS
#define NEW_EPOCHS 0
#endif
#ifndef FAIL_OVERS
#define FAIL_OVERS 0
#endif
#define JOURNAL 2 /* events */
#define WORKERS 2

hidden byte exact, needless, lost; /* never set: see numbering.pml */

#define BIT(n) (1 << (n))

byte matching; /* the set of numbers that the reader's filter matches */
#define MATCHES(n) (matching & BIT(n))

/* the database */
byte head, pruned, epoch = 1, commits;

/* the workers */
byte w_epoch[WORKERS], w_head[WORKERS], w_floor[WORKERS];
byte journal[WORKERS]; /* the set of numbers in it */
bool telling[WORKERS];
bool cut_off[WORKERS]; /* by a fail-over: hello() comes before all else */

/* the reader, as its worker knows it */
mtype = { none, waiting, locating, replaying, live_state, paused };
mtype state = none;
byte at; /* which worker */
byte f_seq, f_head, f_asked; /* f_head, f_asked: when a page was asked for */
bool has_since; /* a cursor, else: from now on */

/* a question on its way: asked, looked up in two steps, answered */
mtype = { nothing, asked, rows_seen, answer };
mtype call = nothing;
byte p_row, p_upto, p_mark, p_epoch;

/* the client */
byte c_epoch, c_seq; /* the cursor that it comes with; epoch 0: none */
byte l_epoch, l_seq; /* that of the last event or gap */
bool busy;           /* it takes no more */
byte ghost, reconnects = RECONNECTS, pauses = PAUSES;

byte n; /* of d_steps */

/* ---- what the client gets ---- */

inline nothing_between(upto)
{
    n = ghost + 1;
    do
    :: n < upto -> assert(exact || !MATCHES(n)); n++
    :: else -> break
    od
}

inline hand_out(e)
{
    assert(exact || e > ghost);
    nothing_between(e);
    ghost = e;
    f_seq = e;
    l_seq = e;
    l_epoch = w_epoch[at]
}

inline tell_gap(after)
{
    f_seq = after;
    ghost = after;
    l_seq = after;
    l_epoch = w_epoch[at]
}

/* ---- the reader's states ---- */

inline walk_journal()
{
    state = live_state;
#ifndef LIVE_AFTER_PAGES
    w = f_seq + 1;
    do
    :: w <= w_head[at] && !(journal[at] & BIT(w)) -> w++
    :: w <= w_head[at] && (journal[at] & BIT(w)) ->
        if
        :: MATCHES(w) ->
            hand_out(w);
            if
            :: busy -> state = paused; break
            :: else
            fi
        :: else -> f_seq = w
        fi;
        w++
    :: else -> break
    od;
    w = 0;
#endif
    if
    :: state == live_state ->
        f_seq = (f_seq < w_head[at] -> w_head[at] : f_seq);
        state = (busy -> paused : live_state)
    :: else
    fi
}

inline go_on()
{
    if
    :: f_seq >= w_floor[at] -> walk_journal()
    :: else ->
        state = replaying;
        f_head = w_head[at];
        f_asked = f_seq;
        call = asked
    fi
}

inline forget_call()
{
    call = nothing;
    p_row = 0;
    p_upto = 0;
    p_mark = 0;
    p_epoch = 0
}

inline misplaced(after)
{
    state = paused;
    tell_gap(after);
    if
    :: !busy -> go_on()
    :: else
    fi
}

inline find_place()
{
    if
    :: !has_since ->
        f_seq = w_head[at];
        ghost = f_seq;
        l_seq = f_seq;
        l_epoch = w_epoch[at];
        go_on()
    :: has_since && c_epoch != w_epoch[at] -> misplaced(w_head[at])
    :: has_since && c_epoch == w_epoch[at] && c_seq <= w_head[at] ->
        f_seq = c_seq;
        go_on()
    :: else ->
#ifdef AHEAD_IS_UNKNOWN
        assert(needless || c_seq > head);
        misplaced(w_head[at])
#else
        state = locating;
        call = asked
#endif
    fi
}

/* ---- answers ---- */

inline on_located()
{
    if
    :: p_epoch != w_epoch[at] -> misplaced(w_head[at])
    :: p_epoch == w_epoch[at] && c_seq <= p_upto -> f_seq = c_seq; go_on()
    :: else ->
        assert(needless || FAIL_OVERS > 0); /* nobody gives out numbers that are not in the log */
        misplaced(w_head[at])
    fi
}

inline on_page()
{
    if
    :: p_row == 0 && p_upto <= f_seq -> p_upto = f_head
    :: else
    fi;
    if
    :: p_mark > f_seq ->
        assert(needless || pruned > f_seq);
        assert(exact || p_mark >= ghost);
        tell_gap(p_mark);
        state = (busy -> paused : state)
    :: else
    fi;
    if
    :: state == replaying && p_row > f_seq ->
        assert(exact || p_epoch >= w_epoch[at]);
        hand_out(p_row);
        state = (busy -> paused : state)
    :: else
    fi;
    if
    :: state == replaying ->
        f_seq = (f_seq < p_upto -> p_upto : f_seq);
        go_on()
    :: else
    fi
}

/* ---- the worker ---- */

/* follow_interrupt() */
inline interrupt(w_of, expired, after)
{
    if
    :: at != w_of || state == none || state == waiting
    :: at == w_of && state == locating ->
        forget_call();
        find_place()
    :: at == w_of && state != none && state != waiting && state != locating ->
        if
#ifdef BACK_TO_THE_GAP
        :: expired && state != live_state
#else
        :: expired && (state != live_state || f_seq >= after)
#endif
        :: else ->
            was_paused = (state == paused);
#ifdef LATE_PAGE
            if
            :: call == nothing -> state = paused
            :: else
            fi;
#else
            forget_call();
            state = paused;
#endif
            assert(exact || !expired || after >= ghost);
            tell_gap(after);
            if
            :: !busy && !was_paused && call == nothing -> go_on()
            :: else
            fi;
            was_paused = false
        fi
    fi
}

inline reset_journal(x, to)
{
    w_head[x] = to;
#ifndef JOURNAL_KEPT
    w_floor[x] = to;
    journal[x] = 0
#endif
}

/* The journal takes one more, and lets the oldest go. */
inline append(x, e)
{
    journal[x] = journal[x] | BIT(e);
    w = w_floor[x] + 1;
    n = 0;
    do /* count */
    :: w <= e -> n = n + ((journal[x] >> w) & 1); w++
    :: else -> break
    od;
    if
    :: n > JOURNAL ->
        w = w_floor[x] + 1;
        do
        :: !(journal[x] & BIT(w)) -> w++
        :: else -> break
        od;
        journal[x] = journal[x] & ~BIT(w);
#ifdef FLOOR_LATE
        w_floor[x] = w - 1
#else
        w_floor[x] = w
#endif
    :: else
    fi;
    w = 0;
    n = 0
}

#ifdef TOLD_TOO_EARLY
#define HEARS (state == live_state || state == replaying)
#else
#define HEARS (state == live_state)
#endif
#ifdef TOLD_AGAIN
#define NEW(e) true
#else
#define NEW(e) (e > f_seq)
#endif

/* hub_publish(), on_told() */
inline tell(x, e)
{
    if
    :: at == x && HEARS && NEW(e) && MATCHES(e) ->
        hand_out(e);
        state = (busy -> paused : state)
    :: else
    fi
}

proctype worker(byte x)
{
    byte e, w;
    bool was_paused;

end:
    do
    :: d_step { /* the next event, or the hole where it was */
            w_epoch[x] != 0 && !cut_off[x] && w_head[x] < head && !telling[x] ->
            if
            :: pruned > w_head[x] ->
                e = pruned;
                reset_journal(x, e);
#ifndef NOT_INTERRUPTED
                interrupt(x, true, e)
#endif
            :: else ->
                e = w_head[x] + 1;
                append(x, e);
#ifdef HEAD_BEFORE_TELLING
                w_head[x] = e;
                telling[x] = true
#else
                tell(x, e);
                w_head[x] = e
#endif
            fi;
            e = 0
        }
#ifdef HEAD_BEFORE_TELLING
    :: d_step { telling[x] -> e = w_head[x]; tell(x, e); telling[x] = false; e = 0 }
#endif
    :: d_step { /* hello(): the first, or another epoch */
            w_epoch[x] != epoch || cut_off[x] ->
            cut_off[x] = false;
            e = head;
            if
            :: w_epoch[x] == 0 ->
                w_epoch[x] = epoch;
                reset_journal(x, e);
                w_floor[x] = e;
#ifndef NOBODY_SAYS_WHERE
                if
                :: at == x && state == waiting -> find_place()
                :: else
                fi
#endif
            :: else ->
                w_epoch[x] = epoch;
                reset_journal(x, e);
                interrupt(x, false, e)
            fi;
            e = 0
        }
    :: d_step {
            call == answer && at == x ->
            call = nothing;
            if
            :: state == locating -> on_located()
            :: else -> on_page()
            fi;
            p_row = 0;
            p_upto = 0;
            p_mark = 0;
            p_epoch = 0
        }
    od
}

/* A page holds one event; it ends there, or at the head of the log. */
inline look_at_rows()
{
    p_epoch = epoch;
    p_upto = (head > f_asked -> head : f_asked);
    n = (f_asked > pruned -> f_asked : pruned) + 1;
    do
    :: n <= head && !MATCHES(n) -> n++
    :: n <= head && MATCHES(n) ->
        p_row = n;
#ifndef FULL_PAGE_IS_ALL
        p_upto = n;
#endif
        break
    :: else -> break
    od;
    n = 0
}

active proctype database()
{
    byte prunes = PRUNES, new_epochs = NEW_EPOCHS, fail_overs = FAIL_OVERS;

end:
    do
    :: d_step { commits < EVENTS -> commits++; head++ }
    :: d_step { prunes > 0 && pruned < head -> prunes--; pruned = head }
    :: d_step { prunes > 0 && pruned + 1 < head -> prunes--; pruned++ }
    :: d_step { new_epochs > 0 -> new_epochs--; epoch++ }
    :: d_step {
            fail_overs > 0 && head > pruned ->
            fail_overs--;
            head--;
            epoch++;
            cut_off[0] = true;
            cut_off[1] = true
        }
    :: d_step {
            call == asked && state == locating ->
            p_epoch = epoch;
            p_upto = head;
            call = answer
        }
    :: d_step {
            call == asked && state != locating ->
#ifdef MARK_BEFORE_ROWS
            p_mark = pruned;
#else
            look_at_rows();
#endif
            call = rows_seen
        }
    :: d_step {
            call == rows_seen ->
#ifdef MARK_BEFORE_ROWS
            look_at_rows();
#else
            p_mark = pruned;
#endif
            call = answer
        }
    od
}

/* follow_stop() */
inline leave()
{
    reconnects--;
    state = none;
    forget_call()
}

inline come(x)
{
    at = x;
    has_since = (c_epoch != 0);
    ghost = c_seq;
    l_epoch = c_epoch;
    l_seq = c_seq;
    if
    :: w_epoch[x] == 0 -> state = waiting
    :: else -> find_place()
    fi
}

proctype client()
{
    byte w;
    bool was_paused;

end:
    do
    :: d_step { state == none -> come(0) }
    :: d_step { state == none -> come(1) }
    :: d_step { /* with the number of the last event, or gap */
            state != none && reconnects > 0 ->
            c_epoch = l_epoch;
            c_seq = l_seq;
            leave()
        }
    :: d_step { /* with follow_cursor() */
            state != none && state != waiting && state != locating && reconnects > 0 ->
            c_epoch = w_epoch[at];
            c_seq = (state == live_state && w_head[at] > f_seq -> w_head[at] : f_seq);
            w = c_seq + 1;
            nothing_between(w);
            leave();
            w = 0
        }
    :: d_step { !busy && pauses > 0 -> busy = true; pauses-- }
    :: d_step {
            busy ->
            busy = false;
            if
            :: state == paused -> go_on()
            :: else
            fi
        }
    od
}

active proctype end_of_time()
{
    timeout;
    d_step {
        assert(lost || (state == live_state && w_head[at] == head && w_epoch[at] == epoch));
        nothing_between(head + 1)
    }
}

init
{
    atomic {
        w_epoch[0] = epoch;
        select(matching : 0 .. (1 << (EVENTS + 1)) - 1);
        matching = matching & ~1;
        run worker(0);
        run worker(1);
        run client()
    }
}
