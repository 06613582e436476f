/*
 * presence_rig.c - this process's members against a database played by script.
 *
 * The truth at the end of each test is what the log says: whoever reads all `join` and `leave`
 * events knows who is there.
 */
#include "tests/core/presence_rig.h"

#include <check.h>
#include <stdio.h>

uv_loop_t rig_loop;
struct conf rig_conf;
struct server rig_server;
const struct who rig_nobody;
struct ear ear;

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

static void on_events(struct subscriber *sub, struct run *run)
{
    (void)sub;
    for (size_t i = 0; i < run->n; i++)
        hear(event_fields(run->events[i]));
}

bool hears(const char *topic, const char *name)
{
    char who[32];

    snprintf(who, sizeof(who), "%s %s", topic, name);
    for (size_t i = 0; i < ear.there; i++)
        if (strcmp(ear.names[i], who) == 0)
            return true;
    return false;
}

void turn(int n)
{
    while (n-- > 0)
        uv_run(&rig_loop, UV_RUN_NOWAIT);
}

void presence_rig_set_up(void)
{
    ck_assert_int_eq(uv_loop_init(&rig_loop), 0);
    ck_assert_int_eq(conf_init(&rig_conf), RC_OK);
    ck_assert_int_eq(server_init(&rig_server, &rig_loop, &rig_conf), RC_OK);
    rig_server.log.level = LOG_ERROR;
    rig_server.source = source_new(&rig_server);
    memset(&ear, 0, sizeof(ear));
    ear.sub.deliver = on_events;
    ck_assert_int_eq(hub_subscribe(rig_server.hub, &ear.sub, &SLICE("$presence/#"), 1), RC_OK);
    turn(3);
}

void presence_rig_tear_down(void)
{
    ck_assert_uint_eq(presence_count(rig_server.presence), 0);
    hub_unsubscribe(rig_server.hub, &ear.sub);
    source_free(rig_server.source, NULL, NULL);
    server_fini(&rig_server);
    uv_run(&rig_loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&rig_loop), 0);
    conf_fini(&rig_conf);
}

struct joiner rig_joiner;

void on_joined(struct member *m, enum rc rc, const char *why)
{
    struct guest *g = CONTAINER(m, struct guest, member);

    ck_assert_int_eq(m->state, rc == RC_OK ? MEMBER_IN : MEMBER_OUT);
    g->calls++;
    g->rc = rc;
    snprintf(g->why, sizeof(g->why), "%s", why);
    if (g->then)
        g->then(g);
}

enum rc try_join(struct guest *g, const char *topic, const char *name, const char *data,
                 const char **why)
{
    return presence_join(rig_server.presence, &rig_joiner, &g->member,
                         &(struct joining){ .topic = slice_of(topic),
                                            .name = slice_of(name),
                                            .data = slice_of(data),
                                            .who = &rig_nobody,
                                            .joined = on_joined },
                         why);
}

void join(struct guest *g, const char *topic, const char *name)
{
    const char *why;

    memset(g, 0, sizeof(*g));
    ck_assert_int_eq(try_join(g, topic, name, NULL, &why), RC_OK);
    ck_assert_int_eq(g->calls, 0); /* never from within */
}

void leave(struct guest *g)
{
    presence_leave(&g->member);
    ck_assert_int_eq(g->member.state, MEMBER_OUT);
}

void until_told(void)
{
    for (int i = 0; i < 200 && !presence_is_told(rig_server.presence); i++)
        turn(1);
    ck_assert(presence_is_told(rig_server.presence));
    turn(3);
}
