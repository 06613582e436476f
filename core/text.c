/*
 * text.c - UTF-8, JSON strings, percent-encoding, base64, numbers.
 *
 * Most text is ASCII without anything special in it, so the two functions that see every byte of
 * every event look at eight bytes at a time until something in them needs a closer look.
 */
#include "core/text.h"

#include <sodium.h>

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

static uint64_t eight(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Some byte of the word is zero?  (Exact as a yes or no, though not about which.) */
static bool has_zero(uint64_t word)
{
    return (word - EACH_BYTE(1)) & ~word & EACH_BYTE(0x80);
}

static bool has(uint64_t word, uint8_t byte)
{
    return has_zero(word ^ EACH_BYTE((uint64_t)byte));
}

/* --- UTF-8 --------------------------------------------------------------------------------- */

/* RFC 3629 section 4, the table of well-formed sequences, as it stands. */
size_t utf8_sequence(struct slice s)
{
    const unsigned char *at = (const unsigned char *)s.at;
    if (s.len == 0)
        return 0;
    if (at[0] < 0x80)
        return 1;

    size_t len = at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
    if (at[0] < 0xC2 || at[0] > 0xF4 || s.len < len)
        return 0;
    unsigned char low = 0x80, high = 0xBF; /* of the second byte */
    if (at[0] == 0xE0)
        low = 0xA0; /* else overlong */
    else if (at[0] == 0xED)
        high = 0x9F; /* else a surrogate */
    else if (at[0] == 0xF0)
        low = 0x90; /* else overlong */
    else if (at[0] == 0xF4)
        high = 0x8F; /* else above U+10FFFF */
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (at[i] < 0x80 || at[i] > 0xBF)
            return 0;
    return len;
}

bool utf8_valid(struct slice s)
{
    while (s.len > 0) {
        if (s.len >= 8 && !(eight(s.at) & EACH_BYTE(0x80))) {
            s.at += 8;
            s.len -= 8;
            continue;
        }
        size_t n = utf8_sequence(s);
        if (n == 0)
            return false;
        s.at += n;
        s.len -= n;
    }
    return true;
}

/* --- JSON ---------------------------------------------------------------------------------- */

/* Bytes that json_put_string() may not simply copy: 0xE2 begins U+2028 and U+2029. */
static bool json_special(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\' || c == '<' || c == 0xE2;
}

static size_t json_plain_run(struct slice s)
{
    size_t n = 0;
    while (s.len - n >= 8) {
        uint64_t word = eight(s.at + n);
        bool below_space = (word - EACH_BYTE(0x20)) & ~word & EACH_BYTE(0x80);
        if (below_space || has(word, '"') || has(word, '\\') || has(word, '<') || has(word, 0xE2))
            break;
        n += 8;
    }
    while (n < s.len && !json_special((unsigned char)s.at[n]))
        n++;
    return n;
}

/* Append what stands for the special byte at the beginning of s; returns the bytes it stands for.
 */
static size_t json_put_special(struct buf *out, struct slice s)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char c = (unsigned char)s.at[0];
    if (c == 0xE2) {
        if (s.len >= 3 && s.at[1] == '\x80' && (s.at[2] == '\xA8' || s.at[2] == '\xA9')) {
            buf_puts(out, s.at[2] == '\xA8' ? "\\u2028" : "\\u2029");
            return 3;
        }
        buf_putc(out, s.at[0]);
        return 1;
    }
    const char *known = NULL;
    switch (c) {
    case '"':
        known = "\\\"";
        break;
    case '\\':
        known = "\\\\";
        break;
    case '\n':
        known = "\\n";
        break;
    case '\r':
        known = "\\r";
        break;
    case '\t':
        known = "\\t";
        break;
    }
    char escaped[] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15], '\0' };
    buf_puts(out, known ? known : escaped);
    return 1;
}

void json_put_string(struct buf *out, struct slice s)
{
    if (s.len > SIZE_MAX / 2 || !buf_reserve(out, s.len + 2))
        return;
    buf_putc(out, '"');
    while (s.len > 0) {
        size_t n = json_plain_run(s);
        buf_put(out, (struct slice){ s.at, n });
        s.at += n;
        s.len -= n;
        if (s.len > 0) {
            n = json_put_special(out, s);
            s.at += n;
            s.len -= n;
        }
    }
    buf_putc(out, '"');
}

/* Bytes at the beginning of s that json_put_compact() copies as they are, within a string or not.
 */
static size_t compact_run(struct slice s, bool quoted)
{
    size_t n = 0;
    for (; n < s.len; n++) {
        char c = s.at[n];
        if (c == '"' || (quoted && (c == '\\' || c == '<' || c == '\xE2')))
            break;
        if (!quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))
            break;
    }
    return n;
}

