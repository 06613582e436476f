/*
 * text.h - the few text formats that every room speaks: UTF-8, JSON strings, percent-encoding,
 * base64, lists, and numbers read strictly.
 */
#ifndef CORE_TEXT_H
#define CORE_TEXT_H

#include "core/buf.h"

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF)? */
bool utf8_valid(struct slice);

/* Bytes of the well-formed sequence that s begins with, 1 to 4; 0: it begins with none. */
size_t utf8_sequence(struct slice);

/*
 * Append a JSON string with its quotes (RFC 8259 section 7).  The slice must be valid UTF-8.
 * '<', U+2028 and U+2029 are escaped too, so that the result is safe inside a <script> (JSONP,
 * forever-frame).
 */
void json_put_string(struct buf *, struct slice);

/*
 * Append JSON text that a parser has accepted, without the blanks between its parts.  Strings and
 * numbers stay as they were written, but for what json_put_string() escapes for <script> too.
 */
void json_put_compact(struct buf *, struct slice);

/* Append the padded standard base64 of the bytes (RFC 4648 section 4). */
void base64_put(struct buf *, struct slice);

/*
 * Append the bytes of padded base64, or of unpadded base64url (RFC 4648 section 5), written in the
 * one way there is for them.  RC_SYNTAX: anything else: blanks, padding that is missing or too
 * much, bits left over at the end that are not zero.
 */
enum rc base64_decode(struct buf *, struct slice) MUST_USE;
enum rc base64url_decode(struct buf *, struct slice) MUST_USE;

/* Append the percent-decoded bytes; plus: '+' means space (form encoding).  RC_SYNTAX: bad %XX. */
enum rc percent_decode(struct buf *, struct slice, bool plus) MUST_USE;

/* Digits only, the whole slice, at most max.  RC_SYNTAX: anything else. */
enum rc number_parse(struct slice, int64_t max, int64_t *out) MUST_USE;

/*
 * A time in milliseconds: digits and a unit, "250ms", "15s", "2m", "1h", "7d"; only 0 needs none.
 * A size in bytes: digits and perhaps a unit of 1024s, "500", "64k", "8m", "1g" (or K, M, G).
 * RC_SYNTAX: anything else, or above max.
 */
enum rc duration_parse(struct slice, int64_t max, int64_t *out_ms) MUST_USE;
enum rc size_parse(struct slice, int64_t max, int64_t *out_bytes) MUST_USE;

/* Append the same in the largest unit that says it exactly. */
void duration_put(struct buf *, int64_t ms);
void size_put(struct buf *, int64_t bytes);

/* RFC 3339 section 5.6: "2018-04-05T17:31:00.5+02:00", a day and a time that there are? */
bool rfc3339_valid(struct slice);

/* Only characters that a URI reference has (RFC 3986), each %XX whole; and not empty? */
bool uri_reference_valid(struct slice);

/*
 * Walk "a=1&b=2": cut the next pair off *rest.  False at the end.  Key and value are lent, still
 * encoded; a pair without '=' has an empty value.
 */
bool query_next(struct slice *rest, struct slice *key, struct slice *value);

/*
 * Cut the next item off a list, perhaps an empty one, with the blanks around it.  False: nothing is
 * left.
 */
bool item_next(struct slice *rest, char separator, struct slice *item);

/* Is the word an item of a list between commas (RFC 9110 section 5.6.1)?  In whatever case. */
bool list_has(struct slice list, struct slice word);

/* Without blanks and tabs at either end. */
struct slice slice_trim(struct slice);

/* Equal up to ASCII case? */
bool slice_is_nocase(struct slice, struct slice);

#endif
