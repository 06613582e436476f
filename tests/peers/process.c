/*
 * process.c - see process.h.
 *
 * Nothing here may outlive its test.  A child gets PR_SET_PDEATHSIG (after setuid, which would
 * clear it), and a folder gets a janitor: a forked process that sleeps until the maker's death
 * wakes it.  An orderly exit does the same work without it, at once.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/peers/process.h"

enum { ASK_AGAIN_MS = 3, JANITOR_TRIES = 500 };

static _Noreturn void give_up(const char *what, const char *which)
{
    fprintf(stderr, "tests: %s %s: %s\n", what, which, strerror(errno));
    exit(EXIT_FAILURE);
}

/* --- time ---------------------------------------------------------------------------------- */

int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool wait_until(bool (*fn)(void *arg), void *arg, int64_t deadline_ms)
{
    int64_t end = now_ms() + deadline_ms;
    while (!fn(arg)) {
        if (now_ms() >= end)
            return false;
        poll(NULL, 0, ASK_AGAIN_MS);
    }
    return true;
}

/* --- children ------------------------------------------------------------------------------ */

static void set_environment(const char *const *env)
{
    for (; env && *env; env++)
        if (strchr(*env, '='))
            putenv((char *)(uintptr_t)*env);
        else
            unsetenv(*env);
}

static void become(const char *user)
{
    struct passwd *pw = getpwnam(user);
    if (!pw)
        give_up("no such user", user);
    if (initgroups(user, pw->pw_gid) || setgid(pw->pw_gid) || setuid(pw->pw_uid))
        give_up("cannot become", user);
    setenv("HOME", pw->pw_dir, 1);
    setenv("USER", user, 1);
    setenv("LOGNAME", user, 1);
}

static void redirect(const struct process_spec *spec)
{
    int in = spec->stdin_fd > 0 ? spec->stdin_fd : open("/dev/null", O_RDONLY);
    if (in < 0 || dup2(in, 0) < 0)
        give_up("cannot set stdin of", spec->argv[0]);
    if (spec->log) {
        int log = open(spec->log, O_WRONLY | O_CREAT | O_APPEND, 0644);
        if (log < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
            give_up("cannot write", spec->log);
        if (log > 2)
            close(log);
    }
    if (spec->stdout_fd > 0 && dup2(spec->stdout_fd, 1) < 0)
        give_up("cannot set stdout of", spec->argv[0]);
    for (int fd = 3; fd < 1024; fd++) /* the child holds nobody's sockets open */
        close(fd);
}

static _Noreturn void be_the_child(const struct process_spec *spec, pid_t parent)
{
    sigset_t none;

    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL); /* under nohup, too, a site must end with its terminal */
    if (spec->net > 0 && setns(spec->net, CLONE_NEWNET))
        give_up("cannot enter the network of", spec->argv[0]);
    redirect(spec);
    if (spec->user && geteuid() == 0)
        become(spec->user);
    prctl(PR_SET_PDEATHSIG, spec->death_signal ? spec->death_signal : SIGKILL);
    if (getppid() != parent)
        _exit(126);
    set_environment(spec->env);
    if (spec->dir && chdir(spec->dir))
        give_up("cannot enter", spec->dir);
    execvp(spec->argv[0], (char *const *)(uintptr_t)spec->argv);
    fprintf(stderr, "tests: cannot run %s: %s\n", spec->argv[0], strerror(errno));
    _exit(127);
}

pid_t process_start(const struct process_spec *spec)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        give_up("cannot fork for", spec->argv[0]);
    if (pid == 0)
        be_the_child(spec, parent);
    setpgid(pid, pid); /* both do it, so that neither can be too late */
    return pid;
}

bool process_ended(pid_t pid, int *status)
{
    int s = 0;
    pid_t got = waitpid(pid, &s, WNOHANG);
    if (got == 0)
        return false;
    if (status)
        *status = got == pid ? s : -1;
    return true;
}

bool process_wait(pid_t pid, int64_t deadline_ms, int *status)
{
    int64_t end = now_ms() + deadline_ms;
    while (!process_ended(pid, status)) {
        if (now_ms() >= end)
            return false;
        poll(NULL, 0, ASK_AGAIN_MS);
    }
    return true;
}

int process_stop(pid_t pid, int64_t deadline_ms)
{
    int status = -1;
    if (pid <= 0 || process_ended(pid, &status))
        return status;
    kill(pid, SIGTERM);
    if (!process_wait(pid, deadline_ms, &status)) {
        kill(-pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    return status;
}

/* The fourth field of /proc/PID/stat; the second, a name in brackets, may hold anything. */
static pid_t parent_of(const char *pid)
{
    char path[64], text[512];

    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[n] = '\0';
    const char *bracket = strrchr(text, ')');
    return bracket && strlen(bracket) > 4 ? (pid_t)atoi(bracket + 4) : 0;
}

size_t process_children(pid_t parent, pid_t *pids, size_t max)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    size_t n = 0;

    while (proc && (entry = readdir(proc))) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || parent_of(entry->d_name) != parent)
            continue;
        if (n < max)
            pids[n] = (pid_t)atoi(entry->d_name);
        n++;
    }
    if (proc)
        closedir(proc);
    return n;
}

