/*
 * fcgi_wire.c - FastCGI records into requests, without any I/O.
 *
 * Records fall into two kinds.  Streams (PARAMS, STDIN) are passed on as they come, whatever the
 * cut.  The others (BEGIN_REQUEST, GET_VALUES) are small and are collected in wire->small until
 * whole.  Everything else is content to be stepped over.
 *
 * A request that is too large is not an error of the connection: its bytes are thrown away and the
 * request is handed up with a mark, so that it can be refused in words while the connection, and
 * everybody else, goes on.
 */
#include "fcgi/fcgi_wire.h"

#include "fcgi/params.h"

void fcgi_wire_init(struct fcgi_wire *w, size_t max_body, uint32_t max_conns)
{
    *w = (struct fcgi_wire){ .max_body = max_body, .max_conns = max_conns };
}

void fcgi_wire_fini(struct fcgi_wire *w)
{
    fcgi_wire_release(w);
    buf_fini(&w->small);
}

void fcgi_wire_resume(struct fcgi_wire *w, uint16_t id, bool keep)
{
    w->state = FCGI_STATE_SERVED;
    w->id = id;
    w->keep = keep;
}

void fcgi_wire_release(struct fcgi_wire *w)
{
    buf_fini(&w->params);
    buf_fini(&w->body);
}

void fcgi_wire_answered(struct fcgi_wire *w)
{
    fcgi_wire_release(w);
    w->state = FCGI_STATE_IDLE;
    w->params_too_large = w->body_too_large = false;
    w->discarded = 0;
}

void fcgi_wire_discard_body(struct fcgi_wire *w)
{
    w->body_too_large = true;
    buf_fini(&w->body);
}

bool fcgi_wire_at_rest(const struct fcgi_wire *w)
{
    return w->head_len == 0 && !w->waits &&
           (w->state == FCGI_STATE_IDLE || w->state == FCGI_STATE_SERVED);
}

/* ---- what we write --------------------------------------------------------------------------- */

size_t fcgi_put_header(uint8_t *out, uint8_t type, uint16_t id, uint16_t length)
{
    const FCGI_Header head = {
        .version = FCGI_VERSION_1,
        .type = type,
        .requestIdB1 = (uint8_t)(id >> 8),
        .requestIdB0 = (uint8_t)id,
        .contentLengthB1 = (uint8_t)(length >> 8),
        .contentLengthB0 = (uint8_t)length,
    };
    memcpy(out, &head, sizeof(head));
    return sizeof(head);
}

size_t fcgi_put_end(uint8_t *out, uint16_t id, uint8_t protocol_status)
{
    const FCGI_EndRequestBody body = { .protocolStatus = protocol_status };
    size_t len = fcgi_put_header(out, FCGI_END_REQUEST, id, sizeof(body));
    memcpy(out + len, &body, sizeof(body));
    return len + sizeof(body);
}

size_t fcgi_put_trailer(uint8_t out[FCGI_TRAILER_LEN], uint16_t id)
{
    size_t len = fcgi_put_header(out, FCGI_STDOUT, id, 0);
    return len + fcgi_put_end(out + len, id, FCGI_REQUEST_COMPLETE);
}

static enum fcgi_step say_unknown_type(struct fcgi_wire *w, uint8_t type)
{
    const FCGI_UnknownTypeBody body = { .type = type };
    size_t len = fcgi_put_header(w->reply, FCGI_UNKNOWN_TYPE, FCGI_NULL_REQUEST_ID, sizeof(body));
    memcpy(w->reply + len, &body, sizeof(body));
    w->reply_len = len + sizeof(body);
    return FCGI_STEP_REPLY;
}

static enum fcgi_step say_end(struct fcgi_wire *w, uint16_t id, uint8_t protocol_status)
{
    w->reply_len = fcgi_put_end(w->reply, id, protocol_status);
    return FCGI_STEP_REPLY;
}

/* The names asked for that we know, each with its value (specification, section 4.1). */
static enum fcgi_step say_values(struct fcgi_wire *w)
{
    struct slice rest = buf_slice(&w->small), name, value;
    struct buf pairs = BUF_EMPTY;
    bool conns = false, reqs = false, mpxs = false;

