/*
 * signature_fuzz.c - headers and bodies from strangers, for every scheme.  What is good is so with
 * a rotated secret too, and no longer with another secret or body; what is not has a reason that
 * tells no secret.
 *
 *      one byte, which scheme; lines "Name: value"; an empty line; the body
 */
#include "core/text.h"
#include "handlers/signature.h"
#include "tests/deliveries.h"
#include "tests/fuzz/fuzz.h"

enum { HEADERS_MAX = 32 };

static const struct sample gitlab = { .scheme = "gitlab",
                                      .secret = "a token for us",
                                      .wrong_secret = "a token for u" };

static enum signature_word check(struct delivery d, const struct sample *s, const char *first,
                                 const char *second, struct signature *out)
{
    const struct slice secrets[] = { slice_of(first), slice_of(second) };
    struct hook hook = { .scheme = slice_of(s->scheme), .secrets = secrets, .n = second ? 2 : 1 };
    json_t *options = json_loads(s->options ? s->options : "{}", 0, NULL);

    must(options);
    signature_check(&d, &hook, options, out);
    json_decref(options);
    delivery_fini(&d);
    return out->word;
}

static enum signature_word word_of(struct delivery d, const struct sample *s, const char *first,
                                   const char *second)
{
    struct signature out;
    enum signature_word word = check(d, s, first, second, &out);

    signature_fini(&out);
    return word;
}

static void check_good(struct delivery d, const struct sample *s)
{
    char *body = slice_dup(d.body);

    must(body);
    must(word_of(d, s, s->wrong_secret, s->secret) == SIGNATURE_GOOD);
    must(word_of(d, s, s->secret, s->wrong_secret) == SIGNATURE_GOOD);
    must(word_of(d, s, s->wrong_secret, NULL) != SIGNATURE_GOOD);
    d.body = (struct slice){ body, d.body.len };
    if (d.body.len > 0 && s != &gitlab && strcmp(s->scheme, "twilio") != 0) {
        body[d.body.len / 2] ^= 1;
        must(word_of(d, s, s->secret, NULL) != SIGNATURE_GOOD);
    }
    free(body);
}

static size_t read_headers(struct slice *rest, struct delivery_header *headers)
{
    struct slice line;
    size_t n = 0;

    while (line_next(rest, &line) && line.len > 0) {
        const char *colon = memchr(line.at, ':', line.len);
        if (!colon || n == HEADERS_MAX)
            continue;
        size_t len = (size_t)(colon - line.at), skip = len + 1;
        skip += skip < line.len && line.at[skip] == ' ';
        headers[n++] =
            (struct delivery_header){ { line.at, len }, { line.at + skip, line.len - skip } };
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct delivery_header headers[HEADERS_MAX];
    struct signature out;

    if (size == 0)
        return 0;
    size_t which = data[0] % (LENGTH(samples) + 1);
    const struct sample *s = which < LENGTH(samples) ? &samples[which] : &gitlab;
    struct slice whole = exact_copy(data + 1, size - 1), rest = whole;
    struct delivery d = { .headers = headers, .now_s = s->now_s };
    d.url = slice_of(s->url ? s->url : "https://a.example/hook/x");
    d.n = read_headers(&rest, headers);
    d.body = rest;
    enum signature_word word = check(d, s, s->secret, NULL, &out);
    if (word == SIGNATURE_GOOD) {
        must(strlen(out.content) == 64 && out.why[0] == '\0');
        check_good(d, s);
    } else {
        must(out.why[0] != '\0' && !strstr(out.why, s->secret));
        must(word == SIGNATURE_MISSING || word == SIGNATURE_MALFORMED || word == SIGNATURE_WRONG ||
             word == SIGNATURE_STALE);
    }
    signature_fini(&out);
    free((char *)whole.at);
    return 0;
}
