/*
 * event.c - one message and its wire forms.
 *
 *      [struct event][topic\0][type\0][content_type\0][id\0][epoch\0][data\0]     one allocation
 *         forms -> [which, block] -> [which, block]                               on first demand
 *
 * The NULs are for debuggers and printf("%s"); nobody else counts on them.
 */
#include "core/event.h"

#include <stdlib.h>

struct event {
    struct event_fields fields;
    uint32_t refs;
    size_t size; /* of all allocations together */
    struct wire_form *forms;
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
    forms_free(e->forms);
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

/* ---- forms ---------------------------------------------------------------------------------- */

static struct block *form_find(const struct wire_form *f, unsigned which)
{
    while (f && f->which != which)
        f = f->next;
    return f ? f->block : NULL;
}

/* Keep a copy of the bytes; lends it.  NULL: no memory. */
static struct block *form_add(struct wire_form **forms, unsigned which, struct slice bytes)
{
    struct wire_form *f = malloc(sizeof(*f));
    struct block *b = f ? block_new(bytes) : NULL;

    if (!b) {
        free(f);
        return NULL;
    }
    *f = (struct wire_form){ *forms, which, b };
    *forms = f;
    return b;
}

void forms_free(struct wire_form *f)
{
    for (struct wire_form *next; f; f = next) {
        next = f->next;
        block_unref(f->block);
        free(f);
    }
}

enum rc event_encode(const struct event *e, const struct encoder *as, struct buf *out)
{
    const struct block *made = form_find(e->forms, as->which);
    enum rc rc = RC_OK;

    if (made)
        buf_put(out, block_slice(made));
    else
        rc = as->encode(e, as->with, out);
    return rc == RC_OK ? buf_rc(out) : rc;
}

enum rc forms_bytes(struct wire_form **forms, struct event *const *events, size_t n,
                    const struct encoder *as, struct block **out)
{
    struct buf all = BUF_EMPTY;
    enum rc rc = RC_OK;

    *out = form_find(*forms, as->which);
    if (*out)
        return RC_OK;
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = event_encode(events[i], as, &all);
    if (rc == RC_OK && !(*out = form_add(forms, as->which, buf_slice(&all))))
        rc = RC_NOMEM;
    buf_fini(&all);
    return rc;
}

enum rc event_bytes(struct event *e, const struct encoder *as, struct block **out)
{
    const struct wire_form *before = e->forms;
    enum rc rc = forms_bytes(&e->forms, &e, 1, as, out);

    if (e->forms != before)
        e->size += sizeof(struct wire_form) + block_size(*out);
    return rc;
}
