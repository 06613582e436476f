/*
 * ws_wire.c - WebSocket frames into messages, without any I/O.
 *
 * A struct ws_reading lives from the first byte of a head to the end of its frame, or of the
 * message that the frame belongs to; in between messages there is none.  It holds two things that
 * must not be confused, because control frames may come between the fragments of a message: what is
 * true of the frame (head, mask, bytes to come) and what is true of the message (text, size, UTF-8,
 * inflate stream).
 *
 * Each rule is applied as soon as it can be: opcode and flags at the first byte of a head, mask and
 * length class at the second, a length that is not minimal or a message that gets too large when
 * the length is there, and the wrong byte of a text when it arrives.  So nobody has to send the
 * rest of 16 MiB to learn that it was not wanted.
 */
#include "sidecar/ws_wire.h"

#include <stdlib.h>

#include "sidecar/ws_deflate.h"
#include "sidecar/ws_utf8.h"

enum {
    BIT_FIN = 0x80,
    BIT_RSV1 = 0x40, /* permessage-deflate: the message is compressed */
    BITS_RSV = 0x70,
    BITS_OPCODE = 0x0F,
    BIT_CONTROL = 0x08,
    BIT_MASK = 0x80,
    BITS_LENGTH = 0x7F,
    LENGTH_16 = 126, /* the next 2 bytes say it */
    LENGTH_64 = 127, /* the next 8 bytes say it */
    MASK_LEN = 4,
    READ_HEAD_MAX = 14,
};

struct ws_reading {
    /* the frame */
    uint8_t head[READ_HEAD_MAX];
    uint8_t head_len;       /* bytes of it seen */
    bool headed;            /* it is complete */
    uint8_t mask[MASK_LEN]; /* turned so that [0] is for the next byte */
    uint64_t left;          /* bytes of payload to come */
    uint8_t control_len;
    uint8_t control[WS_CONTROL_MAX]; /* of a control frame that was cut */

    /* the message */
    bool begun; /* its first frame has come, its last has not ended */
    bool text, compressed;
    bool shown;   /* some piece of it has been handed out */
    bool again;   /* more of it can be inflated from what was read */
    size_t clear; /* bytes at the front of the input that are unmasked, but not inflated */
    struct ws_utf8 utf8;
    uint64_t size;              /* bytes that came, and that are announced */
    struct ws_inflate *inflate; /* if compressed */
};

void ws_wire_fini(struct ws_wire *w)
{
    if (w->amid)
        ws_inflate_give_back(w->amid->inflate);
    free(w->amid);
    *w = (struct ws_wire){ 0 };
}

/* Nothing more is read; what was begun is let go. */
static void end(struct ws_wire *w)
{
    bool deflate = w->deflate;
    ws_wire_fini(w);
    w->deflate = deflate;
    w->over = true;
}

static enum ws_step broken(struct ws_wire *w, struct ws_seen *seen, unsigned code, const char *why)
{
    end(w);
    seen->code = (uint16_t)code;
    seen->why = why;
    return WS_STEP_BROKEN;
}

static enum ws_step no_memory(struct ws_wire *w, struct ws_seen *seen)
{
    return broken(w, seen, WS_CODE_INTERNAL, "out of memory");
}

/* ---- heads ----------------------------------------------------------------------------------- */

static bool is_fin(const struct ws_reading *r)
{
    return r->head[0] & BIT_FIN;
}

static unsigned opcode_of(const struct ws_reading *r)
{
    return r->head[0] & BITS_OPCODE;
}

static bool is_control(const struct ws_reading *r)
{
    return r->head[0] & BIT_CONTROL;
}

/* How long the head is, as far as the bytes seen can tell. */
static size_t head_length(const struct ws_reading *r)
{
    if (r->head_len < 2)
        return 2;
    unsigned length = r->head[1] & BITS_LENGTH;
    return 2 + (length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0) + MASK_LEN;
}

/* Section 5.2, the first byte: what is wrong with it, or NULL. */
static const char *first_byte_wrong(const struct ws_wire *w, const struct ws_reading *r)
{
    unsigned rsv = r->head[0] & BITS_RSV, opcode = opcode_of(r);

    if (opcode != WS_CONTINUATION && opcode != WS_TEXT && opcode != WS_BINARY &&
        opcode != WS_CLOSE && opcode != WS_PING && opcode != WS_PONG)
        return "reserved opcode";
    if ((rsv & ~(unsigned)BIT_RSV1) || (rsv && !w->deflate))
        return "reserved bit set";
    if (rsv && (is_control(r) || opcode == WS_CONTINUATION)) /* RFC 7692 section 6.1 */
        return "RSV1 on a frame that does not begin a message";
    if (is_control(r))
        return is_fin(r) ? NULL : "fragmented control frame";
    if (opcode == WS_CONTINUATION && !r->begun)
        return "continuation of nothing";
    if (opcode != WS_CONTINUATION && r->begun)
        return "new message within a message";
    return NULL;
}

