/*
 * ws_cases_test.c - the codec through the categories of the field's conformance suite, by its
 * numbers: 1 framing, 2 pings, 3 reserved bits, 4 opcodes, 5 fragmentation, 6 UTF-8, 7 closing, 9
 * and 10 sizes, 12 and 13 compression.  What the suite sees over a socket,
 * tests/sidecar/ws_echo_test.c sees, too.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sidecar/ws_deflate.h"
#include "tests/peers/ws_frame.h"
#include "tests/sidecar/ws_script.h"
#include "tests/suite.h"

struct row {
    const char *number, *script, *want;
};

static void try_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct ws_rules rules = { .max_message = 1000 };
        struct buf bytes = BUF_EMPTY;
        ws_script_put(&bytes, rows[i].script);
        struct slice want = slice_of(rows[i].want);
        for (size_t cut = 0; cut < bytes.len; cut++) { /* 0: whole */
            struct buf got = ws_transcript(&rules, false, buf_slice(&bytes), cut, bytes.len);
            bool same = got.len >= want.len && memcmp(got.at, want.at, want.len) == 0;
            ck_assert_msg(same, "case %s, cut at %zu: got %.*s, wanted %s", rows[i].number, cut,
                          (int)got.len, got.at, rows[i].want);
            buf_fini(&got);
        }
        buf_fini(&bytes);
    }
}

/* ---- 1: framing ------------------------------------------------------------------------------ */

START_TEST(case_1_messages_of_all_lengths)
{
    const size_t lengths[] = { 0, 125, 126, 127, 128, 65535, 65536 },
                 chops[] = { 997, SIZE_MAX, 1 };
    const struct ws_rules rules = { .max_message = 65536 };

    for (size_t i = 0; i < LENGTH(lengths) * LENGTH(chops) * 2; i++) {
        struct buf message = BUF_EMPTY, bytes = BUF_EMPTY, want = BUF_EMPTY;
        bool text = i % 2;
        size_t len = lengths[i / 2 % LENGTH(lengths)], chop = chops[i / 2 / LENGTH(lengths)];
        for (size_t k = 0; k < len; k++)
            buf_putc(&message, text ? '*' : '\xFE');
        ws_frame_put(&bytes, text ? FRAME_TEXT : FRAME_BINARY, 0, buf_slice(&message));
        buf_printf(&want, "%s %zu ", text ? "text" : "binary", len);
        buf_put(&want, buf_slice(&message));
        buf_puts(&want, "\nat rest");
        struct buf got = ws_transcript(&rules, false, buf_slice(&bytes), 0, chop);
        ck_assert(slice_is(buf_slice(&got), buf_slice(&want)));
        buf_fini(&got);
        buf_fini(&message);
        buf_fini(&bytes);
        buf_fini(&want);
    }
}
END_TEST

/* ---- 2 to 5, 7 ------------------------------------------------------------------------------- */

#define BROKEN "broken 1002 "

START_TEST(case_2_pings)
{
    const struct row rows[] = {
        { "2.1", "P", "ping 0 \nat rest" },
        { "2.2", "P Hello, world!", "ping 13 Hello, world!\nat rest" },
        { "2.3", "P \xFE\xFF\xFE\xFD", "ping 4 \xFE\xFF\xFE\xFD\nat rest" },
        { "2.7", "O", "pong 0 \nat rest" },
        { "2.8", "O unsolicited", "pong 11 unsolicited\nat rest" },
        { "2.9", "O unsolicited | P ping", "pong 11 unsolicited\nping 4 ping\nat rest" },
        { "2.10", "P 0 | P 1 | P 2", "ping 1 0\nping 1 1\nping 1 2\nat rest" },
    };
    try_rows(rows, LENGTH(rows));
}
END_TEST

