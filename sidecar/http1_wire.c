/*
 * http1_wire.c - bytes into HTTP/1 requests, without any I/O.
 *
 * Lines are walked byte by byte, to find their end and to see that each byte is one that may stand
 * there; the head is kept whole, and understood when its empty line has come (http1_head.c).  Where
 * in a line we are is the spot:
 *
 *      a first line     START  TEXT……………………………………… CR
 *      a field          START  NAME……… TEXT………………… CR      START CR: the empty line, END
 *      a chunk's size   START……………… TEXT (extensions) CR
 *      after a chunk    START                          CR
 */
#include "sidecar/http1_wire.h"

enum spot { START, NAME, TEXT, BLANK, CR, END };

void http1_wire_init(struct http1_wire *w, size_t max_body)
{
    *w = (struct http1_wire){ .max_body = max_body };
}

void http1_wire_release(struct http1_wire *w)
{
    buf_fini(&w->bytes);
    buf_fini(&w->body);
    w->head = (struct http1_head){ .method = SLICE_NONE };
}

void http1_wire_fini(struct http1_wire *w)
{
    http1_wire_release(w);
}

void http1_wire_answered(struct http1_wire *w)
{
    http1_wire_release(w);
    http1_wire_init(w, w->max_body);
}

bool http1_wire_at_rest(const struct http1_wire *w)
{
    return w->state == HTTP1_SERVED ||
           (w->state == HTTP1_LINE && w->bytes.len == 0 && w->spot == START);
}

static enum http1_step broken(struct http1_wire *w, int status, const char *why)
{
    w->fault = (struct http1_fault){ status, why };
    return HTTP1_STEP_BROKEN;
}

static enum http1_step malformed(struct http1_wire *w)
{
    return broken(w, 400, "The request is malformed.");
}

static struct slice after(struct slice s, size_t n)
{
    return (struct slice){ s.at + n, s.len - n };
}

/* ---- the first line -------------------------------------------------------------------------- */

/* What stands in *in up to the first of its bytes that is not part of the line's text. */
static size_t text_len(struct slice in)
{
    size_t n = 0;
    while (n < in.len && in.at[n] >= ' ' && in.at[n] < 0x7F)
        n++;
    return n;
}

/* One byte of the first line that is not text. */
static enum http1_step line_byte(struct http1_wire *w, char c)
{
    struct http1_head head;

    switch (w->spot) {
    case START: /* nothing yet: perhaps an empty line, left over by an old client */
        if (c != '\r' || w->blanks == HTTP1_BLANKS_MAX)
            return malformed(w);
        w->spot = BLANK;
        return HTTP1_STEP_MORE;
    case BLANK:
        if (c != '\n')
            return malformed(w);
        w->blanks++;
        w->spot = START;
        return HTTP1_STEP_MORE;
    case TEXT:
        if (c != '\r')
            return malformed(w);
        buf_putc(&w->bytes, c);
        w->spot = CR;
        return HTTP1_STEP_MORE;
    default:
        if (c != '\n')
            return malformed(w);
        /* Early: why listen to the rest of what cannot be served? */
        if (http1_line_read((struct slice){ w->bytes.at, w->bytes.len - 1 }, &head, &w->fault) !=
            RC_OK)
            return HTTP1_STEP_BROKEN;
        buf_putc(&w->bytes, c);
        w->line_len = (uint32_t)w->bytes.len;
        w->state = HTTP1_FIELDS;
        w->spot = START;
        return HTTP1_STEP_MORE;
    }
}

static enum http1_step feed_line(struct http1_wire *w, struct slice *in)
{
    size_t n = w->spot == START || w->spot == TEXT ? text_len(*in) : 0;

    if (n > 0 && w->spot == START && !http1_is_token((unsigned char)in->at[0]))
        return malformed(w);
    if (n > HTTP1_LINE_MAX - w->bytes.len)
        return broken(w, 414, "The request's address is too long.");
    if (n > 0) {
        buf_put(&w->bytes, (struct slice){ in->at, n });
        *in = after(*in, n);
        w->spot = TEXT;
    }
    if (in->len == 0)
        return HTTP1_STEP_MORE;
    char c = in->at[0];
    *in = after(*in, 1);
    return line_byte(w, c);
}

/* ---- fields and trailers --------------------------------------------------------------------- */

/* One byte of a field; END when it was the last of the empty line. */
static bool field_byte(struct http1_wire *w, unsigned char c)
{
    switch (w->spot) {
    case START:
        w->spot = c == '\r' ? BLANK : NAME;
        return c == '\r' || http1_is_token(c); /* a blank would fold the line before (5.2) */
    case NAME:
        w->spot = c == ':' ? TEXT : NAME;
        return c == ':' || http1_is_token(c);
    case TEXT:
        w->spot = c == '\r' ? CR : TEXT;
        return c == '\r' || http1_is_value(c);
    default:
        w->count += w->spot == CR;
        w->spot = w->spot == CR ? START : END;
        return c == '\n';
    }
}

static enum http1_step head_is_complete(struct http1_wire *w);
static enum http1_step is_complete(struct http1_wire *w);

static enum http1_step feed_fields(struct http1_wire *w, struct slice *in)
{
    size_t room = HTTP1_FIELDS_MAX - (w->bytes.len - w->line_len), n = 0;

    while (n < in->len && n < room && w->spot != END && w->count <= HTTP1_COUNT_MAX)
        if (!field_byte(w, (unsigned char)in->at[n++]))
            return malformed(w);
    if (w->count > HTTP1_COUNT_MAX || (n == room && w->spot != END))
        return broken(w, 431, "The request's header fields are too large, or too many.");
    buf_put(&w->bytes, (struct slice){ in->at, n });
    *in = after(*in, n);
    if (buf_rc(&w->bytes) != RC_OK)
        return HTTP1_STEP_NOMEM;
    return w->spot == END ? head_is_complete(w) : HTTP1_STEP_MORE;
}

