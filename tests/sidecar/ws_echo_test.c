/*
 * ws_echo_test.c - the whole over real sockets, as a conformance suite sees it: a client that reads
 * the RFC by itself, against bellpushd's echo.  Sizes and compression: ws_echo_size_test.c.
 */
#include <stdlib.h>

#include "tests/sidecar/ws_cases.h"
#include "tests/sidecar/ws_script.h"
#include "tests/sidecar/ws_site.h"

/* ---- the handshake --------------------------------------------------------------------------- */

/* Send a request head as it is, and look at the answer. */
static struct ws_client *ask(const char *head)
{
    struct ws_client *c = ws_client_new(
        &(struct ws_client_ask){ .port = ws_site_port(), .target = "", .raw = slice_of(head) });

    ck_assert(ws_client_answered(c, WS_DEADLINE_MS));
    return c;
}

#define HEAD    "GET /push/ws/echo HTTP/1.1\r\nHost: localhost\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEY     "Sec-WebSocket-Key: " WS_CLIENT_KEY "\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"

START_TEST(a_right_handshake_is_answered_rightly)
{
    struct ws_client *c = ws_site_client();

    ck_assert_ptr_eq(ws_client_header(c, "Sec-WebSocket-Extensions"), NULL);
    ck_assert_ptr_eq(ws_client_header(c, "Sec-WebSocket-Protocol"), NULL);
    ws_part(c);
    c = ask(
        "GET /push/ws/echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nUpgrade: WebSocket\r\n"
        "Connection: keep-alive\r\nConnection: foo, UPGRADE\r\n" KEY VERSION "\r\n");
    ck_assert_int_eq(ws_client_status(c), 101);
    ws_part(c);
}
END_TEST

START_TEST(wrong_handshakes_are_told_what_is_wrong)
{
    const struct {
        const char *head;
        int status;
    } cases[] = {
        { HEAD "\r\n", 426 },
        { HEAD UPGRADE KEY "\r\n", 426 },
        { HEAD UPGRADE KEY "Sec-WebSocket-Version: 8\r\n\r\n", 426 },
        { HEAD UPGRADE KEY VERSION VERSION "\r\n", 426 },
        { HEAD UPGRADE VERSION "\r\n", 400 },
        { HEAD UPGRADE KEY KEY VERSION "\r\n", 400 },
        { HEAD UPGRADE "Sec-WebSocket-Key: short\r\n" VERSION "\r\n", 400 },
        { HEAD "Upgrade: websocket\r\nConnection: close\r\n" KEY VERSION "\r\n", 400 },
        { HEAD UPGRADE KEY VERSION "Sec-WebSocket-Extensions: permessage-deflate;\r\n\r\n", 400 },
        { "GET /push/ws/echo HTTP/1.0\r\nHost: localhost\r\n" UPGRADE KEY VERSION "\r\n", 0 },
        { "GET /push/ws/echo HTTP/1.1\r\n" UPGRADE KEY VERSION "\r\n", 400 },
    };

    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct ws_client *c = ask(cases[i].head);
        int status = ws_client_status(c);
        ck_assert_msg(cases[i].status ? status == cases[i].status : status >= 400, "%zu: %d", i,
                      status);
        if (status == 426) {
            ck_assert_str_eq(ws_client_header(c, "Sec-WebSocket-Version"), "13");
            ck_assert_str_eq(ws_client_header(c, "Upgrade"), "websocket");
        }
        ws_client_free(c);
    }
}
END_TEST

