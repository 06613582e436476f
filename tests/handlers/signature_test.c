/*
 * signature_test.c - every scheme with one right delivery, and that delivery spoilt in every way.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "handlers/signature.h"
#include "tests/deliveries.h"
#include "tests/suite.h"

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

static struct trial trial_of(const struct sample *s)
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

static void trial_fini(struct trial *t)
{
    free(t->body);
    free(t->owned);
}

static struct delivery_header *header_of(struct trial *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (slice_is(t->headers[i].name, slice_of(name)))
            return &t->headers[i];
    ck_abort_msg("%s has no %s", t->sample->name, name);
    return NULL;
}

/* Replace a header's value by one that the trial owns. */
static char *own(struct trial *t, const char *name)
{
    struct delivery_header *h = header_of(t, name);

    free(t->owned);
    t->owned = slice_dup(h->value);
    h->value = slice_of(t->owned);
    return t->owned;
}

static enum signature_word try(const struct trial *t, struct signature *out)
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

static enum signature_word word_of(const struct trial *t)
{
    struct signature s;
    enum signature_word word = try(t, &s);

    signature_fini(&s);
    return word;
}

#define EXPECT(t, expected, what)                                                                  \
    do {                                                                                           \
        struct signature s_;                                                                       \
        enum signature_word word_ = try(t, &s_);                                                   \
        ck_assert_msg(word_ == (expected), "%s: %s: verdict %d (%s)", (t)->sample->name, what,     \
                      word_, s_.why);                                                              \
        signature_fini(&s_);                                                                       \
    } while (0)

#define EACH_SAMPLE(s) for (const struct sample *s = samples; s < samples + LENGTH(samples); s++)

/* ---- all of them ------------------------------------------------------------------------------
 */

START_TEST(right_deliveries_are_good_and_have_their_ids)
{
    EACH_SAMPLE(s)
    {
        struct trial t = trial_of(s);
        struct signature out;
        ck_assert_msg(try(&t, &out) == SIGNATURE_GOOD, "%s: %s", s->name, out.why);
        ck_assert_msg(slice_is(buf_slice(&out.id), slice_of(s->id)), "%s: id %.*s", s->name,
                      (int)out.id.len, out.id.at);
        ck_assert_uint_eq(strlen(out.content), 64);
        signature_fini(&out);
        trial_fini(&t);
    }
}
END_TEST

START_TEST(another_secret_is_wrong)
{
    EACH_SAMPLE(s)
    {
        struct trial t = trial_of(s);
        t.secrets[0] = slice_of(s->wrong_secret);
        EXPECT(&t, SIGNATURE_WRONG, "another secret");
        trial_fini(&t);
    }
}
END_TEST

START_TEST(any_of_several_secrets_will_do)
{
    EACH_SAMPLE(s)
    {
        struct trial t = trial_of(s);
        t.secret_count = 3;
        for (size_t right = 0; right < 3; right++) {
            for (size_t i = 0; i < 3; i++)
                t.secrets[i] = slice_of(i == right ? s->secret : s->wrong_secret);
            EXPECT(&t, SIGNATURE_GOOD, "rotated");
        }
        trial_fini(&t);
    }
}
END_TEST

START_TEST(one_bit_of_the_body_is_enough)
{
    EACH_SAMPLE(s)
    {
        struct trial t = trial_of(s);
        for (size_t i = 0; t.body[i]; i++)
            for (int bit = 0; bit < 8; bit++) {
                t.body[i] = (char)(t.body[i] ^ (1 << bit));
                bool same = bit == 5 && i > 1 && t.body[i - 2] == '%'; /* %2b is %2B */
                if (t.body[i] && !same)
                    ck_assert_msg(word_of(&t) != SIGNATURE_GOOD, "%s: bit %d of byte %zu", s->name,
                                  bit, i);
                t.body[i] = s->body[i];
            }
        t.body[strlen(t.body) - 1] = '\0';
        ck_assert_int_ne(word_of(&t), SIGNATURE_GOOD);
        trial_fini(&t);
    }
}
END_TEST

