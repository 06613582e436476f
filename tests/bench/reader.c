/*
 * reader.c - see reader.h.
 */
#include "core/text.h"
#include "tests/bench/reader.h"
#include "tests/peers/process.h"

/* Key and answer of the example in RFC 6455 section 1.3: a server that is measured has no secrets.
 */
#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum { START = 200 }; /* bytes of a message: the number is among them */

enum { FIN_TEXT = 0x81, FIN_BINARY = 0x82, FIN_CLOSE = 0x88, FIN_PING = 0x89, FIN_PONG = 0x8a };

char *reader_request(const char *target, bool websocket)
{
    return text_of("GET %s HTTP/1.1\r\nHost: bench\r\n%s\r\n", target,
                   websocket ? "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n"
                             : "Accept: text/event-stream\r\n");
}

/* --- lines --------------------------------------------------------------------------------- */

/*
 * Cut the next line off *in.  True: *line is it, without its end.  False: all of *in is an
 * unfinished line, whose beginning is kept in r->line.
 */
static bool next_line(struct reader *r, struct slice *in, struct slice *line)
{
    const char *end = memchr(in->at, '\n', in->len);
    size_t len = end ? (size_t)(end - in->at) : in->len;
    bool whole_here = end && r->kept == 0;

    if (whole_here)
        *line = (struct slice){ in->at, len };
    else {
        size_t room = sizeof r->line - r->kept, part = len < room ? len : room;
        memcpy(r->line + r->kept, in->at, part);
        r->kept = (uint8_t)(r->kept + part);
        *line = (struct slice){ r->line, r->kept };
    }
    in->at += len + (end != NULL);
    in->len -= len + (end != NULL);
    if (!end)
        return false;
    r->kept = 0;
    /* The '\r' of a line that was cut short here is gone with its end. */
    if (line->len > 0 && line->at[line->len - 1] == '\r')
        line->len--;
    return true;
}

/* --- server-sent events -------------------------------------------------------------------- */

static int64_t number_at(const char *digits)
{
    int64_t number = 0;
    for (int i = 0; i < EVENT_DIGITS; i++)
        number = number * 10 + (digits[i] - '0');
    return number;
}

static void read_number(struct reader *r, struct slice line)
{
    static const char field[] = "data: ";
    enum { FIELD = sizeof field - 1 };

    if (line.len < FIELD + EVENT_DIGITS || memcmp(line.at, field, FIELD) != 0)
        return;
    r->number = number_at(line.at + FIELD);
    r->has_number = true;
}

static void read_body(struct reader *r, struct slice in, reader_event_fn *fn, void *arg)
{
    struct slice line;

    while (in.len > 0 && next_line(r, &in, &line))
        if (line.len > 0)
            read_number(r, line);
        else if (r->has_number) {
            r->has_number = false;
            fn(arg, r->number);
        }
}

/* --- frames -------------------------------------------------------------------------------- */

static size_t frame_head(const unsigned char *at)
{
    return at[1] == 127 ? 10 : at[1] == 126 ? 4 : 2;
}

static uint64_t payload_of(const unsigned char *at)
{
    uint64_t len = at[1];

    if (len >= 126)
        for (size_t i = len = 0; i < frame_head(at) - 2; i++)
            len = len << 8 | at[2 + i];
    return len;
}

/* How much must be together before more can be said of a frame that begins with these bytes. */
static size_t frame_part(const unsigned char *at, size_t len)
{
    if (len < 2)
        return 2;
    if (len < frame_head(at))
        return frame_head(at);
    uint64_t payload = payload_of(at);
    return frame_head(at) + (payload < START ? (size_t)payload : START);
}

/* A whole control frame (RFC 6455 section 5.5). */
static enum rc read_control(struct reader *r, unsigned opcode, struct slice payload)
{
    if (payload.len > 125)
        return RC_SYNTAX;
    switch (opcode) {
    case FIN_PING:
        r->pong[0] = (char)FIN_PONG;
        r->pong[1] = (char)(0x80 | payload.len);
        memset(r->pong + 2, 0, 4); /* a mask that changes nothing */
        memcpy(r->pong + 6, payload.at, payload.len);
        r->ping = (uint8_t)(6 + payload.len);
        return RC_OK;
    case FIN_PONG:
        return RC_OK;
    case FIN_CLOSE:
        return RC_CLOSED;
    default: /* a fragment, a compressed message: nobody was asked for that */
        return RC_SYNTAX;
    }
}

/*
 * A message is an event's data, or JSON with the data in it, always in about the same place; or it
 * is something that the server says about itself.
 */
static enum rc read_message(struct reader *r, struct slice start)
{
    static const char member[] = "\"data\":\"", note[] = "{\"type\":";
    enum { MEMBER = sizeof member - 1, NOTE = sizeof note - 1 };
    const char *at = start.at;

    r->has_number = start.len > NOTE && memcmp(start.at, note, NOTE) != 0;
    if (start.len > MEMBER && *at == '{' && r->has_number) {
        at += r->data_at;
        if ((size_t)r->data_at + MEMBER > start.len || memcmp(at, member, MEMBER) != 0)
            at = memmem(start.at, start.len, member, MEMBER);
        if (!at)
            return RC_SYNTAX;
        r->data_at = (uint8_t)(at - start.at);
        at += MEMBER;
    }
    if (!r->has_number)
        return RC_OK;
    if (start.at + start.len < at + EVENT_DIGITS)
        return RC_SYNTAX;
    r->number = number_at(at);
    return RC_OK;
}

