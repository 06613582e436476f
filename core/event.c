/*
 * event.c - one message and its wire forms.
 *
 *      [struct event][topic\0][type\0][content_type\0][id\0][epoch\0][data\0]     one allocation
 *         forms -> [which, bytes] -> [which, bytes]                               on first demand
 *
 * An event has few forms at a time, and there are many events: a list, not a table.
 *
 * The NULs are for debuggers and printf("%s"); nobody else counts on them.
 */
#include "core/event.h"

#include <stdlib.h>

struct form {
    struct form *next;
    uint32_t which, len;
    char bytes[];
};

struct event {
    struct event_fields fields;
    uint32_t refs;
    size_t size; /* of all allocations together */
    struct form *forms;
    char text[];
};

/* Copy s to *end and a NUL behind it; *end moves on. */
static struct slice keep(char **end, struct slice s)
{
    struct slice kept = { *end, s.len };
    if (s.len)
        memcpy(*end, s.at, s.len);
    (*end)[s.len] = '\0';
    *end += s.len + 1;
    return kept;
}

struct event *event_new(const struct event_fields *f)
{
    struct slice epoch = slice_of(f->epoch ? f->epoch : "");
    size_t size = sizeof(struct event) + f->topic.len + f->type.len + f->content_type.len +
                  f->id.len + epoch.len + f->data.len + 6;
    struct event *e = malloc(size);
    if (!e)
        return NULL;
    *e = (struct event){ .fields = *f, .refs = 1, .size = size };
    char *end = e->text;
    e->fields.topic = keep(&end, f->topic);
    e->fields.type = keep(&end, f->type);
    e->fields.content_type = keep(&end, f->content_type);
    e->fields.id = keep(&end, f->id);
    e->fields.epoch = keep(&end, epoch).at;
    e->fields.data = keep(&end, f->data);
    return e;
}

struct event *event_ref(struct event *e)
{
    e->refs++;
    return e;
}

void event_unref(struct event *e)
{
    if (!e || --e->refs > 0)
        return;
    for (struct form *f = e->forms, *next; f; f = next) {
        next = f->next;
        free(f);
    }
    free(e);
}

const struct event_fields *event_fields(const struct event *e)
{
    return &e->fields;
}

int64_t event_seq(const struct event *e)
{
    return e->fields.seq;
}

size_t event_size(const struct event *e)
{
    return e->size;
}

static struct form *form_new(struct event *e, unsigned which, struct slice bytes)
{
    struct form *f = bytes.len <= UINT32_MAX ? malloc(sizeof(*f) + bytes.len) : NULL;

    if (!f)
        return NULL;
    *f = (struct form){ e->forms, which, (uint32_t)bytes.len };
    if (bytes.len)
        memcpy(f->bytes, bytes.at, bytes.len);
    e->forms = f;
    e->size += sizeof(*f) + bytes.len;
    return f;
}

enum rc event_bytes(struct event *e, unsigned which, encode_fn *encode, const void *with,
                    struct slice *out)
{
    struct form *f = e->forms;

    while (f && f->which != which)
        f = f->next;
    if (!f) {
        struct buf b = BUF_EMPTY;
        enum rc rc = encode(e, with, &b);
        if (rc == RC_OK)
            rc = buf_rc(&b);
        if (rc == RC_OK && !(f = form_new(e, which, buf_slice(&b))))
            rc = RC_NOMEM;
        buf_fini(&b);
        if (rc != RC_OK)
            return rc;
    }
    *out = (struct slice){ f->bytes, f->len };
    return RC_OK;
}
