/*
 * act.c - see fault.h: what faults are made of, but for the trouble itself.
 *
 * While a fault waits, people see how the load is doing, where there is a terminal.
 */
#include <jansson.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/faults/act_priv.h"
#include "tests/faults/random.h"
#include "tests/peers/process.h"

enum { LOOK_AGAIN_MS = 20, ASK_MS = 2000, SHOW_EVERY_MS = 250, SEEN_MAX = 200 };

/* ---- people -------------------------------------------------------------------------------------
 */

void act_show(const struct act *a)
{
    static int64_t shown_ms;
    struct load_progress p;

    if (!isatty(STDERR_FILENO) || !a->load || now_ms() - shown_ms < SHOW_EVERY_MS)
        return;
    shown_ms = now_ms();
    load_look(a->load, &p);
    fprintf(stderr, "\r\033[K%s: %lld committed, %d of %d subscribers are there, %lld sightings",
            a->name, (long long)p.committed, p.open, p.subscribers, (long long)p.sightings);
}

void act_hide(void)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

static void PRINTF(3, 0)
    say(const struct act *a, const char *sort, const char *format, va_list args)
{
    char text[1024];

    vsnprintf(text, sizeof text, format, args);
    act_hide();
    fprintf(stderr, "%s: %s%s\n", a->name, sort, text);
}

void act_fail(struct act *a, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(a, "FAILED: ", format, args);
    va_end(args);
    a->failed = true;
}

void act_note(struct act *a, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(a, "", format, args);
    va_end(args);
}

/* ---- time and chance ----------------------------------------------------------------------------
 */

int64_t act_choose(struct act *a, int64_t low, int64_t high)
{
    return random_between(&a->random, low, high);
}

static void look_up(const struct act *a)
{
    static int64_t next_ms;

    act_show(a);
    if (a->every_second && now_ms() >= next_ms) {
        a->every_second(a->arg);
        next_ms = now_ms() + 1000;
    }
}

bool act_wait(struct act *a, bool (*fn)(void *arg), void *arg, int64_t ms)
{
    int64_t end = now_ms() + ms;

    while (!fn(arg)) {
        if (now_ms() >= end)
            return false;
        look_up(a);
        poll(NULL, 0, LOOK_AGAIN_MS);
    }
    return true;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

void act_last(struct act *a, int64_t ms)
{
    (void)!act_wait(a, never, NULL, ms);
}

void act_flows(struct act *a, int64_t commits)
{
    struct load_progress p;

    act_show(a);
    if (load_flows(a->load, commits, ACT_PATIENCE_MS))
        return;
    load_look(a->load, &p);
    act_fail(a, "the load stands still: %lld committed, %d of %d subscribers are there",
             (long long)p.committed, p.open, p.subscribers);
}

void act_unheard(struct act *a)
{
    if (a->unheard_since_us == 0)
        a->unheard_since_us = now_us();
}

void act_heard(struct act *a)
{
    if (a->unheard_since_us == 0)
        return;
    FILE *file = record_open(a->folder, "unheard", -1, "a");
    fprintf(file, "%lld\t%lld\t%s\n", (long long)a->unheard_since_us, (long long)now_us(), a->name);
    fclose(file);
    a->unheard_since_us = 0;
}

/* ---- evidence: /status --------------------------------------------------------------------------
 */

struct question {
    struct act *act;
    unsigned mask;
    const char *path, *value;
    bool some; /* one worker is enough */
    pid_t pid; /* of the one */
    char seen[SEEN_MAX];
};

const json_t *act_member(const json_t *object, const char *path)
{
    while (object && *path) {
        size_t len = strcspn(path, ".");
        char *name = slice_dup((struct slice){ path, len });

        object = json_object_get(object, name);
        free(name);
        path += len + (path[len] == '.');
    }
    return object;
}

/* A text as it is, anything else as JSON has it; gives. */
static char *value_text(const json_t *value)
{
    return json_is_string(value) ? text_of("%s", json_string_value(value))
                                 : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
}

json_t *act_ask(const struct act *a, size_t front, size_t worker)
{
    char *body = front_ask(a->site->fronts[front], worker, "/status", a->site->key, ASK_MS);
    json_t *status = body ? json_loads(body, 0, NULL) : NULL;

    free(body);
    return status;
}

pid_t act_pid(const json_t *status)
{
    const char *process = json_string_value(json_object_get(status, "process"));
    const char *colon = process ? strrchr(process, ':') : NULL;

    return colon ? (pid_t)atoi(colon + 1) : 0;
}

/* Does this worker say it?  What it says is remembered for act_fail(). */
static bool says(struct question *q, size_t front, size_t worker)
{
    json_t *status = act_ask(q->act, front, worker);
    const json_t *value = act_member(status, q->path);
    char *text = value ? value_text(value) : NULL;
    bool yes = text && strcmp(text, q->value) == 0;

    if (!yes)
        snprintf(q->seen, sizeof q->seen, "worker %zu behind %s says %s", worker,
                 q->act->site->load_fronts[front].name,
                 text     ? text
                 : status ? "nothing of it"
                          : "nothing at all");
    else
        q->pid = act_pid(status);
    free(text);
    json_decref(status);
    return yes;
}

static bool all_or_some_say(void *arg)
{
    struct question *q = arg;

    for (size_t i = 0; i < SITE_FRONTS; i++) {
        if (q->mask && !(q->mask & 1u << i))
            continue;
        for (size_t k = 0; k < front_sockets(q->act->site->fronts[i]); k++) {
            act_show(q->act);
            if (says(q, i, k) == q->some)
                return q->some;
        }
    }
    return !q->some;
}

static bool ask_all(struct question *q)
{
    if (act_wait(q->act, all_or_some_say, q, ACT_PATIENCE_MS))
        return true;
    act_fail(q->act, "/status never says %s %s: %s", q->path, q->value, q->seen);
    return false;
}

bool evidence_status(struct act *a, unsigned mask, const char *path, const char *value)
{
    return ask_all(&(struct question){ .act = a, .mask = mask, .path = path, .value = value });
}

pid_t evidence_some_status(struct act *a, unsigned mask, const char *path, const char *value)
{
    struct question q = { .act = a, .mask = mask, .path = path, .value = value, .some = true };
    return ask_all(&q) ? q.pid : 0;
}

/* ---- evidence: the log --------------------------------------------------------------------------
 */

static char *log_path(const struct act *a, size_t front)
{
    return text_of("%s/log/workers.log", front_folder(a->site->fronts[front]));
}

void evidence_log_mark(struct act *a)
{
    for (size_t i = 0; i < SITE_FRONTS; i++) {
        char *path = log_path(a, i);
        FILE *file = fopen(path, "r");

        a->logs_at[i] = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : 0;
        if (file)
            fclose(file);
        free(path);
    }
}

static bool some_log_says(void *arg)
{
    struct question *q = arg;
    bool found = false;

    for (size_t i = 0; i < SITE_FRONTS && !found; i++) {
        if (q->mask && !(q->mask & 1u << i))
            continue;
        char *path = log_path(q->act, i), *text = file_read(path);
        size_t at = (size_t)q->act->logs_at[i];
        found = text && strlen(text) > at && strstr(text + at, q->value);
        free(text);
        free(path);
    }
    return found;
}

bool evidence_log(struct act *a, unsigned mask, const char *text)
{
    struct question q = { .act = a, .mask = mask, .value = text };

    if (act_wait(a, some_log_says, &q, ACT_PATIENCE_MS))
        return true;
    act_fail(a, "no log ever says \"%s\"", text);
    return false;
}
