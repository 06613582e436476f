/*
 * whole_test.c - an answer that is all there, also where memory is not.
 */
#include "handlers/whole.h"

#include <stdio.h>

#include "core/server.h"
#include "tests/core/memory.h"
#include "tests/handlers/loopback.h"
#include "tests/suite.h"

/* A peer that needs no memory of its own. */
static struct heard {
    int status;
    char head[400], body[400];
    bool ended;
} heard;

static void append_to(char *text, size_t most, struct slice bytes)
{
    size_t len = strlen(text);

    ck_assert_uint_lt(len + bytes.len, most);
    memcpy(text + len, bytes.at, bytes.len);
    text[len + bytes.len] = '\0';
}

static enum rc on_begin(struct request *r, int status, struct slice headers)
{
    (void)r;
    heard = (struct heard){ .status = status };
    append_to(heard.head, sizeof(heard.head), headers);
    return RC_OK;
}

static enum rc on_write(struct request *r, struct slice bytes)
{
    (void)r;
    append_to(heard.body, sizeof(heard.body), bytes);
    return RC_OK;
}

static void on_end(struct request *r)
{
    (void)r;
    heard.ended = true;
}

static const struct request_ops peer = { .begin = on_begin, .write = on_write, .end = on_end };

static void answer(int status)
{
    struct request r = { .ops = &peer, .server = loopback_server() };
    struct buf body = BUF_EMPTY;

    heard = (struct heard){ .status = 0 };
    buf_puts(&body, "hello");
    whole_reply(&r, SLICE("X-Common: yes\r\n"), status, "text/plain", &body);
    ck_assert(heard.ended);
    ck_assert_uint_eq(body.cap, 0); /* it was taken */
}

static void expect_whole(int status)
{
    ck_assert_int_eq(heard.status, status);
    ck_assert_str_eq(heard.head, "Content-Type: text/plain\r\nCache-Control: no-store\r\n"
                                 "Content-Length: 5\r\nX-Common: yes\r\n");
    ck_assert_str_eq(heard.body, "hello");
}

START_TEST(a_want_of_memory_is_a_503_that_says_when_to_come_back)
{
    size_t wanted = 0;

    MEMORY_SCRIPT(nth)
    {
        answer(200);
        if (!memory_failed()) {
            expect_whole(200);
            continue;
        }
        wanted++;
        ck_assert_int_eq(heard.status, 503);
        ck_assert_msg(strstr(heard.head, "Retry-After: ") != NULL, "%s", heard.head);
        ck_assert_msg(strstr(heard.head, "X-Common: yes\r\n") != NULL, "%s", heard.head);
        ck_assert_msg(strstr(heard.body, "Out of memory.") != NULL, "%s", heard.body);
    }
    ck_assert_uint_ge(wanted, 2); /* of the body, and of the head */
    loopback_settle();
}
END_TEST

/* What is published is published: to be told so without a body is better than to try again. */
START_TEST(but_what_is_done_is_told_at_least_by_its_status)
{
    size_t wanted = 0;

    MEMORY_SCRIPT(nth)
    {
        answer(201);
        if (!memory_failed()) {
            expect_whole(201);
            continue;
        }
        wanted++;
        ck_assert_int_eq(heard.status, 201);
        ck_assert_str_eq(heard.head, "Content-Length: 0\r\n");
        ck_assert_str_eq(heard.body, "");
    }
    ck_assert_uint_ge(wanted, 2);
}
END_TEST

SUITE(whole)
{
    tcase_add_checked_fixture(tc, loopback_setup, loopback_teardown);
    tcase_add_test(tc, a_want_of_memory_is_a_503_that_says_when_to_come_back);
    tcase_add_test(tc, but_what_is_done_is_told_at_least_by_its_status);
}
