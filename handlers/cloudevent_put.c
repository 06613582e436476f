/*
 * cloudevent_put.c - an event of the log as a structured CloudEvent.
 *
 * Anybody who may publish in SQL can give an event any content type: so what calls itself a
 * CloudEvent is looked at again, and what is none is wrapped like every other event.
 */
#include "handlers/cloudevent.h"
#include "handlers/cloudevent_priv.h"
#include "handlers/encode.h"
#include "core/text.h"

static bool put_as_it_came(const struct event_fields *e, struct buf *out)
{
    json_t *object;
    char why[160];
    const char *reason;

    if (!slice_is_nocase(media_essence(e->content_type), SLICE(CLOUDEVENT_TYPE)) ||
        strict_read_value(e->data, CLOUDEVENT_DEPTH_MAX, &object, &reason) != RC_OK)
        return false;
    bool valid = cloudevent_valid(object, why, sizeof(why));
    json_decref(object);
    if (valid)
        json_put_compact(out, e->data);
    return valid;
}

static void put_next(struct buf *out, const char *name, struct slice text)
{
    buf_putc(out, ',');
    cloudevent_put_member(out, name, text);
}

enum rc cloudevent_put(const struct event_fields *e, struct slice source, struct buf *out)
{
    char cursor[CURSOR_TEXT_MAX + 1], when[ENCODE_TIME_MAX + 1];
    struct slice type = e->content_type.len ? e->content_type : SLICE("text/plain; charset=utf-8");

    if (put_as_it_came(e, out))
        return buf_rc(out);
    cursor_text(e->epoch, e->seq, cursor);
    encode_time(e->time_us, when);
    buf_puts(out, "{\"specversion\":\"1.0\"");
    put_next(out, "id", slice_of(cursor));
    put_next(out, "source", source);
    put_next(out, "type", e->type.len ? e->type : SLICE("bellpush.event"));
    put_next(out, "subject", e->topic);
    put_next(out, "time", slice_of(when));
    put_next(out, "datacontenttype", type);
    if (e->id.len)
        put_next(out, "bellpushpublisherid", e->id);
    if (e->flags & EVENT_RETAINED)
        buf_puts(out, ",\"bellpushretained\":true");
    cloudevent_put_data(out, type, e->data);
    buf_putc(out, '}');
    return buf_rc(out);
}
