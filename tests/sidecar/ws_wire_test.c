/*
 * ws_wire_test.c - frames into messages: every rule, at the byte that breaks it, however it is cut;
 * and the frames that we write.
 */
#include <stdlib.h>

#include "tests/peers/ws_frame.h"
#include "tests/sidecar/ws_script.h"
#include "tests/suite.h"

/* ---- messages -------------------------------------------------------------------------------- */

START_TEST(messages_come_whole_or_in_fragments)
{
    ws_expect("T hello", "text 5 hello\nat rest");
    ws_expect("B \xFF\x80", "binary 2 \xFF\x80\nat rest");
    ws_expect("T hello | T world", "text 5 hello\ntext 5 world\nat rest");
    ws_expect("t hel | c lo, w | C orld", "text 12 hello, world\nat rest");
    ws_expect("t  | c  | C ", "text 0 \nat rest");
    ws_expect("T ", "text 0 \nat rest");
    ws_expect("t  | c all of it | C ", "text 9 all of it\nat rest");
    ws_expect("b bytes", "amid");
}
END_TEST

START_TEST(control_frames_come_between_fragments)
{
    ws_expect("P", "ping 0 \nat rest");
    ws_expect("P hi | O ho", "ping 2 hi\npong 2 ho\nat rest");
    ws_expect("t fra | P now | c gme | O then | C nt",
              "ping 3 now\npong 4 then\ntext 8 fragment\nat rest");
    ws_expect("t \xC3 | P \xFF\xFF | C \xA4", "ping 2 \xFF\xFF\ntext 2 \xC3\xA4\nat rest");
    ws_expect("t fra | X 1000", "close 1000 \nover");
}
END_TEST

START_TEST(after_a_close_nothing_is_heard)
{
    ws_expect("X", "close 1005 \nover");
    ws_expect("X 1001 going | T more | P | X 1000 again", "close 1001 going\nover");
    ws_expect("X 3000 | #3 reserved", "close 3000 \nover");
    ws_expect("T! no | T yes", "broken 1002 frame without mask\nover after 2");
}
END_TEST

START_TEST(the_first_byte_of_a_head_is_looked_at_first)
{
    static const char reserved[] = "broken 1002 reserved opcode\nover after 1";

    for (unsigned opcode = 0; opcode < 16; opcode++) {
        char script[] = "#x hello";
        script[1] = "0123456789abcdef"[opcode];
        if ((opcode >= 3 && opcode <= 7) || opcode >= 11)
            ws_expect(script, reserved);
    }
    ws_expect("T1 hello", "broken 1002 reserved bit set\nover after 1");
    ws_expect("T2 hello", "broken 1002 reserved bit set\nover after 1");
    ws_expect("B3 hello", "broken 1002 reserved bit set\nover after 1");
    ws_expect("P123 hello", "broken 1002 reserved bit set\nover after 1");
    ws_expect("t x | C2 y", "broken 1002 reserved bit set\nover after 8");
    ws_expect("p hello", "broken 1002 fragmented control frame\nover after 1");
    ws_expect("x", "broken 1002 fragmented control frame\nover after 1");
    ws_expect("C hello", "broken 1002 continuation of nothing\nover after 1");
    ws_expect("T x | c hello", "text 1 x\nbroken 1002 continuation of nothing\nover after 8");
    ws_expect("t x | T y", "broken 1002 new message within a message\nover after 8");
    ws_expect("t x | b y", "broken 1002 new message within a message\nover after 8");
}
END_TEST

