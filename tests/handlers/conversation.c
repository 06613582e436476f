/*
 * conversation.c - bellpush.v1.json over memory.
 */
#include "tests/handlers/conversation.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

struct answer *conversation_as(const char *query, const char *header)
{
    const char *const headers[] = { "Upgrade: websocket",
                                    "Sec-WebSocket-Protocol: other, bellpush.v1.json", header,
                                    NULL };
    char target[256];

    snprintf(target, sizeof(target), "/ws%s", query);
    struct answer *a = stage_ask(&(struct ask){ .target = target, .headers = headers });
    ck_assert_int_eq(answer_status(a), 101);
    ck_assert_str_eq(answer_header(a, "Sec-WebSocket-Protocol"), "bellpush.v1.json");
    answer_expect(a, "{\"type\":\"bellpush-hello\"");
    return a;
}

struct answer *conversation(void)
{
    return conversation_as("", NULL);
}

void say(struct answer *a, const char *text)
{
    char *quoted = strdup(text);

    ck_assert(quoted);
    for (char *at = quoted; *at; at++)
        if (*at == '\'')
            *at = '"';
    loopback_say(a, quoted);
    free(quoted);
}

void hear(struct answer *a, const char *text)
{
    char quoted[512];

    snprintf(quoted, sizeof(quoted), "%s", text);
    for (char *at = quoted; *at; at++)
        if (*at == '\'')
            *at = '"';
    answer_expect(a, quoted);
}

void never_heard(const struct answer *a, const char *text)
{
    struct slice all = answer_so_far(a);
    ck_assert_msg(!memmem(all.at, all.len, text, strlen(text)), "\"%s\" in: %.*s", text,
                  (int)all.len, all.at);
}

size_t count_of(const struct answer *a, const char *text)
{
    struct slice all = answer_so_far(a);
    const char *at = all.at, *end = all.at + all.len;
    size_t n = 0;

    while (at && (at = memmem(at, (size_t)(end - at), text, strlen(text)))) {
        n++;
        at += strlen(text);
    }
    return n;
}