/* The second byte. */
static const char *second_byte_wrong(const struct ws_reading *r)
{
    if (!(r->head[1] & BIT_MASK))
        return "frame without mask";
    if (is_control(r) && (r->head[1] & BITS_LENGTH) > WS_CONTROL_MAX)
        return "control frame of more than 125 bytes";
    return NULL;
}

/* The length, when it is complete; *wrong: not in the shortest form. */
static uint64_t payload_length(const struct ws_reading *r, const char **wrong)
{
    uint64_t length = r->head[1] & BITS_LENGTH;
    size_t bytes = length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;

    if (bytes == 0)
        return length;
    length = 0;
    for (size_t i = 0; i < bytes; i++)
        length = length << 8 | r->head[2 + i];
    if (bytes == 8 && length >> 63)
        *wrong = "length above 2^63";
    else if (length < (bytes == 2 ? (uint64_t)LENGTH_16 : UINT64_C(65536)))
        *wrong = "length not in its shortest form";
    return length;
}

/* The length of the frame under way is known. */
static enum ws_step take_length(struct ws_wire *w, const struct ws_rules *rules,
                                struct ws_seen *seen)
{
    struct ws_reading *r = w->amid;
    const char *wrong = NULL;

    r->left = payload_length(r, &wrong);
    if (wrong)
        return broken(w, seen, WS_CODE_PROTOCOL, wrong);
    if (is_control(r))
        return WS_STEP_MORE;
    if (opcode_of(r) != WS_CONTINUATION) { /* it begins a message; all else is zero */
        r->begun = true;
        r->text = opcode_of(r) == WS_TEXT;
        r->compressed = r->head[0] & BIT_RSV1;
    }
    if (r->compressed) /* what counts is what comes out */
        return WS_STEP_MORE;
    if (r->left > rules->max_message - r->size)
        return broken(w, seen, WS_CODE_TOO_LARGE, "message too large");
    r->size += r->left;
    return WS_STEP_MORE;
}

/* Collect the head, byte by byte, for each may be one too many. */
static enum ws_step take_head(struct ws_wire *w, const struct ws_rules *rules, struct slice *in,
                              struct ws_seen *seen)
{
    struct ws_reading *r = w->amid;

    while (in->len > 0) {
        const char *wrong = NULL;
        r->head[r->head_len++] = (uint8_t)*in->at;
        in->at++;
        in->len--;
        if (r->head_len == 1)
            wrong = first_byte_wrong(w, r);
        else if (r->head_len == 2)
            wrong = second_byte_wrong(r);
        if (wrong)
            return broken(w, seen, WS_CODE_PROTOCOL, wrong);
        size_t length = head_length(r);
        if (r->head_len >= 2 && r->head_len == length - MASK_LEN) {
            enum ws_step step = take_length(w, rules, seen);
            if (step != WS_STEP_MORE)
                return step;
        }
        if (r->head_len >= 2 && r->head_len == length) {
            memcpy(r->mask, r->head + length - MASK_LEN, MASK_LEN);
            r->headed = true;
            break;
        }
    }
    return WS_STEP_MORE;
}

/* The frame has ended: the next one may begin.  Between two messages nothing is remembered. */
static void frame_done(struct ws_wire *w)
{
    struct ws_reading *r = w->amid;

    if (!r->begun) {
        ws_inflate_give_back(r->inflate);
        free(r);
        w->amid = NULL;
        return;
    }
    r->head_len = 0;
    r->headed = false;
    r->control_len = 0;
}

/* ---- payload --------------------------------------------------------------------------------- */

