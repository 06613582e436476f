/*
 * ws_cases_test.c - the codec through the categories of the field's conformance suite, by its
 * numbers: 1 framing, 2 pings, 3 reserved bits, 4 opcodes, 5 fragmentation, 6 UTF-8, 7 closing, 9
 * and 10 sizes, 12 and 13 compression.  What the suite sees over a socket,
 * tests/sidecar/ws_echo_test.c sees, too.
 */
#include <stdlib.h>

#include "sidecar/ws_deflate.h"
#include "tests/peers/ws_frame.h"
#include "tests/sidecar/ws_cases.h"
#include "tests/sidecar/ws_script.h"
#include "tests/suite.h"

/* In frames of so many bytes. */
static void put_fragments(struct buf *out, unsigned special, struct slice message, size_t size)
{
    for (size_t at = 0; at < message.len; at += size) {
        size_t n = message.len - at < size ? message.len - at : size;
        ws_frame_put(out, at == 0 ? FRAME_TEXT : FRAME_CONT,
                     (at == 0 ? special : 0) + (at + n < message.len ? FRAME_MORE : 0),
                     (struct slice){ message.at + at, n });
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

START_TEST(cases_2_to_5_and_7)
{
    const struct ws_rules rules = { .max_message = 1000 };

    for (const struct ws_case *k = ws_cases; k->number; k++) {
        struct buf bytes = BUF_EMPTY;
        ws_script_put(&bytes, k->script);
        struct slice want = slice_of(k->want);
        for (size_t cut = 0; cut < bytes.len; cut++) { /* 0: whole */
            struct buf got = ws_transcript(&rules, false, buf_slice(&bytes), cut, bytes.len);
            bool same = got.len >= want.len && memcmp(got.at, want.at, want.len) == 0;
            ck_assert_msg(same, "case %s, cut at %zu: got %.*s, wanted %s", k->number, cut,
                          (int)got.len, got.at, k->want);
            buf_fini(&got);
        }
        buf_fini(&bytes);
    }
}
END_TEST

/* ---- 6: UTF-8 -------------------------------------------------------------------------------- */

/* In fragments of each size, so also within characters; however they are cut. */
static void try_text(struct slice text, const struct buf *want)
{
    const struct ws_rules rules = { .max_message = 1000 };

    for (size_t size = 1; size <= text.len; size++) {
        struct buf bytes = BUF_EMPTY;
        put_fragments(&bytes, 0, text, size);
        for (size_t cut = 0; cut < bytes.len; cut++) {
            struct buf got = ws_transcript(&rules, false, buf_slice(&bytes), cut, bytes.len);
            ck_assert_msg(slice_is(buf_slice(&got), buf_slice(want)), "%.*s: %.*s", (int)text.len,
                          text.at, (int)got.len, got.at);
            buf_fini(&got);
        }
        buf_fini(&bytes);
    }
}

START_TEST(case_6_utf8)
{
    struct buf want = BUF_EMPTY;

    for (const char *const *t = ws_cases_utf8; *t; t++) {
        want.len = 0;
        buf_printf(&want, "text %zu %s\nat rest", strlen(*t), *t);
        try_text(slice_of(*t), &want);
    }
    want.len = 0;
    buf_puts(&want, "broken 1007 text that is not UTF-8\nover");
    for (const char *const *t = ws_cases_not_utf8; *t; t++)
        try_text(slice_of(*t), &want);
    buf_fini(&want);
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
    tcase_add_test(tc, cases_2_to_5_and_7);
    tcase_add_test(tc, case_6_utf8);
    tcase_add_test(tc, case_9_and_10_large_messages_in_small_fragments);
    tcase_add_test(tc, case_12_and_13_compressed_there_and_back);
}