START_TEST(clients_mask_and_say_lengths_in_their_shortest_form)
{
    static const char longer[] = "broken 1002 length not in its shortest form\nover after ";

    ws_expect("T! hello", "broken 1002 frame without mask\nover after 2");
    ws_expect("P! hello", "broken 1002 frame without mask\nover after 2");
    ws_expect("Tw hello", "broken 1002 length not in its shortest form\nover after 4");
    ws_expect("Bl hello", "broken 1002 length not in its shortest form\nover after 10");
    ws_expect("Pw hello", "broken 1002 control frame of more than 125 bytes\nover after 2");

    const uint64_t edges[] = { 0, 125, 126, 65535, 65536, UINT64_C(1) << 63, UINT64_MAX };
    const struct ws_rules rules = { .max_message = UINT64_MAX };
    for (size_t i = 0; i < LENGTH(edges); i++) {
        struct buf head = BUF_EMPTY, want = BUF_EMPTY;
        uint8_t mask[4];
        ws_frame_put_head(&head, FRAME_BINARY, FRAME_LONG, edges[i], mask);
        if (edges[i] >> 63)
            buf_puts(&want, "broken 1002 length above 2^63\nover after 10");
        else if (edges[i] < 65536)
            buf_printf(&want, "%s10", longer);
        else
            buf_puts(&want, "amid");
        buf_putc(&want, '\0');
        ws_expect_bytes(&rules, false, buf_slice(&head), want.at);
        buf_fini(&head);
        buf_fini(&want);
        ws_frame_put_head(&head, FRAME_BINARY, FRAME_WORD, edges[i] & 0xFFFF, mask);
        if ((edges[i] & 0xFFFF) < 126)
            buf_printf(&want, "%s4", longer);
        else
            buf_puts(&want, "amid");
        buf_putc(&want, '\0');
        ws_expect_bytes(&rules, false, buf_slice(&head), want.at);
        buf_fini(&head);
        buf_fini(&want);
    }
}
END_TEST

START_TEST(control_frames_have_at_most_125_bytes)
{
    char script[3 + 126] = "P ", want[160] = "ping 125 ";

    memset(script + 2, 'x', 125);
    strcat(want, script + 2);
    strcat(want, "\nat rest");
    ws_expect(script, want);
    strcat(script, "x");
    ws_expect(script, "broken 1002 control frame of more than 125 bytes\nover after 2");
    script[0] = 'O';
    ws_expect(script, "broken 1002 control frame of more than 125 bytes\nover after 2");
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

START_TEST(too_large_is_known_from_the_head)
{
    const struct ws_rules rules = { .max_message = 10 };
    const struct {
        const char *script, *want;
    } cases[] = {
        { "T 0123456789", "text 10 0123456789\nat rest" },
        { "T 0123456789a", "broken 1009 message too large\nover after 2" },
        { "b 01234 | C 56789", "binary 10 0123456789\nat rest" },
        { "b 01234 | c 56789 | C ", "binary 10 0123456789\nat rest" },
        { "b 01234 | P a ping does not count | C 56789",
          "ping 21 a ping does not count\nbinary 10 0123456789\nat rest" },
        { "b 01234 | C 567890", "broken 1009 message too large\nover after 13" },
    };

    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct buf bytes = BUF_EMPTY;
        ws_script_put(&bytes, cases[i].script);
        ws_expect_bytes(&rules, false, buf_slice(&bytes), cases[i].want);
        buf_fini(&bytes);
    }
}
END_TEST

START_TEST(a_length_that_would_overflow_a_sum_is_too_large)
{
    const struct ws_rules rules = { .max_message = 1000 };
    struct buf bytes = BUF_EMPTY;
    uint8_t mask[4];

    ws_script_put(&bytes, "b x");
    ws_frame_put_head(&bytes, FRAME_CONT, 0, UINT64_MAX >> 1, mask);
    ws_expect_bytes(&rules, false, buf_slice(&bytes),
                    "broken 1009 message too large\nover after 17");
    buf_fini(&bytes);
}
END_TEST

/* ---- text ------------------------------------------------------------------------------------ */

