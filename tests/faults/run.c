/*
 * run.c - each fault once, in the seed's order; see run.h.
 *
 * Faults of one flavour share a site while it is well; between flavours it is exchanged, so that
 * never more than one is there.  Whatever a fault chooses comes of the seed and its own name: it
 * does the same when it is made alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/faults/act_priv.h"
#include "tests/faults/random.h"
#include "tests/faults/run.h"
#include "tests/peers/process.h"

enum {
    FIRST_COMMITS_MIN = 30, /* it flows: so many transactions, and everybody has seen something */
    FIRST_COMMITS_MAX = 300,
    FINISH_MS = 60000, /* until the last subscriber has seen the last event */
    FOLDERS_MAX = 100,
};

extern const struct fault *const __start_bellpush_faults[];
extern const struct fault *const __stop_bellpush_faults[];

size_t fault_count(void)
{
    return (size_t)(__stop_bellpush_faults - __start_bellpush_faults);
}

const struct fault *fault_at(size_t i)
{
    return __start_bellpush_faults[i];
}

bool run_wants(const struct run *r, const struct fault *f)
{
    for (int i = 0; i < r->n_names; i++)
        if (strcmp(r->names[i], f->name) == 0)
            return true;
    return r->n_names == 0;
}

uint64_t run_seed(const struct run *r, const char *name)
{
    uint64_t state = r->seed;

    for (; *name; name++)
        state = random_next(&state) ^ (unsigned char)*name;
    return state;
}

/* ---- records ------------------------------------------------------------------------------------
 */

static void make_folder(const char *path)
{
    char *up = text_of("%s", path), *cut = strrchr(up, '/');

    if (cut && cut > up) {
        *cut = '\0';
        if (access(up, F_OK))
            make_folder(up);
    }
    if (mkdir(path, 0755) && errno != EEXIST) {
        fprintf(stderr, "faults: cannot make %s: %s\n", path, strerror(errno));
        exit(EXIT_FAILURE);
    }
    free(up);
}

char *run_folder(const struct run *r)
{
    for (int i = 0; i < FOLDERS_MAX; i++) {
        char *path = i == 0 ? text_of("%s/%" PRIu64, r->into, r->seed)
                            : text_of("%s/%" PRIu64 ".%d", r->into, r->seed, i);
        make_folder(path);
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            return path; /* the descriptor stays open, and the lock with it */
        close(fd);
        free(path);
    }
    fprintf(stderr, "faults: all folders of seed %" PRIu64 " are in use\n", r->seed);
    exit(EXIT_FAILURE);
}

/* ---- one load, from its beginning to its verdict ------------------------------------------------
 */

static void set_mode(struct act *a)
{
    a->mode = random_next(&a->random) & 1 ? "relay" : "commit";
    char *sql = text_of("SELECT bellpush.set_mode('%s')", a->mode);

    free(cluster_sql(a->site->dsn, sql));
    free(sql);
}

void run_begin(struct act *a, const char *folder)
{
    const struct load_spec spec = { .seed = random_next(&a->random),
                                    .folder = folder,
                                    .dsn = a->site->publisher_dsn,
                                    .key = a->site->key,
                                    .fronts = a->site->load_fronts,
                                    .n_fronts = SITE_FRONTS,
                                    .no_notify = a->site->flavour == SITE_POOLED };
    folder_remove(folder);
    make_folder(folder);
    a->folder = folder;
    set_mode(a);
    a->load = load_start(&spec);
    act_flows(a, act_choose(a, FIRST_COMMITS_MIN, FIRST_COMMITS_MAX));
    evidence_log_mark(a);
}

bool run_end(struct act *a, const struct run *r, struct figures *sum, struct buf *line)
{
    struct figures figures = { 0 };
    struct buf report = BUF_EMPTY;

    act_heard(a);
    act_show(a);
    load_finish(a->load, a->site->dsn, FINISH_MS);
    a->load = NULL;
    act_hide();
    char *crash = site_crash(a->site);
    if (crash)
        act_fail(a, "a worker crashed: %s", crash);
    free(crash);
    bool read = check_folder(a->folder, &figures, &report);
    bool good = read && figures_are_good(&figures) && !a->failed;
    figures_put(line, &figures);
    figures_add(sum, &figures);
    if (report.len > 0) {
        FILE *findings = record_open(a->folder, "findings", -1, "w");
        fprintf(findings, "%.*s", (int)report.len, report.at);
        fclose(findings);
        fprintf(stderr, "%.*s", (int)report.len, report.at);
    }
    if (good && !r->keep)
        folder_remove(a->folder);
    buf_fini(&report);
    return good;
}

