/*
 * table.c - see table.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/table.h"
#include "tests/peers/process.h"

/* --- figures ------------------------------------------------------------------------------- */

/* Characters of the last column, and of all of a mode's columns. */
static int last_width(const struct contest *c)
{
    return c->websockets ? 9 : 6;
}

static int mode_width(const struct contest *c)
{
    return 33 + last_width(c);
}

static void print_head(const struct contest *c, size_t size, size_t bytes)
{
    size_t n = c->plan.sizes[size];
    char *who = c->websockets ? text_of("%5zu WebSockets, %zu bytes", n, c->plan.bytes[bytes])
                              : text_of("%5zu subscribers of one topic", n);
    const char *last = c->websockets ? "fan-out/s" : "own us";

    printf("\n%-28s | %-*s | %-*s | %d events outstanding\n%-28s", who, mode_width(c),
           "next event when all have this one", mode_width(c),
           "next event when the first one has it", c->plan.outstanding, "");
    for (int m = 0; m < MODE__COUNT; m++)
        printf(" | %9s %7s %7s %6s %*s", "deliv./s", "p50 ms", "p99 ms", "cpu us", last_width(c),
               last);
    printf("\n");
    free(who);
}

static void print_figure(const struct contest *c, const struct figure *f)
{
    if (f->n == 0) {
        printf(" | %*s", mode_width(c), "failed");
        return;
    }
    printf(" | %9.0f %7.2f %7.2f %6.2f", figure_rate(f),
           (double)histogram_at(&f->latency, 0.5) / 1e6,
           (double)histogram_at(&f->latency, 0.99) / 1e6,
           f->cpu_seconds * 1e6 / (double)f->deliveries);
    if (c->websockets)
        printf(" %*.0f", last_width(c), figure_fan_rate(f));
    else
        printf(" %*.2f", last_width(c), f->holder_cpu_seconds * 1e6 / (double)f->deliveries);
}

static void print_figures(const struct contest *c, size_t size, size_t bytes)
{
    print_head(c, size, bytes);
    for (int s = 0; s < SITE__COUNT; s++) {
        if (!c->sites[s])
            continue;
        printf("%-28s", site_name((enum site_kind)s));
        for (int m = 0; m < MODE__COUNT; m++)
            print_figure(c, contest_figure(c, size, bytes, s, (enum mode)m));
        printf("\n");
    }
}

static void print_upkeep(const struct contest *c)
{
    printf("\nprivate bytes per open %-9s | its holder | all processes",
           c->websockets ? "WebSocket" : "stream");
    if (c->websockets)
        printf(" | cpu of %zu idle: %% | of none", c->plan.sizes[c->plan.n_sizes - 1]);
    printf("\n");
    for (int s = 0; s < SITE__COUNT; s++) {
        const struct upkeep *u = &c->upkeep[s];
        if (!c->sites[s])
            continue;
        printf("%-32s | %10.0f | %13.0f", site_name((enum site_kind)s), u->holder_bytes,
               u->all_bytes);
        if (c->websockets)
            printf(" | %20.3f | %7.3f", u->cpu * 100, u->cpu_alone * 100);
        printf("\n");
    }
}

void table_print(const struct contest *c)
{
    for (size_t i = 0; i < c->plan.n_sizes; i++)
        for (size_t k = 0; k < c->plan.n_bytes; k++)
            print_figures(c, i, k);
    print_upkeep(c);
}

/* --- targets ------------------------------------------------------------------------------- */

void table_print_target_head(void)
{
    printf("\n%-68s | %6s | %8s | %8s | met\n", "target", "subscr", "measured", "target");
}

void table_print_target(const char *what, size_t n, double value, double target, bool at_most)
{
    char size[32] = "";

    if (n > 0)
        snprintf(size, sizeof size, "%zu", n);
    if (value <= 0)
        printf("%-68s | %6s | %8s | %8.2f | not measured\n", what, size, "", target);
    else
        printf("%-68s | %6s | %8.2f | %s%7.2f | %s\n", what, size, value, at_most ? "<" : ">",
               target, (at_most ? value <= target : value >= target) ? "yes" : "NO");
}

static void print_ratio(const struct contest *c, size_t size, size_t bytes, const struct target *t)
{
    static const char *const modes[] = { "paced by all", "paced by first", "loaded" };
    const struct figure *of = contest_figure(c, size, bytes, t->site, t->mode),
                        *to = contest_figure(c, size, bytes, t->beside, t->mode);
    double rate = t->fan ? figure_fan_rate(of) : figure_rate(of),
           base = t->fan ? figure_fan_rate(to) : figure_rate(to);
    char *of_bytes = c->plan.n_bytes > 1 ? text_of(", %zu bytes", c->plan.bytes[bytes]) : NULL;
    char *what = text_of("%s%s%s, %s / %s", modes[t->mode], of_bytes ? of_bytes : "",
                         t->fan ? ", fan-out" : "", site_name(t->site), site_name(t->beside));

    table_print_target(what, c->plan.sizes[size], base > 0 ? rate / base : 0, t->at_least, false);
    free(what);
    free(of_bytes);
}

void table_print_targets(const struct contest *c, const struct target *targets, size_t n)
{
    for (size_t i = 0; i < c->plan.n_sizes; i++)
        for (size_t k = 0; k < c->plan.n_bytes; k++)
            for (const struct target *t = targets; t < targets + n; t++)
                if (c->sites[t->site] && c->sites[t->beside])
                    print_ratio(c, i, k, t);
}
