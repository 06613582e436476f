/*
 * template_fuzz.c - whatever a delivery holds, its topic has the levels, wildcards and dollars of
 * its template and no others; what is escaped can be had back.
 *
 *      a line, the template; lines "Name: value"; an empty line; the body
 */
#include "core/text.h"
#include "handlers/template.h"
#include "tests/fuzz/fuzz.h"

enum { HEADERS_MAX = 8 };

/* How many of them stand outside of braces? */
static size_t count_plain(struct slice template, const char *which)
{
    size_t n = 0;
    bool inside = false;
    for (size_t i = 0; i < template.len; i++) {
        unsigned char c = (unsigned char)template.at[i];
        inside = c == '{' || (inside && c != '}');
        n += !inside && (which ? c != 0 && strchr(which, c) != NULL : c < 0x20 || c == 0x7f);
    }
    return n;
}

static size_t count(struct slice s, const char *which)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        n += which ? c != 0 && strchr(which, c) != NULL : c < 0x20 || c == 0x7f;
    }
    return n;
}

static void check_escape(struct slice s)
{
    struct buf escaped = BUF_EMPTY, back = BUF_EMPTY;
    template_escape(&escaped, s);
    must(count(buf_slice(&escaped), "/+#$") == 0 && count(buf_slice(&escaped), NULL) == 0);
    must(percent_decode(&back, buf_slice(&escaped), false) == RC_OK);
    must(slice_is(buf_slice(&back), s));
    buf_fini(&escaped);
    buf_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice whole = exact_copy(data, size), rest = whole, template = SLICE_NONE, line;
    struct delivery_header headers[HEADERS_MAX];
    struct delivery d = { .headers = headers };
    struct buf out = BUF_EMPTY, plain = BUF_EMPTY;
    char why[TEMPLATE_WHY_MAX] = "";

    line_next(&rest, &template);
    while (line_next(&rest, &line) && line.len > 0) {
        const char *colon = memchr(line.at, ':', line.len);
        if (!colon || d.n == HEADERS_MAX)
            continue;
        size_t len = (size_t)(colon - line.at);
        headers[d.n++] =
            (struct delivery_header){ { line.at, len }, { colon + 1, line.len - len - 1 } };
    }
    d.body = rest;
    enum rc rc = template_fill(template, &d, true, &out, why);
    must(rc == RC_OK || ((rc == RC_SYNTAX || rc == RC_DENIED) && why[0]));
    must(template_fill(template, &d, false, &plain, why) == rc);
    if (rc == RC_OK) {
        must(count(buf_slice(&out), "/+#$") == count_plain(template, "/+#$"));
        must(count(buf_slice(&out), NULL) == count_plain(template, NULL));
        must(out.len >= plain.len);
    }
    check_escape(whole);
    buf_fini(&out);
    buf_fini(&plain);
    delivery_fini(&d);
    free((char *)whole.at);
    return 0;
}