int process_run(const struct process_spec *spec, int64_t deadline_ms)
{
    int status;
    pid_t pid = process_start(spec);
    if (!process_wait(pid, deadline_ms, &status)) {
        fprintf(stderr, "tests: %s did not end within %lld ms\n", spec->argv[0],
                (long long)deadline_ms);
        status = process_stop(pid, 1000);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* --- folders ------------------------------------------------------------------------------- */

struct folder {
    struct folder *next;
    pid_t maker, janitor;
    char path[];
};

static struct folder *folders;

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    remove(path);
    return 0;
}

void folder_remove(const char *path)
{
    for (int i = 0; i < JANITOR_TRIES; i++) {
        nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        if (access(path, F_OK))
            return;
        poll(NULL, 0, ASK_AGAIN_MS);
    }
}

/* Also called in forked children, which inherit atexit() but not the folders. */
static void remove_folders(void)
{
    for (struct folder *f = folders; f; f = f->next)
        if (f->maker == getpid()) {
            folder_remove(f->path);
            kill(f->janitor, SIGKILL);
            waitpid(f->janitor, NULL, 0);
        }
}

static _Noreturn void be_the_janitor(const char *path, pid_t maker)
{
    sigset_t all, wake;
    int got;

    setsid();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigemptyset(&wake);
    sigaddset(&wake, SIGUSR1);
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    prctl(PR_SET_NAME, "janitor");
    for (int fd = 0; fd < 1024; fd++)
        close(fd);
    while (getppid() == maker)
        sigwait(&wake, &got);
    folder_remove(path);
    _exit(0);
}

char *temp_folder(const char *name)
{
    const char *top = getenv("TMPDIR");
    char *path = text_of("%s/bellpush-%s-XXXXXX", top && *top ? top : "/tmp", name);
    struct folder *f = malloc(sizeof *f + strlen(path) + 1);

    if (!f || !mkdtemp(path) || chmod(path, 0755))
        give_up("cannot make folder", path);
    strcpy(f->path, path);
    f->maker = getpid();
    fflush(NULL);
    f->janitor = fork();
    if (f->janitor < 0)
        give_up("cannot fork for", path);
    if (f->janitor == 0)
        be_the_janitor(path, f->maker);
    if (!folders)
        atexit(remove_folders);
    f->next = folders;
    folders = f;
    return path;
}

/* --- files, ports -------------------------------------------------------------------------- */

char *text_of(const char *format, ...)
{
    char *text;
    va_list ap;
    va_start(ap, format);
    if (vasprintf(&text, format, ap) < 0)
        give_up("no memory for", format);
    va_end(ap);
    return text;
}

char *text_exchange(const char *text, const char *from, const char *to)
{
    struct buf out = BUF_EMPTY;
    const char *found;
    size_t n = 0;

    while ((found = strstr(text, from))) {
        buf_put(&out, (struct slice){ text, (size_t)(found - text) });
        buf_puts(&out, to);
        text = found + strlen(from);
        n++;
    }
    buf_puts(&out, text);
    buf_putc(&out, '\0');
    if (buf_rc(&out) != RC_OK)
        give_up("no memory for", from);
    if (n == 0)
        buf_fini(&out);
    return out.at;
}

char *file_read(const char *path)
{
    struct buf b = BUF_EMPTY;
    FILE *file = fopen(path, "r");
    size_t n;

    if (!file)
        return NULL;
    do {
        if (!buf_reserve(&b, 65537))
            give_up("no memory for", path);
        n = fread(b.at + b.len, 1, 65536, file);
        b.len += n;
    } while (n > 0);
    fclose(file);
    b.at[b.len] = '\0';
    return b.at;
}

void file_write(const char *path, struct slice text)
{
    FILE *file = fopen(path, "w");
    bool written = file && (text.len == 0 || fwrite(text.at, 1, text.len, file) == text.len);

    if (!written || fclose(file))
        give_up("cannot write", path);
}

void file_own(const char *path, const char *user)
{
    struct passwd *pw;
    if (geteuid() != 0)
        return;
    pw = getpwnam(user);
    if (!pw || chown(path, pw->pw_uid, pw->pw_gid))
        give_up("cannot give away", path);
}

int free_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) ||
        getsockname(fd, (struct sockaddr *)&a, &len))
        give_up("no free port on", "127.0.0.1");
    close(fd);
    return ntohs(a.sin_port);
}