/* Who is in a hurry sends frames behind the handshake, before it is answered. */
START_TEST(frames_may_come_with_the_handshake)
{
    struct buf raw = BUF_EMPTY;

    buf_puts(&raw, HEAD UPGRADE KEY VERSION "\r\n");
    ws_script_put(&raw, "T one | P two | t thr");
    buf_putc(&raw, '\0');
    struct ws_client *c = ws_client_new(&(struct ws_client_ask){
        .port = ws_site_port(), .target = "", .raw = { raw.at, raw.len - 1 } });
    ck_assert(ws_client_answered(c, WS_DEADLINE_MS));
    ck_assert_int_eq(ws_client_status(c), 101);
    ws_must_hear(c, FRAME_TEXT, SLICE("one"));
    ws_must_hear(c, FRAME_PONG, SLICE("two"));
    ws_client_frame(c, FRAME_CONT, 0, SLICE("ee"));
    ws_must_hear(c, FRAME_TEXT, SLICE("three"));
    ws_part(c);
    buf_fini(&raw);
}
END_TEST

/* ---- the cases ------------------------------------------------------------------------------- */

/* What the server is to say to what a decoder would read: lines of ws_transcript(). */
static void must_answer(struct ws_client *c, const char *number, const char *want)
{
    struct ws_message m;

    for (const char *end; *want; want = *end ? end + 1 : end) {
        char *data;
        end = want + strcspn(want, "\n");
        if (strncmp(want, "at rest", 7) == 0) {
            ws_part(c);
            return;
        }
        if (strncmp(want, "pong ", 5) == 0) /* of ours: nothing is said to that */
            continue;
        unsigned opcode = strncmp(want, "text ", 5) == 0     ? FRAME_TEXT
                          : strncmp(want, "binary ", 7) == 0 ? FRAME_BINARY
                          : strncmp(want, "ping ", 5) == 0   ? FRAME_PONG
                                                             : FRAME_CLOSE;
        const char *blank = strchr(want, ' ');
        size_t number_in_it = strtoul(blank, &data, 10);
        if (opcode == FRAME_CLOSE) {
            ws_must_close(c, (unsigned)number_in_it);
            return;
        }
        ck_assert_msg(ws_client_hear(c, &m, WS_DEADLINE_MS), "case %s: nothing, code %u %s", number,
                      ws_client_code(c), ws_client_wrong(c));
        ck_assert_msg(m.opcode == opcode &&
                          slice_is(m.data, (struct slice){ data + 1, number_in_it }),
                      "case %s: %u, %.*s", number, m.opcode, (int)m.data.len, m.data.at);
    }
    ws_client_free(c);
}

/* At once, and each byte by itself (which the loop may or may not see by itself). */
static void try_case(const char *number, struct slice bytes, const char *want)
{
    for (int chopped = 0; chopped < 2; chopped++) {
        struct ws_client *c = ws_site_client();
        size_t step = chopped ? 1 : bytes.len;
        for (size_t at = 0; at < bytes.len; at += step)
            ws_client_bytes(c, (struct slice){ bytes.at + at, step });
        must_answer(c, number, want);
    }
}

START_TEST(cases_2_to_5_and_7)
{
    for (const struct ws_case *k = ws_cases; k->number; k++) {
        struct buf bytes = BUF_EMPTY;
        ws_script_put(&bytes, k->script);
        try_case(k->number, buf_slice(&bytes), k->want);
        buf_fini(&bytes);
    }
}
END_TEST

static void try_texts(const char *const *texts, bool good)
{
    for (; *texts; texts++) {
        struct slice text = slice_of(*texts);
        for (size_t size = 1; size <= text.len; size += text.len > 1 ? text.len - 1 : 1) {
            struct buf bytes = BUF_EMPTY, want = BUF_EMPTY;
            for (size_t at = 0; at < text.len; at += size) {
                size_t n = text.len - at < size ? text.len - at : size;
                ws_frame_put(&bytes, at ? FRAME_CONT : FRAME_TEXT,
                             at + n < text.len ? FRAME_MORE : 0, (struct slice){ text.at + at, n });
            }
            buf_printf(&want, good ? "text %zu %s\nat rest" : "broken 1007", text.len, *texts);
            buf_putc(&want, '\0');
            try_case("6", buf_slice(&bytes), want.at);
            buf_fini(&bytes);
            buf_fini(&want);
        }
    }
}

START_TEST(case_6_utf8)
{
    try_texts(ws_cases_utf8, true);
    try_texts(ws_cases_not_utf8, false);
}
END_TEST

