/*
 * params.c - CGI meta-variables (RFC 3875) as a request's head.
 */
#include "fcgi/params.h"

#include "core/text.h"

enum { HEADER_NAME_MAX = 128 }; /* bytes; nobody asks for longer ones */

/* A length is one byte, or four with the first bit set (FastCGI specification, section 3.4). */
static bool length_next(struct slice *rest, uint32_t *out)
{
    const uint8_t *at = (const uint8_t *)rest->at;
    size_t size = rest->len > 0 && at[0] >= 0x80 ? 4 : 1;

    if (rest->len < size)
        return false;
    *out = size == 1 ? at[0]
                     : (uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 |
                           (uint32_t)at[2] << 8 | at[3];
    rest->at += size;
    rest->len -= size;
    return true;
}

static struct slice front(struct slice *rest, size_t len)
{
    struct slice cut = { rest->at, len };
    rest->at += len;
    rest->len -= len;
    return cut;
}

enum rc params_next(struct slice *rest, struct slice *name, struct slice *value)
{
    uint32_t name_len, value_len;

    if (rest->len == 0)
        return RC_AGAIN;
    if (!length_next(rest, &name_len) || !length_next(rest, &value_len))
        return RC_SYNTAX;
    /* Both are below 2^31 and come from the network: compare, never add. */
    if (name_len > rest->len || value_len > rest->len - name_len)
        return RC_SYNTAX;
    *name = front(rest, name_len);
    *value = front(rest, value_len);
    return RC_OK;
}

static void length_put(struct buf *out, size_t len)
{
    if (len >= 0x80) {
        buf_putc(out, (char)(0x80 | (len >> 24 & 0x7f)));
        buf_putc(out, (char)(len >> 16));
        buf_putc(out, (char)(len >> 8));
    }
    buf_putc(out, (char)len);
}

void params_put(struct buf *out, struct slice name, struct slice value)
{
    length_put(out, name.len);
    length_put(out, value.len);
    buf_put(out, name);
    buf_put(out, value);
}

struct slice params_get(struct slice params, const char *wanted)
{
    struct slice name, value;

    while (params_next(&params, &name, &value) == RC_OK)
        if (slice_is(name, slice_of(wanted)))
            return value;
    return SLICE_NONE;
}

static bool starts_with(struct slice text, struct slice start)
{
    return text.len >= start.len && memcmp(text.at, start.at, start.len) == 0;
}

/* "last-event-id" as "HTTP_LAST_EVENT_ID"?  (RFC 3875 section 4.1.18) */
static bool is_variable_of(struct slice variable, const char *header)
{
    struct slice prefix = SLICE("HTTP_");
    size_t len = strlen(header);

    if (variable.len != prefix.len + len || memcmp(variable.at, prefix.at, prefix.len) != 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = header[i];
        char upper = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        if (variable.at[prefix.len + i] != upper)
            return false;
    }
    return true;
}

struct slice params_header(struct slice params, const char *header)
{
    struct slice name, value, rest = params;

    /* The two that are meta-variables in their own right. */
    if (strcmp(header, "content-type") == 0 || strcmp(header, "content-length") == 0) {
        value = params_get(params, header[8] == 't' ? "CONTENT_TYPE" : "CONTENT_LENGTH");
        return value.len > 0 ? value : SLICE_NONE;
    }
    while (params_next(&rest, &name, &value) == RC_OK)
        if (is_variable_of(name, header))
            return value;
    /* Apache after an internal redirect, where CGIPassAuth may not be set but a rule
       `E=HTTP_AUTHORIZATION:…` may. */
    if (strcmp(header, "authorization") == 0)
        return params_get(params, "REDIRECT_HTTP_AUTHORIZATION");
    return SLICE_NONE;
}

/* The header's name that a variable stands for, in lower case; {NULL, 0}: it stands for none. */
static struct slice header_of(struct slice variable, char out[HEADER_NAME_MAX])
{
    struct slice prefix = SLICE("HTTP_");

    if (slice_is(variable, SLICE("CONTENT_TYPE")))
        return SLICE("content-type");
    if (slice_is(variable, SLICE("CONTENT_LENGTH")))
        return SLICE("content-length");
    if (!starts_with(variable, prefix) || variable.len > prefix.len + HEADER_NAME_MAX ||
        is_variable_of(variable, "content-type") || is_variable_of(variable, "content-length"))
        return SLICE_NONE;
    for (size_t i = prefix.len; i < variable.len; i++) {
        char c = variable.at[i];
        out[i - prefix.len] = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return (struct slice){ out, variable.len - prefix.len };
}

void params_each_header(struct slice params, header_fn *fn, void *arg)
{
    struct slice variable, value, rest = params;
    char text[HEADER_NAME_MAX];

    while (params_next(&rest, &variable, &value) == RC_OK) {
        struct slice name = header_of(variable, text);
        /* Where that comes from is params_header()'s business. */
        bool variable_only = value.len == 0 && starts_with(name, SLICE("content-"));
        if (name.len > 0 && !variable_only && !slice_is(name, SLICE("authorization")))
            fn(arg, name, value);
    }
    value = params_header(params, "authorization");
    if (value.at)
        fn(arg, SLICE("authorization"), value);
}

/* ---- the path -------------------------------------------------------------------------------- */

static struct slice after(struct slice text, size_t n)
{
    return n == 0 ? text : (struct slice){ text.at + n, text.len - n };
}

/* Index behind a segment that ends in ".fcgi" or ".cgi"; 0: there is none. */
static size_t script_end(struct slice path)
{
    for (size_t i = 1; i <= path.len; i++) {
        if (i < path.len && path.at[i] != '/')
            continue;
        if ((i >= 5 && memcmp(path.at + i - 5, ".fcgi", 5) == 0) ||
            (i >= 4 && memcmp(path.at + i - 4, ".cgi", 4) == 0))
            return i;
    }
    return 0;
}

/* Index of the '/' that begins our part of a path that nobody split. */
static size_t route_start(struct slice path)
{
    struct slice hook = SLICE("/hook");
    size_t at = path.len;

    while (at > 0 && path.at[--at] != '/')
        ;
    /* "/hook/NAME" is two segments */
    if (at >= hook.len && memcmp(path.at + at - hook.len, hook.at, hook.len) == 0)
        at -= hook.len;
    return at;
}

static void split_unsplit(struct slice whole, struct request_head *out)
{
    size_t at = script_end(whole);

    if (at == 0)
        at = route_start(whole);
    out->mount = (struct slice){ whole.at, at };
    out->path = after(whole, at);
}

/* Path of REQUEST_URI, decoded into scratch. */
static enum rc uri_path(struct slice params, struct buf *scratch, struct slice *out)
{
    struct slice uri = params_get(params, "REQUEST_URI");
    const char *end = uri.len > 0 ? memchr(uri.at, '?', uri.len) : NULL;

    if (end)
        uri.len = (size_t)(end - uri.at);
    /* "*" of OPTIONS, or a proxy's "http://…": no path to find anything in */
    if (uri.len == 0 || uri.at[0] != '/') {
        *out = SLICE_NONE;
        return RC_OK;
    }
    enum rc rc = percent_decode(scratch, uri, false);
    if (rc == RC_OK)
        rc = buf_rc(scratch);
    *out = buf_slice(scratch);
    return rc;
}

enum rc params_head(struct slice params, struct request_head *out, struct buf *scratch)
{
    struct slice rest = params, name, value, uri;
    enum rc rc;

    while ((rc = params_next(&rest, &name, &value)) == RC_OK)
        ;
    if (rc == RC_SYNTAX)
        return RC_SYNTAX;
    out->method = params_get(params, "REQUEST_METHOD");
    out->mount = params_get(params, "SCRIPT_NAME");
    out->path = params_get(params, "PATH_INFO");
    out->query = params_get(params, "QUERY_STRING");
    out->remote = params_get(params, "REMOTE_ADDR");
    if (out->method.len == 0)
        return RC_SYNTAX;
    if (out->path.len > 0)
        return RC_OK;

    if ((rc = uri_path(params, scratch, &uri)) != RC_OK)
        return rc;
    if (out->mount.len > 0 && starts_with(uri, out->mount) && uri.len > out->mount.len &&
        uri.at[out->mount.len] == '/') {
        out->path = after(uri, out->mount.len);
        return RC_OK;
    }
    struct slice document = params_get(params, "DOCUMENT_URI");
    split_unsplit(out->mount.len > 0 ? out->mount : document.len > 0 ? document : uri, out);
    return RC_OK;
}

bool params_body_is_whole(struct slice params, size_t got)
{
    struct slice said = params_get(params, "CONTENT_LENGTH");
    int64_t length;

    if (said.len == 0 || params_get(params, "HTTP_CONTENT_ENCODING").len > 0)
        return true;
    return number_parse(said, INT64_MAX, &length) == RC_OK && (uint64_t)length <= got;
}
