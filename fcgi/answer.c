/*
 * answer.c - what FastCGI and CGI have in common of a reply.
 */
#include "fcgi/answer.h"

#include "core/text.h"

const char *answer_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } known[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 304, "Not Modified" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 406, "Not Acceptable" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
    };
    static const char *const hundreds[] = { "Informational", "Success", "Redirection",
                                            "Client Error", "Server Error" };

    for (size_t i = 0; i < LENGTH(known); i++)
        if (known[i].status == status)
            return known[i].reason;
    return status >= 100 && status < 600 ? hundreds[status / 100 - 1] : "Unknown";
}

void answer_head(struct buf *out, int status, struct slice headers)
{
    buf_printf(out, "Status: %d %s\r\n", status, answer_reason(status));
    buf_put(out, headers);
    buf_puts(out, "\r\n");
}

enum rc answer_begin(struct request *r, int status, struct slice headers)
{
    struct buf head = BUF_EMPTY;

    turn_add(r->server, &answer_of(r)->turn); /* a reply that breaks is ended there, too */
    answer_head(&head, status, headers);
    enum rc rc = buf_rc(&head);
    if (rc == RC_OK)
        rc = answer_write(r, buf_slice(&head));
    buf_fini(&head);
    return rc;
}

enum rc answer_write(struct request *r, struct slice bytes)
{
    turn_add(r->server, &answer_of(r)->turn);
    return outbox_put(&answer_of(r)->out, bytes);
}

enum rc answer_lend(struct request *r, struct event *event, struct slice bytes)
{
    turn_add(r->server, &answer_of(r)->turn);
    return outbox_lend(&answer_of(r)->out, event, bytes);
}

size_t answer_queued(const struct request *r)
{
    return answer_of(r)->out.bytes;
}

void answer_problem(struct request *r, int status, const char *detail, int retry_after_s)
{
    struct buf headers = BUF_EMPTY, body = BUF_EMPTY;

    buf_puts(&body, "{\"type\":\"about:blank\",\"title\":");
    json_put_string(&body, slice_of(answer_reason(status)));
    buf_printf(&body, ",\"status\":%d,\"detail\":", status);
    json_put_string(&body, slice_of(detail));
    buf_puts(&body, "}\n");
    buf_puts(&headers, "Content-Type: application/problem+json\r\nCache-Control: no-store\r\n");
    buf_printf(&headers, "Content-Length: %zu\r\n", body.len);
    if (retry_after_s > 0)
        buf_printf(&headers, "Retry-After: %d\r\n", retry_after_s);
    if (buf_rc(&headers) == RC_OK && buf_rc(&body) == RC_OK) {
        reply_begin(r, status, buf_slice(&headers));
        reply_write(r, buf_slice(&body));
    } else {
        r->broken = 1;
    }
    reply_end(r);
    buf_fini(&headers);
    buf_fini(&body);
}
