/*
 * conf_read.c - where settings are said: a file, the environment, the command line.
 *
 * One bad line does not hide the next: all are told at once.
 */
#include "core/conf_priv.h"
#include "core/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

enum { CONF_FILE_MAX = 1 << 20 };

/* The worse of two outcomes. */
static enum rc both(enum rc a, enum rc b)
{
    return a == RC_OK || b == RC_NOMEM ? b : a;
}

static enum rc read_line(struct conf *c, struct slice line, const char *origin, int number,
                         int *first_line, struct buf *errors)
{
    line = slice_trim(line);
    if (line.len == 0 || line.at[0] == '#')
        return RC_OK;
    const char *equals = memchr(line.at, '=', line.len);
    if (!equals) {
        buf_printf(errors, "%s: expected 'name = value'\n", origin);
        return RC_SYNTAX;
    }
    struct slice name = slice_trim((struct slice){ line.at, (size_t)(equals - line.at) });
    struct slice value =
        slice_trim((struct slice){ equals + 1, line.len - (size_t)(equals - line.at) - 1 });
    if (value.len > 0 && value.at[0] == '"') {
        if (value.len == 1 || value.at[value.len - 1] != '"') {
            buf_printf(errors, "%s: the value begins with a quote but does not end with one\n",
                       origin);
            return RC_SYNTAX;
        }
        value = (struct slice){ value.at + 1, value.len - 2 };
    }
    int index = conf_index(name);
    if (index >= 0 && first_line[index]) {
        buf_printf(errors, "%s: '%.*s' was given in line %d already\n", origin, (int)name.len,
                   name.at, first_line[index]);
        return RC_SYNTAX;
    }
    if (index >= 0)
        first_line[index] = number;
    return conf_assign(c, name, value, origin, errors);
}

enum rc conf_read_text(struct conf *c, const char *name, struct slice text, struct buf *errors)
{
    int first_line[CONF_SETTINGS_MAX] = { 0 };
    enum rc rc = RC_OK;
    struct buf origin = BUF_EMPTY;
    if (text.len >= 3 && memcmp(text.at, "\xEF\xBB\xBF", 3) == 0) /* some editors cannot help it */
        text = (struct slice){ text.at + 3, text.len - 3 };
    for (int number = 1; text.len > 0; number++) {
        const char *end = memchr(text.at, '\n', text.len);
        struct slice line = { text.at, end ? (size_t)(end - text.at) : text.len };
        size_t step = line.len + (end ? 1 : 0);
        text = (struct slice){ text.at + step, text.len - step };
        if (line.len > 0 && line.at[line.len - 1] == '\r')
            line.len--;
        origin.len = 0;
        buf_printf(&origin, "%s:%d", name, number);
        buf_putc(&origin, '\0');
        if (buf_rc(&origin) != RC_OK)
            return RC_NOMEM;
        rc = both(rc, read_line(c, line, origin.at, number, first_line, errors));
    }
    buf_fini(&origin);
    return rc;
}

enum rc conf_read_file(struct conf *c, const char *path, struct buf *errors)
{
    struct buf text = BUF_EMPTY;
    enum rc rc = RC_SYNTAX;
    const char *why = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        buf_printf(errors, "%s: cannot open: %s\n", path, strerror(errno));
        return RC_SYNTAX;
    }
    /* All of the room at once: growing would leave copies of secrets behind in freed memory. */
    while (!why && buf_reserve(&text, CONF_FILE_MAX + 1 - text.len)) {
        ssize_t n = read(fd, text.at + text.len, CONF_FILE_MAX + 1 - text.len);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            why = strerror(errno);
        text.len += n > 0 ? (size_t)n : 0;
        if (text.len > CONF_FILE_MAX)
            why = "larger than 1 MiB";
    }
    if (why)
        buf_printf(errors, "%s: cannot read: %s\n", path, why);
    else if (text.nomem)
        rc = RC_NOMEM;
    else
        rc = conf_read_text(c, path, buf_slice(&text), errors);
    if (text.at)
        sodium_memzero(text.at, text.len);
    buf_fini(&text);
    close(fd);
    return rc;
}

enum rc conf_read_env(struct conf *c, char *const *environment, struct buf *errors)
{
    static const char prefix[] = "BELLPUSH_";
    enum rc rc = RC_OK;
    for (; *environment; environment++) {
        const char *entry = *environment;
        if (strncmp(entry, prefix, sizeof prefix - 1) != 0)
            continue;
        entry += sizeof prefix - 1;
        const char *equals = strchr(entry, '=');
        if (!equals || strncmp(entry, "TEST_", 5) == 0)
            continue;
        char name[64];
        size_t len = (size_t)(equals - entry);
        if (len > sizeof name)
            len = sizeof name; /* unknown anyway */
        for (size_t i = 0; i < len; i++)
            name[i] =
                (char)(entry[i] >= 'A' && entry[i] <= 'Z' ? entry[i] + ('a' - 'A') : entry[i]);
        rc = both(rc, conf_assign(c, (struct slice){ name, len }, slice_of(equals + 1),
                                  "environment", errors));
    }
    return rc;
}

enum rc conf_set(struct conf *c, const char *name_is_value, const char *origin, struct buf *errors)
{
    const char *equals = strchr(name_is_value, '=');
    if (!equals) {
        buf_printf(errors, "%s: expected name=value\n", origin);
        return RC_SYNTAX;
    }
    struct slice name =
        slice_trim((struct slice){ name_is_value, (size_t)(equals - name_is_value) });
    return conf_assign(c, name, slice_of(equals + 1), origin, errors);
}
