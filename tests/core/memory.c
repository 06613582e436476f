#include "tests/core/memory.h"
#include "core/buf.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    bool armed, failed;
    size_t left;
    const void *watched;
    size_t watched_len, seen;
} memory;

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void __real_free(void *);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
void __wrap_free(void *);

void memory_fail_at(size_t n)
{
    memory.armed = true;
    memory.failed = false;
    memory.left = n;
}

bool memory_end(void)
{
    memory.armed = false;
    return memory.failed;
}

bool memory_failed(void)
{
    return memory.failed;
}

static bool refuse(void)
{
    if (!memory.armed || memory.left-- > 0)
        return false;
    memory.armed = false;
    memory.failed = true;
    return true;
}

void memory_watch(const void *bytes, size_t len)
{
    memory.watched = bytes;
    memory.watched_len = len;
    memory.seen = 0;
}

size_t memory_leaks_seen(void)
{
    memory.watched = NULL;
    return memory.seen;
}

static void look(void *at)
{
    if (memory.watched && at &&
        memmem(at, malloc_usable_size(at), memory.watched, memory.watched_len))
        memory.seen++;
}

void *__wrap_malloc(size_t size)
{
    return refuse() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return refuse() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *at, size_t size)
{
    if (refuse())
        return NULL;
    look(at);
    return __real_realloc(at, size);
}

void __wrap_free(void *at)
{
    look(at);
    __real_free(at);
}

/*
 * Check is part of this program too (a static library) and allocates whenever an assertion has
 * held or failed: that is not meant.
 */
void __real__mark_point(const char *file, int line);
void __wrap__mark_point(const char *file, int line);
_Noreturn void __real__ck_assert_failed(const char *file, int line, const char *expr,
                                        const char *msg, ...) PRINTF(4, 5);
_Noreturn void __wrap__ck_assert_failed(const char *file, int line, const char *expr,
                                        const char *msg, ...) PRINTF(4, 5);

void __wrap__mark_point(const char *file, int line)
{
    bool armed = memory.armed;
    memory.armed = false;
    __real__mark_point(file, line);
    memory.armed = armed;
}

void __wrap__ck_assert_failed(const char *file, int line, const char *expr, const char *msg, ...)
{
    char text[1024] = "";
    va_list args;
    memory.armed = false;
    va_start(args, msg);
    if (msg)
        vsnprintf(text, sizeof text, msg, args);
    va_end(args);
    if (msg)
        __real__ck_assert_failed(file, line, expr, "%s", text);
    __real__ck_assert_failed(file, line, expr, NULL);
}
