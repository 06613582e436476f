/*
 * presence_test.c - who is on a topic, and what others are told of it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/core/presence_rig.h"
#include "tests/suite.h"

/* ---- one member --------------------------------------------------------------------------------
 */

START_TEST(a_join_and_a_leave_are_events)
{
    struct guest g = { 0 };
    const char *why;

    ck_assert_int_eq(try_join(&g, "chat/7", "ann \"x\"", "{\"n\":1}", &why), RC_OK);
    ck_assert_int_eq(g.member.state, MEMBER_WAITING);
    ck_assert(!presence_is_told(rig_server.presence));
    until_told();
    ck_assert_int_eq(g.calls, 1);
    ck_assert_int_eq(g.rc, RC_OK);
    ck_assert_str_eq(ear.last,
                     "join $presence/chat/7 {\"member\":\"ann \\\"x\\\"\",\"data\":{\"n\":1}}");
    ck_assert(slice_is(member_topic(&g.member), SLICE("chat/7")));
    ck_assert(slice_is(member_name(&g.member), SLICE("ann \"x\"")));
    ck_assert_uint_eq(presence_count(rig_server.presence), 1);
    leave(&g);
    leave(&g); /* twice: nothing happens */
    until_told();
    ck_assert_str_eq(ear.last,
                     "leave $presence/chat/7 {\"member\":\"ann \\\"x\\\"\",\"data\":{\"n\":1}}");
    ck_assert_int_eq(g.calls, 1);
}
END_TEST

START_TEST(only_the_first_and_the_last_session_are_told)
{
    struct guest a, b;

    join(&a, "t", "ann");
    until_told();
    join(&b, "t", "ann");
    fake_join(rig_server.source, "t", "ann", NULL); /* and through another process */
    until_told();
    ck_assert_int_eq(b.rc, RC_OK);
    leave(&a);
    until_told();
    leave(&b);
    until_told();
    ck_assert_uint_eq(ear.joins, 1);
    ck_assert_uint_eq(ear.leaves, 0);
    fake_leave(rig_server.source, "t", "ann");
    turn(3);
    ck_assert_uint_eq(ear.leaves, 1);
}
END_TEST

START_TEST(who_leaves_before_it_is_told_was_never_there)
{
    struct guest g;

    join(&g, "t", "ann");
    leave(&g);
    ck_assert(presence_is_told(rig_server.presence));
    turn(5);
    ck_assert_uint_eq(fake_statements(rig_server.source), 0);
    join(&g, "t", "ann"); /* and on its way: it comes and goes */
    turn(1);
    ck_assert_int_eq(g.member.state, MEMBER_TELLING);
    leave(&g);
    until_told();
    ck_assert_int_eq(g.calls, 0);
    ck_assert_uint_eq(ear.joins, 1);
    ck_assert_uint_eq(ear.leaves, 1);
}
END_TEST

START_TEST(who_leaves_on_the_way_takes_nobody_along)
{
    struct guest g[4];

    join(&g[0], "t", "a");
    join(&g[1], "t", "b");
    turn(1);
    join(&g[2], "t", "c"); /* waits */
    join(&g[3], "t", "d");
    leave(&g[0]);
    leave(&g[2]);
    until_told();
    ck_assert_int_eq(g[1].calls, 1);
    ck_assert_int_eq(g[3].calls, 1);
    ck_assert(hears("t", "b") && hears("t", "d") && ear.there == 2);
    leave(&g[1]);
    leave(&g[3]);
    until_told();
}
END_TEST

