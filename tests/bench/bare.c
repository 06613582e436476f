/*
 * bare.c - the limit: a server that can do nothing but write prebuilt bytes to everybody.
 *
 *      bare each       every event is written to every client by itself
 *      bare together   what has come in one turn of the loop is written to each client at once
 *      bare log        the same, but for the way in: events are those of bellpush.log
 *
 * GET opens a stream, of server-sent events or, asked for an upgrade, of WebSocket messages; POST
 * publishes its body to all of them, or else a bell is heard and the log is read, as a worker does
 * (BELLPUSH_DATABASE says where); no topics, no parsing beyond what finds the body, no queues,
 * no memory per client but its place in an array.  A client that does not keep up ends the program,
 * because a limit that waits or drops is none.  It takes any free port of 127.0.0.1, prints it, and
 * runs until it is stopped.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/reader.h"

enum { CLIENTS_MAX = 65536, BATCH = 1024, READ_BYTES = 65536 };

static struct {
    int epoll, listener;
    bool together, websocket;
    int streams[CLIENTS_MAX]; /* descriptors */
    int place[CLIENTS_MAX];   /* by descriptor: index in streams, plus one; 0: not a stream */
    int n;
    int64_t events;
    PGconn *log;        /* NULL: who publishes says POST */
    char after[24];     /* the log has been read to here */
    struct buf pending; /* chunks of this turn, to be written together */
    struct buf unread;  /* the publisher's bytes that are not yet a whole request */
    char buffer[READ_BYTES];
} bare;

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "bare: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void watch(int fd)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP, .data.fd = fd };
    if (epoll_ctl(bare.epoll, EPOLL_CTL_ADD, fd, &ev))
        give_up("epoll_ctl");
}

