/*
 * limits_test.c - through a real web server: who is counted as whom, and what a 429 looks like.
 *
 * Each worker counts for itself and the web server chooses among them, so that nothing is said here
 * about the exact request that is one too many; only that there is one, soon, where clients are
 * one, and none where they are many.
 */
#include <stdlib.h>

#include "tests/scenarios/talk.h"
#include "tests/web/web.h"

enum { FEW = 5, MORE = 30, WORKERS_MAX = 8 };

/* What the n-th request of a series says about itself: one line, or two; # is n. */
struct claim {
    const char *first, *second;
};

/* Gives; NULL for NULL. */
static char *numbered(const char *line, int n)
{
    size_t before = line ? strcspn(line, "#") : 0;

    if (!line)
        return NULL;
    if (!line[before])
        return text_of("%s", line);
    return text_of("%.*s%d%s", (int)before, line, n, line + before + 1);
}

static struct answer *ask_claiming(const struct claim *claim, int n)
{
    char *first = numbered(claim->first, n), *second = numbered(claim->second, n);
    const char *const headers[] = { first, second, NULL };
    struct answer *a = stage_ask(&(struct ask){ .target = "/poll?topic=a", .headers = headers });

    (void)answer_status(a);
    free(first);
    free(second);
    return a;
}

/* Is one of so many refused?  Then it is as it should be: with a time, and the limit's name. */
static bool is_refused_within(int n, const struct claim *claim)
{
    for (int i = 0; i < n; i++) {
        struct answer *a = ask_claiming(claim, i % 250);
        int status = answer_status(a);
        if (status == 429) {
            const char *after = answer_header(a, "Retry-After");
            ck_assert_ptr_nonnull(after);
            ck_assert_int_ge(atoi(after), 1);
            ck_assert_str_eq(answer_header(a, "Content-Type"), "application/problem+json");
            answer_expect(a, "requests_per_address");
        } else {
            ck_assert_int_eq(status, 200);
        }
        answer_close(a);
        if (status == 429)
            return true;
    }
    return false;
}

START_TEST(a_spoofed_header_gains_nothing)
{
    static const struct claim spoofs[] = { { "X-Forwarded-For: 192.0.2.#", NULL },
                                           { "X-Forwarded-For: 10.0.0.#, 127.0.0.1", NULL },
                                           { "Forwarded: for=192.0.2.#", NULL },
                                           { "X-Real-IP: 192.0.2.#", NULL },
                                           { "Client-IP: 192.0.2.#", "REMOTE-ADDR: 192.0.2.#" } };
    struct web before = web_aside(NULL,
                                  "requests_per_address = 30\nunlimited_addresses =\n"
                                  "trusted_proxies = 198.51.100.0/24\n",
                                  NULL);

    for (size_t i = 0; i < LENGTH(spoofs); i++)
        ck_assert_msg(is_refused_within(WORKERS_MAX * MORE + 100, &spoofs[i]), "%s: with \"%s\"",
                      web.way->traits.name, spoofs[i].first);
    web_back(before);
}
END_TEST

START_TEST(behind_a_trusted_proxy_clients_are_told_apart)
{
    static const struct claim many = { "X-Forwarded-For: 203.0.113.#", NULL },
                              same = { "X-Forwarded-For: 192.0.2.1", NULL },
                              spoofed = { "X-Forwarded-For: 198.51.100.#, 192.0.2.2", NULL },
                              lines = { "X-Forwarded-For: 198.51.100.#",
                                        "X-Forwarded-For: 192.0.2.3" };
    struct web before = web_aside(NULL,
                                  "requests_per_address = 5\nunlimited_addresses =\n"
                                  "trusted_proxies = private\n",
                                  NULL);
    int enough = WORKERS_MAX * FEW + 10;

    ck_assert(!is_refused_within(enough, &many));
    ck_assert(is_refused_within(enough, &same));
    ck_assert(!is_refused_within(1, &(struct claim){ "X-Forwarded-For: 192.0.2.99", NULL }));
    ck_assert_msg(is_refused_within(enough, &spoofed), "%s believes a client",
                  web.way->traits.name);
    ck_assert_msg(is_refused_within(enough, &lines), "%s passes the first line on",
                  web.way->traits.name);
    web_back(before);
}
END_TEST

void limits_tests(TCase *tc, const struct web_way *way)
{
    if (way->traits.one_slot) /* each process counts for itself, and has one request at a time */
        return;
    tcase_add_test(tc, a_spoofed_header_gains_nothing);
    tcase_add_test(tc, behind_a_trusted_proxy_clients_are_told_apart);
}
