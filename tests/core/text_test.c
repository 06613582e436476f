#include "core/text.h"
#include "tests/core/memory.h"
#include "tests/page.h"
#include "tests/suite.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* --- UTF-8 --------------------------------------------------------------------------------- */

static size_t encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)((0xF00 >> n) | code);
    return n;
}

START_TEST(every_code_point_is_valid_but_surrogates)
{
    char at[4];
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        struct slice s = { at, encode(code, at) };
        bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        ck_assert_uint_eq(utf8_valid(s), !surrogate);
        ck_assert_uint_eq(utf8_sequence(s), surrogate ? 0 : s.len);
    }
}
END_TEST

/* Counting finds what a list of examples forgets: no other bytes may pass for a code point. */
START_TEST(nothing_else_is_valid)
{
    unsigned char at[4];
    struct slice s = { (char *)at, 0 };
    size_t one = 0, two = 0, three = 0, four = 0;
    for (unsigned a = 0; a < 256; a++) {
        at[0] = (unsigned char)a;
        s.len = 1;
        one += utf8_sequence(s) == 1;
        for (unsigned b = 0; b < 256; b++) {
            at[1] = (unsigned char)b;
            s.len = 2;
            two += utf8_sequence(s) == 2;
            for (unsigned c = 0; c < 256 && a >= 0xE0; c++) {
                at[2] = (unsigned char)c;
                s.len = 3;
                three += utf8_sequence(s) == 3;
                for (unsigned d = 0x7F; d <= 0xC0 && a >= 0xF0 && c >= 0x7F && c <= 0xC0; d++) {
                    at[3] = (unsigned char)d;
                    s.len = 4;
                    four += utf8_sequence(s) == 4;
                }
            }
        }
    }
    ck_assert_uint_eq(one, 0x80);
    ck_assert_uint_eq(two, 0x800 - 0x80);
    ck_assert_uint_eq(three, 0x10000 - 0x800 - 0x800);
    ck_assert_uint_eq(four, 0x110000 - 0x10000);
}
END_TEST

START_TEST(a_sequence_cut_short_is_invalid_and_not_read_past)
{
    static const char *const samples[] = { "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x94\x94" };
    for (size_t i = 0; i < LENGTH(samples); i++) {
        size_t whole = strlen(samples[i]);
        for (size_t before = 0; before < 20; before++) {
            for (size_t n = 0; n <= whole; n++) {
                char text[32];
                memset(text, 'a', before);
                memcpy(text + before, samples[i], n);
                struct page p = page_of((struct slice){ text, before + n });
                ck_assert_uint_eq(utf8_valid(p.bytes), n == 0 || n == whole);
                page_fini(&p);
            }
        }
    }
}
END_TEST

START_TEST(one_bad_byte_anywhere_spoils_the_text)
{
    char text[40];
    for (size_t at = 0; at < sizeof text; at++) {
        memset(text, 'a', sizeof text);
        text[at] = '\xFF';
        ck_assert(!utf8_valid((struct slice){ text, sizeof text }));
        ck_assert(utf8_valid((struct slice){ text, at }));
    }
}
END_TEST

/* --- JSON ---------------------------------------------------------------------------------- */