static enum http1_step feed_trailers(struct http1_wire *w, struct slice *in)
{
    while (in->len > 0 && w->spot != END) {
        if (w->count > HTTP1_COUNT_MAX || w->besides++ >= HTTP1_BESIDES_MAX)
            return broken(w, 431, "The request's trailers are too large, or too many.");
        if (!field_byte(w, (unsigned char)in->at[0]))
            return malformed(w);
        *in = after(*in, 1);
    }
    return w->spot == END ? is_complete(w) : HTTP1_STEP_MORE;
}

/* ---- the body -------------------------------------------------------------------------------- */

static enum http1_step is_complete(struct http1_wire *w)
{
    w->state = HTTP1_SERVED;
    return HTTP1_STEP_REQUEST;
}

/* The request is served without its body, and the connection ends with it. */
static enum http1_step too_large(struct http1_wire *w)
{
    buf_fini(&w->body);
    w->body_too_large = true;
    w->head.keep = false;
    return is_complete(w);
}

static enum http1_step head_is_complete(struct http1_wire *w)
{
    enum rc rc = http1_head_read(&w->bytes, &w->head, &w->fault);

    if (rc == RC_NOMEM)
        return HTTP1_STEP_NOMEM;
    if (rc != RC_OK)
        return HTTP1_STEP_BROKEN;
    w->spot = START;
    w->count = 0;
    if (!w->head.chunked && w->head.length > w->max_body)
        return too_large(w);
    if (!w->head.chunked && w->head.length == 0)
        return is_complete(w);
    w->state = w->head.chunked ? HTTP1_SIZE : HTTP1_BODY;
    w->left = w->head.chunked ? 0 : w->head.length;
    return w->head.expects ? HTTP1_STEP_CONTINUE : HTTP1_STEP_MORE;
}

/* Take what there is of the body or the chunk; false: no memory. */
static bool take(struct http1_wire *w, struct slice *in)
{
    size_t n = in->len < w->left ? in->len : (size_t)w->left;

    buf_put(&w->body, (struct slice){ in->at, n });
    *in = after(*in, n);
    w->left -= n;
    return buf_rc(&w->body) == RC_OK;
}

static enum http1_step feed_body(struct http1_wire *w, struct slice *in)
{
    if (!take(w, in))
        return HTTP1_STEP_NOMEM;
    return w->left == 0 ? is_complete(w) : HTTP1_STEP_MORE;
}

static int hex_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The size is known. */
static enum http1_step begin_chunk(struct http1_wire *w)
{
    w->spot = START;
    w->digits = 0;
    if (w->left == 0)
        w->state = HTTP1_TRAILERS;
    else if (w->left > w->max_body - w->body.len)
        return too_large(w);
    else
        w->state = HTTP1_CHUNK;
    return HTTP1_STEP_MORE;
}

/* Digits, perhaps blanks and a semicolon and whatever, CR, LF (section 7.1). */
static enum http1_step size_byte(struct http1_wire *w, char c)
{
    int digit = hex_of(c);

    if (w->spot == CR)
        return c == '\n' ? begin_chunk(w) : malformed(w);
    if (w->spot == START && digit >= 0) {
        if (w->digits++ == HTTP1_CHUNK_DIGITS)
            return broken(w, 413, "A chunk of the request's body is too large.");
        w->left = w->left * 16 + (uint64_t)digit;
        return HTTP1_STEP_MORE;
    }
    if (w->digits == 0)
        return malformed(w);
    if (c == '\r' && w->spot != BLANK) {
        w->spot = CR;
        return HTTP1_STEP_MORE;
    }
    if (w->besides++ >= HTTP1_BESIDES_MAX)
        return broken(w, 400, "The request's chunk extensions are too long.");
    if (w->spot == TEXT)
        return http1_is_value((unsigned char)c) ? HTTP1_STEP_MORE : malformed(w);
    w->spot = c == ';' ? TEXT : BLANK;
    return c == ';' || c == ' ' || c == '\t' ? HTTP1_STEP_MORE : malformed(w);
}

static enum http1_step feed_size(struct http1_wire *w, struct slice *in)
{
    char c = in->at[0];

    *in = after(*in, 1);
    return size_byte(w, c);
}

static enum http1_step feed_chunk(struct http1_wire *w, struct slice *in)
{
    if (w->left > 0)
        return take(w, in) ? HTTP1_STEP_MORE : HTTP1_STEP_NOMEM;
    char c = in->at[0];
    *in = after(*in, 1);
    if (c != (w->spot == START ? '\r' : '\n'))
        return malformed(w);
    if (w->spot == CR) {
        w->spot = START;
        w->state = HTTP1_SIZE;
    } else {
        w->spot = CR;
    }
    return HTTP1_STEP_MORE;
}

enum http1_step http1_wire_feed(struct http1_wire *w, struct slice *in)
{
    static enum http1_step (*const feed[])(struct http1_wire *, struct slice *) = {
        [HTTP1_LINE] = feed_line, [HTTP1_FIELDS] = feed_fields, [HTTP1_BODY] = feed_body,
        [HTTP1_SIZE] = feed_size, [HTTP1_CHUNK] = feed_chunk,   [HTTP1_TRAILERS] = feed_trailers,
    };
    enum http1_step step = HTTP1_STEP_MORE;

    while (step == HTTP1_STEP_MORE && in->len > 0) {
        step = feed[w->state](w, in);
        if (step == HTTP1_STEP_MORE && buf_rc(&w->bytes) != RC_OK)
            step = HTTP1_STEP_NOMEM;
    }
    return step;
}
