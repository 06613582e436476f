/*
 * conf.c - the table of settings, and everything that is done by walking it.
 *
 * A new setting is a member of struct conf and a line here, no more: reading, printing, help and
 * "did you mean" follow.  conf_read.c reads files and environments; what cannot be said in one line
 * of the table is in conf_check.c.
 */
#include "core/conf_priv.h"
#include "core/text.h"

#include <sodium.h>
#include <stdlib.h>

enum { NAME_MAX_LEN = 31 };

enum type { TEXT, SECRET, CHOICE, LIST, COUNT, SIZE, TIME };

struct setting {
    const char *name;
    enum type type;
    size_t place; /* offset in struct conf */
    const char *preset;
    int64_t min, max;
    const char *choices; /* "auto|yes|no" */
    const char *help;
};

#define G    (INT64_C(1) << 30)
#define HOUR INT64_C(3600000) /* ms */

#define AT(member) offsetof(struct conf, member)

/* clang-format off */
static const struct setting table[] = {
    /* name               type    place                 default   least, most, choices  help */
    { "database",         SECRET, AT(database),         "",       0, 0, NULL,
      "libpq connection string; empty: the PG* environment" },
    { "listen_database",  SECRET, AT(listen_database),  "",       0, 0, NULL,
      "the same for LISTEN only, past a pooler; empty: as database" },
    { "database_pool",    COUNT,  AT(database_pool),    "2",      1, 100, NULL,
      "query connections per process" },
    { "channels",         LIST,   AT(channels),         "",       0, 0, NULL,
      "plain NOTIFY channels to record as events" },

    { "listen",           TEXT,   AT(listen),           "",       0, 0, NULL,
      "FastCGI socket: a path or host:port; empty: descriptor 0" },
    { "listen_http",      LIST,   AT(listen_http),      "",       0, 0, NULL,
      "bellpushd: where it listens; host:port, [address]:port, or the path of a unix socket" },
    { "mount",            TEXT,   AT(mount),            "/push",  0, 0, NULL,
      "bellpushd: the path below which everything is served; empty: at the root" },
    { "tls_certificate",  LIST,   AT(tls_certificate),  "",       0, 0, NULL,
      "bellpushd: certificates for addresses that begin with tls:, the first that has the name "
      "(SNI), or else the first; PEM, the chain behind each" },
    { "tls_key",          LIST,   AT(tls_key),          "",       0, 0, NULL,
      "bellpushd: their keys in the same order, PEM, not readable by everybody; one: of all; "
      "empty: in the same files" },
    { "workers",          COUNT,  AT(workers),          "0",      0, 64, NULL,
      "bellpushd: processes that share the work, and one that looks after them; 0: just one" },
    { "user",             TEXT,   AT(user),             "",       0, 0, NULL,
      "bellpushd: who it becomes, started as root, when sockets and certificates are open" },
    { "www",              TEXT,   AT(www),              "",       0, 0, NULL,
      "bellpushd: folder whose files are served outside the mount, for development" },
    { "max_open",         COUNT,  AT(max_open),         "0",      0, 10000000, NULL,
      "open requests per process; 0: as many as descriptors allow" },
    { "processes",        COUNT,  AT(processes),        "10",     1, 100000, NULL,
      "one-request mode (CGI, mod_fcgid): how many processes the site may run" },
    { "one_request",      CHOICE, AT(one_request),      "auto",   0, 0, "auto|yes|no",
      "does each process get one request at a time?" },
    { "one_request_hold", TIME,   AT(one_request_hold_ms), "30s", 0, HOUR, NULL,
      "one-request mode: longest hold; short where the web server gathers whole replies" },
    { "slots_file",       TEXT,   AT(slots_file),       "",       0, 0, NULL,
      "one-request mode: lock file shared by all processes; empty: in the temporary folder" },
    { "drain",            TIME,   AT(drain_ms),         "10s",    0, HOUR, NULL,
      "longest graceful stop" },

    { "max_event_bytes",  SIZE,   AT(max_event_bytes),  "1m",     1, G, NULL,
      "largest event" },
    { "max_body_bytes",   SIZE,   AT(max_body_bytes),   "8m",     1, G, NULL,
      "largest body of a request" },
    { "max_batch",        COUNT,  AT(max_batch),        "1000",   1, 1000000, NULL,
      "events in one publish" },
    { "max_topics",       COUNT,  AT(max_topics),       "100",    1, 100000, NULL,
      "topic filters of one request" },
    { "cloudevents_source", TEXT, AT(cloudevents_source), "/bellpush", 0, 0, NULL,
      "format=cloudevents: `source` of events that came without one: a URI" },
    { "journal_events",   COUNT,  AT(journal_events),   "20000",  0, 100000000, NULL,
      "recent events kept in memory" },
    { "journal_bytes",    SIZE,   AT(journal_bytes),    "64m",    0, 1024 * G, NULL,
      "and their bytes" },

    { "heartbeat",        TIME,   AT(heartbeat_ms),     "15s",    10, HOUR, NULL,
      "a comment goes out on streams that are silent for so long" },
    { "retry",            TIME,   AT(retry_ms),         "2s",     10, HOUR, NULL,
      "clients come back after this, jittered" },
    { "poll_wait",        TIME,   AT(poll_wait_ms),     "25s",    0, HOUR, NULL,
      "longest hold of a long-poll" },
    { "poll_limit",       COUNT,  AT(poll_limit),       "100",    1, 100000, NULL,
      "most events of one poll" },
    { "stream_bytes",     SIZE,   AT(stream_bytes),     "64m",    0,    2 * G, NULL,
      "/stream ends cleanly after so many bytes; 0: never" },
    { "queue_bytes",      SIZE,   AT(queue_bytes),      "256k",   1, G, NULL,
      "a slow reader is paused above so many waiting bytes" },
    { "queue_age",        TIME,   AT(queue_age_ms),     "30s",    10, 24 * HOUR, NULL,
      "and closed when it takes nothing for so long" },

    { "io_uring",         CHOICE, AT(io_uring),         "auto",   0, 0, "auto|no",
      "send to many readers in one system call, where the kernel has io_uring and allows it" },

    { "ws_ping",          TIME,   AT(ws_ping_ms),       "30s",    10, HOUR, NULL,
      "a WebSocket peer that is silent for so long is pinged, and closed if it stays silent" },
    { "ws_deflate",       CHOICE, AT(ws_deflate),       "yes",    0, 0, "yes|no",
      "compress WebSocket messages for peers that offer it (permessage-deflate)" },
    { "ws_echo",          CHOICE, AT(ws_echo),          "no",     0, 0, "no|yes",
      "answer /ws/echo with what is said there, for conformance suites" },

    { "publish_key",      SECRET, AT(publish_key),      "",       0, 0, NULL,
      "key for publishing over HTTP; empty and no file: nobody may" },
    { "publish_key_file", TEXT,   AT(publish_key_file), "",       0, 0, NULL,
      "file that holds the key, not readable by everybody" },
    { "token_key",        SECRET, AT(token_key),        "",       0, 0, NULL,
      "secret of HS256 tokens (JWT), 32 bytes or more; those of bellpush.token() need none" },
    { "token_key_file",   TEXT,   AT(token_key_file),   "",       0, 0, NULL,
      "file that holds it, not readable by everybody" },
    { "token_keys_file",  TEXT,   AT(token_keys_file),  "",       0, 0, NULL,
      "file with a JWK Set: HS256, EdDSA, ES256, RS256" },
    { "token_issuers",    LIST,   AT(token_issuers),    "",       0, 0, NULL,
      "whose tokens count (iss); empty: whoever has a key" },
    { "token_audience",   TEXT,   AT(token_audience),   "",       0, 0, NULL,
      "who tokens must be for (aud); empty: none may say" },
    { "token_cookie",     TEXT,   AT(token_cookie),     "",       0, 0, NULL,
      "cookie that may hold a token" },
    { "token_in_query",   CHOICE, AT(token_in_query),   "no",     0, 0, "no|yes",
      "may access_token= hold one? (web servers log addresses)" },
    { "session_cookies",  LIST,   AT(session_cookies),  "",       0, 0, NULL,
      "cookies shown to the site's bellpush.authorize()" },
    { "authorize_for",    TIME,   AT(authorize_for_ms), "5m",     100, 24 * HOUR, NULL,
      "its answers are good for so long; streams that need one then ask again" },
    { "closed",           LIST,   AT(closed),           "",       0, 0, NULL,
      "topic filters nobody may subscribe to without a right" },
    { "cors_origins",     LIST,   AT(cors_origins),     "",       0, 0, NULL,
      "origins whose pages may ask: https://example.org" },

    { "max_query_bytes",  SIZE,   AT(max_query_bytes),  "64k",    64, 65536, NULL,
      "longest query string" },
    { "trusted_proxies",  LIST,   AT(trusted_proxies),  "",       0, 0, NULL,
      "networks of the site's own proxies: 192.0.2.0/24, private, unix" },
    { "forwarded_header", TEXT,   AT(forwarded_header), "X-Forwarded-For", 0, 0, NULL,
      "the one header in which they write whom they speak for; Forwarded is that of RFC 7239" },
    { "unlimited_addresses", LIST, AT(unlimited_addresses), "private, unix", 0, 0, NULL,
      "networks to which no limit for addresses applies" },
    { "requests_per_address", COUNT, AT(requests_per_address), "60000", 0, 10000000, NULL,
      "requests a minute of one address (IPv6: /64); a refused token costs 100; 0: no limit" },
    { "requests_per_subject", COUNT, AT(requests_per_subject), "0", 0, 10000000, NULL,
      "of the holders of one subject's tokens" },
    { "publishes_per_address", COUNT, AT(publishes_per_address), "0", 0, 10000000, NULL,
      "events a minute published from one address" },
    { "publishes_per_subject", COUNT, AT(publishes_per_subject), "0", 0, 10000000, NULL,
      "by one subject" },
    { "publishes_per_key", COUNT, AT(publishes_per_key), "0", 0, 10000000, NULL,
      "with the publish key, whose holder's address is not counted" },
    { "publish_bytes_per_address", SIZE, AT(publish_bytes_per_address), "0", 0, 1024 * G, NULL,
      "bytes a minute published from one address" },
    { "publish_bytes_per_subject", SIZE, AT(publish_bytes_per_subject), "0", 0, 1024 * G, NULL,
      "by one subject" },
    { "publish_bytes_per_key", SIZE, AT(publish_bytes_per_key), "0", 0, 1024 * G, NULL,
      "with the publish key" },
    { "open_per_address", COUNT,  AT(open_per_address), "1000",   0, 10000000, NULL,
      "streams and polls open to one address; never more than half of all; 0: no limit" },
    { "open_per_subject", COUNT,  AT(open_per_subject), "0",      0, 10000000, NULL,
      "and to one subject" },

    { "max_joined",       COUNT,  AT(max_joined),       "100000", 0, 10000000, NULL,
      "presence: members of one process on all topics together; 0: nobody may join" },
    { "joins_per_connection", COUNT, AT(joins_per_connection), "100", 1, 100000, NULL,
      "topics that one connection may join" },
    { "joined_per_topic", COUNT,  AT(joined_per_topic), "10000",  1, 10000000, NULL,
      "names on one topic, of all processes" },
    { "join_bytes",       SIZE,   AT(join_bytes),       "1k",     0, 64 * 1024, NULL,
      "JSON that a member shows to the others" },

    { "probe",            TIME,   AT(probe_ms),         "5s",     10, HOUR, NULL,
      "self-test of the listening connection" },
    { "log_file",         TEXT,   AT(log_file),         "",       0, 0, NULL,
      "empty: standard error" },
    { "log_level",        CHOICE, AT(log_level),        "info",   0, 0, "error|warn|info|debug",
      "how much to log" },
};
/* clang-format on */

