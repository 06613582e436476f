/*
 * health.c - how this process is, for /status and the log.
 *
 * The log is for somebody who reads it the next morning: a trouble is one line when it begins, one
 * when it ends (how long, and what happened meanwhile), and between them a line only when there is
 * something new to say, or after a long time.
 */
#include "core/health.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "core/server.h"
#include "core/wall.h"

enum {
    NEW_REASON_MS = 5 * 1000, /* away: another reason is told, but not more often */
    REMINDER_MS = 60 * 1000,  /* the same one */
    JUMP_US = 500 * 1000,     /* between two looks; NTP's slewing is a thousand times slower */
    COUNT_MS = 1000,
    MEMORY_CALM_MS = 5 * 1000,
    ROOM_CALM_MS = 2 * 1000,
};

static int64_t wall_ahead_us(void)
{
    return wall_now_us() - (int64_t)(uv_hrtime() / 1000);
}

void health_init(struct server *s)
{
    struct health *h = &s->health;
    char host[PROCESS_NAME_MAX - 20] = "";

    gethostname(host, sizeof(host) - 1);
    snprintf(h->process, sizeof(h->process), "%s:%ld", host, (long)getpid());
    h->started_ms = h->state_ms = h->behind_ms = uv_now(s->loop);
    h->state_us = wall_now_us();
    h->wall_us = wall_ahead_us();
}

/* ---- the database -------------------------------------------------------------------------- */

/* Where each request is a process, its beginning is no news. */
static enum log_level news(const struct server *s)
{
    return s->one_slot ? LOG_DEBUG : LOG_INFO;
}

static void is_away(struct server *s, const char *why)
{
    struct health *h = &s->health;
    uint64_t now = uv_now(s->loop);
    bool is_new = s->source_state != SOURCE_AWAY || !h->said_ms;
    bool other = strcmp(why, s->source_why) != 0;

    if (is_new) {
        log_warn(&s->log, "database away: %s", why);
        h->events_then = s->stats.events;
        h->refused_then = s->stats.publishes_refused;
        h->attempts = s->source_state == SOURCE_AWAY; /* the first word may be a failed attempt */
    } else {
        h->attempts++;
        if (now < h->said_ms + (other ? NEW_REASON_MS : REMINDER_MS))
            return;
        log_warn(&s->log, "database still away after %.1f s, %u attempts: %s",
                 seconds_between(h->state_ms, now), h->attempts, why);
    }
    h->said_ms = now;
    if (!h->behind_ms)
        h->behind_ms = now;
}

static void is_back(struct server *s, const char *now_is, const char *why)
{
    const struct health *h = &s->health;

    if (!h->said_ms)
        log_line(&s->log, *why ? LOG_WARN : news(s), "database: %s%s%s", now_is, *why ? ": " : "",
                 why);
    else
        log_line(&s->log, *why ? LOG_WARN : LOG_INFO,
                 "database back after %.1f s, %u attempts: %s; %" PRIu64 " events read, %" PRIu64
                 " publishes refused meanwhile%s%s",
                 seconds_between(h->state_ms, uv_now(s->loop)), h->attempts, now_is,
                 s->stats.events - h->events_then, s->stats.publishes_refused - h->refused_then,
                 *why ? "; " : "", why);
}

void health_state(struct server *s, enum source_state state, const char *why)
{
    struct health *h = &s->health;
    uint64_t now = uv_now(s->loop);

    if (state == SOURCE_AWAY)
        is_away(s, why);
    else if (s->source_state == SOURCE_AWAY)
        is_back(s, state == SOURCE_POLLING ? "polling" : "listening", why);
    else if (state == SOURCE_POLLING && s->source_state == SOURCE_LISTENING)
        log_warn(&s->log, "database: polling: %s", why);
    else if (state == SOURCE_LISTENING && s->source_state == SOURCE_POLLING)
        log_info(&s->log, "listening again after %.1f s of polling",
                 seconds_between(h->state_ms, now));
    if (state != SOURCE_AWAY && s->source_state == SOURCE_AWAY) {
        h->attempts = 0;
        h->behind_ms = state == SOURCE_POLLING ? now : 0; /* it has read the log to its end */
        h->said_ms = 0;
    }
    if (state != s->source_state) {
        h->state_ms = now;
        h->state_us = wall_now_us();
    }
    s->source_state = state;
    snprintf(s->source_why, sizeof(s->source_why), "%s", why);
}

