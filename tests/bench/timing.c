/*
 * timing.c - does the time of a comparison tell how much of a secret was guessed?
 *
 * Guesses wrong in the first byte and guesses wrong in the last one, in random turn; Welch's t over
 * the times of the two (as dudect does it: Reparaz, Balasch, Verbauwhede, 2017), with the slowest,
 * which are the machine's, cut off at several places.  |t| below 4.5: no difference is seen.  A
 * comparison that stops at the first wrong byte goes first, to show what would be seen.  This
 * reports and decides nothing: tests/core/secrets_test.c does, without a clock.
 */
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/conf.h"
#include "core/gate.h"
#include "core/keyring.h"
#include "core/log.h"

#define KEY    "an open secret of exactly so and so many bytes"
#define SECRET "a secret of 32 bytes, and some mo"

enum { SAMPLES = 200000, MARGIN = 1000, GUESS_MAX = 128 };

static struct gate *gate;
static struct keyring *keys;
static volatile bool sink; /* so that nothing is left out */

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- what is compared ------------------------------------------------------------------------ */

typedef bool compare_fn(const char *guess, size_t len);

static bool careless(const char *guess, size_t len)
{
    static const volatile char right[] = KEY;
    for (size_t i = 0; i < len; i++)
        if (guess[i] != right[i])
            return false;
    return true;
}

static bool publish_key(const char *guess, size_t len)
{
    char header[GUESS_MAX + 8] = "Bearer ";
    memcpy(header + 7, guess, len);
    return gate_shows_key(gate, (struct slice){ header, 7 + len });
}

static bool identify(const char *guess, size_t len)
{
    char header[GUESS_MAX + 8] = "Bearer ";
    struct who who;
    struct refusal why;

    memcpy(header + 7, guess, len);
    const struct credentials c = { .authorization = { header, 7 + len } };
    return gate_identify(gate, &c, &who, &why) == CREDENTIAL_GOOD;
}

static bool signature(const char *guess, size_t len)
{
    return keyring_verify(keys, ALGORITHM_HS256, SLICE("k"), SLICE("what is signed"),
                          (struct slice){ guess, len }) == VERDICT_GOOD;
}

/* ---- measuring ------------------------------------------------------------------------------- */

struct sample {
    int64_t ns;
    bool last; /* the wrong byte is the last one */
};

static void measure(compare_fn *fn, const char *right, size_t len, struct sample *samples)
{
    char wrong[2][GUESS_MAX], guess[GUESS_MAX];

    memcpy(wrong[0], right, len);
    memcpy(wrong[1], right, len);
    wrong[0][0] ^= 1;
    wrong[1][len - 1] ^= 1;
    for (int i = -MARGIN; i < SAMPLES; i++) { /* the first are for the caches */
        bool last = randombytes_uniform(2);
        memcpy(guess, wrong[last], len); /* both from the same place */
        int64_t began = now_ns();
        sink = fn(guess, len);
        int64_t took = now_ns() - began;
        if (i >= 0)
            samples[i] = (struct sample){ took, last };
    }
}

static double welch(const struct sample *samples, int64_t cut_ns)
{
    double n[2] = { 0, 0 }, mean[2] = { 0, 0 }, m2[2] = { 0, 0 };

    for (int i = 0; i < SAMPLES; i++) {
        if (samples[i].ns > cut_ns)
            continue;
        int c = samples[i].last;
        double d = (double)samples[i].ns - mean[c];
        n[c]++;
        mean[c] += d / n[c];
        m2[c] += d * ((double)samples[i].ns - mean[c]);
    }
    if (n[0] < 2 || n[1] < 2)
        return 0;
    double error = sqrt(m2[0] / (n[0] - 1) / n[0] + m2[1] / (n[1] - 1) / n[1]);
    return error > 0 ? (mean[1] - mean[0]) / error : 0;
}

static int by_time(const void *a, const void *b)
{
    const struct sample *x = a, *y = b;
    return (x->ns > y->ns) - (x->ns < y->ns);
}

static void report(const char *name, compare_fn *fn, const char *right, size_t len)
{
    static const int cuts[] = { 50, 75, 90, 95, 99, 100 }; /* percent that is kept */
    static struct sample samples[SAMPLES];
    double most = 0;

    measure(fn, right, len, samples);
    qsort(samples, SAMPLES, sizeof(*samples), by_time);
    printf("%-34s | %9lld |", name, (long long)samples[SAMPLES / 2].ns);
    for (size_t i = 0; i < LENGTH(cuts); i++) {
        double t = welch(samples, samples[(int64_t)SAMPLES * cuts[i] / 100 - 1].ns);
        if (fabs(t) > fabs(most))
            most = t;
        printf(" %8.2f", t);
    }
    printf(" | %s\n", fabs(most) < 4.5 ? "nothing seen" : fabs(most) < 10 ? "perhaps" : "it tells");
}

int main(void)
{
    static struct conf conf;
    static const struct log quiet = { .fd = 2, .level = LOG_ERROR };
    struct buf errors = BUF_EMPTY;
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;

    if (sodium_init() < 0 || conf_init(&conf) != RC_OK ||
        conf_set(&conf, "publish_key=" KEY, "bench", &errors) != RC_OK ||
        !(gate = gate_new(&conf, &quiet)) || !(keys = keyring_new()) ||
        keyring_add(keys, SLICE("k"), SLICE("HS256"), SLICE(SECRET), &errors) != RC_OK)
        return EXIT_FAILURE;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)SECRET, strlen(SECRET));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)"what is signed", 14);
    crypto_auth_hmacsha256_final(&state, mac);

    printf("wrong in the first byte or in the last: Welch's t, %d samples\n", SAMPLES);
    printf("%-34s | median ns | %7s%% %7s%% %7s%% %7s%% %7s%% %7s%% |\n", "of the quickest", "50",
           "75", "90", "95", "99", "100");
    report("a careless comparison, for scale", careless, KEY, strlen(KEY));
    report("publish_key: gate_shows_key()", publish_key, KEY, strlen(KEY));
    report("publish_key: gate_identify()", identify, KEY, strlen(KEY));
    report("HS256 signature: keyring_verify()", signature, (const char *)mac, sizeof(mac));
    keyring_free(keys);
    gate_free(gate);
    conf_fini(&conf);
    buf_fini(&errors);
    return EXIT_SUCCESS;
}