static void write_to_all(struct slice bytes)
{
    for (int i = 0; i < bare.n; i++) {
        ssize_t n = send(bare.streams[i], bytes.at, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            continue; /* gone: its end will be read */
        if (n != (ssize_t)bytes.len)
            give_up("a client does not keep up");
    }
}

/* A message, as bellpushd would send it, in its frame (RFC 6455 section 5.2). */
static void put_frame(struct slice data)
{
    char payload[EVENT_MESSAGE_MAX];
    int n = snprintf(payload, sizeof payload,
                     "{\"id\":\"0123456789abcdef-%lld\",\"topic\":\"bench-1\",\"data\":\"%.*s\","
                     "\"time\":\"2026-01-01T00:00:00.000000Z\"}",
                     (long long)++bare.events, (int)data.len, data.at);

    buf_printf(&bare.pending, "%c%c", 0x81, n < 126 ? n : 126);
    if (n >= 126)
        buf_printf(&bare.pending, "%c%c", n >> 8, n & 255);
    buf_put(&bare.pending, (struct slice){ payload, (size_t)n });
}

/* An event, as the worker would send it and as nginx would chunk it. */
static void put_event(struct slice data)
{
    char payload[EVENT_MESSAGE_MAX];
    int n = snprintf(payload, sizeof payload, "id: 0123456789abcdef-%lld\ndata: %.*s\n\n",
                     (long long)++bare.events, (int)data.len, data.at);

    buf_printf(&bare.pending, "%x\r\n%.*s\r\n", (unsigned)n, n, payload);
}

static void publish(struct slice data)
{
    if (bare.websocket)
        put_frame(data);
    else
        put_event(data);
    if (bare.together)
        return;
    write_to_all(buf_slice(&bare.pending));
    bare.pending.len = 0;
}

static void flush(void)
{
    if (bare.pending.len > 0)
        write_to_all(buf_slice(&bare.pending));
    bare.pending.len = 0;
}

static void drop(int fd)
{
    if (bare.place[fd]) { /* the last one takes its place */
        int last = bare.streams[--bare.n];
        bare.streams[bare.place[fd] - 1] = last;
        bare.place[last] = bare.place[fd];
        bare.place[fd] = 0;
    }
    close(fd);
}

static void open_stream(int fd, size_t len)
{
    static const char events[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n";
    /* What the generator's key, that of RFC 6455 section 1.3, wants to hear. */
    static const char websocket[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                    "Connection: Upgrade\r\n"
                                    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    bare.websocket = memmem(bare.buffer, len, "Upgrade: websocket", 18) != NULL;
    struct slice head = slice_of(bare.websocket ? websocket : events);
    if (bare.n == CLIENTS_MAX || send(fd, head.at, head.len, MSG_NOSIGNAL) < 0)
        give_up("cannot open a stream");
    bare.streams[bare.n++] = fd;
    bare.place[fd] = bare.n;
}

/* The whole requests in unread; there is one publisher. */
static void take_posts(int fd)
{
    static const char answer[] = "HTTP/1.1 204 No Content\r\n\r\n", field[] = "Content-Length: ";
    struct buf *in = &bare.unread;
    char *end, *length;

    buf_putc(in, '\0');
    in->len--;
    while ((end = strstr(in->at, "\r\n\r\n")) && (length = strstr(in->at, field))) {
        size_t head = (size_t)(end + 4 - in->at),
               body = strtoul(length + sizeof field - 1, NULL, 10);
        if (in->len < head + body)
            break;
        publish((struct slice){ in->at + head, body });
        buf_shift(in, head + body);
        in->at[in->len] = '\0';
        if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
            give_up("cannot answer");
    }
}

/* --- the log ------------------------------------------------------------------------------- */

/* The same result, if it is one. */
static PGresult *answered(PGresult *result)
{
    if (PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK)
        return result;
    fprintf(stderr, "bare: the log: %s\n", PQerrorMessage(bare.log));
    exit(EXIT_FAILURE);
}

static void open_log(void)
{
    const char *dsn = getenv("BELLPUSH_DATABASE");

    bare.log = PQconnectdb(dsn ? dsn : "");
    PQclear(answered(PQexec(bare.log, "LISTEN bellpush")));
    PQclear(answered(PQexec(bare.log, "SELECT bellpush.prepare_few()")));
    PGresult *head = answered(PQexec(bare.log, "SELECT coalesce(max(seq), 0) FROM bellpush.log"));
    snprintf(bare.after, sizeof bare.after, "%s", PQgetvalue(head, 0, 0));
    PQclear(head);
    watch(PQsocket(bare.log));
}

/* The rows after the last ones; their closing row has no number. */
static void read_log(void)
{
    const char *values[] = { bare.after, "1000", "65536" };
    PGresult *rows = answered(PQexecPrepared(bare.log, "bellpush_few", 3, values, NULL, NULL, 0));

    for (int i = 0; i < PQntuples(rows) && !PQgetisnull(rows, i, 0); i++) {
        size_t len;
        unsigned char *data = PQunescapeBytea((unsigned char *)PQgetvalue(rows, i, 5), &len);
        publish((struct slice){ (char *)data, len });
        PQfreemem(data);
        snprintf(bare.after, sizeof bare.after, "%s", PQgetvalue(rows, i, 0));
    }
    PQclear(rows);
}

static bool bell_has_rung(void)
{
    PGnotify *heard;
    bool rung = false;

    for (; (heard = PQnotifies(bare.log)); PQfreemem(heard))
        rung = true;
    return rung;
}

static void on_bell(void)
{
    if (!PQconsumeInput(bare.log))
        give_up("the log is gone");
    while (bell_has_rung()) /* another may come with the rows */
        read_log();
}

/* --- the loop ------------------------------------------------------------------------------ */

static void on_readable(int fd)
{
    ssize_t n = recv(fd, bare.buffer, sizeof bare.buffer, 0);

    if (n <= 0)
        drop(fd);
    else if (bare.place[fd] == 0 && memcmp(bare.buffer, "GET ", n < 4 ? (size_t)n : 4) == 0)
        open_stream(fd, (size_t)n); /* the generator sends a request in one piece */
    else {
        buf_put(&bare.unread, (struct slice){ bare.buffer, (size_t)n });
        take_posts(fd);
    }
}

static void on_connection(void)
{
    int fd = accept4(bare.listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 || fd >= CLIENTS_MAX)
        give_up("accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    watch(fd);
}

static void listen_somewhere(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;

    bare.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bare.listener < 0 || bind(bare.listener, (struct sockaddr *)&a, len) ||
        listen(bare.listener, 4096) || getsockname(bare.listener, (struct sockaddr *)&a, &len))
        give_up("cannot listen");
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct rlimit files;
    struct epoll_event ev[BATCH];

    bool log = argc == 2 && strcmp(argv[1], "log") == 0;
    bare.together = log || (argc == 2 && strcmp(argv[1], "together") == 0);
    if (argc != 2 || (!bare.together && strcmp(argv[1], "each") != 0)) {
        fprintf(stderr, "usage: bare each|together|log\n");
        return EXIT_FAILURE;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    bare.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (log)
        open_log();
    listen_somewhere();
    watch(bare.listener);
    for (;;) {
        int n = epoll_wait(bare.epoll, ev, BATCH, -1);
        for (int i = 0; i < n; i++)
            if (ev[i].data.fd == bare.listener)
                on_connection();
            else if (bare.log && ev[i].data.fd == PQsocket(bare.log))
                on_bell();
            else
                on_readable(ev[i].data.fd);
        flush();
    }
}