START_TEST(bad_words_are_refused_and_nothing_has_begun)
{
    static const char long_name[] = { [0 ... 255] = 'n', '\0' };
    char topic[1026], data[1100];
    static const struct {
        const char *topic, *name, *data;
        enum rc rc;
    } cases[] = {
        { "", "n", NULL, RC_SYNTAX },      { "a/+", "n", NULL, RC_SYNTAX },
        { "a/#", "n", NULL, RC_SYNTAX },   { "$presence/a", "n", NULL, RC_SYNTAX },
        { "$SYS", "n", NULL, RC_SYNTAX },  { "a", "", NULL, RC_SYNTAX },
        { "a", "n\n", NULL, RC_SYNTAX },   { "a", "\xff", NULL, RC_SYNTAX },
        { "a", "n", "\"\xff", RC_SYNTAX }, { "a", long_name, NULL, RC_SYNTAX },
    };
    struct guest g = { 0 };
    const char *why = NULL;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        ck_assert_int_eq(try_join(&g, cases[i].topic, cases[i].name, cases[i].data, &why),
                         cases[i].rc);
        ck_assert_ptr_nonnull(why);
    }
    memset(topic, 't', sizeof(topic));
    topic[1015] = '\0';
    ck_assert_int_eq(try_join(&g, topic, "n", NULL, &why), RC_SYNTAX);
    topic[1014] = '\0';
    ck_assert_int_eq(try_join(&g, topic, long_name + 1, NULL, &why), RC_OK);
    leave(&g);
    memset(data, '1', sizeof(data));
    data[1025] = '\0';
    ck_assert_int_eq(try_join(&g, "a", "n", data, &why), RC_LIMIT);
    data[1024] = '\0';
    ck_assert_int_eq(try_join(&g, "a", "n", data, &why), RC_OK);
    leave(&g);
    ck_assert_uint_eq(rig_joiner.members, 0);
}
END_TEST

START_TEST(whoever_may_not_hear_a_topic_may_not_join_it)
{
    struct guest g = { 0 };
    struct rights *rights;
    struct joining ann = { .topic = SLICE("shut/1"), .name = SLICE("ann"), .joined = on_joined };
    const struct rights_fields fields = {
        .filters[VERB_SUBSCRIBE] = { &SLICE("shut/1"), 1 },
    };
    struct buf errors = BUF_EMPTY;
    const char *why;

    ck_assert_int_eq(conf_set(&rig_conf, "closed=shut/#", "test", &errors), RC_OK);
    ck_assert_int_eq(try_join(&g, "shut/1", "ann", NULL, &why), RC_DENIED);
    ck_assert_int_eq(rights_new(&fields, &rights, &why), RC_OK);
    struct who who = { .rights = rights };
    ann.who = &who;
    ck_assert_int_eq(presence_join(rig_server.presence, &rig_joiner, &g.member, &ann, &why), RC_OK);
    leave(&g);
    rights_unref(rights);
    buf_fini(&errors);
}
END_TEST

/* ---- many -------------------------------------------------------------------------------------
 */

START_TEST(connections_and_processes_have_so_many_members)
{
    struct guest g[4] = { 0 };
    struct joiner other = { 0 };
    struct joining more = {
        .topic = SLICE("t"), .name = SLICE("n"), .who = &rig_nobody, .joined = on_joined
    };
    const char *why;

    rig_conf.joins_per_connection = 2;
    rig_conf.max_joined = 3;
    join(&g[0], "t", "a");
    join(&g[1], "t", "b");
    ck_assert_int_eq(try_join(&g[2], "t", "c", NULL, &why), RC_LIMIT);
    ck_assert_int_eq(presence_join(rig_server.presence, &other, &g[2].member, &more, &why), RC_OK);
    ck_assert_int_eq(presence_join(rig_server.presence, &other, &g[3].member, &more, &why),
                     RC_LIMIT);
    leave(&g[0]); /* room again, for both */
    ck_assert_int_eq(presence_join(rig_server.presence, &other, &g[3].member, &more, &why), RC_OK);
    until_told();
    for (int i = 1; i < 4; i++)
        leave(&g[i]);
    rig_conf.max_joined = 0;
    ck_assert_int_eq(presence_join(rig_server.presence, &other, &g[3].member, &more, &why),
                     RC_LIMIT);
    ck_assert_str_eq(why, "nobody may join here");
    until_told();
    ck_assert_uint_eq(ear.there, 0);
}
END_TEST

