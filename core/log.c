/*
 * log.c - one line, one write().
 *
 * Several processes append to one file: a line that leaves in one write() to a descriptor opened
 * with O_APPEND is never torn.
 */
#include "core/log.h"
#include "core/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024, FLOOD_LINES = 5, FLOOD_MS = 10 * 1000 };

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
}

enum rc log_open(struct log *log, const char *path, enum log_level level)
{
    *log = (struct log){ .fd = STDERR_FILENO, .level = level };
    if (!path || !*path)
        return RC_OK;
    int fd = open_file(path);
    if (fd < 0)
        return RC_DENIED;
    log->fd = fd;
    log->path = path;
    return RC_OK;
}

enum rc log_reopen(struct log *log)
{
    if (!log->path)
        return RC_OK;
    int fd = open_file(log->path);
    if (fd < 0)
        return RC_DENIED;
    close(log->fd);
    log->fd = fd;
    return RC_OK;
}

void log_close(struct log *log)
{
    if (log->path)
        close(log->fd);
    *log = (struct log){ .fd = STDERR_FILENO, .level = log->level };
}

struct line {
    size_t len;
    bool cut;
    char at[LINE_MAX_BYTES];
};

/* Room stays for the mark of a cut ("...") and the newline. */
static void line_put(struct line *line, const char *at, size_t len)
{
    if (line->cut || len > sizeof line->at - 4 - line->len) {
        line->cut = true;
        return;
    }
    memcpy(line->at + line->len, at, len);
    line->len += len;
}

static void put_head(struct line *line, enum log_level level)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };
    struct timespec now;
    struct tm utc;
    char time[32], head[96];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &utc);
    int n = snprintf(head, sizeof head, "%s.%03ldZ %s [%ld] ", time, now.tv_nsec / 1000000,
                     names[level], (long)getpid());
    line_put(line, head, (size_t)n);
}

/* Whatever a peer sent, the line stays one line and does nothing to a terminal. */
static void put_harmless(struct line *line, struct slice text)
{
    while (text.len > 0 && !line->cut) {
        unsigned char c = (unsigned char)text.at[0];
        size_t n = utf8_sequence(text);
        bool c1 = n == 2 && c == 0xC2 && (unsigned char)text.at[1] < 0xA0; /* U+0080..U+009F */
        if (n == 0 || c < 0x20 || c == 0x7F || c1) {
            char escaped[5];
            snprintf(escaped, sizeof escaped, "\\x%02x", c);
            line_put(line, escaped, 4);
            n = 1;
        } else {
            line_put(line, text.at, n);
        }
        text.at += n;
        text.len -= n;
    }
}

static void write_line(const struct log *, enum log_level, const char *format, va_list)
    PRINTF(3, 0);

static void write_line(const struct log *log, enum log_level level, const char *format,
                       va_list args)
{
    int saved = errno; /* log_warn(…) between a failing call and strerror() must not matter */
    char text[LINE_MAX_BYTES];
    int n = vsnprintf(text, sizeof text, format, args);
    if (n < 0)
        n = 0;

    struct line line = { .len = 0, .cut = false };
    put_head(&line, level);
    put_harmless(&line, slice_of(n ? text : ""));
    if (line.cut || (size_t)n >= sizeof text) {
        memcpy(line.at + line.len, "...", 3);
        line.len += 3;
    }
    line.at[line.len++] = '\n';
    while (write(log->fd, line.at, line.len) < 0 && errno == EINTR)
        ;
    errno = saved;
}

void log_line(const struct log *log, enum log_level level, const char *format, ...)
{
    va_list args;

    if (level > log->level)
        return;
    va_start(args, format);
    write_line(log, level, format, args);
    va_end(args);
}

void log_seldom(const struct log *log, struct log_flood *flood, uint64_t now_ms,
                enum log_level level, const char *format, ...)
{
    va_list args;

    if (level > log->level)
        return;
    if (flood->written == 0 || now_ms >= flood->since_ms + FLOOD_MS) {
        if (flood->held > 0)
            log_line(log, level, "%u lines like the next were not written", flood->held);
        *flood = (struct log_flood){ .since_ms = now_ms };
    }
    if (flood->written == FLOOD_LINES) {
        flood->held++;
        return;
    }
    flood->written++;
    va_start(args, format);
    write_line(log, level, format, args);
    va_end(args);
}
