/*
 * subscriber.c - all subscribers of a run, in one process with one poll(2).
 *
 *      PLACING  asks /poll without since: the cursor it is given is its start, and from there on
 *         v     everything is owed to it
 *      READING <---> RESTING     until it has come to the last event of all
 *
 * A subscriber's only memory is its cursor.  It moves on when an event, a gap or a place has been
 * read as a whole, and never otherwise, so whatever was cut comes again.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "core/topic.h"
#include "tests/faults/load_priv.h"
#include "tests/faults/subscriber_read.h"
#include "tests/peers/http.h"
#include "tests/peers/ws_client.h"

#define SECOND_US INT64_C(1000000)
#define NEVER     INT64_MAX

enum {
    MS = 1000,
    FILTERS_MAX = 3,
    MIXED = TRANSPORT__COUNT, /* any transport, any front, another one each time */
    SILENCE_S = 5,            /* workers say something every second */
    HOLD_S = 3,
    TURN_MS = 100, /* look up at least so often */
    MANY = 50,     /* an answer with so many events may not be all: ask on at once */
    ETAG_MAX = 120,
    WAY_MS = 60, /* from here to there and back: who is told to come at once needs so long */
};

static const char *const transport_names[] = { "events",     "events-json", "stream", "poll",
                                               "poll-plain", "socket",      "talk",   "mixed" };

static const char *const filter_sets[][FILTERS_MAX] = {
    { "#" },
    { "orders/+/paid" },
    { "orders/1/#" },
    { "news" },
    { LOAD_CHANNEL },
    { "chat/#", "news" },
    { "ümläut/雪", "orders/3/paid" },
    { "orders/#", "orders/1/paid", LOAD_CHANNEL }, /* overlap: each event comes once */
    { "goods/+" },
    { "+/1/+", "#", "goods/2" },
};

enum behaviour { STEADY, LEAVES, SLEEPS };
enum state { PLACING, READING, RESTING, DONE };

struct subscriber {
    const struct load_spec *spec;
    struct subscriber_count *count;
    uint64_t *random;
    int number, transport; /* transport: or MIXED */
    size_t front;
    const char *const *filters; /* FILTERS_MAX, NULLs behind the last */
    enum behaviour behaviour;
    FILE *seen;

    enum state state;
    enum transport now_by;
    struct http *http;                   /* PLACING, READING */
    struct ws_client *socket;            /* READING by one; then there is no http */
    bool refused;                        /* what it said there */
    size_t looked;                       /* at its body */
    int64_t heard_us, leave_us, wake_us; /* wake_us: RESTING */
    int64_t retry_ms;                    /* as told last; -1: not */
    bool answered;                       /* well, by now */
    int events;                          /* of this answer */
    char cursor[CURSOR_TEXT_MAX + 1];    /* "": none yet */
    char etag[ETAG_MAX];                 /* of the last answer to plain polling; "": none */
    char trouble[80];                    /* what was noted last; "": all was well since */
};

static int64_t choose(struct subscriber *s, int64_t low, int64_t high)
{
    return random_between(s->random, low, high);
}

/* ---- what it sees -----------------------------------------------------------------------------
 */

static void put_cursor(struct subscriber *s, struct slice at)
{
    if (at.len == 0 || at.len > CURSOR_TEXT_MAX)
        load_fail("subscriber %d is given no cursor: '%.*s'", s->number, (int)at.len, at.at);
    memcpy(s->cursor, at.at, at.len);
    s->cursor[at.len] = '\0';
}

