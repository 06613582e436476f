/*
 * load.c - see load.h.
 *
 * One epoll, edge-triggered: a delivery costs one recv() and its share of an epoll_wait().
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/load.h"
#include "tests/bench/reader.h"

enum {
    BATCH = 1024, /* events of one epoll_wait() */
    READ_BYTES = 65536,
    HANDSHAKES = 64,    /* connections being made at once: below every listen backlog */
    SILENCE_MS = 10000, /* nothing has come for so long: something is wrong */
    WARM_AGAIN_MS = 200,
    GATHER_NS = 50000,
    GATHER_FROM = 64, /* streams, or deliveries that make it worth while */
};

struct client {
    struct load *load;
    int fd;
    bool warm;
    int64_t next; /* the number that must come next */
    struct reader reader;
};

struct load {
    int epoll;
    size_t n, opened, open, warm;
    struct client *clients;
    const char *request;
    struct address to;

    int64_t published, complete; /* numbers; complete: received by all */
    int64_t first;               /* received by anyone */
    int64_t parted, fan_ns;      /* when first ran ahead of complete; how long it was ahead */
    struct {
        int64_t at; /* when it was published */
        size_t got; /* clients that have it */
    } flight[OUTSTANDING_MAX];
    struct histogram *latency;
    int64_t now; /* of the read being looked at */
    char why[160];
    char buffer[READ_BYTES];
};

int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool complain(const struct load *l, const char *what)
{
    fprintf(stderr, "bench: %s (%zu of %zu streams open, %zu warm, event %lld of %lld)\n", what,
            l->open, l->n, l->warm, (long long)l->complete, (long long)l->published);
    return false;
}

/* --- one client ---------------------------------------------------------------------------- */

static void on_event(void *arg, int64_t number)
{
    struct client *c = arg;
    struct load *l = c->load;

    if (number == 0) { /* a warm-up */
        l->warm += !c->warm;
        c->warm = true;
        return;
    }
    if (number != c->next) {
        snprintf(l->why, sizeof l->why, "a client got event %lld instead of %lld",
                 (long long)number, (long long)c->next);
        return;
    }
    c->next++;
    if (number > l->first) {
        l->parted = l->first == l->complete ? l->now : l->parted;
        l->first = number;
    }
    histogram_add(l->latency, (uint64_t)(l->now - l->flight[number % OUTSTANDING_MAX].at));
    if (++l->flight[number % OUTSTANDING_MAX].got < l->n)
        return;
    l->complete = number;
    l->fan_ns += l->first == number ? l->now - l->parted : 0;
}

static void answer_ping(struct client *c)
{
    struct slice pong = reader_owes(&c->reader);

    if (pong.len > 0 && send(c->fd, pong.at, pong.len, MSG_NOSIGNAL) != (ssize_t)pong.len)
        snprintf(c->load->why, sizeof c->load->why, "cannot send a pong");
}

static void read_client(struct client *c)
{
    struct load *l = c->load;
    bool was_open = reader_open(&c->reader);
    ssize_t n;

    do {
        n = recv(c->fd, l->buffer, sizeof l->buffer, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            snprintf(l->why, sizeof l->why, "the server closed a stream");
            return;
        }
        l->now = now_ns();
        if (reader_feed(&c->reader, (struct slice){ l->buffer, (size_t)n }, on_event, c) != RC_OK) {
            snprintf(l->why, sizeof l->why, "unexpected answer: %.100s", l->buffer);
            return;
        }
        answer_ping(c);
    } while ((size_t)n == sizeof l->buffer);
    l->open += !was_open && reader_open(&c->reader);
}

static bool open_client(struct load *l)
{
    struct client *c = &l->clients[l->opened];
    struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = c };

    c->fd = address_connect(&l->to);
    if (c->fd < 0)
        return complain(l, "cannot connect");
    l->opened++;
    c->load = l;
    c->next = 1;
    if (send(c->fd, l->request, strlen(l->request), MSG_NOSIGNAL) < 0)
        return complain(l, "cannot send a request");
    return epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) == 0 || complain(l, "epoll_ctl");
}

/* --- all of them --------------------------------------------------------------------------- */

/*
 * A machine full of clients is told by its network card of many packets at once, and its clients do
 * not take the server's processor.  Here they would: woken for each delivery, this thread would
 * push the server off its core every time.  So it lets deliveries gather for a moment.
 */
static void gather(const struct load *l, int n)
{
    struct timespec moment = { 0, GATHER_NS };
    if (l->open == l->n && l->n > GATHER_FROM && n > 0 && n < GATHER_FROM)
        nanosleep(&moment, NULL);
}