_Static_assert(LENGTH(table) <= LENGTH(((struct conf *)0)->origin),
               "struct conf: origin too short");

/* --- places -------------------------------------------------------------------------------- */

static char **text_at(const struct conf *c, const struct setting *s)
{
    return (char **)(void *)((char *)c + s->place);
}

static struct conf_list *list_at(const struct conf *c, const struct setting *s)
{
    return (struct conf_list *)(void *)((char *)c + s->place);
}

static int64_t *number_at(const struct conf *c, const struct setting *s)
{
    return (int64_t *)(void *)((char *)c + s->place);
}

static bool is_text(const struct setting *s)
{
    return s->type == TEXT || s->type == SECRET || s->type == CHOICE;
}

static void wipe_and_free(char *text)
{
    if (text)
        sodium_memzero(text, strlen(text));
    free(text);
}

static void list_fini(struct conf_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->at[i]);
    free(list->at);
    *list = (struct conf_list){ NULL, 0 };
}

/* --- one value ----------------------------------------------------------------------------- */

static enum rc put_text(struct conf *c, const struct setting *s, struct slice value)
{
    char *copy = slice_dup(value);
    if (!copy)
        return RC_NOMEM;
    wipe_and_free(*text_at(c, s));
    *text_at(c, s) = copy;
    return RC_OK;
}

