/*
 * http1_reply.c - the head of a reply, and the chunks of its body.
 */
#include "sidecar/http1_reply.h"

#include <stdio.h>
#include <time.h>

#include "core/details.h"
#include "core/text.h"
#include "sidecar/http1_head.h"

/* RFC 9110 section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT", in no locale. */
static void put_date(struct buf *out)
{
    static const char days[] = "SunMonTueWedThuFriSat",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    struct tm t;

    gmtime_r(&now, &t);
    buf_printf(out, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n", days + 3 * t.tm_wday,
               t.tm_mday, months + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static bool has_length(struct slice headers)
{
    struct slice name, value;

    while (http1_field_next(&headers, &name, &value))
        if (slice_is_nocase(name, SLICE("content-length")))
            return true;
    return false;
}

static enum http1_body body_of(int status, struct slice headers, bool http_1_0)
{
    if (status < 200 || status == 204 || status == 304)
        return HTTP1_BODY_NONE;
    if (has_length(headers))
        return HTTP1_BODY_COUNTED;
    return http_1_0 ? HTTP1_BODY_UNLIMITED : HTTP1_BODY_CHUNKED;
}

enum http1_body http1_reply_put_head(struct buf *out, int status, struct slice headers,
                                     bool http_1_0, bool *keep)
{
    enum http1_body body = body_of(status, headers, http_1_0);

    if (body == HTTP1_BODY_UNLIMITED)
        *keep = false;
    buf_printf(out, "HTTP/1.1 %d %s\r\n", status, details_title(status));
    put_date(out);
    buf_put(out, headers);
    if (body == HTTP1_BODY_CHUNKED)
        buf_puts(out, "Transfer-Encoding: chunked\r\n");
    if (!*keep)
        buf_puts(out, "Connection: close\r\n");
    else if (http_1_0)
        buf_puts(out, "Connection: keep-alive\r\n");
    buf_puts(out, "\r\n");
    return body;
}

size_t http1_reply_frame(void *arg, size_t payload, uint8_t head[OUTBOX_HEAD_MAX])
{
    char *text = (char *)head;

    (void)arg;
    if (payload == OUTBOX_TAIL)
        return (size_t)snprintf(text, OUTBOX_HEAD_MAX, "\r\n");
    if (payload == 0)
        return (size_t)snprintf(text, OUTBOX_HEAD_MAX, "0\r\n\r\n");
    return (size_t)snprintf(text, OUTBOX_HEAD_MAX, "%zx\r\n", payload);
}