    while (params_next(&rest, &name, &value) == RC_OK) {
        conns |= slice_is(name, SLICE(FCGI_MAX_CONNS));
        reqs |= slice_is(name, SLICE(FCGI_MAX_REQS));
        mpxs |= slice_is(name, SLICE(FCGI_MPXS_CONNS));
    }
    struct buf number = BUF_EMPTY;
    buf_printf(&number, "%u", (unsigned)w->max_conns);
    if (conns)
        params_put(&pairs, SLICE(FCGI_MAX_CONNS), buf_slice(&number));
    if (reqs)
        params_put(&pairs, SLICE(FCGI_MAX_REQS), buf_slice(&number));
    if (mpxs)
        params_put(&pairs, SLICE(FCGI_MPXS_CONNS), SLICE("0"));
    bool ok = buf_rc(&number) == RC_OK && buf_rc(&pairs) == RC_OK;
    if (ok) { /* three known names: far below FCGI_REPLY_MAX */
        w->reply_len = fcgi_put_header(w->reply, FCGI_GET_VALUES_RESULT, FCGI_NULL_REQUEST_ID,
                                       (uint16_t)pairs.len);
        if (pairs.len > 0)
            memcpy(w->reply + w->reply_len, pairs.at, pairs.len);
        w->reply_len += pairs.len;
    }
    buf_fini(&number);
    buf_fini(&pairs);
    return ok ? FCGI_STEP_REPLY : FCGI_STEP_NOMEM;
}

/* ---- what we read ---------------------------------------------------------------------------- */

static uint8_t record_type(const struct fcgi_wire *w)
{
    return w->head[offsetof(FCGI_Header, type)];
}

static uint16_t record_id(const struct fcgi_wire *w)
{
    return (uint16_t)(w->head[offsetof(FCGI_Header, requestIdB1)] << 8 |
                      w->head[offsetof(FCGI_Header, requestIdB0)]);
}

static uint32_t record_length(const struct fcgi_wire *w)
{
    return (uint32_t)w->head[offsetof(FCGI_Header, contentLengthB1)] << 8 |
           w->head[offsetof(FCGI_Header, contentLengthB0)];
}

static enum fcgi_step broken(struct fcgi_wire *w, const char *why)
{
    w->why = why;
    return FCGI_STEP_BROKEN;
}

/* Is the record part of the request that is arriving or being answered? */
static bool is_ours(const struct fcgi_wire *w)
{
    return w->state != FCGI_STATE_IDLE && record_id(w) == w->id;
}

/* Records that are read whole before they mean anything. */
static bool is_small(const struct fcgi_wire *w)
{
    if (record_type(w) == FCGI_BEGIN_REQUEST)
        return record_id(w) != FCGI_NULL_REQUEST_ID;
    return record_type(w) == FCGI_GET_VALUES && record_id(w) == FCGI_NULL_REQUEST_ID &&
           record_length(w) <= FCGI_VALUES_MAX;
}

static enum fcgi_step take_head(struct fcgi_wire *w)
{
    if (w->head[offsetof(FCGI_Header, version)] != FCGI_VERSION_1)
        return broken(w, "not a FastCGI record of version 1");
    w->content = record_length(w);
    w->padding = w->head[offsetof(FCGI_Header, paddingLength)];
    w->small.len = 0;
    if (record_type(w) == FCGI_BEGIN_REQUEST && w->content != sizeof(FCGI_BeginRequestBody))
        return broken(w, "BEGIN_REQUEST of a wrong length");
    return FCGI_STEP_MORE;
}

/* Keep a piece of a stream, or throw it away when it has passed its limit. */
static enum fcgi_step keep(struct fcgi_wire *w, struct buf *stream, size_t max, bool *too_large,
                           struct slice piece)
{
    if (!*too_large && piece.len <= max - stream->len) {
        buf_put(stream, piece);
        return buf_rc(stream) == RC_OK ? FCGI_STEP_MORE : FCGI_STEP_NOMEM;
    }
    *too_large = true;
    w->discarded += stream->len + piece.len;
    buf_fini(stream);
    return FCGI_STEP_MORE;
}