START_TEST(case_3_and_4_reserved_bits_and_opcodes)
{
    const struct row rows[] = {
        { "3.1", "T3 Hello", BROKEN "reserved bit" },
        { "3.2", "T hi | T2 no | P", "text 2 hi\n" BROKEN "reserved bit" },
        { "3.3", "T hi | T23 no | P", "text 2 hi\n" BROKEN "reserved bit" },
        { "3.4", "T hi | T1 no | P", "text 2 hi\n" BROKEN "reserved bit" },
        { "3.5", "B13 no", BROKEN "reserved bit" },
        { "3.6", "P12 no", BROKEN "reserved bit" },
        { "3.7", "X123 1000", BROKEN "reserved bit" },
        { "4.1.1", "#3", BROKEN "reserved opcode" },
        { "4.1.2", "#4 reserved", BROKEN "reserved opcode" },
        { "4.1.3", "T hi | #5 | P", "text 2 hi\n" BROKEN "reserved opcode" },
        { "4.1.4", "T hi | #6 reserved | P", "text 2 hi\n" BROKEN "reserved opcode" },
        { "4.1.5", "T hi | #7 reserved | P", "text 2 hi\n" BROKEN "reserved opcode" },
        { "4.2.1", "#b", BROKEN "reserved opcode" },
        { "4.2.2", "#c reserved", BROKEN "reserved opcode" },
        { "4.2.3", "T hi | #d | P", "text 2 hi\n" BROKEN "reserved opcode" },
        { "4.2.4", "T hi | #e reserved | P", "text 2 hi\n" BROKEN "reserved opcode" },
        { "4.2.5", "T hi | #f reserved | P", "text 2 hi\n" BROKEN "reserved opcode" },
    };
    try_rows(rows, LENGTH(rows));
}
END_TEST

START_TEST(case_5_fragmentation)
{
    const struct row rows[] = {
        { "5.1", "p fragment1 | C fragment2", BROKEN "fragmented control" },
        { "5.2", "o fragment1 | C fragment2", BROKEN "fragmented control" },
        { "5.3", "t fragment1 | C fragment2", "text 18 fragment1fragment2\nat rest" },
        { "5.6", "t fragment1 | P ping | C fragment2",
          "ping 4 ping\ntext 18 fragment1fragment2\nat rest" },
        { "5.9", "C no | T hi", BROKEN "continuation of nothing" },
        { "5.12", "c no | T hi", BROKEN "continuation of nothing" },
        { "5.15", "t one | C two | c no | T hi", "text 6 onetwo\n" BROKEN "continuation" },
        { "5.16", "c one | t two | C three", BROKEN "continuation of nothing" },
        { "5.17", "C one | t two | C three", BROKEN "continuation of nothing" },
        { "5.18", "t one | T two", BROKEN "new message" },
        { "5.19", "t 1 | c 2 | P a | c 3 | c 4 | P b | C 5",
          "ping 1 a\nping 1 b\ntext 5 12345\nat rest" },
    };
    try_rows(rows, LENGTH(rows));
}
END_TEST

START_TEST(case_7_closing)
{
    const struct row rows[] = {
        { "7.1.1", "T Hello | X 1000", "text 5 Hello\nclose 1000 \nover" },
        { "7.1.2", "X 1000 | X 1000", "close 1000 \nover" },
        { "7.1.3", "X 1000 | P", "close 1000 \nover" },
        { "7.1.4", "X 1000 | T Hello", "close 1000 \nover" },
        { "7.1.5", "t one | X 1000 | C two", "close 1000 \nover" },
        { "7.3.1", "X", "close 1005 \nover" },
        { "7.3.4", "X 1000 Hello World!", "close 1000 Hello World!\nover" },
        { "7.3.5",
          "X 1000 1234567890123456789012345678901234567890123456789012345678901234567890"
          "12345678901234567890123456789012345678901234567890123",
          "close 1000 1234567890123456789012345678901234567890123456789012345678901234567890"
          "12345678901234567890123456789012345678901234567890123\nover" },
        { "7.3.6",
          "X 1000 1234567890123456789012345678901234567890123456789012345678901234567890"
          "123456789012345678901234567890123456789012345678901234",
          BROKEN "control frame" },
        { "7.5.1", "X 1000 \xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80 edited",
          "broken 1007 reason" },
        { "7.13.1", "X 5000", BROKEN "close code" },
        { "7.13.2", "X 65535", BROKEN "close code" },
    };
    const unsigned good[] = { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                              1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999 },
                   bad[] = { 0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999 };

    try_rows(rows, LENGTH(rows));
    for (size_t i = 0; i < LENGTH(good) + LENGTH(bad); i++) {
        char script[16], want[32];
        bool ok = i < LENGTH(good);
        unsigned code = ok ? good[i] : bad[i - LENGTH(good)];
        snprintf(script, sizeof(script), "X %u", code);
        snprintf(want, sizeof(want), ok ? "close %u \nover" : BROKEN "close code", code);
        const struct row row = { ok ? "7.7" : "7.9", script, want };
        try_rows(&row, 1);
    }
}
END_TEST

/* ---- 6: UTF-8 -------------------------------------------------------------------------------- */

