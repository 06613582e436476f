/*
 * fault_client.c - clients that stop reading, and clients that come back a thousand times a second.
 *
 * Nobody else may notice.  What a reader does not take is bounded in bytes and in time: it is
 * paused, then closed, and could go on from its cursor.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/faults/clients.h"
#include "tests/faults/gauge.h"
#include "tests/peers/process.h"

/* ---- one that reads nothing ---------------------------------------------------------------------
 */

enum {
    WORKERS_MAX = 16,
    FILLER_BYTES = 500 * 1000,
    FILLERS_AT_ONCE = 4,
    FILLERS_MAX = 80, /* sockets and web servers keep some megabytes for each client */
    /* What a worker may need more for all of them: the journal, and a queue for each. */
    GROWTH_KB = 64 << 10,
};

struct memory {
    pid_t pids[WORKERS_MAX];
    int64_t kb[WORKERS_MAX];
    size_t n;
};

static struct memory weigh(const struct act *a)
{
    struct memory m;

    m.n = gauge_workers(a->site, m.pids, WORKERS_MAX);
    for (size_t i = 0; i < m.n; i++)
        m.kb[i] = gauge_memory_kb(m.pids[i], "VmRSS");
    return m;
}

/* Is nobody much heavier?  Gives the greatest growth. */
static int64_t heavier_kb(const struct memory *before)
{
    int64_t most = 0;

    for (size_t i = 0; i < before->n; i++) {
        int64_t kb = gauge_memory_kb(before->pids[i], "VmRSS") - before->kb[i];
        most = kb > most ? kb : most;
    }
    return most;
}

static void client_stops_reading(struct act *a)
{
    int64_t closed = gauge_sum(a, "counts.slow_closed"), slow = 0;
    int n = (int)act_choose(a, 6, 24), filled = 0;
    struct memory before = weigh(a);
    struct crowd *crowd = crowd_new(a, n);

    while (slow < n && filled < FILLERS_MAX) {
        fillers_publish(a, FILLERS_AT_ONCE, FILLER_BYTES);
        filled += FILLERS_AT_ONCE;
        act_flows(a, 5);
        slow = gauge_sum(a, "slow") + gauge_sum(a, "counts.slow_closed") - closed;
    }
    if (slow == 0)
        act_fail(a, "after %d fillers no reader counts as slow", filled);
    act_flows(a, 20);
    gauge_rises(a, "counts.slow_closed", closed + n);
    evidence_log(a, 0, "slow reader closed");
    int64_t kb = heavier_kb(&before);
    if (kb > GROWTH_KB)
        act_fail(a, "a worker has grown by %lld kB for %d clients that read nothing", (long long)kb,
                 n);
    act_last(a, act_choose(a, 0, 1000));
    crowd_free(crowd);
    gauge_falls(a, "slow", 0);
    act_note(a, "%d readers closed after %d MB, a worker grew by %lld kB", n,
             filled * FILLER_BYTES / 1000000, (long long)kb);
    act_flows(a, 20);
}

FAULT(client_stops_reading, .name = "client-stops-reading",
      .what = "streams that take nothing while large events come", .soak = true,
      .run = client_stops_reading);

/* ---- a thousand connections a second ------------------------------------------------------------
 */

enum {
    STORM_RATE = 1000, /* a second */
    VISITORS_MAX = 200,
    STAY_MS = 300, /* longest */
    CURSOR_MS = 500,
    REQUEST_MAX = 400,
    CALM = 30, /* connections more than before are readers of the load that came back */
};

enum intent {
    TO_READ_ON, /* with a cursor; leaves as soon as something comes */
    TO_READ_ON_TOO,
    TO_POLL,     /* without one */
    TO_BREAK_OFF /* in the middle of the request */
};

struct visitor {
    int fd;
    enum intent intent;
    int64_t since_ms;
};

struct storm {
    struct act *act;
    struct visitor visitors[VISITORS_MAX]; /* oldest first */
    int n;
    int64_t began, answered, refused, tired; /* how many of them */
    char *cursor;
};

/* Half of them in a hurry: with a reset. */
static void leave(struct storm *s, int i)
{
    if (act_choose(s->act, 0, 1))
        setsockopt(s->visitors[i].fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 },
                   sizeof(struct linger));
    close(s->visitors[i].fd);
    memmove(s->visitors + i, s->visitors + i + 1, (size_t)(--s->n - i) * sizeof s->visitors[0]);
}

