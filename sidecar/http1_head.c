/*
 * http1_head.c - what the head of an HTTP/1 request says.
 *
 * By far most heads are in order as they come; only those with a field in several lines or an
 * absolute target are written anew.
 */
#include "sidecar/http1_head.h"

#include "core/text.h"

struct field {
    struct slice name, value;
};

/* A field in so many lines is not a list: readers differ in which they take. */
static const char *const single[] = {
    "host",   "content-length", "transfer-encoding", "content-type",    "authorization",
    "origin", "expect",         "last-event-id",     "idempotency-key",
};

static enum rc refuse(struct http1_fault *fault, int status, const char *why)
{
    *fault = (struct http1_fault){ status, why };
    return RC_SYNTAX;
}

bool http1_is_token(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool http1_is_value(unsigned char c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7F);
}

/* What a host and port may have (RFC 3986 section 3.2), but no comma: it would make two of one. */
static bool is_authority(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (!c || !strchr("-._~!$&'()*+;=:[]%", c)))
            return false;
    }
    return true;
}

/* ---- the first line -------------------------------------------------------------------------- */

static struct slice after(struct slice s, size_t n)
{
    return (struct slice){ s.at + n, s.len - n };
}

/* Cut off what stands before the first c; false: there is no c. */
static bool cut(struct slice *rest, char c, struct slice *out)
{
    const char *at = rest->len > 0 ? memchr(rest->at, c, rest->len) : NULL;

    if (!at)
        return false;
    *out = (struct slice){ rest->at, (size_t)(at - rest->at) };
    *rest = after(*rest, out->len + 1);
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static enum rc read_version(struct slice v, struct http1_head *head, struct http1_fault *fault)
{
    if (v.len != 8 || memcmp(v.at, "HTTP/", 5) != 0 || !is_digit(v.at[5]) || v.at[6] != '.' ||
        !is_digit(v.at[7]))
        return refuse(fault, 400, "The request does not begin as one of HTTP/1.1 does.");
    if (v.at[5] != '1')
        return refuse(fault, 505, "This server speaks HTTP/1.1 and HTTP/1.0.");
    head->minor = v.at[7] == '0' ? 0 : 1;
    return RC_OK;
}

static enum rc read_method(struct slice method, struct http1_fault *fault)
{
    for (size_t i = 0; i < method.len; i++)
        if (!http1_is_token((unsigned char)method.at[i]))
            return refuse(fault, 400, "The request's method is malformed.");
    if (method.len == 0)
        return refuse(fault, 400, "The request has no method.");
    if (method.len > HTTP1_METHOD_MAX || slice_is(method, SLICE("CONNECT")))
        return refuse(fault, 501, "This server does not know that method.");
    return RC_OK;
}

static size_t scheme_len(struct slice target)
{
    static const char *const schemes[] = { "http://", "https://" };

    for (size_t i = 0; i < LENGTH(schemes); i++) {
        size_t n = strlen(schemes[i]);
        if (target.len >= n &&
            slice_is_nocase((struct slice){ target.at, n }, slice_of(schemes[i])))
            return n;
    }
    return 0;
}

/* *authority is not NULL where the target is absolute. */
static enum rc read_target(struct slice target, struct http1_head *head, struct slice *authority,
                           struct http1_fault *fault)
{
    static const char why[] = "The request's target is malformed.";
    size_t scheme = scheme_len(target), end = 0;

    *authority = SLICE_NONE;
    if (target.len > 0 && memchr(target.at, '#', target.len))
        return refuse(fault, 400, why);
    if (slice_is(target, SLICE("*")) && slice_is(head->method, SLICE("OPTIONS"))) {
        head->path = target;
        head->query = SLICE_NONE;
        return RC_OK;
    }
    if (scheme > 0) {
        target = after(target, scheme);
        while (end < target.len && target.at[end] != '/' && target.at[end] != '?')
            end++;
        *authority = (struct slice){ target.at, end };
        if (end == 0 || !is_authority(*authority))
            return refuse(fault, 400, why);
        target = after(target, end);
    } else if (target.len == 0 || target.at[0] != '/') {
        return refuse(fault, 400, why);
    }
    head->query = target;
    if (cut(&head->query, '?', &head->path))
        ;
    else {
        head->path = target;
        head->query = SLICE_NONE;
    }
    if (head->path.len == 0)
        head->path = SLICE("/");
    return RC_OK;
}

static enum rc read_line(struct slice line, struct http1_head *head, struct slice *authority,
                         struct http1_fault *fault)
{
    struct slice target;
    enum rc rc;

    *head = (struct http1_head){ .method = SLICE_NONE };
    if (!cut(&line, ' ', &head->method) || !cut(&line, ' ', &target))
        return refuse(fault, 400, "The request does not begin as one of HTTP/1.1 does.");
    if ((rc = read_version(line, head, fault)) != RC_OK ||
        (rc = read_method(head->method, fault)) != RC_OK)
        return rc;
    return read_target(target, head, authority, fault);
}

enum rc http1_line_read(struct slice line, struct http1_head *head, struct http1_fault *fault)
{
    struct slice authority;
    return read_line(line, head, &authority, fault);
}

/* ---- fields ---------------------------------------------------------------------------------- */

bool http1_field_next(struct slice *fields, struct slice *name, struct slice *value)
{
    struct slice line;

    if (!cut(fields, '\n', &line) || !cut(&line, ':', name))
        return false;
    if (line.len > 0 && line.at[line.len - 1] == '\r')
        line.len--;
    *value = slice_trim(line);
    return true;
}

struct slice http1_field(struct slice fields, const char *wanted)
{
    struct slice name, value;

    while (http1_field_next(&fields, &name, &value))
        if (slice_is(name, slice_of(wanted)))
            return value.at ? value : SLICE("");
    return SLICE_NONE;
}

static bool is_single(struct slice name)
{
    for (size_t i = 0; i < LENGTH(single); i++)
        if (slice_is(name, slice_of(single[i])))
            return true;
    return false;
}

static void lower(struct slice name)
{
    char *at = (char *)(uintptr_t)name.at;

    for (size_t i = 0; i < name.len; i++)
        if (at[i] >= 'A' && at[i] <= 'Z')
            at[i] = (char)(at[i] - 'A' + 'a');
}

/* *again: some name is there twice, and may be. */
static enum rc gather(struct slice lines, struct field *fields, size_t *n, bool *again,
                      struct http1_fault *fault)
{
    struct field f;

    *n = 0;
    *again = false;
    while (http1_field_next(&lines, &f.name, &f.value)) {
        if (*n == HTTP1_COUNT_MAX)
            return refuse(fault, 431, "The request has too many header fields.");
        lower(f.name);
        for (size_t i = 0; i < *n; i++) {
            if (!slice_is(fields[i].name, f.name))
                continue;
            if (is_single(f.name))
                return refuse(fault, 400, "A header field is there twice that must not be.");
            *again = true;
        }
        fields[(*n)++] = f;
    }
    return RC_OK;
}

static void put_field(struct buf *out, struct slice name, struct slice value)
{
    buf_put(out, name);
    buf_puts(out, ": ");
    buf_put(out, value);
    buf_puts(out, "\r\n");
}

/* All lines of the name that stands at i. */
static void put_joined(struct buf *out, const struct field *fields, size_t n, size_t i)
{
    const char *comma = slice_is(fields[i].name, SLICE("cookie")) ? "; " : ", ";

    buf_put(out, fields[i].name);
    for (size_t j = i; j < n; j++) {
        if (!slice_is(fields[j].name, fields[i].name))
            continue;
        buf_puts(out, j == i ? ": " : comma);
        buf_put(out, fields[j].value);
    }
    buf_puts(out, "\r\n");
}

/* Write the head anew: each name once, and the target without its host. */
static enum rc put_in_order(struct buf *bytes, const struct http1_head *head,
                            const struct field *fields, size_t n, struct slice authority)
{
    struct buf out = BUF_EMPTY;

    buf_put(&out, head->method);
    buf_putc(&out, ' ');
    buf_put(&out, head->path);
    if (head->query.at) {
        buf_putc(&out, '?');
        buf_put(&out, head->query);
    }
    buf_printf(&out, " HTTP/1.%d\r\n", head->minor);
    if (authority.at)
        put_field(&out, SLICE("host"), authority);
    for (size_t i = 0; i < n; i++) {
        size_t first = 0;
        while (!slice_is(fields[first].name, fields[i].name))
            first++;
        if (first == i && !(authority.at && slice_is(fields[i].name, SLICE("host"))))
            put_joined(&out, fields, n, i);
    }
    buf_puts(&out, "\r\n");
    if (buf_rc(&out) != RC_OK) {
        buf_fini(&out);
        return RC_NOMEM;
    }
    buf_fini(bytes);
    *bytes = out;
    return RC_OK;
}

/* ---- what they mean together ----------------------------------------------------------------- */

/* RFC 9112 section 6. */
static enum rc read_framing(struct http1_head *head, struct http1_fault *fault)
{
    struct slice coding = http1_field(head->fields, "transfer-encoding");
    struct slice said = http1_field(head->fields, "content-length");
    int64_t length = 0;

    if (said.at && number_parse(said, INT64_MAX, &length) != RC_OK)
        return refuse(fault, 400, "Content-Length is not a number.");
    head->length = (uint64_t)length;
    if (!coding.at)
        return RC_OK;
    if (said.at)
        return refuse(fault, 400, "Content-Length and Transfer-Encoding exclude one another.");
    if (head->minor == 0)
        return refuse(fault, 400, "HTTP/1.0 knows no Transfer-Encoding.");
    if (!slice_is_nocase(coding, SLICE("chunked")))
        return refuse(fault, 501, "The only Transfer-Encoding of this server is chunked.");
    head->chunked = true;
    return RC_OK;
}

static enum rc read_host(const struct http1_head *head, struct http1_fault *fault)
{
    struct slice host = http1_field(head->fields, "host");

    if (!host.at && head->minor > 0)
        return refuse(fault, 400, "HTTP/1.1 needs a Host.");
    return is_authority(host) ? RC_OK : refuse(fault, 400, "Host is malformed.");
}

static enum rc read_rest(struct http1_head *head, struct http1_fault *fault)
{
    struct slice connection = http1_field(head->fields, "connection");
    struct slice expect = http1_field(head->fields, "expect");

    head->keep = !list_has(connection, SLICE("close")) &&
                 (head->minor > 0 || list_has(connection, SLICE("keep-alive")));
    if (!expect.at || head->minor == 0) /* RFC 9110 section 10.1.1 */
        return RC_OK;
    if (!slice_is_nocase(expect, SLICE("100-continue")))
        return refuse(fault, 417, "This server meets no such expectation.");
    head->expects = true;
    return RC_OK;
}

/* Cut the first line off. */
static struct slice first_line(struct slice *bytes)
{
    struct slice line = SLICE_NONE;

    if (cut(bytes, '\n', &line) && line.len > 0 && line.at[line.len - 1] == '\r')
        line.len--;
    return line;
}

enum rc http1_head_read(struct buf *bytes, struct http1_head *head, struct http1_fault *fault)
{
    struct field fields[HTTP1_COUNT_MAX];
    struct slice rest = buf_slice(bytes), authority;
    bool again;
    size_t n;
    enum rc rc = read_line(first_line(&rest), head, &authority, fault);

    if (rc == RC_OK)
        rc = gather(rest, fields, &n, &again, fault);
    if (rc == RC_OK)
        head->fields = rest;
    if (rc == RC_OK)
        rc = read_host(head, fault);
    if (rc == RC_OK && (again || authority.at)) {
        rc = put_in_order(bytes, head, fields, n, authority);
        if (rc != RC_OK)
            return rc;
        rest = buf_slice(bytes);
        rc = read_line(first_line(&rest), head, &authority, fault);
        head->fields = rest;
    }
    if (rc == RC_OK)
        rc = read_framing(head, fault);
    if (rc == RC_OK)
        rc = read_rest(head, fault);
    return rc;
}
