/*
 * ws_peers_test.c - the libraries of others as an oracle: clients of theirs speak to our echo, and
 * our test client to a server of theirs.  What both sides of ours misread alike would show here.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/peers/process.h"
#include "tests/sidecar/ws_site.h"

enum { PEER_MS = 120000 };

static const char *script(const char *name)
{
    static char *path;
    const char *top = getenv("BELLPUSH_TEST_TOP");

    ck_assert_msg(top, "set BELLPUSH_TEST_TOP");
    free(path);
    path = text_of("%s/tests/sidecar/%s", top, name);
    return path;
}

static void run(const char *const *argv)
{
    char *folder = temp_folder("peer"), *log = text_of("%s/log", folder);
    /* Where Debian keeps modules, for a node that is not Debian's. */
    const char *const env[] = { "NODE_PATH=/usr/share/nodejs", NULL };
    int status =
        process_run(&(struct process_spec){ .argv = argv, .env = env, .log = log }, PEER_MS);
    char *said = file_read(log);

    ck_assert_msg(status == 0, "%s ended with %d: %s", argv[1], status, said ? said : "");
    free(said);
    free(log);
    free(folder);
}

/* In the clear, and through TLS. */
static void run_both(const char *program, const char *peer, const char *word)
{
    char *clear = text_of("ws://127.0.0.1:%d/push/ws/echo", ws_site_port());
    char *secret = text_of("wss://localhost:%d/push/ws/echo", ws_site_tls_port());
    const char *const urls[] = { clear, secret };

    for (size_t i = 0; i < LENGTH(urls); i++) {
        const char *argv[6] = { program, script(peer) };
        size_t n = 2;
        if (word)
            argv[n++] = word;
        argv[n++] = urls[i];
        argv[n++] = ws_site_certificate();
        run(argv);
    }
    free(clear);
    free(secret);
}

START_TEST(websockets_for_python_gets_along_with_us)
{
    run_both("/usr/bin/python3", "ws_peer.py", "client");
}
END_TEST

START_TEST(ws_for_node_gets_along_with_us)
{
    run_both("/usr/bin/node", "ws_peer.js", NULL);
}
END_TEST

/* ---- the other way round --------------------------------------------------------------------- */

struct other {
    char *log;
    int port;
};

static bool says_port(void *arg)
{
    struct other *o = arg;
    char *said = file_read(o->log);

    if (said && strchr(said, '\n'))
        sscanf(said, "listening on %d", &o->port);
    free(said);
    return o->port > 0;
}

START_TEST(our_test_client_gets_along_with_a_server_of_others)
{
    char *folder = temp_folder("peer");
    struct other o = { .log = text_of("%s/log", folder) };
    struct buf much = BUF_EMPTY;
    struct ws_message m;
    pid_t pid = process_start(&(struct process_spec){
        .argv = (const char *const[]){ "/usr/bin/python3", script("ws_peer.py"), "server", NULL },
        .log = o.log });

    ck_assert(wait_until(says_port, &o, WS_DEADLINE_MS));
    for (unsigned k = 0; k < 70000; k++)
        buf_putc(&much, (char)('a' + k * k % 19));
    static const char *const offers[] = { NULL, "permessage-deflate; client_max_window_bits",
                                          "permessage-deflate; server_max_window_bits=9" };
    for (size_t i = 0; i < LENGTH(offers); i++) {
        struct ws_client *c = ws_client_open(
            &(struct ws_client_ask){ .port = o.port, .target = "/", .extensions = offers[i] },
            WS_DEADLINE_MS);
        ck_assert_int_eq(ws_client_deflates(c), offers[i] != NULL);
        ws_client_say(c, FRAME_TEXT,
                      SLICE("Stra\xC3\x9F"
                            "e"));
        ws_must_hear(c, FRAME_TEXT,
                     SLICE("Stra\xC3\x9F"
                           "e"));
        ws_client_say_packed(c, FRAME_BINARY, buf_slice(&much));
        ck_assert(ws_client_hear(c, &m, WS_DEADLINE_MS));
        ck_assert(slice_is(m.data, buf_slice(&much)));
        ck_assert_int_eq(m.packed, offers[i] != NULL);
        ws_client_frame(c, FRAME_TEXT, FRAME_MORE, SLICE("frag"));
        ws_client_frame(c, FRAME_PING, 0, SLICE("hi"));
        ws_must_hear(c, FRAME_PONG, SLICE("hi"));
        ws_client_frame(c, FRAME_CONT, 0, SLICE("ments"));
        ws_must_hear(c, FRAME_TEXT, SLICE("fragments"));
        ws_part(c);
    }
    struct ws_client *rude =
        ws_client_open(&(struct ws_client_ask){ .port = o.port, .target = "/" }, WS_DEADLINE_MS);
    ws_client_frame(rude, FRAME_TEXT, FRAME_BARE, SLICE("no mask"));
    ws_must_close(rude, 1002);
    process_stop(pid, WS_DEADLINE_MS);
    buf_fini(&much);
    free(o.log);
    free(folder);
}
END_TEST

SUITE(ws_peers)
{
    tcase_set_timeout(tc, 180);
    tcase_add_unchecked_fixture(tc, ws_site_start, ws_site_stop);
    tcase_add_test(tc, websockets_for_python_gets_along_with_us);
    tcase_add_test(tc, ws_for_node_gets_along_with_us);
    tcase_add_test(tc, our_test_client_gets_along_with_a_server_of_others);
}
