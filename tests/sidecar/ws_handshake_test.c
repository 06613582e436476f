/*
 * ws_handshake_test.c - which requests become WebSockets, what the others are told, and what is
 * agreed on: key, compression.
 */
#include <stdlib.h>

#include "sidecar/ws_handshake.h"
#include "tests/page.h"
#include "tests/suite.h"

/* As a browser asks (RFC 6455 section 1.2). */
static struct ws_asked browser(void)
{
    return (struct ws_asked){
        .method = SLICE("GET"),
        .http_1_1 = true,
        .host = SLICE("example.org"),
        .upgrade = SLICE("websocket"),
        .connection = SLICE("keep-alive, Upgrade"),
        .key = SLICE("dGhlIHNhbXBsZSBub25jZQ=="),
        .version = SLICE("13"),
    };
}

static void expect(const struct ws_asked *a, int status, const char *why)
{
    struct ws_refusal refusal = { 0 };

    bool ok = ws_handshake_check(a, &refusal);
    ck_assert_int_eq(ok, status == 101);
    if (status != 101) {
        ck_assert_int_eq(refusal.status, status);
        ck_assert_msg(strstr(refusal.why, why), "'%s'", refusal.why);
    }
}

/* ---- may it? --------------------------------------------------------------------------------- */

START_TEST(a_browser_may)
{
    struct ws_asked a = browser();
    char accept[WS_ACCEPT_LEN + 1];

    ck_assert(ws_handshake_wanted(&a));
    expect(&a, 101, NULL);
    ws_handshake_accept(a.key, accept);
    ck_assert_str_eq(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* RFC 6455 section 1.3 */
}
END_TEST

START_TEST(words_in_lists_are_found_whatever_their_case_and_company)
{
    static const char *const good[] = { "websocket", "WebSocket", "h2c,websocket",
                                        ", ,WEBSOCKET\t,", " websocket " },
                             *const bad[] = {
                                 "",   "websockets", "web socket", "websocket/13", "websocket;q=1",
                                 "h2c"
                             };
    struct ws_asked a = browser();

    for (size_t i = 0; i < LENGTH(good); i++) {
        struct page page = page_of(slice_of(good[i]));
        a.upgrade = page.bytes;
        expect(&a, 101, NULL);
        page_fini(&page);
    }
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct page page = page_of(slice_of(bad[i]));
        a.upgrade = page.bytes;
        ck_assert(!ws_handshake_wanted(&a));
        expect(&a, 426, "Upgrade: websocket");
        page_fini(&page);
    }
}
END_TEST

START_TEST(what_is_missing_is_named)
{
    struct ws_asked a = browser();

    a.upgrade = SLICE_NONE;
    expect(&a, 426, "Upgrade: websocket");
    a = browser();
    a.method = SLICE("POST");
    expect(&a, 405, "GET");
    a = browser();
    a.method = SLICE("get");
    expect(&a, 405, "GET");
    a = browser();
    a.http_1_1 = false;
    expect(&a, 400, "HTTP/1.1");
    a = browser();
    a.host = SLICE_NONE;
    expect(&a, 400, "Host");
    a.host = SLICE("");
    expect(&a, 101, NULL);
    a.connection = SLICE("keep-alive, upgrades");
    expect(&a, 400, "Connection");
    a.connection = SLICE_NONE;
    expect(&a, 400, "Connection");
}
END_TEST

START_TEST(other_versions_are_told_which_one_is_spoken)
{
    static const char *const other[] = { "",       "8",    "0",   "14",      "013",
                                         "13, 13", "13,8", "1 3", "thirteen" };
    struct ws_asked a = browser();

    for (size_t i = 0; i < LENGTH(other); i++) {
        a.version = slice_of(other[i]);
        expect(&a, 426, "Version");
    }
    a.version = SLICE_NONE;
    expect(&a, 426, "Version");
    a.version = SLICE(" 13\t");
    expect(&a, 101, NULL);
}
END_TEST

START_TEST(a_key_is_16_bytes_in_base64)
{
    static const char *const bad[] = {
        "",
        "dGhlIHNhbXBsZSBub25jZQ",       /* no padding */
        "dGhlIHNhbXBsZSBub25jZQ=",      /* half of it */
        "dGhlIHNhbXBsZSBub25jZQ===",    /* too much */
        "SGVsbG8sIHdvcmxkIQ==",         /* 13 bytes */
        "dGhlIHNhbXBsZSBub25jZTE=",     /* 17 */
        "dGhlIHNhbXBsZSBub25jZTEyMw==", /* 19 */
        "dGhlIHNhbXBsZSBub25jZQ=A",
        "dGhl IHNhbXBsZSBub25jZ==",
        "dGhlIHNhbXBsZS.ub25jZQ==",
        "=GhlIHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==", /* it came twice */
    };
    struct ws_asked a = browser();

    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct page page = page_of(slice_of(bad[i]));
        a.key = page.bytes;
        expect(&a, 400, "Sec-WebSocket-Key");
        page_fini(&page);
    }
    a.key = SLICE_NONE;
    expect(&a, 400, "Sec-WebSocket-Key");
    a.key = SLICE("++//AZaz0189+/+/+/+/+/=="); /* whatever the last bits are */
    expect(&a, 101, NULL);
}
END_TEST

/* ---- on what terms? -------------------------------------------------------------------------- */

#define ANSWER "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

