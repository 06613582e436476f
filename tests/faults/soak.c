/*
 * soak.c - faults at random for as long as is wished; see run.h.
 *
 * Time goes in rounds of ten minutes (or all of it, when it is less).  In the first quarter of each
 * any fault is made, in the rest only such that leave the workers alive, so that they grow old
 * enough to be seen growing (growth.h).  Every few minutes the load is finished and checked and a
 * new one begins, so that neither records nor tables become many.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/faults/act_priv.h"
#include "tests/faults/growth.h"
#include "tests/faults/random.h"
#include "tests/faults/run.h"
#include "tests/peers/process.h"

enum {
    ROUND_MS = 600000,
    LOAD_MS = 240000,    /* of one load */
    PAUSE_MS_MIN = 1000, /* between faults */
    PAUSE_MS_MAX = 4000,
};

struct soak {
    const struct run *run;
    const struct fault **faults;
    size_t n_faults;
    struct act act;
    struct growth *growth;
    struct figures sum;
    int64_t began_ms, end_ms, round_ms;
    int made, loads;
};

static bool may_kill(const struct soak *s)
{
    return (now_ms() - s->began_ms) % s->round_ms < s->round_ms / 4;
}

/* Any that may be made now; NULL: none. */
static const struct fault *choose(struct soak *s)
{
    bool all = may_kill(s);
    size_t n = 0;

    for (size_t i = 0; i < s->n_faults; i++)
        n += all || !s->faults[i]->lethal;
    int64_t skip = n > 0 ? act_choose(&s->act, 0, (int64_t)n - 1) : 0;
    for (size_t i = 0; i < s->n_faults; i++)
        if ((all || !s->faults[i]->lethal) && skip-- == 0)
            return s->faults[i];
    return NULL;
}

static void make_one(struct soak *s)
{
    const struct fault *f = choose(s);
    int64_t began = now_ms();

    if (f) {
        s->act.name = f->name;
        evidence_log_mark(&s->act);
        f->run(&s->act);
        s->made++;
        act_hide();
        printf("%6.0f s  %-20s %.1f s%s\n", (double)(began - s->began_ms) / 1e3, f->name,
               (double)(now_ms() - began) / 1e3, s->act.failed ? "  FAILED" : "");
        fflush(stdout);
    }
    s->act.name = "soak";
    if (!s->act.failed)
        act_last(&s->act, act_choose(&s->act, PAUSE_MS_MIN, PAUSE_MS_MAX));
}

/* One load, with faults; false: something is wrong. */
static bool make_some(struct soak *s, const char *folder)
{
    int64_t until = now_ms() + LOAD_MS;
    struct buf line = BUF_EMPTY;

    if (until > s->end_ms)
        until = s->end_ms;
    s->act.name = "soak";
    run_begin(&s->act, folder);
    while (!s->act.failed && now_ms() < until) {
        make_one(s);
        if (!s->act.failed)
            growth_sample_backends(s->growth);
    }
    bool good = run_end(&s->act, s->run, &s->sum, &line);
    printf("%6.0f s  %.*s\n", (double)(now_ms() - s->began_ms) / 1e3, (int)line.len, line.at);
    fflush(stdout);
    s->loads++;
    buf_fini(&line);
    return good;
}

static void on_second(void *arg)
{
    growth_sample(arg);
}

static void find_faults(struct soak *s)
{
    s->faults = calloc(fault_count(), sizeof(struct fault *));
    if (!s->faults)
        abort();
    for (size_t i = 0; i < fault_count(); i++) {
        const struct fault *f = fault_at(i);
        if (f->soak && f->flavour == SITE_PLAIN && run_wants(s->run, f))
            s->faults[s->n_faults++] = f;
    }
}

bool run_soak(const struct run *r)
{
    struct soak s = { .run = r, .act = { .name = "soak", .random = run_seed(r, "soak") } };
    char *into = run_folder(r), *folder = text_of("%s/soak", into);
    struct buf table = BUF_EMPTY, line = BUF_EMPTY;
    int64_t ms = (int64_t)r->soak_s * 1000;
    bool good = true;

    find_faults(&s);
    s.act.site = site_start(SITE_PLAIN, run_seed(r, "site"));
    s.growth = growth_new(s.act.site);
    s.act.every_second = on_second;
    s.act.arg = s.growth;
    s.began_ms = now_ms();
    s.end_ms = s.began_ms + ms;
    s.round_ms = ms < ROUND_MS ? ms : ROUND_MS;
    while (good && now_ms() < s.end_ms)
        good = make_some(&s, folder);
    if (!good)
        run_tell(r, &s.act);
    bool grows = !growth_put(s.growth, &table);
    figures_put(&line, &s.sum);
    printf("%.*s%.*s | seed %" PRIu64 ", %d faults, %d loads | %.0f s%s\n", (int)table.len,
           table.at, (int)line.len, line.at, r->seed, s.made, s.loads,
           (double)(now_ms() - s.began_ms) / 1e3,
           !good   ? " | FAILED"
           : grows ? " | FAILED: a worker or PostgreSQL grows"
                   : "");
    growth_free(s.growth);
    site_free(s.act.site);
    rmdir(into);
    buf_fini(&table);
    buf_fini(&line);
    free(s.faults);
    free(folder);
    free(into);
    return good && !grows;
}