/* 6.4: the rest of the frame is never sent, and need not be. */
START_TEST(case_6_4_wrong_text_fails_at_its_byte)
{
    const struct {
        const char *good, *bad;
        bool same_frame;
    } cases[] = {
        { "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5", "\xF4\x90", false },
        { "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xF4", "\x90", true },
        { "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5", "\xED\xA0", true },
        { "", "\xFF", true },
    };

    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct ws_client *c = ws_site_client();
        struct slice good = slice_of(cases[i].good), bad = slice_of(cases[i].bad);
        struct buf bytes = BUF_EMPTY;
        uint8_t mask[4];
        if (cases[i].same_frame) {
            ws_frame_put_head(&bytes, FRAME_TEXT, FRAME_MASK_0, 100000, mask);
        } else {
            ws_frame_put(&bytes, FRAME_TEXT, FRAME_MORE, good);
            ws_frame_put_head(&bytes, FRAME_CONT, FRAME_MASK_0, 100000, mask);
            good = SLICE_NONE;
        }
        buf_put(&bytes, good);
        ws_client_bytes(c, buf_slice(&bytes));
        ck_assert(ws_client_flush(c, WS_DEADLINE_MS));
        ws_client_bytes(c, bad);
        ws_must_close(c, 1007);
        buf_fini(&bytes);
    }
}
END_TEST

/* Until the wrong byte comes, the connection lives; a fragment is text so far. */
START_TEST(what_may_become_text_is_waited_for)
{
    struct ws_client *c = ws_site_client();

    ws_client_frame(c, FRAME_TEXT, FRAME_MORE, SLICE("\xF4"));
    ws_client_frame(c, FRAME_PING, 0, SLICE("alive?"));
    ws_must_hear(c, FRAME_PONG, SLICE("alive?"));
    ws_client_frame(c, FRAME_CONT, FRAME_MORE, SLICE("\x8F\xBF"));
    ws_client_frame(c, FRAME_PING, 0, SLICE("still?"));
    ws_must_hear(c, FRAME_PONG, SLICE("still?"));
    ws_client_frame(c, FRAME_CONT, 0, SLICE("\xBF"));
    ws_must_hear(c, FRAME_TEXT, SLICE("\xF4\x8F\xBF\xBF"));
    ws_part(c);
}
END_TEST

/* Of a frame that is too large nothing but the head need be sent. */
START_TEST(too_large_is_refused_by_its_head)
{
    struct ws_client *c = ws_site_client();
    struct buf head = BUF_EMPTY;
    uint8_t mask[4];

    ws_frame_put_head(&head, FRAME_BINARY, 0, WS_MESSAGE_MAX + 1, mask);
    ws_client_bytes(c, buf_slice(&head));
    ws_must_close(c, 1009);
    buf_fini(&head);
}
END_TEST

START_TEST(a_close_is_answered_with_its_code_and_ends_the_connection)
{
    struct ws_client *c = ws_site_client();

    ws_client_close(c, 4321, "Stra\xC3\x9F is short");
    ws_must_close(c, 4321);
    c = ws_site_client();
    ws_client_frame(c, FRAME_CLOSE, 0, SLICE_NONE);
    ws_must_close(c, 1005);
}
END_TEST

/* 7.1.6: what was said before the close is echoed before it. */
START_TEST(what_was_said_before_a_close_is_answered_before_it)
{
    struct ws_client *c = ws_site_client();
    struct buf much = BUF_EMPTY;

    for (size_t i = 0; i < 256 * 1024; i++)
        buf_putc(&much, 'x');
    ws_client_say(c, FRAME_TEXT, buf_slice(&much));
    ws_client_say(c, FRAME_TEXT, SLICE("Hello World!"));
    ws_client_close(c, 1000, "");
    ws_client_frame(c, FRAME_PING, 0, SLICE("too late"));
    ws_must_hear(c, FRAME_TEXT, buf_slice(&much));
    ws_must_hear(c, FRAME_TEXT, SLICE("Hello World!"));
    ws_must_close(c, 1000);
    buf_fini(&much);
}
END_TEST

