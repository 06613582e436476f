/*
 * http.c - a small HTTP/1.1 client for tests (http.h).
 *
 * in holds what has come and is not understood yet: first the head, then pieces of body.  It is
 * moved into body as the framing allows.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/peers/http.h"
#include "tests/peers/process.h"

enum state {
    HEAD,    /* waiting for the blank line */
    COUNTED, /* left bytes of body are to come */
    TO_END,  /* body until the connection closes */
    CHUNK,   /* a chunk's size line is next */
    DATA,    /* left bytes of this chunk are to come */
    AFTER,   /* the line end behind a chunk is next */
    TRAILER, /* lines up to a blank one */
    DONE,
};

struct http {
    int fd;
    enum state state;
    bool complete, head_only;
    int status;
    uint64_t left;
    struct buf out, in, body;
    char *head; /* all of it, NUL-terminated; header values are cut out on demand */
    char *value;
};

static void add_request(struct buf *out, const struct http_ask *ask)
{
    buf_printf(out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n",
               ask->method ? ask->method : "GET", ask->target, ask->port);
    bool framed = false; /* the body brings its own frame */
    for (const char *const *h = ask->headers; h && *h; h++) {
        buf_printf(out, "%s\r\n", *h);
        framed |= strncasecmp(*h, "Transfer-Encoding:", 18) == 0;
    }
    if (!framed && (ask->body.len || (ask->method && strcmp(ask->method, "POST") == 0)))
        buf_printf(out, "Content-Length: %zu\r\n", ask->body.len);
    buf_puts(out, "\r\n");
    buf_put(out, ask->body);
}

static void send_some(struct http *h);

static void end(struct http *h, bool complete)
{
    h->state = DONE;
    h->complete = complete;
    if (h->fd >= 0)
        close(h->fd);
    h->fd = -1;
}

struct http *http_new(const struct http_ask *ask)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)ask->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        abort();
    if (ask->raw.len > 0) {
        buf_put(&h->out, ask->raw);
        h->state = TO_END;
        h->left = UINT64_MAX;
    } else {
        add_request(&h->out, ask);
    }
    h->head_only = ask->method && strcmp(ask->method, "HEAD") == 0;
    h->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (h->fd < 0 ||
        (connect(h->fd, (struct sockaddr *)(void *)&to, sizeof to) < 0 && errno != EINPROGRESS))
        end(h, false);
    else
        send_some(h); /* nothing is taken here: who looks for news looks after http_step() */
    return h;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    end(h, false);
    buf_fini(&h->out);
    buf_fini(&h->in);
    buf_fini(&h->body);
    free(h->head);
    free(h->value);
    free(h);
}

int http_fd(const struct http *h)
{
    return h->fd;
}

short http_wants(const struct http *h)
{
    return h->out.len ? POLLIN | POLLOUT : POLLIN;
}

/* ---- understanding ----------------------------------------------------------------------------
 */

static bool begin_body(struct http *h)
{
    const char *length, *coding;
    char *end_of_head = h->in.len ? memmem(h->in.at, h->in.len, "\r\n\r\n", 4) : NULL;

    if (!end_of_head)
        return false;
    size_t len = (size_t)(end_of_head - h->in.at) + 4;
    free(h->head);
    h->head = slice_dup((struct slice){ h->in.at, len });
    buf_shift(&h->in, len);
    h->status = strncmp(h->head, "HTTP/1.", 7) == 0 ? atoi(h->head + 9) : -1;
    if (h->status >= 100 && h->status < 200) /* an interim answer: the real one follows */
        return h->status = 0, true;
    coding = http_header(h, "Transfer-Encoding");
    if (!h->head_only && coding && strcasecmp(coding, "chunked") == 0) {
        h->state = CHUNK;
        return true;
    }
    length = http_header(h, "Content-Length");
    h->state = length ? COUNTED : TO_END;
    h->left = length ? strtoull(length, NULL, 10) : UINT64_MAX;
    if (h->head_only || h->status == 204 || h->status == 304 || h->left == 0)
        end(h, true);
    return true;
}