void health_recorder(struct server *s, const char *process)
{
    struct health *h = &s->health;
    bool was_us = strcmp(h->recorder, h->process) == 0;

    if (strcmp(h->recorder, process) == 0)
        return;
    if (strcmp(process, h->process) == 0)
        log_line(&s->log, news(s), "housekeeper: this process");
    else if (was_us)
        log_line(&s->log, news(s), "housekeeper: no longer this process%s%s",
                 *process ? ", but " : "", process);
    else if (*process)
        log_line(&s->log, news(s), "housekeeper is now %s", process);
    snprintf(h->recorder, sizeof(h->recorder), "%s", process);
}

/* ---- the log ------------------------------------------------------------------------------- */

int64_t health_lag_ms(const struct server *s)
{
    uint64_t since = s->health.behind_ms, now = uv_now(s->loop);

    if (!s->epoch[0])
        return -1;
    return since && now > since ? (int64_t)(now - since) : 0;
}

void health_told(struct server *s, int64_t time_us)
{
    s->health.told_ms = uv_now(s->loop);
    s->health.delay_us = wall_now_us() - time_us;
}

/* ---- this machine -------------------------------------------------------------------------- */

static void look_at_clock(struct server *s)
{
    int64_t ahead = wall_ahead_us(), jump = ahead - s->health.wall_us;

    s->health.wall_us = ahead;
    if (jump > -JUMP_US && jump < JUMP_US)
        return;
    s->stats.clock_jumps++;
    log_warn(&s->log, "clock set %s by %.1f s%s", jump < 0 ? "back" : "forward",
             (double)(jump < 0 ? -jump : jump) / 1e6, jump < 0 ? "" : ", or the machine has slept");
}

void health_no_memory(struct server *s, const char *what)
{
    struct health *h = &s->health;

    h->short_last_ms = uv_now(s->loop);
    if (!h->short_ms) {
        h->short_ms = h->short_last_ms;
        h->short_then = s->stats.no_memory;
        log_warn(&s->log, "no memory for %s: it is given up; others go on as long as they can",
                 what);
    }
    s->stats.no_memory++;
}

static void look_at_memory(struct server *s)
{
    struct health *h = &s->health;

    if (!h->short_ms || uv_now(s->loop) < h->short_last_ms + MEMORY_CALM_MS)
        return;
    log_info(&s->log, "memory again: it was short for %.1f s, %" PRIu64 " times there was none",
             seconds_between(h->short_ms, h->short_last_ms), s->stats.no_memory - h->short_then);
    h->short_ms = 0;
}

void health_refused(struct server *s)
{
    struct health *h = &s->health;

    h->full_last_ms = uv_now(s->loop);
    if (!h->full_ms) {
        h->full_ms = h->full_last_ms;
        h->full_then = s->stats.refused;
        log_warn(&s->log, "full: requests are refused, for %zu replies are open", s->open_count);
    }
    s->stats.refused++;
}

static void look_at_room(struct server *s)
{
    struct health *h = &s->health;

    if (!h->full_ms || uv_now(s->loop) < h->full_last_ms + ROOM_CALM_MS)
        return;
    log_info(&s->log, "room again: for %.1f s %" PRIu64 " requests were refused",
             seconds_between(h->full_ms, h->full_last_ms), s->stats.refused - h->full_then);
    h->full_ms = 0;
}

void health_look(struct server *s)
{
    look_at_clock(s);
    look_at_memory(s);
    look_at_room(s);
}

static size_t count_descriptors(size_t most)
{
    DIR *open_ones = opendir("/proc/self/fd");
    size_t n = 0;

    if (!open_ones)
        return errno == EMFILE ? most : 0;
    for (struct dirent *e; (e = readdir(open_ones));)
        n += e->d_name[0] != '.';
    closedir(open_ones);
    return n - 1; /* its own */
}

size_t health_descriptors(struct server *s)
{
    struct health *h = &s->health;
    uint64_t now = uv_now(s->loop);

    if (!h->counted_ms || h->counted_ms + COUNT_MS <= now) {
        h->descriptors = count_descriptors(h->descriptors_max);
        h->counted_ms = now;
    }
    return h->descriptors;
}
