/*
 * publisher_sorts.c - what stands between BEGIN and COMMIT: every sort of transaction.
 *
 * Each event's row of the ledger is written by the statement that publishes it, so that both live
 * and die together: what a savepoint takes back is in neither.
 */
#include <stdlib.h>

#include "tests/faults/publisher_priv.h"

enum {
    SEVERAL_MAX = 6,
    BULK_LEAST = 50,
    BULK_MOST = 200,
    OPEN_LEAST_MS = 300,
    OPEN_MOST_MS = 2000,
    LARGE_LEAST = 100 << 10,
    LARGE_MOST = 900 << 10,
    SHELVES = 3, /* "goods/1" to "goods/3" */
    NOTIFIES_MAX = 3,
};

#define LEDGER(kind) "WITH l AS (INSERT INTO faults.ledger VALUES ($1, $2, '" kind "')) "

struct event_spec {
    const char *type; /* NULL: none */
    bool retain;
};

static bool publish(struct publisher *p, const char *name, const char *topic, const char *data,
                    struct event_spec e)
{
    const char *values[] = { name, topic, data, e.type, e.retain ? "t" : "f" };
    return publisher_ask(p,
                         LEDGER("publish") "SELECT bellpush.publish($2::text, $3::text,"
                                           " type => $4::text, retain => $5::boolean)",
                         LENGTH(values), values);
}

static bool publish_some(struct publisher *p, struct event_spec e)
{
    char name[NAME_TEXT_MAX];
    struct buf data = BUF_EMPTY;

    publisher_name(p, name);
    publisher_data(p, name, &data);
    bool good = publish(p, name, publisher_topic(p), data.at, e);
    buf_fini(&data);
    return good;
}

/* ---- the sorts --------------------------------------------------------------------------------
 */

static bool fill_single(struct publisher *p)
{
    bool typed = choose(p, 0, 3) == 0;
    return publish_some(p, (struct event_spec){ .type = typed ? "status" : NULL });
}

static bool fill_several(struct publisher *p)
{
    bool good = true;
    for (int64_t n = choose(p, 2, SEVERAL_MAX); good && n > 0; n--)
        good = fill_single(p);
    return good;
}

static bool fill_retained(struct publisher *p)
{
    return publish_some(p, (struct event_spec){ .retain = true });
}

/* Arrays need no quoting inside their quotes: names and topics have neither quote nor backslash. */
static bool fill_bulk(struct publisher *p)
{
    struct buf names = BUF_EMPTY, topics = BUF_EMPTY;
    int64_t n = choose(p, BULK_LEAST, BULK_MOST);

    for (int64_t i = 0; i < n; i++) {
        char name[NAME_TEXT_MAX];
        publisher_name(p, name);
        buf_printf(&names, "%c\"%s\"", i ? ',' : '{', name);
        buf_printf(&topics, "%c\"%s\"", i ? ',' : '{', publisher_topic(p));
    }
    buf_printf(&names, "}%c", '\0');
    buf_printf(&topics, "}%c", '\0');
    const char *values[] = { names.at, topics.at };
    bool good = publisher_ask(
        p,
        "WITH l AS (INSERT INTO faults.ledger"
        " SELECT name, topic, 'publish' FROM unnest($1::text[], $2::text[]) u(name, topic))"
        " SELECT bellpush.publish_many($2::text[],"
        " ARRAY(SELECT name || ' of many' FROM unnest($1::text[]) WITH ORDINALITY u(name, nr)"
        "       ORDER BY nr))",
        LENGTH(values), values);
    buf_fini(&names);
    buf_fini(&topics);
    return good;
}

static bool fill_savepoint(struct publisher *p)
{
    return fill_single(p) && publisher_ask(p, "SAVEPOINT s", 0, NULL) && fill_several(p) &&
           publisher_ask(p, "ROLLBACK TO SAVEPOINT s", 0, NULL) &&
           (choose(p, 0, 1) == 0 || publisher_ask(p, "RELEASE SAVEPOINT s", 0, NULL)) &&
           fill_single(p);
}

static bool fill_open(struct publisher *p)
{
    if (!fill_several(p))
        return false;
    publisher_pause(choose(p, OPEN_LEAST_MS, OPEN_MOST_MS));
    return true;
}