/* Written, read back by jansson, the same again; and harmless inside a <script>. */
static void check_json(struct slice s)
{
    struct page p = page_of(s);
    struct buf b = BUF_EMPTY;
    json_put_string(&b, p.bytes);
    ck_assert_int_eq(buf_rc(&b), RC_OK);
    json_t *read = json_loadb(b.at, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    ck_assert_ptr_nonnull(read);
    ck_assert_uint_eq(json_string_length(read), s.len);
    ck_assert(s.len == 0 || memcmp(json_string_value(read), s.at, s.len) == 0);
    ck_assert_ptr_null(memchr(b.at, '<', b.len));
    ck_assert_ptr_null(memmem(b.at, b.len, "\xE2\x80\xA8", 3));
    ck_assert_ptr_null(memmem(b.at, b.len, "\xE2\x80\xA9", 3));
    json_decref(read);
    buf_fini(&b);
    page_fini(&p);
}

START_TEST(json_strings_are_what_jansson_reads)
{
    char text[128];
    for (unsigned c = 0; c < 0x80; c++) { /* each byte at each place of a word */
        for (size_t at = 0; at < 17; at++) {
            memset(text, 'a', 17);
            text[at] = (char)c;
            check_json((struct slice){ text, 17 });
        }
    }
    static const uint32_t odd[] = { '"',    '\\',    '<',      0,      0x1F,   0x7F,
                                    0xE9,   0x20AC,  0x2027,   0x2028, 0x2029, 0x202A,
                                    0x80A8, 0x1F514, 0x10FFFF, 'a',    'b' };
    srand(1);
    for (int round = 0; round < 5000; round++) {
        size_t len = 0;
        for (int i = rand() % 25; i > 0; i--)
            len += encode(odd[(size_t)rand() % LENGTH(odd)], text + len);
        check_json((struct slice){ text, len });
    }
}
END_TEST

START_TEST(json_escapes_are_the_short_ones)
{
    struct buf b = BUF_EMPTY;
    json_put_string(&b, SLICE("a\"b\\c\n\r\t\x01</script>\xE2\x80\xA8"));
    ck_assert(
        slice_is(buf_slice(&b), SLICE("\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u003c/script>\\u2028\"")));
    buf_fini(&b);
    json_put_string(&b, SLICE_NONE);
    ck_assert(slice_is(buf_slice(&b), SLICE("\"\"")));
    buf_fini(&b);
}
END_TEST

START_TEST(json_without_memory_leaves_nothing)
{
    char text[200];
    memset(text, '\n', sizeof text);
    MEMORY_SCRIPT(nth)
    {
        struct buf b = BUF_EMPTY;
        json_put_string(&b, (struct slice){ text, sizeof text });
        ck_assert_int_eq(buf_rc(&b), memory_failed() ? RC_NOMEM : RC_OK);
        ck_assert_uint_eq(b.len, memory_failed() ? 0 : 2 + 2 * sizeof text);
        buf_fini(&b);
    }
}
END_TEST

/* --- base64, percent, queries -------------------------------------------------------------- */

START_TEST(json_is_compacted_outside_of_strings_only)
{
    static const struct {
        struct slice from, to;
    } all[] = {
        { SLICE(""), SLICE("") },
        { SLICE(" { \"a b\" :\t[ 1.10 ,\r\n -0e0 , \" \\\" \\\\\" ] , \"\" : null } "),
          SLICE("{\"a b\":[1.10,-0e0,\" \\\" \\\\\"],\"\":null}") },
        { SLICE("\"\\u00e4\xc3\xa4\""), SLICE("\"\\u00e4\xc3\xa4\"") },
        { SLICE("\"</script>\xe2\x80\xa8\xe2\x80\xa9\xe2\x82\xac\""),
          SLICE("\"\\u003c/script>\\u2028\\u2029\xe2\x82\xac\"") },
        { SLICE("\"\\\\\" "), SLICE("\"\\\\\"") },
        { SLICE("[\"\\"), SLICE("[\"\\\\") }, /* no JSON: nothing is read past its end */
        { SLICE("\"\xe2"), SLICE("\"\xe2") },
    };

    for (size_t i = 0; i < LENGTH(all); i++) {
        struct page page = page_of(all[i].from);
        struct buf out = BUF_EMPTY;
        json_put_compact(&out, page.bytes);
        ck_assert_msg(slice_is(buf_slice(&out), all[i].to), "%zu: %.*s", i, (int)out.len, out.at);
        buf_fini(&out);
        page_fini(&page);
    }
}
END_TEST

START_TEST(times_are_those_of_rfc_3339)
{
    static const char *const good[] = {
        "1985-04-12T23:20:50.52Z", "1996-12-19T16:39:57-08:00",
        "1990-12-31T23:59:60Z",    "1937-01-01T12:00:27.87+00:20",
        "2020-02-29t00:00:00z",    "2000-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",    "2018-04-05T17:31:00.123456789012Z"
    };
    static const char *const bad[] = {
        "",
        "2018-04-05",
        "2018-04-05T17:31:00",
        "2018-04-05 17:31:00Z",
        "2018-04-05T17:31Z",
        "2018-4-05T17:31:00Z",
        "2018-00-05T17:31:00Z",
        "2018-13-05T17:31:00Z",
        "2018-04-00T17:31:00Z",
        "2018-04-31T17:31:00Z",
        "2019-02-29T17:31:00Z",
        "1900-02-29T17:31:00Z",
        "2018-04-05T24:00:00Z",
        "2018-04-05T17:60:00Z",
        "2018-04-05T17:31:61Z",
        "2018-04-05T17:31:00.Z",
        "2018-04-05T17:31:00,5Z",
        "2018-04-05T17:31:00+24:00",
        "2018-04-05T17:31:00+01:60",
        "2018-04-05T17:31:00+0100",
        "2018-04-05T17:31:00Zx",
        "2018-04-05T17:31:00+01:00x",
        "+018-04-05T17:31:00Z",
    };

    for (size_t i = 0; i < LENGTH(good); i++)
        ck_assert_msg(rfc3339_valid(slice_of(good[i])), "%s", good[i]);
    for (size_t i = 0; i < LENGTH(bad); i++)
        ck_assert_msg(!rfc3339_valid(slice_of(bad[i])), "%s", bad[i]);
    ck_assert(!rfc3339_valid(SLICE("2018-04-05T17:31:00\0")));
    for (size_t n = 0; n < strlen(good[0]); n++) {
        struct page page = page_of((struct slice){ good[0], n });
        ck_assert(!rfc3339_valid(page.bytes));
        page_fini(&page);
    }
}
END_TEST

START_TEST(uri_references_have_no_other_characters)
{
    static const char *const good[] = { "/",
                                        "a",
                                        "https://example.org:8080/a?b=c&d#e",
                                        "urn:x:y",
                                        "mailto:a@b",
                                        "%C3%bc",
                                        "//[::1]/$-_.+!*'(),;=@~" };
    static const char *const bad[] = { "",    "a b", "\xc3\xbc", "%",  "%4",   "%4g",
                                       "%g4", "<",   ">",        "\"", "{",    "}",
                                       "|",   "\\",  "^",        "`",  "\x7f", "\n" };

    for (size_t i = 0; i < LENGTH(good); i++)
        ck_assert_msg(uri_reference_valid(slice_of(good[i])), "%s", good[i]);
    for (size_t i = 0; i < LENGTH(bad); i++)
        ck_assert_msg(!uri_reference_valid(slice_of(bad[i])), "%s", bad[i]);
    ck_assert(!uri_reference_valid(SLICE("a\0b")));
}
END_TEST

START_TEST(base64_is_that_of_the_rfc)
{
    static const char *const pairs[][2] = { { "", "" },
                                            { "f", "Zg==" },
                                            { "fo", "Zm8=" },
                                            { "foo", "Zm9v" },
                                            { "foob", "Zm9vYg==" },
                                            { "fooba", "Zm9vYmE=" },
                                            { "foobar", "Zm9vYmFy" } };
    for (size_t i = 0; i < LENGTH(pairs); i++) {
        struct buf b = BUF_EMPTY;
        buf_puts(&b, "x");
        base64_put(&b, slice_of(pairs[i][0]));
        ck_assert(slice_is((struct slice){ b.at + 1, b.len - 1 }, slice_of(pairs[i][1])));
        buf_fini(&b);
    }
}
END_TEST

/* 0, 1, 2 and 3 bytes; the two digits in which the alphabets differ. */
START_TEST(base64_is_read_back)
{
    static const struct {
        struct slice bytes, padded, url;
    } cases[] = {
        { SLICE(""), SLICE(""), SLICE("") },
        { SLICE("f"), SLICE("Zg=="), SLICE("Zg") },
        { SLICE("fo"), SLICE("Zm8="), SLICE("Zm8") },
        { SLICE("foo"), SLICE("Zm9v"), SLICE("Zm9v") },
        { SLICE("\xFB\xFF\0"), SLICE("+/8A"), SLICE("-_8A") },
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct buf padded = BUF_EMPTY, url = BUF_EMPTY;
        struct page p = page_of(cases[i].padded), u = page_of(cases[i].url);
        buf_puts(&padded, "<");
        ck_assert_int_eq(base64_decode(&padded, p.bytes), RC_OK);
        ck_assert_int_eq(base64url_decode(&url, u.bytes), RC_OK);
        ck_assert_uint_eq(padded.len, 1 + cases[i].bytes.len);
        ck_assert(slice_is((struct slice){ padded.at + 1, padded.len - 1 }, cases[i].bytes));
        ck_assert(slice_is(buf_slice(&url), cases[i].bytes));
        page_fini(&p);
        page_fini(&u);
        buf_fini(&padded);
        buf_fini(&url);
    }
}
END_TEST

START_TEST(base64_is_written_in_one_way_only)
{
    static const struct slice padded[] = {
        { "Zg", 2 },     { "Zg=", 3 },  { "Zg===", 5 },  { "Zh==", 4 },  { "Zm9=", 4 },
        { "Z", 1 },      { "=", 1 },    { "Zm9v=", 5 },  { " Zm9v", 5 }, { "Zm9v\n", 5 },
        { "Zm\n9v", 5 }, { "-_8A", 4 }, { "Zm9v\0", 5 }, { "Z*9v", 4 },
    };
    static const struct slice url[] = {
        { "Zg==", 4 },  { "Zg=", 3 },    { "Zh", 2 },    { "Zm9", 3 },    { "Z", 1 },
        { "Zm9vZ", 5 }, { "=", 1 },      { " Zm9v", 5 }, { "Zm9v\n", 5 }, { "Zm\n9v", 5 },
        { "+/8A", 4 },  { "Zm9v\0", 5 }, { "Z*9v", 4 },
    };
    struct buf out = BUF_EMPTY;
    buf_puts(&out, "<");
    for (size_t i = 0; i < LENGTH(padded); i++)
        ck_assert_msg(base64_decode(&out, padded[i]) == RC_SYNTAX, "padded %zu", i);
    for (size_t i = 0; i < LENGTH(url); i++)
        ck_assert_msg(base64url_decode(&out, url[i]) == RC_SYNTAX, "url %zu", i);
    for (int byte = 0x80; byte < 0x100; byte++) {
        char text[4] = { 'A', 'A', 'A', (char)byte };
        ck_assert_int_eq(base64_decode(&out, (struct slice){ text, 4 }), RC_SYNTAX);
        ck_assert_int_eq(base64url_decode(&out, (struct slice){ text, 4 }), RC_SYNTAX);
    }
    ck_assert(slice_is(buf_slice(&out), SLICE("<")));
    buf_fini(&out);
}
END_TEST

static void check_percent(const char *text, bool plus, enum rc rc, struct slice expected)
{
    struct page p = page_of(slice_of(text));
    struct buf b = BUF_EMPTY;
    buf_puts(&b, "kept");
    ck_assert_int_eq(percent_decode(&b, p.bytes, plus), rc);
    ck_assert_mem_eq(b.at, "kept", 4);
    ck_assert(slice_is((struct slice){ b.at + 4, b.len - 4 }, expected));
    buf_fini(&b);
    page_fini(&p);
}

START_TEST(percent_decoding_takes_two_hex_digits_or_nothing)
{
    check_percent("", true, RC_OK, SLICE(""));
    check_percent("a+b%2Fc%2f%00", true, RC_OK, SLICE("a b/c/\0"));
    check_percent("a+b", false, RC_OK, SLICE("a+b"));
    check_percent("%C3%A9%25", false, RC_OK, SLICE("\xC3\xA9%"));
    check_percent("%", false, RC_SYNTAX, SLICE(""));
    check_percent("abc%2", false, RC_SYNTAX, SLICE(""));
    check_percent("%2G", false, RC_SYNTAX, SLICE(""));
    check_percent("%G2", false, RC_SYNTAX, SLICE(""));
    check_percent("%%20", false, RC_SYNTAX, SLICE(""));
    check_percent("% 2", false, RC_SYNTAX, SLICE(""));
    struct buf b = BUF_EMPTY;
    memory_fail_at(0);
    ck_assert_int_eq(percent_decode(&b, SLICE("abc"), false), RC_NOMEM);
    ck_assert(memory_end());
    buf_fini(&b);
}
END_TEST

START_TEST(a_query_is_walked_pair_by_pair)
{
    static const char *const pairs[][2] = {
        { "a", "1" }, { "b", "" }, { "c", "" }, { "", "x" }, { "d", "e=f" }, { "g", "%20+" },
    };
    struct page p = page_of(SLICE("&a=1&b&c=&&=x&d=e=f&g=%20+&"));
    struct slice rest = p.bytes, key, value;
    for (size_t i = 0; i < LENGTH(pairs); i++) {
        ck_assert(query_next(&rest, &key, &value));
        ck_assert(slice_is(key, slice_of(pairs[i][0])));
        ck_assert(slice_is(value, slice_of(pairs[i][1])));
    }
    ck_assert(!query_next(&rest, &key, &value));
    ck_assert(!query_next(&rest, &key, &value));
    page_fini(&p);
    rest = SLICE_NONE;
    ck_assert(!query_next(&rest, &key, &value));
}
END_TEST

START_TEST(a_list_is_walked_item_by_item)
{
    static const char *const items[] = { "", " a ", "", "b c", "\td" };
    struct page p = page_of(SLICE(", a ,,b c,\td,"));
    struct slice rest = p.bytes, item;

    for (size_t i = 0; i < LENGTH(items); i++) {
        ck_assert(item_next(&rest, ',', &item));
        ck_assert(slice_is(item, slice_of(items[i])));
    }
    ck_assert(!item_next(&rest, ',', &item));
    page_fini(&p);
    rest = SLICE_NONE;
    ck_assert(!item_next(&rest, ',', &item));
}
END_TEST

START_TEST(words_of_a_list_are_found_in_whatever_case)
{
    ck_assert(list_has(SLICE("close"), SLICE("close")));
    ck_assert(list_has(SLICE(", ,Upgrade\t , x"), SLICE("upgrade")));
    ck_assert(list_has(SLICE("x,y"), SLICE("Y")));
    ck_assert(!list_has(SLICE("x y, closed, clos"), SLICE("close")));
    ck_assert(!list_has(SLICE(""), SLICE("x")));
    ck_assert(!list_has(SLICE_NONE, SLICE("x")));
}
END_TEST

/* --- numbers ------------------------------------------------------------------------------- */

static int64_t number(const char *text, int64_t max)
{
    int64_t n = -7;
    struct page p = page_of(slice_of(text));
    enum rc rc = number_parse(p.bytes, max, &n);
    page_fini(&p);
    ck_assert_int_eq(rc == RC_OK, n != -7); /* untouched after an error */
    return rc == RC_OK ? n : -1;
}

START_TEST(numbers_are_digits_up_to_a_limit)
{
    ck_assert_int_eq(number("0", 0), 0);
    ck_assert_int_eq(number("1", 0), -1);
    ck_assert_int_eq(number("9", 5), -1);
    ck_assert_int_eq(number("5", 5), 5);
    ck_assert_int_eq(number("10", 9), -1);
    ck_assert_int_eq(number("007", 10), 7);
    ck_assert_int_eq(number("9223372036854775807", INT64_MAX), INT64_MAX);
    ck_assert_int_eq(number("9223372036854775808", INT64_MAX), -1);
    ck_assert_int_eq(number("99999999999999999999", INT64_MAX), -1);
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "1.0", "0x1", "1e3", "\xD9\xA1"
    };
    for (size_t i = 0; i < LENGTH(bad); i++)
        ck_assert_int_eq(number(bad[i], INT64_MAX), -1);
    for (int64_t max = 0; max < 120; max++) {
        for (int64_t n = 0; n < 130; n++) {
            char text[8];
            snprintf(text, sizeof text, "%d", (int)n);
            ck_assert_int_eq(number(text, max), n <= max ? n : -1);
        }
    }
}
END_TEST

