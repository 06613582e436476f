#include "core/rights.h"
#include "tests/core/memory.h"
#include "tests/suite.h"

#include <stdlib.h>

static struct rights *rights_of(const struct rights_fields *fields)
{
    struct rights *r = NULL;
    const char *why = NULL;
    ck_assert_msg(rights_new(fields, &r, &why) == RC_OK, "%s", why);
    return r;
}

/* Of one filter to hear, and none to ring. */
static struct rights *hearer(const char *filter)
{
    struct slice one = slice_of(filter);
    return rights_of(&(struct rights_fields){ .filters[VERB_SUBSCRIBE] = { &one, 1 } });
}

static struct rights_fields with_filters(enum verb verb, const struct slice *at, size_t n)
{
    struct rights_fields fields = { .expires_us = 0 };
    fields.filters[verb].at = at;
    fields.filters[verb].n = n;
    return fields;
}

static void refused(const struct rights_fields *fields, enum rc rc)
{
    struct rights *r = NULL;
    const char *why = NULL;
    ck_assert_int_eq(rights_new(fields, &r, &why), rc);
    ck_assert_ptr_null(r);
    ck_assert_ptr_nonnull(why);
}

START_TEST(rights_are_a_copy_of_what_they_are_made_of)
{
    char subject[] = "anna", id[] = "7f3a", issuer[] = "shop", payload[] = "{\"a\":1}";
    char hear[] = "orders/#", ring[] = "chat/+";
    struct slice to_hear = slice_of(hear), to_ring[] = { slice_of(ring), slice_of(hear) };
    struct rights *r = rights_of(&(struct rights_fields){
        .subject = slice_of(subject),
        .token_id = slice_of(id),
        .issuer = slice_of(issuer),
        .payload = slice_of(payload),
        .issued_us = 5,
        .expires_us = 7,
        .filters = { [VERB_SUBSCRIBE] = { &to_hear, 1 }, [VERB_PUBLISH] = { to_ring, 2 } },
    });
    subject[0] = id[0] = issuer[0] = payload[0] = hear[0] = ring[0] = 'X';
    to_hear = to_ring[0] = to_ring[1] = SLICE_NONE;

    const struct rights_fields *f = rights_fields(r);
    ck_assert(slice_is(f->subject, SLICE("anna")));
    ck_assert(slice_is(f->token_id, SLICE("7f3a")));
    ck_assert(slice_is(f->issuer, SLICE("shop")));
    ck_assert(slice_is(f->payload, SLICE("{\"a\":1}")));
    ck_assert_int_eq(f->issued_us, 5);
    ck_assert_int_eq(f->expires_us, 7);
    ck_assert_uint_eq(f->filters[VERB_SUBSCRIBE].n, 1);
    ck_assert_uint_eq(f->filters[VERB_PUBLISH].n, 2);
    ck_assert(slice_is(f->filters[VERB_SUBSCRIBE].at[0], SLICE("orders/#")));
    ck_assert(slice_is(f->filters[VERB_PUBLISH].at[0], SLICE("chat/+")));
    ck_assert(slice_is(f->filters[VERB_PUBLISH].at[1], SLICE("orders/#")));
    rights_unref(r);
}
END_TEST

START_TEST(rights_may_be_empty_and_then_allow_nothing)
{
    struct rights *r = rights_of(&(struct rights_fields){ .expires_us = 0 });
    for (enum verb verb = 0; verb < VERB__COUNT; verb++) {
        ck_assert(!rights_cover(r, verb, SLICE("a")));
        ck_assert(!rights_match(r, verb, SLICE("a")));
        ck_assert(!rights_cover(NULL, verb, SLICE("a")));
        ck_assert(!rights_match(NULL, verb, SLICE("a")));
    }
    rights_unref(r);
    rights_unref(NULL);
}
END_TEST

