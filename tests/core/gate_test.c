#include "core/conf.h"
#include "core/gate.h"
#include "core/log.h"
#include "tests/page.h"
#include "tests/suite.h"

static struct conf conf;
static const struct log quiet = { .fd = 2, .level = LOG_ERROR };
static struct gate *gate;

static void setup(void)
{
    struct buf errors = BUF_EMPTY;
    ck_assert_int_eq(conf_init(&conf), RC_OK);
    ck_assert_int_eq(conf_set(&conf, "publish_key=open sesame", "test", &errors), RC_OK);
    ck_assert_int_eq(conf_set(&conf, "closed=secret/#, +/private, $SYS/#", "test", &errors), RC_OK);
    buf_fini(&errors);
    gate = gate_new(&conf, &quiet);
    ck_assert_ptr_nonnull(gate);
}

static void teardown(void)
{
    gate_free(gate);
    conf_fini(&conf);
}

static enum credential identify(const char *authorization, bool *has_key)
{
    struct page p = page_of(slice_of(authorization));
    struct who who = { .has_key = true }; /* must be overwritten */
    struct refusal why;
    enum credential c =
        gate_identify(gate, &(struct credentials){ .authorization = p.bytes }, &who, &why);
    ck_assert_int_eq(why.flaw == FLAW_NONE, c != CREDENTIAL_BAD);
    page_fini(&p);
    *has_key = who.has_key;
    return c;
}

START_TEST(only_the_key_itself_opens)
{
    static const struct {
        const char *authorization;
        enum credential credential;
    } cases[] = {
        { "", CREDENTIAL_NONE },
        { " ", CREDENTIAL_NONE },
        { "Basic b3BlbiBzZXNhbWU=", CREDENTIAL_NONE },
        { "open sesame", CREDENTIAL_NONE },
        { "Bearer open sesame", CREDENTIAL_GOOD },
        { "bearer   open sesame  ", CREDENTIAL_GOOD },
        { "Bearer", CREDENTIAL_BAD },
        { "Bearer ", CREDENTIAL_BAD },
        { "Bearer open sesam", CREDENTIAL_BAD },
        { "Bearer open sesame2", CREDENTIAL_BAD },
        { "Bearer Open sesame", CREDENTIAL_BAD },
        { "Bearer o", CREDENTIAL_BAD },
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        bool has_key;
        ck_assert_msg(identify(cases[i].authorization, &has_key) == cases[i].credential, "%s",
                      cases[i].authorization);
        ck_assert_int_eq(has_key, cases[i].credential == CREDENTIAL_GOOD);
    }
    struct who who;
    ck_assert_int_eq(
        gate_identify(gate, &(struct credentials){ .authorization = SLICE_NONE }, &who, NULL),
        CREDENTIAL_NONE);
    struct credentials longer = { .authorization = SLICE("Bearer open sesame\0") };
    ck_assert_int_eq(gate_identify(gate, &longer, &who, NULL), CREDENTIAL_BAD);
}
END_TEST

START_TEST(without_a_configured_key_nobody_publishes)
{
    struct buf errors = BUF_EMPTY;
    bool has_key;
    ck_assert_int_eq(conf_set(&conf, "publish_key=", "test", &errors), RC_OK);
    ck_assert_int_eq(identify("Bearer ", &has_key), CREDENTIAL_BAD);
    ck_assert_int_eq(identify("Bearer x", &has_key), CREDENTIAL_BAD);
    struct who forged = { .has_key = true };
    ck_assert_int_eq(gate_may(gate, &forged, VERB_PUBLISH, SLICE("a")), RC_DENIED);
    buf_fini(&errors);
}
END_TEST

START_TEST(publishing_needs_the_key_and_an_ordinary_topic)
{
    struct who holder = { .has_key = true }, stranger = { .has_key = false };
    ck_assert_int_eq(gate_may(gate, &holder, VERB_PUBLISH, SLICE("a/b")), RC_OK);
    ck_assert_int_eq(gate_may(gate, &holder, VERB_PUBLISH, SLICE("secret/x")), RC_OK);
    ck_assert_int_eq(gate_may(gate, &holder, VERB_PUBLISH, SLICE("$SYS/x")), RC_DENIED);
    ck_assert_int_eq(gate_may(gate, &stranger, VERB_PUBLISH, SLICE("a/b")), RC_DENIED);
}
END_TEST

START_TEST(a_closed_filter_closes_what_it_covers_whole)
{
    static const struct {
        const char *filter;
        enum rc rc;
    } cases[] = {
        { "secret", RC_DENIED },    { "secret/a", RC_DENIED },  { "secret/+/b", RC_DENIED },
        { "secret/#", RC_DENIED },  { "a/private", RC_DENIED }, { "+/private", RC_DENIED },
        { "$SYS/load", RC_DENIED }, { "a/b", RC_OK },           { "#", RC_OK },
        { "secrets", RC_OK },       { "+/+", RC_OK },           { "a/private/b", RC_OK },
        { "+/a", RC_OK },
    };
    struct who anybody = { .has_key = false };
    for (size_t i = 0; i < LENGTH(cases); i++)
        ck_assert_msg(gate_may(gate, &anybody, VERB_SUBSCRIBE, slice_of(cases[i].filter)) ==
                          cases[i].rc,
                      "%s", cases[i].filter);
    /* The key is for publishing: it opens no ears. */
    struct who holder = { .has_key = true };
    ck_assert_int_eq(gate_may(gate, &holder, VERB_SUBSCRIBE, SLICE("secret/a")), RC_DENIED);
}
END_TEST

