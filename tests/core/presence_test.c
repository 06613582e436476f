/*
 * presence_test.c - who is on a topic: this process's members against a database played by script.
 *
 * The truth at the end of each test is what the log says: whoever reads all `join` and `leave`
 * events knows who is there (check_log).
 */
#include "core/presence.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/server.h"
#include "core/topic.h"
#include "tests/core/memory.h"
#include "tests/fake/fake_source.h"
#include "tests/suite.h"

static uv_loop_t loop;
static struct conf conf;
static struct server server;
static const struct who nobody;

/* ---- the log, as somebody hears it ------------------------------------------------------------
 */

enum { HEARD_MAX = 8000 };

static struct {
    struct subscriber sub;
    size_t joins, leaves, there;
    char names[HEARD_MAX][32]; /* "topic name" of those who are there */
    char last[400];
} ear;

static void hear(const struct event_fields *f)
{
    char who[32], *end;
    size_t i = 0;

    ck_assert(slice_is(f->content_type, SLICE("application/json")));
    ck_assert_uint_eq(f->flags, 0);
    snprintf(ear.last, sizeof(ear.last), "%.*s %.*s %.*s", (int)f->type.len, f->type.at,
             (int)f->topic.len, f->topic.at, (int)f->data.len, f->data.at);
    snprintf(who, sizeof(who), "%.*s %.*s", (int)f->topic.len - 10, f->topic.at + 10,
             (int)f->data.len - 11, f->data.at + 11);
    if ((end = strchr(who, '"')))
        *end = '\0';
    while (i < ear.there && strcmp(ear.names[i], who) != 0)
        i++;
    if (slice_is(f->type, SLICE("join"))) {
        ck_assert_msg(i == ear.there, "%s joins twice", who);
        ck_assert_uint_lt(ear.there, HEARD_MAX);
        snprintf(ear.names[ear.there++], sizeof(who), "%s", who);
        ear.joins++;
    } else {
        ck_assert(slice_is(f->type, SLICE("leave")));
        ck_assert_msg(i < ear.there, "%s leaves and was not there", who);
        memcpy(ear.names[i], ear.names[--ear.there], sizeof(who));
        ear.leaves++;
    }
}

static void on_events(struct subscriber *sub, struct event *const *events, size_t n)
{
    (void)sub;
    for (size_t i = 0; i < n; i++)
        hear(event_fields(events[i]));
}

static bool hears(const char *topic, const char *name)
{
    char who[32];

    snprintf(who, sizeof(who), "%s %s", topic, name);
    for (size_t i = 0; i < ear.there; i++)
        if (strcmp(ear.names[i], who) == 0)
            return true;
    return false;
}

static void turn(int n)
{
    while (n-- > 0)
        uv_run(&loop, UV_RUN_NOWAIT);
}

static void set_up(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(conf_init(&conf), RC_OK);
    ck_assert_int_eq(server_init(&server, &loop, &conf), RC_OK);
    server.log.level = LOG_ERROR;
    server.source = source_new(&server);
    memset(&ear, 0, sizeof(ear));
    ear.sub.deliver = on_events;
    ck_assert_int_eq(hub_subscribe(server.hub, &ear.sub, &SLICE("$presence/#"), 1), RC_OK);
    turn(3);
}

static void tear_down(void)
{
    ck_assert_uint_eq(presence_count(server.presence), 0);
    hub_unsubscribe(server.hub, &ear.sub);
    source_free(server.source, NULL, NULL);
    server_fini(&server);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    conf_fini(&conf);
}

/* ---- members ----------------------------------------------------------------------------------
 */

struct guest {
    struct member member;
    int calls;
    enum rc rc;
    char why[100];
    void (*then)(struct guest *);
};

static struct joiner joiner;

static void on_joined(struct member *m, enum rc rc, const char *why)
{
    struct guest *g = CONTAINER(m, struct guest, member);

    ck_assert_int_eq(m->state, rc == RC_OK ? MEMBER_IN : MEMBER_OUT);
    g->calls++;
    g->rc = rc;
    snprintf(g->why, sizeof(g->why), "%s", why);
    if (g->then)
        g->then(g);
}

