/*
 * sse_reader.c - see sse_reader.h.
 */
#include "core/text.h"
#include "tests/bench/sse_reader.h"

/*
 * Cut the next line off *in.  True: *line is it, without its end.  False: all of *in is an
 * unfinished line, whose beginning is kept in r->line.
 */
static bool next_line(struct sse_reader *r, struct slice *in, struct slice *line)
{
    const char *end = memchr(in->at, '\n', in->len);
    size_t len = end ? (size_t)(end - in->at) : in->len;
    bool whole_here = end && r->line_len == 0;

    if (whole_here)
        *line = (struct slice){ in->at, len };
    else {
        size_t room = sizeof r->line - r->line_len, part = len < room ? len : room;
        memcpy(r->line + r->line_len, in->at, part);
        r->line_len = (uint8_t)(r->line_len + part);
        *line = (struct slice){ r->line, r->line_len };
    }
    in->at += len + (end != NULL);
    in->len -= len + (end != NULL);
    if (!end)
        return false;
    r->line_len = 0;
    /* The '\r' of a line that was cut short here is gone with its end. */
    if (line->len > 0 && line->at[line->len - 1] == '\r')
        line->len--;
    return true;
}

static void read_number(struct sse_reader *r, struct slice line)
{
    static const char field[] = "data: ";
    enum { FIELD = sizeof field - 1 };

    if (line.len < FIELD + EVENT_DIGITS || memcmp(line.at, field, FIELD) != 0)
        return;
    r->number = 0;
    for (int i = 0; i < EVENT_DIGITS; i++)
        r->number = r->number * 10 + (line.at[FIELD + i] - '0');
    r->has_number = 1;
}

static void read_body(struct sse_reader *r, struct slice in, sse_event_fn *fn, void *arg)
{
    struct slice line;

    while (in.len > 0 && next_line(r, &in, &line))
        if (line.len > 0)
            read_number(r, line);
        else if (r->has_number) {
            r->has_number = 0;
            fn(arg, r->number);
        }
}

static enum rc read_head_line(struct sse_reader *r, struct slice line)
{
    static const struct slice chunked = { "transfer-encoding: chunked", 26 };

    if (r->state == READER_STATUS) {
        r->state = READER_HEAD;
        return line.len >= 12 && memcmp(line.at + 8, " 200", 4) == 0 ? RC_OK : RC_SYNTAX;
    }
    if (line.len == 0)
        r->state = r->chunked ? READER_CHUNK_SIZE : READER_PLAIN;
    else if (slice_is_nocase(line, chunked))
        r->chunked = 1;
    return RC_OK;
}

/* One byte of the line before a chunk. */
static enum rc read_size(struct sse_reader *r, char c)
{
    if (c == '\n') {
        r->state = READER_CHUNK;
        return r->chunk_left > 0 ? RC_OK : RC_CLOSED;
    }
    if (c >= '0' && c <= '9')
        r->chunk_left = r->chunk_left * 16 + (uint64_t)(c - '0');
    else if ((c | 32) >= 'a' && (c | 32) <= 'f')
        r->chunk_left = r->chunk_left * 16 + (uint64_t)((c | 32) - 'a' + 10);
    else if (c != '\r')
        return RC_SYNTAX;
    return RC_OK;
}

enum rc sse_feed(struct sse_reader *r, struct slice in, sse_event_fn *fn, void *arg)
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
            size_t part = in.len < r->chunk_left ? in.len : (size_t)r->chunk_left;
            read_body(r, (struct slice){ in.at, part }, fn, arg);
            in.at += part, in.len -= part;
            r->chunk_left -= part;
            if (r->chunk_left == 0)
                r->state = READER_CHUNK_END;
            break;
        }
        case READER_CHUNK_END:
            if (*in.at == '\n')
                r->state = READER_CHUNK_SIZE;
            in.at++, in.len--;
            break;
        }
    return rc;
}
