/*
 * strict.c - JSON from strangers.
 */
#include "core/strict.h"

/* Brackets are counted before anything is parsed; those in strings do not count. */
static bool deeper_than(struct slice text, size_t max)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '['))
            depth++;
        else if (!quoted && (c == '}' || c == ']') && depth > 0)
            depth--;
        if (depth > max)
            return true;
    }
    return false;
}

static enum rc explain(const json_error_t *e, const char **why)
{
    switch (json_error_code(e)) {
    case json_error_unknown: /* it gave up without a word: memory */
    case json_error_out_of_memory:
        *why = "out of memory";
        return RC_NOMEM;
    case json_error_duplicate_key:
        *why = "has a member twice";
        break;
    case json_error_invalid_utf8:
        *why = "is not valid UTF-8";
        break;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        *why = "has a NUL character";
        break;
    case json_error_numeric_overflow:
        *why = "has a number that is too large";
        break;
    default:
        *why = "is not JSON";
    }
    return RC_SYNTAX;
}

static enum rc read(struct slice text, size_t depth_max, size_t flags, json_t **out,
                    const char **why)
{
    json_error_t e = { 0 };
    if (deeper_than(text, depth_max)) {
        *why = "is nested too deeply";
        return RC_LIMIT;
    }
    *out = json_loadb(text.len ? text.at : "", text.len,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | flags, &e);
    return *out ? RC_OK : explain(&e, why);
}

enum rc strict_read_value(struct slice text, size_t depth_max, json_t **out, const char **why)
{
    return read(text, depth_max, JSON_ALLOW_NUL, out, why);
}

enum rc strict_read(struct slice text, size_t depth_max, json_t **out, const char **why)
{
    json_t *root = NULL;
    enum rc rc = read(text, depth_max, 0, &root, why);
    if (rc != RC_OK)
        return rc;
    if (!json_is_object(root)) {
        json_decref(root);
        *why = "is not a JSON object";
        return RC_SYNTAX;
    }
    *out = root;
    return RC_OK;
}

bool strict_string(const json_t *object, const char *name, struct slice *out)
{
    const json_t *value = json_object_get(object, name);
    *out = SLICE_NONE;
    if (!value)
        return true;
    if (!json_is_string(value))
        return false;
    *out = (struct slice){ json_string_value(value), json_string_length(value) };
    return true;
}
