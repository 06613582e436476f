/*
 * template.c - a webhook's topic and type.
 */
#include "handlers/template.h"

#include <stdio.h>

enum { QUOTE_MAX = 100 };

void template_escape(struct buf *out, struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if (c < 0x20 || c == 0x7f || strchr("%/+#$", c))
            buf_printf(out, "%%%02X", c);
        else
            buf_putc(out, (char)c);
    }
}

static enum rc explain(char why[TEMPLATE_WHY_MAX], enum rc rc, const char *before,
                       struct slice quoted, const char *after)
{
    int shown = (int)(quoted.len < QUOTE_MAX ? quoted.len : QUOTE_MAX);

    snprintf(why, TEMPLATE_WHY_MAX, "%s%.*s%s", before, shown, quoted.at, after);
    return rc;
}

static enum rc fill_one(struct slice what, struct delivery *d, bool escape, struct buf *out,
                        char why[TEMPLATE_WHY_MAX])
{
    struct buf value = BUF_EMPTY;
    enum rc rc = delivery_find(d, what, &value);

    if (rc == RC_OK && escape)
        template_escape(out, buf_slice(&value));
    else if (rc == RC_OK)
        buf_put(out, buf_slice(&value));
    buf_fini(&value);
    if (rc == RC_DENIED)
        return explain(why, RC_DENIED, "it has no ", what, "");
    if (rc == RC_LIMIT)
        return explain(why, RC_DENIED, "it has ", what, " twice");
    if (rc == RC_SYNTAX)
        return explain(why, RC_SYNTAX, "{", what,
                       "} is none of {header.NAME}, {json.PATH}, {form.NAME}");
    return rc;
}

enum rc template_fill(struct slice text, struct delivery *d, bool escape, struct buf *out,
                      char why[TEMPLATE_WHY_MAX])
{
    const char *at = text.len ? text.at : "", *end = at + text.len;

    while (at < end) {
        const char *open = memchr(at, '{', (size_t)(end - at));
        struct slice plain = { at, (size_t)((open ? open : end) - at) };
        if (memchr(plain.at, '}', plain.len))
            return explain(why, RC_SYNTAX, "a brace is closed that was not opened: ", text, "");
        buf_put(out, plain);
        if (!open)
            break;
        const char *close = memchr(open, '}', (size_t)(end - open));
        if (!close)
            return explain(why, RC_SYNTAX, "a brace is not closed: ", text, "");
        enum rc rc =
            fill_one((struct slice){ open + 1, (size_t)(close - open - 1) }, d, escape, out, why);
        if (rc != RC_OK)
            return rc;
        at = close + 1;
    }
    return buf_rc(out);
}
