/*
 * signature_schemes_test.c - what each scheme has of its own.
 */
#include <stdlib.h>

#include "tests/handlers/signature_rig.h"
#include "tests/suite.h"

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

SUITE(signature_schemes)
{
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