START_TEST(without_its_signature_it_is_missing)
{
    EACH_SAMPLE(s)
    {
        struct trial t = trial_of(s);
        struct delivery_header *h = header_of(&t, s->signature);
        h->value = SLICE("");
        EXPECT(&t, SIGNATURE_MISSING, "an empty signature");
        h->name = SLICE("X-Something-Else");
        EXPECT(&t, SIGNATURE_MISSING, "no signature");
        trial_fini(&t);
    }
}
END_TEST

START_TEST(every_header_that_is_signed_is_needed)
{
    EACH_SAMPLE(s)
    {
        for (size_t i = 0; s->timed && s->headers[i][0]; i++) {
            struct trial t = trial_of(s);
            t.headers[i] = t.headers[--t.n];
            EXPECT(&t, SIGNATURE_MISSING, s->headers[i][0]);
            trial_fini(&t);
        }
    }
}
END_TEST

START_TEST(twice_is_malformed_even_if_both_are_the_same)
{
    EACH_SAMPLE(s)
    {
        struct trial t = trial_of(s);
        t.headers[t.n++] = *header_of(&t, s->signature);
        EXPECT(&t, SIGNATURE_MALFORMED, "a doubled signature");
        t.headers[t.n - 1].value = SLICE("");
        EXPECT(&t, SIGNATURE_MALFORMED, "an empty one behind it");
        trial_fini(&t);
    }
}
END_TEST

START_TEST(header_names_have_no_case)
{
    EACH_SAMPLE(s)
    {
        struct trial t = trial_of(s);
        char names[5][64];
        for (size_t i = 0; i < t.n; i++) {
            snprintf(names[i], sizeof(names[i]), "%.*s", (int)t.headers[i].name.len,
                     t.headers[i].name.at);
            for (char *c = names[i]; *c; c++)
                *c = (char)tolower((unsigned char)*c);
            t.headers[i].name = slice_of(names[i]);
        }
        EXPECT(&t, SIGNATURE_GOOD, "names in lower case");
        trial_fini(&t);
    }
}
END_TEST

START_TEST(cut_signatures_are_never_good)
{
    EACH_SAMPLE(s)
    {
        struct trial t = trial_of(s);
        struct delivery_header *h = header_of(&t, s->signature);
        size_t all = h->value.len;
        if (strcmp(s->scheme, "stripe") == 0) /* what is behind v1 is nobody's */
            all = 13 + 67;
        for (h->value.len = 0; h->value.len < all; h->value.len++)
            ck_assert_msg(word_of(&t) != SIGNATURE_GOOD, "%s: cut at %zu", s->name, h->value.len);
        trial_fini(&t);
    }
}
END_TEST

START_TEST(any_other_character_is_not_good)
{
    EACH_SAMPLE(s)
    {
        struct trial t = trial_of(s);
        char *value = own(&t, s->signature);
        size_t all = strcmp(s->scheme, "stripe") == 0 ? 13 + 67 : strlen(value);
        for (size_t i = 0; i < all; i++) {
            char was = value[i];
            value[i] = (char)(was == 'b' ? 'c' : 'b');
            ck_assert_msg(word_of(&t) != SIGNATURE_GOOD, "%s: character %zu", s->name, i);
            value[i] = was;
        }
        trial_fini(&t);
    }
}
END_TEST

START_TEST(more_behind_a_single_signature_is_malformed)
{
    static const char *const tails[] = { "0", "00", " ", "=", ",", ", sha256=00", "\t", "\x80" };

    EACH_SAMPLE(s)
    {
        for (size_t i = 0; !s->list && i < LENGTH(tails); i++) {
            struct trial t = trial_of(s);
            struct delivery_header *h = header_of(&t, s->signature);
            char longer[300];
            snprintf(longer, sizeof(longer), "%.*s%s", (int)h->value.len, h->value.at, tails[i]);
            h->value = slice_of(longer);
            EXPECT(&t, SIGNATURE_MALFORMED, tails[i]);
            trial_fini(&t);
        }
    }
}
END_TEST

