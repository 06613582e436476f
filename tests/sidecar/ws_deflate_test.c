/*
 * ws_deflate_test.c - permessage-deflate: what we compress is read by clients of every window; what
 * clients compress is read in pieces, however they make it; bombs and rubbish are not.
 */
#include <stdlib.h>
#include <zlib.h>

#include "sidecar/ws_deflate.h"
#include "sidecar/ws_wire.h"
#include "tests/peers/ws_frame.h"
#include "tests/sidecar/ws_script.h"
#include "tests/suite.h"

static struct ws_deflate *shared;

static void set_up(void)
{
    shared = ws_deflate_new(4);
    ck_assert_ptr_nonnull(shared);
}

static void tear_down(void)
{
    ck_assert_uint_eq(ws_inflates_out(shared), 0); /* whatever happened, all came back */
    ws_deflate_free(shared);
}

/* Text that repeats itself near and far, as JSON and people do. */
static void put_text(struct buf *out, size_t len, unsigned seed)
{
    static const char *const words[] = { "order",    "status", "shipped", "{\"topic\":", "42",
                                         "\"data\"", "null,",  "Straße",  "и так далее", "\n" };
    size_t begin = out->len;

    while (out->len - begin < len) {
        seed = seed * 1103515245 + 12345;
        buf_puts(out, words[(seed >> 16) % LENGTH(words)]);
        buf_putc(out, (seed >> 8) % 7 ? ' ' : (char)('a' + (seed >> 24) % 26));
    }
    out->len = begin + len;
}

static void put_noise(struct buf *out, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1103515245 + 12345;
        buf_putc(out, (char)(seed >> 16));
    }
}

/* ---- compressing ----------------------------------------------------------------------------- */

/*
 * A window of 8 bits too, which zlib's deflate does not have: that what it makes with 9 can be read
 * by who remembers 256 bytes is what ws_deflate.c relies upon.
 */
START_TEST(clients_of_every_window_read_what_we_compress)
{
    const size_t lengths[] = { 64,  65,   250,  256,   257,    300,   511,
                               513, 1000, 4096, 65536, 131072, 300000 };

    for (int bits = WS_WINDOW_MIN; bits <= WS_WINDOW_MAX; bits++) {
        for (size_t i = 0; i < 4 * LENGTH(lengths); i++) {
            struct buf message = BUF_EMPTY, packed = BUF_EMPTY, back = BUF_EMPTY;
            size_t len = lengths[i / 4];
            if (i % 4 == 0)
                put_text(&message, len, (unsigned)i);
            while (i % 4 == 1 &&
                   message.len < len) /* the same every 251 bytes, and so further on */
                put_noise(&message, 251 + i / 4, 77);
            while (i % 4 == 2 && message.len < len) { /* runs */
                for (size_t k = 0; k < 300; k++)
                    buf_putc(&message, (char)(message.len / 300));
            }
            while (i % 4 == 3 && message.len < len) {
                put_noise(&message, 100, (unsigned)message.len);
                put_text(&message, 200, 5);
            }
            enum rc rc = ws_deflate_put(shared, bits, buf_slice(&message), &packed);
            ck_assert(rc == RC_OK || rc == RC_AGAIN);
            ck_assert(rc == RC_OK || packed.len == 0);
            ck_assert_uint_lt(packed.len, message.len);
            if (rc == RC_OK) {
                ck_assert_msg(ws_frame_inflate(&back, bits, buf_slice(&packed)),
                              "%d %zu %zu: %zu of %zu", bits, i, len, back.len, packed.len);
                ck_assert(slice_is(buf_slice(&back), buf_slice(&message)));
            }
            ck_assert(i % 4 == 1 || rc == RC_OK || len < 300);
            buf_fini(&message);
            buf_fini(&packed);
            buf_fini(&back);
        }
    }
}
END_TEST