START_TEST(each_verb_has_its_own_filters)
{
    struct slice hear = SLICE("a/#"), ring = SLICE("b/#");
    struct rights *r = rights_of(&(struct rights_fields){
        .filters = { [VERB_SUBSCRIBE] = { &hear, 1 }, [VERB_PUBLISH] = { &ring, 1 } } });
    ck_assert(rights_match(r, VERB_SUBSCRIBE, SLICE("a/x")));
    ck_assert(!rights_match(r, VERB_SUBSCRIBE, SLICE("b/x")));
    ck_assert(rights_match(r, VERB_PUBLISH, SLICE("b/x")));
    ck_assert(!rights_match(r, VERB_PUBLISH, SLICE("a/x")));
    rights_unref(r);
}
END_TEST

START_TEST(a_right_covers_what_lies_wholly_within)
{
    static const struct {
        const char *right, *asked;
        bool cover;
    } cases[] = {
        { "orders/#", "orders/42", true },
        { "orders/#", "orders", true },
        { "orders/#", "orders/+/status", true },
        { "orders/#", "#", false },
        { "orders/+", "orders/#", false },
        { "orders/42", "orders/+", false },
        { "orders/42", "orders/43", false },
        { "#", "a/b/c", true },
        { "#", "#", true },
        { "#", "$SYS/#", false },
        { "+/+", "$SYS/x", false },
        { "$SYS/#", "$SYS/x", true },
        { "a", "A", false },
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct rights *r = hearer(cases[i].right);
        struct slice asked = slice_of(cases[i].asked);
        ck_assert_msg(rights_cover(r, VERB_SUBSCRIBE, asked) == cases[i].cover, "cover %zu", i);
        ck_assert(!rights_cover(r, VERB_PUBLISH, asked));
        rights_unref(r);
    }
}
END_TEST

START_TEST(two_rights_do_not_add_up_to_a_wider_one)
{
    struct slice two[] = { SLICE("a/x"), SLICE("a/y") };
    struct rights *r =
        rights_of(&(struct rights_fields){ .filters[VERB_SUBSCRIBE] = { two, LENGTH(two) } });
    ck_assert(rights_cover(r, VERB_SUBSCRIBE, SLICE("a/x")));
    ck_assert(rights_cover(r, VERB_SUBSCRIBE, SLICE("a/y")));
    ck_assert(!rights_cover(r, VERB_SUBSCRIBE, SLICE("a/+")));
    rights_unref(r);
}
END_TEST

START_TEST(rights_expire_at_the_very_moment)
{
    struct rights *r = rights_of(&(struct rights_fields){ .expires_us = 1000 });
    struct rights *eternal = rights_of(&(struct rights_fields){ .expires_us = 0 });
    ck_assert(!rights_expired(r, 999));
    ck_assert(rights_expired(r, 1000));
    ck_assert(rights_expired(r, INT64_MAX));
    ck_assert(!rights_expired(eternal, INT64_MAX));
    ck_assert(rights_expired(NULL, 0));
    rights_unref(r);
    rights_unref(eternal);
}
END_TEST

START_TEST(rights_live_until_the_last_reference)
{
    struct rights *r = hearer("a");
    ck_assert_ptr_eq(rights_ref(r), r);
    rights_unref(r);
    ck_assert(rights_match(r, VERB_SUBSCRIBE, SLICE("a")));
    rights_unref(r);
}
END_TEST

START_TEST(what_is_no_filter_is_no_right)
{
    static const char *const bad[] = { "", "a#", "#/a", "a+", "a\nb", "a\xFF", "+b/c" };
    for (size_t i = 0; i < LENGTH(bad); i++)
        for (enum verb verb = 0; verb < VERB__COUNT; verb++) {
            struct slice two[] = { SLICE("good"), slice_of(bad[i]) };
            struct rights_fields fields = with_filters(verb, two, 2);
            refused(&fields, RC_SYNTAX);
        }
}
END_TEST

