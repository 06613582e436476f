/*
 * far.c - see far.h.  Everything is said to ip(8): what it does can be typed by a person, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/peers/far.h"
#include "tests/peers/process.h"

enum {
    TOOL_MS = 10000,
    PLACES = 16384, /* pairs of addresses in 198.18.0.0/16, which is for tests (RFC 2544) */
    PLACE_TRIES = 20,
};

struct far {
    int net; /* the namespace */
    char near_card[16], near_address[20], far_address[20];
};

/* Addresses of cards, and the one that nobody has. */
#define NEAR_MAC   "02:be:11:00:00:01"
#define FAR_MAC    "02:be:11:00:00:02"
#define NOBODY_MAC "02:be:11:00:00:ff"

/* Fork a child that holds a new namespace open until told to end by its pipe.  -1: may not. */
static pid_t hold_namespace(int *end)
{
    int ready[2], wait_for[2];
    char c = 0;

    if (pipe2(ready, O_CLOEXEC) || pipe2(wait_for, O_CLOEXEC))
        return -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(wait_for[1]);
        close(ready[0]);
        if (unshare(CLONE_NEWNET))
            _exit(1);
        (void)!write(ready[1], "r", 1);
        (void)!read(wait_for[0], &c, 1);
        _exit(0);
    }
    close(ready[1]);
    close(wait_for[0]);
    bool made = pid > 0 && read(ready[0], &c, 1) == 1;
    close(ready[0]);
    *end = wait_for[1];
    if (made)
        return pid;
    close(wait_for[1]);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    return -1;
}

static void let_go(pid_t holder, int end)
{
    close(end);
    waitpid(holder, NULL, 0);
}

static int open_namespace(pid_t holder)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)holder);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Run one line of ip(8), words separated by single spaces, in a namespace (0: ours). */
static bool ip(int net, const char *log, const char *format, ...) PRINTF(3, 4);
static bool ip(int net, const char *log, const char *format, ...)
{
    const char *argv[32] = { "ip" };
    char line[256], *save = NULL;
    size_t n = 1;
    va_list ap;

    va_start(ap, format);
    vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    for (char *w = strtok_r(line, " ", &save); w && n + 1 < LENGTH(argv);
         w = strtok_r(NULL, " ", &save))
        argv[n++] = w;
    return process_run(&(struct process_spec){ .argv = argv, .log = log, .net = net }, TOOL_MS) ==
           0;
}

const char *far_lacks(void)
{
    int end;

    if (geteuid() != 0)
        return "needs root (a network namespace)";
    if (access("/usr/sbin/ip", X_OK) && access("/sbin/ip", X_OK) && access("/usr/bin/ip", X_OK))
        return "iproute2 is not installed";
    pid_t holder = hold_namespace(&end);
    if (holder < 0)
        return "needs the right to make network namespaces";
    int net = open_namespace(holder);
    bool cards = net >= 0 && ip(net, "/dev/null", "link add bp0 type veth peer name bp1");
    close(net);
    let_go(holder, end);
    return cards ? NULL : "needs virtual network cards (veth)";
}

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "tests: a far machine: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void set_up(struct far *f)
{
    bool done = ip(0, NULL, "link set %s address " NEAR_MAC, f->near_card) &&
                ip(f->net, NULL, "link set bp0 address " FAR_MAC) &&
                ip(0, NULL, "addr add %s/31 dev %s", f->near_address, f->near_card) &&
                ip(f->net, NULL, "addr add %s/31 dev bp0", f->far_address) &&
                ip(f->net, NULL, "link set lo up") && ip(f->net, NULL, "link set bp0 up") &&
                ip(0, NULL, "link set %s up", f->near_card);
    if (!done)
        give_up("its cards cannot be set up");
    far_lose(f, FAR_LOSES_NOTHING);
}

struct far *far_new(void)
{
    struct far *f = calloc(1, sizeof(*f));
    int end, tries = 0;
    pid_t holder = f ? hold_namespace(&end) : -1;

    if (holder < 0)
        give_up("no namespace");
    f->net = open_namespace(holder);
    if (f->net < 0)
        give_up("no way into its namespace");
    /* The card's name says which addresses are taken, and only one can have it. */
    for (int place = (int)getpid() % PLACES;; place = (place + 1) % PLACES) {
        snprintf(f->near_card, sizeof(f->near_card), "bpfar%d", place);
        snprintf(f->near_address, sizeof(f->near_address), "198.18.%d.%d", place / 64,
                 place % 64 * 4);
        snprintf(f->far_address, sizeof(f->far_address), "198.18.%d.%d", place / 64,
                 place % 64 * 4 + 1);
        if (ip(0, "/dev/null", "link add %s type veth peer name bp0 netns %d", f->near_card,
               (int)holder))
            break;
        if (++tries == PLACE_TRIES)
            give_up("no pair of cards");
    }
    set_up(f);
    let_go(holder, end);
    return f;
}

void far_free(struct far *f)
{
    if (!f)
        return;
    ip(0, "/dev/null", "link del %s", f->near_card);
    close(f->net);
    free(f);
}

int far_net(const struct far *f)
{
    return f->net;
}

const char *far_address(const struct far *f)
{
    return f->far_address;
}

void far_lose(struct far *f, enum far_loss loss)
{
    const char *there = loss & FAR_LOSES_THERE ? NOBODY_MAC : FAR_MAC;
    const char *back = loss & FAR_LOSES_BACK ? NOBODY_MAC : NEAR_MAC;

    if (!ip(0, NULL, "neigh replace %s lladdr %s nud permanent dev %s", f->far_address, there,
            f->near_card) ||
        !ip(f->net, NULL, "neigh replace %s lladdr %s nud permanent dev bp0", f->near_address,
            back))
        give_up("its packets cannot be redirected");
}
