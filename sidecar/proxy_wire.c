/*
 * proxy_wire.c - the PROXY protocol, versions 1 and 2, without any I/O.
 *
 * The first byte tells the versions apart.  Bytes are collected until a line is whole or, in
 * version 2, until the source's address is: its place and length are fixed, the rest is only
 * counted.
 */
#include "sidecar/proxy_wire.h"

#include "core/text.h"

enum {
    HEAD_LEN = 16,      /* of version 2 */
    V4_LEN = 2 * 4 + 4, /* both addresses, both ports */
    V6_LEN = 2 * 16 + 4,
    UNIX_LEN = 2 * 108,
    PORT_MAX = 65535,
    LINE_FIELDS = 6,
};

enum command { COMMAND_LOCAL, COMMAND_PROXY, COMMAND__COUNT };
enum family { FAMILY_UNSPEC, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX, FAMILY__COUNT };
enum transport { TRANSPORT_UNSPEC, TRANSPORT_STREAM, TRANSPORT_DGRAM, TRANSPORT__COUNT };

static const char signature_1[] = "PROXY ";
static const char signature_2[] = "\r\n\r\n\0\r\nQUIT\n";

static enum proxy_step broken(struct proxy_wire *w, const char *why)
{
    w->why = why;
    return PROXY_STEP_BROKEN;
}

static bool is_binary(const struct proxy_wire *w)
{
    return w->len > 0 && w->bytes[0] == signature_2[0];
}

/* Is what has come so far the beginning of a header? */
static bool begins_well(const struct proxy_wire *w)
{
    const char *signature = is_binary(w) ? signature_2 : signature_1;
    size_t len = is_binary(w) ? sizeof(signature_2) - 1 : sizeof(signature_1) - 1;
    return memcmp(w->bytes, signature, w->len < len ? w->len : len) == 0;
}

/* ---- version 1 ------------------------------------------------------------------------------- */

static bool port_valid(struct slice text)
{
    int64_t port;
    bool leading_zero = text.len > 1 && text.at[0] == '0';
    return !leading_zero && number_parse(text, PORT_MAX, &port) == RC_OK;
}

/* Address of this family; address_parse() would take either, and a zone. */
static bool address_valid(struct slice text, bool v6, struct address *out)
{
    if (text.len == 0 || memchr(text.at, '%', text.len))
        return false;
    return (memchr(text.at, ':', text.len) != NULL) == v6 && address_parse(text, out) == RC_OK;
}

/* Cut at single spaces; the number of fields, or LINE_FIELDS + 1 if there are too many. */
static size_t cut_fields(struct slice line, struct slice fields[LINE_FIELDS])
{
    for (size_t n = 0; n < LINE_FIELDS; n++) {
        const char *space = memchr(line.at, ' ', line.len);
        fields[n] = (struct slice){ line.at, space ? (size_t)(space - line.at) : line.len };
        if (!space)
            return n + 1;
        line = (struct slice){ space + 1, line.len - fields[n].len - 1 };
    }
    return LINE_FIELDS + 1;
}

static enum proxy_step take_line(struct proxy_wire *w)
{
    struct slice fields[LINE_FIELDS], line = { w->bytes, (size_t)w->len - 2 };
    struct address to;
    size_t n = cut_fields(line, fields);

    if (slice_is(fields[1], SLICE("UNKNOWN"))) /* and whatever follows */
        return PROXY_STEP_DONE;
    bool v6 = slice_is(fields[1], SLICE("TCP6"));
    if (!v6 && !slice_is(fields[1], SLICE("TCP4")))
        return broken(w, "PROXY of an unknown family");
    if (n != LINE_FIELDS)
        return broken(w, "PROXY with too few or too many words");
    if (!address_valid(fields[2], v6, &w->address) || !address_valid(fields[3], v6, &to))
        return broken(w, "PROXY with an address that is none");
    if (!port_valid(fields[4]) || !port_valid(fields[5]))
        return broken(w, "PROXY with a port that is none");
    w->from = PROXY_FROM_ADDRESS;
    return PROXY_STEP_DONE;
}

/* Neither CR nor LF may stand alone. */
static enum proxy_step line_byte(struct proxy_wire *w)
{
    bool after_cr = w->len > 1 && w->bytes[w->len - 2] == '\r';

