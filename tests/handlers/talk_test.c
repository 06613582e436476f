/*
 * talk_test.c - the conversation bellpush.v1.json.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/handlers/conversation.h"
#include "tests/suite.h"

#define KEY "Authorization: Bearer " STAGE_KEY

/* ---- topics ---------------------------------------------------------------------------------- */

START_TEST(topics_are_subscribed_and_heard)
{
    struct answer *a = conversation();

    say(a, "{'do':'subscribe','ref':1,'topics':['orders/#','news']}");
    hear(a, "{'type':'bellpush-answer','do':'subscribe','ref':1,'status':200,'body':{"
            "'topics':['orders/#','news'],");
    hear(a, "'replay':false}}\n");
    stage_publish("other", NULL, "no");
    stage_publish("orders/1", NULL, "one");
    stage_publish("news", NULL, "two");
    hear(a, "'topic':'orders/1','data':'one'");
    hear(a, "'topic':'news','data':'two'");
    never_heard(a, "\"no\"");
    answer_close(a);
}
END_TEST

START_TEST(the_address_may_say_the_first_ones)
{
    struct answer *a;

    stage_publish("t", NULL, "past");
    a = conversation_as("?topic=t&since=earliest", NULL);
    hear(a, "'data':'past'");
    say(a, "{'do':'subscribe','topics':['u']}");
    hear(a, "'topics':['u','t']");
    stage_publish("t", NULL, "now");
    stage_publish("u", NULL, "and");
    hear(a, "'data':'now'");
    hear(a, "'data':'and'");
    ck_assert_uint_eq(count_of(a, "past"), 1);
    answer_close(a);
}
END_TEST

START_TEST(topics_end)
{
    struct answer *a = conversation();

    say(a, "{'do':'subscribe','topics':['a','b']}");
    hear(a, "'status':200");
    say(a, "{'do':'unsubscribe','ref':'bye','topics':['a','never']}");
    hear(a, "'do':'unsubscribe','ref':'bye','status':200,'body':{'topics':['b']");
    stage_publish("a", NULL, "no");
    stage_publish("b", NULL, "yes");
    hear(a, "'data':'yes'");
    say(a, "{'do':'unsubscribe','topics':['b']}");
    hear(a, "'topics':[]");
    stage_publish("b", NULL, "no");
    loopback_settle();
    say(a, "{'do':'subscribe','topics':['b']}");
    hear(a, "'topics':['b']");
    stage_publish("b", NULL, "again");
    hear(a, "'data':'again'");
    never_heard(a, "\"no\"");
    answer_close(a);
}
END_TEST

START_TEST(new_topics_bring_their_past_while_the_others_wait)
{
    struct answer *a = conversation();

    stage_publish("a", NULL, "a1");
    stage_publish("b", NULL, "b1");
    stage_publish("a", NULL, "a2");
    loopback_settle();
    say(a, "{'do':'subscribe','topics':['b']}");
    hear(a, "'status':200");
    stage_publish("b", NULL, "b2");
    hear(a, "'data':'b2'");
    say(a, "{'do':'subscribe','ref':7,'topics':['a','b'],'since':'earliest'}");
    hear(a, "'ref':7,'status':200,'body':{'topics':['a','b'],'replay':true}}\n");
    hear(a, "'data':'a1'");
    hear(a, "'data':'a2'");
    hear(a, "{'type':'bellpush-caught-up','ref':7,'id':'");
    stage_publish("a", NULL, "a3");
    stage_publish("b", NULL, "b3");
    hear(a, "'data':'a3'");
    hear(a, "'data':'b3'");
    never_heard(a, "\"b1\"");
    ck_assert_uint_eq(count_of(a, "\"b2\""), 1);
    answer_close(a);
}
END_TEST

START_TEST(changes_wait_for_one_another_and_everything_is_answered)
{
    struct answer *a = conversation();
    char text[160];

    for (int i = 0; i < 300; i++)
        stage_publish(i % 2 ? "a" : "b", NULL, "past");
    say(a, "{'do':'subscribe','ref':0,'topics':['x'],'since':'earliest'}");
    for (int i = 1; i <= 12; i++) {
        snprintf(text, sizeof(text),
                 "{'do':'subscribe','ref':%d,'topics':['%s'],'since':'earliest'}", i,
                 i % 2 ? "a" : "b");
        say(a, text);
        snprintf(text, sizeof(text), "{'do':'unsubscribe','ref':%d,'topics':['%s']}", 100 + i,
                 i % 2 ? "a" : "b");
        if (!loopback_deaf(a))
            say(a, text);
        loopback_settle();
    }
    say(a, "{'do':'ping','ref':'end'}");
    hear(a, "'ref':'end'");
    loopback_settle();
    for (int i = 0; i <= 12; i++) {
        snprintf(text, sizeof(text), "\"do\":\"subscribe\",\"ref\":%d,\"status\":200", i);
        ck_assert_msg(count_of(a, text) == 1, "%s: %.*s", text, (int)answer_so_far(a).len,
                      answer_so_far(a).at);
    }
    ck_assert_uint_eq(count_of(a, "bellpush-caught-up"), count_of(a, "\"replay\":true"));
    answer_close(a);
}
END_TEST