static enum fcgi_step take_content(struct fcgi_wire *w, struct slice piece)
{
    if (is_small(w)) {
        buf_put(&w->small, piece);
        return buf_rc(&w->small) == RC_OK ? FCGI_STEP_MORE : FCGI_STEP_NOMEM;
    }
    if (!is_ours(w))
        return FCGI_STEP_MORE;
    if (record_type(w) == FCGI_PARAMS && w->state == FCGI_STATE_PARAMS) {
        enum fcgi_step step = keep(w, &w->params, FCGI_PARAMS_MAX, &w->params_too_large, piece);
        return w->discarded > FCGI_DISCARD_MAX ? broken(w, "PARAMS without end") : step;
    }
    if (record_type(w) == FCGI_STDIN && w->state == FCGI_STATE_STDIN)
        return keep(w, &w->body, w->max_body, &w->body_too_large, piece);
    return FCGI_STEP_MORE;
}

static enum fcgi_step begin(struct fcgi_wire *w)
{
    FCGI_BeginRequestBody body;
    uint16_t id = record_id(w);

    memcpy(&body, w->small.at, sizeof(body));
    if (w->state != FCGI_STATE_IDLE && id != w->id)
        return say_end(w, id, FCGI_CANT_MPX_CONN);
    if (w->state == FCGI_STATE_SERVED) {
        w->waits = true;
        return FCGI_STEP_NEXT;
    }
    if (w->state != FCGI_STATE_IDLE)
        return broken(w, "BEGIN_REQUEST within a request");
    if ((body.roleB1 << 8 | body.roleB0) != FCGI_RESPONDER) {
        w->reply_closes = !(body.flags & FCGI_KEEP_CONN);
        return say_end(w, id, FCGI_UNKNOWN_ROLE);
    }
    w->state = FCGI_STATE_PARAMS;
    w->id = id;
    w->keep = (body.flags & FCGI_KEEP_CONN) != 0;
    return FCGI_STEP_MORE;
}

/* A record is complete, padding and all. */
static enum fcgi_step record_ends(struct fcgi_wire *w)
{
    bool empty = record_length(w) == 0;

    w->head_len = 0;
    if (record_id(w) == FCGI_NULL_REQUEST_ID)
        return is_small(w) ? say_values(w) : say_unknown_type(w, record_type(w));
    switch (record_type(w)) {
    case FCGI_BEGIN_REQUEST:
        return begin(w);
    case FCGI_ABORT_REQUEST:
        return is_ours(w) ? FCGI_STEP_ABORTED : FCGI_STEP_MORE;
    case FCGI_PARAMS:
        if (is_ours(w) && empty && w->state == FCGI_STATE_PARAMS)
            w->state = FCGI_STATE_STDIN;
        return FCGI_STEP_MORE;
    case FCGI_STDIN:
        if (!is_ours(w) || !empty || w->state != FCGI_STATE_STDIN)
            return FCGI_STEP_MORE;
        w->state = FCGI_STATE_SERVED;
        return FCGI_STEP_REQUEST;
    default: /* DATA is for the FILTER role; other types have no meaning from this side */
        return FCGI_STEP_MORE;
    }
}

static struct slice cut(struct slice *in, size_t most)
{
    struct slice piece = { in->at, in->len < most ? in->len : most };
    in->at += piece.len;
    in->len -= piece.len;
    return piece;
}

enum fcgi_step fcgi_wire_feed(struct fcgi_wire *w, struct slice *in)
{
    enum fcgi_step step = FCGI_STEP_MORE;

    if (w->waits) {
        if (w->state == FCGI_STATE_SERVED)
            return FCGI_STEP_NEXT;
        w->waits = false;
        step = begin(w);
    }
    while (step == FCGI_STEP_MORE && in->len > 0) {
        if (w->head_len < FCGI_HEADER_LEN) {
            struct slice piece = cut(in, (size_t)(FCGI_HEADER_LEN - w->head_len));
            memcpy(w->head + w->head_len, piece.at, piece.len);
            w->head_len = (uint8_t)(w->head_len + piece.len);
            if (w->head_len < FCGI_HEADER_LEN)
                break;
            step = take_head(w);
        } else if (w->content > 0) {
            struct slice piece = cut(in, w->content);
            w->content -= (uint32_t)piece.len;
            step = take_content(w, piece);
        } else {
            w->padding = (uint8_t)(w->padding - cut(in, w->padding).len);
        }
        if (step == FCGI_STEP_MORE && w->content == 0 && w->padding == 0)
            step = record_ends(w);
    }
    return step;
}