START_TEST(a_client_that_remembers_less_would_notice)
{
    struct buf message = BUF_EMPTY, packed = BUF_EMPTY, back = BUF_EMPTY;

    put_noise(&message, 5000, 1); /* once more, 5000 bytes later */
    put_noise(&message, 5000, 1);
    ck_assert_int_eq(ws_deflate_put(shared, 15, buf_slice(&message), &packed), RC_OK);
    ck_assert(!ws_frame_inflate(&back, 12, buf_slice(&packed)));
    back.len = packed.len = 0;
    ck_assert_int_eq(ws_deflate_put(shared, 12, buf_slice(&message), &packed), RC_AGAIN);
    buf_fini(&message);
    buf_fini(&packed);
    buf_fini(&back);
}
END_TEST

START_TEST(nothing_is_taken_over_from_one_message_to_the_next)
{
    struct buf message = BUF_EMPTY, first = BUF_EMPTY, second = BUF_EMPTY;

    put_text(&message, 1000, 9);
    ck_assert_int_eq(ws_deflate_put(shared, 15, buf_slice(&message), &first), RC_OK);
    ck_assert_int_eq(ws_deflate_put(shared, 15, buf_slice(&message), &second), RC_OK);
    ck_assert(slice_is(buf_slice(&first), buf_slice(&second)));
    buf_fini(&message);
    buf_fini(&first);
    buf_fini(&second);
}
END_TEST

START_TEST(what_does_not_get_smaller_stays_as_it_is)
{
    struct buf message = BUF_EMPTY, out = BUF_EMPTY;

    buf_puts(&out, "kept");
    put_noise(&message, 100000, 3);
    ck_assert_int_eq(ws_deflate_put(shared, 15, buf_slice(&message), &out), RC_AGAIN);
    ck_assert_int_eq(ws_deflate_put(shared, 15, SLICE("short"), &out), RC_AGAIN);
    ck_assert_int_eq(ws_deflate_put(shared, 15, SLICE_NONE, &out), RC_AGAIN);
    ck_assert(slice_is(buf_slice(&out), SLICE("kept")));
    message.len = 0;
    for (size_t len = 1; len <= WS_DEFLATE_WORTH; len++) { /* it could be, but what for? */
        buf_putc(&message, 'a');
        enum rc rc = ws_deflate_put(shared, 15, buf_slice(&message), &out);
        ck_assert_int_eq(rc, len < WS_DEFLATE_WORTH ? RC_AGAIN : RC_OK);
    }
    out.len = 4;
    put_text(&message, 100000, 3);
    ck_assert_int_eq(ws_deflate_put(shared, 15, buf_slice(&message), &out), RC_OK);
    ck_assert_mem_eq(out.at, "kept", 4);
    buf_fini(&message);
    buf_fini(&out);
}
END_TEST

/* ---- decompressing --------------------------------------------------------------------------- */

/* Inflate in pieces of so many bytes; RC_OK: *out has the message. */
static enum rc inflate_all(struct slice packed, size_t piece, size_t max, struct buf *out)
{
    struct ws_inflate *i;
    enum rc rc = ws_inflate_borrow(shared, max, &i);

    ck_assert_int_eq(rc, RC_OK);
    do {
        size_t n = piece < packed.len ? piece : packed.len;
        struct slice in = { packed.at, n }, got;
        do {
            rc = ws_inflate_next(i, &in, n == packed.len, &got);
            if (rc == RC_OK || rc == RC_AGAIN) {
                ck_assert_uint_le(got.len, WS_INFLATE_PIECE);
                buf_put(out, got);
            }
        } while (rc == RC_AGAIN);
        ck_assert(rc != RC_OK || in.len == 0);
        packed = (struct slice){ packed.at + n, packed.len - n };
    } while (rc == RC_OK && packed.len > 0);
    ws_inflate_give_back(i);
    ck_assert_uint_le(out->len, max);
    return rc;
}

static void expect_inflated(struct slice packed, struct slice message)
{
    const size_t pieces[] = { 1, 2, 3, 7, 100, SIZE_MAX };

    for (size_t i = 0; i < LENGTH(pieces); i++) {
        struct buf out = BUF_EMPTY;
        ck_assert_int_eq(inflate_all(packed, pieces[i], message.len, &out), RC_OK);
        ck_assert(slice_is(buf_slice(&out), message));
        buf_fini(&out);
        if (message.len > 0)
            ck_assert_int_eq(inflate_all(packed, pieces[i], message.len - 1, &out), RC_LIMIT);
        buf_fini(&out);
    }
}

