/*
 * cloudevent_priv.h - what reading and writing CloudEvents have in common.
 */
#ifndef HANDLERS_CLOUDEVENT_PRIV_H
#define HANDLERS_CLOUDEVENT_PRIV_H

#include "core/strict.h"

enum { CLOUDEVENT_DEPTH_MAX = 256 /* of its JSON; data included */ };

/*
 * Is this object a CloudEvent 1.0, in all that the specification says about it and its data? False:
 * why is said, for a person, in at most size bytes.
 */
bool cloudevent_valid(const json_t *object, char *why, size_t size) MUST_USE;

/* [a-z0-9]{1,20}, and neither "data" nor anything else that cannot be an attribute? */
bool cloudevent_name_valid(struct slice name);

/* Append `,"data":…` or `,"data_base64":…`, whichever says these bytes of this media type (empty:
   not known) exactly. */
void cloudevent_put_data(struct buf *, struct slice media_type, struct slice bytes);

/* Append `"name":"text"`. */
void cloudevent_put_member(struct buf *, const char *name, struct slice text);

/* Its text is UTF-8, as far as a charset parameter says? */
bool media_is_utf8(struct slice media_type);
/* Subtype json, or one that ends in +json? */
bool media_is_json(struct slice media_type);

#endif
