/*
 * proxy_wire_test.c - whose connection is it: headers whole, byte by byte, cut at every place, and
 * with the input ending against a forbidden page.
 */
#include <stdio.h>

#include "sidecar/proxy_wire.h"
#include "tests/page.h"
#include "tests/suite.h"

#define SIGNATURE_2 "\r\n\r\n\0\r\nQUIT\n"

/* What a decoder says about some input, as text; and how much of it is the client's. */
static struct buf transcript(struct slice input, size_t cut, size_t piece)
{
    struct proxy_wire w = { .len = 0 };
    struct buf out = BUF_EMPTY;
    enum proxy_step step = PROXY_STEP_MORE;
    char text[ADDRESS_TEXT_MAX + 1];

    while (step == PROXY_STEP_MORE && input.len > 0) {
        size_t n = cut && cut < input.len ? cut : piece < input.len ? piece : input.len;
        struct slice rest = { input.at, n };
        cut = 0;
        step = proxy_wire_feed(&w, &rest);
        if (step == PROXY_STEP_MORE)
            ck_assert_uint_eq(rest.len, 0);
        input = (struct slice){ rest.at, input.len - (n - rest.len) };
    }
    if (step == PROXY_STEP_MORE)
        buf_puts(&out, "more");
    else if (step == PROXY_STEP_BROKEN)
        buf_printf(&out, "broken: %s", w.why);
    else if (w.from == PROXY_FROM_ADDRESS)
        buf_printf(&out, "%.*s", (int)address_text(&w.address, text), text);
    else
        buf_puts(&out, w.from == PROXY_FROM_UNIX ? "unix" : "peer");
    if (step == PROXY_STEP_DONE)
        buf_printf(&out, ", then '%.*s'", (int)input.len, input.at);
    ck_assert_int_eq(buf_rc(&out), RC_OK);
    return out;
}

static void expect(struct slice input, const char *expected)
{
    struct page page = page_of(input);
    struct buf whole = transcript(page.bytes, 0, input.len);

    ck_assert_msg(slice_is(buf_slice(&whole), slice_of(expected)), "'%.*s': got %.*s, wanted %s",
                  (int)input.len, input.at, (int)whole.len, whole.at, expected);
    for (size_t cut = 1; cut < input.len; cut++) {
        struct buf two = transcript(page.bytes, cut, input.len);
        struct buf bytes = transcript(page.bytes, cut, 1);
        ck_assert_msg(slice_is(buf_slice(&whole), buf_slice(&two)), "cut at %zu: %.*s", cut,
                      (int)two.len, two.at);
        ck_assert(slice_is(buf_slice(&whole), buf_slice(&bytes)));
        buf_fini(&two);
        buf_fini(&bytes);
    }
    buf_fini(&whole);
    page_fini(&page);
}

static void expect_line(const char *line, const char *expected)
{
    expect(slice_of(line), expected);
}

/* ---- version 1 ------------------------------------------------------------------------------- */

START_TEST(a_line_says_whose_connection_it_is)
{
    expect_line("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nGET / HTTP/1.1\r\n",
                "192.0.2.7, then 'GET / HTTP/1.1\r\n'");
    expect_line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
                "255.255.255.255, then ''");
    expect_line("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n\r\n", "0.0.0.0, then '\r\n'");
    expect_line("PROXY TCP6 2001:DB8::7 ::1 1 2\r\nx", "2001:db8::7, then 'x'");
    expect_line("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, then ''");
    expect_line("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.8 1 2\r\n", "192.0.2.7, then ''");
}
END_TEST

START_TEST(unknown_means_the_peer_itself_whatever_follows)
{
    expect_line("PROXY UNKNOWN\r\nx", "peer, then 'x'");
    expect_line("PROXY UNKNOWN ::1 what ever  %% 99999999\r\nx", "peer, then 'x'");
    /* the longest that there is: 107 bytes */
    expect_line("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\nx",
                "peer, then 'x'");
    expect_line("PROXY UNKNOWNS\r\n", "broken: PROXY of an unknown family");
}
END_TEST

