/*
 * details.c - problem details (RFC 9457).
 *
 * The type is "about:blank": the status says which problem it is, the detail says what a person can
 * do about it.  Details quote what the client sent, so they are cleaned here, once, rather than
 * trusted to every caller.
 */
#include "core/details.h"

#include "core/text.h"

const char *details_title(int status)
{
    static const struct {
        int status;
        const char *title;
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
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 417, "Expectation Failed" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 505, "HTTP Version Not Supported" },
    };
    static const char *const hundreds[] = { "Informational", "Success", "Redirection",
                                            "Client Error", "Server Error" };

    for (size_t i = 0; i < LENGTH(known); i++)
        if (known[i].status == status)
            return known[i].title;
    return status >= 100 && status < 600 ? hundreds[status / 100 - 1] : "Unknown";
}

void details_put_clean(struct buf *out, struct slice text)
{
    while (text.len > 0) {
        size_t n = utf8_sequence(text);
        buf_put(out, n ? (struct slice){ text.at, n } : SLICE("\xef\xbf\xbd"));
        n = n ? n : 1;
        text.at += n;
        text.len -= n;
    }
}

void details_put(struct buf *out, int status, struct slice detail)
{
    struct buf clean = BUF_EMPTY;

    details_put_clean(&clean, detail);
    buf_printf(out, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":",
               details_title(status), status);
    json_put_string(out, clean.nomem ? SLICE("") : buf_slice(&clean));
    buf_puts(out, "}\n");
    buf_fini(&clean);
}
