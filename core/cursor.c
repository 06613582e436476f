/*
 * cursor.c - "EPOCH-SEQ", and nothing but.
 *
 * One place has one text: no sign, no leading zero, no blank.  So a cursor can be compared,
 * cached (ETag) and looked for in a log as text.
 */
#include "core/cursor.h"
#include "core/text.h"

static bool is_epoch_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

enum rc cursor_parse(struct slice s, struct cursor *out)
{
    size_t n = 0;
    while (n < s.len && n <= EPOCH_MAX && is_epoch_char(s.at[n]))
        n++;
    if (n == 0 || n > EPOCH_MAX || n == s.len || s.at[n] != '-')
        return RC_SYNTAX;
    struct slice digits = { s.at + n + 1, s.len - n - 1 };
    if (digits.len > 1 && digits.at[0] == '0')
        return RC_SYNTAX;
    int64_t seq;
    if (number_parse(digits, INT64_MAX, &seq) != RC_OK)
        return RC_SYNTAX;
    memcpy(out->epoch, s.at, n);
    out->epoch[n] = '\0';
    out->seq = seq;
    return RC_OK;
}

size_t cursor_text(const char *epoch, int64_t seq, char out[CURSOR_TEXT_MAX + 1])
{
    size_t len = strnlen(epoch, EPOCH_MAX);
    memcpy(out, epoch, len);
    out[len++] = '-';

    char digits[19]; /* INT64_MAX has so many */
    size_t n = 0;
    uint64_t rest = seq > 0 ? (uint64_t)seq : 0;
    do {
        digits[n++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    while (n > 0)
        out[len++] = digits[--n];
    out[len] = '\0';
    return len;
}