/* Unmask bytes where they are, eight at a time, and turn the mask for those that follow. */
static void unmask(struct ws_reading *r, char *at, size_t len)
{
    uint8_t twice[2 * MASK_LEN], turned[MASK_LEN];
    uint64_t mask, word;
    size_t i = 0;

    memcpy(twice, r->mask, MASK_LEN);
    memcpy(twice + MASK_LEN, r->mask, MASK_LEN);
    memcpy(&mask, twice, sizeof(mask));
    for (; len - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, at + i, sizeof(word));
        word ^= mask;
        memcpy(at + i, &word, sizeof(word));
    }
    for (; i < len; i++)
        at[i] = (char)(at[i] ^ r->mask[i % MASK_LEN]);
    for (size_t k = 0; k < MASK_LEN; k++)
        turned[k] = r->mask[(len + k) % MASK_LEN];
    memcpy(r->mask, turned, MASK_LEN);
}

/* As much of the frame's payload as there is, unmasked. */
static struct slice take_payload(struct ws_reading *r, struct slice *in)
{
    struct slice piece = { in->at, in->len < r->left ? in->len : (size_t)r->left };

    if (piece.len > 0)
        unmask(r, (char *)(uintptr_t)piece.at, piece.len);
    in->at += piece.len;
    in->len -= piece.len;
    r->left -= piece.len;
    return piece;
}

/* ---- control frames -------------------------------------------------------------------------- */

static enum ws_step closed(struct ws_wire *w, struct slice payload, struct ws_seen *seen)
{
    struct ws_utf8 utf8 = { 0 };

    if (payload.len == 0) {
        end(w);
        seen->code = WS_CODE_NONE;
        return WS_STEP_CLOSE;
    }
    if (payload.len == 1)
        return broken(w, seen, WS_CODE_PROTOCOL, "close frame with half a code");
    unsigned code = (unsigned)(uint8_t)payload.at[0] << 8 | (uint8_t)payload.at[1];
    if (!ws_code_valid(code))
        return broken(w, seen, WS_CODE_PROTOCOL, "close code that must not be sent");
    struct slice reason = { payload.at + 2, payload.len - 2 };
    if (!ws_utf8_feed(&utf8, reason) || !ws_utf8_whole(&utf8))
        return broken(w, seen, WS_CODE_DATA, "reason that is not UTF-8");
    end(w);
    seen->code = (uint16_t)code;
    seen->bytes = reason;
    return WS_STEP_CLOSE;
}

static enum ws_step take_control(struct ws_wire *w, struct slice *in, struct ws_seen *seen)
{
    struct ws_reading *r = w->amid;
    struct slice payload = take_payload(r, in);

    if (r->left > 0 || r->control_len > 0) { /* it comes in pieces */
        if (payload.len > 0)
            memcpy(r->control + r->control_len, payload.at, payload.len);
        r->control_len = (uint8_t)(r->control_len + payload.len);
        if (r->left > 0)
            return WS_STEP_MORE;
        memcpy(seen->cut, r->control, r->control_len);
        payload = (struct slice){ seen->cut, r->control_len };
    }
    unsigned opcode = opcode_of(r);
    if (opcode == WS_CLOSE)
        return closed(w, payload, seen);
    frame_done(w);
    seen->bytes = payload;
    return opcode == WS_PING ? WS_STEP_PING : WS_STEP_PONG;
}

/* ---- messages -------------------------------------------------------------------------------- */

/* Hand out a piece of the message; last: nothing of it follows. */
static enum ws_step show(struct ws_wire *w, struct slice piece, bool last, struct ws_seen *seen)
{
    struct ws_reading *r = w->amid;

    if (r->text && (!ws_utf8_feed(&r->utf8, piece) || (last && !ws_utf8_whole(&r->utf8))))
        return broken(w, seen, WS_CODE_DATA, "text that is not UTF-8");
    seen->bytes = piece;
    seen->text = r->text;
    seen->first = !r->shown;
    seen->last = last;
    bool something = piece.len > 0 || last;
    r->shown |= something;
    r->begun &= !last;
    if (r->left == 0 && !r->again)
        frame_done(w);
    return something ? WS_STEP_DATA : WS_STEP_MORE;
}

static enum ws_step take_plain(struct ws_wire *w, struct slice *in, struct ws_seen *seen)
{
    struct slice piece = take_payload(w->amid, in);

    return show(w, piece, is_fin(w->amid) && w->amid->left == 0, seen);
}

/*
 * The inflate stream may take less than there is, because too much comes out of it.  The rest is
 * unmasked by then and waits where it is: r->clear bytes.
 */
static enum ws_step take_compressed(struct ws_wire *w, const struct ws_rules *rules,
                                    struct slice *in, struct ws_seen *seen)
{
    struct ws_reading *r = w->amid;
    struct slice piece = { in->at, in->len < r->left ? in->len : (size_t)r->left }, out;
    bool final = is_fin(r) && piece.len == r->left;
    enum rc rc = RC_OK;