static enum rc try_join(struct guest *g, const char *topic, const char *name, const char *data,
                        const char **why)
{
    return presence_join(server.presence, &joiner, &g->member,
                         &(struct joining){ .topic = slice_of(topic),
                                            .name = slice_of(name),
                                            .data = slice_of(data),
                                            .who = &nobody,
                                            .joined = on_joined },
                         why);
}

static void join(struct guest *g, const char *topic, const char *name)
{
    const char *why;

    memset(g, 0, sizeof(*g));
    ck_assert_int_eq(try_join(g, topic, name, NULL, &why), RC_OK);
    ck_assert_int_eq(g->calls, 0); /* never from within */
}

static void leave(struct guest *g)
{
    presence_leave(&g->member);
    ck_assert_int_eq(g->member.state, MEMBER_OUT);
}

static void until_told(void)
{
    for (int i = 0; i < 200 && !presence_is_told(server.presence); i++)
        turn(1);
    ck_assert(presence_is_told(server.presence));
    turn(3);
}

/* ---- one member --------------------------------------------------------------------------------
 */

START_TEST(a_join_and_a_leave_are_events)
{
    struct guest g = { 0 };
    const char *why;

    ck_assert_int_eq(try_join(&g, "chat/7", "ann \"x\"", "{\"n\":1}", &why), RC_OK);
    ck_assert_int_eq(g.member.state, MEMBER_WAITING);
    ck_assert(!presence_is_told(server.presence));
    until_told();
    ck_assert_int_eq(g.calls, 1);
    ck_assert_int_eq(g.rc, RC_OK);
    ck_assert_str_eq(ear.last,
                     "join $presence/chat/7 {\"member\":\"ann \\\"x\\\"\",\"data\":{\"n\":1}}");
    ck_assert(slice_is(member_topic(&g.member), SLICE("chat/7")));
    ck_assert(slice_is(member_name(&g.member), SLICE("ann \"x\"")));
    ck_assert_uint_eq(presence_count(server.presence), 1);
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
    fake_join(server.source, "t", "ann", NULL); /* and through another process */
    until_told();
    ck_assert_int_eq(b.rc, RC_OK);
    leave(&a);
    until_told();
    leave(&b);
    until_told();
    ck_assert_uint_eq(ear.joins, 1);
    ck_assert_uint_eq(ear.leaves, 0);
    fake_leave(server.source, "t", "ann");
    turn(3);
    ck_assert_uint_eq(ear.leaves, 1);
}
END_TEST

START_TEST(who_leaves_before_it_is_told_was_never_there)
{
    struct guest g;

    join(&g, "t", "ann");
    leave(&g);
    ck_assert(presence_is_told(server.presence));
    turn(5);
    ck_assert_uint_eq(fake_statements(server.source), 0);
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
    ck_assert_uint_eq(joiner.members, 0);
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

    ck_assert_int_eq(conf_set(&conf, "closed=shut/#", "test", &errors), RC_OK);
    ck_assert_int_eq(try_join(&g, "shut/1", "ann", NULL, &why), RC_DENIED);
    ck_assert_int_eq(rights_new(&fields, &rights, &why), RC_OK);
    struct who who = { .rights = rights };
    ann.who = &who;
    ck_assert_int_eq(presence_join(server.presence, &joiner, &g.member, &ann, &why), RC_OK);
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
        .topic = SLICE("t"), .name = SLICE("n"), .who = &nobody, .joined = on_joined
    };
    const char *why;

    conf.joins_per_connection = 2;
    conf.max_joined = 3;
    join(&g[0], "t", "a");
    join(&g[1], "t", "b");
    ck_assert_int_eq(try_join(&g[2], "t", "c", NULL, &why), RC_LIMIT);
    ck_assert_int_eq(presence_join(server.presence, &other, &g[2].member, &more, &why), RC_OK);
    ck_assert_int_eq(presence_join(server.presence, &other, &g[3].member, &more, &why), RC_LIMIT);
    leave(&g[0]); /* room again, for both */
    ck_assert_int_eq(presence_join(server.presence, &other, &g[3].member, &more, &why), RC_OK);
    until_told();
    for (int i = 1; i < 4; i++)
        leave(&g[i]);
    conf.max_joined = 0;
    ck_assert_int_eq(presence_join(server.presence, &other, &g[3].member, &more, &why), RC_LIMIT);
    ck_assert_str_eq(why, "nobody may join here");
    until_told();
    ck_assert_uint_eq(ear.there, 0);
}
END_TEST

