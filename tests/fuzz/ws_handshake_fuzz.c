/*
 * ws_handshake_fuzz.c - header values, a line each: Upgrade, Connection, Key, Version, Extensions.
 * What is agreed on lies within what was offered, and says so in its own grammar.
 */
#include "sidecar/ws_deflate.h"
#include "sidecar/ws_handshake.h"
#include "tests/fuzz/fuzz.h"

enum { HEADERS = 5 };

static void check_terms(struct slice extensions, struct ws_policy policy)
{
    const struct ws_policy any = { WS_WINDOW_MAX, WS_WINDOW_MAX };
    struct ws_terms terms, again;
    struct buf answer = BUF_EMPTY;

    enum rc rc = ws_handshake_deflate(extensions, &policy, &terms);
    must(rc == RC_OK || (rc == RC_SYNTAX && !terms.deflate));
    if (!terms.deflate)
        return;
    must(terms.server_bits >= WS_WINDOW_MIN && terms.server_bits <= policy.server_bits);
    must(terms.client_bits >= WS_WINDOW_MIN && terms.client_bits <= WS_WINDOW_MAX);
    must(terms.server_bits == WS_WINDOW_MAX || terms.say_server_bits);
    must(terms.client_bits == WS_WINDOW_MAX || terms.say_client_bits);
    ws_handshake_put_deflate(&answer, &terms);
    must(ws_handshake_deflate(buf_slice(&answer), &any, &again) == RC_OK && again.deflate);
    must(again.server_bits == terms.server_bits && again.client_bits == terms.client_bits);
    buf_fini(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = { (const char *)data, size }, line, copy[HEADERS] = { { 0 } };
    char accept[WS_ACCEPT_LEN + 1];
    struct ws_refusal refusal = { 0 };

    for (size_t i = 0; i < HEADERS && line_next(&rest, &line); i++)
        copy[i] = exact_copy(line.at, line.len);
    const struct ws_asked a = { .method = SLICE("GET"),
                                .http_1_1 = true,
                                .host = SLICE(""),
                                .upgrade = copy[0],
                                .connection = copy[1],
                                .key = copy[2],
                                .version = copy[3],
                                .extensions = copy[4] };
    if (ws_handshake_check(&a, &refusal)) {
        must(ws_handshake_wanted(&a) && refusal.status == 0);
        ws_handshake_accept(a.key, accept);
        must(strlen(accept) == WS_ACCEPT_LEN);
    } else {
        must((refusal.status == 400 || refusal.status == 426) && refusal.why);
    }
    for (uint8_t bits = WS_WINDOW_MIN; bits <= WS_WINDOW_MAX; bits++)
        check_terms(a.extensions, (struct ws_policy){ bits, bits });
    for (size_t i = 0; i < HEADERS; i++)
        free((char *)(uintptr_t)copy[i].at);
    return 0;
}
