/*
 * run_site.c - see run_site.h.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/browser/run_site.h"
#include "tests/peers/process.h"

enum { LINES_MS = 90000, END_MS = 30000 };

static _Noreturn void give_up(const struct run_site *s, const char *why)
{
    char *text = file_read(s->log);
    fprintf(stderr, "tests: make run %s; it says:\n%s\n", why, text ? text : "nothing");
    free(text);
    exit(EXIT_FAILURE);
}

/* The rest of the line after a label at a line's beginning; gives; NULL: not there (whole) yet. */
static char *labelled(const char *text, const char *label)
{
    for (const char *at = text; (at = strstr(at, label)); at++)
        if (at == text || at[-1] == '\n') {
            const char *from = at + strlen(label), *end = strchr(from, '\n');
            return end ? slice_dup((struct slice){ from, (size_t)(end - from) }) : NULL;
        }
    return NULL;
}

static bool has_said_all(void *arg)
{
    struct run_site *s = arg;
    if (process_ended(s->pid, NULL))
        give_up(s, "has ended");
    char *text = file_read(s->log);
    s->ws = labelled(text ? text : "", "ws: ");
    if (s->ws) {
        s->page = labelled(text, "page: ");
        s->curl = labelled(text, "curl: ");
        s->psql = labelled(text, "psql: ");
    }
    free(text);
    return s->ws != NULL;
}

/* psql 'host=FOLDER …' …; ws://127.0.0.1:PORT/… */
static void take_apart(struct run_site *s)
{
    const char *quote = s->psql ? strchr(s->psql, '\'') : NULL;
    const char *end = quote ? strchr(quote + 1, '\'') : NULL;
    const char *host = end ? strstr(s->psql, "host=") : NULL;
    int at = 0;
    if (!s->page || !s->curl || !host || sscanf(s->page, "http://127.0.0.1:%d/", &s->port) != 1 ||
        sscanf(s->ws, "ws://127.0.0.1:%d%n", &s->ws_port, &at) != 1)
        give_up(s, "prints other lines than we know");
    s->dsn = slice_dup((struct slice){ quote + 1, (size_t)(end - quote - 1) });
    s->ws_target = s->ws + at;
    s->sockets = slice_dup((struct slice){ host + 5, strcspn(host + 5, " '") });
}

struct run_site *run_site_start(const char *how)
{
    struct run_site *s = calloc(1, sizeof *s);
    const char *top = getenv("BELLPUSH_TEST_TOP"), *program = getenv("BELLPUSH_TEST_PROGRAM");
    const char *daemon = getenv("BELLPUSH_TEST_DAEMON");
    if (!s || !top || !program || !daemon)
        abort();
    char *script = text_of("%s/contrib/run/run.sh", top);
    char *folder = temp_folder("run-test");

    s->build = text_of("%s/build", folder);
    s->log = text_of("%s/log", folder);
    const char *const direct[] = { script, s->build, program, daemon, NULL };
    const char *const through[] = {
        "sh", "-c", how, "sh", script, s->build, program, daemon, NULL
    };
    /* Somebody's own settings must not lead it astray. */
    const char *const env[] = { "PGHOST=/nowhere", "PGDATABASE=nothing",
                                "BELLPUSH_DATABASE=nowhere", NULL };
    s->pid = process_start(&(struct process_spec){
        .argv = how ? through : direct, .env = env, .log = s->log, .death_signal = SIGTERM });
    if (!wait_until(has_said_all, s, LINES_MS))
        give_up(s, "does not print its four lines");
    take_apart(s);
    free(folder);
    free(script);
    return s;
}

int run_site_end(struct run_site *s, int signal)
{
    int status;
    if (!s)
        return 0;
    kill(-s->pid, signal);
    if (!process_wait(s->pid, END_MS, &status))
        give_up(s, "does not end");
    free(s->build);
    free(s->log);
    free(s->page);
    free(s->curl);
    free(s->psql);
    free(s->ws);
    free(s->dsn);
    free(s->sockets);
    free(s);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- processes
 * ----------------------------------------------------------------------------------- */

/* From /proc/PID/stat: "pid (name) state ppid …"; the name may hold anything. */
static bool process_stat(pid_t pid, char *state, pid_t *parent)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    const char *name_end = strrchr(text, ')');
    int ppid;
    if (!name_end || sscanf(name_end + 1, " %c %d", state, &ppid) != 2)
        return false;
    *parent = ppid;
    return true;
}

static bool is_below(pid_t pid, pid_t ancestor)
{
    char state;
    while (pid > 1 && process_stat(pid, &state, &pid))
        if (pid == ancestor)
            return true;
    return false;
}

size_t run_site_family(const struct run_site *s, pid_t *pids, size_t max)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    size_t n = 0;

    while (proc && (entry = readdir(proc))) {
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (pid > 0 && is_below(pid, s->pid)) {
            if (n < max)
                pids[n] = pid;
            n++;
        }
    }
    if (proc)
        closedir(proc);
    return n;
}

/* Those of the family that run a program of this name. */
static size_t running(const struct run_site *s, const char *name, pid_t *pids, size_t max)
{
    pid_t all[256];
    size_t n = run_site_family(s, all, LENGTH(all)), found = 0;

    for (size_t i = 0; i < n && i < LENGTH(all); i++) {
        char path[64], exe[512];
        snprintf(path, sizeof path, "/proc/%d/exe", (int)all[i]);
        ssize_t len = readlink(path, exe, sizeof exe - 1);
        exe[len > 0 ? len : 0] = '\0';
        if (!strstr(exe, name))
            continue;
        if (found < max)
            pids[found] = all[i];
        found++;
    }
    return found;
}

size_t run_site_workers(const struct run_site *s, pid_t *pids, size_t max)
{
    return running(s, "/bellpush.fcgi", pids, max);
}

pid_t run_site_sidecar(const struct run_site *s)
{
    pid_t pid;
    if (running(s, "/bellpushd", &pid, 1) != 1)
        give_up(s, "has no sidecar, or several");
    return pid;
}

size_t alive_among(const pid_t *pids, size_t n)
{
    size_t alive = 0;
    for (size_t i = 0; i < n; i++) {
        char state;
        pid_t parent;
        alive += process_stat(pids[i], &state, &parent) && state != 'Z';
    }
    return alive;
}
