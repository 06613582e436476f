/*
 * keyring_rig.c - keys that are read, and what is said of those that are not.
 */
#include "tests/core/keyring_rig.h"

#include <check.h>

struct said jwks_slice(struct slice json)
{
    struct said s = { .errors = BUF_EMPTY, .warnings = BUF_EMPTY, .ring = keyring_new() };
    struct page page = page_of(json);
    s.rc = keyring_add_jwks(s.ring, page.bytes, &s.errors, &s.warnings);
    buf_putc(&s.errors, '\0');
    buf_putc(&s.warnings, '\0');
    ck_assert((s.rc == RC_OK) == (*s.errors.at == '\0'));
    page_fini(&page);
    return s;
}

struct said jwks(const char *json)
{
    return jwks_slice(slice_of(json));
}

void said_fini(struct said *s)
{
    keyring_free(s->ring);
    buf_fini(&s->errors);
    buf_fini(&s->warnings);
}

void wrong(const char *key, const char *words)
{
    struct buf json = BUF_EMPTY;
    buf_printf(&json, "{\"keys\":[{%s},{%s}]}", OKP, key);
    struct said s = jwks_slice(buf_slice(&json));
    ck_assert_msg(s.rc == RC_SYNTAX, "accepted: %s (%s)", key, s.warnings.at);
    ck_assert_msg(strstr(s.errors.at, words), "%s: %s", key, s.errors.at);
    ck_assert_msg(strncmp(s.errors.at, "key 1", 5) == 0, "%s", s.errors.at);
    ck_assert_uint_eq(keyring_count(s.ring), 0); /* not half of it, either */
    said_fini(&s);
    buf_fini(&json);
}

void skipped(const char *key, const char *words)
{
    struct buf json = BUF_EMPTY;
    buf_printf(&json, "{\"keys\":[{%s},{%s}]}", key, OKP);
    struct said s = jwks_slice(buf_slice(&json));
    ck_assert_msg(s.rc == RC_OK, "%s: %s", key, s.errors.at);
    ck_assert_msg(strstr(s.warnings.at, words), "%s: %s", key, s.warnings.at);
    ck_assert_uint_eq(keyring_count(s.ring), 1);
    said_fini(&s);
    buf_fini(&json);
}

void taken(const char *key, enum algorithm algorithm)
{
    struct buf json = BUF_EMPTY;
    buf_printf(&json, "{\"keys\":[{%s}]}", key);
    struct said s = jwks_slice(buf_slice(&json));
    ck_assert_msg(s.rc == RC_OK, "%s: %s", key, s.errors.at);
    ck_assert_str_eq(s.warnings.at, "");
    ck_assert_uint_eq(keyring_count(s.ring), 1);
    ck_assert_uint_eq(keyring_count_of(s.ring, algorithm), 1);
    said_fini(&s);
    buf_fini(&json);
}

void add_as(const char *kid, const char *algorithm, struct slice material, enum rc rc,
            const char *words)
{
    struct buf errors = BUF_EMPTY;
    struct keyring *ring = keyring_new();
    struct page page = page_of(material);
    ck_assert_int_eq(keyring_add(ring, slice_of(kid), slice_of(algorithm), page.bytes, &errors),
                     rc);
    ck_assert_uint_eq(keyring_count(ring), rc == RC_OK);
    buf_putc(&errors, '\0');
    ck_assert_msg(strstr(errors.at, words), "'%s' instead of '%s'", errors.at, words);
    ck_assert((rc == RC_OK) == (*errors.at == '\0'));
    keyring_free(ring);
    buf_fini(&errors);
    page_fini(&page);
}
