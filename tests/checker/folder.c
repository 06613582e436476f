/*
 * folder.c - see folder.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/checker/folder.h"
#include "tests/peers/process.h"

static void *had(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

void folder_fini(struct folder *f)
{
    for (int i = 0; i < f->n; i++) {
        for (int j = 0; j < f->files[i].n; j++)
            free(f->files[i].lines[j]);
        free(f->files[i].lines);
        free(f->files[i].name);
    }
    free(f->files);
    *f = (struct folder){ .n = 0 };
}

struct file *folder_file(struct folder *f, const char *name)
{
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->files[i].name, name) == 0)
            return &f->files[i];
    f->files = had(reallocarray(f->files, (size_t)f->n + 1, sizeof *f->files));
    f->files[f->n] = (struct file){ .name = had(strdup(name)) };
    return &f->files[f->n++];
}

/* --- lines --------------------------------------------------------------------------------- */

/* Takes the line. */
static void insert(struct file *f, int at, char *line)
{
    for (char *c = line; *c; c++)
        if (*c == ' ')
            *c = '\t';
    if ((f->n & (f->n - 1)) == 0) /* full: room doubles */
        f->lines = had(reallocarray(f->lines, f->n ? 2 * (size_t)f->n : 1, sizeof *f->lines));
    memmove(&f->lines[at + 1], &f->lines[at], (size_t)(f->n - at) * sizeof *f->lines);
    f->lines[at] = line;
    f->n++;
}

PRINTF(1, 0) static char *formatted(const char *format, va_list args)
{
    char *line;
    if (vasprintf(&line, format, args) < 0)
        abort();
    return line;
}

void folder_add(struct folder *f, const char *file, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct file *to = folder_file(f, file);
    insert(to, to->n, formatted(format, args));
    va_end(args);
}

void file_insert(struct file *f, int i, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    insert(f, i, formatted(format, args));
    va_end(args);
}

void file_drop(struct file *f, int i)
{
    free(f->lines[i]);
    int left = --f->n;
    memmove(&f->lines[i], &f->lines[i + 1], (size_t)(left - i) * sizeof *f->lines);
    if (left && (left & (left - 1)) == 0) /* insert() takes such a number for full */
        f->lines = had(reallocarray(f->lines, (size_t)left, sizeof *f->lines));
}

/* --- fields -------------------------------------------------------------------------------- */

static struct slice field(const struct file *f, int i, int n)
{
    const char *at = f->lines[i];
    while (at && n-- > 0) {
        at = strchr(at, '\t');
        at = at ? at + 1 : NULL;
    }
    return at ? (struct slice){ at, strcspn(at, "\t") } : SLICE("");
}

char *file_field(const struct file *f, int i, int n)
{
    return had(slice_dup(field(f, i, n)));
}

bool file_says(const struct file *f, int i, int n, const char *value)
{
    return slice_is(field(f, i, n), slice_of(value));
}

int file_find(const struct file *f, int i, int n, const char *value)
{
    for (; i < f->n; i++)
        if (file_says(f, i, n, value))
            return i;
    return -1;
}

void file_set(struct file *f, int i, int n, const char *value)
{
    struct slice old = field(f, i, n);
    char *line;
    if (asprintf(&line, "%.*s%s%s", (int)(old.at - f->lines[i]), f->lines[i], value,
                 old.at + old.len) < 0)
        abort();
    free(f->lines[i]);
    f->lines[i] = line;
}

/* --- the checker --------------------------------------------------------------------------- */

bool folder_check(const struct folder *f, struct figures *figures, struct buf *report)
{
    static char *place; /* of this process, which a janitor removes */
    if (!place)
        place = temp_folder("checker");
    for (int i = 0; i < f->n; i++) {
        const struct file *file = &f->files[i];
        struct buf text = BUF_EMPTY;
        for (int j = 0; j < file->n; j++) {
            buf_puts(&text, file->lines[j]);
            if (!file->cut || j + 1 < file->n)
                buf_putc(&text, '\n');
        }
        char *path = text_of("%s/%s", place, file->name);
        file_write(path, text.len ? buf_slice(&text) : SLICE(""));
        free(path);
        buf_fini(&text);
    }
    buf_fini(report);
    bool read = check_folder(place, figures, report);
    buf_putc(report, '\0');
    report->len--;
    for (int i = 0; i < f->n; i++) {
        char *path = text_of("%s/%s", place, f->files[i].name);
        unlink(path);
        free(path);
    }
    return read;
}