/* Mostly near the smaller end; the name comes first or last, so that all of it must have come. */
static bool fill_large(struct publisher *p)
{
    bool larger = choose(p, 0, 1) == 0;
    int64_t size = choose(p, LARGE_LEAST, larger ? LARGE_MOST : 2 * LARGE_LEAST);
    bool last = choose(p, 0, 1) == 0;
    char name[NAME_TEXT_MAX];
    struct buf data = BUF_EMPTY;

    publisher_name(p, name);
    if (!last)
        buf_puts(&data, name);
    while ((int64_t)data.len < size)
        buf_printf(&data, "%lld bottles of beer on the wall\n", (long long)choose(p, 1, 99));
    if (last)
        buf_puts(&data, name);
    buf_putc(&data, '\0');
    bool good = publish(p, name, publisher_topic(p), data.at, (struct event_spec){ NULL, false });
    buf_fini(&data);
    return good;
}

static bool fill_json(struct publisher *p)
{
    char name[NAME_TEXT_MAX];

    publisher_name(p, name);
    const char *values[] = { name, publisher_topic(p) };
    return publisher_ask(p,
                         LEDGER("publish") "SELECT bellpush.publish($2::text, jsonb_build_object("
                                           "'name', $1::text, 'at', clock_timestamp(),"
                                           " 'list', '[1, \"ä\\n\", null]'::jsonb))",
                         LENGTH(values), values);
}

/* Not text: JSON and server-sent events carry it as base64. */
static bool fill_bytes(struct publisher *p)
{
    char name[NAME_TEXT_MAX];

    publisher_name(p, name);
    const char *values[] = { name, publisher_topic(p) };
    return publisher_ask(p,
                         LEDGER("publish") "SELECT bellpush.publish($2::text, '\\xff00fe'::bytea"
                                           " || convert_to($1, 'UTF8') || '\\x80ff'::bytea)",
                         LENGTH(values), values);
}

/* The snapshot is older than what others commit meanwhile. */
static bool fill_snapshot(struct publisher *p)
{
    if (!publisher_ask(p, "SELECT count(*) FROM bellpush.state", 0, NULL))
        return false;
    publisher_pause(choose(p, 0, 30));
    return fill_several(p);
}

static bool fill_watched(struct publisher *p)
{
    char name[NAME_TEXT_MAX], topic[32], shelf[4];
    int n = (int)choose(p, 1, SHELVES);

    publisher_name(p, name);
    snprintf(topic, sizeof topic, "goods/%d", n);
    snprintf(shelf, sizeof shelf, "%d", n);
    const char *values[] = { name, topic, shelf };
    return publisher_ask(
        p, LEDGER("watch") "INSERT INTO faults.goods (shelf, name) VALUES ($3::int, $1)",
        LENGTH(values), values);
}

static bool fill_notify(struct publisher *p)
{
    bool good = true;

    for (int64_t n = choose(p, 1, NOTIFIES_MAX); good && n > 0; n--) {
        char name[NAME_TEXT_MAX];
        struct buf data = BUF_EMPTY;
        publisher_name(p, name);
        publisher_data(p, name, &data);
        const char *values[] = { name, LOAD_CHANNEL, data.at };
        good = publisher_ask(p, LEDGER("notify") "SELECT pg_notify($2::text, $3::text)",
                             LENGTH(values), values);
        buf_fini(&data);
    }
    return good;
}

const struct sort sorts[SORTS] = {
    { 300, "BEGIN", false, KIND_PUBLISH, fill_single },
    { 120, "BEGIN", false, KIND_PUBLISH, fill_several },
    { 16, "BEGIN", false, KIND_PUBLISH, fill_bulk },
    { 80, "BEGIN", true, KIND_PUBLISH, fill_several },
    { 80, "BEGIN", false, KIND_PUBLISH, fill_savepoint },
    { 10, "BEGIN", false, KIND_PUBLISH, fill_open },
    { 3, "BEGIN", false, KIND_PUBLISH, fill_large },
    { 80, "BEGIN", false, KIND_PUBLISH, fill_json },
    { 40, "BEGIN", false, KIND_PUBLISH, fill_bytes },
    { 60, "BEGIN ISOLATION LEVEL REPEATABLE READ", false, KIND_PUBLISH, fill_snapshot },
    { 60, "BEGIN", false, KIND_PUBLISH, fill_retained },
    { 80, "BEGIN", false, KIND_WATCH, fill_watched },
    { 100, "BEGIN", false, KIND_NOTIFY, fill_notify },
};
