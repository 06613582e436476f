/*
 * fake_gate.c - what the database would know of keys, revocations, rights and webhooks.
 */
#include <stdlib.h>

#include "tests/fake/fake_priv.h"

static bool late; /* nothing is told of itself */

void fake_gate(struct source *s, const struct gate_entry *entries, size_t n)
{
    if (n > LENGTH(s->gate.entries))
        abort();
    if (n > 0)
        memcpy(s->gate.entries, entries, n * sizeof(*entries));
    s->gate.n = n;
    s->gate.told = false;
    s->gate.given = true;
    fake_work(s);
}

void fake_gate_late(bool is)
{
    late = is;
}

void fake_gate_tell(struct source *s)
{
    if (s->gate.told || (late && !s->gate.given))
        return;
    s->gate.told = true;
    server_gate(s->server, s->gate.entries, s->gate.n);
}

void fake_may(struct source *s, fake_may_fn *fn)
{
    s->gate.may = fn;
}

size_t fake_asked(const struct source *s)
{
    return s->gate.asked;
}

void fake_hook(struct source *s, const char *name, const struct hook *hook)
{
    s->gate.hook_name = name;
    s->gate.hook = hook;
}

/* ---- questions ------------------------------------------------------------------------------ */

struct source_call *source_may(struct source *s, struct slice who, enum verb verb,
                               const struct slice *names, size_t n, answered_fn *fn, void *arg)
{
    struct source_call *c = fake_call_new(s, CALL_MAY, arg);

    if (!c)
        return NULL;
    c->fn.answered = fn;
    c->verb = verb;
    c->text = fake_must(slice_dup(who));
    c->n = n;
    c->filters = fake_must(calloc(n, sizeof(char *)));
    for (size_t i = 0; i < n; i++)
        c->filters[i] = fake_must(slice_dup(names[i]));
    return c;
}

struct source_call *source_hook(struct source *s, struct slice name, hooked_fn *fn, void *arg)
{
    struct source_call *c = fake_call_new(s, CALL_HOOK, arg);

    if (!c)
        return NULL;
    c->fn.hooked = fn;
    c->text = fake_must(slice_dup(name));
    return c;
}

void fake_answer_may(struct source *s, struct source_call *c)
{
    bool may[128];
    struct answers answers = { RC_OK, may, c->n };

    if (c->cancelled)
        return;
    if (c->n > LENGTH(may))
        abort();
    for (size_t i = 0; i < c->n; i++)
        may[i] = s->gate.may && s->gate.may(c->text, c->verb, c->filters[i]);
    s->gate.asked++;
    c->fn.answered(c->arg, &answers);
}

void fake_answer_hook(struct source *s, struct source_call *c)
{
    static const struct hook none = { .rc = RC_DENIED };

    if (c->cancelled)
        return;
    bool found = s->gate.hook && strcmp(s->gate.hook_name, c->text) == 0;
    c->fn.hooked(c->arg, found ? s->gate.hook : &none);
}