START_TEST(a_topic_has_so_many_names)
{
    struct guest g[4];

    rig_conf.joined_per_topic = 2;
    join(&g[0], "t", "a");
    join(&g[1], "t", "b");
    join(&g[2], "t", "c");
    join(&g[3], "t", "a"); /* not another name */
    until_told();
    ck_assert_int_eq(g[2].rc, RC_LIMIT);
    ck_assert_int_eq(g[2].calls, 1);
    ck_assert_int_eq(g[3].rc, RC_OK);
    ck_assert_uint_eq(presence_count(rig_server.presence), 3);
    leave(&g[0]);
    leave(&g[1]);
    join(&g[2], "t", "c");
    until_told();
    ck_assert_int_eq(g[2].rc, RC_OK);
    leave(&g[2]);
    leave(&g[3]);
    until_told();
    ck_assert_uint_eq(ear.there, 0);
}
END_TEST

enum { CROWD = 2500 };

START_TEST(what_happens_in_a_turn_is_one_statement_and_the_next_waits_for_its_answer)
{
    struct guest *g = calloc(CROWD, sizeof(*g));
    char name[20];

    rig_conf.joins_per_connection = CROWD;
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        join(&g[i], "t", name);
    }
    turn(1);
    for (int i = 10; i < CROWD; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        join(&g[i], "t", name);
    }
    leave(&g[3]);
    until_told();
    ck_assert_uint_eq(fake_statements(rig_server.source), 4); /* 10, 1000, 1000, the rest */
    ck_assert_uint_eq(ear.there, CROWD - 1);
    ck_assert(!hears("t", "m3") && hears("t", "m2499"));
    for (int i = 0; i < CROWD; i++)
        leave(&g[i]);
    until_told();
    ck_assert_uint_eq(fake_statements(rig_server.source), 7);
    ck_assert_uint_eq(ear.there, 0);
    free(g);
}
END_TEST

START_TEST(one_bad_name_spoils_only_itself)
{
    struct guest g[5];

    join(&g[0], "t", "a");
    join(&g[1], "t", "b");
    join(&g[2], "t", "!c");
    join(&g[3], "t", "d");
    until_told();
    join(&g[4], "t", "!e");
    until_told();
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(g[i].calls, 1);
        ck_assert_int_eq(g[i].rc, i == 2 || i == 4 ? RC_SYNTAX : RC_OK);
    }
    ck_assert_str_eq(g[2].why, "a name begins with '!'");
    ck_assert_uint_eq(ear.there, 3);
    size_t statements = fake_statements(rig_server.source);
    join(&g[2], "t", "c"); /* and from then on it goes together again */
    join(&g[4], "t", "e");
    until_told();
    ck_assert_uint_eq(fake_statements(rig_server.source), statements + 1);
    for (int i = 0; i < 5; i++)
        leave(&g[i]);
    until_told();
    ck_assert_uint_eq(ear.there, 0);
}
END_TEST

/* Whoever spoilt the statement has left before it was found out. */
START_TEST(caution_has_an_end)
{
    struct guest g[6];

    join(&g[0], "t", "a");
    join(&g[1], "t", "!b");
    for (int i = 0; i < 50 && fake_statements(rig_server.source) == 0; i++)
        turn(1);
    leave(&g[1]);
    until_told();
    join(&g[2], "t", "c");
    join(&g[3], "t", "d");
    until_told();
    size_t statements = fake_statements(rig_server.source);
    join(&g[4], "t", "e");
    join(&g[5], "t", "f");
    until_told();
    ck_assert_uint_eq(fake_statements(rig_server.source), statements + 1);
    for (int i = 0; i < 6; i++)
        leave(&g[i]);
    until_told();
    ck_assert_uint_eq(ear.there, 0);
}
END_TEST