START_TEST(a_wrong_byte_of_a_text_is_refused_when_it_arrives)
{
    static const char wrong[] = "broken 1007 text that is not UTF-8\nover after ";
    const struct {
        const char *script;
        int after;
    } cases[] = {
        { "T \xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80 edited", 6 + 13 },
        { "T abc\xFFzzz", 6 + 4 },
        { "T \xF4\x90\x80\x80", 6 + 2 }, /* beyond U+10FFFF from the second byte on */
        { "t \xF4 | C \x90\x80\x80", 7 + 6 + 1 },
        { "T \xC0\xAF", 6 + 1 },
        { "T \xE0\x80\xAF", 6 + 2 },
        { "T \xC3", 6 + 1 }, /* ends amid a character */
        { "t \xC3 | C ", 7 + 6 },
        { "t \xE2\x82 | P | C \xC3", 8 + 6 + 6 + 1 },
    };

    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct buf want = BUF_EMPTY;
        bool ping = strstr(cases[i].script, " | P");
        buf_printf(&want, "%s%s%d%c", ping ? "ping 0 \n" : "", wrong, cases[i].after, '\0');
        ws_expect(cases[i].script, want.at);
        buf_fini(&want);
    }
    ws_expect("T \xF4\x8F\xBF\xBF", "text 4 \xF4\x8F\xBF\xBF\nat rest");
    ws_expect("t \xE2 | c \x82 | C \xAC", "text 3 \xE2\x82\xAC\nat rest");
    ws_expect("b \xE2 | T", "broken 1002 new message within a message\nover after 8");
    ws_expect("B \xC3 | T \xC3\xA4", "binary 1 \xC3\ntext 2 \xC3\xA4\nat rest");
}
END_TEST

/* ---- closing --------------------------------------------------------------------------------- */

START_TEST(close_codes_are_those_that_may_be_sent)
{
    for (unsigned code = 0; code <= 0xFFFF; code++) {
        bool ok = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                  (code >= 3000 && code <= 4999);
        ck_assert_msg(ws_code_valid(code) == ok, "%u", code);
    }
    ws_expect("X 1000", "close 1000 \nover");
    ws_expect("X 4999 \xE2\x82\xAC", "close 4999 \xE2\x82\xAC\nover");
    ws_expect("X 1005", "broken 1002 close code that must not be sent\nover after 8");
    ws_expect("X 0", "broken 1002 close code that must not be sent\nover after 8");
    ws_expect("X 65535", "broken 1002 close code that must not be sent\nover after 8");
}
END_TEST

START_TEST(close_frames_are_empty_or_have_a_whole_code_and_a_reason_in_utf8)
{
    const struct ws_rules rules = { .max_message = 10 };
    struct buf half = BUF_EMPTY;

    ws_frame_put(&half, FRAME_CLOSE, 0, SLICE("\x03"));
    ws_expect_bytes(&rules, false, buf_slice(&half),
                    "broken 1002 close frame with half a code\nover after 7");
    buf_fini(&half);
    ws_expect("X 1000 \xC3", "broken 1007 reason that is not UTF-8\nover after 9");
    ws_expect("X 1000 \xED\xA0\x80", "broken 1007 reason that is not UTF-8\nover after 11");
}
END_TEST

/* ---- what it costs --------------------------------------------------------------------------- */

START_TEST(an_idle_connection_keeps_next_to_nothing)
{
    struct ws_wire w = { 0 };
    struct ws_seen seen;
    const struct ws_rules rules = { .max_message = 100 };
    struct buf bytes = BUF_EMPTY;

    ck_assert_uint_le(sizeof(struct ws_wire), 16);
    ws_script_put(&bytes, "t hel | P | C lo");
    struct slice rest = buf_slice(&bytes);
    while (ws_wire_feed(&w, &rules, &rest, &seen) != WS_STEP_MORE) {
    }
    ck_assert_ptr_eq(w.amid, NULL);
    ck_assert(!w.over);
    buf_fini(&bytes);
}
END_TEST