static void on_fact(void *arg, const struct fact *fact)
{
    struct subscriber *s = arg;
    long long now = now_us();
    char text[NAME_TEXT_MAX];
    struct name name;

    switch (fact->kind) {
    case FACT_EVENT:
        put_cursor(s, fact->at);
        s->events++;
        if (!name_find(fact->data, &name)) /* nobody counts it */
            return;
        name_text(name, text);
        fprintf(s->seen, "event\t%lld\t%s\t%s\t%.*s\n", now, s->cursor, text, (int)fact->topic.len,
                fact->topic.at);
        s->count->sightings++;
        return;
    case FACT_GAP:
        put_cursor(s, fact->at);
        fprintf(s->seen, "gap\t%lld\t%.*s\t%s\t%.*s\n", now,
                fact->from.len ? (int)fact->from.len : 1, fact->from.len ? fact->from.at : "-",
                s->cursor, (int)fact->reason.len, fact->reason.at);
        s->count->gaps++;
        return;
    case FACT_PLACE:
        put_cursor(s, fact->at);
        return;
    case FACT_RETRY:
        s->retry_ms = fact->retry_ms;
        return;
    case FACT_REFUSED:
        s->refused = true;
        return;
    case FACT_WRONG:
        break;
    }
    load_fail("subscriber %d (%s) does not understand: %.*s", s->number, transport_names[s->now_by],
              (int)fact->data.len, fact->data.at);
}

/* For people; the same trouble only once in a row. */
static void note(struct subscriber *s, const char *what, int status)
{
    char text[sizeof s->trouble];

    snprintf(text, sizeof text, "%s %d", what, status);
    if (strcmp(text, s->trouble) != 0)
        fprintf(s->seen, "note\t%lld\t%s\n", (long long)now_us(), text);
    memcpy(s->trouble, text, sizeof text);
}

/* ---- asking -----------------------------------------------------------------------------------
 */

static void put_target(struct subscriber *s, bool since, struct buf *out)
{
    static const char *const paths[] = { "events?", "events?format=json&", "stream?",
                                         "poll?",   "poll?wait=0&",        "ws?" };
    bool held = s->now_by == TRANSPORT_POLL;

    buf_printf(out, "/push/%s", paths[s->now_by]);
    for (int i = 0; i < FILTERS_MAX && s->filters[i]; i++) {
        buf_puts(out, i ? "&topic=" : "topic=");
        load_put_encoded(out, s->filters[i]);
    }
    if (held && s->cursor[0])
        buf_printf(out, "&wait=%d", HOLD_S);
    if (since)
        buf_printf(out, "&since=%s", s->cursor);
    buf_putc(out, '\0');
}

static bool by_socket(const struct subscriber *s)
{
    return s->now_by == TRANSPORT_SOCKET || s->now_by == TRANSPORT_TALK;
}

/* The place is told in the address, or, in a conversation, said once it is open. */
static void open_socket(struct subscriber *s)
{
    bool talks = s->now_by == TRANSPORT_TALK;
    struct buf target = BUF_EMPTY;

    if (!talks)
        put_target(s, true, &target);
    s->socket = ws_client_new(
        &(struct ws_client_ask){ .port = s->spec->fronts[s->front].port,
                                 .target = talks ? "/push/ws" : target.at,
                                 .protocols = talks ? "bellpush.v1.json" : NULL,
                                 .extensions = choose(s, 0, 1) ? "permessage-deflate" : NULL });
    s->refused = false;
    buf_fini(&target);
}

static void say_topics(struct subscriber *s)
{
    struct buf text = BUF_EMPTY;

    buf_puts(&text, "{\"do\":\"subscribe\",\"topics\":[");
    for (int i = 0; i < FILTERS_MAX && s->filters[i]; i++)
        buf_printf(&text, "%s\"%s\"", i ? "," : "", s->filters[i]);
    buf_printf(&text, "],\"since\":\"%s\"}", s->cursor);
    ws_client_say(s->socket, FRAME_TEXT, buf_slice(&text));
    buf_fini(&text);
}

/* Where there are no WebSockets it streams instead. */
static void keep_to_what_there_is(struct subscriber *s)
{
    if (by_socket(s) && !s->spec->fronts[s->front].sockets)
        s->now_by = TRANSPORT_LINES;
}

