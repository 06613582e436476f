/*
 * gauge.c - see gauge.h.
 */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/faults/act_priv.h"
#include "tests/faults/gauge.h"
#include "tests/peers/process.h"

/* ---- what they say ------------------------------------------------------------------------------
 */

static void look(const struct act *a, const char *path, int64_t *sum, int64_t *least)
{
    *sum = 0;
    *least = INT64_MAX;
    for (size_t i = 0; i < SITE_FRONTS; i++)
        for (size_t k = 0; k < front_sockets(a->site->fronts[i]); k++) {
            json_t *status = act_ask(a, i, k);
            int64_t n = json_integer_value(act_member(status, path));

            *sum += n;
            *least = n < *least ? n : *least;
            json_decref(status);
        }
}

int64_t gauge_sum(const struct act *a, const char *path)
{
    int64_t sum, least;

    look(a, path, &sum, &least);
    return sum;
}

int64_t gauge_least(const struct act *a, const char *path)
{
    int64_t sum, least;

    look(a, path, &sum, &least);
    return least;
}

struct wish {
    const struct act *act;
    const char *path;
    int64_t least, most, seen;
};

static bool is_so(void *arg)
{
    struct wish *w = arg;

    w->seen = gauge_sum(w->act, w->path);
    return w->seen >= w->least && w->seen <= w->most;
}

static bool becomes(struct act *a, struct wish *w)
{
    if (act_wait(a, is_so, w, ACT_PATIENCE_MS))
        return true;
    act_fail(a, "/status: %s is %lld in all, and not %s %lld", w->path, (long long)w->seen,
             w->seen < w->least ? "at least" : "at most",
             (long long)(w->seen < w->least ? w->least : w->most));
    return false;
}

bool gauge_rises(struct act *a, const char *path, int64_t least)
{
    return becomes(a, &(struct wish){ a, path, least, INT64_MAX, 0 });
}

bool gauge_falls(struct act *a, const char *path, int64_t most)
{
    return becomes(a, &(struct wish){ a, path, INT64_MIN, most, 0 });
}

/* ---- what the kernel says -----------------------------------------------------------------------
 */

size_t gauge_workers(const struct site *s, pid_t *pids, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < SITE_FRONTS && n < max; i++)
        n += front_workers(s->fronts[i], pids + n, max - n);
    return n < max ? n : max;
}

static char *proc_file(pid_t pid, const char *name)
{
    char *path = text_of("/proc/%d/%s", (int)pid, name), *text = file_read(path);

    free(path);
    return text;
}

int64_t gauge_cpu_ms(pid_t pid)
{
    char *text = proc_file(pid, "stat"), *at = text ? strrchr(text, ')') : NULL;
    unsigned long user = 0, system = 0;

    /* proc(5): after the name come the state, and ten fields on, utime and stime */
    if (at &&
        sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        user = system = 0;
    free(text);
    return (int64_t)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

int64_t gauge_memory_kb(pid_t pid, const char *name)
{
    char *text = proc_file(pid, "status"), *sign = text_of("\n%s:", name);
    const char *at = text ? strstr(text, sign) : NULL;
    int64_t kb = at ? strtoll(at + strlen(sign), NULL, 10) : 0;

    free(sign);
    free(text);
    return kb;
}

int64_t gauge_descriptors(pid_t pid)
{
    char *path = text_of("/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    int64_t n = 0;

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    free(path);
    return n > 2 ? n - 2 : 0; /* . and .. */
}