static bool is_choice(const char *choices, struct slice value)
{
    for (;;) {
        size_t n = strcspn(choices, "|");
        if (slice_is((struct slice){ choices, n }, value))
            return true;
        if (!choices[n])
            return false;
        choices += n + 1;
    }
}

static enum rc put_list(struct conf *c, const struct setting *s, struct slice value)
{
    struct conf_list list = { NULL, 0 };
    size_t items = 1;
    for (size_t i = 0; i < value.len; i++)
        items += value.at[i] == ',';
    value = slice_trim(value);
    if (value.len > 0 && !(list.at = calloc(items, sizeof *list.at)))
        return RC_NOMEM;
    for (bool more = value.len > 0; more;) {
        const char *comma = memchr(value.at, ',', value.len);
        struct slice item = { value.at, comma ? (size_t)(comma - value.at) : value.len };
        more = comma;
        value = (struct slice){ value.at + item.len + more, value.len - item.len - more };
        item = slice_trim(item);
        enum rc rc = item.len == 0 ? RC_SYNTAX : RC_OK;
        if (rc == RC_OK && !(list.at[list.n] = slice_dup(item)))
            rc = RC_NOMEM;
        if (rc != RC_OK) {
            list_fini(&list);
            return rc;
        }
        list.n++;
    }
    list_fini(list_at(c, s));
    *list_at(c, s) = list;
    return RC_OK;
}

