/*
 * pg_array.c - one-dimensional arrays in PostgreSQL's binary format.
 */
#include <stdlib.h>

#include "sql/pg_array.h"

enum { HEAD = 20, AT_DIMENSIONS = 0, AT_NULLS = 4, AT_LENGTH = 12 };

void pg_put_int4(char out[4], int32_t n)
{
    for (int i = 0; i < 4; i++)
        out[i] = (char)((uint32_t)n >> (24 - 8 * i));
}

void pg_put_int8(char out[8], int64_t n)
{
    for (int i = 0; i < 8; i++)
        out[i] = (char)((uint64_t)n >> (56 - 8 * i));
}

int32_t pg_get_int4(const char *at)
{
    uint32_t n = 0;

    for (int i = 0; i < 4; i++)
        n = n << 8 | (unsigned char)at[i];
    return (int32_t)n;
}

int64_t pg_get_int8(const char *at)
{
    return (int64_t)((uint64_t)(uint32_t)pg_get_int4(at) << 32 | (uint32_t)pg_get_int4(at + 4));
}

static void put_int4(struct buf *b, int32_t n)
{
    char bytes[4];

    pg_put_int4(bytes, n);
    buf_put(b, (struct slice){ bytes, 4 });
}

void pg_array_begin(struct pg_array *a, enum pg_type element)
{
    *a = PG_ARRAY_EMPTY;
    put_int4(&a->bytes, 1);
    put_int4(&a->bytes, 0);
    put_int4(&a->bytes, (int32_t)element);
    put_int4(&a->bytes, 0); /* the length: pg_array_end() knows */
    put_int4(&a->bytes, 1);
}

void pg_array_put(struct pg_array *a, struct slice s)
{
    bool null = !s.at && s.len == 0;

    if (s.len > INT32_MAX) /* no such array could be sent */
        a->bytes.nomem = true;
    if (a->bytes.nomem)
        return;
    put_int4(&a->bytes, null ? -1 : (int32_t)s.len);
    buf_put(&a->bytes, s);
    if (null && !a->bytes.nomem)
        pg_put_int4(a->bytes.at + AT_NULLS, 1);
    a->count++;
}

void pg_array_put_bool(struct pg_array *a, bool value)
{
    pg_array_put(a, (struct slice){ value ? "\1" : "\0", 1 });
}

void pg_array_put_int8(struct pg_array *a, int64_t value)
{
    char bytes[8];

    pg_put_int8(bytes, value);
    pg_array_put(a, (struct slice){ bytes, 8 });
}

struct slice pg_array_end(struct pg_array *a)
{
    if (a->bytes.nomem || a->bytes.len > INT32_MAX)
        return SLICE_NONE;
    if (a->count == 0) { /* an empty array has no dimension at all */
        pg_put_int4(a->bytes.at + AT_DIMENSIONS, 0);
        return (struct slice){ a->bytes.at, AT_LENGTH };
    }
    pg_put_int4(a->bytes.at + AT_LENGTH, (int32_t)a->count);
    return buf_slice(&a->bytes);
}

void pg_array_fini(struct pg_array *a)
{
    buf_fini(&a->bytes);
    a->count = 0;
}

enum rc pg_array_read_int8(struct slice s, int64_t **out, size_t *n)
{
    *out = NULL;
    *n = 0;
    if (s.len < AT_LENGTH || pg_get_int4(s.at + 8) != PG_INT8)
        return RC_SYNTAX;
    if (pg_get_int4(s.at) == 0)
        return RC_OK;
    if (s.len < HEAD || pg_get_int4(s.at) != 1)
        return RC_SYNTAX;
    size_t count = (uint32_t)pg_get_int4(s.at + AT_LENGTH);
    if ((s.len - HEAD) % 12 != 0 || count != (s.len - HEAD) / 12)
        return RC_SYNTAX;
    int64_t *numbers = malloc(count * sizeof(*numbers) + 1);
    if (!numbers)
        return RC_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const char *at = s.at + HEAD + 12 * i;
        if (pg_get_int4(at) != 8) {
            free(numbers);
            return RC_SYNTAX;
        }
        numbers[i] = pg_get_int8(at + 4);
    }
    *out = numbers;
    *n = count;
    return RC_OK;
}
