/*
 * fake_source.h - everything that core/source.h declares, from memory and by script.
 *
 * It is a source as strict as the real one: answers come from the loop and never from within the
 * asking call, replays come in small pages, replays and locates wait while it is away, publishes do
 * not.  The linker chooses it instead of sql/.
 */
#ifndef TESTS_FAKE_FAKE_SOURCE_H
#define TESTS_FAKE_FAKE_SOURCE_H

#include "core/server.h"

enum { FAKE_PAGE = 8 }; /* events of one replay page; it looks at four times as many */

/* Commit one transaction, as if in SQL; told on the loop.  Returns the number of its last event. */
int64_t fake_commit(struct source *, const struct draft *, size_t n);

/* The connection goes; comes back (server_epoch, then what was committed meanwhile). */
void fake_away(struct source *);
void fake_back(struct source *);

/* Committed, but this process does not hear of it until fake_bell(). */
void fake_mute(struct source *);
void fake_bell(struct source *);

void fake_prune(struct source *, int64_t upto);        /* retention */
void fake_restore(struct source *, const char *epoch); /* another history, empty, while away */
void fake_relay(struct source *, bool on);             /* publishes are numbered later */
void fake_refuse(struct source *, bool on);            /* too many questions wait */
void fake_stall(struct source *, bool on);             /* publishes are not answered for now */
void fake_clock(struct source *, int64_t ms);          /* commits are dated so much from now */

/* --- the gate ------------------------------------------------------------------------------ */

/* What bellpush.gate() says from now on (copied but for the slices); told at once if connected. */
void fake_gate(struct source *, const struct gate_entry *, size_t n);
/* Sources made from now on are told nothing before fake_gate(): as in a process's first moment. */
void fake_gate_late(bool);

/* bellpush.may() for one name; NULL: no to all. */
typedef bool fake_may_fn(const char *who, enum verb, const char *name);
void fake_may(struct source *, fake_may_fn *);
size_t fake_asked(const struct source *); /* questions that may() was asked */

/* The one webhook there is; lent.  NULL: none. */
void fake_hook(struct source *, const char *name, const struct hook *);

/* --- presence ------------------------------------------------------------------------------ */

/* Somebody joins or leaves through another process; data: JSON, or NULL. */
void fake_join(struct source *, const char *topic, const char *name, const char *data);
void fake_leave(struct source *, const char *topic, const char *name);

/* Names that begin with '!' are refused by the database: RC_SYNTAX. */

/* The lease of this process has ended: its members have left.  It learns so from the next
   statement, or from fake_report(), which the real one does every ten seconds. */
void fake_lapse(struct source *);
void fake_report(struct source *);

/* The next statement's answer is lost with its connection; did it take place? */
void fake_uncertain(struct source *, int takes_place);

size_t fake_statements(const struct source *); /* of presence, answered */

size_t fake_calls(const struct source *); /* questions under way */

#endif