static bool may_hear(const char *topic, unsigned flags)
{
    struct who anybody = { .has_key = false };
    struct event *e = event_new(
        &(struct event_fields){ .epoch = "e", .seq = 1, .topic = slice_of(topic), .flags = flags });
    bool may = gate_may_hear(gate, &anybody, e);
    event_unref(e);
    return may;
}

START_TEST(closed_and_private_events_are_not_heard_through_wider_filters)
{
    ck_assert(may_hear("a/b", 0));
    ck_assert(may_hear("a/b", EVENT_RETAINED | EVENT_NOTIFIED));
    ck_assert(!may_hear("a/b", EVENT_PRIVATE));
    ck_assert(!may_hear("secret", 0));
    ck_assert(!may_hear("secret/x/y", 0));
    ck_assert(!may_hear("a/private", 0));
    ck_assert(!may_hear("$SYS/x", 0));
}
END_TEST

START_TEST(a_filter_is_in_doubt_when_some_of_its_topics_are_closed)
{
    static const struct {
        const char *filter;
        bool doubts;
    } cases[] = {
        { "#", true },           { "+/private", true },    { "+/+", true },
        { "a/+", true },         { "secret/a", true },     { "secret", true },
        { "a/b", false },        { "secrets/a/#", false }, { "+/a", true },
        { "b/a/#", false },      { "$SYS/+", true },       { "$other/#", false },
        { "$x/private", false },
    };
    struct who anybody = { .has_key = false };
    for (size_t i = 0; i < LENGTH(cases); i++)
        ck_assert_msg(gate_doubts(gate, &anybody, slice_of(cases[i].filter)) == cases[i].doubts,
                      "%s", cases[i].filter);
}
END_TEST

/* Who is on a topic is heard by whoever may hear the topic, no matter how it is asked for. */
START_TEST(presence_is_heard_with_the_topic)
{
    static const struct {
        const char *filter;
        enum rc rc;
        bool doubts, with_right; /* doubts: without a right */
    } cases[] = {
        { "$presence/secret/a", RC_DENIED, true, true },
        { "$presence/secret/+/x", RC_DENIED, true, false },
        { "$presence/secret/#", RC_DENIED, true, false },
        { "$presence/a/private", RC_DENIED, true, false },
        { "$presence/+/private", RC_DENIED, true, false },
        { "$presence/a/b", RC_OK, false, true },
        { "$presence/#", RC_OK, true, true },
        { "$presence/+/+", RC_OK, true, true },
        { "$presence/secret", RC_DENIED, true, false },
        { "$presence/", RC_OK, false, true },
        { "$presence", RC_OK, false, true },
    };
    const struct rights_fields fields = { .filters[VERB_SUBSCRIBE] = { &SLICE("secret/a"), 1 } };
    struct who anybody = { .has_key = false }, ann = anybody;
    const char *why;

    ck_assert_int_eq(rights_new(&fields, &ann.rights, &why), RC_OK);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct slice filter = slice_of(cases[i].filter);
        ck_assert_msg(gate_may(gate, &anybody, VERB_SUBSCRIBE, filter) == cases[i].rc, "%s",
                      filter.at);
        ck_assert_msg(gate_doubts(gate, &anybody, filter) == cases[i].doubts, "%s", filter.at);
        ck_assert_msg((gate_may(gate, &ann, VERB_SUBSCRIBE, filter) == RC_OK) ==
                          cases[i].with_right,
                      "%s", filter.at);
    }
    ck_assert(!gate_doubts(gate, &ann, SLICE("$presence/secret/a")));
    ck_assert(may_hear("$presence/a/b", 0));
    ck_assert(!may_hear("$presence/a/b", EVENT_PRIVATE));
    ck_assert(!may_hear("$presence/secret/a", 0));
    ck_assert(!may_hear("$presence/a/private", 0));
    struct event *e = event_new(&(struct event_fields){
        .epoch = "e", .seq = 1, .topic = SLICE("$presence/secret/a"), .flags = EVENT_PRIVATE });
    ck_assert(gate_may_hear(gate, &ann, e));
    event_unref(e);
    /* A right that names `$presence` is none to it: the topic is what counts. */
    who_unref(&ann);
    const struct rights_fields named = { .filters[VERB_SUBSCRIBE] = { &SLICE("$presence/#"), 1 } };
    ck_assert_int_eq(rights_new(&named, &ann.rights, &why), RC_OK);
    ck_assert_int_eq(gate_may(gate, &ann, VERB_SUBSCRIBE, SLICE("$presence/secret/a")), RC_DENIED);
    who_unref(&ann);
    /* And nobody publishes there, whatever he has. */
    struct who holder = { .has_key = true };
    ck_assert_int_eq(gate_may(gate, &holder, VERB_PUBLISH, SLICE("$presence/a")), RC_DENIED);
    const struct rights_fields all = { .filters[VERB_PUBLISH] = { &SLICE("#"), 1 } };
    ck_assert_int_eq(rights_new(&all, &ann.rights, &why), RC_OK);
    ck_assert_int_eq(gate_may(gate, &ann, VERB_PUBLISH, SLICE("a")), RC_OK);
    ck_assert_int_eq(gate_may(gate, &ann, VERB_PUBLISH, SLICE("$presence/a")), RC_DENIED);
    who_unref(&ann);
}
END_TEST

SUITE(gate)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, only_the_key_itself_opens);
    tcase_add_test(tc, without_a_configured_key_nobody_publishes);
    tcase_add_test(tc, publishing_needs_the_key_and_an_ordinary_topic);
    tcase_add_test(tc, a_closed_filter_closes_what_it_covers_whole);
    tcase_add_test(tc, closed_and_private_events_are_not_heard_through_wider_filters);
    tcase_add_test(tc, a_filter_is_in_doubt_when_some_of_its_topics_are_closed);
    tcase_add_test(tc, presence_is_heard_with_the_topic);
}
