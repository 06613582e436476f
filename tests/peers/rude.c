/*
 * rude.c - see rude.h.
 *
 * One poll(2) loop; what comes from one side is sent to the other before anything else is read, for
 * both are on this machine.  Counters and the rate live in memory shared with the test.
 */
#include "tests/peers/rude.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/peers/process.h"

enum {
    PAIRS_MAX = 256,
    CHUNK = 16384,
    AFTER_MAX = 1200, /* bytes of answers before the fault */
    LIFE_MAX = 4000,  /* after so many even a good one ends, or there would be no others */
    SLOW_MS = 400,    /* at least; at most four times as much */
    STALL_MS = 4000, /* then it is reset: a browser cannot stop a script, and has six connections */
    TURN_MS = 20,
    ASKED_SIZE = 64,
    ANSWER_SIZE = 512,
};

static const char refusal[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
                              "Content-Type: text/plain\r\nContent-Length: 5\r\n"
                              "Connection: close\r\n\r\nrude\n";

struct shared {
    int percent, age;     /* age: how often the rate has been set */
    enum rude_fault only; /* RUDE_NONE: any */
    size_t counts[RUDE_KINDS];
    int cuts;
    bool answers; /* set last, cleared first */
    char asked[ASKED_SIZE], answer[ANSWER_SIZE];
};

struct rude {
    pid_t pid;
    int port;
    struct shared *shared;
};

struct pair {
    int client, server; /* client -1: free */
    int age;            /* when its fault was chosen */
    int cuts;           /* that were before it */
    bool held;          /* it was asked what is not answered */
    enum rude_fault fault;
    size_t left;       /* bytes of answers until the fault */
    int64_t answer_at; /* not before: RUDE_SLOW */
    int64_t stalled;   /* until then; 0: not */
};

struct relay {
    int listener, port;
    struct shared *shared;
    struct pair pairs[PAIRS_MAX];
};

static int dial(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void end_pair(struct pair *p, bool reset)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    if (reset)
        setsockopt(p->client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(p->client);
    close(p->server);
    p->client = p->server = -1;
}

/* What befalls it. */
static void choose(struct relay *r, struct pair *p)
{
    p->age = r->shared->age;
    p->fault = RUDE_NONE;
    p->left = SIZE_MAX;
    if (r->shared->percent > 0)
        p->left = (size_t)(random() % LIFE_MAX);
    if (random() % 100 < r->shared->percent) {
        p->fault = (enum rude_fault)(1 + random() % (RUDE_KINDS - 1));
        if (r->shared->only)
            p->fault = r->shared->only;
        p->left = (size_t)(random() % AFTER_MAX);
    }
    if (p->fault == RUDE_SLOW) {
        p->answer_at = now_ms() + SLOW_MS + random() % (3 * SLOW_MS);
        p->left = (size_t)(random() % LIFE_MAX);
    }
    r->shared->counts[p->fault]++;
}

static void take_client(struct relay *r)
{
    int fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
    struct pair *p = NULL;

    for (size_t i = 0; i < PAIRS_MAX && !p; i++)
        if (r->pairs[i].client < 0)
            p = &r->pairs[i];
    if (fd < 0)
        return;
    int server = p ? dial(r->port) : -1;
    if (server < 0) {
        close(fd);
        return;
    }
    *p = (struct pair){ .client = fd, .server = server, .cuts = r->shared->cuts };
    choose(r, p);
}

static bool send_all(int fd, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static void answer(struct pair *p, const char *text)
{
    send_all(p->client, text, strlen(text));
    shutdown(p->client, SHUT_WR);
    end_pair(p, false);
}

static void pass_question(const struct shared *told, struct pair *p)
{
    char bytes[CHUNK];
    ssize_t n = recv(p->client, bytes, sizeof bytes, 0);

    if (n > 0 && told->answers && memmem(bytes, (size_t)n, told->asked, strlen(told->asked)))
        p->held = true;
    if (n > 0 && p->fault == RUDE_503) {
        answer(p, refusal);
    } else if (n > 0 && p->held) {
        if (*told->answer)
            answer(p, told->answer);
    } else if (n <= 0 || !send_all(p->server, bytes, (size_t)n)) {
        end_pair(p, false);
    }
}

static void pass_answer(struct pair *p)
{
    char bytes[CHUNK];
    ssize_t n = recv(p->server, bytes, sizeof bytes, 0);

    if (n <= 0) {
        end_pair(p, false);
        return;
    }
    size_t len = (size_t)n;
    bool cut = len >= p->left;
    if (cut)
        len = p->left;
    p->left -= p->left == SIZE_MAX ? 0 : len;
    if (!send_all(p->client, bytes, len))
        end_pair(p, false);
    else if (cut && p->fault == RUDE_STALL)
        p->stalled = now_ms() + STALL_MS;
    else if (cut)
        end_pair(p, p->fault == RUDE_RESET);
}

/* Browsers keep connections: those that were there when the rate was set, too. */
static void age(struct relay *r)
{
    for (size_t i = 0; i < PAIRS_MAX; i++)
        if (r->pairs[i].client >= 0 && r->pairs[i].age != r->shared->age)
            choose(r, &r->pairs[i]);
}

static void turn(struct relay *r)
{
    struct pollfd polled[1 + 2 * PAIRS_MAX];

    age(r);
    polled[0] = (struct pollfd){ .fd = r->listener, .events = POLLIN };
    for (size_t i = 0; i < PAIRS_MAX; i++) {
        struct pair *p = &r->pairs[i];
        bool enough = (p->stalled && now_ms() >= p->stalled) || p->cuts != r->shared->cuts;
        if (p->client >= 0 && enough)
            end_pair(p, true);
        bool quiet = p->stalled > 0 || now_ms() < p->answer_at;
        polled[1 + 2 * i] = (struct pollfd){ .fd = p->client, .events = POLLIN };
        polled[2 + 2 * i] = (struct pollfd){ .fd = quiet ? -1 : p->server, .events = POLLIN };
    }
    if (poll(polled, 1 + 2 * PAIRS_MAX, TURN_MS) <= 0)
        return;
    for (size_t i = 0; i < PAIRS_MAX; i++) {
        struct pair *p = &r->pairs[i];
        if (p->client >= 0 && polled[1 + 2 * i].revents)
            pass_question(r->shared, p);
        if (p->client >= 0 && polled[2 + 2 * i].revents)
            pass_answer(p);
    }
    if (polled[0].revents)
        take_client(r);
}

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static _Noreturn void relay(struct relay *r, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    srandom((unsigned)now_ms());
    for (size_t i = 0; i < PAIRS_MAX; i++)
        r->pairs[i].client = r->pairs[i].server = -1;
    for (;;)
        turn(r);
}

struct rude *rude_start(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    struct rude *rude = calloc(1, sizeof *rude);
    struct relay *r = calloc(1, sizeof *r);

    if (!rude || !r)
        abort();
    rude->shared =
        mmap(NULL, sizeof *rude->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (rude->shared == MAP_FAILED || r->listener < 0 ||
        bind(r->listener, (struct sockaddr *)&a, sizeof a) || listen(r->listener, 64) ||
        getsockname(r->listener, (struct sockaddr *)&a, &len))
        give_up("tests: rude relay");
    rude->port = ntohs(a.sin_port);
    r->port = port;
    r->shared = rude->shared;
    pid_t parent = getpid();
    rude->pid = fork();
    if (rude->pid < 0)
        give_up("tests: rude relay: fork");
    if (rude->pid == 0)
        relay(r, parent);
    close(r->listener);
    free(r);
    return rude;
}

void rude_free(struct rude *rude)
{
    if (!rude)
        return;
    kill(rude->pid, SIGKILL);
    waitpid(rude->pid, NULL, 0);
    munmap(rude->shared, sizeof *rude->shared);
    free(rude);
}

int rude_port(const struct rude *rude)
{
    return rude->port;
}

void rude_set(struct rude *rude, int percent)
{
    rude_set_only(rude, RUDE_NONE, percent);
}

void rude_set_only(struct rude *rude, enum rude_fault fault, int percent)
{
    rude->shared->only = fault;
    rude->shared->percent = percent;
    rude->shared->age++;
    memset(rude->shared->counts, 0, sizeof rude->shared->counts);
}

void rude_answer(struct rude *rude, const char *asked, const char *text)
{
    struct shared *told = rude->shared;

    told->answers = false;
    if (!asked)
        return;
    if (strlen(asked) >= ASKED_SIZE || strlen(text) >= ANSWER_SIZE)
        give_up("tests: rude relay: too much to say");
    strcpy(told->asked, asked);
    strcpy(told->answer, text);
    told->answers = true;
}

void rude_cut(struct rude *rude)
{
    rude->shared->cuts++;
}

void rude_sleep(struct rude *rude)
{
    kill(rude->pid, SIGSTOP);
}

void rude_wake(struct rude *rude)
{
    kill(rude->pid, SIGCONT);
}

size_t rude_count(const struct rude *rude, enum rude_fault fault)
{
    return rude->shared->counts[fault];
}

size_t rude_total(const struct rude *rude)
{
    size_t all = 0;
    for (int i = 0; i < RUDE_KINDS; i++)
        all += rude->shared->counts[i];
    return all;
}