/* RFC 7692 section 7.2.3. */
START_TEST(the_examples_of_the_rfc_are_read)
{
    expect_inflated(SLICE("\xF2\x48\xCD\xC9\xC9\x07\x00"), SLICE("Hello"));
    expect_inflated(SLICE("\x00\x05\x00\xFA\xFF\x48\x65\x6C\x6C\x6F\x00"), SLICE("Hello"));
    expect_inflated(SLICE("\xF3\x48\xCD\xC9\xC9\x07\x00\x00"), SLICE("Hello")); /* BFINAL */
    expect_inflated(SLICE("\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00"), SLICE("Hello"));
    expect_inflated(SLICE("\x00"), SLICE(""));
}
END_TEST

START_TEST(a_final_block_ends_nothing)
{
    /* twice the same final block; a final block with nothing behind it; none at all */
    expect_inflated(SLICE("\xF3\x48\xCD\xC9\xC9\x07\x00\xF3\x48\xCD\xC9\xC9\x07\x00\x00"),
                    SLICE("HelloHello"));
    expect_inflated(SLICE("\xF3\x48\xCD\xC9\xC9\x07\x00"), SLICE("Hello"));
    expect_inflated(SLICE("\x03\x00\x03\x00\xF2\x48\xCD\xC9\xC9\x07\x00"), SLICE("Hello"));
    expect_inflated(SLICE_NONE, SLICE(""));
}
END_TEST

START_TEST(clients_may_compress_as_they_like)
{
    const size_t lengths[] = { 1, 63, 1000, 32767, 32768, 32769, 65536, 200000 };

    for (size_t i = 0; i < LENGTH(lengths); i++) {
        struct buf message = BUF_EMPTY, packed = BUF_EMPTY;
        put_text(&message, lengths[i], (unsigned)i);
        for (int bits = 9; bits <= 15; bits += 3) {
            packed.len = 0;
            ws_frame_deflate(&packed, bits, buf_slice(&message));
            expect_inflated(buf_slice(&packed), buf_slice(&message));
        }
        buf_fini(&message);
        buf_fini(&packed);
    }
}
END_TEST

START_TEST(what_deflate_does_not_make_is_refused)
{
    const struct slice wrong[] = {
        SLICE("\x07"),                             /* block type 3 */
        SLICE("\x02\xFF\xFF\xFF\xFF\xFF\xFF"),     /* no such distance */
        SLICE("\x00\x05\x00\xFA\xFE\x48\x65"),     /* length and complement disagree */
        SLICE("\xF2\x48\xCD\xC9\xC9"),             /* ends amid a block */
        SLICE("\x00\x05\x00\xFA\xFF\x48\x65\x6C"), /* the same, stored */
        SLICE("\xF2\x48\xCD\xC9\xC9\x07"),         /* no empty block to complete at its end */
        SLICE("Hello"),
    };

    for (size_t i = 0; i < LENGTH(wrong); i++) {
        for (size_t piece = 1; piece < 10; piece++) {
            struct buf out = BUF_EMPTY;
            ck_assert_msg(inflate_all(wrong[i], piece, 1000, &out) == RC_SYNTAX, "%zu", i);
            buf_fini(&out);
        }
    }
}
END_TEST

START_TEST(a_bomb_is_stopped_at_the_limit)
{
    enum { LARGE = 100 << 20, LIMIT = 1 << 20 };
    struct buf bomb = BUF_EMPTY, out = BUF_EMPTY;
    char *zeros = calloc(1, LARGE);
    struct ws_inflate *i;
    struct slice in, got;

    ws_frame_deflate(&bomb, 15, (struct slice){ zeros, LARGE });
    free(zeros);
    ck_assert_uint_lt(bomb.len, 110000);
    ck_assert_int_eq(ws_inflate_borrow(shared, LIMIT, &i), RC_OK);
    in = buf_slice(&bomb);
    size_t sum = 0;
    enum rc rc;
    while ((rc = ws_inflate_next(i, &in, true, &got)) == RC_AGAIN)
        sum += got.len;
    ck_assert_int_eq(rc, RC_LIMIT);
    ck_assert_uint_le(sum, LIMIT);
    ck_assert_uint_gt(in.len, bomb.len * 9 / 10); /* most of it was not looked at */
    ws_inflate_give_back(i);
    buf_fini(&bomb);
    buf_fini(&out);
}
END_TEST

