/*
 * mini_front.c - the web server's side of FastCGI, in miniature.
 */
#include "tests/fcgi/mini_front.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "fcgi/fcgi_wire.h"
#include "fcgi/params.h"

double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- records --------------------------------------------------------------------------------- */

void put_record(struct buf *out, int type, int id, struct slice content, int padding)
{
    uint8_t head[FCGI_HEADER_LEN];

    fcgi_put_header(head, (uint8_t)type, (uint16_t)id, (uint16_t)content.len);
    head[6] = (uint8_t)padding;
    buf_put(out, (struct slice){ (char *)head, sizeof(head) });
    buf_put(out, content);
    for (int i = 0; i < padding; i++)
        buf_putc(out, 'p');
}

void put_begin(struct buf *out, int id, int role, int flags)
{
    const char body[8] = { (char)(role >> 8), (char)role, (char)flags, 0, 0, 0, 0, 0 };
    put_record(out, FCGI_BEGIN_REQUEST, id, (struct slice){ body, sizeof(body) }, 0);
}

void put_stream(struct buf *out, int type, int id, struct slice bytes, size_t piece)
{
    while (bytes.len > 0) {
        size_t len = bytes.len < piece ? bytes.len : piece;
        put_record(out, type, id, (struct slice){ bytes.at, len }, (int)(len % 8));
        bytes.at += len;
        bytes.len -= len;
    }
    put_record(out, type, id, SLICE_NONE, 0);
}

void put_request(struct buf *out, int id, int flags, const char *const *pairs, struct slice body)
{
    struct buf params = BUF_EMPTY;
    char length[24];

    for (; *pairs; pairs += 2)
        params_put(&params, slice_of(pairs[0]), slice_of(pairs[1]));
    if (body.len > 0) {
        snprintf(length, sizeof(length), "%zu", body.len);
        params_put(&params, SLICE("CONTENT_LENGTH"), slice_of(length));
    }
    put_begin(out, id, FCGI_RESPONDER, flags);
    put_stream(out, FCGI_PARAMS, id, buf_slice(&params), 8192);
    put_stream(out, FCGI_STDIN, id, body, 32768);
    buf_fini(&params);
}

void put_get(struct buf *out, int id, int flags, const char *path)
{
    const char *const pairs[] = { "REQUEST_METHOD", "GET", "SCRIPT_NAME", "/push",
                                  "PATH_INFO",      path,  NULL };
    put_request(out, id, flags, pairs, SLICE_NONE);
}

/* ---- one connection -------------------------------------------------------------------------- */

void mini_open(struct mini *m, const char *path, void (*pump)(void))
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };

    *m = (struct mini){ .pump = pump };
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    m->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(m->fd, 0);
    ck_assert_msg(connect(m->fd, (struct sockaddr *)&name, sizeof(name)) == 0, "connect: %s",
                  strerror(errno));
    fcntl(m->fd, F_SETFL, O_NONBLOCK);
}

void mini_clear(struct mini *m)
{
    for (int i = 0; i < MINI_IDS; i++)
        buf_fini(&m->reply[i].out);
    memset(m->reply, 0, sizeof(m->reply));
    m->management_type = m->records = 0;
}

void mini_close(struct mini *m)
{
    close(m->fd);
    mini_clear(m);
    buf_fini(&m->history);
    buf_fini(&m->in);
}

bool mini_send_some(struct mini *m, struct slice *bytes)
{
    ssize_t n = send(m->fd, bytes->at, bytes->len, MSG_NOSIGNAL);
    if (n < 0)
        return false;
    bytes->at += n;
    bytes->len -= (size_t)n;
    return true;
}

void mini_send(struct mini *m, struct slice bytes)
{
    double deadline = now_s() + 20;

    while (bytes.len > 0) {
        if (mini_send_some(m, &bytes))
            continue;
        if (errno == EPIPE || errno == ECONNRESET)
            return; /* the test will see what has come back */
        ck_assert_msg(now_s() < deadline, "it takes no more");
        mini_wait(m); /* whoever answers while he reads must be read from */
    }
}

