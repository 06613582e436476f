/*
 * once_test.c - whose repetitions are whose: equal words of two publishers have nothing to do with
 * each other.
 */
#include "core/gate.h"
#include "core/wall.h"
#include "handlers/once.h"
#include "tests/handlers/loopback.h"
#include "tests/mint.h"
#include "tests/scenarios/talk.h"
#include "tests/suite.h"

#define SECRET "a secret of 32 bytes, and some mo"

static bool site_says_yes(const char *who, enum verb verb, const char *name)
{
    (void)who;
    (void)verb;
    (void)name;
    return true;
}

static void setup(void)
{
    static const char *const settings[] = { "token_key=" SECRET, "token_cookie=bell",
                                            "session_cookies=PHPSESSID",
                                            "cors_origins=https://friend.example", NULL };
    static const struct gate_entry ask = { .kind = GATE_ASK };

    loopback_open(settings);
    fake_may(loopback_source(), site_says_yes);
    fake_gate(loopback_source(), &ask, 1);
    loopback_settle();
}

/* A header with a token of these claims, which may publish on these filters. */
static const char *bearer(const char *claims, const char *publish)
{
    struct buf out = BUF_EMPTY;
    const char *all = text("{%s\"exp\":%.0f,\"bellpush\":{\"publish\":[%s]}}", claims,
                           (double)wall_now_us() / 1e6 + 1000, publish);

    mint_token(&out, SLICE("{\"alg\":\"HS256\"}"), slice_of(all), SLICE(SECRET));
    const char *header = text("Authorization: Bearer %.*s", (int)out.len, out.at);
    buf_fini(&out);
    return header;
}

struct post {
    const char *who;  /* a header */
    const char *body; /* plain, with the key "k"; NULL: the CloudEvent /s 1 with this data */
    const char *data;
    const char *topic;
};

static struct answer *post(const struct post *p)
{
    const char *headers[] = { p->who, "Origin: https://friend.example",
                              p->body ? "Content-Type: text/plain"
                                      : "Content-Type: application/cloudevents+json",
                              p->body ? "Idempotency-Key: k" : NULL, NULL };
    const char *body = p->body ? p->body
                               : text("{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"/s\","
                                      "\"id\":\"1\",\"data\":%s}",
                                      p->data);
    return stage_ask(&(struct ask){ .method = "POST",
                                    .target = text("/publish?topic=%s", p->topic ? p->topic : "t"),
                                    .headers = headers,
                                    .body = slice_of(body) });
}

/* Publishes once with the words of another; says whether it was taken for a repetition. */
static bool repeats(const struct post *p)
{
    struct answer *a = post(p);
    struct slice said = answer_body(a);
    ck_assert_msg(answer_status(a) == 201, "%d %.*s", answer_status(a), (int)said.len, said.at);
    bool repeated = memmem(said.at, said.len, "\"repeated\":true", 15) != NULL;
    answer_close(a);
    return repeated;
}

START_TEST(equal_words_of_others_are_news)
{
    const char *who[] = {
        bearer("\"sub\":\"alice\",", "\"#\""),
        bearer("\"sub\":\"bob\",", "\"#\""),
        bearer("\"sub\":\"alice\",\"iss\":\"elsewhere\",", "\"#\""),
        bearer("", "\"#\""),
        bearer("", "\"t\""),
        bearer("\"jti\":\"1\",", "\"t\""),
        "Authorization: Bearer " STAGE_KEY,
        "Cookie: PHPSESSID=1",
        "Cookie: PHPSESSID=2",
    };

    for (size_t i = 0; i < LENGTH(who); i++) {
        /* Another body too: had anybody else's key been looked at, this were 422. */
        const char *mine = text("%zu", i);
        ck_assert_msg(!repeats(&(struct post){ who[i], mine, NULL, NULL }), "%s", who[i]);
        ck_assert_msg(!repeats(&(struct post){ who[i], NULL, mine, NULL }), "%s", who[i]);
    }
    for (size_t i = 0; i < LENGTH(who); i++) {
        const char *mine = text("%zu", i), *another = text("%zu0", i + 1);
        ck_assert_msg(repeats(&(struct post){ who[i], mine, NULL, NULL }), "%s", who[i]);
        ck_assert_msg(repeats(&(struct post){ who[i], NULL, mine, NULL }), "%s", who[i]);
        expect_problem_once(post(&(struct post){ who[i], another, NULL, NULL }), 422);
        expect_problem_once(post(&(struct post){ who[i], NULL, another, NULL }), 422);
    }
}
END_TEST

START_TEST(a_subject_keeps_its_words_with_the_next_token)
{
    const char *first = bearer("\"sub\":\"alice\",\"jti\":\"1\",", "\"#\"");
    const char *next = bearer("\"sub\":\"alice\",\"jti\":\"2\",", "\"t\",\"u\"");

    ck_assert(!repeats(&(struct post){ first, "x", NULL, NULL }));
    ck_assert(repeats(&(struct post){ next, "x", NULL, NULL }));
    ck_assert(!repeats(&(struct post){ first, NULL, "1", NULL }));
    ck_assert(repeats(&(struct post){ next, NULL, "1", NULL }));
}
END_TEST

START_TEST(a_repetition_needs_the_right_of_now)
{
    const char *may = bearer("\"sub\":\"alice\",", "\"t\"");
    const char *may_not = bearer("\"sub\":\"alice\",", "\"elsewhere\"");

    fake_may(loopback_source(), NULL);
    ck_assert(!repeats(&(struct post){ may, "x", NULL, NULL }));
    ck_assert(!repeats(&(struct post){ may, NULL, "1", NULL }));
    expect_problem_once(post(&(struct post){ may_not, "x", NULL, NULL }), 403);
    expect_problem_once(post(&(struct post){ may_not, NULL, "1", NULL }), 403);
}
END_TEST

START_TEST(words_do_not_run_into_each_other)
{
    char one[ONCE_LEN + 1], two[ONCE_LEN + 1];

    once_key("ce:", (struct slice[]){ SLICE("ab"), SLICE("c") }, 2, one);
    once_key("ce:", (struct slice[]){ SLICE("a"), SLICE("bc") }, 2, two);
    ck_assert_str_ne(one, two);
    once_key("ik:", (struct slice[]){ SLICE("ab"), SLICE("c") }, 2, two);
    ck_assert_str_ne(one, two);
    ck_assert_str_eq(one + 3, two + 3);
    ck_assert_uint_eq(strlen(one), ONCE_LEN);
}
END_TEST

SUITE(once)
{
    tcase_add_checked_fixture(tc, setup, loopback_teardown);
    tcase_add_test(tc, equal_words_of_others_are_news);
    tcase_add_test(tc, a_subject_keeps_its_words_with_the_next_token);
    tcase_add_test(tc, a_repetition_needs_the_right_of_now);
    tcase_add_test(tc, words_do_not_run_into_each_other);
}