START_TEST(hexadecimal_has_no_case_but_base64_has)
{
    EACH_SAMPLE(s)
    {
        struct trial t = trial_of(s);
        char *value = own(&t, s->signature), *from = strchr(value, '=');
        if (strcmp(s->scheme, "stripe") == 0)
            from = strstr(value, "v1=") + 2;
        else if (!s->hex)
            from = value;
        for (char *c = from; *c && !(s->list && *c == ','); c++)
            *c = (char)toupper((unsigned char)*c);
        bool hex = s->hex || strcmp(s->scheme, "stripe") == 0;
        ck_assert_msg((word_of(&t) == SIGNATURE_GOOD) == hex || !hex, "%s", s->name);
        if (!hex && !s->list)
            ck_assert_msg(word_of(&t) != SIGNATURE_GOOD, "%s", s->name);
        trial_fini(&t);
    }
}
END_TEST

START_TEST(five_minutes_and_not_a_second_more)
{
    EACH_SAMPLE(s)
    {
        struct trial t = trial_of(s);
        for (int side = -1; side <= 1; side += 2) {
            t.now_s = s->now_s + side * 300;
            EXPECT(&t, SIGNATURE_GOOD, "300 seconds");
            t.now_s = s->now_s + side * 301;
            EXPECT(&t, s->timed ? SIGNATURE_STALE : SIGNATURE_GOOD, "301 seconds");
            t.now_s = s->now_s + side * INT64_C(3000000000);
            EXPECT(&t, s->timed ? SIGNATURE_STALE : SIGNATURE_GOOD, "a hundred years");
        }
        trial_fini(&t);
    }
}
END_TEST

START_TEST(only_who_knows_the_secret_learns_that_it_is_late)
{
    EACH_SAMPLE(s)
    {
        struct trial t = trial_of(s);
        t.now_s += 100000;
        t.secrets[0] = slice_of(s->wrong_secret);
        EXPECT(&t, SIGNATURE_WRONG, "late, and wrong");
        trial_fini(&t);
    }
}
END_TEST

START_TEST(a_hook_without_secrets_is_never_good)
{
    EACH_SAMPLE(s)
    {
        struct trial t = trial_of(s);
        t.secret_count = 0;
        EXPECT(&t, SIGNATURE_UNUSABLE, "no secrets");
        trial_fini(&t);
    }
}
END_TEST

/* ---- one by one -------------------------------------------------------------------------------
 */

static const struct sample *sample_named(const char *name)
{
    EACH_SAMPLE(s) if (strcmp(s->name, name) == 0) return s;
    ck_abort_msg("no sample %s", name);
    return NULL;
}

/* The sample with another value of its signature's header. */
static void expect_value(const char *sample, const char *value, enum signature_word word)
{
    struct trial t = trial_of(sample_named(sample));

    header_of(&t, t.sample->signature)->value = slice_of(value);
    EXPECT(&t, word, value);
    trial_fini(&t);
}

#define STRIPE_V1 "f7a632a9ffdbb1ced2fc48e44c374ec2cb4292469db292862c06ae703e2befbd"
#define OTHER_V1  "5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd"

