/*
 * signature_rig.h - samples of signed deliveries, and how they are spoilt.
 */
#ifndef TESTS_HANDLERS_SIGNATURE_RIG_H
#define TESTS_HANDLERS_SIGNATURE_RIG_H

#include "handlers/signature.h"
#include "tests/deliveries.h"

enum { HEADERS = 12, SECRETS = 4 };
struct trial { /* a sample, to be spoilt */
    const struct sample *sample;
    struct delivery_header headers[HEADERS];
    size_t n;
    struct slice secrets[SECRETS];
    size_t secret_count;
    char *body, *owned;
    int64_t now_s;
    const char *options, *url;
};
struct trial trial_of(const struct sample *s);
void trial_fini(struct trial *t);
struct delivery_header *header_of(struct trial *t, const char *name);

/* Replace a header's value by one that the trial owns. */
char *own(struct trial *t, const char *name);
enum signature_word try(const struct trial *t, struct signature *out);
enum signature_word word_of(const struct trial *t);

#define EXPECT(t, expected, what)                                                                  \
    do {                                                                                           \
        struct signature s_;                                                                       \
        enum signature_word word_ = try(t, &s_);                                                   \
        ck_assert_msg(word_ == (expected), "%s: %s: verdict %d (%s)", (t)->sample->name, what,     \
                      word_, s_.why);                                                              \
        signature_fini(&s_);                                                                       \
    } while (0)

#define EACH_SAMPLE(s) for (const struct sample *s = samples; s < samples + LENGTH(samples); s++)

#endif