START_TEST(case_6_utf8)
{
    static const char *const good[] = {
        "Hello-\xC2\xB5@\xC3\x9F\xC3\xB6\xC3\xA4\xC3\xBC\xC3\xA0\xC3\xA1-UTF-8!!",
        "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5",
        "\x7F",
        "\xC2\x80",
        "\xDF\xBF",
        "\xE0\xA0\x80",
        "\xED\x9F\xBF",
        "\xEE\x80\x80",
        "\xEF\xBF\xBD",
        "\xEF\xBF\xBE",
        "\xEF\xBF\xBF",
        "\xF0\x90\x80\x80",
        "\xF0\x9F\xBF\xBF",
        "\xF4\x8F\xBF\xBE",
        "\xF4\x8F\xBF\xBF", /* noncharacters are characters here */
    };
    static const char *const bad[] = {
        "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80"
        "edited", /* 6.3 */
        "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xF4\x90\x80\x80"
        "edited", /* 6.4 */
        "\xF8\x88\x80\x80\x80",
        "\xFC\x84\x80\x80\x80\x80",
        "\xF7\xBF\xBF\xBF",
        "\xFB\xBF\xBF\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\x80",
        "\xBF",
        "\x80\xBF",
        "\x80\xBF\x80\xBF\x80\xBF",
        "\xC0 \xC1 ",
        "\xE0 \xEF ",
        "\xF0 \xF7 ",
        "\xF8 ",
        "\xFC \xFD ",
        "\xC0",
        "\xE0\x80",
        "\xF0\x80\x80",
        "\xDF",
        "\xEF\xBF",
        "\xF7\xBF\xBF",
        "\xFE",
        "\xFF",
        "\xFE\xFE\xFF\xFF",
        "\xC0\xAF",
        "\xE0\x80\xAF",
        "\xF0\x80\x80\xAF",
        "\xC1\xBF",
        "\xE0\x9F\xBF",
        "\xF0\x8F\xBF\xBF",
        "\xC0\x80",
        "\xE0\x80\x80",
        "\xF0\x80\x80\x80",
        "\xED\xA0\x80",
        "\xED\xAD\xBF",
        "\xED\xAE\x80",
        "\xED\xAF\xBF",
        "\xED\xB0\x80",
        "\xED\xBE\x80",
        "\xED\xBF\xBF",
        "\xED\xA0\x80\xED\xB0\x80",
        "\xED\xAF\xBF\xED\xBF\xBF",
    };

    for (size_t i = 0; i < LENGTH(good) + LENGTH(bad); i++) {
        bool ok = i < LENGTH(good);
        struct slice text = slice_of(ok ? good[i] : bad[i - LENGTH(good)]);
        for (size_t size = 1; size <= text.len; size++) { /* 6.2: in fragments within characters */
            const struct ws_rules rules = { .max_message = 1000 };
            struct buf bytes = BUF_EMPTY, want = BUF_EMPTY;
            for (size_t at = 0; at < text.len; at += size) {
                size_t n = text.len - at < size ? text.len - at : size;
                ws_frame_put(&bytes, at == 0 ? FRAME_TEXT : FRAME_CONT,
                             at + n < text.len ? FRAME_MORE : 0, (struct slice){ text.at + at, n });
            }
            if (ok)
                buf_printf(&want, "text %zu %.*s\nat rest", text.len, (int)text.len, text.at);
            else
                buf_puts(&want, "broken 1007 text that is not UTF-8\nover");
            for (size_t cut = 0; cut < bytes.len; cut++) {
                struct buf got = ws_transcript(&rules, false, buf_slice(&bytes), cut, bytes.len);
                ck_assert_msg(slice_is(buf_slice(&got), buf_slice(&want)), "%zu: %.*s", i,
                              (int)got.len, got.at);
                buf_fini(&got);
            }
            buf_fini(&bytes);
            buf_fini(&want);
        }
    }
}
END_TEST

/* ---- 9, 10, 12, 13: sizes and compression ------------------------------------------------------
 */

/* Decode what a client sends in fragments, chopped; gives the message. */
static struct buf decode(const struct ws_rules *rules, struct slice bytes, size_t chop)
{
    struct ws_wire w = { .deflate = rules->deflate };
    struct buf message = BUF_EMPTY;
    struct ws_seen seen = { .last = false };