START_TEST(a_closed_topic_changes_nothing)
{
    struct answer *a = conversation();

    say(a, "{'do':'subscribe','topics':['a']}");
    hear(a, "'status':200");
    say(a, "{'do':'subscribe','ref':2,'topics':['b','secret/1']}");
    hear(a, "'ref':2,'status':403,'body':{");
    hear(a, "secret/1 is closed to you");
    stage_publish("b", NULL, "no");
    stage_publish("a", NULL, "yes");
    hear(a, "'data':'yes'");
    never_heard(a, "\"no\"");
    answer_close(a);
}
END_TEST

START_TEST(a_slow_peer_of_a_long_past_loses_nothing)
{
    struct answer *a = conversation();
    char data[2100], text[64];

    memset(data, 'x', sizeof(data) - 1);
    say(a, "{'do':'subscribe','topics':['b']}");
    hear(a, "'status':200");
    for (int i = 0; i < 400; i++) {
        snprintf(data, sizeof(data), "%03d", i);
        data[3] = '.';
        data[sizeof(data) - 1] = '\0';
        stage_publish("a", NULL, data);
    }
    loopback_settle();
    loopback_take(a, false);
    say(a, "{'do':'subscribe','ref':2,'topics':['a'],'since':'earliest'}");
    loopback_settle();
    stage_publish("b", NULL, "meanwhile");
    loopback_settle();
    ck_assert_uint_lt(reply_queued(loopback_server()->open), 300 * 1024);
    loopback_take(a, true);
    for (int i = 0; i < 400; i++) {
        snprintf(text, sizeof(text), "'data':'%03d.", i);
        hear(a, text);
    }
    hear(a, "bellpush-caught-up");
    hear(a, "meanwhile");
    answer_close(a);
}
END_TEST

/* ---- publishing ------------------------------------------------------------------------------ */

START_TEST(what_is_published_is_answered_with_its_cursor)
{
    struct answer *a = conversation_as("", KEY);

    say(a, "{'do':'subscribe','topics':['chat/#']}");
    hear(a, "'status':200");
    say(a, "{'do':'publish','ref':1,'topic':'chat/1','data':'hello','type':'line'}");
    hear(a, "'do':'publish','ref':1,'status':201,'body':{'cursor':'");
    hear(a, "'topic':'chat/1','type':'line','data':'hello'");
    say(a, "{'do':'publish','ref':2,'events':[{'topic':'chat/2','data':{'n':1}},"
           "{'topic':'chat/3','data':'b'}]}");
    hear(a, "'ref':2,'status':201");
    hear(a, "'topic':'chat/2','data':'{\\'n\\':1}'");
    hear(a, "'topic':'chat/3','data':'b'");
    answer_close(a);
}
END_TEST

START_TEST(a_process_that_stops_answers_what_is_being_published)
{
    struct answer *a = conversation_as("?topic=t", KEY);

    loopback_settle();
    say(a, "{'do':'publish','ref':1,'topic':'u','data':'last words'}");
    server_drain(loopback_server());
    ck_assert(loopback_deaf(a));
    hear(a, "'ref':1,'status':201");
    hear(a, "'type':'bellpush-end','reason':'drain'");
    hear(a, "[closed: 1012 drain]");
    answer_close(a);
}
END_TEST

START_TEST(the_same_key_publishes_once)
{
    struct answer *a = conversation_as("?topic=t", KEY);

    say(a, "{'do':'publish','ref':1,'key':'k-1','topic':'t','data':'once'}");
    hear(a, "'ref':1,'status':201");
    say(a, "{'do':'publish','ref':2,'key':'k-1','topic':'t','data':'once'}");
    hear(a, "'ref':2,'status':201");
    hear(a, "'repeated':true");
    stage_publish("t", NULL, "end");
    hear(a, "'data':'end'");
    ck_assert_uint_eq(count_of(a, "\"data\":\"once\""), 1);
    answer_close(a);
}
END_TEST