static int connect_to(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    /* Waits only where the backlog is full, which is then the storm's end for so long. */
    if (fd >= 0 && connect(fd, (struct sockaddr *)(void *)&to, sizeof to) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static void come(struct storm *s)
{
    static const char *const targets[] = {
        [TO_READ_ON] = "events?topic=orders/%23",
        [TO_READ_ON_TOO] = "stream?topic=news&topic=chat/%23",
        [TO_POLL] = "poll?topic=goods/%2B",
        [TO_BREAK_OFF] = "events?topic=%23",
    };
    struct visitor v = { .intent = (enum intent)act_choose(s->act, TO_READ_ON, TO_BREAK_OFF),
                         .since_ms = now_ms() };
    bool with_cursor = v.intent == TO_READ_ON || v.intent == TO_READ_ON_TOO;
    char request[REQUEST_MAX];

    if (s->n == VISITORS_MAX) {
        s->tired++;
        leave(s, 0);
    }
    size_t front = (size_t)act_choose(s->act, 0, SITE_FRONTS - 1);
    v.fd = connect_to(front_port(s->act->site->fronts[front]));
    s->began++;
    if (v.fd < 0) {
        s->refused++;
        return;
    }
    int len =
        snprintf(request, sizeof request,
                 "GET /push/%s HTTP/1.1\r\nHost: localhost\r\n%s%s%sConnection: close\r\n\r\n",
                 targets[v.intent], with_cursor ? "Last-Event-ID: " : "",
                 with_cursor ? s->cursor : "", with_cursor ? "\r\n" : "");
    if (v.intent == TO_BREAK_OFF)
        len = (int)act_choose(s->act, 0, len - 1);
    (void)!send(v.fd, request, (size_t)len, MSG_NOSIGNAL);
    s->visitors[s->n++] = v;
}

/* Who has an answer leaves, and who has waited too long, and who never meant it. */
static void go(struct storm *s)
{
    struct pollfd fds[VISITORS_MAX];
    int n = s->n;

    for (int i = 0; i < n; i++)
        fds[i] = (struct pollfd){ .fd = s->visitors[i].fd, .events = POLLIN };
    (void)poll(fds, (nfds_t)n, 1);
    for (int i = n - 1; i >= 0; i--) {
        char bytes[64] = "";
        if (fds[i].revents && recv(fds[i].fd, bytes, sizeof bytes - 1, MSG_DONTWAIT) > 0)
            *(strncmp(bytes, "HTTP/1.1 200", 12) == 0 ? &s->answered : &s->refused) += 1;
        else if (!fds[i].revents && s->visitors[i].intent != TO_BREAK_OFF &&
                 now_ms() - s->visitors[i].since_ms < STAY_MS)
            continue;
        leave(s, i);
    }
}

static void renew_cursor(struct storm *s)
{
    char *cursor = client_cursor(s->act, (size_t)act_choose(s->act, 0, SITE_FRONTS - 1));

    if (!*cursor) { /* refused in the crush: the old one will do */
        free(cursor);
        return;
    }
    free(s->cursor);
    s->cursor = cursor;
}

static void reconnect_storm(struct act *a)
{
    struct storm s = { .act = a, .cursor = client_cursor(a, 0) };
    int64_t requests = gauge_sum(a, "counts.requests"), open = gauge_sum(a, "connections");
    int64_t begin = now_ms(), lasts = act_choose(a, 2000, 5000), renewed = begin;

    for (int64_t now = begin; now < begin + lasts; now = now_ms()) {
        for (int burst = 0; burst < VISITORS_MAX && s.began < (now - begin) * STORM_RATE / 1000;
             burst++)
            come(&s);
        go(&s);
        if (now - renewed >= CURSOR_MS) {
            renew_cursor(&s);
            renewed = now;
        }
    }
    int64_t took = now_ms() - begin;
    while (s.n > 0)
        leave(&s, 0);
    gauge_rises(a, "counts.requests", requests + s.answered / 2);
    gauge_falls(a, "connections", open + CALM);
    act_note(a, "%lld connections in %lld ms: %lld answered, %lld refused, %lld pushed out",
             (long long)s.began, (long long)took, (long long)s.answered, (long long)s.refused,
             (long long)s.tired);
    if (s.answered == 0)
        act_fail(a, "nobody was answered");
    free(s.cursor);
    act_flows(a, 20);
}

FAULT(reconnect_storm, .name = "reconnect-storm",
      .what = "clients that reconnect a thousand times a second", .soak = true,
      .run = reconnect_storm);
