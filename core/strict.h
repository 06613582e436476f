/*
 * strict.h - JSON from strangers: an object, no member twice at any depth, nested no deeper than
 * was agreed, so that two readers cannot understand it differently and none can be exhausted by it.
 */
#ifndef CORE_STRICT_H
#define CORE_STRICT_H

#include "core/buf.h"

#include <jansson.h>

/*
 * RC_OK: *out is the object, the caller's.  RC_SYNTAX: it is none; RC_LIMIT: deeper than depth_max
 * (the object itself is 1); RC_NOMEM.  *why then lends the reason forever; it holds nothing of
 * text.
 */
enum rc strict_read(struct slice text, size_t depth_max, json_t **out, const char **why) MUST_USE;

/*
 * The same for a value of any kind, and U+0000 may stand in its strings: for what is only passed
 * on.
 */
enum rc strict_read_value(struct slice text, size_t depth_max, json_t **out,
                          const char **why) MUST_USE;

/* Lend a member that is a string; SLICE_NONE when there is none.  False: it is something else. */
bool strict_string(const json_t *object, const char *name, struct slice *out) MUST_USE;

#endif
