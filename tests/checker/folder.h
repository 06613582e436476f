/*
 * folder.h - the records of a run (tests/faults/records.h) as lines in memory, to be made, spoilt
 * and given to the checker.
 */
#ifndef TESTS_CHECKER_FOLDER_H
#define TESTS_CHECKER_FOLDER_H

#include "tests/faults/check.h"

struct file {
    char *name;   /* "acks.3" */
    char **lines; /* without their ends */
    int n;
    bool cut; /* the last line has no end */
};

struct folder {
    struct file *files;
    int n;
};

void folder_fini(struct folder *);

/* Of this name; made when it is not there. */
struct file *folder_file(struct folder *, const char *name);

/* Append a line; each blank in it becomes a tab. */
void folder_add(struct folder *, const char *file, const char *format, ...) PRINTF(3, 4);

/* Put a line (blanks become tabs) before line i, or drop line i. */
void file_insert(struct file *, int i, const char *format, ...) PRINTF(3, 4);
void file_drop(struct file *, int i);

/* Field f of line i, counted from 0, given (caller frees), or replaced; "" when there is none. */
char *file_field(const struct file *, int i, int f);
void file_set(struct file *, int i, int f, const char *value);
bool file_says(const struct file *, int i, int f, const char *value);
/* The first line at or after i whose field f has this value; -1: none. */
int file_find(const struct file *, int i, int f, const char *value);

/* Write all of it to a place of its own and let the checker judge it.  *report is emptied first and
   ends with a NUL that is not counted. */
bool folder_check(const struct folder *, struct figures *, struct buf *report);

#endif