static void number_put(struct buf *out, const struct setting *s, int64_t n)
{
    if (s->type == SIZE)
        size_put(out, n);
    else if (s->type == TIME)
        duration_put(out, n);
    else
        buf_printf(out, "%lld", (long long)n);
}

static enum rc put_number(struct conf *c, const struct setting *s, struct slice value,
                          struct buf *why)
{
    int64_t n;
    enum rc rc = s->type == SIZE   ? size_parse(value, INT64_MAX, &n)
                 : s->type == TIME ? duration_parse(value, INT64_MAX, &n)
                                   : number_parse(value, INT64_MAX, &n);
    if (rc != RC_OK) {
        buf_printf(why, "expected %s",
                   s->type == SIZE   ? "a size such as 500, 64k, 8m or 1g"
                   : s->type == TIME ? "a time such as 250ms, 15s, 2m, 1h or 7d"
                                     : "a whole number");
    } else if (n < s->min || n > s->max) {
        buf_puts(why, "must be ");
        number_put(why, s, s->min);
        buf_puts(why, " to ");
        number_put(why, s, s->max);
        rc = RC_SYNTAX;
    } else {
        *number_at(c, s) = n;
    }
    return rc;
}

static enum rc put_value(struct conf *c, const struct setting *s, struct slice value,
                         struct buf *why)
{
    bool control = false;
    for (size_t i = 0; i < value.len; i++)
        control = control || (unsigned char)value.at[i] < 0x20 || value.at[i] == 0x7F;
    if (control || !utf8_valid(value)) {
        buf_puts(why, control ? "contains a control character" : "is not valid UTF-8");
        return RC_SYNTAX;
    }
    if (s->type == LIST) {
        enum rc rc = put_list(c, s, value);
        if (rc == RC_SYNTAX)
            buf_puts(why, "an item of the list is empty");
        return rc;
    }
    if (!is_text(s))
        return put_number(c, s, value, why);
    if (s->type == CHOICE && !is_choice(s->choices, value)) {
        buf_printf(why, "must be one of %s", s->choices);
        return RC_SYNTAX;
    }
    return put_text(c, s, value);
}

