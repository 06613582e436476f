/*
 * topic.h - topic names and topic filters: MQTT 5 section 4.7 is the law.
 *
 *      topic   orders/42/status        a name: no wildcard
 *      filter  orders/+/status         '+' is exactly one level
 *              orders/#                '#' is the parent and everything below; last level only
 *
 * UTF-8, 1 to TOPIC_MAX bytes, no NUL, no control characters (U+0000..U+001F, U+007F): they could
 * forge lines in protocols of text.  A topic whose first byte is '$' is the system's own: no filter
 * that begins with a wildcard matches it (section 4.7.2).
 */
#ifndef CORE_TOPIC_H
#define CORE_TOPIC_H

#include "core/buf.h"

enum { TOPIC_MAX = 1024 }; /* bytes */

/* NULL when it is one, or else the reason why not, for a person ("a topic may not contain '+'…").
 */
const char *topic_error(struct slice);
const char *filter_error(struct slice);

/* Does this valid topic match this valid filter? */
bool topic_matches(struct slice filter, struct slice topic);

/* Can any topic match both filters?  (So: may a subscriber of a hear what b closes.) */
bool filters_overlap(struct slice a, struct slice b);

/* Does every topic that matches inner match outer? */
bool filter_covers(struct slice outer, struct slice inner);

/*
 * Who is on TOPIC is told on "$presence/TOPIC", to whoever may hear TOPIC: that is what is given
 * back for such a topic or filter.  Others: themselves.
 */
#define TOPIC_PRESENCE "$presence/"
struct slice topic_heard_as(struct slice);

/* Has it a '+' or '#' level? */
bool filter_is_wild(struct slice);

#endif