START_TEST(what_is_whole_in_the_buffer_is_lent_from_there)
{
    struct ws_wire w = { 0 };
    struct ws_seen seen;
    const struct ws_rules rules = { .max_message = 100 };
    struct buf bytes = BUF_EMPTY;

    ws_script_put(&bytes, "T hello | P ping");
    struct slice rest = buf_slice(&bytes);
    ck_assert_int_eq(ws_wire_feed(&w, &rules, &rest, &seen), WS_STEP_DATA);
    ck_assert(seen.first && seen.last && seen.text);
    ck_assert_ptr_eq(seen.bytes.at, bytes.at + 6);
    ck_assert_int_eq(ws_wire_feed(&w, &rules, &rest, &seen), WS_STEP_PING);
    ck_assert_ptr_eq(seen.bytes.at, bytes.at + 11 + 6);
    ck_assert_int_eq(ws_wire_feed(&w, &rules, &rest, &seen), WS_STEP_MORE);
    buf_fini(&bytes);
}
END_TEST

/* Unmasking goes by eights, fragments end anywhere: every length, from every place in memory. */
START_TEST(masks_are_taken_off_at_every_length_and_place)
{
    static char payload[64], room[256];
    const struct ws_rules rules = { .max_message = 100 };

    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (char)(i * 7 + 1);
    for (size_t len = 0; len <= sizeof(payload); len++) {
        for (size_t place = 0; place < 8; place++) {
            struct ws_wire w = { 0 };
            struct ws_seen seen;
            struct buf bytes = BUF_EMPTY;
            ws_frame_put(&bytes, FRAME_BINARY, 0, (struct slice){ payload, len });
            memset(room, 0x55, sizeof(room));
            memcpy(room + place, bytes.at, bytes.len);
            struct slice rest = { room + place, bytes.len };
            ck_assert_int_eq(ws_wire_feed(&w, &rules, &rest, &seen), WS_STEP_DATA);
            ck_assert(slice_is(seen.bytes, (struct slice){ payload, len }));
            ck_assert_int_eq(room[place + bytes.len], 0x55);
            buf_fini(&bytes);
        }
    }
}
END_TEST

START_TEST(a_message_in_65536_fragments_is_like_any_other)
{
    const struct ws_rules rules = { .max_message = 4 << 20 };
    static char piece[64];
    struct buf bytes = BUF_EMPTY;
    struct ws_wire w = { 0 };
    struct ws_seen seen;
    size_t got = 0;

    memset(piece, 'a', sizeof(piece));
    for (unsigned i = 0; i < 65536; i++)
        ws_frame_put(&bytes, i == 0 ? FRAME_TEXT : FRAME_CONT, i < 65535 ? FRAME_MORE : 0,
                     (struct slice){ piece, sizeof(piece) });
    struct slice rest = buf_slice(&bytes);
    for (bool last = false; !last; last = seen.last) {
        ck_assert_int_eq(ws_wire_feed(&w, &rules, &rest, &seen), WS_STEP_DATA);
        got += seen.bytes.len;
    }
    ck_assert_uint_eq(got, 4 << 20);
    ck_assert_uint_eq(rest.len, 0);
    ck_assert_ptr_eq(w.amid, NULL);
    buf_fini(&bytes);
}
END_TEST

/* ---- what we write --------------------------------------------------------------------------- */

