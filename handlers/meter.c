/*
 * meter.c - what visitors use up, and 429 for those who have used up theirs.
 */
#include "handlers/meter.h"

#include <sodium.h>

#include "handlers/problem.h"

enum {
    FAILURE_COST = 100, /* requests */
    NAME_SHOWN = 80,    /* bytes of a subject in the log */
    OPEN_RETRY_TIMES = 5,
};

/* ---- from where ------------------------------------------------------------------------------ */

struct lines {
    const char *name;
    struct buf said;
};

/* A header may come several times: proxies may add a line instead of adding to one. */
static void gather(void *arg, struct slice name, struct slice value)
{
    struct lines *l = arg;

    if (!slice_is(name, slice_of(l->name)))
        return;
    if (l->said.len > 0)
        buf_putc(&l->said, ',');
    buf_put(&l->said, value);
}

/*
 * Who sends the header, but is not trusted, is a proxy that was forgotten or a client that pretends
 * to be one.  The operator is told of the first, because all who come through it count as one.
 */
static void tell_of_proxy(const struct visit *v, struct slice peer)
{
    struct health *h = &v->server->health;
    const char *header = limits_forwarded_header(v->server->limits);

    if (h->proxy_told || !request_header(v->request, header).at)
        return;
    h->proxy_told = true;
    log_info(&v->server->log,
             "%.*s says for whom it speaks (%s): if it is a proxy of yours, name it in "
             "trusted_proxies; until then all its clients count as one",
             (int)peer.len, peer.len ? peer.at : "", header);
}

/* False: it has no address. */
static bool find_address(struct visit *v, struct address *out)
{
    const struct limits *limits = v->server->limits;
    struct lines lines = { .name = limits_forwarded_header(limits) };
    struct slice peer = v->request->head->remote;
    struct address hop;
    bool known = address_parse(peer, &hop) == RC_OK;

    if (networks_hold(limits_trusted(limits), known ? &hop : NULL))
        request_each_header(v->request, gather, &lines);
    else
        tell_of_proxy(v, peer);
    /* What could not be gathered is not believed in parts. */
    struct slice said = buf_rc(&lines.said) == RC_OK ? buf_slice(&lines.said) : SLICE_NONE;
    known = address_of_client(limits_trusted(limits), peer, said,
                              strcmp(lines.name, "forwarded") == 0, out);
    buf_fini(&lines.said);
    return known;
}

/* ---- limits ---------------------------------------------------------------------------------- */

static const char *const kinds[] = {
    [PARTY_ADDRESS] = "address",
    [PARTY_SUBJECT] = "subject",
    [PARTY_KEY] = "key",
};

static const struct limit {
    const char *setting;
    size_t place; /* in struct conf */
} limits_of[FLOW__COUNT][PARTY__COUNT] = {
#define LIMIT(name) #name, offsetof(struct conf, name)
    [FLOW_REQUESTS][PARTY_ADDRESS] = { LIMIT(requests_per_address) },
    [FLOW_REQUESTS][PARTY_SUBJECT] = { LIMIT(requests_per_subject) },
    [FLOW_PUBLISHES][PARTY_ADDRESS] = { LIMIT(publishes_per_address) },
    [FLOW_PUBLISHES][PARTY_SUBJECT] = { LIMIT(publishes_per_subject) },
    [FLOW_PUBLISHES][PARTY_KEY] = { LIMIT(publishes_per_key) },
    [FLOW_BYTES][PARTY_ADDRESS] = { LIMIT(publish_bytes_per_address) },
    [FLOW_BYTES][PARTY_SUBJECT] = { LIMIT(publish_bytes_per_subject) },
    [FLOW_BYTES][PARTY_KEY] = { LIMIT(publish_bytes_per_key) },
#undef LIMIT
};

static const char *const flows[] = {
    [FLOW_REQUESTS] = "requests",
    [FLOW_PUBLISHES] = "events",
    [FLOW_BYTES] = "bytes of events",
};

static int64_t per_minute(const struct visit *v, enum flow flow, enum party_kind kind)
{
    const struct limit *limit = &limits_of[flow][kind];
    int64_t n = 0;

    if (limit->setting)
        memcpy(&n, (const char *)v->server->conf + limit->place, sizeof(n));
    return n;
}

static uint64_t now_ms(const struct visit *v)
{
    return uv_now(v->server->loop);
}

static void note(const struct visit *v, enum party_kind kind, const char *setting)
{
    struct server *s = v->server;
    struct slice name = SLICE_NONE;

    s->stats.limited++;
    if (kind == PARTY_ADDRESS)
        name = v->address;
    else if (kind == PARTY_SUBJECT)
        name = rights_fields(v->who->rights)->subject;
    log_seldom(&s->log, &s->health.limit_flood, now_ms(v), LOG_INFO, "limited: %s %.*s (%s)",
               kinds[kind], (int)(name.len < NAME_SHOWN ? name.len : NAME_SHOWN),
               name.len ? name.at : "", setting);
}

/* Has this party so much left?  False: answered. */
static bool has_left(const struct visit *v, enum flow flow, enum party_kind kind, int64_t cost)
{
    int64_t most = per_minute(v, flow, kind);
    int64_t wait = limits_wait_ms(v->server->limits, v->party[kind], flow, most, cost, now_ms(v));

    if (wait == 0)
        return true;
    note(v, kind, limits_of[flow][kind].setting);
    problem_retry(v->request, v->common, 429, wait,
                  "This %s has used up its %lld %s a minute (%s). Go on in %lld s.", kinds[kind],
                  (long long)most, flows[flow], limits_of[flow][kind].setting,
                  (long long)(wait + 999) / 1000);
    return false;
}

