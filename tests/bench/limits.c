/*
 * limits.c - what being counted costs a request: an address read, found in the table and charged.
 *
 * With one address, with as many as the table has places, and with a million, which is a flood:
 * then every request takes the place of another.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/conf.h"
#include "core/limits.h"

enum { REQUESTS = 2000000, PER_MINUTE = 60000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure(struct limits *l, unsigned addresses)
{
    char(*texts)[ADDRESS_TEXT_MAX + 1] = calloc(addresses, sizeof(*texts));
    struct limits_view view;
    uint64_t refused = 0;

    if (!texts)
        abort();
    for (unsigned i = 0; i < addresses; i++)
        snprintf(texts[i], sizeof(texts[i]), "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
    double began = now();
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct address a;
        if (address_parse(slice_of(texts[i % addresses]), &a) != RC_OK ||
            networks_hold(limits_exempt(l), &a))
            abort();
        a = address_counted(&a);
        uint64_t party =
            limits_party(l, PARTY_ADDRESS, (struct slice){ (const char *)a.at, sizeof(a.at) });
        if (limits_wait_ms(l, party, FLOW_REQUESTS, PER_MINUTE, 1, i / 100) == 0)
            limits_charge(l, party, FLOW_REQUESTS, PER_MINUTE, 1, i / 100);
        else
            refused++;
    }
    double took = now() - began;
    limits_look(l, &view);
    printf("  %7u addresses: %4.0f ns a request, %5.1f %% refused, table %zu of %zu\n", addresses,
           took * 1e9 / REQUESTS, 100.0 * (double)refused / REQUESTS, view.buckets,
           view.buckets_max);
    free(texts);
}

int main(void)
{
    static const unsigned many[] = { 1, 65536, 1000000 };
    struct conf conf;

    if (sodium_init() < 0 || conf_init(&conf) != RC_OK)
        abort();
    printf("limits alone: %d requests\n", REQUESTS);
    for (size_t i = 0; i < LENGTH(many); i++) {
        struct limits *l = limits_new(&conf);
        if (!l)
            abort();
        measure(l, many[i]);
        limits_free(l);
    }
    conf_fini(&conf);
}