START_TEST(words_are_of_255_bytes_without_controls)
{
    static const struct slice bad[] = {
        { "a\nb", 3 },
        { "a\0b", 3 },
        { "\x1B[31m", 5 },
        { "\x7F", 1 },
        { "\xFF", 1 },
        { "a\xC2", 2 },
        { "\xC2\x9B"
          "31m",
          5 },
        { "\xED\xA0\x80", 3 },
    };
    static const struct slice good[] = {
        { "\xC2\xA0", 2 },
        { "Ren\xC3\xA9", 5 },
        { "\xF0\x9F\x94\x94", 4 },
        { "https://login.example/", 22 },
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        refused(&(struct rights_fields){ .subject = bad[i] }, RC_SYNTAX);
        refused(&(struct rights_fields){ .token_id = bad[i] }, RC_SYNTAX);
        refused(&(struct rights_fields){ .issuer = bad[i] }, RC_SYNTAX);
    }
    for (size_t i = 0; i < LENGTH(good); i++)
        rights_unref(rights_of(
            &(struct rights_fields){ .subject = good[i], .token_id = good[i], .issuer = good[i] }));

    char word[256];
    memset(word, 'x', sizeof word);
    struct slice longest = { word, 255 }, longer = { word, 256 };
    rights_unref(rights_of(
        &(struct rights_fields){ .subject = longest, .token_id = longest, .issuer = longest }));
    refused(&(struct rights_fields){ .subject = longer }, RC_LIMIT);
    refused(&(struct rights_fields){ .token_id = longer }, RC_LIMIT);
    refused(&(struct rights_fields){ .issuer = longer }, RC_LIMIT);
}
END_TEST

START_TEST(rights_are_bounded_and_small)
{
    struct slice many[101];
    char payload[4097];
    memset(payload, ' ', sizeof payload);
    for (size_t i = 0; i < LENGTH(many); i++)
        many[i] = SLICE("a");
    for (enum verb verb = 0; verb < VERB__COUNT; verb++) {
        struct rights_fields fields = with_filters(verb, many, 101);
        refused(&fields, RC_LIMIT);
    }
    refused(&(struct rights_fields){ .payload = { payload, 4097 } }, RC_LIMIT);

    struct rights *full = rights_of(&(struct rights_fields){
        .payload = { payload, 4096 },
        .filters = { [VERB_SUBSCRIBE] = { many, 100 }, [VERB_PUBLISH] = { many, 100 } } });
    ck_assert(rights_match(full, VERB_PUBLISH, SLICE("a")));
    ck_assert_uint_lt(rights_size(full), 8000);
    struct rights *usual = hearer("orders/anna/#");
    ck_assert_uint_lt(rights_size(usual), 200);
    rights_unref(full);
    rights_unref(usual);
}
END_TEST

START_TEST(memory_may_run_out)
{
    MEMORY_SCRIPT(nth)
    {
        struct rights *r = NULL;
        const char *why = NULL;
        struct rights_fields fields = { .subject = SLICE("anna") };
        enum rc rc = rights_new(&fields, &r, &why);
        ck_assert_int_eq(rc, memory_failed() ? RC_NOMEM : RC_OK);
        rights_unref(r);
    }
}
END_TEST

SUITE(rights)
{
    tcase_add_test(tc, rights_are_a_copy_of_what_they_are_made_of);
    tcase_add_test(tc, rights_may_be_empty_and_then_allow_nothing);
    tcase_add_test(tc, each_verb_has_its_own_filters);
    tcase_add_test(tc, a_right_covers_what_lies_wholly_within);
    tcase_add_test(tc, two_rights_do_not_add_up_to_a_wider_one);
    tcase_add_test(tc, rights_expire_at_the_very_moment);
    tcase_add_test(tc, rights_live_until_the_last_reference);
    tcase_add_test(tc, what_is_no_filter_is_no_right);
    tcase_add_test(tc, words_are_of_255_bytes_without_controls);
    tcase_add_test(tc, rights_are_bounded_and_small);
    tcase_add_test(tc, memory_may_run_out);
}
