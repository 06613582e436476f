/*
 * fcgi_wire_test.c - records into requests: whole, byte by byte, cut at every place, and with the
 * input ending against a forbidden page.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fcgi/fcgi_wire.h"
#include "fcgi/params.h"
#include "tests/fcgi/mini_front.h"
#include "tests/suite.h"

enum { MAX_BODY = 1000 };

/* Everything that a decoder says about some input, as text that can be compared. */
static struct buf transcript(struct slice input, size_t cut, size_t piece)
{
    struct fcgi_wire w;
    struct buf out = BUF_EMPTY;
    struct slice rest = SLICE_NONE;
    bool over = false;

    fcgi_wire_init(&w, MAX_BODY, 77);
    while (!over && (input.len > 0 || rest.len > 0)) {
        if (rest.len == 0) {
            size_t n = cut && cut < input.len ? cut : piece < input.len ? piece : input.len;
            cut = 0;
            rest = (struct slice){ input.at, n };
            input.at += n;
            input.len -= n;
        }
        switch (fcgi_wire_feed(&w, &rest)) {
        case FCGI_STEP_MORE:
            ck_assert_uint_eq(rest.len, 0);
            break;
        case FCGI_STEP_REQUEST:
            buf_printf(&out, "request %d keep %d%s%s params %zu:", w.id, w.keep,
                       w.params_too_large ? " params too large" : "",
                       w.body_too_large ? " body too large" : "", w.params.len);
            buf_put(&out, buf_slice(&w.params));
            buf_printf(&out, " body %zu:", w.body.len);
            buf_put(&out, buf_slice(&w.body));
            buf_puts(&out, "\n");
            break;
        case FCGI_STEP_ABORTED:
            buf_printf(&out, "aborted %d\n", w.id);
            fcgi_wire_answered(&w);
            break;
        case FCGI_STEP_REPLY:
            buf_printf(&out, "reply type %d, id %d, closes %d, %zu bytes", w.reply[1],
                       w.reply[2] << 8 | w.reply[3], w.reply_closes, w.reply_len);
            if (w.reply[1] == FCGI_END_REQUEST)
                buf_printf(&out, ", status %d", w.reply[12]);
            buf_puts(&out, "\n");
            break;
        case FCGI_STEP_NEXT:
            buf_puts(&out, "next\n");
            fcgi_wire_answered(&w);
            break;
        case FCGI_STEP_BROKEN:
            buf_printf(&out, "broken: %s\n", w.why);
            over = true;
            break;
        case FCGI_STEP_NOMEM:
            ck_abort_msg("no memory");
        }
    }
    buf_printf(&out, "%s\n", over || fcgi_wire_at_rest(&w) ? "at rest" : "unfinished");
    fcgi_wire_fini(&w);
    ck_assert_int_eq(buf_rc(&out), RC_OK);
    return out;
}

/* A copy of the input that ends where the next byte is forbidden. */
static struct slice against_the_wall(struct slice input, void **map, size_t *size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (input.len + page - 1) / page + 1;

    *size = pages * page;
    *map = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(*map, MAP_FAILED);
    char *end = (char *)*map + *size - page;
    ck_assert_int_eq(mprotect(end, page, PROT_NONE), 0);
    memcpy(end - input.len, input.at, input.len);
    return (struct slice){ end - input.len, input.len };
}

/* However it is cut, the input must mean the same; and that must contain what is expected. */
static void expect_all_cuts(struct buf *input, const char *expected)
{
    void *map;
    size_t size;
    struct slice in = against_the_wall(buf_slice(input), &map, &size);
    struct buf whole = transcript(in, 0, in.len);
    struct buf bytes = transcript(in, 0, 1);

    ck_assert_msg(slice_is(buf_slice(&whole), slice_of(expected)), "got: %.*s\nwanted: %s",
                  (int)whole.len, whole.at, expected);
    ck_assert(slice_is(buf_slice(&whole), buf_slice(&bytes)));
    for (size_t cut = 1; cut < in.len; cut++) {
        struct buf two = transcript(in, cut, in.len);
        ck_assert_msg(slice_is(buf_slice(&whole), buf_slice(&two)), "cut at %zu: %.*s", cut,
                      (int)two.len, two.at);
        buf_fini(&two);
    }
    munmap(map, size);
    buf_fini(&whole);
    buf_fini(&bytes);
    buf_fini(input);
}

START_TEST(a_request_is_the_same_however_it_is_cut)
{
    struct buf in = BUF_EMPTY;

    put_begin(&in, 1, FCGI_RESPONDER, FCGI_KEEP_CONN);
    put_stream(&in, FCGI_PARAMS, 1, SLICE("\x03\x05KEYvalue"), 3); /* cut inside name and value */
    put_stream(&in, FCGI_STDIN, 1, SLICE("the body"), 5);
    expect_all_cuts(&in, "request 1 keep 1 params 10:\x03\x05KEYvalue"
                         " body 8:the body\nat rest\n");
}
END_TEST

