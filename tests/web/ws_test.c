/*
 * ws_test.c - WebSockets through a web server: /push/ws is bellpushd's, everything else under /push
 * the worker's, which all other tests of these suites go to.  And the same without a web server.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/peers/ws_client.h"
#include "tests/web/web.h"

enum {
    LARGE = 600 * 1024,
    CROWD = 200,
    SOON_MS = 10000, /* sooner than any ping or heartbeat (ws_ping is 30 s) */
    GOING_AWAY = 1001,
};

/* ---- asking and hearing ---------------------------------------------------------------------- */

static struct ws_client *open_with(const char *target, const struct ws_client_ask *more)
{
    char *path = text_of("/push%s", target);
    struct ws_client_ask ask = *more;

    ask.port = front_port(web.front);
    ask.target = path;
    struct ws_client *c = ws_client_open(&ask, WEB_PATIENCE_MS);
    free(path);
    return c;
}

static struct ws_client *open_at(const char *target)
{
    return open_with(target, &(struct ws_client_ask){ 0 });
}

/* A plain stream of one topic.  Fresh topics have no past, so nothing is missed from here on. */
static struct ws_client *listen_to(const char *topic)
{
    char *target = text_of("/ws?topic=%s&since=earliest", topic);
    struct ws_client *c = open_at(target);
    free(target);
    return c;
}

static _Noreturn void disappointed(struct ws_client *c, const char *wanted)
{
    const char *wrong = ws_client_wrong(c);

    front_show_logs(web.front);
    ck_abort_msg("%s: waited for %s; %s; close %u \"%s\"", web.way->traits.name, wanted,
                 wrong               ? wrong
                 : ws_client_over(c) ? "it is over"
                                     : "nothing more came",
                 ws_client_code(c), ws_client_reason(c));
    abort();
}

static struct ws_message hear(struct ws_client *c, const char *wanted)
{
    struct ws_message m;

    if (!ws_client_hear(c, &m, WEB_PATIENCE_MS))
        disappointed(c, wanted);
    return m;
}

/* The next object; caller decrefs. */
static json_t *hear_object(struct ws_client *c, const char *wanted)
{
    struct ws_message m = hear(c, wanted);
    json_t *object = json_loadb(m.data.at, m.data.len, 0, NULL);

    ck_assert_uint_eq(m.opcode, FRAME_TEXT);
    ck_assert_msg(object != NULL, "not JSON: %.*s", (int)m.data.len, m.data.at);
    return object;
}

static bool has(const json_t *object, const char *name, const char *value)
{
    const char *is = json_string_value(json_object_get(object, name));
    return is && strcmp(is, value) == 0;
}

/* The next object that is not about the place in the log has this string there. */
static void expect_object(struct ws_client *c, const char *name, const char *value)
{
    json_t *object = hear_object(c, value);

    while (has(object, "type", "bellpush-heartbeat")) {
        json_decref(object);
        object = hear_object(c, value);
    }
    char *text = json_dumps(object, JSON_COMPACT);
    ck_assert_msg(has(object, name, value), "%s: %s should be %s: %s", web.way->traits.name, name,
                  value, text);
    free(text);
    json_decref(object);
}

static void expect_hello(struct ws_client *c)
{
    expect_object(c, "type", "bellpush-hello");
}

static void expect_event(struct ws_client *c, const char *data)
{
    expect_object(c, "data", data);
}

static void expect_close(struct ws_client *c, unsigned code)
{
    if (!ws_client_gone(c, WEB_PATIENCE_MS))
        disappointed(c, "its end");
    ck_assert_msg(ws_client_code(c) == code, "%s: closed with %u \"%s\" instead of %u",
                  web.way->traits.name, ws_client_code(c), ws_client_reason(c), code);
    ck_assert_ptr_null(ws_client_wrong(c));
    ws_client_free(c);
}

/* ---- messages -------------------------------------------------------------------------------- */

static char *some_text(size_t len)
{
    char *text = malloc(len);

    if (!text)
        abort();
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + (i * i / 7 + i / 1024) % 26);
    return text;
}

static void expect_echo(struct ws_client *c, unsigned opcode, struct slice said)
{
    struct ws_message m = hear(c, "the echo");

    ck_assert_uint_eq(m.opcode, opcode);
    ck_assert_uint_eq(m.data.len, said.len);
    ck_assert(slice_is(m.data, said));
}

