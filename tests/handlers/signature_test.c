/*
 * signature_test.c - what holds for the signatures of all schemes.
 */
#include <ctype.h>
#include <stdio.h>

#include "tests/handlers/signature_rig.h"
#include "tests/suite.h"

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
}