/* ---- lending streams ------------------------------------------------------------------------- */

START_TEST(streams_amid_messages_do_not_disturb_each_other)
{
    struct buf message[3] = { BUF_EMPTY }, packed[3] = { BUF_EMPTY }, out[3] = { BUF_EMPTY };
    struct ws_inflate *i[3];
    size_t at[3] = { 0 };

    for (unsigned k = 0; k < 3; k++) {
        put_text(&message[k], 50000, k);
        ws_frame_deflate(&packed[k], 15, buf_slice(&message[k]));
        ck_assert_int_eq(ws_inflate_borrow(shared, 50000, &i[k]), RC_OK);
    }
    for (bool more = true; more;) {
        more = false;
        for (unsigned k = 0; k < 3; k++) {
            size_t n = packed[k].len - at[k] < 777 ? packed[k].len - at[k] : 777;
            if (n == 0)
                continue;
            struct slice in = { packed[k].at + at[k], n }, got;
            at[k] += n;
            enum rc rc;
            do {
                rc = ws_inflate_next(i[k], &in, at[k] == packed[k].len, &got);
                buf_put(&out[k], got);
            } while (rc == RC_AGAIN);
            ck_assert_int_eq(rc, RC_OK);
            more = true;
        }
    }
    for (unsigned k = 0; k < 3; k++) {
        ck_assert(slice_is(buf_slice(&out[k]), buf_slice(&message[k])));
        ws_inflate_give_back(i[k]);
        buf_fini(&message[k]);
        buf_fini(&packed[k]);
        buf_fini(&out[k]);
    }
}
END_TEST

START_TEST(so_many_streams_are_lent_and_no_more)
{
    struct ws_inflate *i[5];

    for (unsigned k = 0; k < 4; k++)
        ck_assert_int_eq(ws_inflate_borrow(shared, 1, &i[k]), RC_OK);
    ck_assert_int_eq(ws_inflate_borrow(shared, 1, &i[4]), RC_LIMIT);
    ws_inflate_give_back(i[1]);
    ck_assert_int_eq(ws_inflate_borrow(shared, 1, &i[1]), RC_OK);
    ck_assert_uint_eq(ws_inflates_out(shared), 4);
    for (unsigned k = 0; k < 4; k++)
        ws_inflate_give_back(i[k]);
    ws_inflate_give_back(NULL);
}
END_TEST

/* ---- in frames ------------------------------------------------------------------------------- */

static void expect_frames(const char *script_1, struct slice packed, const char *expected)
{
    const struct ws_rules rules = { .max_message = 1000, .deflate = shared };
    struct buf bytes = BUF_EMPTY;

    ws_frame_put(&bytes, FRAME_TEXT, FRAME_RSV1, packed);
    if (script_1)
        ws_script_put(&bytes, script_1);
    ws_expect_bytes(&rules, true, buf_slice(&bytes), expected);
    buf_fini(&bytes);
}

/* The same message in frames of so many bytes, pings in between. */
static void expect_fragments(struct slice packed, size_t size, const char *expected)
{
    const struct ws_rules rules = { .max_message = 1000, .deflate = shared };
    struct buf bytes = BUF_EMPTY;
    bool first = true;

    do {
        size_t n = size < packed.len ? size : packed.len;
        unsigned more = n < packed.len ? FRAME_MORE : 0;
        ws_frame_put(&bytes, first ? FRAME_TEXT : FRAME_CONT, (first ? FRAME_RSV1 : 0) + more,
                     (struct slice){ packed.at, n });
        first = false;
        packed = (struct slice){ packed.at + n, packed.len - n };
    } while (packed.len > 0);
    ws_expect_bytes(&rules, true, buf_slice(&bytes), expected);
    buf_fini(&bytes);
}

