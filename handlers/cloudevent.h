/*
 * cloudevent.h - CloudEvents 1.0 in and out: the JSON format, and all three modes over HTTP.
 *
 *      binary        ce-* headers, the body is the data    -.
 *      structured    application/cloudevents+json           |-> one JSON object each, kept as the
 *      batch         application/cloudevents-batch+json    -'   data of an event of ours
 *
 * An event of ours whose content type is application/cloudevents+json is such an object, without
 * blanks.  Nothing of it is taken away and nothing is added, so that it goes out as it came; its
 * type and id are also the event's own.  Numbers stay as they were written.
 *
 * A CloudEvent says itself which one it is: source and id.  So it is published once for each
 * publisher and topic, however often it comes, alone or in a batch (struct draft, once).  What is
 * compared then is what it says, not how it is written: neither blanks nor the order of members.
 */
#ifndef HANDLERS_CLOUDEVENT_H
#define HANDLERS_CLOUDEVENT_H

#include "core/request.h"
#include "handlers/batch.h"

#define CLOUDEVENT_TYPE "application/cloudevents+json"

enum cloudevent_mode {
    CLOUDEVENT_NONE,   /* it is not said to be one */
    CLOUDEVENT_BINARY, /* it has one of the headers ce-id, ce-source, ce-specversion, ce-type */
    CLOUDEVENT_STRUCTURED,
    CLOUDEVENT_BATCH,
    CLOUDEVENT_FOREIGN, /* a format or a charset that is not read here: 415 */
};

enum cloudevent_mode cloudevent_mode(const struct request *);

/* What is said of the events from outside of them.  Lent. */
struct cloudevent_terms {
    struct slice topic; /* empty: each event names its own in the attribute bellpushtopic */
    struct slice scope; /* whose they are: source and id count within it */
    int64_t expires_ms;
    bool retain, is_private;
};

struct cloudevents {
    struct draft *drafts; /* lent slices: into items and the terms */
    size_t n;             /* 0: an empty batch */
    struct batch_error error;
    struct cloudevent_item *items; /* private */
};

/*
 * Read what the request brings, in a mode other than NONE, and check it whole.  False: error says
 * why: 400 it is no CloudEvent, 413, 415, 422 it is one that cannot be published, 503.
 * cloudevents_fini() in both cases.  The request and the terms are lent until then.
 */
bool cloudevents_read(struct cloudevents *, const struct request *, enum cloudevent_mode,
                      const struct cloudevent_terms *, const struct conf *) MUST_USE;
void cloudevents_fini(struct cloudevents *);

/* "text/plain" of "text/plain; charset=utf-8". */
struct slice media_essence(struct slice media_type);

/*
 * Append an event as a structured CloudEvent: as it came, if it was one; or else with the cursor as
 * id, the topic as subject, and this source.
 */
enum rc cloudevent_put(const struct event_fields *, struct slice source, struct buf *out) MUST_USE;

#endif
