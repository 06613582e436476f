/*
 * check_lines.c - files as lines, lines as fields between tabs; none of them is ever empty.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/text.h"
#include "tests/faults/check_priv.h"

static bool read_all(FILE *f, struct buf *text)
{
    struct stat st;
    size_t size = fstat(fileno(f), &st) == 0 && st.st_size > 0 ? (size_t)st.st_size : 0;
    do {
        /* one byte more than there is, so that the first read meets the end */
        if (!buf_reserve(text, size + 1))
            return false;
        text->len += fread(text->at + text->len, 1, text->cap - text->len, f);
        size = text->cap;
    } while (!feof(f) && !ferror(f));
    return !ferror(f);
}

bool lines_open(struct lines *l, struct check *check, const char *name, int n, bool optional)
{
    *l = (struct lines){ .check = check };
    struct buf path = BUF_EMPTY;
    buf_printf(&path, "%s/", check->folder);
    size_t folder = path.len;
    buf_puts(&path, name);
    if (n >= 0)
        buf_printf(&path, ".%d", n);
    buf_putc(&path, '\0');
    if (buf_rc(&path) != RC_OK)
        abort();

    FILE *f = fopen(path.at, "re");
    bool ok = f ? read_all(f, &l->text) : optional && errno == ENOENT;
    if (!ok)
        buf_printf(check->report, "%s: %s\n", path.at + folder, strerror(errno));
    if (f)
        fclose(f);
    l->file = slice_dup(slice_of(path.at + folder));
    if (!l->file)
        abort();
    buf_fini(&path);
    l->rest = buf_slice(&l->text);
    if (!ok)
        lines_close(l);
    return ok;
}

void lines_close(struct lines *l)
{
    free(l->file);
    l->file = NULL;
    buf_fini(&l->text);
}

bool lines_next(struct lines *l)
{
    if (l->rest.len == 0)
        return false;
    const char *end = memchr(l->rest.at, '\n', l->rest.len);
    l->number++;
    if (!end) {
        l->cut = true;
        l->rest = SLICE_NONE;
        return false;
    }
    l->line = (struct slice){ l->rest.at, (size_t)(end - l->rest.at) };
    l->rest.at = end + 1;
    l->rest.len -= l->line.len + 1;
    return true;
}

bool lines_whole(struct lines *l)
{
    return !l->cut || lines_malformed(l, "the last line is cut");
}

bool lines_malformed(struct lines *l, const char *what)
{
    int number = l->number > 0 ? l->number : 1; /* of an empty file */
    buf_printf(l->check->report, "%s:%d: %s\n", l->file, number, what);
    return false;
}

/* --- fields -------------------------------------------------------------------------------- */

bool field_text(struct lines *l, struct slice *out)
{
    if (!l->line.at)
        return false;
    const char *tab = memchr(l->line.at, '\t', l->line.len);
    *out = (struct slice){ l->line.at, tab ? (size_t)(tab - l->line.at) : l->line.len };
    l->line = tab ? (struct slice){ tab + 1, l->line.len - out->len - 1 } : SLICE_NONE;
    return out->len > 0;
}

bool field_word(struct lines *l, const char *const *words, int n, int *which)
{
    struct slice s;
    if (!field_text(l, &s))
        return false;
    for (*which = 0; *which < n; (*which)++)
        if (slice_is(s, slice_of(words[*which])))
            return true;
    return false;
}

bool field_time(struct lines *l, int64_t *us)
{
    struct slice s;
    return field_text(l, &s) && number_parse(s, INT64_MAX, us) == RC_OK;
}

bool field_name(struct lines *l, struct name *out)
{
    struct slice s;
    return field_text(l, &s) && name_parse(s, out) == s.len;
}

bool field_cursor(struct lines *l, struct cursor *out)
{
    struct slice s;
    return field_text(l, &s) && cursor_parse(s, out) == RC_OK;
}

bool field_none(struct lines *l)
{
    return !l->line.at;
}
