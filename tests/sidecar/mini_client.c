/*
 * mini_client.c - a client without manners.
 */
#include "tests/sidecar/mini_client.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/peers/process.h"

void mini_open(struct mini *m, const char *socket_path, void (*pump)(void))
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };

    *m = (struct mini){ .pump = pump };
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", socket_path);
    m->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(m->fd, (struct sockaddr *)&name, sizeof(name)), 0);
    fcntl(m->fd, F_SETFL, O_NONBLOCK);
}

void mini_close(struct mini *m)
{
    close(m->fd);
    buf_fini(&m->in);
}

bool mini_send_some(struct mini *m, struct slice *bytes)
{
    ssize_t n = send(m->fd, bytes->at, bytes->len, MSG_NOSIGNAL);

    if (n < 0 && errno == EAGAIN)
        return false;
    if (n < 0) { /* whoever has gone takes everything */
        m->reset = errno == ECONNRESET;
        n = (ssize_t)bytes->len;
    }
    *bytes = (struct slice){ bytes->at + n, bytes->len - (size_t)n };
    return true;
}

void mini_send(struct mini *m, struct slice bytes)
{
    for (int64_t end = now_ms() + 20000; bytes.len > 0; m->pump()) {
        ck_assert_msg(now_ms() < end, "it does not take all of that");
        (void)mini_send_some(m, &bytes);
    }
}

void mini_say(struct mini *m, const char *text)
{
    mini_send(m, slice_of(text));
}

void mini_read(struct mini *m)
{
    char bytes[65536];

    for (;;) {
        ssize_t n = recv(m->fd, bytes, sizeof(bytes), 0);
        if (n > 0) {
            buf_put(&m->in, (struct slice){ bytes, (size_t)n });
            continue;
        }
        m->closed = m->closed || n == 0 || errno != EAGAIN;
        m->reset = m->reset || (n < 0 && errno != EAGAIN);
        return;
    }
}

static void wait_once(struct mini *m, int64_t end, const char *what)
{
    ck_assert_msg(now_ms() < end, "waited in vain for %s; has: %.*s", what, (int)m->in.len,
                  m->in.at ? m->in.at : "");
    m->pump();
    mini_read(m);
}

void mini_expect(struct mini *m, const char *text)
{
    const char *at;

    for (int64_t end = now_ms() + 20000;
         !(at = m->in.len > 0 ? memmem(m->in.at, m->in.len, text, strlen(text)) : NULL);) {
        ck_assert_msg(!m->closed, "closed before %s; has: %.*s", text, (int)m->in.len,
                      m->in.at ? m->in.at : "");
        wait_once(m, end, text);
    }
    buf_shift(&m->in, (size_t)(at - m->in.at) + strlen(text));
}

void mini_expect_closed(struct mini *m)
{
    for (int64_t end = now_ms() + 20000; !m->closed;)
        wait_once(m, end, "the end");
}

/* ---- whole replies --------------------------------------------------------------------------- */

/* Move n bytes; waits for them. */
static void take(struct mini *m, size_t n, struct buf *out)
{
    for (int64_t end = now_ms() + 20000; m->in.len < n;) {
        ck_assert_msg(!m->closed, "closed within a reply");
        wait_once(m, end, "more of a reply");
    }
    buf_put(out, (struct slice){ m->in.at, n });
    buf_shift(&m->in, n);
}

/* Move up to and with the text. */
static void take_until(struct mini *m, const char *text, struct buf *out)
{
    const char *at;

    for (int64_t end = now_ms() + 20000;
         !(at = m->in.len > 0 ? memmem(m->in.at, m->in.len, text, strlen(text)) : NULL);) {
        ck_assert_msg(!m->closed, "closed within a reply: %.*s", (int)m->in.len,
                      m->in.at ? m->in.at : "");
        wait_once(m, end, text);
    }
    take(m, (size_t)(at - m->in.at) + strlen(text), out);
}

static void take_chunks(struct mini *m, struct buf *body)
{
    for (;;) {
        struct buf line = BUF_EMPTY, end = BUF_EMPTY;
        take_until(m, "\r\n", &line);
        buf_putc(&line, '\0');
        size_t n = strtoul(line.at, NULL, 16);
        take(m, n, body);
        take(m, 2, &end);
        ck_assert(slice_is(buf_slice(&end), SLICE("\r\n")));
        buf_fini(&line);
        buf_fini(&end);
        if (n == 0)
            return;
    }
}

struct buf mini_reply(struct mini *m, int *status, struct buf *head)
{
    struct buf body = BUF_EMPTY;

    take_until(m, "\r\n\r\n", head);
    buf_putc(head, '\0');
    ck_assert_int_eq(sscanf(head->at, "HTTP/1.1 %d ", status), 1);
    const char *length = strcasestr(head->at, "\r\nContent-Length: ");
    if (length)
        take(m, strtoul(length + 18, NULL, 10), &body);
    else if (strcasestr(head->at, "\r\nTransfer-Encoding: chunked\r\n"))
        take_chunks(m, &body);
    else if (*status >= 200 && *status != 204 && *status != 304) {
        mini_expect_closed(m);
        buf_put(&body, buf_slice(&m->in));
        buf_fini(&m->in);
    }
    buf_putc(&body, '\0');
    return body;
}

void mini_expect_reply(struct mini *m, int status, const char *head_has, const char *body_has)
{
    struct buf head = BUF_EMPTY;
    int got;
    struct buf body = mini_reply(m, &got, &head);

    ck_assert_msg(got == status, "%s%s", head.at, body.at);
    ck_assert_msg(strstr(head.at, head_has), "no '%s' in: %s", head_has, head.at);
    ck_assert_msg(strstr(body.at, body_has), "no '%s' in: %s", body_has, body.at);
    buf_fini(&head);
    buf_fini(&body);
}