START_TEST(a_line_that_is_a_little_wrong_is_wrong)
{
    static const char *const bad[][2] = {
        { "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY of an unknown family" },
        { "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY of an unknown family" },
        { "PROXY \r\n", "PROXY of an unknown family" },
        { "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY of an unknown family" },
        { "PROXY TCP4\r\n", "PROXY with too few or too many words" },
        { "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY with too few or too many words" },
        { "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "PROXY with too few or too many words" },
        { "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "PROXY with too few or too many words" },
        { "PROXY TCP4 1.2.3.4  1.2.3.4 1\r\n", "PROXY with an address that is none" },
        { "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", "PROXY with an address that is none" },
        { "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n", "PROXY with an address that is none" },
        { "PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n", "PROXY with an address that is none" },
        { "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY with an address that is none" },
        { "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY with an address that is none" },
        { "PROXY TCP4 1.2.3.4 ::1 1 2\r\n", "PROXY with an address that is none" },
        { "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "PROXY with an address that is none" },
        { "PROXY TCP6 ::1::2 ::1 1 2\r\n", "PROXY with an address that is none" },
        { "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "PROXY with a port that is none" },
        { "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "PROXY with a port that is none" },
        { "PROXY TCP4 1.2.3.4 1.2.3.4 1 +2\r\n", "PROXY with a port that is none" },
        { "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n", "PROXY with a port that is none" },
        { "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "PROXY line that does not end in CR LF" },
        { "PROXY UNKNOWN\n", "PROXY line that does not end in CR LF" },
        { "PROXY UNKNOWN a\rb\r\n", "PROXY line that does not end in CR LF" },
        { "PROXY UNKNOWN\r\r\n", "PROXY line that does not end in CR LF" },
    };
    char said[200];

    for (size_t i = 0; i < LENGTH(bad); i++) {
        snprintf(said, sizeof(said), "broken: %s", bad[i][1]);
        expect_line(bad[i][0], said);
    }
}
END_TEST

START_TEST(a_line_without_end_is_given_up_where_the_longest_one_ends)
{
    char line[PROXY_LINE_MAX + 2];

    memset(line, 'x', sizeof(line));
    memcpy(line, "PROXY UNKNOWN ", 14);
    expect((struct slice){ line, PROXY_LINE_MAX }, "broken: PROXY line without end");
    memcpy(line + PROXY_LINE_MAX - 1, "\r\n", 2); /* one byte more than there may be */
    expect((struct slice){ line, PROXY_LINE_MAX + 1 }, "broken: PROXY line without end");
    expect((struct slice){ line, PROXY_LINE_MAX - 1 }, "more");
    memcpy(line + PROXY_LINE_MAX - 2, "\r\n", 2);
    expect((struct slice){ line, PROXY_LINE_MAX }, "peer, then ''");
}
END_TEST

START_TEST(what_is_no_header_is_refused_at_the_byte_that_says_so)
{
    struct proxy_wire w = { .len = 0 };
    struct slice in = SLICE("GET / HTTP/1.1\r\n\r\n");

    expect(in, "broken: no PROXY header where one must be");
    ck_assert_int_eq(proxy_wire_feed(&w, &in), PROXY_STEP_BROKEN);
    ck_assert_uint_eq(w.len, 1);
    expect_line("PROX\r\n", "broken: no PROXY header where one must be");
    expect_line("PROXI TCP4", "broken: no PROXY header where one must be");
    expect_line("\r\n\r\nGET / HTTP/1.1\r\n", "broken: no PROXY header where one must be");
    expect(SLICE("\x16\x03\x01\x02\x00\x01"), "broken: no PROXY header where one must be");
    expect(SLICE("PROXY"), "more");
    expect(SLICE("\r\n\r\n\0\r\nQUIT"), "more");
    expect(SLICE("\r\n\r\n\0\r\nQUIT\r"), "broken: no PROXY header where one must be");
}
END_TEST

/* ---- version 2 ------------------------------------------------------------------------------- */

START_TEST(a_binary_header_says_whose_connection_it_is)
{
    expect(SLICE(SIGNATURE_2 "\x21\x11\0\x0c\xc0\0\2\7\xc6\x33\x64\1\xdc\4\1\xbbGET"),
           "192.0.2.7, then 'GET'");
    expect(SLICE(SIGNATURE_2 "\x21\x21\0\x24"
                             "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
                             "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x08"
                             "\xdc\4\1\xbb!"),
           "2001:db8::7, then '!'");
    /* an address that is IPv4 in IPv6's clothes is that IPv4 address */
    expect(SLICE(SIGNATURE_2 "\x21\x21\0\x24"
                             "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\7"
                             "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\x08"
                             "\xdc\4\1\xbb!"),
           "192.0.2.7, then '!'");
}
END_TEST

START_TEST(values_behind_the_addresses_are_stepped_over)
{
    struct buf in = BUF_EMPTY;

    expect(SLICE(SIGNATURE_2 "\x21\x11\0\x13\xc0\0\2\7\xc6\x33\x64\1\xdc\4\1\xbb"
                             "\x04\0\x04\0\0\0\0GET"),
           "192.0.2.7, then 'GET'");
    buf_put(&in, SLICE(SIGNATURE_2 "\x21\x31\0\xd9")); /* local sockets, and one byte */
    for (int i = 0; i < 217; i++)
        buf_putc(&in, 'p');
    buf_puts(&in, "GET");
    expect(buf_slice(&in), "unix, then 'GET'");
    buf_fini(&in);
    buf_put(&in, SLICE(SIGNATURE_2 "\x21\x11\xff\xff\xc0\0\2\7")); /* as much as there can be */
    for (int i = 4; i < 0xffff; i++)
        buf_putc(&in, 't');
    buf_puts(&in, "GET");
    struct buf said = transcript(buf_slice(&in), 0, 1000);
    ck_assert(slice_is(buf_slice(&said), SLICE("192.0.2.7, then 'GET'")));
    buf_fini(&said);
    buf_fini(&in);
}
END_TEST

START_TEST(local_connections_and_those_of_which_nothing_is_known_are_the_peers)
{
    expect(SLICE(SIGNATURE_2 "\x20\0\0\0GET"), "peer, then 'GET'");
    /* LOCAL: whatever the family, however long */
    expect(SLICE(SIGNATURE_2 "\x20\x11\0\x0c\xc0\0\2\7\xc6\x33\x64\1\xdc\4\1\xbbGET"),
           "peer, then 'GET'");
    expect(SLICE(SIGNATURE_2 "\x20\xff\0\2xxGET"), "peer, then 'GET'");
    expect(SLICE(SIGNATURE_2 "\x21\0\0\0GET"), "peer, then 'GET'");
    expect(SLICE(SIGNATURE_2 "\x21\x01\0\3xxxGET"), "peer, then 'GET'");
    expect(SLICE(SIGNATURE_2 "\x21\x10\0\x0c\xc0\0\2\7\xc6\x33\x64\1\xdc\4\1\xbbGET"),
           "peer, then 'GET'");
    expect(SLICE(SIGNATURE_2 "\x21\x10\0\1xGET"), "peer, then 'GET'");
    /* a datagram's */
    expect(SLICE(SIGNATURE_2 "\x21\x12\0\x0c\xc0\0\2\7\xc6\x33\x64\1\xdc\4\1\xbbGET"),
           "peer, then 'GET'");
}
END_TEST

START_TEST(a_binary_header_that_is_a_little_wrong_is_wrong)
{
    expect(SLICE(SIGNATURE_2 "\x11\x11\0\x0c"), "broken: PROXY header of an unknown version");
    expect(SLICE(SIGNATURE_2 "\x31\x11\0\x0c"), "broken: PROXY header of an unknown version");
    expect(SLICE(SIGNATURE_2 "\x22\x11\0\x0c"), "broken: PROXY header with an unknown command");
    expect(SLICE(SIGNATURE_2 "\x21\x41\0\x0c"),
           "broken: PROXY header of an unknown family or transport");
    expect(SLICE(SIGNATURE_2 "\x21\x13\0\x0c"),
           "broken: PROXY header of an unknown family or transport");
    expect(SLICE(SIGNATURE_2 "\x21\x11\0\x0b"), "broken: PROXY header too short for its addresses");
    expect(SLICE(SIGNATURE_2 "\x21\x12\0\x0b"), "broken: PROXY header too short for its addresses");
    expect(SLICE(SIGNATURE_2 "\x21\x21\0\x23"), "broken: PROXY header too short for its addresses");
    expect(SLICE(SIGNATURE_2 "\x21\x31\0\xd7"), "broken: PROXY header too short for its addresses");
    expect(SLICE(SIGNATURE_2 "\x21\x11\0\x0c\xc0\0\2\7\xc6\x33\x64\1\xdc\4\1"), "more");
}
END_TEST

SUITE(proxy_wire)
{
    tcase_add_test(tc, a_line_says_whose_connection_it_is);
    tcase_add_test(tc, unknown_means_the_peer_itself_whatever_follows);
    tcase_add_test(tc, a_line_that_is_a_little_wrong_is_wrong);
    tcase_add_test(tc, a_line_without_end_is_given_up_where_the_longest_one_ends);
    tcase_add_test(tc, what_is_no_header_is_refused_at_the_byte_that_says_so);
    tcase_add_test(tc, a_binary_header_says_whose_connection_it_is);
    tcase_add_test(tc, values_behind_the_addresses_are_stepped_over);
    tcase_add_test(tc, local_connections_and_those_of_which_nothing_is_known_are_the_peers);
    tcase_add_test(tc, a_binary_header_that_is_a_little_wrong_is_wrong);
}
