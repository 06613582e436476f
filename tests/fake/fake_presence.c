/*
 * fake_presence.c - who is on a topic, as the database would know it; as strict as that.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/presence.h"
#include "core/text.h"
#include "tests/fake/fake_priv.h"

static char *copy(struct slice s)
{
    return s.at ? fake_must(slice_dup(s)) : NULL;
}

/* ---- members -------------------------------------------------------------------------------- */

static void tell(struct source *s, const struct fake_present *m, const char *type)
{
    char topic[2048];
    struct buf data = BUF_EMPTY;

    snprintf(topic, sizeof(topic), "$presence/%s", m->topic);
    buf_puts(&data, "{\"member\":");
    json_put_string(&data, slice_of(m->name));
    buf_printf(&data, ",\"data\":%s}", m->data ? m->data : "null");
    fake_commit(s,
                &(struct draft){ .topic = slice_of(topic),
                                 .type = slice_of(type),
                                 .content_type = SLICE("application/json"),
                                 .data = buf_slice(&data) },
                1);
    buf_fini(&data);
}

static struct fake_present *present_find(struct source *s, const char *topic, const char *name)
{
    for (size_t i = 0; i < s->presence.member_n; i++) {
        struct fake_present *m = &s->presence.members[i];
        if (strcmp(m->topic, topic) == 0 && strcmp(m->name, name) == 0)
            return m;
    }
    return NULL;
}

static void arrive(struct source *s, int64_t nr, struct slice topic, struct slice name,
                   struct slice data)
{
    struct fake_presence *p = &s->presence;
    struct fake_session *session;

    p->sessions = fake_must(realloc(p->sessions, (p->session_n + 1) * sizeof(*p->sessions)));
    session = &p->sessions[p->session_n++];
    *session = (struct fake_session){ nr, copy(topic), copy(name) };
    struct fake_present *m = present_find(s, session->topic, session->name);
    if (m) {
        m->sessions++;
        return;
    }
    p->members = fake_must(realloc(p->members, (p->member_n + 1) * sizeof(*p->members)));
    m = &p->members[p->member_n++];
    *m = (struct fake_present){ copy(topic), copy(name), copy(data),
                                1600000000000000 + s->clock_ms * 1000, 1 };
    tell(s, m, "join");
}

static void depart(struct source *s, size_t i)
{
    struct fake_presence *p = &s->presence;
    struct fake_session gone = p->sessions[i];
    struct fake_present *m = present_find(s, gone.topic, gone.name);

    p->sessions[i] = p->sessions[--p->session_n];
    free(gone.topic);
    free(gone.name);
    if (--m->sessions > 0)
        return;
    tell(s, m, "leave");
    free(m->topic);
    free(m->name);
    free(m->data);
    *m = p->members[--p->member_n];
}

/* ---- script --------------------------------------------------------------------------------- */

void fake_join(struct source *s, const char *topic, const char *name, const char *data)
{
    arrive(s, 0, slice_of(topic), slice_of(name), slice_of(data));
}

void fake_leave(struct source *s, const char *topic, const char *name)
{
    for (size_t i = 0; i < s->presence.session_n; i++)
        if (s->presence.sessions[i].nr == 0 && strcmp(s->presence.sessions[i].topic, topic) == 0 &&
            strcmp(s->presence.sessions[i].name, name) == 0) {
            depart(s, i);
            return;
        }
    abort();
}

static void depart_all_of_ours(struct source *s)
{
    for (size_t i = s->presence.session_n; i-- > 0;)
        if (s->presence.sessions[i].nr > 0)
            depart(s, i);
}

void fake_lapse(struct source *s)
{
    depart_all_of_ours(s);
    s->presence.turn = 0;
}

void fake_report(struct source *s)
{
    presence_known(s->server->presence, presence_turn(s->server->presence), s->presence.turn);
}

void fake_uncertain(struct source *s, int takes_place)
{
    s->presence.uncertain = true;
    s->presence.takes_place = takes_place;
}

size_t fake_statements(const struct source *s)
{
    return s->presence.statements;
}

void fake_presence_free(struct source *s)
{
    struct fake_presence *p = &s->presence;

    for (size_t i = 0; i < p->session_n; i++) {
        free(p->sessions[i].topic);
        free(p->sessions[i].name);
    }
    for (size_t i = 0; i < p->member_n; i++) {
        free(p->members[i].topic);
        free(p->members[i].name);
        free(p->members[i].data);
    }
    free(p->sessions);
    free(p->members);
}

/* ---- questions ------------------------------------------------------------------------------ */

struct fake_changes {
    struct changes said;
    struct arrival *arrivals;
    int64_t *departures;
};

void fake_changes_free(struct fake_changes *c)
{
    for (size_t i = 0; c && i < c->said.n; i++) {
        free((void *)(uintptr_t)c->arrivals[i].topic.at);
        free((void *)(uintptr_t)c->arrivals[i].name.at);
        free((void *)(uintptr_t)c->arrivals[i].data.at);
    }
    if (c) {
        free(c->arrivals);
        free(c->departures);
    }
    free(c);
}