void json_put_compact(struct buf *out, struct slice s)
{
    bool quoted = false;
    buf_reserve(out, s.len);
    while (s.len > 0) {
        size_t n = compact_run(s, quoted), step = 1;
        buf_put(out, (struct slice){ s.at, n });
        s.at += n;
        s.len -= n;
        if (s.len == 0)
            break;
        if (*s.at == '"') {
            quoted = !quoted;
            buf_putc(out, '"');
        } else if (*s.at == '\\' && s.len > 1) {
            step = 2;
            buf_put(out, (struct slice){ s.at, step });
        } else if (quoted) {
            step = json_put_special(out, s);
        }
        s.at += step;
        s.len -= step;
    }
}

/* --- base64 -------------------------------------------------------------------------------- */

void base64_put(struct buf *out, struct slice s)
{
    if (s.len == 0 || s.len > SIZE_MAX / 4)
        return;
    size_t with_nul = sodium_base64_encoded_len(s.len, sodium_base64_VARIANT_ORIGINAL);
    if (!buf_reserve(out, with_nul))
        return;
    sodium_bin2base64(out->at + out->len, with_nul, (const unsigned char *)s.at, s.len,
                      sodium_base64_VARIANT_ORIGINAL);
    out->len += with_nul - 1;
}

/* libsodium 1.0.18 takes bytes above 0x7F, where char is signed, for the last digit of the 64. */
static bool is_ascii(struct slice s)
{
    unsigned char all = 0;
    for (size_t i = 0; i < s.len; i++)
        all |= (unsigned char)s.at[i];
    return all < 0x80;
}

static enum rc decode(struct buf *out, struct slice s, int variant)
{
    size_t len = 0;
    if (s.len == 0)
        return RC_OK;
    if (!is_ascii(s))
        return RC_SYNTAX;
    if (s.len > SIZE_MAX / 4 || !buf_reserve(out, s.len / 4 * 3 + 3))
        return RC_NOMEM;
    if (sodium_base642bin((unsigned char *)out->at + out->len, out->cap - out->len, s.at, s.len,
                          NULL, &len, NULL, variant) != 0)
        return RC_SYNTAX;
    out->len += len;
    return RC_OK;
}

enum rc base64_decode(struct buf *out, struct slice s)
{
    return decode(out, s, sodium_base64_VARIANT_ORIGINAL);
}