/* A server that closed at once would reset the connection, and take its own last words back. */
START_TEST(who_is_refused_amid_a_flood_hears_why)
{
    struct ws_client *c = ws_site_client();
    struct buf flood = BUF_EMPTY;

    ws_frame_put(&flood, FRAME_TEXT, FRAME_BARE, SLICE("no mask"));
    for (size_t i = 0; i < 4000; i++)
        ws_frame_put(&flood, FRAME_TEXT, 0, SLICE("nobody hears this, and nobody hears that"));
    ws_client_bytes(c, buf_slice(&flood));
    ck_assert(ws_client_push(c, WS_DEADLINE_MS));
    ws_must_close(c, 1002);
    buf_fini(&flood);
}
END_TEST

/* One connection's death is its own. */
START_TEST(who_breaks_a_rule_disturbs_nobody)
{
    struct ws_client *good = ws_site_client(), *bad[20];

    ws_client_frame(good, FRAME_TEXT, FRAME_MORE, SLICE("still "));
    for (size_t i = 0; i < LENGTH(bad); i++) {
        bad[i] = ws_site_client();
        ws_client_frame(bad[i], 3 + (unsigned)i % 13, i % 2 ? FRAME_BARE : FRAME_RSV3, SLICE("no"));
    }
    ws_client_frame(good, FRAME_CONT, 0, SLICE("here"));
    ws_must_hear(good, FRAME_TEXT, SLICE("still here"));
    for (size_t i = 0; i < LENGTH(bad); i++)
        ws_must_close(bad[i], 1002);
    ws_part(good);
}
END_TEST

/* ---- settings
 * ------------------------------------------------------------------------------------ */

START_TEST(compression_can_be_switched_off)
{
    ws_site_start_with((const char *const[]){ "ws_deflate=no", NULL });
    struct ws_client *c = ws_site_packer("permessage-deflate");

    ck_assert(!ws_client_deflates(c));
    ws_client_frame(c, FRAME_TEXT, FRAME_RSV1, SLICE("\xF2\x48\xCD\xC9\xC9\x07"));
    ws_must_close(c, 1002);
    ws_site_stop();
}
END_TEST

START_TEST(there_is_an_echo_only_where_it_was_asked_for)
{
    ws_site_start_with((const char *const[]){ "ws_echo=no", NULL });
    struct ws_client *c = ask(HEAD UPGRADE KEY VERSION "\r\n");

    ck_assert_int_eq(ws_client_status(c), 404);
    ws_client_free(c);
    ws_site_stop();
}
END_TEST

SUITE(ws_settings)
{
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, compression_can_be_switched_off);
    tcase_add_test(tc, there_is_an_echo_only_where_it_was_asked_for);
}

SUITE(ws_echo)
{
    tcase_set_timeout(tc, 120);
    tcase_add_unchecked_fixture(tc, ws_site_start, ws_site_stop);
    tcase_add_test(tc, a_right_handshake_is_answered_rightly);
    tcase_add_test(tc, wrong_handshakes_are_told_what_is_wrong);
    tcase_add_test(tc, frames_may_come_with_the_handshake);
    tcase_add_test(tc, cases_2_to_5_and_7);
    tcase_add_test(tc, case_6_utf8);
    tcase_add_test(tc, case_6_4_wrong_text_fails_at_its_byte);
    tcase_add_test(tc, what_may_become_text_is_waited_for);
    tcase_add_test(tc, too_large_is_refused_by_its_head);
    tcase_add_test(tc, a_close_is_answered_with_its_code_and_ends_the_connection);
    tcase_add_test(tc, what_was_said_before_a_close_is_answered_before_it);
    tcase_add_test(tc, who_is_refused_amid_a_flood_hears_why);
    tcase_add_test(tc, who_breaks_a_rule_disturbs_nobody);
}