static void ask(struct subscriber *s)
{
    struct buf target = BUF_EMPTY, header = BUF_EMPTY;
    const char *headers[2] = { NULL, NULL };

    if (s->transport == MIXED) {
        s->now_by = (enum transport)choose(s, 0, TRANSPORT__COUNT - 1);
        s->front = (size_t)choose(s, 0, (int64_t)s->spec->n_fronts - 1);
    }
    if (!s->cursor[0])
        s->now_by = TRANSPORT_POLL;
    else if (s->transport != MIXED)
        s->now_by = (enum transport)s->transport;
    keep_to_what_there_is(s);
    s->state = s->cursor[0] ? READING : PLACING;
    s->looked = 0;
    s->events = 0;
    s->answered = false;
    s->heard_us = now_us();
    if (by_socket(s)) {
        open_socket(s);
        return;
    }
    bool by_header = s->cursor[0] && choose(s, 0, 1) == 0; /* as browsers do */
    put_target(s, s->cursor[0] && !by_header, &target);
    if (by_header)
        buf_printf(&header, "Last-Event-ID: %s%c", s->cursor, '\0');
    else if (s->now_by == TRANSPORT_POLL_PLAIN && s->etag[0])
        buf_printf(&header, "If-None-Match: %s%c", s->etag, '\0');
    headers[0] = header.at;
    s->http = http_new(&(struct http_ask){
        .port = s->spec->fronts[s->front].port, .target = target.at, .headers = headers });
    buf_fini(&target);
    buf_fini(&header);
}

static void hang_up(struct subscriber *s)
{
    http_free(s->http);
    s->http = NULL;
    ws_client_free(s->socket);
    s->socket = NULL;
}

static void rest(struct subscriber *s, int64_t ms)
{
    hang_up(s);
    s->state = RESTING;
    s->wake_us = now_us() + ms * MS;
}

/* As it was told, but a second at most, and not all at the same moment. */
static void come_back(struct subscriber *s)
{
    int64_t ms = s->retry_ms < 0 ? 200 : s->retry_ms > 1000 ? 1000 : s->retry_ms;

    s->retry_ms = -1;
    rest(s, ms ? choose(s, ms / 2, ms) : choose(s, 0, WAY_MS));
}

/* From when it is here again. */
static int64_t choose_leave_us(struct subscriber *s, int64_t here_us)
{
    switch (s->behaviour) {
    case LEAVES:
        return here_us + choose(s, 50, 4000) * MS;
    case SLEEPS:
        return here_us + choose(s, 500, 5000) * MS;
    case STEADY:
        break;
    }
    return NEVER;
}

static void leave(struct subscriber *s)
{
    s->count->open = false;
    rest(s, s->behaviour == SLEEPS ? choose(s, 1000, 3000) : choose(s, 0, 300));
    s->leave_us = choose_leave_us(s, s->wake_us);
}

