/*
 * faults.c - `make check-faults` and `make soak`: what is asked, and who does it (README.md).
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/faults/run.h"
#include "tests/peers/process.h"

static const char help[] =
    "usage: faults [--seed N] [--into FOLDER] [--keep] [FAULT…]\n"
    "       faults --soak SECONDS [--seed N] [--into FOLDER] [--keep] [FAULT…]\n"
    "       faults --check FOLDER   compare records again\n"
    "       faults --list           the faults, and what this machine lacks for them\n"
    "\n"
    "Makes faults while publishers and subscribers are at work, and compares what was committed\n"
    "with what everybody saw.  Without a seed one is chosen and told.  Without faults: all, or "
    "for\n"
    "the soak all that can be made again and again.  Records go to FOLDER/SEED/FAULT; those of\n"
    "good runs are removed unless --keep.  Run it by `make check-faults` or `make soak`.\n";

static _Noreturn void usage(const char *why, const char *which)
{
    fprintf(stderr, "faults: %s%s\n%s", why, which, help);
    exit(EXIT_FAILURE);
}

static void list(void)
{
    for (size_t i = 0; i < fault_count(); i++) {
        const struct fault *f = fault_at(i);
        const char *lacks = site_lacks(f->flavour);
        printf("%-20s %s%s%s%s\n", f->name, f->what, f->soak ? " (soak)" : "", lacks ? "; " : "",
               lacks ? lacks : "");
    }
}

static int check(const char *folder)
{
    struct figures figures = { 0 };
    struct buf text = BUF_EMPTY;
    bool good = check_folder(folder, &figures, &text) && figures_are_good(&figures);

    figures_put(&text, &figures);
    printf("%.*s\n", (int)text.len, text.at);
    buf_fini(&text);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static uint64_t number(const char *text, const char *what)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);

    if (end == text || *end)
        usage("not a number for ", what);
    return n;
}

static void check_names(const struct run *r)
{
    for (int i = 0; i < r->n_names; i++) {
        size_t k = 0;
        while (k < fault_count() && strcmp(fault_at(k)->name, r->names[i]) != 0)
            k++;
        if (k == fault_count())
            usage("no such fault: ", r->names[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "seed", required_argument, NULL, 's' }, { "into", required_argument, NULL, 'i' },
        { "soak", required_argument, NULL, 'S' }, { "check", required_argument, NULL, 'c' },
        { "keep", no_argument, NULL, 'k' },       { "list", no_argument, NULL, 'l' },
        { "help", no_argument, NULL, 'h' },       { NULL, 0, NULL, 0 },
    };
    struct timespec now;
    int c;

    clock_gettime(CLOCK_REALTIME, &now);
    struct run r = { .seed = (uint64_t)now.tv_sec, .into = "build/faults" };
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (c) {
        case 's':
            r.seed = number(optarg, "--seed");
            break;
        case 'i':
            r.into = optarg;
            break;
        case 'S':
            r.soak_s = (int)number(optarg, "--soak");
            break;
        case 'c':
            return check(optarg);
        case 'k':
            r.keep = true;
            break;
        case 'l':
            list();
            return EXIT_SUCCESS;
        case 'h':
            printf("%s", help);
            return EXIT_SUCCESS;
        default:
            usage("", "see above");
        }
    r.names = argv + optind;
    r.n_names = argc - optind;
    check_names(&r);
    if (!getenv("BELLPUSH_TEST_PROGRAM"))
        usage("run me by `make check-faults` or `make soak`", "");
    fprintf(stderr, "faults: seed %llu\n", (unsigned long long)r.seed);
    return (r.soak_s > 0 ? run_soak(&r) : run_faults(&r)) ? EXIT_SUCCESS : EXIT_FAILURE;
}