START_TEST(stripe_lists_are_searched)
{
    static const struct {
        const char *value;
        enum signature_word word;
    } all[] = {
        { "t=1492774577,v1=" OTHER_V1 ",v1=" STRIPE_V1, SIGNATURE_GOOD },
        { "t=1492774577,v1=" STRIPE_V1 ",v1=" OTHER_V1, SIGNATURE_GOOD },
        { "v1=" STRIPE_V1 ",t=1492774577", SIGNATURE_GOOD },
        { "t=1492774577,v1=short,v1=" STRIPE_V1, SIGNATURE_GOOD },
        { "t=1492774577,v0=" STRIPE_V1, SIGNATURE_MALFORMED }, /* never a downgrade */
        { "t=1492774577,v2=" STRIPE_V1, SIGNATURE_MALFORMED },
        { "t=1492774577,v1=" OTHER_V1, SIGNATURE_WRONG },
        { "t=1492774577,V1=" STRIPE_V1, SIGNATURE_MALFORMED },
        { "t=1492774577, v1=" STRIPE_V1, SIGNATURE_MALFORMED },
        { "t=1492774577,t=1492774577,v1=" STRIPE_V1, SIGNATURE_MALFORMED },
        { "t=1492774578,v1=" STRIPE_V1, SIGNATURE_WRONG },
        { "t=01492774577,v1=" STRIPE_V1, SIGNATURE_WRONG },
        { "t=,v1=" STRIPE_V1, SIGNATURE_WRONG },
        { "v1=" STRIPE_V1, SIGNATURE_MALFORMED },
        { "t=1492774577", SIGNATURE_MALFORMED },
        { ",,,", SIGNATURE_MALFORMED },
        { "=", SIGNATURE_MALFORMED },
    };

    for (size_t i = 0; i < LENGTH(all); i++)
        expect_value("Stripe", all[i].value, all[i].word);
}
END_TEST

#define V1 "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define V1A                                                                                        \
    "hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
#define OTHER_STANDARD "K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="

START_TEST(standard_lists_are_searched)
{
    static const struct {
        const char *sample, *value;
        enum signature_word word;
    } all[] = {
        { "Standard Webhooks v1, published", "v1," OTHER_STANDARD " v1," V1, SIGNATURE_GOOD },
        { "Standard Webhooks v1, published", "v1," V1 " v1," OTHER_STANDARD, SIGNATURE_GOOD },
        { "Standard Webhooks v1, published", "v1a," V1A " v1," V1, SIGNATURE_GOOD },
        { "Standard Webhooks v1, published", "v2,xyz  v1," V1, SIGNATURE_GOOD },
        { "Standard Webhooks v1, published", "v1,garbage v1," V1, SIGNATURE_GOOD },
        { "Standard Webhooks v1, published", "v1a," V1A, SIGNATURE_WRONG },
        { "Standard Webhooks v1, published", "v2," V1, SIGNATURE_MALFORMED },
        { "Standard Webhooks v1, published", "v1 ," V1, SIGNATURE_MALFORMED },
        { "Standard Webhooks v1, published", V1, SIGNATURE_MALFORMED },
        { "Standard Webhooks v1, published", "v1,", SIGNATURE_MALFORMED },
        { "Standard Webhooks v1a, published", "v1," V1 " v1a," V1A, SIGNATURE_GOOD },
        { "Standard Webhooks v1a, published", "v1," V1, SIGNATURE_WRONG },
        { "Standard Webhooks v1a, published", "v1a," V1, SIGNATURE_MALFORMED },
        { "Standard Webhooks v1a, published", "v1," V1A, SIGNATURE_MALFORMED },
    };

    for (size_t i = 0; i < LENGTH(all); i++)
        expect_value(all[i].sample, all[i].value, all[i].word);
}
END_TEST

START_TEST(secrets_and_public_keys_may_stand_side_by_side)
{
    struct trial t = trial_of(sample_named("Standard Webhooks v1, published"));
    struct trial a = trial_of(sample_named("Standard Webhooks v1a, published"));

    t.secrets[1] = a.secrets[0];
    t.secret_count = 2;
    a.secrets[1] = t.secrets[0];
    a.secret_count = 2;
    EXPECT(&t, SIGNATURE_GOOD, "v1 with both");
    EXPECT(&a, SIGNATURE_GOOD, "v1a with both");
    trial_fini(&t);
    trial_fini(&a);
}
END_TEST

START_TEST(secrets_of_no_standard_form_are_the_operators_fault)
{
    static const char *const bad[] = {
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_A",
        "whsec_not base64",
        ("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6"
         "Kvg=="),
        "whpk_AAAA",
        "whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", /* of small order: anybody signs */
    };

    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct trial t = trial_of(sample_named("Standard Webhooks v1, published"));
        t.secrets[0] = slice_of(bad[i]);
        EXPECT(&t, SIGNATURE_UNUSABLE, bad[i]);
        trial_fini(&t);
    }
}
END_TEST