enum rc base64url_decode(struct buf *out, struct slice s)
{
    return decode(out, s, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* --- percent-encoding and queries ------------------------------------------------------------ */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum rc percent_decode(struct buf *out, struct slice s, bool plus)
{
    size_t before = out->len;
    if (s.len > 0 && !buf_reserve(out, s.len))
        return RC_NOMEM;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (c == '%') {
            int high = s.len - i > 2 ? hex_value(s.at[i + 1]) : -1;
            int low = s.len - i > 2 ? hex_value(s.at[i + 2]) : -1;
            if (high < 0 || low < 0) {
                out->len = before;
                return RC_SYNTAX;
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        out->at[out->len++] = c;
    }
    return buf_rc(out);
}

static struct slice cut(struct slice *rest, char at)
{
    const char *end = rest->len ? memchr(rest->at, at, rest->len) : NULL;
    struct slice head = { rest->at, end ? (size_t)(end - rest->at) : rest->len };
    size_t skip = head.len + (end ? 1 : 0);
    *rest = (struct slice){ rest->at ? rest->at + skip : NULL, rest->len - skip };
    return head;
}

bool query_next(struct slice *rest, struct slice *key, struct slice *value)
{
    while (rest->len > 0) {
        struct slice pair = cut(rest, '&');
        if (pair.len == 0)
            continue; /* "a=1&&b=2" */
        *key = cut(&pair, '=');
        *value = pair;
        return true;
    }
    return false;
}

bool item_next(struct slice *rest, char separator, struct slice *item)
{
    if (rest->len == 0)
        return false;
    *item = cut(rest, separator);
    return true;
}

bool list_has(struct slice list, struct slice word)
{
    struct slice item;

    while (item_next(&list, ',', &item))
        if (slice_is_nocase(slice_trim(item), word))
            return true;
    return false;
}

/* --- numbers ------------------------------------------------------------------------------- */

enum rc number_parse(struct slice s, int64_t max, int64_t *out)
{
    int64_t n = 0;
    if (s.len == 0)
        return RC_SYNTAX;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return RC_SYNTAX;
        int digit = s.at[i] - '0';
        if (n > (max - digit) / 10 || max < digit)
            return RC_SYNTAX;
        n = n * 10 + digit;
    }
    *out = n;
    return RC_OK;
}

struct unit {
    const char *name;
    int64_t worth;
};

/* From the largest to the smallest. */
static const struct unit time_units[] = {
    { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};
static const struct unit size_units[] = {
    { "g", 1 << 30 },
    { "m", 1 << 20 },
    { "k", 1 << 10 },
    { "", 1 },
};

static enum rc measure_parse(struct slice s, const struct unit *units, size_t n, int64_t max,
                             int64_t *out)
{
    size_t digits = 0;
    while (digits < s.len && s.at[digits] >= '0' && s.at[digits] <= '9')
        digits++;
    struct slice name = { s.at + digits, s.len - digits };
    for (size_t i = 0; i < n; i++) {
        int64_t count;
        if (!slice_is_nocase(name, slice_of(units[i].name)))
            continue;
        if (number_parse((struct slice){ s.at, digits }, max / units[i].worth, &count) != RC_OK)
            return RC_SYNTAX;
        *out = count * units[i].worth;
        return RC_OK;
    }
    return RC_SYNTAX;
}

static void measure_put(struct buf *out, int64_t value, const struct unit *units)
{
    while (value % units->worth != 0)
        units++; /* ends: the last unit is worth 1 */
    buf_printf(out, "%lld%s", (long long)(value / units->worth), units->name);
}

enum rc duration_parse(struct slice s, int64_t max, int64_t *out_ms)
{
    if (slice_is(s, SLICE("0"))) {
        *out_ms = 0;
        return RC_OK;
    }
    return measure_parse(s, time_units, LENGTH(time_units), max, out_ms);
}

enum rc size_parse(struct slice s, int64_t max, int64_t *out_bytes)
{
    return measure_parse(s, size_units, LENGTH(size_units), max, out_bytes);
}

void duration_put(struct buf *out, int64_t ms)
{
    if (ms == 0)
        buf_putc(out, '0');
    else
        measure_put(out, ms, time_units);
}

void size_put(struct buf *out, int64_t bytes)
{
    if (bytes == 0)
        buf_putc(out, '0');
    else
        measure_put(out, bytes, size_units);
}

/* --- times and addresses --------------------------------------------------------------------- */

/* The number that so many digits at *rest make, cut off; -1: they are not there. */
static int digits_cut(struct slice *rest, size_t n)
{
    int64_t value = -1;
    if (rest->len < n || number_parse((struct slice){ rest->at, n }, 9999, &value) != RC_OK)
        return -1;
    *rest = (struct slice){ rest->at + n, rest->len - n };
    return (int)value;
}

static bool one_cut(struct slice *rest, const char *of)
{
    if (rest->len == 0 || !*rest->at || !strchr(of, *rest->at))
        return false;
    *rest = (struct slice){ rest->at + 1, rest->len - 1 };
    return true;
}

static bool between(int value, int least, int most)
{
    return value >= least && value <= most;
}

static int days_of(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool rfc3339_valid(struct slice s)
{
    int year = digits_cut(&s, 4);
    if (year < 0 || !one_cut(&s, "-"))
        return false;
    int month = digits_cut(&s, 2);
    if (!between(month, 1, 12) || !one_cut(&s, "-"))
        return false;
    if (!between(digits_cut(&s, 2), 1, days_of(year, month)) || !one_cut(&s, "Tt"))
        return false;
    if (!between(digits_cut(&s, 2), 0, 23) || !one_cut(&s, ":"))
        return false;
    if (!between(digits_cut(&s, 2), 0, 59) || !one_cut(&s, ":"))
        return false;
    if (!between(digits_cut(&s, 2), 0, 60)) /* 60: a leap second */
        return false;
    if (one_cut(&s, ".")) {
        if (digits_cut(&s, 1) < 0)
            return false;
        while (digits_cut(&s, 1) >= 0)
            continue;
    }
    if (one_cut(&s, "Zz"))
        return s.len == 0;
    return one_cut(&s, "+-") && between(digits_cut(&s, 2), 0, 23) && one_cut(&s, ":") &&
           between(digits_cut(&s, 2), 0, 59) && s.len == 0;
}

bool uri_reference_valid(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}", c))
            return false;
        if (c == '%' && (s.len - i < 3 || hex_value(s.at[i + 1]) < 0 || hex_value(s.at[i + 2]) < 0))
            return false;
    }
    return s.len > 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool slice_is_nocase(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    return true;
}

struct slice slice_trim(struct slice s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = (struct slice){ s.at + 1, s.len - 1 };
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}
