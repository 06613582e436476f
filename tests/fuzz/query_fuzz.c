/*
 * query_fuzz.c - pairs of a query put together again are the query; decoding agrees with a slow
 * decoder; whatever is encoded decodes to itself.
 */
#include "core/text.h"
#include "tests/fuzz/fuzz.h"

#include <ctype.h>

/* -1: malformed; or else the decoded length. */
static long slow_decode(struct slice s, bool plus, char *out)
{
    long n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] != '%') {
            out[n++] = plus && s.at[i] == '+' ? ' ' : s.at[i];
            continue;
        }
        if (i + 2 >= s.len || !isxdigit((unsigned char)s.at[i + 1]) ||
            !isxdigit((unsigned char)s.at[i + 2]))
            return -1;
        out[n++] = (char)strtol((char[]){ s.at[i + 1], s.at[i + 2], 0 }, NULL, 16);
        i += 2;
    }
    return n;
}

static void check_decode(struct slice s, bool plus)
{
    struct buf b = BUF_EMPTY;
    char *expected = malloc(s.len + 1);
    must(expected);
    long n = slow_decode(s, plus, expected);
    enum rc rc = percent_decode(&b, s, plus);
    must(rc == (n < 0 ? RC_SYNTAX : RC_OK));
    must(slice_is(buf_slice(&b), (struct slice){ expected, n < 0 ? 0 : (size_t)n }));
    free(expected);
    buf_fini(&b);
}

static void check_round_trip(struct slice s)
{
    struct buf encoded = BUF_EMPTY, decoded = BUF_EMPTY;
    for (size_t i = 0; i < s.len; i++)
        buf_printf(&encoded, i % 2 ? "%%%02x" : "%%%02X", (unsigned char)s.at[i]);
    must(percent_decode(&decoded, buf_slice(&encoded), true) == RC_OK);
    must(slice_is(buf_slice(&decoded), s));
    buf_fini(&encoded);
    buf_fini(&decoded);
}

static void check_number(struct slice s)
{
    int64_t n = -1;
    bool digits = s.len > 0;
    for (size_t i = 0; i < s.len; i++)
        digits = digits && isdigit((unsigned char)s.at[i]);
    if (number_parse(s, INT64_MAX, &n) == RC_OK) {
        char *text = slice_dup(s);
        must(digits && n >= 0 && strtoull(text, NULL, 10) == (uint64_t)n);
        free(text);
    } else {
        must(!digits || s.len >= 19);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice whole = exact_copy(data, size), rest = whole, key, value;
    const char *at = whole.at;
    while (query_next(&rest, &key, &value)) {
        while (*at == '&')
            at++;
        must(key.at == at && !memchr(key.at, '=', key.len) && !memchr(key.at, '&', key.len));
        at += key.len;
        if (value.len > 0)
            must(*at == '=' && value.at == at + 1 && !memchr(value.at, '&', value.len));
        if (at < whole.at + whole.len && *at == '=')
            at += 1 + value.len;
        must(at == whole.at + whole.len || *at == '&');
        check_decode(key, true);
        check_decode(value, true);
        check_decode(value, false);
        check_number(value);
    }
    while (at < whole.at + whole.len)
        must(*at++ == '&');
    check_round_trip(whole);
    free((char *)whole.at);
    return 0;
}
