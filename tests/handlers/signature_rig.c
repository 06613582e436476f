/*
 * signature_rig.c - samples of signed deliveries, and how they are spoilt.
 */
#include "tests/handlers/signature_rig.h"

#include <check.h>
#include <stdlib.h>

struct trial trial_of(const struct sample *s)
{
    struct trial t = { .sample = s,
                       .body = strdup(s->body),
                       .now_s = s->now_s,
                       .options = s->options ? s->options : "{}",
                       .url = s->url ? s->url : "https://a.example/hook/x",
                       .secrets = { slice_of(s->secret) },
                       .secret_count = 1 };

    for (; s->headers[t.n][0]; t.n++)
        t.headers[t.n] =
            (struct delivery_header){ slice_of(s->headers[t.n][0]), slice_of(s->headers[t.n][1]) };
    return t;
}

void trial_fini(struct trial *t)
{
    free(t->body);
    free(t->owned);
}

struct delivery_header *header_of(struct trial *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (slice_is(t->headers[i].name, slice_of(name)))
            return &t->headers[i];
    ck_abort_msg("%s has no %s", t->sample->name, name);
    return NULL;
}

char *own(struct trial *t, const char *name)
{
    struct delivery_header *h = header_of(t, name);

    free(t->owned);
    t->owned = slice_dup(h->value);
    h->value = slice_of(t->owned);
    return t->owned;
}

enum signature_word try(const struct trial *t, struct signature *out)
{
    struct hook hook = { .scheme = slice_of(t->sample->scheme),
                         .secrets = t->secrets,
                         .n = t->secret_count };
    size_t len = strlen(t->body);
    char *exact = malloc(len ? len : 1); /* so that ASan sees a step too far */
    memcpy(exact, t->body, len);
    struct delivery d = { .headers = t->headers,
                          .n = t->n,
                          .body = { exact, len },
                          .url = slice_of(t->url),
                          .now_s = t->now_s };
    json_t *options = json_loads(t->options, 0, NULL);

    ck_assert_ptr_nonnull(options);
    signature_check(&d, &hook, options, out);
    if (out->word != SIGNATURE_GOOD) {
        ck_assert_uint_gt(strlen(out->why), 10);
        for (size_t i = 0; i < t->secret_count; i++)
            ck_assert_msg(t->secrets[i].len < 7 || !memmem(out->why, strlen(out->why),
                                                           t->secrets[i].at, t->secrets[i].len),
                          "%s: the secret is told: %s", t->sample->name, out->why);
    }
    json_decref(options);
    delivery_fini(&d);
    free(exact);
    return out->word;
}

enum signature_word word_of(const struct trial *t)
{
    struct signature s;
    enum signature_word word = try(t, &s);

    signature_fini(&s);
    return word;
}