START_TEST(a_topic_has_so_many_names)
{
    struct guest g[4];

    conf.joined_per_topic = 2;
    join(&g[0], "t", "a");
    join(&g[1], "t", "b");
    join(&g[2], "t", "c");
    join(&g[3], "t", "a"); /* not another name */
    until_told();
    ck_assert_int_eq(g[2].rc, RC_LIMIT);
    ck_assert_int_eq(g[2].calls, 1);
    ck_assert_int_eq(g[3].rc, RC_OK);
    ck_assert_uint_eq(presence_count(server.presence), 3);
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

    conf.joins_per_connection = CROWD;
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
    ck_assert_uint_eq(fake_statements(server.source), 4); /* 10, 1000, 1000, the rest */
    ck_assert_uint_eq(ear.there, CROWD - 1);
    ck_assert(!hears("t", "m3") && hears("t", "m2499"));
    for (int i = 0; i < CROWD; i++)
        leave(&g[i]);
    until_told();
    ck_assert_uint_eq(fake_statements(server.source), 7);
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
    size_t statements = fake_statements(server.source);
    join(&g[2], "t", "c"); /* and from then on it goes together again */
    join(&g[4], "t", "e");
    until_told();
    ck_assert_uint_eq(fake_statements(server.source), statements + 1);
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
    for (int i = 0; i < 50 && fake_statements(server.source) == 0; i++)
        turn(1);
    leave(&g[1]);
    until_told();
    join(&g[2], "t", "c");
    join(&g[3], "t", "d");
    until_told();
    size_t statements = fake_statements(server.source);
    join(&g[4], "t", "e");
    join(&g[5], "t", "f");
    until_told();
    ck_assert_uint_eq(fake_statements(server.source), statements + 1);
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

/* ---- the database is away, or has lost us ------------------------------------------------------
 */

START_TEST(while_the_database_is_away_news_wait)
{
    struct guest a, b, c;

    join(&a, "t", "a");
    until_told();
    fake_away(server.source);
    turn(2);
    leave(&a);
    join(&b, "t", "b");
    join(&c, "t", "c");
    turn(5);
    leave(&c);
    turn(5);
    ck_assert(!presence_is_told(server.presence));
    ck_assert_int_eq(b.calls, 0);
    fake_back(server.source);
    turn(3);
    until_told();
    ck_assert_int_eq(b.rc, RC_OK);
    ck_assert_uint_eq(ear.joins, 2); /* not c: gone before anybody knew */
    ck_assert(hears("t", "b") && ear.there == 1);
    leave(&b);
    until_told();
}
END_TEST

/* The statement waits in the source while the database goes away under it. */
START_TEST(an_answer_that_waits_for_the_database_comes_after_its_return)
{
    struct guest a;

    join(&a, "t", "a");
    turn(1);
    ck_assert_int_eq(a.member.state, MEMBER_TELLING);
    fake_away(server.source);
    turn(3);
    ck_assert_int_eq(a.calls, 0);
    fake_back(server.source);
    until_told();
    ck_assert_int_eq(a.rc, RC_OK);
    leave(&a);
    until_told();
}
END_TEST

START_TEST(after_the_lease_has_ended_everybody_joins_anew)
{
    struct guest g[3], late;

    for (int by_report = 0; by_report < 2; by_report++) {
        join(&g[0], "t", "a");
        join(&g[1], "t", "b");
        join(&g[2], "u", "a");
        until_told();
        fake_lapse(server.source);
        turn(3);
        ck_assert_uint_eq(ear.there, 0);
        if (by_report) {
            fake_report(server.source);
            until_told();
            ck_assert_uint_eq(ear.there, 3);
        }
        leave(&g[1]);
        join(&late, "t", "late");
        until_told();
        ck_assert_uint_eq(ear.there, 3);
        ck_assert(hears("t", "a") && hears("u", "a") && hears("t", "late"));
        ck_assert_int_eq(late.rc, RC_OK);
        ck_assert_int_eq(g[0].calls, 1); /* it is not told a second time */
        fake_report(server.source);      /* all is well: no statement */
        size_t statements = fake_statements(server.source);
        turn(5);
        ck_assert_uint_eq(fake_statements(server.source), statements);
        leave(&g[0]);
        leave(&g[2]);
        leave(&late);
        until_told();
        ck_assert_uint_eq(ear.there, 0);
    }
}
END_TEST

/* Did it take place or not?  Both ways it comes to the same, with no event twice. */
START_TEST(an_answer_that_is_lost_is_found_out)
{
    struct guest a, b, c;

    for (int takes_place = 0; takes_place < 2; takes_place++) {
        join(&a, "t", "a");
        until_told();
        join(&b, "t", "b");
        join(&c, "t", "c");
        leave(&a);
        fake_uncertain(server.source, takes_place);
        turn(3);
        leave(&c);
        ck_assert_int_eq(b.calls, 0);
        for (int64_t until = (int64_t)uv_now(&loop) + 30000;
             !presence_is_told(server.presence) && (int64_t)uv_now(&loop) < until;)
            uv_run(&loop, UV_RUN_ONCE); /* after a moment it is tried again */
        until_told();
        ck_assert_int_eq(b.calls, 1);
        ck_assert_int_eq(b.rc, RC_OK);
        ck_assert_uint_eq(ear.there, 1);
        ck_assert(hears("t", "b"));
        leave(&b);
        until_told();
        ck_assert_uint_eq(ear.there, 0);
    }
}
END_TEST

START_TEST(a_crowd_is_told_anew_in_parts_while_it_goes_on_changing)
{
    struct guest *g = calloc(CROWD, sizeof(*g)), late;
    char name[20];

    conf.joins_per_connection = CROWD + 1;
    for (int i = 0; i < CROWD; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        join(&g[i], "t", name);
    }
    until_told();
    fake_lapse(server.source);
    fake_report(server.source);
    turn(2); /* the first part is on its way, or done */
    leave(&g[1]);
    leave(&g[CROWD - 1]);
    join(&late, "t", "late");
    until_told();
    ck_assert_uint_eq(ear.there, CROWD - 1);
    ck_assert(hears("t", "late") && !hears("t", "m1") && !hears("t", "m2499"));
    for (int i = 0; i < CROWD; i++)
        leave(&g[i]);
    leave(&late);
    until_told();
    ck_assert_uint_eq(ear.there, 0);
    free(g);
}
END_TEST

/* ---- the end ----------------------------------------------------------------------------------
 */

static void on_end(void *arg)
{
    ++*(int *)arg;
}

START_TEST(who_leaves_with_the_process_is_told_before_it_ends)
{
    struct guest a, b;
    int ends = 0;

    presence_end(server.presence, on_end, &ends); /* nobody was here */
    ck_assert_int_eq(ends, 1);
    join(&a, "t", "a");
    until_told();
    join(&b, "t", "b");
    turn(1);
    leave(&a);
    leave(&b);
    presence_end(server.presence, on_end, &ends);
    ck_assert_int_eq(ends, 1);
    for (int i = 0; i < 50 && ends == 1; i++)
        turn(1);
    ck_assert_int_eq(ends, 2);
    turn(3);
    ck_assert_uint_eq(ear.leaves, 2);
    /* While the database is away nobody can be told, and when it is slow not for ever. */
    join(&a, "t", "a");
    until_told();
    leave(&a);
    fake_mute(server.source);
    fake_uncertain(server.source, false);
    presence_end(server.presence, on_end, &ends);
    turn(5); /* it will be tried again after a second, and this answer is lost, too */
    fake_refuse(server.source, true);
    ck_assert_int_eq(ends, 2);
    for (int64_t until = (int64_t)uv_now(&loop) + 30000;
         ends == 2 && (int64_t)uv_now(&loop) < until;)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_int_eq(ends, 3);
    fake_away(server.source);
    presence_end(server.presence, on_end, &ends);
    ck_assert_int_eq(ends, 4);
}
END_TEST

/* ---- memory -----------------------------------------------------------------------------------
 */

START_TEST(without_memory_nobody_joins)
{
    struct guest g = { 0 };
    const char *why;

    MEMORY_SCRIPT(nth)
    {
        enum rc rc = try_join(&g, "a topic of some length", "a name of some length", "123", &why);
        ck_assert_int_eq(rc, memory_failed() ? RC_NOMEM : RC_OK);
        presence_leave(&g.member);
        ck_assert_uint_eq(presence_count(server.presence) + joiner.members, 0);
    }
}
END_TEST

/* There is none to note who has left: then everybody is told anew, without him. */
START_TEST(without_memory_for_who_has_left_he_is_seen_to_be_missing)
{
    struct guest a, b;

    join(&a, "t", "a");
    join(&b, "t", "b");
    until_told();
    memory_fail_at(0);
    leave(&a);
    ck_assert(memory_end());
    until_told();
    ck_assert_uint_eq(ear.leaves, 1);
    ck_assert(hears("t", "b") && ear.there == 1);
    leave(&b);
    until_told();
    ck_assert_uint_eq(ear.joins, 2);
}
END_TEST

START_TEST(without_memory_for_a_statement_it_is_tried_again)
{
    struct guest a;

    join(&a, "t", "a");
    fake_refuse(server.source, true);
    turn(3);
    ck_assert_int_eq(a.member.state, MEMBER_WAITING);
    fake_refuse(server.source, false);
    for (int64_t until = (int64_t)uv_now(&loop) + 30000;
         a.calls == 0 && (int64_t)uv_now(&loop) < until;)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_int_eq(a.rc, RC_OK);
    leave(&a);
    until_told();
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
    fake_join(server.source, "t", "b", "1");
    fake_join(server.source, "t", "a", NULL);
    fake_join(server.source, "t", "a", "2");
    fake_join(server.source, "u", "c", NULL);
    memset(&roll, 0, sizeof(roll));
    ck_assert_ptr_nonnull(source_who(server.source, SLICE("t"), SLICE_NONE, 10, on_roll, NULL));
    ck_assert_int_eq(roll.calls, 0);
    turn(3);
    ck_assert_str_eq(roll.text, "a::2 b:1:1 ");
    ck_assert_int_eq(roll.head, 3);
    ck_assert_int_eq(roll.count, 2);
    ck_assert_ptr_nonnull(source_who(server.source, SLICE("t"), SLICE_NONE, 1, on_roll, NULL));
    turn(3);
    ck_assert_str_eq(roll.text, "a::2 ");
    ck_assert_int_eq(roll.count, 2);
}
END_TEST

SUITE(presence)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
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
    tcase_add_test(tc, while_the_database_is_away_news_wait);
    tcase_add_test(tc, an_answer_that_waits_for_the_database_comes_after_its_return);
    tcase_add_test(tc, after_the_lease_has_ended_everybody_joins_anew);
    tcase_add_test(tc, an_answer_that_is_lost_is_found_out);
    tcase_add_test(tc, a_crowd_is_told_anew_in_parts_while_it_goes_on_changing);
    tcase_add_test(tc, who_leaves_with_the_process_is_told_before_it_ends);
    tcase_add_test(tc, without_memory_nobody_joins);
    tcase_add_test(tc, without_memory_for_who_has_left_he_is_seen_to_be_missing);
    tcase_add_test(tc, without_memory_for_a_statement_it_is_tried_again);
    tcase_add_test(tc, the_roll_says_who_is_there_and_as_of_when);
}
