/*
 * cgi_head.c - the head of a reply as CGI wants it.
 */
#include "fcgi/cgi_head.h"

#include "core/details.h"

enum rc cgi_head_begin(struct request *r, int status, struct slice headers)
{
    struct buf head = BUF_EMPTY;

    buf_printf(&head, "Status: %d %s\r\n", status, details_title(status));
    buf_put(&head, headers);
    buf_puts(&head, "\r\n");
    return answer_head(r, &head);
}
