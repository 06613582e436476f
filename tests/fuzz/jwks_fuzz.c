/*
 * jwks_fuzz.c - whatever a key set says: all of it or nothing, every complaint a clean line, and no
 * key for which a signature without thought is right.
 */
#include "core/keyring.h"
#include "core/text.h"
#include "tests/fuzz/fuzz.h"

static void check_lines(const struct buf *said)
{
    struct slice rest = buf_slice(said), line;
    must(utf8_valid(rest));
    must(rest.len == 0 || rest.at[rest.len - 1] == '\n');
    while (line_next(&rest, &line))
        for (size_t i = 0; i < line.len; i++)
            must(line.len > 10 && (unsigned char)line.at[i] >= 0x20 && line.at[i] != 0x7F);
}

static void check_signatures(const struct keyring *ring)
{
    static const size_t lengths[] = { 0, 32, 64, 256, 1024 };
    static char zeros[1024], ones[1024];
    memset(ones, 0xFF, sizeof ones);
    for (enum algorithm a = 0; a < ALGORITHM__COUNT; a++)
        for (size_t i = 0; i < LENGTH(lengths); i++) {
            size_t n = keyring_count_of(ring, a);
            enum verdict expected = n > 0 && n <= KEYRING_TRIES_MAX ? VERDICT_BAD : VERDICT_NO_KEY;
            struct slice bytes = SLICE("a.b");
            must(keyring_verify(ring, a, SLICE_NONE, bytes, (struct slice){ zeros, lengths[i] }) ==
                 expected);
            must(keyring_verify(ring, a, SLICE_NONE, bytes, (struct slice){ ones, lengths[i] }) ==
                 expected);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice json = exact_copy(data, size);
    struct buf errors = BUF_EMPTY, warnings = BUF_EMPTY;
    struct keyring *ring = keyring_new();
    must(ring);
    enum rc rc = keyring_add_jwks(ring, json, &errors, &warnings);
    must(rc == RC_OK || rc == RC_SYNTAX || rc == RC_LIMIT);
    must((rc == RC_OK) == (errors.len == 0));
    must(rc == RC_OK || keyring_count(ring) == 0);
    must(keyring_count(ring) <= KEYRING_MAX);
    must(rc != RC_OK || keyring_count(ring) > 0 || warnings.len > 0);
    check_lines(&errors);
    check_lines(&warnings);
    if (rc == RC_OK)
        check_signatures(ring);
    keyring_free(ring);
    buf_fini(&errors);
    buf_fini(&warnings);
    free((char *)json.at);
    return 0;
}
