/*
 * problem.c - telling a client what is wrong: RFC 9457 problem details.
 *
 * The type is "about:blank": the status says which problem it is, the detail says what a person can
 * do about it.  Details quote what the client sent, so they are cleaned here, once, rather than
 * trusted to every caller.
 */
#include "handlers/problem.h"

#include <stdio.h>

#include "core/text.h"

enum { DETAIL_MAX = 600 };

const char *problem_title(int status)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = {
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 409, "Conflict" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 500, "Internal Server Error" },
        { 503, "Service Unavailable" },
    };
    for (size_t i = 0; i < LENGTH(titles); i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Error";
}

void problem_put_clean(struct buf *out, struct slice text)
{
    while (text.len > 0) {
        size_t n = utf8_sequence(text);
        buf_put(out, n ? (struct slice){ text.at, n } : SLICE("\xef\xbf\xbd"));
        n = n ? n : 1;
        text.at += n;
        text.len -= n;
    }
}

void problem_put(struct buf *out, int status, struct slice detail)
{
    struct buf clean = BUF_EMPTY;

    problem_put_clean(&clean, detail);
    buf_printf(out, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":",
               problem_title(status), status);
    json_put_string(out, clean.nomem ? SLICE("") : buf_slice(&clean));
    buf_puts(out, "}\n");
    buf_fini(&clean);
}

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
    problem_put(&body, status, (struct slice){ detail, (size_t)len });

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