/* --- names --------------------------------------------------------------------------------- */

static const struct setting *find(struct slice name)
{
    for (size_t i = 0; i < LENGTH(table); i++)
        if (slice_is(name, slice_of(table[i].name)))
            return &table[i];
    return NULL;
}

/* Letters to insert, delete, replace or swap with the neighbour to get from a to b. */
static size_t edit_distance(struct slice a, struct slice b)
{
    size_t rows[3][NAME_MAX_LEN + 1], *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.len; j++)
        above[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t least = above[j - 1] + (a.at[i - 1] != b.at[j - 1]);
            if (above[j] + 1 < least)
                least = above[j] + 1;
            if (row[j - 1] + 1 < least)
                least = row[j - 1] + 1;
            if (i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] && a.at[i - 2] == b.at[j - 1] &&
                before[j - 2] + 1 < least)
                least = before[j - 2] + 1;
            row[j] = least;
        }
        size_t *unused = before;
        before = above;
        above = row;
        row = unused;
    }
    return above[b.len];
}

int conf_index(struct slice name)
{
    const struct setting *s = find(name);
    return s ? (int)(s - table) : -1;
}

static const char *did_you_mean(struct slice name)
{
    const char *best = NULL;
    size_t least = name.len / 2 < 3 ? name.len / 2 : 3; /* further away is guessing */
    if (name.len > NAME_MAX_LEN)
        return NULL;
    for (size_t i = 0; i < LENGTH(table); i++) {
        size_t distance = edit_distance(name, slice_of(table[i].name));
        if (distance < least || (distance == least && !best)) {
            best = table[i].name;
            least = distance;
        }
    }
    return best;
}

/* --- assignments --------------------------------------------------------------------------- */

enum rc conf_assign(struct conf *c, struct slice name, struct slice value, const char *origin,
                    struct buf *errors)
{
    const struct setting *s = find(name);
    if (!s) {
        const char *guess = did_you_mean(name);
        buf_printf(errors, "%s: unknown setting '%.*s'", origin,
                   (int)(name.len < 80 ? name.len : 80), name.at);
        if (guess)
            buf_printf(errors, "; did you mean '%s'?", guess);
        buf_putc(errors, '\n');
        return RC_SYNTAX;
    }
    char *source = slice_dup(slice_of(origin));
    if (!source)
        return RC_NOMEM;
    struct buf why = BUF_EMPTY;
    enum rc rc = put_value(c, s, value, &why);
    if (rc == RC_OK) {
        free(c->origin[s - table]);
        c->origin[s - table] = source;
    } else {
        free(source);
        /* The value itself is not repeated: it may be a secret in the wrong place. */
        if (rc == RC_SYNTAX)
            buf_printf(errors, "%s: %s: %.*s\n", origin, s->name, (int)why.len, why.at);
    }
    buf_fini(&why);
    return rc;
}

