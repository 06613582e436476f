/*
 * ws_echo_size_test.c - large messages, many fragments, small chops and compression with all its
 * parameters, over real sockets; what the conformance suite calls 9, 10, 12 and 13.
 */
#include <stdlib.h>

#include "tests/peers/process.h"
#include "tests/sidecar/ws_site.h"

static void put_text(struct buf *out, size_t len)
{
    for (size_t i = 0; out->len < len; i++)
        buf_printf(out, "{\"id\":%zu,\"name\":\"Gretchen \xC3\xA4\",\"n\":%zu},", i, i * i % 97);
    out->len = len;
    while (len > 0 && (out->at[len - 1] & 0x80)) /* do not end amid the umlaut */
        out->at[--len] = '.';
}

/* Queue a message in frames of so many bytes. */
static void say_in(struct ws_client *c, unsigned opcode, unsigned special, struct slice message,
                   size_t size)
{
    struct buf bytes = BUF_EMPTY;

    for (size_t at = 0; at == 0 || at < message.len; at += size) {
        size_t n = message.len - at < size ? message.len - at : size;
        ws_frame_put(&bytes, at ? FRAME_CONT : opcode,
                     (at ? 0 : special) + (at + n < message.len ? FRAME_MORE : 0),
                     (struct slice){ message.at + at, n });
    }
    ws_client_bytes(c, buf_slice(&bytes));
    buf_fini(&bytes);
}

/* ---- 1 and 9: sizes ----------------------------------------------------------------------------
 */

START_TEST(cases_1_and_9_messages_of_all_sizes)
{
    const size_t sizes[] = { 0,     125,     126,     127,     128,     65535,
                             65536, 1 << 18, 1 << 20, 1 << 22, 1 << 23, WS_MESSAGE_MAX };
    struct ws_client *c = ws_site_client();

    for (size_t i = 0; i < LENGTH(sizes); i++) {
        struct buf message = BUF_EMPTY;
        put_text(&message, sizes[i]);
        ws_client_say(c, FRAME_TEXT, buf_slice(&message));
        ws_must_hear(c, FRAME_TEXT, buf_slice(&message));
        if (message.len > 0)
            message.at[message.len / 2] = '\xFF';
        ws_client_say(c, FRAME_BINARY, buf_slice(&message));
        ws_must_hear(c, FRAME_BINARY, buf_slice(&message));
        buf_fini(&message);
    }
    ws_part(c);
}
END_TEST

START_TEST(case_9_messages_in_fragments)
{
    const size_t sizes[] = { 64, 256, 1 << 10, 1 << 12, 1 << 16, 1 << 18, 1 << 22 };
    struct ws_client *c = ws_site_client();
    struct buf message = BUF_EMPTY;

    put_text(&message, 1 << 22); /* 65,536 fragments of 64 bytes */
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        int64_t began = now_ms();
        say_in(c, i % 2 ? FRAME_TEXT : FRAME_BINARY, 0, buf_slice(&message), sizes[i]);
        ws_must_hear(c, i % 2 ? FRAME_TEXT : FRAME_BINARY, buf_slice(&message));
        ck_assert_int_lt(now_ms() - began, WS_DEADLINE_MS / 2);
    }
    ws_part(c);
    buf_fini(&message);
}
END_TEST

/* The message goes out in small writes, so that it comes in small reads. */
START_TEST(case_9_messages_in_chops)
{
    const size_t chops[] = { 64, 128, 256, 512, 1024, 2048 };
    struct ws_client *c = ws_site_client();
    struct buf message = BUF_EMPTY, bytes = BUF_EMPTY;

    put_text(&message, 1 << 20);
    ws_frame_put(&bytes, FRAME_TEXT, 0, buf_slice(&message));
    for (size_t i = 0; i < LENGTH(chops); i++) {
        for (size_t at = 0; at < bytes.len; at += chops[i]) {
            size_t n = bytes.len - at < chops[i] ? bytes.len - at : chops[i];
            ws_client_bytes(c, (struct slice){ bytes.at + at, n });
        }
        ws_must_hear(c, FRAME_TEXT, buf_slice(&message));
    }
    ws_part(c);
    buf_fini(&message);
    buf_fini(&bytes);
}
END_TEST

START_TEST(case_9_a_thousand_messages_there_and_back)
{
    const size_t sizes[] = { 0, 16, 64, 256, 1024, 4096 };
    struct ws_client *c = ws_site_client();

    for (size_t i = 0; i < LENGTH(sizes); i++) {
        struct buf message = BUF_EMPTY;
        put_text(&message, sizes[i]);
        for (size_t k = 0; k < 1000; k++) {
            ws_client_say(c, FRAME_TEXT, buf_slice(&message));
            ws_must_hear(c, FRAME_TEXT, buf_slice(&message));
        }
        buf_fini(&message);
    }
    ws_part(c);
}
END_TEST

/* ---- 12 and 13: compression
 * ---------------------------------------------------------------------- */