    while (bytes.len > 0) {
        struct slice rest = { bytes.at, chop < bytes.len ? chop : bytes.len };
        bytes = (struct slice){ bytes.at + rest.len, bytes.len - rest.len };
        enum ws_step step;
        while ((step = ws_wire_feed(&w, rules, &rest, &seen)) != WS_STEP_MORE) {
            ck_assert_int_eq(step, WS_STEP_DATA);
            buf_put(&message, seen.bytes);
        }
    }
    ck_assert(seen.last && !w.amid && !w.over);
    return message;
}

static void put_fragments(struct buf *out, unsigned special, struct slice message, size_t size)
{
    for (size_t at = 0; at < message.len; at += size) {
        size_t n = message.len - at < size ? message.len - at : size;
        ws_frame_put(out, at == 0 ? FRAME_TEXT : FRAME_CONT,
                     (at == 0 ? special : 0) + (at + n < message.len ? FRAME_MORE : 0),
                     (struct slice){ message.at + at, n });
    }
}

START_TEST(case_9_and_10_large_messages_in_small_fragments)
{
    enum { LARGE = 4 << 20 };
    const size_t sizes[] = { 64, 256, 1000, 65536, LARGE }, chops[] = { 64, 2048, 65536, SIZE_MAX };
    const struct ws_rules rules = { .max_message = LARGE };
    struct buf message = BUF_EMPTY;

    for (size_t i = 0; i < LARGE; i++)
        buf_putc(&message, (char)('a' + i % 23));
    for (size_t i = 0; i < LENGTH(sizes) * LENGTH(chops); i++) {
        struct buf bytes = BUF_EMPTY;
        put_fragments(&bytes, 0, buf_slice(&message), sizes[i % LENGTH(sizes)]);
        struct buf got = decode(&rules, buf_slice(&bytes), chops[i / LENGTH(sizes)]);
        ck_assert(slice_is(buf_slice(&got), buf_slice(&message)));
        buf_fini(&got);
        buf_fini(&bytes);
    }
    buf_fini(&message);
}
END_TEST

START_TEST(case_12_and_13_compressed_there_and_back)
{
    const size_t sizes[] = { 16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072 },
                 fragments[] = { 256, 1024, 4096, 32768, SIZE_MAX };
    const int windows[] = { 8, 9, 12, 15 };
    struct ws_deflate *shared = ws_deflate_new(1);
    const struct ws_rules rules = { .max_message = 131072, .deflate = shared };

    for (size_t i = 0; i < LENGTH(sizes) * LENGTH(fragments) * LENGTH(windows); i++) {
        size_t len = sizes[i % LENGTH(sizes)],
               fragment = fragments[i / LENGTH(sizes) % LENGTH(fragments)];
        int window = windows[i / LENGTH(sizes) / LENGTH(fragments)];
        struct buf message = BUF_EMPTY, packed = BUF_EMPTY, bytes = BUF_EMPTY, back = BUF_EMPTY;
        for (size_t k = 0; message.len < len; k++)
            buf_printf(&message, "{\"id\":%zu,\"name\":\"Gretchen\",\"n\":%zu},", k, k * k % 97);
        message.len = len;
        ws_frame_deflate(&packed, window < 9 ? 9 : window, buf_slice(&message));
        put_fragments(&bytes, FRAME_RSV1, buf_slice(&packed), fragment);
        struct buf got = decode(&rules, buf_slice(&bytes), 1461);
        ck_assert(slice_is(buf_slice(&got), buf_slice(&message)));
        packed.len = 0;
        enum rc rc = ws_deflate_put(shared, window, buf_slice(&got), &packed);
        ck_assert(rc == RC_OK || (rc == RC_AGAIN && len <= 64));
        if (rc == RC_OK) {
            ck_assert(ws_frame_inflate(&back, window, buf_slice(&packed)));
            ck_assert(slice_is(buf_slice(&back), buf_slice(&message)));
        }
        buf_fini(&got);
        buf_fini(&message);
        buf_fini(&packed);
        buf_fini(&bytes);
        buf_fini(&back);
    }
    ws_deflate_free(shared);
}
END_TEST

SUITE(ws_cases)
{
    tcase_add_test(tc, case_1_messages_of_all_lengths);
    tcase_add_test(tc, case_2_pings);
    tcase_add_test(tc, case_3_and_4_reserved_bits_and_opcodes);
    tcase_add_test(tc, case_5_fragmentation);
    tcase_add_test(tc, case_6_utf8);
    tcase_add_test(tc, case_7_closing);
    tcase_add_test(tc, case_9_and_10_large_messages_in_small_fragments);
    tcase_add_test(tc, case_12_and_13_compressed_there_and_back);
}