/* Move up to left bytes from in to body; true when none is left to come. */
static bool move(struct http *h)
{
    size_t n = h->in.len < h->left ? h->in.len : (size_t)h->left;
    buf_put(&h->body, (struct slice){ h->in.at, n });
    buf_shift(&h->in, n);
    h->left -= n;
    return h->left == 0;
}

/* Cut the next line off in, without its end; false: none there yet. */
static bool line(struct http *h, char *out, size_t size)
{
    char *nl = h->in.len ? memchr(h->in.at, '\n', h->in.len) : NULL;
    if (!nl)
        return false;
    size_t len = (size_t)(nl - h->in.at), keep = len < size ? len : size - 1;
    memcpy(out, h->in.at, keep);
    out[keep] = '\0';
    out[strcspn(out, "\r")] = '\0';
    buf_shift(&h->in, len + 1);
    return true;
}

/* Understand one piece more; false: bytes are missing. */
static bool understand(struct http *h)
{
    char text[256];

    switch (h->state) {
    case HEAD:
        return begin_body(h);
    case COUNTED:
    case TO_END:
        if (move(h))
            end(h, true);
        return false;
    case CHUNK:
        if (!line(h, text, sizeof text))
            return false;
        h->left = strtoull(text, NULL, 16);
        h->state = h->left ? DATA : TRAILER;
        return true;
    case DATA:
        if (!move(h))
            return false;
        h->state = AFTER;
        return true;
    case AFTER:
        if (!line(h, text, sizeof text))
            return false;
        h->state = CHUNK;
        return true;
    case TRAILER:
        if (!line(h, text, sizeof text))
            return false;
        if (!*text)
            end(h, true);
        return h->state != DONE;
    case DONE:
        break;
    }
    return false;
}

/* ---- moving bytes -----------------------------------------------------------------------------
 */

static void send_some(struct http *h)
{
    while (h->out.len) {
        ssize_t n = send(h->fd, h->out.at, h->out.len, MSG_NOSIGNAL);
        if (n < 0) {
            /* Refused early (413, say): the answer is still to be read. */
            if (errno == EPIPE || errno == ECONNRESET)
                h->out.len = 0;
            return;
        }
        buf_shift(&h->out, (size_t)n);
    }
}

static void take_some(struct http *h)
{
    while (h->fd >= 0) {
        if (!buf_reserve(&h->in, 16384))
            abort();
        ssize_t n = recv(h->fd, h->in.at + h->in.len, 16384, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
            return;
        if (n <= 0) {
            end(h, n == 0 && h->state == TO_END);
            return;
        }
        h->in.len += (size_t)n;
        while (understand(h))
            ;
    }
}

void http_step(struct http *h)
{
    if (h->fd >= 0)
        send_some(h);
    take_some(h);
}

bool http_wait(struct http *h, int64_t ms)
{
    int64_t until = now_ms() + ms, left;
    size_t had = h->body.len;
    int status = h->status;

    while (h->state != DONE && (left = until - now_ms()) > 0) {
        struct pollfd p = { .fd = h->fd, .events = http_wants(h) };
        if (poll(&p, 1, (int)left) > 0)
            http_step(h);
        if (h->body.len != had || h->status != status || h->state == DONE)
            return true;
    }
    return false;
}

/* ---- looking ----------------------------------------------------------------------------------
 */

int http_status(const struct http *h)
{
    return h->status;
}

const char *http_header(const struct http *const_h, const char *name)
{
    struct http *h = (struct http *)(uintptr_t)const_h; /* value is a cache */
    size_t len = strlen(name);

    for (const char *at = h->head; at && (at = strstr(at, "\r\n"));) {
        at += 2;
        if (strncasecmp(at, name, len) == 0 && at[len] == ':') {
            at += len + 1;
            at += strspn(at, " \t");
            free(h->value);
            h->value = slice_dup((struct slice){ at, strcspn(at, "\r\n") });
            return h->value;
        }
    }
    return NULL;
}

struct slice http_body(const struct http *h)
{
    return buf_slice(&h->body);
}

void http_forget(struct http *h, size_t n)
{
    buf_shift(&h->body, n);
}

bool http_ended(const struct http *h)
{
    return h->state == DONE;
}

bool http_complete(const struct http *h)
{
    return h->complete;
}
