/*
 * problem.c - telling a client what is wrong.
 */
#include "handlers/problem.h"

#include <stdio.h>

#include "core/details.h"
#include "core/server.h"

enum { DETAIL_MAX = 600 };

static void answer(struct request *r, struct slice headers, int status, int64_t retry_ms,
                   const char *format, va_list arguments) PRINTF(5, 0);

static void answer(struct request *r, struct slice headers, int status, int64_t retry_ms,
                   const char *format, va_list arguments)
{
    char detail[DETAIL_MAX];
    struct buf head = BUF_EMPTY, body = BUF_EMPTY;

    int len = vsnprintf(detail, sizeof(detail), format, arguments);
    if (len < 0)
        len = 0;
    if ((size_t)len >= sizeof(detail))
        len = sizeof(detail) - 1;
    details_put(&body, status, (struct slice){ detail, (size_t)len });

    buf_puts(&head, "Content-Type: application/problem+json\r\nCache-Control: no-store\r\n");
    if (retry_ms > 0)
        buf_printf(&head, "Retry-After: %lld\r\n", (long long)(retry_ms + 999) / 1000);
    buf_printf(&head, "Content-Length: %zu\r\n", body.len);
    buf_put(&head, headers);
    if (buf_rc(&head) != RC_OK || buf_rc(&body) != RC_OK) {
        buf_fini(&head);
        buf_fini(&body);
        reply_begin(r, status, SLICE("Content-Length: 0\r\n")); /* at least the status */
        reply_end(r);
        return;
    }
    reply_begin(r, status, buf_slice(&head));
    reply_write(r, buf_slice(&body));
    buf_fini(&head);
    buf_fini(&body);
    reply_end(r);
}

void problem_reply(struct request *r, struct slice headers, int status, const char *detail, ...)
{
    va_list arguments;
    va_start(arguments, detail);
    answer(r, headers, status, 0, detail, arguments);
    va_end(arguments);
}

void problem_retry(struct request *r, struct slice headers, int status, int64_t retry_ms,
                   const char *detail, ...)
{
    va_list arguments;
    va_start(arguments, detail);
    answer(r, headers, status, retry_ms > 0 ? retry_ms : 1000, detail, arguments);
    va_end(arguments);
}

void problem_challenge(struct request *r, struct slice headers, const char *challenge,
                       const char *detail, ...)
{
    struct buf all = BUF_EMPTY;
    va_list arguments;

    buf_put(&all, headers);
    buf_printf(&all, "WWW-Authenticate: %s\r\n", challenge);
    va_start(arguments, detail);
    answer(r, buf_slice(&all), 401, 0, detail, arguments);
    va_end(arguments);
    buf_fini(&all);
}

void problem_no_memory(struct request *r, struct slice headers, const char *detail)
{
    server_no_memory(r->server, "an answer");
    problem_retry(r, headers, 503, r->server->conf->retry_ms, "%s", detail);
}