static void charge(const struct visit *v, enum flow flow, enum party_kind kind, int64_t cost)
{
    limits_charge(v->server->limits, v->party[kind], flow, per_minute(v, flow, kind), cost,
                  now_ms(v));
}

/* ---- requests -------------------------------------------------------------------------------- */

bool meter_address(struct visit *v, char text[ADDRESS_TEXT_MAX + 1])
{
    const struct limits *limits = v->server->limits;
    struct address address;
    bool known = find_address(v, &address);

    v->address = v->request->head->remote; /* "unix:" and the like */
    if (known)
        v->address = (struct slice){ text, address_text(&address, text) };
    if (!networks_hold(limits_exempt(limits), known ? &address : NULL)) {
        struct address counted = known ? address_counted(&address) : (struct address){ { 0 } };
        v->party[PARTY_ADDRESS] = limits_party(
            limits, PARTY_ADDRESS, (struct slice){ (const char *)counted.at, sizeof(counted.at) });
    }
    if (v->request->counted)
        return true;
    v->request->counted = true;
    if (slice_is(v->request->head->method, SLICE("OPTIONS"))) {
        /* Refused, a preflight would keep the page from reading when to come back. */
        limits_fine(v->server->limits, v->party[PARTY_ADDRESS], FLOW_REQUESTS,
                    per_minute(v, FLOW_REQUESTS, PARTY_ADDRESS), 1, now_ms(v));
        return true;
    }
    if (!has_left(v, FLOW_REQUESTS, PARTY_ADDRESS, 1))
        return false;
    charge(v, FLOW_REQUESTS, PARTY_ADDRESS, 1);
    return true;
}

bool meter_who(struct visit *v)
{
    struct limits *limits = v->server->limits;
    bool counted = v->request->counted_subject;

    v->request->counted_subject = true;
    if (v->who->has_key) {
        if (!counted)
            limits_refund(limits, v->party[PARTY_ADDRESS], FLOW_REQUESTS,
                          per_minute(v, FLOW_REQUESTS, PARTY_ADDRESS), 1, now_ms(v));
        v->party[PARTY_ADDRESS] = PARTY_NONE;
        v->party[PARTY_KEY] = limits_party(limits, PARTY_KEY, SLICE_NONE);
        return true;
    }
    struct slice subject = v->who->rights ? rights_fields(v->who->rights)->subject : SLICE_NONE;
    if (subject.len == 0)
        return true;
    v->party[PARTY_SUBJECT] = limits_party(limits, PARTY_SUBJECT, subject);
    if (counted)
        return true;
    if (!has_left(v, FLOW_REQUESTS, PARTY_SUBJECT, 1))
        return false;
    charge(v, FLOW_REQUESTS, PARTY_SUBJECT, 1);
    return true;
}

void meter_failure(const struct visit *v)
{
    limits_fine(v->server->limits, v->party[PARTY_ADDRESS], FLOW_REQUESTS,
                per_minute(v, FLOW_REQUESTS, PARTY_ADDRESS), FAILURE_COST, now_ms(v));
}

/* ---- publishes ------------------------------------------------------------------------------- */

bool meter_publish(const struct visit *v, const struct draft *drafts, size_t n)
{
    int64_t costs[FLOW__COUNT] = { [FLOW_PUBLISHES] = (int64_t)n };

    for (size_t i = 0; i < n; i++)
        costs[FLOW_BYTES] += (int64_t)drafts[i].data.len;
    for (enum flow flow = FLOW_PUBLISHES; flow < FLOW__COUNT; flow++)
        for (enum party_kind kind = 0; kind < PARTY__COUNT; kind++)
            if (!has_left(v, flow, kind, costs[flow]))
                return false;
    for (enum flow flow = FLOW_PUBLISHES; flow < FLOW__COUNT; flow++)
        for (enum party_kind kind = 0; kind < PARTY__COUNT; kind++)
            charge(v, flow, kind, costs[flow]);
    return true;
}

/* ---- open replies ---------------------------------------------------------------------------- */

/* Half of all at most, so that no address can keep everybody else out; 0: as many as it likes. */
static int64_t most_open(const struct visit *v, enum party_kind kind)
{
    const struct conf *conf = v->server->conf;
    int64_t most = kind == PARTY_ADDRESS ? conf->open_per_address : conf->open_per_subject;
    int64_t half = (int64_t)v->server->max_open / 2;

    return most > 0 && half > 0 && half < most ? half : most;
}

static bool sit(const struct visit *v, enum party_kind kind)
{
    const struct conf *conf = v->server->conf;
    const char *setting = kind == PARTY_ADDRESS ? "open_per_address" : "open_per_subject";
    int64_t most = most_open(v, kind), retry_ms = conf->retry_ms * OPEN_RETRY_TIMES;

    if (most == 0)
        return true;
    enum rc rc =
        limits_sit(v->server->limits, v->party[kind], (size_t)most, &v->request->seats[kind]);
    if (rc == RC_OK)
        return true;
    if (rc == RC_NOMEM) {
        problem_no_memory(v->request, v->common, "Out of memory.");
        return false;
    }
    note(v, kind, setting);
    retry_ms += randombytes_uniform((uint32_t)retry_ms + 1); /* so that they come one by one */
    problem_retry(v->request, v->common, 429, retry_ms,
                  "This %s has as many streams and polls open as it may: %lld (%s). Close some, or "
                  "come back later.",
                  kinds[kind], (long long)most, setting);
    return false;
}

bool meter_open(const struct visit *v)
{
    return sit(v, PARTY_ADDRESS) && sit(v, PARTY_SUBJECT);
}