START_TEST(two_requests_in_a_row_wait_for_one_another)
{
    struct buf in = BUF_EMPTY;

    put_begin(&in, 5, FCGI_RESPONDER, FCGI_KEEP_CONN);
    put_stream(&in, FCGI_PARAMS, 5, SLICE("one"), 100);
    put_stream(&in, FCGI_STDIN, 5, SLICE_NONE, 100);
    put_begin(&in, 5, FCGI_RESPONDER, 0);
    put_stream(&in, FCGI_PARAMS, 5, SLICE("two"), 100);
    put_stream(&in, FCGI_STDIN, 5, SLICE("body"), 100);
    expect_all_cuts(&in, "request 5 keep 1 params 3:one body 0:\nnext\n"
                         "request 5 keep 0 params 3:two body 4:body\nat rest\n");
}
END_TEST

START_TEST(another_id_meanwhile_is_told_that_there_is_no_multiplexing)
{
    struct buf in = BUF_EMPTY;

    put_begin(&in, 1, FCGI_RESPONDER, 0);
    put_begin(&in, 2, FCGI_RESPONDER, 0);
    put_stream(&in, FCGI_PARAMS, 2, SLICE("not mine"), 100);
    put_stream(&in, FCGI_PARAMS, 1, SLICE("mine"), 100);
    put_stream(&in, FCGI_STDIN, 2, SLICE("nor this"), 100);
    put_stream(&in, FCGI_STDIN, 1, SLICE_NONE, 100);
    put_begin(&in, 3, FCGI_RESPONDER, 0);
    expect_all_cuts(&in, "reply type 3, id 2, closes 0, 16 bytes, status 1\n"
                         "request 1 keep 0 params 4:mine body 0:\n"
                         "reply type 3, id 3, closes 0, 16 bytes, status 1\nat rest\n");
}
END_TEST

START_TEST(a_role_that_is_not_ours_is_refused_and_the_connection_lives_if_kept)
{
    struct buf in = BUF_EMPTY;

    put_begin(&in, 1, FCGI_AUTHORIZER, FCGI_KEEP_CONN);
    put_begin(&in, 1, FCGI_FILTER, 0);
    expect_all_cuts(&in, "reply type 3, id 1, closes 0, 16 bytes, status 3\n"
                         "reply type 3, id 1, closes 1, 16 bytes, status 3\nat rest\n");
}
END_TEST

START_TEST(questions_about_the_process_are_answered)
{
    struct buf in = BUF_EMPTY, names = BUF_EMPTY;

    params_put(&names, SLICE(FCGI_MAX_CONNS), SLICE_NONE);
    params_put(&names, SLICE("SOMETHING"), SLICE_NONE);
    params_put(&names, SLICE(FCGI_MPXS_CONNS), SLICE_NONE);
    put_record(&in, FCGI_GET_VALUES, 0, buf_slice(&names), 3);
    put_record(&in, FCGI_GET_VALUES, 0, SLICE_NONE, 0);
    put_record(&in, 99, 0, SLICE("what"), 0);
    put_record(&in, FCGI_BEGIN_REQUEST, 0, SLICE("12345678"), 0);
    buf_fini(&names);
    expect_all_cuts(&in, "reply type 10, id 0, closes 0, 44 bytes\n"
                         "reply type 10, id 0, closes 0, 8 bytes\n"
                         "reply type 11, id 0, closes 0, 16 bytes\n"
                         "reply type 11, id 0, closes 0, 16 bytes\nat rest\n");
}
END_TEST

START_TEST(an_abort_ends_the_request_at_any_time)
{
    struct buf in = BUF_EMPTY;

    put_begin(&in, 1, FCGI_RESPONDER, 1);
    put_record(&in, FCGI_ABORT_REQUEST, 2, SLICE_NONE, 0); /* none of ours */
    put_record(&in, FCGI_ABORT_REQUEST, 1, SLICE_NONE, 0);
    put_begin(&in, 1, FCGI_RESPONDER, 1);
    put_stream(&in, FCGI_PARAMS, 1, SLICE("p"), 100);
    put_record(&in, FCGI_STDIN, 1, SLICE("half a bo"), 7);
    put_record(&in, FCGI_ABORT_REQUEST, 1, SLICE_NONE, 0);
    expect_all_cuts(&in, "aborted 1\naborted 1\nat rest\n");
}
END_TEST

START_TEST(what_is_not_fastcgi_is_broken)
{
    struct buf in = BUF_EMPTY;

    buf_puts(&in, "GET / HTTP/1.1\r\n\r\n");
    expect_all_cuts(&in, "broken: not a FastCGI record of version 1\nat rest\n");
    in = BUF_EMPTY;
    put_record(&in, FCGI_BEGIN_REQUEST, 1, SLICE("short"), 0);
    expect_all_cuts(&in, "broken: BEGIN_REQUEST of a wrong length\nat rest\n");
    in = BUF_EMPTY;
    put_begin(&in, 1, FCGI_RESPONDER, 0);
    put_begin(&in, 1, FCGI_RESPONDER, 0);
    expect_all_cuts(&in, "broken: BEGIN_REQUEST within a request\nat rest\n");
}
END_TEST

