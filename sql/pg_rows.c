/*
 * pg_rows.c - rows of the log in libpq's binary format, made into events.
 */
#include <stdlib.h>

#include "sql/pg_array.h"
#include "sql/pg_rows.h"

enum column { SEQ, TOPIC, TYPE, CONTENT_TYPE, ID, DATA, AT_US, EXPIRES_US, FLAGS, COLUMNS };

enum { ROW_OVERHEAD = 64 }; /* bytes of a row beside its texts */

struct slice pg_field(const PGresult *result, int row, int column)
{
    if (column >= PQnfields(result) || PQgetisnull(result, row, column))
        return SLICE_NONE;
    return (struct slice){ PQgetvalue(result, row, column),
                           (size_t)PQgetlength(result, row, column) };
}

int64_t pg_field_number(const PGresult *result, int row, int column, int64_t if_null)
{
    struct slice s = pg_field(result, row, column);

    return s.len == 8 ? pg_get_int8(s.at) : s.len == 4 ? pg_get_int4(s.at) : if_null;
}

bool pg_field_true(const PGresult *result, int row, int column)
{
    struct slice s = pg_field(result, row, column);

    return s.len == 1 && s.at[0] == 1;
}

static struct event *event_of(const PGresult *result, int row, const char *epoch, size_t *bytes)
{
    struct event_fields f = {
        .epoch = epoch,
        .seq = pg_field_number(result, row, SEQ, 0),
        .topic = pg_field(result, row, TOPIC),
        .type = pg_field(result, row, TYPE),
        .content_type = pg_field(result, row, CONTENT_TYPE),
        .id = pg_field(result, row, ID),
        .data = pg_field(result, row, DATA),
        .time_us = pg_field_number(result, row, AT_US, 0),
        .expires_us = pg_field_number(result, row, EXPIRES_US, 0),
        .flags = (unsigned)pg_field_number(result, row, FLAGS, 0),
    };

    *bytes += ROW_OVERHEAD + f.topic.len + f.type.len + f.content_type.len + f.id.len + f.data.len;
    return event_new(&f);
}

enum rc pg_page_read(const PGresult *result, const char *epoch, struct pg_page *page)
{
    int rows = PQntuples(result);

    *page = (struct pg_page){ .pruned_to = -1 };
    if (PQnfields(result) != COLUMNS || !PQfformat(result, SEQ))
        return RC_SYNTAX;
    page->events = calloc((size_t)rows + 1, sizeof(struct event *));
    if (!page->events)
        return RC_NOMEM;
    for (int row = 0; row < rows; row++) {
        bool closing = PQgetisnull(result, row, TOPIC);
        page->cut |= !closing && PQgetisnull(result, row, DATA);
        if (!closing && page->cut)
            continue;
        page->upto = pg_field_number(result, row, SEQ, page->upto);
        if (closing) {
            page->pruned_to = pg_field_number(result, row, AT_US, 0);
            page->foreign = !slice_is(pg_field(result, row, TYPE), slice_of(epoch));
            break;
        }
        struct event *event = event_of(result, row, epoch, &page->bytes);
        if (!event) {
            pg_page_fini(page);
            return RC_NOMEM;
        }
        page->events[page->n++] = event;
    }
    return RC_OK;
}

void pg_page_fini(struct pg_page *page)
{
    for (size_t i = 0; i < page->n; i++)
        event_unref(page->events[i]);
    free(page->events);
    *page = (struct pg_page){ .pruned_to = -1 };
}
