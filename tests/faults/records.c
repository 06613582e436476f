/*
 * records.c - the names that events carry, and the files of a run.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>

#include "tests/faults/records.h"

const char *const kind_names[KIND__COUNT] = { "publish", "notify", "watch", "http" };

/* --- names --------------------------------------------------------------------------------- */

void name_text(struct name name, char out[NAME_TEXT_MAX])
{
    snprintf(out, NAME_TEXT_MAX, "@%d.%d.%d@", name.publisher, name.transaction, name.event);
}

/* A number as name_text() writes it: no sign, no leading zero, no blank. */
static bool number_at(const char **at, const char *end, int *out)
{
    const char *first = *at, *c = first;
    int64_t n = 0;
    while (c < end && *c >= '0' && *c <= '9' && n <= INT_MAX)
        n = n * 10 + (*c++ - '0');
    if (c == first || n > INT_MAX || (*first == '0' && c - first > 1))
        return false;
    *out = (int)n;
    *at = c;
    return true;
}

static bool sign_at(const char **at, const char *end, char sign)
{
    return *at < end && *(*at)++ == sign;
}

size_t name_parse(struct slice s, struct name *out)
{
    const char *at = s.at, *end = s.at + s.len;
    struct name name;
    if (!sign_at(&at, end, '@') || !number_at(&at, end, &name.publisher) ||
        !sign_at(&at, end, '.') || !number_at(&at, end, &name.transaction) ||
        !sign_at(&at, end, '.') || !number_at(&at, end, &name.event) || !sign_at(&at, end, '@'))
        return 0;
    *out = name;
    return (size_t)(at - s.at);
}

bool transaction_parse(struct slice s, int *publisher, int *transaction)
{
    const char *at = s.at, *end = s.at + s.len;
    return number_at(&at, end, publisher) && sign_at(&at, end, '.') &&
           number_at(&at, end, transaction) && at == end;
}

bool name_find(struct slice data, struct name *out)
{
    while (data.len > 0) {
        const char *sign = memchr(data.at, '@', data.len);
        if (!sign)
            return false;
        data.len -= (size_t)(sign - data.at);
        data.at = sign;
        if (name_parse(data, out) > 0)
            return true;
        data.at++;
        data.len--;
    }
    return false;
}

/* --- files --------------------------------------------------------------------------------- */

int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

FILE *record_open(const char *folder, const char *name, int n, const char *mode)
{
    struct buf path = BUF_EMPTY;
    buf_printf(&path, "%s/%s", folder, name);
    if (n >= 0)
        buf_printf(&path, ".%d", n);
    buf_putc(&path, '\0');
    FILE *f = buf_rc(&path) == RC_OK ? fopen(path.at, mode) : NULL;
    if (!f || setvbuf(f, NULL, _IOLBF, BUFSIZ) != 0) {
        fprintf(stderr, "faults: cannot open %s: %s\n", path.at ? path.at : name, strerror(errno));
        exit(EXIT_FAILURE);
    }
    buf_fini(&path);
    return f;
}