START_TEST(who_may_not_publish_is_told_as_over_http)
{
    struct answer *a = conversation();

    say(a, "{'do':'publish','ref':1,'topic':'t','data':'x'}");
    hear(a, "'ref':1,'status':401,'body':{");
    hear(a, "Publishing needs a token");
    answer_close(a);
    a = conversation_as("", KEY);
    say(a, "{'do':'publish','ref':1,'topic':'t/#','data':'x'}");
    hear(a, "'ref':1,'status':422");
    say(a, "{'do':'publish','ref':2,'topic':'t','dat':'x'}");
    hear(a, "'ref':2,'status':422");
    hear(a, "unknown member");
    say(a, "{'do':'publish','ref':3,'events':[],'topic':'t'}");
    hear(a, "'ref':3,'status':400");
    say(a, "{'do':'publish','ref':4,'topic':'t','data':'x','key':'a b'}");
    hear(a, "'ref':4,'status':400");
    answer_close(a);
}
END_TEST

/* ---- who ------------------------------------------------------------------------------------- */

START_TEST(a_token_may_come_later_and_another_after_it)
{
    struct answer *a = conversation();
    char text[2000];

    say(a, "{'do':'subscribe','ref':1,'topics':['secret/1']}");
    hear(a, "'ref':1,'status':403");
    snprintf(text, sizeof(text), "{'do':'auth','ref':2,'token':'%s'}",
             stage_token("anna", "secret/#", "secret/1", 3600));
    say(a, text);
    hear(a, "'do':'auth','ref':2,'status':200");
    say(a, "{'do':'subscribe','ref':3,'topics':['secret/1']}");
    hear(a, "'ref':3,'status':200");
    say(a, "{'do':'publish','ref':4,'topic':'secret/1','data':'psst','private':true}");
    hear(a, "'ref':4,'status':201");
    hear(a, "'data':'psst'");
    snprintf(text, sizeof(text), "{'do':'auth','ref':5,'token':'%s'}",
             stage_token("anna", "secret/#", "", 3600));
    say(a, text);
    hear(a, "'ref':5,'status':200,'body':{'topics':['secret/1']");
    stage_publish_private("secret/1", "still");
    hear(a, "'data':'still'");
    say(a, "{'do':'publish','ref':6,'topic':'secret/1','data':'no'}");
    hear(a, "'ref':6,'status':403");
    answer_close(a);
}
END_TEST

START_TEST(a_token_that_is_none_or_covers_less_changes_nothing)
{
    char header[1200], text[2000];

    snprintf(header, sizeof(header), "Authorization: Bearer %s",
             stage_token("anna", "secret/#", "", 3600));
    struct answer *a = conversation_as("?topic=secret/1", header);
    say(a, "{'do':'auth','ref':1,'token':'nonsense'}");
    hear(a, "'ref':1,'status':401");
    say(a, "{'do':'auth','ref':2}");
    hear(a, "'ref':2,'status':400");
    snprintf(text, sizeof(text), "{'do':'auth','ref':3,'token':'%s'}",
             stage_token("bob", "elsewhere", "", 3600));
    say(a, text);
    hear(a, "'ref':3,'status':403");
    stage_publish_private("secret/1", "still hers");
    hear(a, "still hers");
    answer_close(a);
}
END_TEST

/* Tokens have 30 seconds of leeway: of this one there is one second left. */
START_TEST(who_brings_another_token_in_time_goes_on_and_others_are_over)
{
    const char *old = stage_token("anna", "secret/#", "", -29);
    char header[1200], text[2000];
    struct answer *refused = NULL;

    snprintf(header, sizeof(header), "Authorization: Bearer %s", old);
    struct answer *a = conversation_as("?topic=secret/1", header),
                  *b = conversation_as("?topic=secret/1", header);
    hear(a, "'type':'bellpush-auth','reason':'expiring','expires':'20");
    snprintf(text, sizeof(text), "{'do':'auth','ref':1,'token':'%s'}",
             stage_token("anna", "secret/#", "", 3600));
    say(a, text);
    hear(a, "'ref':1,'status':200");
    hear(b, "'type':'bellpush-auth','reason':'expired'");
    hear(b, "[closed: 1008 expired]");
    answer_close(b);
    while (!refused || answer_status(refused) != 401) { /* it is over for everybody */
        if (refused)
            answer_close(refused);
        refused = stage_ask(&(struct ask){ .target = "/poll?topic=secret/1",
                                           .headers = (const char *[]){ header, NULL } });
    }
    answer_close(refused);
    stage_publish_private("secret/1", "still hers");
    hear(a, "still hers");
    never_heard(a, "expired");
    answer_close(a);
}
END_TEST

