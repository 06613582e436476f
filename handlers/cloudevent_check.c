/*
 * cloudevent_check.c - is this JSON object a CloudEvent 1.0?
 *
 * CloudEvents 1.0.2, "Context Attributes" and "Type System"; JSON format, sections 2 and 3.  A
 * member that is null is not there; only data may be null.
 */
#include <stdarg.h>
#include <stdio.h>

#include "core/text.h"
#include "handlers/batch.h"
#include "handlers/cloudevent_priv.h"

enum { NAME_MAX_LEN = 20 };

struct check {
    const json_t *object;
    char *why;
    size_t size;
};

static bool wrong(const struct check *c, const char *format, ...) PRINTF(2, 3);

static bool wrong(const struct check *c, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(c->why, c->size, format, arguments);
    va_end(arguments);
    return false;
}

bool cloudevent_name_valid(struct slice name)
{
    if (name.len == 0 || name.len > NAME_MAX_LEN || slice_is(name, SLICE("data")))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            return false;
    }
    return true;
}

/* ---- what an attribute may say ------------------------------------------------------------ */

/* "Allowable Unicode characters": no controls, no noncharacters.  s is UTF-8. */
static bool is_allowable(struct slice s)
{
    while (s.len > 0) {
        const unsigned char *at = (const unsigned char *)s.at;
        size_t n = utf8_sequence(s);
        uint32_t c = n == 1   ? at[0]
                     : n == 2 ? (at[0] & 0x1Fu) << 6 | (at[1] & 0x3Fu)
                     : n == 3 ? (at[0] & 0x0Fu) << 12 | (at[1] & 0x3Fu) << 6 | (at[2] & 0x3Fu)
                     : n == 4 ? (at[0] & 0x07u) << 18 | (at[1] & 0x3Fu) << 12 |
                                    (at[2] & 0x3Fu) << 6 | (at[3] & 0x3Fu)
                              : 0;
        if (c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0xFDD0 && c <= 0xFDEF) ||
            (c & 0xFFFE) == 0xFFFE)
            return false;
        s.at += n;
        s.len -= n;
    }
    return true;
}

static const char *text_error(struct slice s)
{
    return s.len > 0 ? NULL : "must not be empty";
}

static const char *version_error(struct slice s)
{
    return slice_is(s, SLICE("1.0")) ? NULL : "must be \"1.0\"";
}

static const char *reference_error(struct slice s)
{
    return uri_reference_valid(s) ? NULL : "must be a URI reference such as /sensors/42";
}

/* RFC 3986, section 3.1: a scheme first. */
static const char *uri_error(struct slice s)
{
    size_t n = 0;
    while (n < s.len && ((s.at[n] >= 'a' && s.at[n] <= 'z') || (s.at[n] >= 'A' && s.at[n] <= 'Z') ||
                         (n > 0 && strchr("0123456789+-.", s.at[n]))))
        n++;
    bool absolute = n > 0 && n < s.len && s.at[n] == ':';
    return absolute && uri_reference_valid(s) ? NULL
                                              : "must be a URI such as https://example.org/s";
}

static const char *time_error(struct slice s)
{
    return rfc3339_valid(s) ? NULL : "must be a time such as 2018-04-05T17:31:00Z (RFC 3339)";
}

static const char *media_error(struct slice s)
{
    return s.len > 0 && batch_content_type_ok(s) ? NULL
                                                 : "must be a media type such as application/json";
}

static const struct attribute {
    const char *name;
    const char *(*error)(struct slice);
    bool required;
} attributes[] = {
    { "specversion", version_error, true },    { "id", text_error, true },
    { "source", reference_error, true },       { "type", text_error, true },
    { "subject", text_error, false },          { "time", time_error, false },
    { "datacontenttype", media_error, false }, { "dataschema", uri_error, false },
    { "bellpushtopic", text_error, false },
};

static const struct attribute *attribute_named(const char *name)
{
    for (size_t i = 0; i < LENGTH(attributes); i++)
        if (strcmp(attributes[i].name, name) == 0)
            return &attributes[i];
    return NULL;
}

/* ---- members ------------------------------------------------------------------------------ */

static struct slice string_of(const json_t *value)
{
    return (struct slice){ json_string_value(value), json_string_length(value) };
}

static bool check_extension(const struct check *c, const char *name, const json_t *value)
{
    if (json_is_boolean(value) || json_is_string(value))
        return true;
    if (!json_is_integer(value))
        return wrong(c, "%s must be a string, a whole number, true or false", name);
    json_int_t n = json_integer_value(value);
    if (n < INT32_MIN || n > INT32_MAX)
        return wrong(c, "%s must be a number of 32 bits", name);
    return true;
}

static bool check_attribute(const struct check *c, const char *name, const json_t *value)
{
    const struct attribute *a = attribute_named(name);

    if (!cloudevent_name_valid(slice_of(name)))
        return wrong(c,
                     "\"%.60s\" is no name of an attribute: those have 1 to 20 of the letters a to "
                     "z and digits",
                     name);
    if (a && !json_is_string(value))
        return wrong(c, "%s must be a string", name);
    if (!check_extension(c, name, value))
        return false;
    if (!json_is_string(value))
        return true;
    const char *error = a ? a->error(string_of(value)) : NULL;
    if (error)
        return wrong(c, "%s %s", name, error);
    if (!is_allowable(string_of(value)))
        return wrong(c, "%s has a character that attributes may not have", name);
    return true;
}

/* The data must be what datacontenttype, or its absence, says (section 3.1.2). */
static bool check_data(const struct check *c)
{
    const json_t *data = json_object_get(c->object, "data");
    const json_t *bytes = json_object_get(c->object, "data_base64");
    const json_t *type = json_object_get(c->object, "datacontenttype");
    struct buf decoded = BUF_EMPTY;

    if (data && json_is_string(type) && !media_is_json(string_of(type)) && !json_is_string(data))
        return wrong(c, "data must be a string, as datacontenttype is not JSON");
    if (!bytes || json_is_null(bytes))
        return true;
    if (data)
        return wrong(c, "data and data_base64 exclude one another");
    if (!json_is_string(bytes))
        return wrong(c, "data_base64 must be a string");
    enum rc rc = base64_decode(&decoded, string_of(bytes));
    buf_fini(&decoded);
    if (rc == RC_OK)
        return true;
    return wrong(c, rc == RC_NOMEM ? "out of memory" : "data_base64 is not padded standard base64");
}

bool cloudevent_valid(const json_t *object, char *why, size_t size)
{
    struct check c = { object, why, size };
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        return wrong(&c, "it is not a JSON object");
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (strcmp(name, "data") == 0 || strcmp(name, "data_base64") == 0)
            continue;
        if (json_is_null(value) && cloudevent_name_valid(slice_of(name)))
            continue;
        if (!check_attribute(&c, name, value))
            return false;
    }
    for (size_t i = 0; i < LENGTH(attributes); i++) {
        const json_t *is = json_object_get(object, attributes[i].name);
        if (attributes[i].required && (!is || json_is_null(is)))
            return wrong(&c, "it has no %s", attributes[i].name);
    }
    return check_data(&c);
}