static int64_t duration(const char *text)
{
    int64_t n;
    return duration_parse(slice_of(text), INT64_MAX, &n) == RC_OK ? n : -1;
}

static int64_t size(const char *text)
{
    int64_t n;
    return size_parse(slice_of(text), INT64_MAX, &n) == RC_OK ? n : -1;
}

START_TEST(times_and_sizes_have_units)
{
    ck_assert_int_eq(duration("0"), 0);
    ck_assert_int_eq(duration("250ms"), 250);
    ck_assert_int_eq(duration("15s"), 15000);
    ck_assert_int_eq(duration("2M"), 120000);
    ck_assert_int_eq(duration("1h"), 3600000);
    ck_assert_int_eq(duration("7d"), 604800000);
    static const char *const bad_times[] = { "",    "15", "s",   "-1s",          "1.5s",
                                             "1 s", "1w", "1sm", "106751991168d" };
    for (size_t i = 0; i < LENGTH(bad_times); i++)
        ck_assert_int_eq(duration(bad_times[i]), -1);

    ck_assert_int_eq(size("0"), 0);
    ck_assert_int_eq(size("500"), 500);
    ck_assert_int_eq(size("64k"), 65536);
    ck_assert_int_eq(size("8M"), 8388608);
    ck_assert_int_eq(size("1g"), 1073741824);
    static const char *const bad_sizes[] = { "", "k", "1kb", "-1", "1 k", "8589934592g" };
    for (size_t i = 0; i < LENGTH(bad_sizes); i++)
        ck_assert_int_eq(size(bad_sizes[i]), -1);
    int64_t n;
    ck_assert_int_eq(size_parse(SLICE("2k"), 2047, &n), RC_SYNTAX);
    ck_assert_int_eq(size_parse(SLICE("2k"), 2048, &n), RC_OK);
}
END_TEST

