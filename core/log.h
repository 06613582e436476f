/*
 * log.h - lines for the operator: "2026-11-21T05:00:00.123Z warn [pid] text", to stderr or a file.
 *
 * Control characters from the network are written as \xNN, lines are cut at 1 KiB.  Secrets never
 * come here: that is the caller's duty.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include "core/buf.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log {
    int fd; /* stderr, or the file's */
    enum log_level level;
    const char *path; /* NULL: stderr */
};

/* path: lent for the log's life; NULL or "": stderr.  RC_DENIED: cannot open (errno is set). */
enum rc log_open(struct log *, const char *path, enum log_level) MUST_USE;
enum rc log_reopen(struct log *); /* after rotation; keeps the old file when it fails */
void log_close(struct log *);

void log_line(const struct log *, enum log_level, const char *format, ...) PRINTF(3, 4);

/*
 * A line that a thousand peers may cause at once: of its kind five are written in any ten seconds,
 * and the next one after that says how many were not.
 */
struct log_flood { /* one for each kind; zeroed at first */
    uint64_t since_ms;
    unsigned written, held;
};
void log_seldom(const struct log *, struct log_flood *, uint64_t now_ms, enum log_level,
                const char *format, ...) PRINTF(5, 6);

#define log_error(log, ...) log_line(log, LOG_ERROR, __VA_ARGS__)
#define log_warn(log, ...)  log_line(log, LOG_WARN, __VA_ARGS__)
#define log_info(log, ...)  log_line(log, LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_line(log, LOG_DEBUG, __VA_ARGS__)

#endif
