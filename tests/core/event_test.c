#include "core/event.h"
#include "tests/core/memory.h"
#include "tests/suite.h"

#include <stdlib.h>

static struct event *sample(void)
{
    return event_new(&(struct event_fields){
        .epoch = "e1",
        .seq = 42,
        .topic = SLICE("orders/42"),
        .type = SLICE("created"),
        .content_type = SLICE("application/json"),
        .id = SLICE("me-1"),
        .data = SLICE("{\"a\":\0 1}"),
        .time_us = 1700000000000000,
        .expires_us = 5,
        .flags = EVENT_RETAINED,
    });
}

START_TEST(it_copies_all_it_is_made_of)
{
    char epoch[] = "e1", topic[] = "orders", data[] = "hello";
    struct event *e = event_new(&(struct event_fields){
        .epoch = epoch, .seq = 7, .topic = slice_of(topic), .data = slice_of(data) });
    memset(epoch, '?', sizeof epoch);
    memset(topic, '?', sizeof topic);
    memset(data, '?', sizeof data);
    const struct event_fields *f = event_fields(e);
    ck_assert_str_eq(f->epoch, "e1");
    ck_assert(slice_is(f->topic, SLICE("orders")));
    ck_assert(slice_is(f->data, SLICE("hello")));
    ck_assert_uint_eq(f->type.len + f->id.len + f->content_type.len, 0);
    ck_assert_int_eq(event_seq(e), 7);
    event_unref(e);
}
END_TEST

START_TEST(it_keeps_every_field)
{
    struct event *e = sample();
    const struct event_fields *f = event_fields(e);
    ck_assert_int_eq(f->seq, 42);
    ck_assert(slice_is(f->topic, SLICE("orders/42")));
    ck_assert(slice_is(f->type, SLICE("created")));
    ck_assert(slice_is(f->content_type, SLICE("application/json")));
    ck_assert(slice_is(f->id, SLICE("me-1")));
    ck_assert(slice_is(f->data, SLICE("{\"a\":\0 1}")));
    ck_assert_int_eq(f->time_us, 1700000000000000);
    ck_assert_int_eq(f->expires_us, 5);
    ck_assert_uint_eq(f->flags, EVENT_RETAINED);
    event_unref(e);
    event_unref(NULL);
}
END_TEST

static int encoded;
static enum rc encode_rc;

static enum rc encode(const struct event *e, const void *with, struct buf *out)
{
    encoded++;
    buf_printf(out, "seq %d", (int)event_seq(e));
    return encode_rc;
}

static enum rc encode_nothing(const struct event *e, const void *with, struct buf *out)
{
    encoded++;
    return RC_OK;
}

static enum rc bytes(struct event *e, unsigned which, struct block **out)
{
    return event_bytes(e, &(struct encoder){ which, encode, NULL }, out);
}

START_TEST(bytes_are_made_once_and_lent_to_all)
{
    struct event *e = sample();
    struct block *first, *second;
    struct buf copy = BUF_EMPTY;
    size_t bare = event_size(e);
    encoded = 0;
    encode_rc = RC_OK;
    ck_assert_int_eq(bytes(e, ENC_SSE, &first), RC_OK);
    ck_assert_int_eq(bytes(e, ENC_SSE, &second), RC_OK);
    ck_assert_int_eq(encoded, 1);
    ck_assert_ptr_eq(first, second);
    ck_assert(slice_is(block_slice(first), SLICE("seq 42")));
    size_t once = event_size(e);
    ck_assert_uint_ge(once, bare + 6);
    ck_assert_int_eq(bytes(e, ENC_JSON, &second), RC_OK);
    ck_assert_int_eq(encoded, 2);
    ck_assert_uint_eq(event_size(e), once + (once - bare));
    ck_assert_ptr_ne(first, second);
    /* A transport's own. */
    ck_assert_int_eq(bytes(e, ENC__COUNT + 1, &second), RC_OK);
    ck_assert_int_eq(encoded, 3);
    ck_assert_int_eq(bytes(e, ENC_SSE, &second), RC_OK);
    ck_assert_ptr_eq(first, second);
    /* A copy is made of what is there, and leaves nothing. */
    size_t all = event_size(e);
    ck_assert_int_eq(event_encode(e, &(struct encoder){ ENC_SSE, encode, NULL }, &copy), RC_OK);
    ck_assert_int_eq(encoded, 3);
    ck_assert_int_eq(event_encode(e, &(struct encoder){ ENC_FRAME, encode, NULL }, &copy), RC_OK);
    ck_assert_int_eq(encoded, 4);
    ck_assert(slice_is(buf_slice(&copy), SLICE("seq 42seq 42")));
    ck_assert_uint_eq(event_size(e), all);
    buf_fini(&copy);
    event_unref(e);
}
END_TEST