static void expect_answer(const char *offers, struct ws_policy policy, const char *answer)
{
    struct page page = page_of(slice_of(offers));
    struct ws_terms terms;
    struct buf out = BUF_EMPTY;

    enum rc rc = ws_handshake_deflate(page.bytes, &policy, &terms);
    ck_assert_int_eq(rc, answer && strcmp(answer, "400") == 0 ? RC_SYNTAX : RC_OK);
    if (terms.deflate)
        ws_handshake_put_deflate(&out, &terms);
    else
        buf_puts(&out, rc == RC_OK ? "" : "400");
    ck_assert_msg(slice_is(buf_slice(&out), slice_of(answer)), "'%s': got '%.*s', wanted '%s'",
                  offers, (int)out.len, out.at, answer);
    buf_fini(&out);
    page_fini(&page);
}

START_TEST(offers_of_compression_are_taken_as_they_can_be_kept)
{
    const struct ws_policy any = { 15, 15 };
    static const char *const table[][2] = {
        { "", "" },
        { "permessage-deflate", ANSWER },
        { "permessage-deflate; client_max_window_bits", ANSWER }, /* Chrome, Firefox, node */
        { "permessage-deflate; client_no_context_takeover; server_no_context_takeover", ANSWER },
        { "permessage-deflate;server_max_window_bits=9", ANSWER "; server_max_window_bits=9" },
        { "permessage-deflate; server_max_window_bits=8", ANSWER "; server_max_window_bits=8" },
        { "permessage-deflate; server_max_window_bits = \"10\"",
          ANSWER "; server_max_window_bits=10" },
        { "permessage-deflate; server_max_window_bits=15", ANSWER "; server_max_window_bits=15" },
        { "permessage-deflate; client_max_window_bits=11", ANSWER "; client_max_window_bits=11" },
        { "permessage-deflate; client_max_window_bits=15", ANSWER },
        { "x-webkit-deflate-frame, permessage-deflate", ANSWER },
        { "a; b=c; d=\"e\", , permessage-deflate ,f", ANSWER },
        { "Permessage-Deflate; Client_Max_Window_Bits=9", ANSWER "; client_max_window_bits=9" },
    };

    for (size_t i = 0; i < LENGTH(table); i++)
        expect_answer(table[i][0], any, table[i][1]);
}
END_TEST

START_TEST(an_offer_that_cannot_be_kept_makes_room_for_the_next)
{
    const struct ws_policy any = { 15, 15 };
    static const char *const wrong[] = {
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=1x",
        "server_max_window_bits=99999999999999999999",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=\"015\"",
        "client_no_context_takeover=1",
        "server_no_context_takeover=true",
        "unknown",
        "server_max_window_bits=9; server_max_window_bits=9",
        "client_max_window_bits; client_max_window_bits=9",
        "client_no_context_takeover; client_no_context_takeover",
        "server_no_context_takeover; server_no_context_takeover",
    };

    for (size_t i = 0; i < LENGTH(wrong); i++) {
        struct buf offers = BUF_EMPTY;
        buf_printf(&offers, "permessage-deflate; %s%c", wrong[i], '\0');
        expect_answer(offers.at, any, "");
        offers.len--;
        buf_printf(&offers, ", permessage-deflate; server_max_window_bits=12%c", '\0');
        expect_answer(offers.at, any, ANSWER "; server_max_window_bits=12");
        offers.len--;
        buf_printf(&offers, ", permessage-deflate%c", '\0');
        expect_answer(offers.at, any, ANSWER "; server_max_window_bits=12");
        buf_fini(&offers);
    }
}
END_TEST

START_TEST(what_breaks_the_grammar_is_400)
{
    const struct ws_policy any = { 15, 15 };
    static const char *const wrong[] = {
        ";",
        "permessage-deflate;",
        "permessage-deflate; ;",
        "permessage-deflate; a=",
        "permessage-deflate; =b",
        "permessage-deflate; a=\"b",
        "permessage-deflate; a=\"b c\"",
        "permessage-deflate; a=\"\"",
        "permessage-deflate; a=b c",
        "permessage deflate",
        "permessage-deflate, (comment)",
        "permessage-deflate; a=b\"c\"",
        "\x01",
        "\xC3\xA4",
        "permessage-deflate; client_max_window_bits, permessage-deflate;",
    };

    for (size_t i = 0; i < LENGTH(wrong); i++)
        expect_answer(wrong[i], any, "400");
}
END_TEST

START_TEST(smaller_windows_can_be_wished_for)
{
    const struct ws_policy small = { 11, 10 };

    expect_answer("permessage-deflate", small, ANSWER "; server_max_window_bits=11");
    expect_answer("permessage-deflate; server_max_window_bits=9", small,
                  ANSWER "; server_max_window_bits=9");
    expect_answer("permessage-deflate; server_max_window_bits=13", small,
                  ANSWER "; server_max_window_bits=11");
    expect_answer("permessage-deflate; client_max_window_bits", small,
                  ANSWER "; server_max_window_bits=11; client_max_window_bits=10");
    expect_answer("permessage-deflate; client_max_window_bits=9", small,
                  ANSWER "; server_max_window_bits=11; client_max_window_bits=9");
}
END_TEST

SUITE(ws_handshake)
{
    tcase_add_test(tc, a_browser_may);
    tcase_add_test(tc, words_in_lists_are_found_whatever_their_case_and_company);
    tcase_add_test(tc, what_is_missing_is_named);
    tcase_add_test(tc, other_versions_are_told_which_one_is_spoken);
    tcase_add_test(tc, a_key_is_16_bytes_in_base64);
    tcase_add_test(tc, offers_of_compression_are_taken_as_they_can_be_kept);
    tcase_add_test(tc, an_offer_that_cannot_be_kept_makes_room_for_the_next);
    tcase_add_test(tc, what_breaks_the_grammar_is_400);
    tcase_add_test(tc, smaller_windows_can_be_wished_for);
}