START_TEST(heads_are_as_short_as_they_can_be)
{
    const struct {
        uint64_t payload;
        size_t len;
        const char *head;
    } cases[] = {
        { 0, 2, "\x81\x00" },
        { 125, 2, "\x81\x7D" },
        { 126, 4, "\x81\x7E\x00\x7E" },
        { 65535, 4, "\x81\x7E\xFF\xFF" },
        { 65536, 10, "\x81\x7F\0\0\0\0\0\1\0\0" },
        { UINT64_C(0x0123456789ABCDEF), 10, "\x81\x7F\x01\x23\x45\x67\x89\xAB\xCD\xEF" },
    };
    uint8_t head[WS_HEAD_MAX];

    for (size_t i = 0; i < LENGTH(cases); i++) {
        ck_assert_uint_eq(ws_put_head(head, WS_TEXT, true, false, cases[i].payload), cases[i].len);
        ck_assert_mem_eq(head, cases[i].head, cases[i].len);
    }
    ws_put_head(head, WS_BINARY, false, true, 0);
    ck_assert_int_eq(head[0], 0x42);
    ws_put_head(head, WS_CONTINUATION, true, false, 0);
    ck_assert_int_eq(head[0], 0x80);
}
END_TEST

START_TEST(control_frames_are_written_whole)
{
    uint8_t out[2 + WS_CONTROL_MAX];
    char much[2 * WS_CONTROL_MAX];
    struct ws_frame f;
    struct slice in;

    in = (struct slice){ (char *)out, ws_put_control(out, WS_PONG, SLICE("hi")) };
    ck_assert_mem_eq(out, "\x8A\x02hi", 4);
    ck_assert_int_eq(ws_frame_next(&in, &f), WS_FRAME_WHOLE);
    ck_assert_uint_eq(ws_put_close(out, WS_CODE_NONE, SLICE("silent")), 2);
    ck_assert_mem_eq(out, "\x88\x00", 2);
    ck_assert_uint_eq(ws_put_close(out, 1000, SLICE_NONE), 4);
    ck_assert_mem_eq(out, "\x88\x02\x03\xE8", 4);
    memset(much, 'x', sizeof(much));
    ck_assert_uint_eq(ws_put_close(out, 1001, (struct slice){ much, 124 }), 2 + 2 + 123);
    ck_assert_uint_eq(out[1], 125);
    for (size_t i = 0; i + 3 <= sizeof(much); i += 3)
        memcpy(much + i, "\xE2\x82\xAC", 3); /* 41 of them fit into 123 */
    ck_assert_uint_eq(ws_put_close(out, 1001, (struct slice){ much, sizeof(much) }), 2 + 2 + 123);
    ck_assert_uint_eq(ws_put_close(out, 1001, (struct slice){ much + 3, 125 }), 2 + 2 + 123);
    much[0] = 'x';
    ck_assert_uint_eq(ws_put_close(out, 1001, (struct slice){ much + 1, 200 }), 2 + 2 + 122);
}
END_TEST

SUITE(ws_wire)
{
    tcase_add_test(tc, messages_come_whole_or_in_fragments);
    tcase_add_test(tc, control_frames_come_between_fragments);
    tcase_add_test(tc, after_a_close_nothing_is_heard);
    tcase_add_test(tc, the_first_byte_of_a_head_is_looked_at_first);
    tcase_add_test(tc, clients_mask_and_say_lengths_in_their_shortest_form);
    tcase_add_test(tc, control_frames_have_at_most_125_bytes);
    tcase_add_test(tc, too_large_is_known_from_the_head);
    tcase_add_test(tc, a_length_that_would_overflow_a_sum_is_too_large);
    tcase_add_test(tc, a_wrong_byte_of_a_text_is_refused_when_it_arrives);
    tcase_add_test(tc, close_codes_are_those_that_may_be_sent);
    tcase_add_test(tc, close_frames_are_empty_or_have_a_whole_code_and_a_reason_in_utf8);
    tcase_add_test(tc, an_idle_connection_keeps_next_to_nothing);
    tcase_add_test(tc, what_is_whole_in_the_buffer_is_lent_from_there);
    tcase_add_test(tc, masks_are_taken_off_at_every_length_and_place);
    tcase_add_test(tc, a_message_in_65536_fragments_is_like_any_other);
    tcase_add_test(tc, heads_are_as_short_as_they_can_be);
    tcase_add_test(tc, control_frames_are_written_whole);
}
