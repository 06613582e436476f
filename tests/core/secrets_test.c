/*
 * secrets_test.c - how a secret is compared does not depend on how much of it was guessed.
 *
 * No clock is asked: a child makes the comparison one instruction at a time (ptrace), and the path
 * it takes must be the same whichever byte is wrong.  A comparison that stops at the first wrong
 * byte takes another path, and is seen; so is one in a library.  What time such a path takes is a
 * matter for tests/bench/timing.c.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/conf.h"
#include "core/gate.h"
#include "core/keyring.h"
#include "core/log.h"
#include "tests/mint.h"
#include "tests/suite.h"

#define KEY    "an open secret of exactly so and so many bytes"
#define SECRET "a secret of 32 bytes, and some mo"
#define BYTES  "what is signed"

enum { TRIES = 5, STEPS_MAX = 2000000 };

static struct conf conf;
static const struct log quiet = { .fd = 2, .level = LOG_ERROR };
static struct gate *gate;
static struct keyring *keys;
static struct buf errors;

static void setup(void)
{
    ck_assert_int_eq(conf_init(&conf), RC_OK);
    ck_assert_int_eq(conf_set(&conf, "publish_key=" KEY, "test", &errors), RC_OK);
    ck_assert_ptr_nonnull(gate = gate_new(&conf, &quiet));
    ck_assert_ptr_nonnull(keys = keyring_new());
    ck_assert_int_eq(keyring_add(keys, SLICE("k"), SLICE("HS256"), SLICE(SECRET), &errors), RC_OK);
}

static void teardown(void)
{
    keyring_free(keys);
    gate_free(gate);
    conf_fini(&conf);
    buf_fini(&errors);
}

/* ---- the path of a comparison ------------------------------------------------------------------
 */

typedef bool compare_fn(const char *guess, size_t len);

/* Where the processor is; 0: not known on this machine, where only steps are counted. */
static unsigned long place(pid_t child)
{
#ifdef __x86_64__
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, child, NULL, &regs) == 0)
        return regs.rip;
#endif
    (void)child;
    return 0;
}

static _Noreturn void be_watched(compare_fn *fn, const char *guess, size_t len)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(2);
    raise(SIGSTOP);
    bool same = fn(guess, len);
    _exit(same ? 1 : 0);
}

struct path {
    size_t steps; /* 0: this machine does not let us look */
    uint64_t places;
};

static struct path path_of(compare_fn *fn, const char *guess, size_t len)
{
    struct path path = { 0, 0 };
    int status;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0)
        be_watched(fn, guess, len);
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
        return path;
    while (path.steps < STEPS_MAX && ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0 &&
           waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        path.steps++;
        path.places = path.places * UINT64_C(6364136223846793005) + place(child);
    }
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a wrong guess opens: %x", status);
    return path;
}

/* A guess that is right but for one byte: does the path tell which?  Asked again if the machine did
   something else in between. */
static bool path_tells(compare_fn *fn, const char *right, size_t len)
{
    char guess[128];
    struct path first = { 0, 0 }, last = { 0, 0 };

    ck_assert_uint_lt(len, sizeof(guess));
    for (int i = 0; i < TRIES; i++) {
        memcpy(guess, right, len);
        guess[0] ^= 1;
        first = path_of(fn, guess, len);
        memcpy(guess, right, len);
        guess[len - 1] ^= 1;
        last = path_of(fn, guess, len);
        ck_assert_uint_lt(first.steps, STEPS_MAX);
        if (first.steps == last.steps && first.places == last.places)
            break;
    }
    return first.steps != last.steps || first.places != last.places;
}

/* ---- comparisons -------------------------------------------------------------------------------
 */

static bool careless(const char *guess, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (guess[i] != KEY[i])
            return false;
    return true;
}

static bool as_publish_key(const char *guess, size_t len)
{
    char header[160] = "Bearer ";
    size_t prefix = strlen(header);

    memcpy(header + prefix, guess, len);
    return gate_shows_key(gate, (struct slice){ header, prefix + len });
}

static bool as_credentials(const char *guess, size_t len)
{
    char header[160] = "Bearer ";
    size_t prefix = strlen(header);
    struct who who;
    struct refusal why;

    memcpy(header + prefix, guess, len);
    const struct credentials c = { .authorization = { header, prefix + len } };
    return gate_identify(gate, &c, &who, &why) == CREDENTIAL_GOOD && who.has_key;
}

static bool as_signature(const char *guess, size_t len)
{
    return keyring_verify(keys, ALGORITHM_HS256, SLICE("k"), SLICE(BYTES),
                          (struct slice){ guess, len }) == VERDICT_GOOD;
}

START_TEST(the_path_does_not_tell_which_byte_is_wrong)
{
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    size_t len = strlen(KEY);

    if (path_of(careless, "x", 1).steps == 0) {
        fprintf(stderr, "skipped: needs ptrace of a child\n");
        return;
    }
    ck_assert_msg(path_tells(careless, KEY, len), "this test sees nothing");
    ck_assert(as_publish_key(KEY, len) && as_credentials(KEY, len));
    ck_assert(!path_tells(as_publish_key, KEY, len));
    ck_assert(!path_tells(as_credentials, KEY, len));
    mint_hmac(mac, SLICE(SECRET), SLICE(BYTES));
    ck_assert(as_signature((const char *)mac, sizeof(mac)));
    ck_assert(!path_tells(as_signature, (const char *)mac, sizeof(mac)));
}
END_TEST

SUITE(secrets)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_path_does_not_tell_which_byte_is_wrong);
}
