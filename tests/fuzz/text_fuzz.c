/*
 * text_fuzz.c - UTF-8 against a decoder that goes by code points; JSON strings and base64 read back
 * by jansson and libsodium; times and sizes written and read again.
 */
#include "core/text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/mint.h"

#include <jansson.h>
#include <sodium.h>

/* Decode, then ask whether the code point is allowed and was written in the shortest form. */
static bool slow_valid(struct slice s)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    for (size_t i = 0; i < s.len;) {
        unsigned char c = (unsigned char)s.at[i++];
        size_t more = c < 0x80 ? 0 : (c & 0xE0) == 0xC0 ? 1 : (c & 0xF0) == 0xE0 ? 2 : 3;
        if (c >= 0x80 && (c < 0xC0 || c >= 0xF8))
            return false;
        uint32_t code = more ? c & (0x3Fu >> more) : c;
        for (size_t k = 0; k < more; k++, i++) {
            if (i >= s.len || ((unsigned char)s.at[i] & 0xC0) != 0x80)
                return false;
            code = code << 6 | ((unsigned char)s.at[i] & 0x3F);
        }
        if (code < least[more] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
            return false;
    }
    return true;
}

static void check_json(struct slice s)
{
    struct buf b = BUF_EMPTY;
    json_put_string(&b, s);
    must(buf_rc(&b) == RC_OK && !memchr(b.at, '<', b.len));
    must(!memmem(b.at, b.len, "\xE2\x80\xA8", 3) && !memmem(b.at, b.len, "\xE2\x80\xA9", 3));
    json_t *read = json_loadb(b.at, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    must(json_is_string(read));
    must(slice_is((struct slice){ json_string_value(read), json_string_length(read) }, s));
    json_decref(read);
    buf_fini(&b);
}

static void check_base64(struct slice s)
{
    struct buf b = BUF_EMPTY;
    size_t len = 0;
    unsigned char *back = malloc(s.len + 1);
    must(back);
    base64_put(&b, s);
    must(sodium_base642bin(back, s.len + 1, b.at ? b.at : "", b.len, NULL, &len, NULL,
                           sodium_base64_VARIANT_ORIGINAL) == 0);
    must(slice_is((struct slice){ (char *)back, len }, s));
    free(back);
    buf_fini(&b);
}

/* What is read as base64 is exactly what would be written for it. */
static void check_base64_decode(struct slice s)
{
    struct buf bytes = BUF_EMPTY, again = BUF_EMPTY;
    if (base64_decode(&bytes, s) == RC_OK) {
        base64_put(&again, buf_slice(&bytes));
        must(slice_is(buf_slice(&again), s));
    }
    bytes.len = again.len = 0;
    if (base64url_decode(&bytes, s) == RC_OK) {
        mint_base64url(&again, buf_slice(&bytes));
        must(slice_is(buf_slice(&again), s));
    }
    buf_fini(&bytes);
    buf_fini(&again);
}

static void check_measures(struct slice s)
{
    int64_t n, again;
    struct buf b = BUF_EMPTY;
    if (duration_parse(s, INT64_MAX, &n) == RC_OK) {
        must(n >= 0);
        duration_put(&b, n);
        must(duration_parse(buf_slice(&b), n, &again) == RC_OK && again == n);
    }
    b.len = 0;
    if (size_parse(s, INT64_MAX, &n) == RC_OK) {
        must(n >= 0);
        size_put(&b, n);
        must(size_parse(buf_slice(&b), n, &again) == RC_OK && again == n);
    }
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice s = exact_copy(data, size);
    bool valid = utf8_valid(s);
    must(valid == slow_valid(s));
    if (valid)
        check_json(s);
    check_base64(s);
    check_base64_decode(s);
    check_measures(s);
    free((char *)s.at);
    return 0;
}