START_TEST(long_lists_are_not_searched_forever)
{
    static const struct {
        const char *sample, *first, *item;
    } all[] = {
        { "Stripe", "t=1492774577,v1=" STRIPE_V1, ",v1=" OTHER_V1 },
        { "Standard Webhooks v1, published", "v1," V1, " v1," OTHER_STANDARD },
    };

    for (size_t i = 0; i < LENGTH(all); i++) {
        struct buf value = BUF_EMPTY;
        buf_puts(&value, all[i].first);
        for (int n = 1; n <= 16; n++) {
            buf_putc(&value, '\0');
            expect_value(all[i].sample, value.at, SIGNATURE_GOOD);
            value.len--;
            buf_puts(&value, all[i].item);
        }
        buf_putc(&value, '\0');
        expect_value(all[i].sample, value.at, SIGNATURE_MALFORMED);
        buf_fini(&value);
    }
}
END_TEST

START_TEST(websub_knows_four_methods_and_no_other)
{
    static const char *const bad[] = {
        "md5=d41d8cd98f00b204e9800998ecf8427e",
        "SHA1=08b5ec0506422ec07d42369308835f23227fbb6d",
        "08b5ec0506422ec07d42369308835f23227fbb6d",
        "=08b5ec0506422ec07d42369308835f23227fbb6d",
        "sha1=",
        "sha256=08b5ec0506422ec07d42369308835f23227fbb6d",
        "sha1=2d775878cb46b42ed61f8386cd71da7c5df0261c9831cce63e290ee324592738",
    };

    for (size_t i = 0; i < LENGTH(bad); i++)
        expect_value("WebSub, sha1", bad[i], SIGNATURE_MALFORMED);
}
END_TEST

START_TEST(github_with_sha1_alone_is_not_enough)
{
    struct trial t = trial_of(sample_named("GitHub, published"));

    header_of(&t, "X-Hub-Signature-256")->name = SLICE("X-Hub-Signature");
    EXPECT(&t, SIGNATURE_MISSING, "X-Hub-Signature");
    trial_fini(&t);
}
END_TEST

/* ---- GitLab: a token --------------------------------------------------------------------------
 */

static const struct sample gitlab = { .name = "GitLab",
                                      .scheme = "gitlab",
                                      .secret = "a token for us",
                                      .signature = "X-Gitlab-Token",
                                      .headers = { { "X-Gitlab-Token", "a token for us" } },
                                      .body = "{}",
                                      .id = "" };

START_TEST(gitlab_token_is_compared_whole)
{
    static const struct {
        const char *value;
        enum signature_word word;
    } all[] = {
        { "a token for us", SIGNATURE_GOOD },
        { "a token for u", SIGNATURE_WRONG },
        { "a token for us ", SIGNATURE_WRONG },
        { "A token for us", SIGNATURE_WRONG },
        { "x", SIGNATURE_WRONG },
        { "", SIGNATURE_MISSING },
    };
    struct trial t = trial_of(&gitlab);

    for (size_t i = 0; i < LENGTH(all); i++) {
        t.headers[0].value = slice_of(all[i].value);
        EXPECT(&t, all[i].word, all[i].value);
    }
    t.secrets[0] = SLICE("an older token");
    t.secrets[1] = slice_of(gitlab.secret);
    t.secret_count = 2;
    t.headers[0].value = slice_of(gitlab.secret);
    EXPECT(&t, SIGNATURE_GOOD, "rotated");
    t.headers[t.n++] = t.headers[0];
    EXPECT(&t, SIGNATURE_MALFORMED, "twice");
    trial_fini(&t);
}
END_TEST