START_TEST(messages_of_every_size_and_shape_pass_unchanged)
{
    struct ws_client *c = open_at("/ws/echo");
    char *large = some_text(LARGE);

    ws_client_say(c, FRAME_TEXT, SLICE("hello"));
    expect_echo(c, FRAME_TEXT, SLICE("hello"));
    ws_client_say(c, FRAME_BINARY, (struct slice){ large, LARGE });
    expect_echo(c, FRAME_BINARY, (struct slice){ large, LARGE });

    ws_client_frame(c, FRAME_TEXT, FRAME_MORE, SLICE("in "));
    ws_client_frame(c, FRAME_PING, 0, SLICE("between"));
    ws_client_frame(c, FRAME_CONT, FRAME_MORE, SLICE("three "));
    ws_client_frame(c, FRAME_CONT, 0, SLICE("pieces"));
    expect_echo(c, FRAME_PONG, SLICE("between"));
    expect_echo(c, FRAME_TEXT, SLICE("in three pieces"));

    ws_client_close(c, 1000, "bye");
    free(large);
    expect_close(c, 1000);
}
END_TEST

START_TEST(compression_is_agreed_on_end_to_end)
{
    struct ws_client *c =
        open_with("/ws/echo", &(struct ws_client_ask){ .extensions = "permessage-deflate" });
    char *large = some_text(LARGE);
    struct slice said = { large, LARGE };

    ck_assert(ws_client_deflates(c));
    ws_client_say_packed(c, FRAME_TEXT, said);
    struct ws_message m = hear(c, "the echo");
    ck_assert(m.packed);
    ck_assert(slice_is(m.data, said));
    free(large);
    ws_client_free(c);
}
END_TEST

/* ---- events ---------------------------------------------------------------------------------- */

START_TEST(a_plain_websocket_hears_what_sql_commits)
{
    const char *topic = stage_topic("plain");
    struct ws_client *c = listen_to(topic);

    expect_hello(c);
    stage_publish(topic, NULL, "tea");
    expect_event(c, "tea");
    ws_client_free(c);
}
END_TEST

/* What it publishes is heard through the worker, and what the worker publishes by it. */
START_TEST(a_conversation_publishes_and_hears)
{
    static const char *const headers[] = { "Authorization: Bearer " STAGE_KEY, NULL };
    const char *topic = stage_topic("talk");
    struct ws_client *c = open_with(
        "/ws", &(struct ws_client_ask){ .headers = headers, .protocols = "bellpush.v1.json" });
    char *subscribe = text_of("{\"do\":\"subscribe\",\"topics\":[\"%s\"]}", topic);
    char *publish = text_of("{\"do\":\"publish\",\"topic\":\"%s\",\"data\":\"from here\"}", topic);
    char *stream = text_of("/events?topic=%s&since=earliest", topic);
    char *post = text_of("/publish?topic=%s", topic);

    ck_assert_str_eq(ws_client_header(c, "Sec-WebSocket-Protocol"), "bellpush.v1.json");
    expect_hello(c);
    ws_client_say(c, FRAME_TEXT, slice_of(subscribe));
    expect_object(c, "do", "subscribe");

    struct answer *reader = stage_get(stream);
    ck_assert_int_eq(answer_status(reader), 200);
    ws_client_say(c, FRAME_TEXT, slice_of(publish));
    answer_expect(reader, "from here");
    for (bool event = false, answer = false; !event || !answer;) { /* in either order */
        json_t *one = hear_object(c, "the event and the answer");
        event = event || has(one, "data", "from here");
        answer = answer || has(one, "do", "publish");
        json_decref(one);
    }

    struct answer *a = stage_ask(&(struct ask){
        .method = "POST", .target = post, .headers = headers, .body = SLICE("from there") });
    ck_assert_int_eq(answer_status(a), 201);
    expect_event(c, "from there");
    answer_close(a);
    answer_close(reader);
    ws_client_free(c);
    free(subscribe);
    free(publish);
    free(stream);
    free(post);
}
END_TEST

START_TEST(two_hundred_websockets_hear_each_event_once)
{
    const char *topic = stage_topic("many");
    struct ws_client *all[CROWD];

    for (size_t i = 0; i < CROWD; i++)
        all[i] = listen_to(topic);
    for (size_t i = 0; i < CROWD; i++)
        expect_hello(all[i]);
    for (int n = 1; n <= 3; n++) {
        char data[16];
        snprintf(data, sizeof data, "%d", n);
        web_publish_numbers(topic, n, n);
        for (size_t i = 0; i < CROWD; i++)
            expect_event(all[i], data);
    }
    for (size_t i = 0; i < CROWD; i++)
        ws_client_free(all[i]);
}
END_TEST