START_TEST(times_and_sizes_are_written_as_they_are_read)
{
    static const int64_t samples[] = { 0,        1,       999,     1000,     1024,
                                       1500,     60000,   65536,   3600000,  3600001,
                                       86400000, 1 << 20, 1 << 30, INT64_MAX };
    for (size_t i = 0; i < LENGTH(samples); i++) {
        struct buf b = BUF_EMPTY;
        duration_put(&b, samples[i]);
        buf_putc(&b, '\0');
        ck_assert_int_eq(duration(b.at), samples[i]);
        b.len = 0;
        size_put(&b, samples[i]);
        buf_putc(&b, '\0');
        ck_assert_int_eq(size(b.at), samples[i]);
        buf_fini(&b);
    }
    struct buf b = BUF_EMPTY;
    duration_put(&b, 90000);
    buf_putc(&b, ' ');
    size_put(&b, 64 << 20);
    ck_assert(slice_is(buf_slice(&b), SLICE("90s 64m")));
    buf_fini(&b);
}
END_TEST

START_TEST(case_is_ignored_in_ascii_only)
{
    ck_assert(slice_is_nocase(SLICE("Content-TYPE"), SLICE("content-type")));
    ck_assert(slice_is_nocase(SLICE_NONE, SLICE("")));
    ck_assert(!slice_is_nocase(SLICE("a"), SLICE("ab")));
    ck_assert(!slice_is_nocase(SLICE("@"), SLICE("`")));
    ck_assert(!slice_is_nocase(SLICE("["), SLICE("{")));
    ck_assert(!slice_is_nocase(SLICE("\xC3\x89"), SLICE("\xC3\xA9")));
}
END_TEST