START_TEST(compressed_messages_come_in_frames_like_others)
{
    struct slice hello = SLICE("\xF2\x48\xCD\xC9\xC9\x07\x00");

    expect_frames(NULL, hello, "text 5 Hello\nat rest");
    expect_frames(
        "T plain | B1 \x07", hello, /* block type 3 */
        "text 5 Hello\ntext 5 plain\nbroken 1007 not what deflate produces\nover after 31");
    expect_frames(NULL, SLICE("\x00"), "text 0 \nat rest");
    for (size_t size = 1; size < 8; size++)
        expect_fragments(hello, size, "text 5 Hello\nat rest");
    expect_frames("t1 | C1", hello,
                  "text 5 Hello\nbroken 1002 RSV1 on a frame that does not begin a message\n"
                  "over after 20");
    expect_frames("P1", hello,
                  "text 5 Hello\nbroken 1002 RSV1 on a frame that does not begin a message\n"
                  "over after 14");
    expect_frames("T12 x", hello, "text 5 Hello\nbroken 1002 reserved bit set\nover after 14");
}
END_TEST

START_TEST(text_is_checked_after_inflating)
{
    struct buf packed = BUF_EMPTY, want = BUF_EMPTY;
    struct slice half = SLICE("abc \xC3"), bad = SLICE("abc \xFF and much more of it"),
                 good = SLICE("\xE2\x82\xAC \xF0\x9F\x94\x94");

    ws_frame_deflate(&packed, 15, half);
    buf_printf(&want, "broken 1007 text that is not UTF-8\nover after %zu%c", 6 + packed.len, '\0');
    expect_frames("T", buf_slice(&packed), want.at);
    buf_fini(&want);
    packed.len = 0;
    ws_frame_deflate(&packed, 15, good);
    expect_frames("T", buf_slice(&packed),
                  "text 8 \xE2\x82\xAC \xF0\x9F\x94\x94\ntext 0 \nat rest");
    packed.len = 0;
    buf_put(&packed, SLICE("\x00\x19\x00\xE6\xFF")); /* stored, to be seen as it comes */
    buf_put(&packed, bad);
    buf_putc(&packed, '\0');
    ck_assert_uint_eq(bad.len, 0x19);
    expect_frames(NULL, buf_slice(&packed),
                  "broken 1007 text that is not UTF-8\nover after 16"); /* head 6, block 5, 5 */
    buf_fini(&packed);
}
END_TEST

START_TEST(more_comes_out_than_went_in)
{
    const struct ws_rules rules = { .max_message = 1 << 20, .deflate = shared };
    struct buf message = BUF_EMPTY, packed = BUF_EMPTY, bytes = BUF_EMPTY, want = BUF_EMPTY;
    struct buf got;

    for (size_t len = 3 * WS_INFLATE_PIECE - 1; len <= 3 * WS_INFLATE_PIECE + 1; len++) {
        for (size_t i = message.len; i < len; i++)
            buf_putc(&message, "0123456789"[i / 9000]);
        packed.len = bytes.len = want.len = 0;
        ws_frame_deflate(&packed, 15, buf_slice(&message));
        ws_frame_put(&bytes, FRAME_BINARY, FRAME_RSV1, buf_slice(&packed));
        buf_printf(&want, "binary %zu ", message.len);
        buf_put(&want, buf_slice(&message));
        size_t said = want.len;
        buf_puts(&want, "\nat rest"); /* without another byte */
        got = ws_transcript(&rules, true, buf_slice(&bytes), 0, bytes.len);
        ck_assert(slice_is(buf_slice(&got), buf_slice(&want)));
        buf_fini(&got);
        want.len = said;
        ws_script_put(&bytes, "T after | P");
        buf_puts(&want, "\ntext 5 after\nping 0 \nat rest");
        for (size_t cut = 1; cut < bytes.len; cut++) {
            got = ws_transcript(&rules, true, buf_slice(&bytes), cut, bytes.len);
            ck_assert(slice_is(buf_slice(&got), buf_slice(&want)));
            buf_fini(&got);
        }
        got = ws_transcript(&rules, true, buf_slice(&bytes), 0, 1);
        ck_assert(slice_is(buf_slice(&got), buf_slice(&want)));
        buf_fini(&got);
    }
    buf_fini(&message);
    buf_fini(&packed);
    buf_fini(&bytes);
    buf_fini(&want);
}
END_TEST

