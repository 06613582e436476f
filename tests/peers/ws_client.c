/*
 * ws_client.c - a WebSocket client over real sockets (ws_client.h).
 *
 * in holds what has come and is not understood yet, from in_off on; out likewise what is to be
 * sent.
 */
#include <errno.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/text.h"
#include "tests/peers/process.h"
#include "tests/peers/ws_client.h"

enum { READ_STEP = 65536 };

struct ws_client {
    int fd;
    bool answered, closed, reset; /* the head of the answer is here; nothing more will come */
    int status;
    char *head, *value;
    bool deflates;
    int window, own_window; /* of what we are sent; of what we send */
    struct buf out, in;
    size_t out_off, in_off;
    struct buf message, inflated; /* fragments so far; the message, if it was compressed */
    unsigned opcode, frames;      /* of the message; 0: none has begun */
    bool packed;
    unsigned code;
    char *reason;
    const char *wrong;
};

static void say_wrong(struct ws_client *c, const char *what)
{
    if (!c->wrong)
        c->wrong = what;
}

static void lose(struct ws_client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->closed = true;
}

/* ---- the handshake --------------------------------------------------------------------------- */

static void put_handshake(struct buf *out, const struct ws_client_ask *ask)
{
    buf_printf(out,
               "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\n"
               "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: " WS_CLIENT_KEY "\r\n",
               ask->target, ask->port);
    if (ask->protocols)
        buf_printf(out, "Sec-WebSocket-Protocol: %s\r\n", ask->protocols);
    if (ask->extensions)
        buf_printf(out, "Sec-WebSocket-Extensions: %s\r\n", ask->extensions);
    for (const char *const *h = ask->headers; h && *h; h++)
        buf_printf(out, "%s\r\n", *h);
    buf_puts(out, "\r\n");
}

static int connect_to(const struct ws_client_ask *ask)
{
    struct sockaddr_in tcp = { .sin_family = AF_INET,
                               .sin_port = htons((uint16_t)ask->port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_un local = { .sun_family = AF_UNIX };
    const struct sockaddr *to = (const void *)&tcp;
    socklen_t len = sizeof(tcp);

    if (ask->path) {
        snprintf(local.sun_path, sizeof(local.sun_path), "%s", ask->path);
        to = (const void *)&local;
        len = sizeof(local);
    }
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, to, len) < 0 && errno != EINPROGRESS) {
        close(fd);
        fd = -1;
    }
    return fd;
}

struct ws_client *ws_client_new(const struct ws_client_ask *ask)
{
    struct ws_client *c = calloc(1, sizeof(*c));

    if (!c)
        abort();
    if (ask->raw.len > 0)
        buf_put(&c->out, ask->raw);
    else
        put_handshake(&c->out, ask);
    c->fd = connect_to(ask);
    c->closed = c->fd < 0;
    return c;
}

struct ws_client *ws_client_open(const struct ws_client_ask *ask, int64_t ms)
{
    struct ws_client *c = ws_client_new(ask);

    if (!ws_client_answered(c, ms) || c->status != 101 || c->wrong) {
        fprintf(stderr, "no WebSocket at %s: status %d, %s\n", ask->target, c->status,
                c->wrong    ? c->wrong
                : c->closed ? "closed"
                            : "nothing more");
        abort();
    }
    return c;
}

void ws_client_free(struct ws_client *c)
{
    if (!c)
        return;
    lose(c);
    buf_fini(&c->out);
    buf_fini(&c->in);
    buf_fini(&c->message);
    buf_fini(&c->inflated);
    free(c->head);
    free(c->value);
    free(c->reason);
    free(c);
}

const char *ws_client_header(struct ws_client *c, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = c->head; at && (at = strstr(at, "\r\n"));) {
        at += 2;
        if (strncasecmp(at, name, len) != 0 || at[len] != ':')
            continue;
        at += len + 1;
        at += strspn(at, " \t");
        free(c->value);
        c->value = slice_dup((struct slice){ at, strcspn(at, "\r\n") });
        return c->value;
    }
    return NULL;
}

/* Is it the answer to our key? */
static bool accept_right(const char *accept)
{
    static const char both[] = WS_CLIENT_KEY "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[EVP_MAX_MD_SIZE];
    char text[64];
    unsigned len = 0;

    if (!accept || !EVP_Digest(both, sizeof(both) - 1, digest, &len, EVP_sha1(), NULL))
        return false;
    EVP_EncodeBlock((unsigned char *)text, digest, (int)len);
    return strcmp(text, accept) == 0;
}

static int window_in(const char *extensions, const char *name)
{
    const char *at = strstr(extensions, name);

    return at ? atoi(at + strlen(name)) : 15;
}