START_TEST(records_that_mean_nothing_are_stepped_over)
{
    struct buf in = BUF_EMPTY;

    put_record(&in, FCGI_STDIN, 7, SLICE("nobody's"), 1);
    put_begin(&in, 1, FCGI_RESPONDER, 0);
    put_record(&in, FCGI_DATA, 1, SLICE("for another role"), 0);
    put_stream(&in, FCGI_PARAMS, 1, SLICE("p"), 100);
    put_record(&in, FCGI_PARAMS, 1, SLICE("after the end"), 0);
    put_record(&in, FCGI_DATA, 1, SLICE_NONE, 0);
    put_record(&in, FCGI_END_REQUEST, 1, SLICE("from a web server?"), 0);
    put_stream(&in, FCGI_STDIN, 1, SLICE("b"), 100);
    put_record(&in, FCGI_STDIN, 1, SLICE("after the end"), 0);
    expect_all_cuts(&in, "request 1 keep 0 params 1:p body 1:b\nat rest\n");
}
END_TEST

START_TEST(too_much_is_thrown_away_and_marked)
{
    struct buf in = BUF_EMPTY, much = BUF_EMPTY, said;

    while (much.len <= FCGI_PARAMS_MAX)
        buf_puts(&much, "seventy thousand bytes of a name ");
    put_begin(&in, 1, FCGI_RESPONDER, 0);
    put_stream(&in, FCGI_PARAMS, 1, buf_slice(&much), 5000);
    put_stream(&in, FCGI_STDIN, 1, (struct slice){ much.at, MAX_BODY + 1 }, 700);
    said = transcript(buf_slice(&in), 0, 333);
    buf_putc(&said, '\0');
    ck_assert_str_eq(said.at, "request 1 keep 0 params too large body too large params 0: body 0:\n"
                              "at rest\n");
    buf_fini(&said);
    buf_fini(&in);
    buf_fini(&much);

    put_begin(&in, 1, FCGI_RESPONDER, 0); /* exactly the limit is not too much */
    put_stream(&in, FCGI_PARAMS, 1, SLICE_NONE, 1);
    for (int i = 0; i < MAX_BODY; i++)
        buf_putc(&much, 'b');
    put_stream(&in, FCGI_STDIN, 1, buf_slice(&much), 999);
    said = transcript(buf_slice(&in), 0, in.len);
    ck_assert(memmem(said.at, said.len, "params 0: body 1000:b", 21));
    buf_fini(&said);
    buf_fini(&in);
    buf_fini(&much);
}
END_TEST

START_TEST(params_without_end_are_given_up)
{
    struct fcgi_wire w;
    struct buf in = BUF_EMPTY;
    static char much[60000];
    enum fcgi_step step = FCGI_STEP_MORE;

    fcgi_wire_init(&w, MAX_BODY, 1);
    put_begin(&in, 1, FCGI_RESPONDER, 0);
    for (int i = 0; i < 100 && step == FCGI_STEP_MORE; i++) {
        put_record(&in, FCGI_PARAMS, 1, (struct slice){ much, sizeof(much) }, 0);
        struct slice rest = buf_slice(&in);
        step = fcgi_wire_feed(&w, &rest);
        ck_assert_uint_le(w.params.cap, 4 * FCGI_PARAMS_MAX);
        in.len = 0;
    }
    ck_assert_int_eq(step, FCGI_STEP_BROKEN);
    fcgi_wire_fini(&w);
    buf_fini(&in);
}
END_TEST

START_TEST(a_new_decoder_goes_on_where_the_old_one_was_at_rest)
{
    struct fcgi_wire w;
    struct buf in = BUF_EMPTY;

    fcgi_wire_init(&w, MAX_BODY, 1);
    fcgi_wire_resume(&w, 3, true);
    ck_assert(fcgi_wire_at_rest(&w));
    put_record(&in, FCGI_ABORT_REQUEST, 3, SLICE_NONE, 0);
    struct slice rest = buf_slice(&in);
    ck_assert_int_eq(fcgi_wire_feed(&w, &rest), FCGI_STEP_ABORTED);
    ck_assert_int_eq(w.id, 3);
    fcgi_wire_fini(&w);
    buf_fini(&in);
}
END_TEST

SUITE(fcgi_wire)
{
    tcase_add_test(tc, a_request_is_the_same_however_it_is_cut);
    tcase_add_test(tc, two_requests_in_a_row_wait_for_one_another);
    tcase_add_test(tc, another_id_meanwhile_is_told_that_there_is_no_multiplexing);
    tcase_add_test(tc, a_role_that_is_not_ours_is_refused_and_the_connection_lives_if_kept);
    tcase_add_test(tc, questions_about_the_process_are_answered);
    tcase_add_test(tc, an_abort_ends_the_request_at_any_time);
    tcase_add_test(tc, what_is_not_fastcgi_is_broken);
    tcase_add_test(tc, records_that_mean_nothing_are_stepped_over);
    tcase_add_test(tc, too_much_is_thrown_away_and_marked);
    tcase_add_test(tc, params_without_end_are_given_up);
    tcase_add_test(tc, a_new_decoder_goes_on_where_the_old_one_was_at_rest);
}