START_TEST(the_limit_is_on_what_comes_out)
{
    struct buf packed = BUF_EMPTY, message = BUF_EMPTY, want = BUF_EMPTY;

    for (size_t len = 1000; len <= 1001; len++) {
        packed.len = message.len = want.len = 0;
        for (size_t i = 0; i < len; i++)
            buf_putc(&message, 'a');
        ws_frame_deflate(&packed, 15, buf_slice(&message));
        buf_printf(&want, "text 1000 %.*s\nat rest%c", 1000, message.at, '\0');
        const struct ws_rules rules = { .max_message = 1000, .deflate = shared };
        struct buf bytes = BUF_EMPTY;
        ws_frame_put(&bytes, FRAME_TEXT, FRAME_RSV1, buf_slice(&packed));
        struct buf got = ws_transcript(&rules, true, buf_slice(&bytes), 0, bytes.len);
        buf_putc(&got, '\0');
        ck_assert_str_eq(got.at, len == 1000 ? want.at : "broken 1009 message too large\nover");
        buf_fini(&got);
        buf_fini(&bytes);
    }
    buf_fini(&packed);
    buf_fini(&message);
    buf_fini(&want);
}
END_TEST

START_TEST(a_connection_too_many_amid_a_compressed_message_is_told_to_come_later)
{
    const struct ws_rules rules = { .max_message = 1000, .deflate = shared };
    struct ws_wire w[5] = { { 0 } };
    struct ws_seen seen;

    for (unsigned k = 0; k < 5; k++) {
        struct buf bytes = BUF_EMPTY;
        w[k].deflate = true;
        ws_frame_put(&bytes, FRAME_TEXT, FRAME_RSV1 + FRAME_MORE, SLICE("\xF2"));
        struct slice rest = buf_slice(&bytes);
        enum ws_step step = ws_wire_feed(&w[k], &rules, &rest, &seen);
        ck_assert_int_eq(step, k < 4 ? WS_STEP_MORE : WS_STEP_BROKEN);
        ck_assert(k < 4 || seen.code == WS_CODE_TRY_LATER);
        buf_fini(&bytes);
    }
    for (unsigned k = 0; k < 5; k++) /* connections that end amid a message give back, too */
        ws_wire_fini(&w[k]);
}
END_TEST

SUITE(ws_deflate)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, clients_of_every_window_read_what_we_compress);
    tcase_add_test(tc, a_client_that_remembers_less_would_notice);
    tcase_add_test(tc, nothing_is_taken_over_from_one_message_to_the_next);
    tcase_add_test(tc, what_does_not_get_smaller_stays_as_it_is);
    tcase_add_test(tc, the_examples_of_the_rfc_are_read);
    tcase_add_test(tc, a_final_block_ends_nothing);
    tcase_add_test(tc, clients_may_compress_as_they_like);
    tcase_add_test(tc, what_deflate_does_not_make_is_refused);
    tcase_add_test(tc, a_bomb_is_stopped_at_the_limit);
    tcase_add_test(tc, streams_amid_messages_do_not_disturb_each_other);
    tcase_add_test(tc, so_many_streams_are_lent_and_no_more);
    tcase_add_test(tc, compressed_messages_come_in_frames_like_others);
    tcase_add_test(tc, text_is_checked_after_inflating);
    tcase_add_test(tc, more_comes_out_than_went_in);
    tcase_add_test(tc, the_limit_is_on_what_comes_out);
    tcase_add_test(tc, a_connection_too_many_amid_a_compressed_message_is_told_to_come_later);
}
