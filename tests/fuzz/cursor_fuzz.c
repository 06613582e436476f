/*
 * cursor_fuzz.c - what is read as a cursor is exactly what would be written for it.
 */
#include "core/cursor.h"
#include "tests/fuzz/fuzz.h"

#include <regex.h>

/* By another hand: shape by a regular expression, size by strtoll. */
static bool looks_right(const char *text)
{
    static regex_t regex;
    static bool made;
    if (!made) {
        must(regcomp(&regex, "^[0-9A-Za-z]{1,16}-(0|[1-9][0-9]{0,18})$",
                     REG_EXTENDED | REG_NOSUB) == 0);
        made = true;
    }
    if (regexec(&regex, text, 0, NULL, 0) != 0)
        return false;
    return strtoull(strchr(text, '-') + 1, NULL, 10) <= INT64_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice s = exact_copy(data, size);
    struct cursor c = { "kept", -1 };
    char text[CURSOR_TEXT_MAX + 1];
    enum rc rc = cursor_parse(s, &c);
    if (rc == RC_OK) {
        must(cursor_text(c.epoch, c.seq, text) == size);
        must(memcmp(text, data, size) == 0 && text[size] == '\0');
    } else {
        must(rc == RC_SYNTAX && c.seq == -1 && strcmp(c.epoch, "kept") == 0);
    }
    char *terminated = slice_dup(s);
    if (strlen(terminated) == size)
        must(looks_right(terminated) == (rc == RC_OK));
    else
        must(rc != RC_OK);
    free(terminated);
    free((char *)s.at);
    return 0;
}