static void check_extensions(struct ws_client *c)
{
    const char *extensions = ws_client_header(c, "Sec-WebSocket-Extensions");

    if (!extensions)
        return;
    c->window = window_in(extensions, "server_max_window_bits=");
    c->own_window = window_in(extensions, "client_max_window_bits=");
    c->deflates = strncmp(extensions, "permessage-deflate", 18) == 0;
    if (!c->deflates || strchr(extensions, ',') || c->window < 8 || c->window > 15 ||
        c->own_window < 8 || c->own_window > 15)
        say_wrong(c, "extensions that nobody has offered");
    if (!strstr(extensions, "server_no_context_takeover") ||
        !strstr(extensions, "client_no_context_takeover"))
        say_wrong(c, "context taken over, for which this client is too simple");
}

static void understand_head(struct ws_client *c)
{
    const char *at = c->in.at ? c->in.at : "";
    const char *end = memmem(at, c->in.len, "\r\n\r\n", 4);

    if (!end)
        return;
    size_t len = (size_t)(end - at) + 4;
    c->head = slice_dup((struct slice){ at, len });
    c->in_off = len;
    c->answered = true;
    c->status = strncmp(c->head, "HTTP/1.1 ", 9) == 0 ? atoi(c->head + 9) : -1;
    if (c->status != 101)
        return;
    const char *upgrade = ws_client_header(c, "Upgrade");
    if (!upgrade || strcasecmp(upgrade, "websocket") != 0)
        say_wrong(c, "101 without Upgrade: websocket");
    const char *connection = ws_client_header(c, "Connection");
    if (!connection || strcasecmp(connection, "Upgrade") != 0)
        say_wrong(c, "101 without Connection: Upgrade");
    if (!accept_right(ws_client_header(c, "Sec-WebSocket-Accept")))
        say_wrong(c, "Sec-WebSocket-Accept");
    check_extensions(c);
}

/* ---- moving bytes ---------------------------------------------------------------------------- */

int ws_client_fd(const struct ws_client *c)
{
    return c->fd;
}

short ws_client_wants(const struct ws_client *c)
{
    return c->out_off < c->out.len ? POLLIN | POLLOUT : POLLIN;
}

static void send_some(struct ws_client *c)
{
    while (c->fd >= 0 && c->out_off < c->out.len) {
        ssize_t n = send(c->fd, c->out.at + c->out_off, c->out.len - c->out_off, MSG_NOSIGNAL);
        c->reset |= n < 0 && errno == ECONNRESET;
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) /* something may still be read */
            c->out_off = c->out.len;
        if (n < 0)
            break;
        c->out_off += (size_t)n;
    }
    if (c->out_off == c->out.len)
        c->out_off = c->out.len = 0;
}

