/*
 * ws_frame.c - WebSocket frames as clients write and read them (ws_frame.h).
 */
#include <stdlib.h>
#include <zlib.h>

#include "tests/peers/ws_frame.h"

/* Masks need not be secret here, only different. */
static void next_mask(uint8_t mask[4])
{
    static uint32_t state = 0x2545F491;

    state = state * 1664525 + 1013904223;
    for (int i = 0; i < 4; i++)
        mask[i] = (uint8_t)(state >> (8 * i));
}

static void put_number(struct buf *out, uint64_t number, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        buf_putc(out, (char)(number >> (8 * i)));
}

void ws_frame_put_head(struct buf *out, unsigned opcode, unsigned special, uint64_t length,
                       uint8_t mask[4])
{
    unsigned first = opcode, masked = special & FRAME_BARE ? 0 : 0x80;

    if (!(special & FRAME_MORE))
        first += 0x80;
    if (special & FRAME_RSV1)
        first += 0x40;
    if (special & FRAME_RSV2)
        first += 0x20;
    if (special & FRAME_RSV3)
        first += 0x10;
    buf_putc(out, (char)first);
    if (special & FRAME_LONG || length >= 0x10000) {
        buf_putc(out, (char)(masked + 127));
        put_number(out, length, 8);
    } else if (special & FRAME_WORD || length >= 126) {
        buf_putc(out, (char)(masked + 126));
        put_number(out, length, 2);
    } else {
        buf_putc(out, (char)(masked + length));
    }
    memset(mask, 0, 4);
    if (!masked)
        return;
    if (!(special & FRAME_MASK_0))
        next_mask(mask);
    buf_put(out, (struct slice){ (const char *)mask, 4 });
}

void ws_frame_put(struct buf *out, unsigned opcode, unsigned special, struct slice payload)
{
    uint8_t mask[4];

    ws_frame_put_head(out, opcode, special, payload.len, mask);
    size_t begin = out->len;
    buf_put(out, payload);
    for (size_t i = 0; i < payload.len; i++)
        out->at[begin + i] = (char)(out->at[begin + i] ^ mask[i & 3]);
}

void ws_frame_put_close(struct buf *out, unsigned code, struct slice reason)
{
    struct buf payload = BUF_EMPTY;

    put_number(&payload, code, 2);
    buf_put(&payload, reason);
    ws_frame_put(out, FRAME_CLOSE, 0, buf_slice(&payload));
    buf_fini(&payload);
}

static uint64_t number_at(struct slice s, size_t at, size_t bytes)
{
    uint64_t number = 0;

    for (size_t i = at; i < at + bytes; i++)
        number = number * 256 + (unsigned char)s.at[i];
    return number;
}

enum ws_frame_read ws_frame_next(struct slice *in, struct ws_frame *f)
{
    if (in->len < 2)
        return WS_FRAME_MORE;
    unsigned first = (unsigned char)in->at[0], second = (unsigned char)in->at[1];
    size_t head = second == 126 ? 4 : second == 127 ? 10 : 2;

    if (second >= 0x80)
        return WS_FRAME_WRONG;
    *f = (struct ws_frame){ .opcode = first & 15 };
    f->fin = first & 0x80;
    f->rsv1 = first & 0x40;
    f->rsv2 = first & 0x20;
    f->rsv3 = first & 0x10;
    if (f->opcode >= 8 && (!f->fin || second > 125))
        return WS_FRAME_WRONG;
    if (in->len < head)
        return WS_FRAME_MORE;
    uint64_t length = head == 2 ? second : number_at(*in, 2, head - 2);
    if ((head == 4 && length < 126) || (head == 10 && (length < 65536 || length >> 63)))
        return WS_FRAME_WRONG;
    if (in->len - head < length)
        return WS_FRAME_MORE;
    f->payload = (struct slice){ in->at + head, (size_t)length };
    in->at += head + length;
    in->len -= head + length;
    return WS_FRAME_WHOLE;
}

void ws_frame_deflate(struct buf *out, int window_bits, struct slice message)
{
    z_stream z = { 0 };
    size_t most = message.len + message.len / 1000 * 5 + 1000;

    window_bits =
        window_bits < 9 ? 9 : window_bits; /* zlib has no 8, and looks back 250 bytes here */
    if (deflateInit2(&z, 9, Z_DEFLATED, -window_bits, 9, Z_DEFAULT_STRATEGY) != Z_OK ||
        !buf_reserve(out, most))
        abort();
    z.next_in = (unsigned char *)(uintptr_t)message.at;
    z.avail_in = (unsigned)message.len;
    z.next_out = (unsigned char *)out->at + out->len;
    z.avail_out = (unsigned)most;
    if (deflate(&z, Z_SYNC_FLUSH) != Z_OK || z.avail_in != 0 || z.avail_out == 0)
        abort();
    out->len += z.total_out - 4;
    deflateEnd(&z);
}

bool ws_frame_inflate(struct buf *out, int window_bits, struct slice payload)
{
    struct buf all = BUF_EMPTY;
    z_stream z = { 0 };
    int result = Z_OK, state = 0;
    unsigned char byte;

    buf_put(&all, payload);
    buf_put(&all, (struct slice){ "\0\0\377\377", 4 });
    if (inflateInit2(&z, -window_bits) != Z_OK)
        abort();
    z.next_in = (unsigned char *)all.at;
    z.avail_in = (unsigned)all.len;
    while (result == Z_OK) { /* byte by byte, or zlib would look back into what it has just made */
        z.next_out = &byte;
        z.avail_out = 1;
        result = inflate(&z, Z_NO_FLUSH);
        if (z.avail_out == 0)
            buf_putc(out, (char)byte);
        if (result == Z_OK)
            state = z.data_type;
    }
    bool whole = result == Z_BUF_ERROR && z.avail_in == 0 && (state & 128); /* between two blocks */
    inflateEnd(&z);
    buf_fini(&all);
    return whole;
}
