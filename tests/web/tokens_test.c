/*
 * tokens_test.c - the samples of contrib/tokens, run as they stand: what they print opens what is
 * closed, and nothing else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/scenarios/talk.h"
#include "tests/suite.h"
#include "tests/web/web.h"

#define SECRET "a secret of 32 bytes, and some mo"

static const struct sample {
    const char *file, *interpreter;
    bool asks_database;
    const char *try; /* what must work for it to be tried: a driver is a package of its own */
} samples[] = {
    { "token_jwt.php", "php", false, "exit(0);" },
    { "token_sql.php", "php", true, "exit(function_exists('pg_connect') ? 0 : 1);" },
    { "token_jwt.py", "/usr/bin/python3", false, "import hmac" },
    { "token_sql.py", "/usr/bin/python3", true, "import psycopg2" },
    { "token_jwt.pl", "perl", false, "use Digest::SHA; use JSON::PP" },
    { "token_sql.pl", "perl", true, "use DBI; use DBD::Pg" },
};

static void open_site(void)
{
    web_open(FRONT_NGINX, "token_key = " SECRET "\n");
}

static bool can_be_run(const struct sample *s, const char *log)
{
    const char *option = strcmp(s->interpreter, "php") == 0                ? "-r"
                         : strcmp(s->interpreter, "/usr/bin/python3") == 0 ? "-c"
                                                                           : "-e";
    const char *const argv[] = { s->interpreter, option, s->try, NULL };

    return process_run(&(struct process_spec){ .argv = argv, .log = log }, WEB_PATIENCE_MS) == 0;
}

/* What the sample prints, without its line's end. */
static const char *run(const struct sample *s, const char *folder, const char *filter)
{
    const char *key = text("%s/key", folder), *log = text("%s/printed", folder);
    const char *top = getenv("BELLPUSH_TEST_TOP");
    const char *const argv[] = { s->interpreter,
                                 text("%s/contrib/tokens/%s", top ? top : ".", s->file),
                                 s->asks_database ? web.dsn : key,
                                 "alice",
                                 filter,
                                 "other/\xC3\xBC/+",
                                 NULL };

    file_write(key, SLICE(SECRET "\n")); /* as an editor leaves it */
    int status = process_run(&(struct process_spec){ .argv = argv, .log = log }, WEB_PATIENCE_MS);
    char *printed = file_read(log);
    ck_assert_msg(status == 0 && printed, "%s: %d: %s", s->file, status, printed ? printed : "");
    const char *token = text("%.*s", (int)strcspn(printed, "\n"), printed);
    ck_assert_msg(strlen(printed) == strlen(token) + 1, "%s: more than a line: %s", s->file,
                  printed);
    free(printed);
    return token;
}

static int status_with(const char *target, const char *token)
{
    const char *const headers[] = { text("Authorization: Bearer %s", token), NULL };
    struct answer *a = stage_ask(&(struct ask){ .target = target, .headers = headers });
    int status = answer_status(a);

    answer_close(a);
    return status;
}

START_TEST(samples_print_tokens_that_are_good_until_revoked)
{
    const struct sample *s = &samples[_i];
    const char *base = stage_topic("sample");
    char *folder = temp_folder("tokens");

    if (!can_be_run(s, text("%s/tried", folder))) {
        fprintf(stderr, "skipped: %s needs %s\n", s->file, s->try);
        free(folder);
        return;
    }
    const char *token = run(s, folder, text("secret/%s/#", base));
    const char *target = text("/poll?wait=0&topic=secret/%s/a", base);
    ck_assert_int_eq(status_with(target, token), 200);
    ck_assert_int_eq(status_with("/poll?wait=0&topic=secret/b", token), 403);
    ck_assert_int_eq(status_with(target, text("%sA", token)), 401);
    stage_revoke("alice");
    int64_t end = now_ms() + WEB_PATIENCE_MS;
    while (status_with(target, token) != 401)
        ck_assert_msg(now_ms() < end, "%s: not revoked", s->file);
    /* Given anew, right after: it is good again. */
    unlink(text("%s/printed", folder));
    ck_assert_int_eq(status_with(target, run(s, folder, text("secret/%s/#", base))), 200);
    free(folder);
}
END_TEST

SUITE(tokens)
{
    tcase_add_unchecked_fixture(tc, open_site, web_close);
    tcase_add_loop_test(tc, samples_print_tokens_that_are_good_until_revoked, 0, LENGTH(samples));
}
