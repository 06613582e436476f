/*
 * usage.c - see usage.h.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/bench/usage.h"

struct process {
    char name[32];
    pid_t parent;
};

/* "pid (name) state ppid …": the name may hold anything, so look for its last parenthesis. */
static bool read_stat(pid_t pid, struct process *out)
{
    char path[64], text[1024], *open, *close;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!(file = fopen(path, "r")))
        return false;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    open = strchr(text, '(');
    close = strrchr(text, ')');
    if (!open || !close || sscanf(close + 1, " %*c %d", &out->parent) != 1)
        return false;
    snprintf(out->name, sizeof out->name, "%.*s", (int)(close - open - 1), open + 1);
    return true;
}

/* To the nanosecond, where /proc/PID/stat counts in hundredths of a second. */
static double cpu_seconds(pid_t pid)
{
    struct timespec t = { 0, 0 };
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) == 0)
        clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int64_t private_bytes(pid_t pid)
{
    char path[64], line[256];
    int64_t sum = 0;
    long kb;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    if (!(file = fopen(path, "r")))
        return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Private_Clean: %ld", &kb) == 1 ||
            sscanf(line, "Private_Dirty: %ld", &kb) == 1)
            sum += (int64_t)kb * 1024;
    fclose(file);
    return sum;
}

static int64_t count_descriptors(pid_t pid)
{
    char path[64];
    int64_t n = 0;
    DIR *dir;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    if (!(dir = opendir(path)))
        return 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2; /* . and .. */
}

static bool is_below(pid_t pid, pid_t root)
{
    struct process p;
    while (pid != root && pid > 1 && read_stat(pid, &p))
        pid = p.parent;
    return pid == root;
}

struct usage usage_of(pid_t root, const char *name)
{
    struct usage sum = { 0 };
    struct process p;
    struct dirent *entry;
    DIR *dir = opendir("/proc");

    while (dir && (entry = readdir(dir))) {
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (!isdigit((unsigned char)entry->d_name[0]) || !read_stat(pid, &p) ||
            (name && strncmp(p.name, name, 15) != 0) || !is_below(pid, root))
            continue;
        sum.processes++;
        sum.private_bytes += private_bytes(pid);
        sum.cpu_seconds += cpu_seconds(pid);
        sum.descriptors += count_descriptors(pid);
    }
    if (dir)
        closedir(dir);
    return sum;
}