START_TEST(gitlab_deliveries_that_share_an_event_differ_by_content)
{
    struct trial t = trial_of(&gitlab);
    struct signature a, b, c;

    t.headers[t.n++] = (struct delivery_header){ SLICE("X-Gitlab-Event-UUID"), SLICE("e-1") };
    ck_assert_int_eq(try(&t, &a), SIGNATURE_GOOD);
    ck_assert_int_eq(try(&t, &b), SIGNATURE_GOOD);
    t.body[1] = ' ';
    ck_assert_int_eq(try(&t, &c), SIGNATURE_GOOD);
    ck_assert_uint_eq(a.id.len, 0);
    ck_assert_str_eq(a.content, b.content);
    ck_assert_str_ne(a.content, c.content);
    signature_fini(&a);
    signature_fini(&b);
    signature_fini(&c);
    t.headers[t.n++] = (struct delivery_header){ SLICE("Idempotency-Key"), SLICE("k-1") };
    ck_assert_int_eq(try(&t, &a), SIGNATURE_GOOD);
    ck_assert(slice_is(buf_slice(&a.id), SLICE("k-1")));
    signature_fini(&a);
    trial_fini(&t);
}
END_TEST

/* ---- Twilio -----------------------------------------------------------------------------------
 */

static void expect_url(const char *url, enum signature_word word)
{
    struct trial t = trial_of(sample_named("Twilio, a form, published"));

    t.url = url;
    EXPECT(&t, word, url);
    trial_fini(&t);
}

START_TEST(twilio_signs_the_address_with_or_without_its_port)
{
    expect_url("https://mycompany.com:443/myapp.php?foo=1&bar=2", SIGNATURE_GOOD);
    expect_url("https://mycompany.com:1234/myapp.php?foo=1&bar=2", SIGNATURE_GOOD);
    expect_url("http://mycompany.com/myapp.php?foo=1&bar=2", SIGNATURE_WRONG);
    expect_url("https://mycompany.com/myapp.php?foo=1", SIGNATURE_WRONG);
    expect_url("https://mycompany.com/myapp.php", SIGNATURE_WRONG);
    expect_url("https://othercompany.com/myapp.php?foo=1&bar=2", SIGNATURE_WRONG);
    expect_url("", SIGNATURE_WRONG);
    expect_url("://", SIGNATURE_WRONG);
}
END_TEST

START_TEST(twilio_body_that_is_not_signed_is_refused)
{
    struct trial t = trial_of(sample_named("Twilio, a form, published"));

    header_of(&t, "Content-Type")->value = SLICE("application/json");
    EXPECT(&t, SIGNATURE_MALFORMED, "no form");
    trial_fini(&t);

    t = trial_of(sample_named("Twilio, the hash of a body, published"));
    t.url = "https://10.0.0.7/hook/calls?foo=1&bar=2&bodySHA256=0a1f";
    EXPECT(&t, SIGNATURE_MALFORMED, "a short hash");
    t.url = "https://10.0.0.7/hook/calls?foo=1&bar=2";
    EXPECT(&t, SIGNATURE_MALFORMED, "no hash");
    trial_fini(&t);
}
END_TEST

START_TEST(twilio_forms_have_bounds)
{
    struct trial t = trial_of(sample_named("Twilio, a form, published"));
    struct buf many = BUF_EMPTY;

    for (int i = 0; i < 1001; i++)
        buf_printf(&many, "a%d=b&", i);
    free(t.body);
    t.body = slice_dup(buf_slice(&many));
    EXPECT(&t, SIGNATURE_MALFORMED, "1001 fields");
    buf_fini(&many);
    free(t.body);
    t.body = strdup("a=%zz");
    EXPECT(&t, SIGNATURE_MALFORMED, "no percent-encoding");
    trial_fini(&t);
}
END_TEST

/* ---- generic ----------------------------------------------------------------------------------
 */

