/*
 * whole.c - an answer that is all there.
 */
#include "handlers/whole.h"

#include "handlers/problem.h"

void whole_reply(struct request *r, struct slice headers, int status, const char *content_type,
                 struct buf *body)
{
    struct buf head = BUF_EMPTY;

    buf_printf(&head, "Content-Type: %s\r\nCache-Control: no-store\r\nContent-Length: %zu\r\n",
               content_type, body->len);
    buf_put(&head, headers);
    if (buf_rc(&head) == RC_OK && buf_rc(body) == RC_OK) {
        reply_begin(r, status, buf_slice(&head));
        reply_write(r, buf_slice(body));
        reply_end(r);
    } else if (status == 200) {
        problem_no_memory(r, headers, "Out of memory.");
    } else {
        reply_begin(r, status, SLICE("Content-Length: 0\r\n"));
        reply_end(r);
    }
    buf_fini(&head);
    buf_fini(body);
}
