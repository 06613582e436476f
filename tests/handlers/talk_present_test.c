/*
 * talk_present_test.c - on which topics a conversation is present, and who else is.
 */
#include <stdio.h>

#include "tests/handlers/conversation.h"
#include "tests/suite.h"

START_TEST(who_joins_is_told_to_the_others_until_it_leaves)
{
    char header[1200];

    snprintf(header, sizeof(header), "Authorization: Bearer %s", stage_token("anna", "", "", 3600));
    struct answer *a = conversation_as("", header),
                  *b = conversation_as("?topic=$presence/room/1", NULL);

    say(a, "{'do':'join','ref':1,'topic':'room/1','data':{'mood':'good'}}");
    hear(a, "'do':'join','ref':1,'status':200,'body':{'topic':'room/1','member':'anna'}}");
    hear(b, "'topic':'$presence/room/1','type':'join'");
    hear(b, "anna");
    say(a, "{'do':'join','ref':2,'topic':'room/1'}");
    hear(a, "'ref':2,'status':409");
    say(b, "{'do':'join','ref':3,'topic':'room/1','name':'anna'}");
    hear(b, "'ref':3,'status':200,'body':{'topic':'room/1','member':'~anna'}}");
    say(a, "{'do':'leave','ref':4,'topic':'room/1'}");
    hear(a, "'do':'leave','ref':4,'status':200");
    hear(b, "'type':'leave'");
    say(a, "{'do':'leave','ref':5,'topic':'room/1'}");
    hear(a, "'ref':5,'status':404");
    answer_close(a);
    answer_close(b);
}
END_TEST

START_TEST(a_long_list_is_asked_for_in_pages)
{
    struct answer *a = conversation();

    fake_join(loopback_source(), "room", "anna", NULL);
    fake_join(loopback_source(), "room", "bert", NULL);
    say(a, "{'do':'who','ref':1,'topic':'room','limit':1}");
    hear(a, "'ref':1,'status':200,'body':{'topic':'room',");
    hear(a, "'sessions':1}],'next':'anna'}");
    say(a, "{'do':'who','ref':2,'topic':'room','limit':1,'after':'anna'}");
    hear(a, "'count':2,'members':[{'member':'bert',");
    hear(a, "'sessions':1}]}}");
    say(a, "{'do':'who','ref':3,'topic':'room','limit':0}");
    hear(a, "'ref':3,'status':400");
    say(a, "{'do':'who','ref':4,'topic':'room','limit':'1'}");
    hear(a, "'ref':4,'status':400");
    say(a, "{'do':'who','ref':5,'topic':'room','after':1}");
    hear(a, "'ref':5,'status':400");
    say(a, "{'do':'who','ref':6,'after':'anna'}");
    hear(a, "'ref':6,'status':400");
    answer_close(a);
}
END_TEST

START_TEST(who_goes_has_left)
{
    struct answer *a = conversation(), *b = conversation_as("?topic=$presence/room", NULL);

    say(a, "{'do':'join','topic':'room'}");
    hear(a, "'status':200");
    hear(b, "'type':'join'");
    answer_close(a);
    hear(b, "'type':'leave'");
    answer_close(b);
}
END_TEST

START_TEST(who_may_not_hear_a_topic_is_not_there)
{
    struct answer *a = conversation();

    say(a, "{'do':'join','ref':1,'topic':'secret/1'}");
    hear(a, "'ref':1,'status':403");
    say(a, "{'do':'join','ref':2,'topic':'a/#'}");
    hear(a, "'ref':2,'status':422");
    say(a, "{'do':'join','ref':3}");
    hear(a, "'ref':3,'status':422");
    say(a, "{'do':'join','ref':4,'topic':'a','name':7}");
    hear(a, "'ref':4,'status':422");
    answer_close(a);
}
END_TEST

static void setup_limits(void)
{
    static const char *const settings[] = { "publishes_per_address=5",
                                            "publish_bytes_per_address=2000", NULL };

    loopback_open(settings);
    loopback_remote("203.0.113.1");
}

/* To come is an event, and so is to go. */
START_TEST(a_join_counts_as_the_two_events_that_it_causes)
{
    struct answer *a = conversation();

    say(a, "{'do':'join','ref':1,'topic':'room/1'}");
    hear(a, "'ref':1,'status':200");
    say(a, "{'do':'join','ref':2,'topic':'room/2'}");
    hear(a, "'ref':2,'status':200");
    say(a, "{'do':'leave','topic':'room/2'}");
    hear(a, "'do':'leave','status':200");
    say(a, "{'do':'join','ref':3,'topic':'room/2'}");
    hear(a, "'ref':3,'status':429,'retry_after':");
    hear(a, "publishes_per_address");
    say(a, "{'do':'join','ref':4,'topic':'room/1'}");
    hear(a, "'ref':4,'status':409"); /* is there already, which costs nothing */
    answer_close(a);
    loopback_remote("203.0.113.2");
    a = conversation();
    say(a, "{'do':'join','ref':5,'topic':'room/3'}");
    hear(a, "'ref':5,'status':200");
    answer_close(a);
}
END_TEST

START_TEST(what_a_member_shows_counts_in_bytes)
{
    struct answer *a = conversation();
    char message[1000];

    snprintf(message, sizeof(message), "{'do':'join','ref':1,'topic':'room/1','data':'%0900d'}", 7);
    say(a, message);
    hear(a, "'ref':1,'status':200");
    memcpy(strstr(message, "'ref':1,'topic':'room/1"), "'ref':2,'topic':'room/2", 23);
    say(a, message);
    hear(a, "'ref':2,'status':429");
    hear(a, "publish_bytes_per_address");
    answer_close(a);
}
END_TEST

SUITE(talk_present)
{
    tcase_add_checked_fixture(tc, loopback_setup, loopback_teardown);
    tcase_add_test(tc, who_joins_is_told_to_the_others_until_it_leaves);
    tcase_add_test(tc, a_long_list_is_asked_for_in_pages);
    tcase_add_test(tc, who_goes_has_left);
    tcase_add_test(tc, who_may_not_hear_a_topic_is_not_there);
}

SUITE(talk_present_limits)
{
    tcase_add_checked_fixture(tc, setup_limits, loopback_teardown);
    tcase_add_test(tc, a_join_counts_as_the_two_events_that_it_causes);
    tcase_add_test(tc, what_a_member_shows_counts_in_bytes);
}