static void take_some(struct ws_client *c)
{
    while (c->fd >= 0) {
        if (c->in_off > c->in.len / 2 && c->in_off > READ_STEP) {
            buf_shift(&c->in, c->in_off);
            c->in_off = 0;
        }
        if (!buf_reserve(&c->in, READ_STEP))
            abort();
        ssize_t n = recv(c->fd, c->in.at + c->in.len, READ_STEP, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
            break;
        c->reset |= n < 0 && errno == ECONNRESET;
        if (n <= 0)
            lose(c);
        else
            c->in.len += (size_t)n;
    }
    if (!c->answered)
        understand_head(c);
}

void ws_client_step(struct ws_client *c)
{
    send_some(c);
    take_some(c);
}

/* Wait for the socket at most until then; false: it is later. */
static bool pump(struct ws_client *c, int64_t until)
{
    int64_t left = until - now_ms();
    struct pollfd p = { .fd = c->fd, .events = ws_client_wants(c) };

    if (left <= 0 || c->fd < 0)
        return false;
    if (poll(&p, 1, (int)left) > 0)
        ws_client_step(c);
    return true;
}

bool ws_client_answered(struct ws_client *c, int64_t ms)
{
    int64_t until = now_ms() + ms;

    while (!c->answered && pump(c, until)) {
    }
    return c->answered || c->closed;
}

bool ws_client_flush(struct ws_client *c, int64_t ms)
{
    int64_t until = now_ms() + ms;

    ws_client_step(c);
    while (c->out.len > 0 && pump(c, until)) {
    }
    return c->out.len == 0;
}

bool ws_client_push(struct ws_client *c, int64_t ms)
{
    struct pollfd p = { .fd = c->fd, .events = POLLOUT };

    send_some(c);
    while (c->out.len > 0 && poll(&p, 1, (int)ms) > 0)
        send_some(c);
    return c->out.len == 0;
}

/* ---- saying ---------------------------------------------------------------------------------- */

void ws_client_bytes(struct ws_client *c, struct slice bytes)
{
    buf_put(&c->out, bytes);
    send_some(c);
}

void ws_client_frame(struct ws_client *c, unsigned opcode, unsigned special, struct slice payload)
{
    ws_frame_put(&c->out, opcode, special, payload);
    send_some(c);
}

void ws_client_say(struct ws_client *c, unsigned opcode, struct slice message)
{
    ws_client_frame(c, opcode, 0, message);
}

void ws_client_say_packed(struct ws_client *c, unsigned opcode, struct slice message)
{
    struct buf packed = BUF_EMPTY;

    if (!c->deflates) {
        ws_client_say(c, opcode, message);
        return;
    }
    ws_frame_deflate(&packed, c->own_window, message);
    ws_client_frame(c, opcode, FRAME_RSV1, buf_slice(&packed));
    buf_fini(&packed);
}

void ws_client_close(struct ws_client *c, unsigned code, const char *reason)
{
    ws_frame_put_close(&c->out, code, slice_of(reason));
    send_some(c);
}

/* ---- hearing --------------------------------------------------------------------------------- */

static void hear_close(struct ws_client *c, struct slice payload)
{
    if (c->code)
        say_wrong(c, "two close frames");
    c->code = 1005;
    if (payload.len == 1)
        say_wrong(c, "half a close code");
    if (payload.len < 2)
        return;
    c->code = (unsigned)((unsigned char)payload.at[0] << 8 | (unsigned char)payload.at[1]);
    struct slice reason = { payload.at + 2, payload.len - 2 };
    if (!utf8_valid(reason))
        say_wrong(c, "reason that is not UTF-8");
    free(c->reason);
    c->reason = slice_dup(reason);
}

/* A data frame; true: its message is whole. */
static bool hear_data(struct ws_client *c, const struct ws_frame *f)
{
    if ((f->opcode == FRAME_CONT) != (c->opcode != 0))
        say_wrong(c, "fragments out of order");
    if (f->rsv1 && (f->opcode == FRAME_CONT || !c->deflates))
        say_wrong(c, "RSV1 where it does not belong");
    if (f->opcode != FRAME_CONT) {
        c->opcode = f->opcode;
        c->packed = f->rsv1;
        c->frames = 0;
        c->message.len = 0;
    }
    c->frames++;
    buf_put(&c->message, f->payload);
    return f->fin;
}

static void show_message(struct ws_client *c, struct ws_message *m)
{
    *m = (struct ws_message){ c->opcode, buf_slice(&c->message), c->packed, c->frames };
    c->opcode = 0;
    if (m->packed) {
        c->inflated.len = 0;
        if (!ws_frame_inflate(&c->inflated, c->window, m->data))
            say_wrong(c, "a message that cannot be inflated");
        m->data = buf_slice(&c->inflated);
    }
    if (m->opcode == FRAME_TEXT && !utf8_valid(m->data))
        say_wrong(c, "text that is not UTF-8");
}

bool ws_client_next(struct ws_client *c, struct ws_message *m)
{
    struct ws_frame f;

    while (c->answered && c->status == 101 && !c->wrong && c->in_off < c->in.len) {
        struct slice in = { c->in.at + c->in_off, c->in.len - c->in_off };
        enum ws_frame_read read = ws_frame_next(&in, &f);
        if (read == WS_FRAME_WRONG || (read == WS_FRAME_WHOLE && (f.rsv2 || f.rsv3)))
            say_wrong(c, "a frame that no server may send");
        if (read != WS_FRAME_WHOLE || c->wrong)
            return false;
        c->in_off = c->in.len - in.len;
        if (c->code)
            say_wrong(c, "something after the close frame");
        if (f.opcode == FRAME_CLOSE)
            hear_close(c, f.payload);
        if (f.opcode >= 8) {
            *m = (struct ws_message){ f.opcode, f.payload, false, 1 };
            return true;
        }
        if (f.opcode > FRAME_BINARY)
            say_wrong(c, "a reserved opcode");
        if (hear_data(c, &f)) {
            show_message(c, m);
            return true;
        }
    }
    return false;
}

bool ws_client_hear(struct ws_client *c, struct ws_message *m, int64_t ms)
{
    int64_t until = now_ms() + ms;

    do {
        if (ws_client_next(c, m))
            return true;
    } while (!c->wrong && pump(c, until));
    return ws_client_next(c, m);
}

bool ws_client_gone(struct ws_client *c, int64_t ms)
{
    int64_t until = now_ms() + ms;
    struct ws_message m;

    do {
        while (ws_client_next(c, &m)) {
        }
    } while (pump(c, until));
    while (ws_client_next(c, &m)) {
    }
    return c->closed;
}

bool ws_client_over(const struct ws_client *c)
{
    return c->closed && c->in_off == c->in.len;
}

bool ws_client_was_reset(const struct ws_client *c)
{
    return c->reset;
}

int ws_client_status(const struct ws_client *c)
{
    return c->status;
}

bool ws_client_deflates(const struct ws_client *c)
{
    return c->deflates;
}

int ws_client_window(const struct ws_client *c)
{
    return c->window;
}

unsigned ws_client_code(const struct ws_client *c)
{
    return c->code;
}

const char *ws_client_reason(const struct ws_client *c)
{
    return c->reason ? c->reason : "";
}

const char *ws_client_wrong(const struct ws_client *c)
{
    return c->wrong;
}