    if (piece.len > r->clear) {
        unmask(r, (char *)(uintptr_t)piece.at + r->clear, piece.len - r->clear);
        r->clear = piece.len;
    }
    if (!r->inflate)
        rc = ws_inflate_borrow(rules->deflate, (size_t)rules->max_message, &r->inflate);
    if (rc == RC_LIMIT)
        return broken(w, seen, WS_CODE_TRY_LATER, "too many compressed messages at one time");
    if (rc != RC_NOMEM)
        rc = ws_inflate_next(r->inflate, &piece, final, &out);
    size_t taken = (size_t)(piece.at - in->at);
    in->at += taken;
    in->len -= taken;
    r->left -= taken;
    r->clear -= taken;
    if (rc == RC_NOMEM)
        return no_memory(w, seen);
    if (rc == RC_LIMIT)
        return broken(w, seen, WS_CODE_TOO_LARGE, "message too large");
    if (rc == RC_SYNTAX)
        return broken(w, seen, WS_CODE_DATA, "not what deflate produces");
    r->again = rc == RC_AGAIN;
    return show(w, out, final && !r->again, seen);
}

/* Is there something to do without another byte? */
static bool is_pending(const struct ws_wire *w)
{
    return w->amid && w->amid->again;
}

enum ws_step ws_wire_feed(struct ws_wire *w, const struct ws_rules *rules, struct slice *in,
                          struct ws_seen *seen)
{
    enum ws_step step = WS_STEP_MORE;

    seen->bytes = SLICE_NONE;
    seen->code = 0;
    seen->why = NULL;
    while (step == WS_STEP_MORE && (in->len > 0 || is_pending(w))) {
        if (w->over) {
            in->at += in->len;
            in->len = 0;
            break;
        }
        if (!w->amid && !(w->amid = calloc(1, sizeof(*w->amid))))
            return no_memory(w, seen);
        if (!w->amid->headed)
            step = take_head(w, rules, in, seen);
        if (step != WS_STEP_MORE || !w->amid->headed)
            continue;
        if (is_control(w->amid))
            step = take_control(w, in, seen);
        else if (w->amid->compressed)
            step = take_compressed(w, rules, in, seen);
        else
            step = take_plain(w, in, seen);
    }
    return step;
}

/* ---- what we write --------------------------------------------------------------------------- */

bool ws_code_valid(unsigned code)
{
    if (code >= 3000 && code <= 4999) /* libraries and applications, section 7.4.2 */
        return true;
    return (code >= 1000 && code <= 1014) && code != 1004 && code != WS_CODE_NONE &&
           code != WS_CODE_LOST;
}

size_t ws_put_head(uint8_t out[WS_HEAD_MAX], enum ws_opcode opcode, bool fin, bool compressed,
                   uint64_t payload)
{
    size_t bytes = payload <= WS_CONTROL_MAX ? 0 : payload <= UINT16_MAX ? 2 : 8;

    out[0] = (uint8_t)(opcode | (fin ? BIT_FIN : 0) | (compressed ? BIT_RSV1 : 0));
    out[1] = bytes == 0 ? (uint8_t)payload : bytes == 2 ? LENGTH_16 : LENGTH_64;
    for (size_t i = 0; i < bytes; i++)
        out[2 + i] = (uint8_t)(payload >> (8 * (bytes - 1 - i)));
    return 2 + bytes;
}

size_t ws_put_control(uint8_t out[2 + WS_CONTROL_MAX], enum ws_opcode opcode, struct slice payload)
{
    size_t head = ws_put_head(out, opcode, true, false, payload.len);

    if (payload.len > 0)
        memcpy(out + head, payload.at, payload.len);
    return head + payload.len;
}

size_t ws_put_close(uint8_t out[2 + WS_CONTROL_MAX], unsigned code, struct slice reason)
{
    char payload[WS_CONTROL_MAX] = { (char)(code >> 8), (char)code };

    if (code == WS_CODE_NONE)
        return ws_put_control(out, WS_CLOSE, SLICE_NONE);
    reason = ws_utf8_cut(reason, WS_REASON_MAX);
    if (reason.len > 0)
        memcpy(payload + 2, reason.at, reason.len);
    return ws_put_control(out, WS_CLOSE, (struct slice){ payload, 2 + reason.len });
}
