/*
 * cloudevent_data.c - bytes of some media type, as a member of a CloudEvent in JSON.
 *
 * JSON format, section 3.1: JSON stands as a value, text as a string, everything else as base64.
 * What calls itself JSON or text and is not what it says stays base64 too: its bytes are kept, and
 * who wants to look into them finds what was sent.
 */
#include "core/text.h"
#include "handlers/cloudevent.h"
#include "handlers/cloudevent_priv.h"

struct slice media_essence(struct slice type)
{
    size_t len = 0;
    while (len < type.len && type.at[len] != ';' && type.at[len] != ' ' && type.at[len] != '\t')
        len++;
    return (struct slice){ type.at, len };
}

static bool ends_in(struct slice s, struct slice end)
{
    return s.len >= end.len &&
           slice_is_nocase((struct slice){ s.at + s.len - end.len, end.len }, end);
}

bool media_is_json(struct slice type)
{
    struct slice essence = media_essence(type);
    return ends_in(essence, SLICE("/json")) || ends_in(essence, SLICE("+json"));
}

/* Characters of which a person could make something; no image, no archive, no octets. */
static bool media_is_text(struct slice type)
{
    struct slice essence = media_essence(type), text = SLICE("text/");
    bool is_text =
        essence.len > text.len && slice_is_nocase((struct slice){ essence.at, text.len }, text);
    return is_text || ends_in(essence, SLICE("/xml")) || ends_in(essence, SLICE("+xml")) ||
           ends_in(essence, SLICE("/javascript"));
}

/* The parameter's value without quotes; the whole is a media type with at most 255 bytes. */
static struct slice charset_of(struct slice type)
{
    struct slice name = SLICE("charset=");
    for (size_t i = media_essence(type).len; i + name.len <= type.len; i++) {
        struct slice value = { type.at + i + name.len, 0 };
        bool parameter = type.at[i - 1] == ';' || type.at[i - 1] == ' ';
        if (!parameter || !slice_is_nocase((struct slice){ type.at + i, name.len }, name))
            continue;
        if (value.at < type.at + type.len && *value.at == '"')
            value.at++;
        while (value.at + value.len < type.at + type.len && !strchr("\"; \t", value.at[value.len]))
            value.len++;
        return value;
    }
    return SLICE_NONE;
}

bool media_is_utf8(struct slice type)
{
    struct slice charset = charset_of(type);
    return !charset.at || slice_is_nocase(charset, SLICE("utf-8")) ||
           slice_is_nocase(charset, SLICE("utf8")) || slice_is_nocase(charset, SLICE("us-ascii"));
}

static bool is_value(struct slice bytes)
{
    const char *why;
    json_t *value;
    if (strict_read_value(bytes, CLOUDEVENT_DEPTH_MAX - 1, &value, &why) != RC_OK)
        return false;
    json_decref(value);
    return true;
}

void cloudevent_put_data(struct buf *out, struct slice type, struct slice bytes)
{
    if ((type.len == 0 || media_is_json(type)) && media_is_utf8(type) && is_value(bytes)) {
        buf_puts(out, ",\"data\":");
        json_put_compact(out, bytes);
    } else if (media_is_text(type) && media_is_utf8(type) && utf8_valid(bytes)) {
        buf_puts(out, ",\"data\":");
        json_put_string(out, bytes);
    } else {
        buf_puts(out, ",\"data_base64\":\"");
        base64_put(out, bytes);
        buf_putc(out, '"');
    }
}

void cloudevent_put_member(struct buf *out, const char *name, struct slice text)
{
    buf_printf(out, "\"%s\":", name);
    json_put_string(out, text);
}
