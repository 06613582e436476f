/*
 * records.h - what a run leaves behind in its folder, for the checker and for people.
 *
 * Plain text, one fact a line, fields separated by tabs.  All times are microseconds of
 * CLOCK_MONOTONIC, which all processes of a machine share.
 *
 *      ledger       what transactions committed, by an ordinary table that they wrote besides
 *      truth        what the log gave numbers to, in its order, by a trigger on the log's table
 *      acks.P       what publisher P was told of each of its transactions
 *      seen.S       what subscriber S saw
 *      unheard      when no process was listening: what is only notified then is heard by nobody
 *
 * An event is known by its name, "@P.T.E@": publisher, transaction, number within the transaction.
 * The name stands somewhere in its data, in whatever format that is, and is found by its signs.
 *
 *      ledger       NAME  TOPIC  KIND
 *      truth        EPOCH  SEQ  NAME  TOPIC
 *      acks.P       P.T  BEFORE  AFTER  committed|rolledback|unknown  KIND  NAME:TOPIC …
 *      seen.S       subscriber  S  TRANSPORT  FRONT  FILTER …         the first line
 *                   start  AT  CURSOR                                 owed from here on
 *                   event  AT  CURSOR  NAME  TOPIC
 *                   gap    AT  FROM|-  NEXT  REASON
 *                   note   AT  TEXT                                   for people
 *                   done   AT                                         saw the last event of all
 *      unheard      FROM  TO  WHY
 *
 * NAME:TOPIC stands in acks only for kinds that the ledger cannot hold (HTTP); of a transaction
 * that the ledger can hold, KIND is that of any of its events, and it commits at least one.
 *
 *      P.T     ascends within a file: a publisher does one thing after another.  A transaction
 *              without a line (its publisher died) is taken for unknown.
 *      BEFORE  is taken before the COMMIT (or the first try of the POST) is sent, AFTER when
 *              its outcome was learnt, or that it never will be.
 *      CURSOR  is "EPOCH-SEQ" as clients get it.  That of start was the first to be given: what
 *              comes after it is owed.  There is one start; whoever returns has its cursor.
 *      FROM    is the cursor at which the gap begins, by what the subscriber was told; "-": it
 *              was not told, so the gap begins after its last sighting (or start).
 *      NEXT    is the cursor after which the stream goes on: the gap covers what is up to it.
 *
 * A process that is killed may leave the last line of acks.P cut, and only that.
 */
#ifndef TESTS_FAULTS_RECORDS_H
#define TESTS_FAULTS_RECORDS_H

#include <stdint.h>
#include <stdio.h>

#include "core/buf.h"

/* How an event is published: each has its own promise (check.h). */
enum kind { KIND_PUBLISH, KIND_NOTIFY, KIND_WATCH, KIND_HTTP, KIND__COUNT };
extern const char *const kind_names[KIND__COUNT]; /* "publish", "notify", "watch", "http" */

struct name {
    int publisher, transaction, event;
};

enum { NAME_TEXT_MAX = 40 };
void name_text(struct name, char out[NAME_TEXT_MAX]); /* "@3.17.2@" */
/* The first name in data; false: none there. */
bool name_find(struct slice data, struct name *out);
/* The name that s begins with: gives its length; 0: it begins with none. */
size_t name_parse(struct slice, struct name *out);
/* "P.T", the whole slice. */
bool transaction_parse(struct slice, int *publisher, int *transaction);

int64_t now_us(void);

/* FOLDER/NAME.N, or FOLDER/NAME when n < 0, opened; "w" empties.  Each line is written when it is
   whole, so that a killed process loses none.  Ends the program on failure. */
FILE *record_open(const char *folder, const char *name, int n, const char *mode) MUST_USE;

#endif