static struct guest bystander;

static void leave_both(struct guest *g)
{
    leave(g);
    leave(&bystander);
    join(&bystander, "u", "new");
}

START_TEST(who_is_told_may_leave_and_may_make_others_leave)
{
    struct guest a, c;

    join(&a, "t", "a");
    a.then = leave_both;
    join(&bystander, "t", "b");
    join(&c, "t", "c");
    until_told();
    ck_assert_int_eq(c.rc, RC_OK);
    ck_assert_int_eq(bystander.rc, RC_OK); /* as the new one */
    ck_assert(hears("t", "c") && hears("u", "new"));
    ck_assert_uint_eq(ear.there, 2);
    leave(&c);
    leave(&bystander);
    until_told();
    ck_assert_uint_eq(ear.there, 0);
}
END_TEST

/* ---- who is there -----------------------------------------------------------------------------
 */

static struct {
    int calls;
    int64_t head, count;
    char text[200];
} roll;

static void on_roll(void *arg, const struct roll *r)
{
    (void)arg;
    roll.calls++;
    roll.head = r->head;
    roll.count = r->count;
    roll.text[0] = '\0';
    for (size_t i = 0; i < r->n; i++)
        snprintf(roll.text + strlen(roll.text), sizeof(roll.text) - strlen(roll.text),
                 "%.*s:%.*s:%d ", (int)r->members[i].name.len, r->members[i].name.at,
                 (int)r->members[i].data.len, r->members[i].data.at ? r->members[i].data.at : "",
                 (int)r->members[i].sessions);
}

START_TEST(the_roll_says_who_is_there_and_as_of_when)
{
    fake_join(rig_server.source, "t", "b", "1");
    fake_join(rig_server.source, "t", "a", NULL);
    fake_join(rig_server.source, "t", "a", "2");
    fake_join(rig_server.source, "u", "c", NULL);
    memset(&roll, 0, sizeof(roll));
    ck_assert_ptr_nonnull(source_who(rig_server.source, SLICE("t"), SLICE_NONE, 10, on_roll, NULL));
    ck_assert_int_eq(roll.calls, 0);
    turn(3);
    ck_assert_str_eq(roll.text, "a::2 b:1:1 ");
    ck_assert_int_eq(roll.head, 3);
    ck_assert_int_eq(roll.count, 2);
    ck_assert_ptr_nonnull(source_who(rig_server.source, SLICE("t"), SLICE_NONE, 1, on_roll, NULL));
    turn(3);
    ck_assert_str_eq(roll.text, "a::2 ");
    ck_assert_int_eq(roll.count, 2);
}
END_TEST

SUITE(presence)
{
    tcase_add_checked_fixture(tc, presence_rig_set_up, presence_rig_tear_down);
    tcase_add_test(tc, a_join_and_a_leave_are_events);
    tcase_add_test(tc, only_the_first_and_the_last_session_are_told);
    tcase_add_test(tc, who_leaves_before_it_is_told_was_never_there);
    tcase_add_test(tc, who_leaves_on_the_way_takes_nobody_along);
    tcase_add_test(tc, bad_words_are_refused_and_nothing_has_begun);
    tcase_add_test(tc, whoever_may_not_hear_a_topic_may_not_join_it);
    tcase_add_test(tc, connections_and_processes_have_so_many_members);
    tcase_add_test(tc, a_topic_has_so_many_names);
    tcase_add_test(tc, what_happens_in_a_turn_is_one_statement_and_the_next_waits_for_its_answer);
    tcase_add_test(tc, one_bad_name_spoils_only_itself);
    tcase_add_test(tc, caution_has_an_end);
    tcase_add_test(tc, who_is_told_may_leave_and_may_make_others_leave);
    tcase_add_test(tc, the_roll_says_who_is_there_and_as_of_when);
}
