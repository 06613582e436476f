/*
 * topic.c - names and filters, level by level.
 *
 * A level is what stands between two '/'; it may be empty ("a//b" has three).  All walks here cut
 * one level at a time off the front: no recursion, no memory.
 *
 * Three small rules cause all the special cases:
 *   - '#' also stands for no level at all: `a/#` matches `a`.  But a topic is never empty, so in
 *     `#` and in `/#` it stands for one level at least: these match the same as `+/#` and `/+/#`.
 *   - a wildcard at the front never matches a topic that begins with '$'.
 *   - a topic has at most TOPIC_MAX bytes, so two filters whose common topics would all be longer
 *     have none.
 */
#include "core/topic.h"
#include "core/text.h"

/* Cut the next level off *rest, whose at is NULL after the last.  False: there was none. */
static bool level_next(struct slice *rest, struct slice *level)
{
    if (!rest->at)
        return false;
    const char *slash = rest->len ? memchr(rest->at, '/', rest->len) : NULL;
    if (slash) {
        *level = (struct slice){ rest->at, (size_t)(slash - rest->at) };
        *rest = (struct slice){ slash + 1, rest->len - level->len - 1 };
    } else {
        *level = *rest;
        *rest = SLICE_NONE;
    }
    return true;
}

static bool is_plus(struct slice level)
{
    return level.len == 1 && level.at[0] == '+';
}

static bool is_hash(struct slice level)
{
    return level.len == 1 && level.at[0] == '#';
}

/* Of something that is not empty. */
static bool begins_wild(struct slice filter)
{
    return filter.at[0] == '+' || filter.at[0] == '#';
}

/* --- validity ------------------------------------------------------------------------------ */

static const char *text_error(struct slice s)
{
    if (s.len == 0)
        return "a topic may not be empty";
    if (s.len > TOPIC_MAX)
        return "a topic may not be longer than 1024 bytes";
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7F)
            return "a topic may not contain control characters";
    if (!utf8_valid(s))
        return "a topic must be valid UTF-8";
    return NULL;
}

const char *topic_error(struct slice topic)
{
    const char *error = text_error(topic);
    if (error)
        return error;
    if (filter_is_wild(topic))
        return "a topic may not contain '+' or '#': these are the wildcards of filters";
    return NULL;
}

const char *filter_error(struct slice filter)
{
    const char *error = text_error(filter);
    if (error)
        return error;
    struct slice rest = filter, level;
    while (level_next(&rest, &level)) {
        if (is_plus(level))
            continue;
        if (is_hash(level) && rest.at)
            return "in a topic filter '#' must be the last level";
        if (!is_hash(level) && level.len && memchr(level.at, '#', level.len))
            return "in a topic filter '#' must stand alone in its level: a/#, not a#";
        if (level.len && memchr(level.at, '+', level.len))
            return "in a topic filter '+' must stand alone in its level: a/+/b, not a+/b";
    }
    return NULL;
}

bool filter_is_wild(struct slice filter)
{
    return memchr(filter.at, '+', filter.len) || memchr(filter.at, '#', filter.len);
}

struct slice topic_heard_as(struct slice name)
{
    struct slice prefix = SLICE(TOPIC_PRESENCE);

    if (name.len <= prefix.len || memcmp(name.at, prefix.at, prefix.len) != 0)
        return name;
    return (struct slice){ name.at + prefix.len, name.len - prefix.len };
}

/* --- matching ------------------------------------------------------------------------------ */

bool topic_matches(struct slice filter, struct slice topic)
{
    if (topic.at[0] == '$' && begins_wild(filter))
        return false;
    struct slice wanted, level;
    while (level_next(&filter, &wanted)) {
        if (is_hash(wanted))
            return true;
        if (!level_next(&topic, &level))
            return false;
        if (!is_plus(wanted) && !slice_is(wanted, level))
            return false;
    }
    return !topic.at;
}

/*
 * Walk both filters at once, building in thought the shortest topic that matches both; only its
 * length is kept.
 */
bool filters_overlap(struct slice a, struct slice b)
{
    if ((begins_wild(a) && b.at[0] == '$') || (begins_wild(b) && a.at[0] == '$'))
        return false;

    bool a_open = false, b_open = false; /* after its '#': anything may follow, or nothing */
    bool nameless = false;               /* the first level can only be empty */
    size_t levels = 0, bytes = 0;
    for (;; levels++) {
        struct slice la = SLICE_NONE, lb = SLICE_NONE;
        bool a_more = level_next(&a, &la), b_more = level_next(&b, &lb);
        if (a_more && is_hash(la)) {
            a_open = true;
            a_more = false;
        }
        if (b_more && is_hash(lb)) {
            b_open = true;
            b_more = false;
        }
        if (!a_more && !b_more)
            break;
        if ((!a_more && !a_open) || (!b_more && !b_open))
            return false; /* one ends where the other demands a level */
        bool a_literal = a_more && !is_plus(la), b_literal = b_more && !is_plus(lb);
        if (a_literal && b_literal && !slice_is(la, lb))
            return false;
        nameless = nameless || (levels == 0 && ((a_literal && !la.len) || (b_literal && !lb.len)));
        bytes += a_literal ? la.len : b_literal ? lb.len : 0; /* '+' may stand for an empty level */
    }
    if (nameless && levels == 1 && !(a_open && b_open))
        return false; /* only the empty topic would match both, and there is none */
    return bytes + (levels ? levels - 1 : 0) <= TOPIC_MAX;
}

bool filter_covers(struct slice outer, struct slice inner)
{
    if (begins_wild(outer) && inner.at[0] == '$')
        return false;

    size_t bytes = 0, levels = 0; /* of inner, so far */
    struct slice lo, li;
    while (level_next(&outer, &lo)) {
        if (is_hash(lo))
            return true;
        bool inner_more = level_next(&inner, &li);
        if (inner_more && is_hash(li)) {
            /* Only where '#' stands for one level at least may outer ask for one. */
            struct slice next;
            bool one_at_least = levels == 0 || (levels == 1 && bytes == 0);
            return one_at_least && is_plus(lo) && level_next(&outer, &next) && is_hash(next);
        }
        if (!inner_more)
            return false;
        if (!is_plus(lo) && !slice_is(lo, li))
            return false; /* includes a literal that shall cover '+' */
        bytes += li.len;
        levels++;
    }
    return !inner.at;
}