void run_tell(const struct run *r, const struct act *a)
{
    for (size_t i = 0; i < SITE_FRONTS; i++)
        front_show_logs(a->site->fronts[i]);
    fprintf(stderr, "%s: records are in %s\n%s: again: make ", a->name, a->folder, a->name);
    if (r->soak_s > 0)
        fprintf(stderr, "soak SEED=%" PRIu64 " SOAK_SECONDS=%d\n", r->seed, r->soak_s);
    else
        fprintf(stderr, "check-faults SEED=%" PRIu64 " FAULTS=%s\n", r->seed, a->name);
}

/* ---- one fault after the other ------------------------------------------------------------------
 */

struct tally {
    struct figures sum;
    int made, skipped, failed;
};

/* Peers end the program when they cannot go on: say then what was being done. */
static const struct run *now_running;
static const struct fault *now_making;

static void tell_interruption(void)
{
    if (now_making)
        fprintf(stderr, "%s: not finished; again: make check-faults SEED=%" PRIu64 " FAULTS=%s\n",
                now_making->name, now_running->seed, now_making->name);
}

/* Gives the site back, or frees it: NULL. */
static struct site *make_fault(const struct run *r, const struct fault *f, const char *into,
                               struct site *site, struct tally *t)
{
    struct act a = { .name = f->name, .random = run_seed(r, f->name) };
    char *folder = text_of("%s/%s", into, f->name);
    struct buf line = BUF_EMPTY;
    int64_t began = now_ms();

    now_making = f;
    if (!site)
        site = site_start(f->flavour, run_seed(r, "site") + f->flavour);
    a.site = site;
    run_begin(&a, folder);
    if (!a.failed)
        f->run(&a);
    bool good = run_end(&a, r, &t->sum, &line);
    printf("%-20s %s (%s mode) | %.*s | %.1f s%s\n", f->name, f->what, a.mode, (int)line.len,
           line.at, (double)(now_ms() - began) / 1e3, good ? "" : " | FAILED");
    fflush(stdout);
    if (!good)
        run_tell(r, &a);
    now_making = NULL;
    t->made++;
    t->failed += !good;
    if (!good || !site_is_well(site)) {
        site_free(site);
        site = NULL;
    }
    buf_fini(&line);
    free(folder);
    return site;
}

static void make_flavour(const struct run *r, enum site_flavour flavour,
                         const struct fault **faults, size_t n, const char *into, struct tally *t)
{
    const char *lacks = site_lacks(flavour);
    struct site *site = NULL;

    for (size_t i = 0; i < n; i++) {
        if (faults[i]->flavour != flavour)
            continue;
        if (lacks) {
            printf("%-20s %s | skipped: %s\n", faults[i]->name, faults[i]->what, lacks);
            t->skipped++;
            continue;
        }
        site = make_fault(r, faults[i], into, site, t);
    }
    site_free(site);
}

static void shuffle(void *at, size_t n, size_t size, uint64_t *random)
{
    char *first = at, kept[sizeof(void *)];

    for (size_t i = n; i > 1; i--) {
        char *a = first + (i - 1) * size, *b = first + random_next(random) % i * size;
        memcpy(kept, a, size);
        memcpy(a, b, size);
        memcpy(b, kept, size);
    }
}

bool run_faults(const struct run *r)
{
    const struct fault **faults = calloc(fault_count(), sizeof(struct fault *));
    enum site_flavour flavours[SITE__COUNT];
    struct tally t = { .made = 0 };
    struct buf line = BUF_EMPTY;
    uint64_t random = run_seed(r, "order");
    char *into = run_folder(r);
    int64_t began = now_ms();
    size_t n = 0;

    if (!faults)
        abort();
    for (size_t i = 0; i < fault_count(); i++)
        if (run_wants(r, fault_at(i)))
            faults[n++] = fault_at(i);
    for (size_t i = 0; i < SITE__COUNT; i++)
        flavours[i] = (enum site_flavour)i;
    shuffle(faults, n, sizeof faults[0], &random);
    shuffle(flavours, SITE__COUNT, sizeof flavours[0], &random);
    now_running = r;
    atexit(tell_interruption);
    for (size_t i = 0; i < SITE__COUNT; i++)
        make_flavour(r, flavours[i], faults, n, into, &t);
    figures_put(&line, &t.sum);
    printf("%.*s | seed %" PRIu64 ", %d faults, %d failed, %d skipped | %.1f s\n", (int)line.len,
           line.at, r->seed, t.made, t.failed, t.skipped, (double)(now_ms() - began) / 1e3);
    rmdir(into); /* where nothing was left in it */
    buf_fini(&line);
    free(into);
    free(faults);
    return t.failed == 0;
}
