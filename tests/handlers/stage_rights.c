/*
 * stage_rights.c - what the site has given, on the stage of memory: the fake source tells it.
 */
#include "core/gate.h"
#include "core/topic.h"
#include "core/wall.h"
#include "tests/handlers/loopback.h"
#include "tests/mint.h"
#include "tests/scenarios/talk.h"

#define SECRET "the database's own secret, 32 bytes"

enum { ENTRIES_MAX = 16, GIVEN_MAX = 16 };

static struct {
    struct gate_entry entries[ENTRIES_MAX];
    size_t n;
    struct {
        const char *session, *filter;
    } given[GIVEN_MAX];
    size_t sessions;
} site;

/* ---- telling ----------------------------------------------------------------------------------
 */

static bool may(const char *who, enum verb verb, const char *name)
{
    (void)verb;
    for (size_t i = 0; i < site.sessions; i++)
        if (strstr(who, text("\"PHPSESSID\":\"%s\"", site.given[i].session)) &&
            filter_covers(slice_of(site.given[i].filter), slice_of(name)))
            return true;
    return false;
}

static void tell(struct gate_entry entry)
{
    ck_assert_uint_lt(site.n, ENTRIES_MAX);
    site.entries[site.n++] = entry;
    fake_may(loopback_source(), may);
    fake_gate(loopback_source(), site.entries, site.n);
    loopback_settle();
}

void loopback_forget_rights(void)
{
    site.n = site.sessions = 0;
}

/* ---- giving and taking --------------------------------------------------------------------------
 */

static const char *filters_json(const char *filters)
{
    struct buf out = BUF_EMPTY;

    while (*filters) {
        size_t len = strcspn(filters, " ");
        buf_printf(&out, "%s\"%.*s\"", out.len ? "," : "", (int)len, filters);
        filters += len + (filters[len] == ' ');
    }
    const char *json = text("%.*s", (int)out.len, out.len ? out.at : "");
    buf_fini(&out);
    return json;
}

const char *stage_token(const char *subject, const char *subscribe, const char *publish,
                        int seconds)
{
    struct buf out = BUF_EMPTY;
    double now = (double)wall_now_us() / 1e6;

    if (site.n == 0)
        tell((struct gate_entry){ .kind = GATE_KEY, .name = SLICE("k1"), .value = SLICE(SECRET) });
    mint_token(
        &out, SLICE("{\"alg\":\"HS256\",\"kid\":\"k1\"}"),
        slice_of(text("{\"sub\":\"%s\",\"iat\":%.6f,\"exp\":%.6f,"
                      "\"bellpush\":{\"subscribe\":[%s],\"publish\":[%s]}}",
                      subject, now, now + seconds, filters_json(subscribe), filters_json(publish))),
        SLICE(SECRET));
    const char *token = text("%.*s", (int)out.len, out.at);
    buf_fini(&out);
    return token;
}

void stage_revoke(const char *subject)
{
    tell((struct gate_entry){
        .kind = GATE_SUBJECT, .name = slice_of(text("%s", subject)), .at_us = wall_now_us() });
}

void stage_session(const char *session, const char *filter)
{
    ck_assert_uint_lt(site.sessions, GIVEN_MAX);
    site.given[site.sessions].session = text("%s", session);
    site.given[site.sessions++].filter = text("%s", filter);
    tell((struct gate_entry){ .kind = GATE_ASK });
}

void stage_publish_private(const char *topic, const char *data)
{
    struct draft draft = { .topic = slice_of(topic), .data = slice_of(data), .is_private = true };
    fake_commit(loopback_source(), &draft, 1);
}