/* ---- who may, and who is it -------------------------------------------------------------------
 */

/* What a browser is answered that asks on behalf of a page of this origin. */
static int status_for(const char *origin, const char *target)
{
    char *path = text_of("/push%s", target), *line = text_of("Origin: %s", origin);
    const char *const headers[] = { line, NULL };
    struct ws_client *c = ws_client_new(&(struct ws_client_ask){
        .port = front_port(web.front), .target = path, .headers = headers });

    ck_assert(ws_client_answered(c, WEB_PATIENCE_MS));
    int status = ws_client_status(c);
    ws_client_free(c);
    free(line);
    free(path);
    return status;
}

/* The same, where it is refused: status and reason are in the body. */
static void expect_refusal(const char *origin, const char *target, int status, const char *why)
{
    char *line = text_of("Origin: %s", origin);
    const char *const headers[] = { "Connection: keep-alive, Upgrade",
                                    "Upgrade: websocket",
                                    "Sec-WebSocket-Version: 13",
                                    "Sec-WebSocket-Key: " WS_CLIENT_KEY,
                                    line,
                                    NULL };
    struct answer *a = stage_ask(&(struct ask){ .target = target, .headers = headers });

    ck_assert_int_eq(answer_status(a), status);
    const char *type = answer_header(a, "Content-Type");
    ck_assert_str_eq(type ? type : "none", "application/problem+json");
    struct slice body = answer_body(a);
    json_t *problem = json_loadb(body.at, body.len, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    ck_assert_int_eq(json_integer_value(json_object_get(problem, "status")), status);
    ck_assert_msg(detail && strstr(detail, why), "%.*s", (int)body.len, body.at);
    json_decref(problem);
    answer_close(a);
    free(line);
}

/* The host comes through as the browser said it, or our own pages would be foreign ones. */
START_TEST(pages_of_other_sites_are_refused_and_ours_are_not)
{
    char *here = text_of("http://127.0.0.1:%d", front_port(web.front));

    ck_assert_int_eq(status_for(here, "/ws?topic=a"), 101);
    ck_assert_int_eq(status_for("https://app.example", "/ws?topic=a"), 101);
    expect_refusal("http://127.0.0.1", "/ws?topic=a", 403, "cors_origins"); /* another port */
    expect_refusal("https://evil.example", "/ws/echo", 403, "cors_origins");
    free(here);
}
END_TEST

static bool may_from_here(void *unused)
{
    static const char *const headers[] = { "Cookie: PHPSESSID=addressed",
                                           "X-Forwarded-For: 203.0.113.9", NULL };
    struct ws_client *c = ws_client_new(&(struct ws_client_ask){
        .port = front_port(web.front), .target = "/push/ws?topic=secret/a", .headers = headers });
    (void)unused;
    ck_assert(ws_client_answered(c, WEB_PATIENCE_MS));
    int status = ws_client_status(c);
    ws_client_free(c);
    return status == 101;
}

/* The web server's word on the address is believed (trusted_proxies = unix), the client's is not:
   authorize() allows a closed topic to this address only, and is told it. */
START_TEST(the_sidecar_knows_who_asks)
{
    PQclear(web_query(
        "CREATE OR REPLACE FUNCTION bellpush.authorize(who jsonb, verb text, topic text) RETURNS "
        "boolean LANGUAGE sql STABLE AS $$ SELECT who->>'address' = '127.0.0.1' AND "
        "who->'cookies'->>'PHPSESSID' = 'addressed' $$",
        0, NULL));
    PQclear(web_query("SELECT bellpush.ask_again()", 0, NULL));
    bool may = wait_until(may_from_here, NULL, SOON_MS); /* it hears of authorize() soon */
    PQclear(web_query("DROP FUNCTION bellpush.authorize", 0, NULL));
    PQclear(web_query("SELECT bellpush.ask_again()", 0, NULL));
    ck_assert(may);
}
END_TEST

/* ---- endings --------------------------------------------------------------------------------- */

static int sidecar_open(void)
{
    if (web.way->by_itself)
        return (int)web_held();
    const struct http_ask ask = { .port = front_sidecar_port(web.front), .target = "/push/status" };
    struct http *h = http_new(&ask);

    while (!http_ended(h) && http_wait(h, WEB_PATIENCE_MS))
        ;
    json_t *status = json_loadb(http_body(h).at, http_body(h).len, 0, NULL);
    int open = status ? (int)json_integer_value(json_object_get(status, "open")) : -1;
    json_decref(status);
    http_free(h);
    return open;
}

static bool sidecar_has_open(void *arg)
{
    return sidecar_open() == *(int *)arg;
}

static void expect_sidecar_open(int n)
{
    ck_assert_msg(wait_until(sidecar_has_open, &n, SOON_MS), "%s: %d should be open, %d are",
                  web.way->traits.name, n, sidecar_open());
}

/* One that is in the middle of a message, and half of that is on its way. */
static struct ws_client *open_and_begin(void)
{
    struct ws_client *c = open_at("/ws/echo");
    char *large = some_text(LARGE);
    struct buf frame = BUF_EMPTY;

    ws_frame_put(&frame, FRAME_TEXT, 0, (struct slice){ large, LARGE });
    ws_client_bytes(c, (struct slice){ frame.at, frame.len / 2 });
    ck_assert(ws_client_flush(c, WEB_PATIENCE_MS));
    buf_fini(&frame);
    free(large);
    return c;
}

START_TEST(who_leaves_is_noticed_at_once)
{
    struct ws_client *all[5];

    all[0] = open_and_begin();
    for (size_t i = 1; i < LENGTH(all); i++)
        all[i] = listen_to("a");
    expect_sidecar_open(LENGTH(all));
    ws_client_free(all[0]);
    expect_sidecar_open(LENGTH(all) - 1);
    ws_client_free(all[1]); /* without a word */
    expect_sidecar_open(LENGTH(all) - 2);
    ws_client_close(all[2], GOING_AWAY, "");
    expect_close(all[2], GOING_AWAY);
    expect_sidecar_open(LENGTH(all) - 3);
    for (size_t i = 3; i < LENGTH(all); i++)
        ws_client_free(all[i]);
    expect_sidecar_open(0);
}
END_TEST

START_TEST(the_code_that_it_is_closed_with_arrives)
{
    struct ws_client *c = open_at("/ws/echo");
    ws_client_say(c, FRAME_TEXT, SLICE("not \xFF UTF-8"));
    expect_close(c, 1007);

    c = open_at("/ws/echo");
    ws_client_frame(c, FRAME_TEXT, FRAME_RSV2, SLICE("a bit too much"));
    expect_close(c, 1002);

    c = open_with("/ws", &(struct ws_client_ask){ .protocols = "bellpush.v1.json" });
    ws_client_say(c, FRAME_BINARY, SLICE("it talks in text"));
    expect_close(c, 1003);
}
END_TEST

START_TEST(who_is_revoked_is_told_and_closed)
{
    const char *topic = stage_topic("revoked");
    char *subject = text_of("subject-of-%s", topic);
    char *target =
        text_of("/ws?topic=%s&access_token=%s", topic, stage_token(subject, topic, "", 3600));
    struct ws_client *c = open_at(target);

    expect_hello(c);
    stage_revoke(subject);
    expect_object(c, "type", "bellpush-auth");
    expect_object(c, "type", "bellpush-end");
    expect_close(c, 1008);
    free(target);
    free(subject);
}
END_TEST

/* ---- without it ------------------------------------------------------------------------------ */

START_TEST(a_worker_says_that_it_carries_no_websockets)
{
    struct web before = web.way->ws ? web_aside(NULL, NULL, NULL) : web;

    expect_refusal("https://app.example", "/ws?topic=a", 501, "bellpushd");
    if (web.way->ws)
        web_back(before);
}
END_TEST

void ws_tests(TCase *tc, const struct web_way *way)
{
    if (!way->by_itself)
        tcase_add_test(tc, a_worker_says_that_it_carries_no_websockets);
    if (!way->ws)
        return;
    tcase_add_test(tc, messages_of_every_size_and_shape_pass_unchanged);
    tcase_add_test(tc, compression_is_agreed_on_end_to_end);
    tcase_add_test(tc, a_plain_websocket_hears_what_sql_commits);
    tcase_add_test(tc, a_conversation_publishes_and_hears);
    if (way->traits.streams >= CROWD)
        tcase_add_test(tc, two_hundred_websockets_hear_each_event_once);
    tcase_add_test(tc, pages_of_other_sites_are_refused_and_ours_are_not);
    tcase_add_test(tc, the_sidecar_knows_who_asks);
    tcase_add_test(tc, who_leaves_is_noticed_at_once);
    tcase_add_test(tc, the_code_that_it_is_closed_with_arrives);
    tcase_add_test(tc, who_is_revoked_is_told_and_closed);
}