START_TEST(case_13_terms)
{
    const struct {
        const char *offer;
        int window; /* 0: none is agreed on */
    } cases[] = {
        { "permessage-deflate", 15 },
        { "permessage-deflate; client_max_window_bits", 15 },
        { "permessage-deflate; client_no_context_takeover; client_max_window_bits", 15 },
        { "permessage-deflate; server_no_context_takeover; client_max_window_bits", 15 },
        { "permessage-deflate; server_max_window_bits=8; client_max_window_bits", 8 },
        { "permessage-deflate; server_max_window_bits=9; client_max_window_bits", 9 },
        { "permessage-deflate; server_max_window_bits=15; client_max_window_bits=12", 15 },
        { "permessage-deflate; server_no_context_takeover; server_max_window_bits=9, "
          "permessage-deflate; server_no_context_takeover, permessage-deflate",
          9 },
        { "permessage-deflate; server_max_window_bits=7, permessage-deflate", 15 },
        { "permessage-deflate; mode=fast", 0 },
        { "x-webkit-deflate-frame", 0 },
    };
    struct buf message = BUF_EMPTY;

    put_text(&message, 20000);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct ws_client *c = ws_site_packer(cases[i].offer);
        struct ws_message m;
        ck_assert_int_eq(ws_client_deflates(c), cases[i].window > 0);
        ck_assert(!cases[i].window || ws_client_window(c) == cases[i].window);
        for (size_t k = 0; k < 3; k++) {
            ws_client_say_packed(c, FRAME_TEXT, buf_slice(&message));
            ck_assert(ws_client_hear(c, &m, WS_DEADLINE_MS));
            ck_assert_ptr_eq(ws_client_wrong(c), NULL); /* inflated with just that window */
            ck_assert(slice_is(m.data, buf_slice(&message)));
            ck_assert_int_eq(m.packed, cases[i].window > 0);
        }
        ws_part(c);
    }
    buf_fini(&message);
}
END_TEST

START_TEST(case_12_and_13_compressed_messages_there_and_back)
{
    static const char *const offers[] = {
        "permessage-deflate; client_no_context_takeover; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=9; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=15",
    };
    const size_t sizes[] = { 0, 16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072 },
                 fragments[] = { 256, 1024, 4096, 32768, SIZE_MAX };

    for (size_t o = 0; o < LENGTH(offers); o++) {
        struct ws_client *c = ws_site_packer(offers[o]);
        for (size_t i = 0; i < LENGTH(sizes) * LENGTH(fragments); i++) {
            struct buf message = BUF_EMPTY, packed = BUF_EMPTY;
            put_text(&message, sizes[i % LENGTH(sizes)]);
            ws_frame_deflate(&packed, 15, buf_slice(&message));
            say_in(c, FRAME_TEXT, FRAME_RSV1, buf_slice(&packed), fragments[i / LENGTH(sizes)]);
            ws_must_hear(c, FRAME_TEXT, buf_slice(&message));
            buf_fini(&message);
            buf_fini(&packed);
        }
        ws_client_say(c, FRAME_TEXT, SLICE("not compressed, which is as good"));
        ws_must_hear(c, FRAME_TEXT, SLICE("not compressed, which is as good"));
        ws_part(c);
    }
}
END_TEST

START_TEST(rubbish_bombs_and_wrong_text_are_refused_when_compressed_too)
{
    const struct {
        struct slice frame;
        unsigned code;
    } cases[] = {
        { SLICE("\x07"), 1007 },                             /* block type 3 */
        { SLICE("\xF2\x48\xCD\xC9\xC9"), 1007 },             /* half of it */
        { SLICE("\x00\x02\x00\xFD\xFF\x41\xFF\x00"), 1007 }, /* "A", and no UTF-8 */
        { SLICE("\x00\x01\x00\xFE\xFF\xC3\x00"), 1007 },     /* ends amid a character */
    };
    static const char offer[] = "permessage-deflate";
    struct buf packed = BUF_EMPTY;
    struct ws_client *c;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        c = ws_site_packer(offer);
        ws_client_frame(c, FRAME_TEXT, FRAME_RSV1, cases[i].frame);
        ws_must_close(c, cases[i].code);
    }
    c = ws_site_packer(offer); /* a wrong byte is noticed before the message ends */
    ws_client_frame(c, FRAME_TEXT, FRAME_RSV1 + FRAME_MORE, SLICE("\x00\x20\x00\xDF\xFF\x41\xFF"));
    ws_must_close(c, 1007);
    c = ws_site_packer(offer);
    ws_client_frame(c, FRAME_TEXT, FRAME_RSV1 + FRAME_MORE, SLICE("\x00"));
    ws_client_frame(c, FRAME_CONT, FRAME_RSV1, SLICE("\x00"));
    ws_must_close(c, 1002);

    char *zeros = calloc(1, 10 * WS_MESSAGE_MAX);
    ws_frame_deflate(&packed, 15, (struct slice){ zeros, 10 * WS_MESSAGE_MAX });
    c = ws_site_packer(offer);
    ws_client_frame(c, FRAME_BINARY, FRAME_RSV1, buf_slice(&packed));
    ws_must_close(c, 1009);
    free(zeros);
    buf_fini(&packed);
}
END_TEST