SUITE(text)
{
    tcase_add_test(tc, every_code_point_is_valid_but_surrogates);
    tcase_add_test(tc, nothing_else_is_valid);
    tcase_add_test(tc, a_sequence_cut_short_is_invalid_and_not_read_past);
    tcase_add_test(tc, one_bad_byte_anywhere_spoils_the_text);
    tcase_add_test(tc, json_strings_are_what_jansson_reads);
    tcase_add_test(tc, json_escapes_are_the_short_ones);
    tcase_add_test(tc, json_without_memory_leaves_nothing);
    tcase_add_test(tc, base64_is_that_of_the_rfc);
    tcase_add_test(tc, base64_is_read_back);
    tcase_add_test(tc, base64_is_written_in_one_way_only);
    tcase_add_test(tc, percent_decoding_takes_two_hex_digits_or_nothing);
    tcase_add_test(tc, a_query_is_walked_pair_by_pair);
    tcase_add_test(tc, a_list_is_walked_item_by_item);
    tcase_add_test(tc, words_of_a_list_are_found_in_whatever_case);
    tcase_add_test(tc, numbers_are_digits_up_to_a_limit);
    tcase_add_test(tc, times_and_sizes_have_units);
    tcase_add_test(tc, times_and_sizes_are_written_as_they_are_read);
    tcase_add_test(tc, case_is_ignored_in_ascii_only);
    tcase_add_test(tc, json_is_compacted_outside_of_strings_only);
    tcase_add_test(tc, times_are_those_of_rfc_3339);
    tcase_add_test(tc, uri_references_have_no_other_characters);
}
