/*
 * check.c - the folder of a run, its findings and its figures.
 */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/text.h"
#include "tests/faults/check_priv.h"

enum { TOLD_MAX = 100, FIRST_ROOM = 64 };

/* --- room ---------------------------------------------------------------------------------- */

static void *had(void *memory)
{
    if (!memory) {
        fprintf(stderr, "faults: no memory for the records\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

void *check_alloc(size_t n, size_t size)
{
    return had(calloc(n, size));
}

void *check_room(void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    *cap = *cap ? *cap * 2 : FIRST_ROOM;
    /* indexes are int */
    return had(*cap <= INT32_MAX ? reallocarray(array, *cap, size) : NULL);
}

/* --- findings ------------------------------------------------------------------------------ */

static const char *const finding_names[FINDING__COUNT] = {
    [LOST] = "lost",
    [REORDERED] = "reordered",
    [PHANTOM] = "phantom",
    [DUPLICATED] = "duplicated",
    [UNFINISHED] = "unfinished",
};

static size_t *finding_figure(struct figures *f, enum finding finding)
{
    switch (finding) {
    case LOST:
        return &f->lost;
    case REORDERED:
        return &f->reordered;
    case PHANTOM:
        return &f->phantom;
    case DUPLICATED:
        return &f->duplicated;
    default:
        return &f->unfinished;
    }
}

void check_found(struct check *c, enum finding finding, const char *format, ...)
{
    if (++*finding_figure(c->figures, finding) > TOLD_MAX)
        return;
    char line[4096]; /* two topics fit */
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    buf_printf(c->report, "%s: %s\n", finding_names[finding], line);
}

static void tell_of_the_rest(struct check *c)
{
    for (int i = 0; i < FINDING__COUNT; i++) {
        size_t n = *finding_figure(c->figures, (enum finding)i);
        if (n > TOLD_MAX)
            buf_printf(c->report, "%s: and %zu more\n", finding_names[i], n - TOLD_MAX);
    }
}

/* --- the folder ---------------------------------------------------------------------------- */

struct numbers {
    int *at;
    int n;
    size_t cap;
};

static int compare_numbers(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

/* Every N of which there is a file "NAME.N", ascending. */
static bool numbers_of(struct check *c, const char *name, struct numbers *out)
{
    DIR *dir = opendir(c->folder);
    if (!dir) {
        buf_printf(c->report, "%s: %s\n", c->folder, strerror(errno));
        return false;
    }
    size_t len = strlen(name);
    for (struct dirent *entry; (entry = readdir(dir));) {
        int64_t n;
        if (strncmp(entry->d_name, name, len) != 0 || entry->d_name[len] != '.' ||
            number_parse(slice_of(entry->d_name + len + 1), INT32_MAX, &n) != RC_OK)
            continue;
        out->at = check_room(out->at, (size_t)out->n, &out->cap, sizeof *out->at);
        out->at[out->n++] = (int)n;
    }
    closedir(dir);
    if (out->n)
        qsort(out->at, (size_t)out->n, sizeof *out->at, compare_numbers);
    else
        buf_printf(c->report, "%s: there is no %s.N\n", c->folder, name);
    return out->n > 0;
}

bool check_folder(const char *folder, struct figures *out, struct buf *report)
{
    *out = (struct figures){ .committed = 0 };
    struct check check = { .folder = folder, .report = report, .figures = out };
    struct numbers publishers = { .n = 0 }, subscribers = { .n = 0 };
    struct history history = { .n_rows = 0 };
    bool ok = numbers_of(&check, "acks", &publishers) && numbers_of(&check, "seen", &subscribers) &&
              history_read(&history, &check, publishers.at, publishers.n);
    if (ok) {
        log_judge(&history);
        for (int i = 0; ok && i < subscribers.n; i++)
            ok = seen_judge(&history, subscribers.at[i]);
        tell_of_the_rest(&check);
    }
    history_fini(&history);
    free(publishers.at);
    free(subscribers.at);
    return ok;
}

/* --- figures ------------------------------------------------------------------------------- */

bool figures_are_good(const struct figures *f)
{
    return f->lost == 0 && f->reordered == 0 && f->phantom == 0 && f->duplicated == 0 &&
           f->unfinished == 0;
}

void figures_add(struct figures *sum, const struct figures *f)
{
    sum->committed += f->committed;
    sum->delivered += f->delivered;
    sum->lost += f->lost;
    sum->reordered += f->reordered;
    sum->phantom += f->phantom;
    sum->duplicated += f->duplicated;
    sum->gaps += f->gaps;
    sum->skipped += f->skipped;
    sum->unheard += f->unheard;
    sum->subscribers += f->subscribers;
    sum->unfinished += f->unfinished;
    if (f->worst_delay_us > sum->worst_delay_us)
        sum->worst_delay_us = f->worst_delay_us;
}

void figures_put(struct buf *out, const struct figures *f)
{
    buf_printf(out,
               "committed=%zu delivered=%zu lost=%zu reordered=%zu phantom=%zu duplicated=%zu "
               "gaps=%zu worst_delay_ms=%lld skipped=%zu unheard=%zu unfinished=%zu",
               f->committed, f->delivered, f->lost, f->reordered, f->phantom, f->duplicated,
               f->gaps, (long long)((f->worst_delay_us + 999) / 1000), f->skipped, f->unheard,
               f->unfinished);
}
