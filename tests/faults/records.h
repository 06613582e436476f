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
 * NAME:TOPIC stands in acks only for kinds that the ledger cannot hold (HTTP).
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

int64_t now_us(void);

/* FOLDER/NAME.N, or FOLDER/NAME when n < 0, opened; "w" empties.  Ends the program on failure. */
FILE *record_open(const char *folder, const char *name, int n, const char *mode) MUST_USE;

#endif