static void suffer(struct subscriber *s, const char *what)
{
    note(s, what, s->socket ? ws_client_status(s->socket) : http_status(s->http));
    s->count->open = false;
    s->count->refusals++;
    come_back(s);
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static void is_answered(struct subscriber *s)
{
    s->count->connects += !s->answered;
    s->count->open = s->answered = true;
    s->trouble[0] = '\0';
}

static void look_at_stream(struct subscriber *s)
{
    is_answered(s);
    http_forget(s->http, read_stream(s->now_by, http_body(s->http), &s->looked, on_fact, s));
    if (http_ended(s->http)) {
        if (!http_complete(s->http))
            note(s, "cut", http_status(s->http));
        s->count->open = false;
        come_back(s);
    }
}

static void keep_etag(struct subscriber *s)
{
    const char *etag = s->now_by == TRANSPORT_POLL_PLAIN ? http_header(s->http, "ETag") : NULL;

    s->etag[0] = '\0';
    if (etag && strlen(etag) < sizeof s->etag)
        strcpy(s->etag, etag);
}

static void look_at_answer(struct subscriber *s)
{
    bool placing = s->state == PLACING;

    if (!http_complete(s->http)) {
        suffer(s, "cut");
        return;
    }
    is_answered(s);
    keep_etag(s);
    if (http_status(s->http) == 200)
        read_poll(http_body(s->http), on_fact, s);
    if (placing)
        fprintf(s->seen, "start\t%lld\t%s\n", (long long)now_us(), s->cursor);
    if (s->events >= MANY)
        s->retry_ms = 0;
    if (now_us() >= s->leave_us)
        leave(s);
    else
        come_back(s);
}

static void read_messages(struct subscriber *s)
{
    struct ws_message m;

    while (ws_client_next(s->socket, &m)) {
        if (m.opcode == FRAME_PING)
            ws_client_frame(s->socket, FRAME_PONG, 0, m.data);
        else if (m.opcode == FRAME_TEXT)
            read_message(m.data, on_fact, s);
        is_answered(s);
    }
}

static void look_at_socket(struct subscriber *s)
{
    int status = ws_client_status(s->socket);

    if (status == 101) {
        if (s->now_by == TRANSPORT_TALK && !s->answered)
            say_topics(s);
        is_answered(s);
        read_messages(s);
    }
    if (ws_client_wrong(s->socket))
        load_fail("subscriber %d: the server of its WebSocket is wrong: %s", s->number,
                  ws_client_wrong(s->socket));
    if (s->refused) {
        suffer(s, "refused");
    } else if (ws_client_over(s->socket) && status == 101) {
        if (ws_client_code(s->socket) == 0)
            note(s, "cut", status);
        s->count->open = false;
        come_back(s);
    } else if (ws_client_over(s->socket) || (status != 0 && status != 101)) {
        s->retry_ms = 1000;
        suffer(s, status ? "refused" : "no answer");
    }
}

/* Something has come, or it has ended. */
static void look(struct subscriber *s)
{
    if (s->socket) {
        look_at_socket(s);
        return;
    }

    int status = http_status(s->http);
    bool poll = s->now_by == TRANSPORT_POLL || s->now_by == TRANSPORT_POLL_PLAIN;

    if (status == 200 && !poll)
        look_at_stream(s);
    else if (status == 200 || status == 304) {
        if (http_ended(s->http))
            look_at_answer(s);
    } else if (http_ended(s->http)) {
        if (http_header(s->http, "Retry-After")) /* in seconds, of which we wait one */
            s->retry_ms = 1000;
        suffer(s, status ? "refused" : "no answer");
    }
}

/* ---- all of them ------------------------------------------------------------------------------
 */

static bool has_come_to_the_end(const struct subscriber *s, const struct load_shared *shared)
{
    struct cursor at;

    if (cursor_parse(slice_of(s->cursor), &at) != RC_OK ||
        strcmp(at.epoch, shared->last_epoch) != 0)
        return false;
    for (int i = 0; i < FILTERS_MAX && s->filters[i]; i++)
        for (size_t t = 0; t < LOAD_TOPICS_ALL; t++)
            if (topic_matches(slice_of(s->filters[i]), slice_of(load_topic(t))) &&
                at.seq < shared->last_seq[t])
                return false;
    return true;
}

static void end(struct subscriber *s)
{
    hang_up(s);
    s->state = DONE;
    fprintf(s->seen, "done\t%lld\n", (long long)now_us());
    fclose(s->seen);
}

/* What time alone brings about. */
static void pass_time(struct subscriber *s, int64_t now)
{
    int64_t hold_us = s->now_by == TRANSPORT_POLL ? HOLD_S * SECOND_US : 0;

    if (s->state == RESTING && now >= s->wake_us)
        ask(s);
    else if (s->state == RESTING || s->state == DONE)
        return;
    else if (now >= s->leave_us && s->state == READING)
        leave(s);
    else if (now - s->heard_us > SILENCE_S * SECOND_US + hold_us)
        suffer(s, "silence");
}

/* Until when nothing happens by itself. */
static int wait_ms(const struct subscriber *all, size_t n)
{
    int64_t now = now_us(), until = now + TURN_MS * MS;

    for (size_t i = 0; i < n; i++) {
        int64_t next = all[i].state == RESTING ? all[i].wake_us : all[i].leave_us;
        if (all[i].state != DONE && next < until)
            until = next;
    }
    return until > now ? (int)((until - now + MS - 1) / MS) : 0;
}

static void turn(struct subscriber *all, size_t n, struct pollfd *fds)
{
    for (size_t i = 0; i < n; i++) {
        struct subscriber *s = &all[i];
        fds[i] = (struct pollfd){ .fd = -1 };
        if (s->http)
            fds[i] = (struct pollfd){ .fd = http_fd(s->http), .events = http_wants(s->http) };
        else if (s->socket)
            fds[i] = (struct pollfd){ .fd = ws_client_fd(s->socket),
                                      .events = ws_client_wants(s->socket) };
    }
    if (poll(fds, n, wait_ms(all, n)) < 0 && errno != EINTR)
        load_fail("poll: %s", strerror(errno));
    for (size_t i = 0; i < n; i++) {
        struct subscriber *s = &all[i];
        if (fds[i].fd >= 0 && fds[i].revents) {
            if (s->socket)
                ws_client_step(s->socket);
            else
                http_step(s->http);
            s->heard_us = now_us();
        }
        if (fds[i].revents || (s->http && http_ended(s->http)) ||
            (s->socket && ws_client_over(s->socket)))
            look(s);
        pass_time(s, now_us());
    }
}

/* From now on nobody leaves or sleeps; true: everybody has come to the end. */
static bool finish(struct subscriber *all, size_t n, const struct load_shared *shared, bool first)
{
    bool over = true;

    for (size_t i = 0; i < n; i++) {
        struct subscriber *s = &all[i];
        s->leave_us = NEVER;
        if (first)
            s->wake_us = 0;
        if (s->state != DONE && has_come_to_the_end(s, shared))
            end(s);
        over &= s->state == DONE;
    }
    return over;
}

static void set_up(struct subscriber *s, const struct load_spec *spec, struct load_shared *shared,
                   int number, uint64_t *random)
{
    *s = (struct subscriber){ .spec = spec,
                              .count = &shared->subscribers[number - 1],
                              .random = random,
                              .number = number,
                              .transport = number % (MIXED + 1),
                              .front = (size_t)number / (MIXED + 1) % spec->n_fronts,
                              .seen = record_open(spec->folder, "seen", number, "w"),
                              .state = RESTING,
                              .retry_ms = -1 };
    s->filters = filter_sets[choose(s, 0, LENGTH(filter_sets) - 1)];
    s->behaviour = s->transport == MIXED ? LEAVES : (enum behaviour)choose(s, STEADY, SLEEPS);
    s->leave_us = choose_leave_us(s, now_us());
    fprintf(s->seen, "subscriber\t%d\t%s\t%s", number, transport_names[s->transport],
            s->transport == MIXED ? "any" : spec->fronts[s->front].name);
    for (int i = 0; i < FILTERS_MAX && s->filters[i]; i++)
        fprintf(s->seen, "\t%s", s->filters[i]);
    fputc('\n', s->seen);
}

void subscribers_run(const struct load_spec *spec, struct load_shared *shared)
{
    size_t n = (size_t)spec->subscribers;
    struct subscriber *all = calloc(n, sizeof *all);
    struct pollfd *fds = calloc(n, sizeof *fds);
    uint64_t random = ~spec->seed; /* other numbers than the publishers' */
    bool finishing = false;

    if (!all || !fds)
        load_fail("no memory for %zu subscribers", n);
    for (size_t i = 0; i < n; i++)
        set_up(&all[i], spec, shared, (int)i + 1, &random);
    for (;;) {
        bool told = load_told_to_finish;
        if (told && finish(all, n, shared, !finishing))
            break;
        finishing = told;
        turn(all, n, fds);
    }
    free(all);
    free(fds);
}