void mini_send_buf(struct mini *m, struct buf *b)
{
    ck_assert_int_eq(buf_rc(b), RC_OK);
    mini_send(m, buf_slice(b));
    buf_fini(b);
}

static void on_record(struct mini *m, const uint8_t *head, struct slice content)
{
    int type = head[1], id = head[2] << 8 | head[3];

    m->records++;
    if (id >= MINI_IDS || head[0] != FCGI_VERSION_1) {
        m->is_garbage = true;
        return;
    }
    struct mini_reply *r = &m->reply[id];
    if (id == 0) {
        m->management_type = type;
        buf_put(&r->out, content);
    } else if (type == FCGI_STDOUT) {
        if (r->ends || r->stdout_ends)
            m->is_garbage = true; /* after the end of the stream */
        r->stdout_ends += content.len == 0;
        buf_put(&r->out, content);
    } else if (type == FCGI_END_REQUEST && content.len == 8) {
        r->ends++;
        r->protocol_status = (uint8_t)content.at[4];
        if (m->in_a_row) {
            buf_put(&m->history, buf_slice(&r->out));
            buf_printf(&m->history, " END %d\n", r->protocol_status);
            buf_fini(&r->out);
            *r = (struct mini_reply){ 0 };
        }
    } else {
        m->is_garbage = true;
    }
}

void mini_read(struct mini *m)
{
    char bytes[65536];
    ssize_t n;

    while (!m->closed && (n = recv(m->fd, bytes, sizeof(bytes), 0)) != -1) {
        if (n == 0)
            m->closed = true;
        buf_put(&m->in, (struct slice){ bytes, (size_t)n });
    }
    if (!m->closed && errno != EAGAIN)
        m->closed = true;
    size_t at = 0;
    while (m->in.len - at >= FCGI_HEADER_LEN) {
        const uint8_t *head = (const uint8_t *)m->in.at + at;
        size_t content = (size_t)(head[4] << 8 | head[5]);
        size_t whole = FCGI_HEADER_LEN + content + head[6];
        if (m->in.len - at < whole)
            break;
        on_record(m, head, (struct slice){ (const char *)head + FCGI_HEADER_LEN, content });
        at += whole;
    }
    if (at > 0)
        buf_shift(&m->in, at);
    if (m->closed && m->in.len > 0)
        m->is_garbage = true; /* half a record */
}

static struct mini *reading; /* for WAIT_FOR */

void mini_wait(struct mini *m)
{
    mini_read(m);
    m->pump();
    mini_read(m);
}

static void read_and_pump(void)
{
    mini_wait(reading);
}

struct mini_reply *mini_expect_end(struct mini *m, int id)
{
    reading = m;
    WAIT_FOR(m->reply[id].ends > 0 || m->closed, read_and_pump);
    ck_assert_msg(m->reply[id].ends == 1, "%d END_REQUEST for %d", m->reply[id].ends, id);
    ck_assert(!m->is_garbage);
    return &m->reply[id];
}

void mini_expect_text(struct mini *m, int id, const char *text)
{
    reading = m;
    WAIT_FOR(reply_has(&m->reply[id], text) || m->closed, read_and_pump);
    ck_assert_msg(reply_has(&m->reply[id], text), "closed before '%s' came", text);
    ck_assert(!m->is_garbage);
}

void mini_expect_closed(struct mini *m)
{
    reading = m;
    WAIT_FOR(m->closed, read_and_pump);
}

int reply_status(const struct mini_reply *r)
{
    int status = 0;
    if (r->out.len > 12 && memcmp(r->out.at, "Status: ", 8) == 0)
        status = atoi(r->out.at + 8);
    return status;
}

bool reply_has(const struct mini_reply *r, const char *text)
{
    return r->out.len > 0 && memmem(r->out.at, r->out.len, text, strlen(text)) != NULL;
}