START_TEST(generic_options_are_checked)
{
    static const char *const bad[] = {
        "{}",
        "{\"header\":1}",
        "{\"header\":\"\"}",
        "{\"header\":\"X-Signature\",\"algorithm\":\"md5\"}",
        "{\"header\":\"X-Signature\",\"algorithm\":\"sha1\"}",
        "{\"header\":\"X-Signature\",\"encoding\":\"base32\"}",
        "{\"header\":\"X-Signature\",\"signed\":\"{timestamp}\",\"timestamp_header\":\"X-Time\"}",
        "{\"header\":\"X-Signature\",\"algorithm\":\"sha512\",\"encoding\":\"base64\",\"prefix\":"
        "\"mac \",\"signed\":\"{timestamp}{body}\"}",
        "{\"header\":\"X-Signature\",\"algorithm\":\"sha512\",\"encoding\":\"base64\",\"prefix\":"
        "\"mac \",\"signed\":\"{body}{\"}",
        "{\"header\":\"X-Signature\",\"tolerance\":\"5m\"}",
        "{\"header\":\"X-Signature\",\"tolerance\":0}",
        "{\"header\":\"X-Signature\",\"tolerance\":700000}",
    };
    const struct sample *s = sample_named("generic, SHA-512 in base64 over time, id and body");

    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct trial t = trial_of(s);
        t.options = bad[i];
        EXPECT(&t, SIGNATURE_UNUSABLE, bad[i]);
        trial_fini(&t);
    }
}
END_TEST

START_TEST(tolerance_is_the_hooks_own)
{
    struct trial t = trial_of(sample_named("Stripe"));

    t.options = "{\"tolerance\":10}";
    t.now_s += 10;
    EXPECT(&t, SIGNATURE_GOOD, "10 seconds of 10");
    t.now_s += 1;
    EXPECT(&t, SIGNATURE_STALE, "11 seconds of 10");
    trial_fini(&t);
}
END_TEST

START_TEST(unknown_schemes_are_the_operators_fault)
{
    struct sample s = samples[0];

    s.scheme = "githu";
    struct trial t = trial_of(&s);
    EXPECT(&t, SIGNATURE_UNUSABLE, "no such scheme");
    trial_fini(&t);
}
END_TEST

SUITE(signature)
{
    tcase_add_test(tc, right_deliveries_are_good_and_have_their_ids);
    tcase_add_test(tc, another_secret_is_wrong);
    tcase_add_test(tc, any_of_several_secrets_will_do);
    tcase_add_test(tc, one_bit_of_the_body_is_enough);
    tcase_add_test(tc, without_its_signature_it_is_missing);
    tcase_add_test(tc, every_header_that_is_signed_is_needed);
    tcase_add_test(tc, twice_is_malformed_even_if_both_are_the_same);
    tcase_add_test(tc, header_names_have_no_case);
    tcase_add_test(tc, cut_signatures_are_never_good);
    tcase_add_test(tc, any_other_character_is_not_good);
    tcase_add_test(tc, more_behind_a_single_signature_is_malformed);
    tcase_add_test(tc, hexadecimal_has_no_case_but_base64_has);
    tcase_add_test(tc, five_minutes_and_not_a_second_more);
    tcase_add_test(tc, only_who_knows_the_secret_learns_that_it_is_late);
    tcase_add_test(tc, a_hook_without_secrets_is_never_good);
    tcase_add_test(tc, stripe_lists_are_searched);
    tcase_add_test(tc, standard_lists_are_searched);
    tcase_add_test(tc, secrets_and_public_keys_may_stand_side_by_side);
    tcase_add_test(tc, secrets_of_no_standard_form_are_the_operators_fault);
    tcase_add_test(tc, long_lists_are_not_searched_forever);
    tcase_add_test(tc, websub_knows_four_methods_and_no_other);
    tcase_add_test(tc, github_with_sha1_alone_is_not_enough);
    tcase_add_test(tc, gitlab_token_is_compared_whole);
    tcase_add_test(tc, gitlab_deliveries_that_share_an_event_differ_by_content);
    tcase_add_test(tc, twilio_signs_the_address_with_or_without_its_port);
    tcase_add_test(tc, twilio_body_that_is_not_signed_is_refused);
    tcase_add_test(tc, twilio_forms_have_bounds);
    tcase_add_test(tc, generic_options_are_checked);
    tcase_add_test(tc, tolerance_is_the_hooks_own);
    tcase_add_test(tc, unknown_schemes_are_the_operators_fault);
}