/* More than one connection amid a compressed message: each has a stream of its own. */
START_TEST(compressed_messages_may_come_at_the_same_time)
{
    struct ws_client *c[8];
    struct buf message[8] = { BUF_EMPTY }, packed[8] = { BUF_EMPTY };
    size_t most = 0;

    for (size_t k = 0; k < LENGTH(c); k++) {
        c[k] = ws_site_packer("permessage-deflate");
        for (size_t i = 0; message[k].len < 60000; i++)
            buf_printf(&message[k], "%zu said %zu; ", k, i * (k + 3) % 101);
        ws_frame_deflate(&packed[k], 15, buf_slice(&message[k]));
        most = packed[k].len > most ? packed[k].len : most;
    }
    enum { STEP = 999 };
    for (size_t at = 0; at < most; at += STEP) {
        for (size_t k = 0; k < LENGTH(c); k++) {
            if (at >= packed[k].len)
                continue;
            size_t n = packed[k].len - at < STEP ? packed[k].len - at : STEP;
            ws_client_frame(c[k], at ? FRAME_CONT : FRAME_TEXT,
                            (at ? 0 : FRAME_RSV1) + (at + n < packed[k].len ? FRAME_MORE : 0),
                            (struct slice){ packed[k].at + at, n });
        }
    }
    for (size_t k = 0; k < LENGTH(c); k++) {
        ws_must_hear(c[k], FRAME_TEXT, buf_slice(&message[k]));
        ws_part(c[k]);
        buf_fini(&message[k]);
        buf_fini(&packed[k]);
    }
}
END_TEST

/* ---- memory: with the limits of a site ---------------------------------------------------------
 */

static void start_small(void)
{
    ws_site_start_with((const char *const[]){ "max_body_bytes=1m", NULL });
}

/* Who says much and listens late is not lost, and does not fill the server's memory. */
START_TEST(who_does_not_read_is_not_read_from)
{
    enum { MESSAGES = 500, LEN = 1 << 17 };
    struct ws_client *c = ws_site_client();
    struct buf message = BUF_EMPTY, bytes = BUF_EMPTY;
    struct ws_message m;

    put_text(&message, LEN);
    for (size_t i = 0; i < MESSAGES; i++)
        ws_frame_put(&bytes, FRAME_BINARY, 0, buf_slice(&message));
    ws_client_bytes(c, buf_slice(&bytes));
    size_t before = ws_site_peak();
    ck_assert(!ws_client_push(c, 1000)); /* 64 MB do not fit into any kernel's buffers */
    ck_assert_uint_lt(ws_site_peak() - before, 8 << 20);
    for (size_t i = 0; i < MESSAGES; i++) {
        ck_assert(ws_client_hear(c, &m, WS_DEADLINE_MS));
        ck_assert_ptr_eq(ws_client_wrong(c), NULL);
        ck_assert(slice_is(m.data, buf_slice(&message)));
    }
    ck_assert_uint_lt(ws_site_peak() - before, 8 << 20);
    ws_part(c);
    buf_fini(&message);
    buf_fini(&bytes);
}
END_TEST

/* What a bomb would be is not made: the limit holds while it is inflated. */
START_TEST(a_bomb_costs_no_memory)
{
    struct ws_client *c = ws_site_packer("permessage-deflate");
    struct buf packed = BUF_EMPTY;
    char *zeros = calloc(1, 100 << 20);
    size_t before = ws_site_peak();

    ws_frame_deflate(&packed, 15, (struct slice){ zeros, 100 << 20 });
    ws_client_frame(c, FRAME_BINARY, FRAME_RSV1, buf_slice(&packed));
    ws_must_close(c, 1009);
    ck_assert_uint_lt(ws_site_peak() - before, 8 << 20);
    free(zeros);
    buf_fini(&packed);
}
END_TEST

SUITE(ws_echo_size)
{
    tcase_set_timeout(tc, 180);
    tcase_add_unchecked_fixture(tc, ws_site_start, ws_site_stop);
    tcase_add_test(tc, cases_1_and_9_messages_of_all_sizes);
    tcase_add_test(tc, case_9_messages_in_fragments);
    tcase_add_test(tc, case_9_messages_in_chops);
    tcase_add_test(tc, case_9_a_thousand_messages_there_and_back);
    tcase_add_test(tc, case_13_terms);
    tcase_add_test(tc, case_12_and_13_compressed_messages_there_and_back);
    tcase_add_test(tc, rubbish_bombs_and_wrong_text_are_refused_when_compressed_too);
    tcase_add_test(tc, compressed_messages_may_come_at_the_same_time);
}

SUITE(ws_echo_memory)
{
    tcase_set_timeout(tc, 180);
    tcase_add_checked_fixture(tc, start_small, ws_site_stop);
    tcase_add_test(tc, who_does_not_read_is_not_read_from);
    tcase_add_test(tc, a_bomb_costs_no_memory);
}