/* Wait for what comes and take it.  False: the run has failed, or nothing came for too long. */
static bool turn(struct load *l, struct publisher *p, int wait_ms)
{
    struct epoll_event ev[BATCH];
    int n = epoll_wait(l->epoll, ev, BATCH, wait_ms);

    gather(l, n);
    for (int i = 0; i < n; i++)
        if (ev[i].data.ptr != p)
            read_client(ev[i].data.ptr);
        else if (!p->ready(p))
            snprintf(l->why, sizeof l->why, "publishing failed");
    if (l->why[0])
        return complain(l, l->why);
    return n > 0 || wait_ms < SILENCE_MS || complain(l, "nothing comes");
}

struct load *load_connect(const char *to, const char *request, size_t n)
{
    struct load *l = calloc(1, sizeof *l);

    if (!l || !(l->clients = calloc(n, sizeof *l->clients)))
        abort();
    l->n = n;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->request = request;
    if (!address_parse(to, &l->to))
        abort();
    while (l->open < n) {
        if (l->opened < n && l->opened - l->open < HANDSHAKES) {
            if (!open_client(l))
                break;
        } else if (!turn(l, NULL, SILENCE_MS))
            break;
    }
    if (l->open == n)
        return l;
    load_free(l);
    return NULL;
}

void load_free(struct load *l)
{
    struct linger none = { .l_onoff = 1, .l_linger = 0 };

    if (!l)
        return;
    for (size_t i = 0; i < l->opened; i++) {
        setsockopt(l->clients[i].fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        close(l->clients[i].fd);
    }
    close(l->epoll);
    free(l->clients);
    free(l);
}

static bool watch_publisher(struct load *l, struct publisher *p)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = p };
    return epoll_ctl(l->epoll, EPOLL_CTL_ADD, p->fd, &ev) == 0 || complain(l, "epoll_ctl");
}

/* The publisher answers for what it was given last; then it is nobody's again. */
static bool let_go_of_publisher(struct load *l, struct publisher *p)
{
    while (p->waiting > 0)
        if (!turn(l, p, SILENCE_MS))
            return false;
    return epoll_ctl(l->epoll, EPOLL_CTL_DEL, p->fd, NULL) == 0;
}

bool load_warm(struct load *l, struct publisher *p)
{
    int64_t again = 0, end = now_ns() + (int64_t)SILENCE_MS * 1000000;

    if (!watch_publisher(l, p))
        return false;
    while (l->warm < l->n) {
        if (now_ns() > end)
            return complain(l, "not every stream has come to life");
        if (now_ns() >= again && p->waiting == 0) {
            p->publish(p, 0, 1);
            again = now_ns() + (int64_t)WARM_AGAIN_MS * 1000000;
        }
        if (!turn(l, p, WARM_AGAIN_MS))
            return false;
    }
    return let_go_of_publisher(l, p);
}

/* Fill the window up. */
static void publish_more(struct load *l, struct publisher *p, struct pace pace)
{
    int64_t arrived = pace.by_first ? l->first : l->complete, now = now_ns();
    unsigned n = pace.outstanding - (unsigned)(l->published - arrived);

    if (n == 0 || (p->one_at_a_time && p->waiting > 0) ||
        l->published + n - l->complete > OUTSTANDING_MAX)
        return;
    for (unsigned i = 1; i <= n; i++) {
        l->flight[(l->published + i) % OUTSTANDING_MAX].at = now;
        l->flight[(l->published + i) % OUTSTANDING_MAX].got = 0;
    }
    l->published += n;
    p->publish(p, l->published - n + 1, n);
}

bool load_run(struct load *l, struct publisher *p, struct pace pace, int64_t ms,
              struct load_sample *out)
{
    int64_t begin = now_ns(), end = begin + ms * 1000000, first = l->complete;

    memset(out, 0, sizeof *out);
    l->latency = &out->latency;
    l->fan_ns = 0;
    if (!watch_publisher(l, p))
        return false;
    while (now_ns() < end) {
        publish_more(l, p, pace);
        if (!turn(l, p, SILENCE_MS))
            return false;
    }
    while (l->complete < l->published)
        if (!turn(l, p, SILENCE_MS))
            return false;
    out->seconds = (double)(now_ns() - begin) / 1e9;
    out->fan_seconds = (double)l->fan_ns / 1e9;
    out->events = (uint64_t)(l->complete - first);
    out->deliveries = out->events * l->n;
    l->latency = NULL;
    return let_go_of_publisher(l, p);
}
