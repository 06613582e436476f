/*
 * site_clock.c - workers and PostgreSQL under libfaketime, which reads the offset of the wall clock
 * from a file each time that somebody asks for the time.
 *
 * site->extra is the path of that file.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/faults/site_clock.h"
#include "tests/faults/site_priv.h"
#include "tests/peers/process.h"

/* It lies in a folder named for the machine. */
#define LIBRARY "/usr/lib/*/faketime/libfaketimeMT.so.1"

/* The path, given; NULL: it is not there. */
static char *library(void)
{
    glob_t found;
    char *path = NULL;

    if (glob(LIBRARY, 0, NULL, &found) == 0)
        path = text_of("%s", found.gl_pathv[0]);
    globfree(&found);
    return path;
}

static const char *lacks(void)
{
    char *path = library();

    free(path);
    return path ? NULL : "libfaketime is not installed";
}

void clock_set(const struct site *s, int64_t offset_s)
{
    const char *file = s->extra;
    char *text = text_of("%+lld\n", (long long)offset_s), *new = text_of("%s.new", file);

    file_write(new, slice_of(text)); /* whoever reads it finds the old one or the new one */
    if (rename(new, file))
        abort();
    free(new);
    free(text);
}

/* NAME=value, for us or for a shell. */
static char *settings[5];

static void start_database(struct site *s)
{
    char *folder = temp_folder("clock"), *path = library();

    s->extra = text_of("%s/offset", folder);
    clock_set(s, 0);
    settings[0] = text_of("LD_PRELOAD=%s", path);
    settings[1] = text_of("FAKETIME_TIMESTAMP_FILE=%s", (char *)s->extra);
    settings[2] = text_of("FAKETIME_DONT_FAKE_MONOTONIC=1");
    settings[3] = text_of("FAKETIME_NO_CACHE=1");
    for (char **one = settings; *one; one++)
        putenv(*one);
    site_plain_database(s, NULL); /* its processes inherit it; ours has its libraries already */
    for (char **one = settings; *one; one++) {
        char *name = slice_dup((struct slice){ *one, strcspn(*one, "=") });
        unsetenv(name);
        free(name);
    }
    free(path);
    free(folder);
}

static void prepare(struct site *s, struct site_workers *workers)
{
    (void)s;
    for (char **one = settings; *one; one++)
        buf_printf(&workers->before, "export '%s'\n", *one);
}

static void release(struct site *s)
{
    for (char **one = settings; *one; one++) {
        free(*one);
        *one = NULL;
    }
    free(s->extra);
}

SITE_KIND(clock, .flavour = SITE_CLOCK, .lacks = lacks, .start_database = start_database,
          .prepare = prepare, .release = release);
