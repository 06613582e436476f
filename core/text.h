/*
 * text.h - the few text formats that every room speaks: UTF-8, JSON strings, percent-encoding,
 * base64, and numbers read strictly.
 */
#ifndef CORE_TEXT_H
#define CORE_TEXT_H

#include "core/buf.h"

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF)? */
bool utf8_valid(struct slice);

/*
 * Append a JSON string with its quotes (RFC 8259 section 7).  The slice must be valid UTF-8.
 * '<', U+2028 and U+2029 are escaped too, so that the result is safe inside a <script> (JSONP,
 * forever-frame).
 */
void json_put_string(struct buf *, struct slice);

/* Append the padded standard base64 of the bytes (RFC 4648 section 4). */
void base64_put(struct buf *, struct slice);

/* Append the percent-decoded bytes; plus: '+' means space (form encoding).  RC_SYNTAX: bad %XX. */
enum rc percent_decode(struct buf *, struct slice, bool plus) MUST_USE;

/* Digits only, the whole slice, at most max.  RC_SYNTAX: anything else. */
enum rc number_parse(struct slice, int64_t max, int64_t *out) MUST_USE;

/*
 * Walk "a=1&b=2": cut the next pair off *rest.  False at the end.  Key and value are lent, still
 * encoded; a pair without '=' has an empty value.
 */
bool query_next(struct slice *rest, struct slice *key, struct slice *value);

/* Equal up to ASCII case? */
bool slice_is_nocase(struct slice, struct slice);

#endif