    if ((w->bytes[w->len - 1] == '\n') != after_cr)
        return broken(w, "PROXY line that does not end in CR LF");
    if (after_cr)
        return take_line(w);
    return w->len < PROXY_LINE_MAX ? PROXY_STEP_MORE : broken(w, "PROXY line without end");
}

/* ---- version 2 ------------------------------------------------------------------------------- */

static enum command command_of(const struct proxy_wire *w)
{
    return (enum command)(w->bytes[12] & 0x0f);
}

static enum family family_of(const struct proxy_wire *w)
{
    return (enum family)((uint8_t)w->bytes[13] >> 4);
}

static enum transport transport_of(const struct proxy_wire *w)
{
    return (enum transport)(w->bytes[13] & 0x0f);
}

/* Of the address block that a stream of this family must have. */
static size_t block_len(enum family family)
{
    return family == FAMILY_INET ? V4_LEN : family == FAMILY_INET6 ? V6_LEN : UNIX_LEN;
}

/* Bytes of the header that must be kept: with the source's address, if it is one that counts. */
static size_t kept_len(const struct proxy_wire *w)
{
    if (w->from != PROXY_FROM_ADDRESS)
        return HEAD_LEN;
    return HEAD_LEN + (family_of(w) == FAMILY_INET ? 4 : 16);
}

static enum proxy_step take_head(struct proxy_wire *w)
{
    size_t len = (size_t)(uint8_t)w->bytes[14] << 8 | (uint8_t)w->bytes[15];

    w->skip = (uint16_t)len;
    if ((uint8_t)w->bytes[12] >> 4 != 2)
        return broken(w, "PROXY header of an unknown version");
    if (command_of(w) >= COMMAND__COUNT)
        return broken(w, "PROXY header with an unknown command");
    if (command_of(w) == COMMAND_LOCAL) /* then the family means nothing */
        return PROXY_STEP_MORE;
    if (family_of(w) >= FAMILY__COUNT || transport_of(w) >= TRANSPORT__COUNT)
        return broken(w, "PROXY header of an unknown family or transport");
    if (family_of(w) == FAMILY_UNSPEC || transport_of(w) == TRANSPORT_UNSPEC)
        return PROXY_STEP_MORE;
    if (len < block_len(family_of(w)))
        return broken(w, "PROXY header too short for its addresses");
    if (transport_of(w) != TRANSPORT_STREAM) /* valid, and of no use on this side of a stream */
        return PROXY_STEP_MORE;
    w->from = family_of(w) == FAMILY_UNIX ? PROXY_FROM_UNIX : PROXY_FROM_ADDRESS;
    w->skip = (uint16_t)(len - (kept_len(w) - HEAD_LEN));
    return PROXY_STEP_MORE;
}

static void take_address(struct proxy_wire *w)
{
    const uint8_t *at = (const uint8_t *)w->bytes + HEAD_LEN;

    if (family_of(w) == FAMILY_INET)
        w->address = address_of_v4(at);
    else
        memcpy(w->address.at, at, sizeof(w->address.at));
}

/* ---- both ------------------------------------------------------------------------------------ */

/* A byte has been added to those that are kept. */
static enum proxy_step on_byte(struct proxy_wire *w)
{
    if (!begins_well(w))
        return broken(w, "no PROXY header where one must be");
    if (!is_binary(w))
        return line_byte(w);
    if (w->len < HEAD_LEN)
        return PROXY_STEP_MORE;
    return w->len == HEAD_LEN ? take_head(w) : PROXY_STEP_MORE;
}

static void step_over(struct slice *in, size_t n)
{
    in->at += n;
    in->len -= n;
}

/* Is all of a binary header known that must be? */
static bool is_kept(const struct proxy_wire *w)
{
    return is_binary(w) && w->len >= HEAD_LEN && w->len == kept_len(w);
}

enum proxy_step proxy_wire_feed(struct proxy_wire *w, struct slice *in)
{
    while (in->len > 0 && !is_kept(w)) {
        w->bytes[w->len++] = in->at[0];
        step_over(in, 1);
        enum proxy_step step = on_byte(w);
        if (step != PROXY_STEP_MORE)
            return step;
    }
    if (!is_kept(w))
        return PROXY_STEP_MORE;
    size_t n = in->len < w->skip ? in->len : w->skip;
    step_over(in, n);
    w->skip = (uint16_t)(w->skip - n);
    if (w->skip > 0)
        return PROXY_STEP_MORE;
    if (w->from == PROXY_FROM_ADDRESS)
        take_address(w);
    return PROXY_STEP_DONE;
}