struct source_call *source_presence(struct source *s, const struct changes *changes, changed_fn *fn,
                                    void *arg)
{
    struct source_call *call = fake_call_new(s, CALL_PRESENCE, arg);

    if (!call)
        return NULL;
    struct fake_changes *c = call->changes = fake_must(calloc(1, sizeof(*c)));
    call->fn.changed = fn;
    c->said = *changes;
    c->arrivals = fake_must(calloc(changes->n + 1, sizeof(*c->arrivals)));
    c->departures = fake_must(calloc(changes->departure_n + 1, sizeof(*c->departures)));
    for (size_t i = 0; i < changes->n; i++) {
        const struct arrival *a = &changes->arrivals[i];
        if (a->nr <= 0 || (i > 0 && a->nr <= changes->arrivals[i - 1].nr))
            abort(); /* promised to be ascending */
        c->arrivals[i] = (struct arrival){ a->nr,
                                           { copy(a->topic), a->topic.len },
                                           { copy(a->name), a->name.len },
                                           { copy(a->data), a->data.len } };
    }
    if (changes->departure_n > 0)
        memcpy(c->departures, changes->departures, changes->departure_n * sizeof(*c->departures));
    if (s->presence.under_way)
        abort(); /* one at a time */
    s->presence.under_way = true;
    return call;
}

static bool is_among(const int64_t *numbers, size_t n, int64_t nr)
{
    for (size_t i = 0; i < n; i++)
        if (numbers[i] == nr)
            return true;
    return false;
}

static bool is_arriving(const struct fake_changes *c, int64_t nr)
{
    for (size_t i = 0; i < c->said.n; i++)
        if (c->arrivals[i].nr == nr)
            return true;
    return false;
}

static bool is_there(const struct source *s, int64_t nr)
{
    for (size_t i = 0; i < s->presence.session_n; i++)
        if (s->presence.sessions[i].nr == nr)
            return true;
    return false;
}

static size_t names_on(const struct source *s, struct slice topic)
{
    size_t n = 0;

    for (size_t i = 0; i < s->presence.member_n; i++)
        n += slice_is(slice_of(s->presence.members[i].topic), topic);
    return n;
}

/* Do it; whose topic is full gets into full[]. */
static size_t take_place(struct source *s, const struct fake_changes *c, int64_t *full)
{
    const struct changes *said = &c->said;
    size_t full_n = 0;

    s->presence.turn = said->turn;
    for (size_t i = s->presence.session_n; i-- > 0;) {
        int64_t nr = s->presence.sessions[i].nr;
        if (nr > 0 && (is_among(c->departures, said->departure_n, nr) ||
                       (said->anew && nr > said->after && nr <= said->upto && !is_arriving(c, nr))))
            depart(s, i);
    }
    for (size_t i = 0; i < said->n; i++) {
        const struct arrival *a = &c->arrivals[i];
        if (is_there(s, a->nr))
            continue;
        if (!said->anew && !present_find(s, a->topic.at, a->name.at) &&
            names_on(s, a->topic) >= (size_t)said->topic_max)
            full[full_n++] = a->nr;
        else
            arrive(s, a->nr, a->topic, a->name, a->data);
    }
    return full_n;
}

static bool is_refused(const struct fake_changes *c)
{
    for (size_t i = 0; i < c->said.n; i++)
        if (c->arrivals[i].name.at[0] == '!')
            return true;
    return false;
}

void fake_answer_presence(struct source *s, struct source_call *call)
{
    const struct fake_changes *c = call->changes;
    struct changed changed = { .rc = RC_OK, .why = "" };
    int64_t *full = fake_must(calloc(c->said.n + 1, sizeof(*full)));
    bool begins = c->said.anew && c->said.after == 0;
    bool uncertain = s->presence.uncertain;

    s->presence.under_way = s->presence.uncertain = false;
    s->presence.statements++;
    if (is_refused(c))
        changed = (struct changed){ .rc = RC_SYNTAX, .why = "a name begins with '!'" };
    else if (!begins && s->presence.turn < c->said.known)
        changed.lost = true;
    else if (s->presence.turn < c->said.turn && (!uncertain || s->presence.takes_place))
        changed.n = take_place(s, c, full);
    changed.full = full;
    if (uncertain)
        changed = (struct changed){ .rc = RC_SOURCE, .why = "by script" };
    if (!call->cancelled)
        call->fn.changed(call->arg, &changed);
    free(full);
}

struct source_call *source_who(struct source *s, struct slice topic, struct slice after,
                               size_t most, called_fn *fn, void *arg)
{
    struct source_call *call = fake_call_new(s, CALL_WHO, arg);

    if (!call)
        return NULL;
    call->fn.called = fn;
    call->text = copy(topic);
    call->after_name = copy(after);
    call->n_most = most;
    return call;
}

static int by_name(const void *a, const void *b)
{
    const struct present *x = a, *y = b;

    return strcmp(x->name.at, y->name.at);
}

void fake_answer_who(struct source *s, struct source_call *call)
{
    struct fake_presence *p = &s->presence;
    struct present *members = fake_must(calloc(p->member_n + 1, sizeof(*members)));
    struct roll roll = {
        .rc = RC_OK, .epoch = s->epoch, .head = (int64_t)s->committed, .members = members
    };

    for (size_t i = 0; i < p->member_n; i++) {
        const struct fake_present *m = &p->members[i];
        if (strcmp(m->topic, call->text) != 0)
            continue;
        roll.count++;
        if (!call->after_name || strcmp(m->name, call->after_name) > 0)
            members[roll.n++] =
                (struct present){ slice_of(m->name), slice_of(m->data), m->since_us, m->sessions };
    }
    qsort(members, roll.n, sizeof(*members), by_name);
    if (roll.n > call->n_most)
        roll.n = call->n_most;
    if (!call->cancelled)
        call->fn.called(call->arg, &roll);
    free(members);
}