START_TEST(when_its_rights_are_revoked_it_is_over)
{
    char header[1200];

    snprintf(header, sizeof(header), "Authorization: Bearer %s",
             stage_token("anna", "secret/#", "", 3600));
    struct answer *a = conversation_as("?topic=secret/1", header);
    loopback_settle();
    stage_revoke("anna");
    hear(a, "'type':'bellpush-auth','reason':'revoked'");
    hear(a, "[closed: 1008 revoked]");
    answer_close(a);
}
END_TEST

/* ---- what is no message ---------------------------------------------------------------------- */

START_TEST(what_cannot_be_understood_is_answered_and_harms_nobody)
{
    static const struct {
        const char *message, *answer;
    } bad[] = {
        { "", "'status':400" },
        { "hello", "is not JSON" },
        { "[1]", "is not a JSON object" },
        { "{'do':1,'ref':1}", "'ref':1,'status':400" },
        { "{'do':'dance','ref':2}", "'ref':2,'status':400" },
        { "{'ref':3}", "does not say what to do" },
        { "{'do':'ping','do':'ping'}", "has a member twice" },
        { "{'do':'ping','ref':[]}", "ref must be" },
        { "{'do':'subscribe','ref':4}", "needs topics" },
        { "{'do':'subscribe','ref':5,'topics':[1]}", "'ref':5,'status':400" },
        { "{'do':'subscribe','ref':6,'topics':['a#']}", "'ref':6,'status':400" },
        { "{'do':'subscribe','ref':7,'topics':['a'],'since':7}", "'ref':7,'status':400" },
        { "{'do':'subscribe','ref':8,'topics':['a'],'since':'then'}", "'ref':8,'status':400" },
        { "{'do':'unsubscribe','ref':9}", "'ref':9,'status':400" },
        { "{'do':'ping','ref':'\\u0000'}", "'status':200" },
    };
    struct answer *a = conversation();

    for (size_t i = 0; i < LENGTH(bad); i++) {
        say(a, bad[i].message);
        hear(a, bad[i].answer);
    }
    say(a, "{'do':'ping','ref':'end'}");
    hear(a, "'do':'ping','ref':'end','status':200");
    answer_close(a);
}
END_TEST

START_TEST(sixteen_messages_are_under_way_and_the_next_waits)
{
    struct answer *a = conversation_as("", KEY);

    fake_stall(loopback_source(), true);
    for (int i = 1; i <= 16; i++) {
        ck_assert(!loopback_deaf(a));
        say(a, "{'do':'publish','topic':'a','data':'x'}");
        loopback_settle();
    }
    ck_assert(loopback_deaf(a));
    fake_stall(loopback_source(), false);
    loopback_settle();
    ck_assert(!loopback_deaf(a));
    ck_assert_uint_eq(count_of(a, "\"status\":201"), 16);
    answer_close(a);
}
END_TEST

START_TEST(so_many_changes_wait_and_then_it_is_not_listened_to)
{
    struct answer *a = conversation_as("?topic=a", KEY);
    int said = 0;

    fake_away(loopback_source());
    loopback_settle();
    say(a, "{'do':'subscribe','topics':['b'],'since':'earliest'}"); /* its past must be asked for */
    for (; !loopback_deaf(a) && said < 100; said++)
        say(a, "{'do':'unsubscribe','topics':['b']}");
    ck_assert_int_eq(said, 16);
    fake_back(loopback_source());
    loopback_settle();
    ck_assert(!loopback_deaf(a));
    ck_assert_uint_eq(count_of(a, "\"do\":\"unsubscribe\",\"status\":200"), 16);
    answer_close(a);
}
END_TEST

START_TEST(a_peer_that_does_not_hear_its_answers_is_not_listened_to)
{
    struct answer *a = conversation();
    size_t said = 0;

    loopback_take(a, false);
    while (!loopback_deaf(a) && said < 100000) {
        say(a, "{'do':'ping'}");
        loopback_settle();
        said++;
    }
    ck_assert_uint_lt(said, 100000);
    loopback_take(a, true);
    loopback_settle();
    ck_assert(!loopback_deaf(a));
    answer_close(a);
}
END_TEST