/* --- the whole ----------------------------------------------------------------------------- */

enum rc conf_init(struct conf *c)
{
    struct buf why = BUF_EMPTY;
    *c = (struct conf){ .database = NULL };
    for (size_t i = 0; i < LENGTH(table); i++) {
        if (put_value(c, &table[i], slice_of(table[i].preset), &why) != RC_OK) {
            conf_fini(c);
            return RC_NOMEM;
        }
    }
    return RC_OK;
}

void conf_fini(struct conf *c)
{
    for (size_t i = 0; i < LENGTH(table); i++) {
        if (is_text(&table[i]))
            wipe_and_free(*text_at(c, &table[i]));
        else if (table[i].type == LIST)
            list_fini(list_at(c, &table[i]));
        free(c->origin[i]);
    }
    wipe_and_free(c->token_jwks);
    *c = (struct conf){ .database = NULL };
}

const char *conf_origin(const struct conf *c, const char *setting)
{
    const struct setting *s = find(slice_of(setting));
    return s && c->origin[s - table] ? c->origin[s - table] : "default";
}

/* A key, or a connection string with a password in it (key=value or URI)? */
static bool is_secret(const struct setting *s, const char *value)
{
    if (s->type != SECRET || !*value)
        return false;
    if (strcmp(s->name, "publish_key") == 0 || strcmp(s->name, "token_key") == 0 ||
        strcasestr(value, "password"))
        return true;
    const char *host = strstr(value, "://");
    const char *at = host ? strchr(host, '@') : NULL;
    const char *colon = at ? strchr(host + 3, ':') : NULL;
    return colon && colon < at;
}

const char *conf_secret(const struct conf *c, size_t n, const char **origin)
{
    if (n >= LENGTH(table) || !is_text(&table[n]) || !is_secret(&table[n], *text_at(c, &table[n])))
        return NULL;
    *origin = c->origin[n] ? c->origin[n] : "default";
    return table[n].name;
}

void conf_print(const struct conf *c, struct buf *out)
{
    for (size_t i = 0; i < LENGTH(table); i++) {
        const struct setting *s = &table[i];
        const char *origin = c->origin[i] ? c->origin[i] : "default";
        if (is_text(s) && is_secret(s, *text_at(c, s))) {
            buf_printf(out, "# %s; not shown\n# %s = \"***\"\n", origin, s->name);
            continue;
        }
        buf_printf(out, "# %s\n%s = ", origin, s->name);
        if (is_text(s)) {
            buf_printf(out, "\"%s\"", *text_at(c, s));
        } else if (s->type == LIST) {
            buf_putc(out, '"');
            for (size_t j = 0; j < list_at(c, s)->n; j++)
                buf_printf(out, "%s%s", j ? ", " : "", list_at(c, s)->at[j]);
            buf_putc(out, '"');
        } else {
            number_put(out, s, *number_at(c, s));
        }
        buf_putc(out, '\n');
    }
}

void conf_help(struct buf *out)
{
    static const char *const types[] = {
        [TEXT] = "text",    [SECRET] = "text", [LIST] = "list",
        [COUNT] = "number", [SIZE] = "size",   [TIME] = "time",
    };
    for (size_t i = 0; i < LENGTH(table); i++) {
        const struct setting *s = &table[i];
        buf_printf(out, "%-25s %s", s->name, s->type == CHOICE ? s->choices : types[s->type]);
        buf_printf(out, *s->preset ? ", default %s\n" : "\n", s->preset);
        buf_printf(out, "%-25s %s\n", "", s->help);
    }
}