START_TEST(they_live_until_the_last_reader_has_gone)
{
    struct event *e = sample();
    struct block *lent;
    encode_rc = RC_OK;
    for (int i = 0; i < 3; i++)
        ck_assert_ptr_eq(event_ref(e), e);
    ck_assert_int_eq(bytes(e, ENC_SSE, &lent), RC_OK);
    for (int i = 0; i < 3; i++) {
        event_unref(e);
        ck_assert(slice_is(block_slice(lent), SLICE("seq 42")));
        ck_assert(slice_is(event_fields(e)->topic, SLICE("orders/42")));
    }
    ck_assert_ptr_eq(block_ref(lent), lent); /* who sends needs no event */
    event_unref(e);
    ck_assert(slice_is(block_slice(lent), SLICE("seq 42")));
    ck_assert_uint_eq(lent->refs, 1);
    block_unref(lent);
    block_unref(NULL);
}
END_TEST

START_TEST(after_a_failure_nothing_is_kept)
{
    struct event *e = sample();
    struct block *lent;
    size_t bare = event_size(e);
    encoded = 0;
    encode_rc = RC_LIMIT;
    ck_assert_int_eq(bytes(e, ENC_SSE, &lent), RC_LIMIT);
    ck_assert_uint_eq(event_size(e), bare);
    encode_rc = RC_OK;
    ck_assert_int_eq(bytes(e, ENC_SSE, &lent), RC_OK);
    ck_assert_int_eq(encoded, 2);
    ck_assert(slice_is(block_slice(lent), SLICE("seq 42")));
    event_unref(e);
}
END_TEST

START_TEST(an_encoding_may_be_empty)
{
    struct event *e = sample();
    struct encoder nothing = { ENC_FRAME, encode_nothing, NULL };
    struct block *lent;
    encoded = 0;
    ck_assert_int_eq(event_bytes(e, &nothing, &lent), RC_OK);
    ck_assert_int_eq(event_bytes(e, &nothing, &lent), RC_OK);
    ck_assert_int_eq(encoded, 1);
    ck_assert_uint_eq(lent->len, 0);
    event_unref(e);
}
END_TEST

START_TEST(a_want_of_memory_is_told_and_passes)
{
    encode_rc = RC_OK;
    MEMORY_SCRIPT(nth)
    {
        struct event *e = sample();
        struct block *lent;
        if (e) {
            /* The encoder's room, and what stays: the form and its block. */
            enum rc rc = bytes(e, ENC_SSE, &lent);
            ck_assert_int_eq(rc, nth >= 1 && nth <= 3 ? RC_NOMEM : RC_OK);
            ck_assert_int_eq(bytes(e, ENC_SSE, &lent), RC_OK);
            ck_assert(slice_is(block_slice(lent), SLICE("seq 42")));
        }
        ck_assert_int_eq(e == NULL, nth == 0);
        event_unref(e);
    }
}
END_TEST

SUITE(event)
{
    tcase_add_test(tc, it_copies_all_it_is_made_of);
    tcase_add_test(tc, it_keeps_every_field);
    tcase_add_test(tc, bytes_are_made_once_and_lent_to_all);
    tcase_add_test(tc, they_live_until_the_last_reader_has_gone);
    tcase_add_test(tc, after_a_failure_nothing_is_kept);
    tcase_add_test(tc, an_encoding_may_be_empty);
    tcase_add_test(tc, a_want_of_memory_is_told_and_passes);
}