static enum rc read_frame_start(struct reader *r, const char *start, size_t part)
{
    const unsigned char *at = (const unsigned char *)start;
    size_t head = frame_head(at);
    struct slice payload = { start + head, part - head };
    uint64_t len = payload_of(at);

    if (at[1] > 127 || len > (uint64_t)EVENT_MESSAGE_MAX) /* masked, or too long */
        return RC_SYNTAX;
    if (at[0] != FIN_TEXT && at[0] != FIN_BINARY)
        return read_control(r, at[0], payload);
    r->left = len - payload.len;
    r->state = READER_FRAME;
    return read_message(r, payload);
}

/* The start of a frame: head, and as much of the payload as holds the number.  It is looked at
   where it lies, unless it is cut. */
static enum rc read_frame_head(struct reader *r, struct slice *in)
{
    size_t want;

    if (r->kept == 0 && (want = frame_part((const unsigned char *)in->at, in->len)) <= in->len) {
        const char *start = in->at;
        in->at += want, in->len -= want;
        return read_frame_start(r, start, want);
    }
    while (r->kept < (want = frame_part((const unsigned char *)r->line, r->kept))) {
        size_t part = want - r->kept < in->len ? want - r->kept : in->len;
        if (part == 0)
            return RC_OK;
        memcpy(r->line + r->kept, in->at, part);
        r->kept = (uint8_t)(r->kept + part);
        in->at += part, in->len -= part;
    }
    r->kept = 0;
    return read_frame_start(r, r->line, want);
}

static enum rc read_frames(struct reader *r, struct slice in, reader_event_fn *fn, void *arg)
{
    enum rc rc = RC_OK;

    while (rc == RC_OK) {
        if (r->state == READER_FRAME_HEAD && in.len > 0)
            rc = read_frame_head(r, &in);
        if (r->state == READER_FRAME_HEAD || rc != RC_OK) {
            if (in.len == 0)
                break;
            continue;
        }
        size_t part = in.len < r->left ? in.len : (size_t)r->left;
        in.at += part, in.len -= part;
        r->left -= part;
        if (r->left > 0)
            break;
        r->state = READER_FRAME_HEAD;
        if (r->has_number)
            fn(arg, r->number);
    }
    return rc;
}

struct slice reader_owes(struct reader *r)
{
    struct slice pong = { r->pong, r->ping };
    r->ping = 0;
    return pong;
}

/* --- the answer ---------------------------------------------------------------------------- */

static enum rc read_head_line(struct reader *r, struct slice line)
{
    static const struct slice chunked = { "transfer-encoding: chunked", 26 };

    if (r->state == READER_STATUS) {
        r->state = READER_HEAD;
        r->websocket = line.len >= 12 && memcmp(line.at + 8, " 101", 4) == 0;
        return r->websocket || (line.len >= 12 && memcmp(line.at + 8, " 200", 4) == 0) ? RC_OK
                                                                                       : RC_SYNTAX;
    }
    if (line.len == 0 && r->websocket) {
        r->state = READER_FRAME_HEAD;
        return r->accepted ? RC_OK : RC_SYNTAX;
    }
    if (line.len == 0)
        r->state = r->chunked ? READER_CHUNK_SIZE : READER_PLAIN;
    else if (slice_is_nocase(line, chunked))
        r->chunked = true;
    else if (slice_is_nocase(line, SLICE(ACCEPT)))
        r->accepted = true;
    return RC_OK;
}

/* One byte of the line before a chunk. */
static enum rc read_size(struct reader *r, char c)
{
    if (c == '\n') {
        r->state = READER_CHUNK;
        return r->left > 0 ? RC_OK : RC_CLOSED;
    }
    if (c >= '0' && c <= '9')
        r->left = r->left * 16 + (uint64_t)(c - '0');
    else if ((c | 32) >= 'a' && (c | 32) <= 'f')
        r->left = r->left * 16 + (uint64_t)((c | 32) - 'a' + 10);
    else if (c != '\r')
        return RC_SYNTAX;
    return RC_OK;
}

enum rc reader_feed(struct reader *r, struct slice in, reader_event_fn *fn, void *arg)
{
    struct slice line;
    enum rc rc = RC_OK;

    while (in.len > 0 && rc == RC_OK)
        switch ((enum reader_state)r->state) {
        case READER_STATUS:
        case READER_HEAD:
            if (next_line(r, &in, &line))
                rc = read_head_line(r, line);
            break;
        case READER_PLAIN:
            read_body(r, in, fn, arg);
            return RC_OK;
        case READER_CHUNK_SIZE:
            rc = read_size(r, *in.at);
            in.at++, in.len--;
            break;
        case READER_CHUNK: {
            size_t part = in.len < r->left ? in.len : (size_t)r->left;
            read_body(r, (struct slice){ in.at, part }, fn, arg);
            in.at += part, in.len -= part;
            r->left -= part;
            if (r->left == 0)
                r->state = READER_CHUNK_END;
            break;
        }
        case READER_FRAME_HEAD:
        case READER_FRAME:
            return read_frames(r, in, fn, arg);
        case READER_CHUNK_END:
            if (*in.at == '\n')
                r->state = READER_CHUNK_SIZE;
            in.at++, in.len--;
            break;
        }
    return rc;
}