START_TEST(a_message_is_of_no_use_from_outside)
{
    struct answer *a = stage_ask(&(struct ask){ .method = "POST", .target = "/ws/say" });

    ck_assert_int_eq(answer_status(a), 404);
    answer_close(a);
}
END_TEST

/* ---- all at once ----------------------------------------------------------------------------- */

/*
 * Some topics, subscribed and ended at random, mostly from "now", while events come at random:
 * every event of a topic that was subscribed when it was committed comes, once, in order; no other
 * does.
 */
START_TEST(whatever_is_subscribed_comes_once_and_nothing_else)
{
    enum { TOPICS = 5, STEPS = 400 };
    struct answer *a = conversation();
    struct buf expected = BUF_EMPTY;
    bool on[TOPICS] = { false };
    unsigned seed = 20261127u + (unsigned)_i;
    char text[200];

    for (int step = 0; step < STEPS; step++) {
        seed = seed * 1103515245u + 12345u;
        unsigned roll = seed >> 16, topic = roll % TOPICS;
        if (roll / TOPICS % 4 == 0) {
            on[topic] = !on[topic];
            snprintf(text, sizeof(text), "{'do':'%s','topics':['t/%u']}",
                     on[topic] ? "subscribe" : "unsubscribe", topic);
            say(a, text);
            if (roll / TOPICS % 8 == 0)
                continue; /* what follows may meet the change half way: settled before an event */
        } else {
            loopback_settle();
            snprintf(text, sizeof(text), "n%d.", step);
            if (on[topic])
                buf_printf(&expected, "%d ", step);
            snprintf(text + 100, 20, "t/%u", topic);
            stage_publish(text + 100, NULL, text);
            loopback_settle(); /* it is told before what is said next */
        }
        if (roll / 64 % 16 == 0)
            loopback_take(a, false);
        else if (roll / 64 % 16 == 1)
            loopback_take(a, true);
    }
    loopback_take(a, true);
    loopback_settle();
    say(a, "{'do':'ping','ref':'end'}");
    hear(a, "'ref':'end'");
    loopback_settle();

    struct slice all = answer_so_far(a);
    struct buf seen = BUF_EMPTY;
    const char *at = all.at, *end = all.at + all.len;
    while ((at = memmem(at, (size_t)(end - at), "\"data\":\"n", 9))) {
        at += 9;
        buf_printf(&seen, "%d ", atoi(at));
    }
    ck_assert_msg(slice_is(buf_slice(&seen), buf_slice(&expected)), "expected %.*s\nseen %.*s",
                  (int)expected.len, expected.at, (int)seen.len, seen.at);
    buf_fini(&seen);
    buf_fini(&expected);
    answer_close(a);
}
END_TEST

SUITE(talk)
{
    tcase_add_checked_fixture(tc, loopback_setup, loopback_teardown);
    tcase_add_test(tc, topics_are_subscribed_and_heard);
    tcase_add_test(tc, the_address_may_say_the_first_ones);
    tcase_add_test(tc, topics_end);
    tcase_add_test(tc, new_topics_bring_their_past_while_the_others_wait);
    tcase_add_test(tc, changes_wait_for_one_another_and_everything_is_answered);
    tcase_add_test(tc, a_closed_topic_changes_nothing);
    tcase_add_test(tc, a_slow_peer_of_a_long_past_loses_nothing);
    tcase_add_test(tc, what_is_published_is_answered_with_its_cursor);
    tcase_add_test(tc, a_process_that_stops_answers_what_is_being_published);
    tcase_add_test(tc, the_same_key_publishes_once);
    tcase_add_test(tc, who_may_not_publish_is_told_as_over_http);
    tcase_add_test(tc, a_token_may_come_later_and_another_after_it);
    tcase_add_test(tc, a_token_that_is_none_or_covers_less_changes_nothing);
    tcase_add_test(tc, who_brings_another_token_in_time_goes_on_and_others_are_over);
    tcase_add_test(tc, when_its_rights_are_revoked_it_is_over);
    tcase_add_test(tc, what_cannot_be_understood_is_answered_and_harms_nobody);
    tcase_add_test(tc, sixteen_messages_are_under_way_and_the_next_waits);
    tcase_add_test(tc, so_many_changes_wait_and_then_it_is_not_listened_to);
    tcase_add_test(tc, a_peer_that_does_not_hear_its_answers_is_not_listened_to);
    tcase_add_test(tc, a_message_is_of_no_use_from_outside);
    tcase_add_loop_test(tc, whatever_is_subscribed_comes_once_and_nothing_else, 0, 20);
}
