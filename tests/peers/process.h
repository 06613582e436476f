/*
 * process.h - other programs, run by tests: start, stop, a folder to live in, a port, a wait.
 *
 * check forks for every test.  What several tests share is started in the parent, by an unchecked
 * fixture (tcase_add_unchecked_fixture), and so outlives the single test; what a test starts dies
 * with that test, even with one that crashes: each child asks the kernel for it, and each folder
 * has a janitor, a process that removes it when its maker is gone.
 * On our own failure these functions say why on stderr and end the program.
 */
#ifndef TESTS_PEERS_PROCESS_H
#define TESTS_PEERS_PROCESS_H

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/buf.h"

struct process_spec {
    const char *const *argv; /* argv[0] is looked up in PATH; NULL-terminated */
    const char *const *env;  /* "NAME=value" added to ours, "NAME" removed; NULL: as ours */
    const char *log;         /* file that stdout and stderr are appended to; NULL: ours */
    const char *dir;         /* working folder; NULL: ours */
    const char *user;        /* run as, when we are root; NULL: as we are */
    int stdin_fd;     /* becomes fd 0; 0: /dev/null (a listening socket for a FastCGI worker) */
    int stdout_fd;    /* becomes fd 1 whatever log says; 0: see log */
    int death_signal; /* sent when we die; 0: SIGKILL */
    int net;          /* descriptor of the network namespace to live in; 0: ours */
};

/* Start; gives the pid.  The child leads its own process group. */
pid_t process_start(const struct process_spec *);

/* Has it ended?  *status as from waitpid() (may be NULL).  Only for our own children. */
bool process_ended(pid_t, int *status);

/* Wait for its end at most so long; false: still running. */
bool process_wait(pid_t, int64_t deadline_ms, int *status);

/*
 * SIGTERM, and after deadline_ms SIGKILL to its whole process group.  Gives waitpid()'s status.
 * A pid of 0 or less: nothing happens.
 */
int process_stop(pid_t, int64_t deadline_ms);

/* The children of any process, at most max of their pids.  Returns how many there are. */
size_t process_children(pid_t, pid_t *pids, size_t max);

/* Start, wait for the end, return the exit status (128 + signal when killed). */
int process_run(const struct process_spec *, int64_t deadline_ms);

/*
 * A new folder bellpush-NAME-XXXXXX in $TMPDIR (or /tmp), mode 0755, removed with all that is in it
 * when the calling process ends, however it ends.  Gives the path (caller frees).
 */
char *temp_folder(const char *name);

/* Remove a folder and all that is in it, even if somebody who is just dying still writes there. */
void folder_remove(const char *path);

/* Give the path or text that a format makes (caller frees). */
char *text_of(const char *format, ...) PRINTF(1, 2);
/* Give the text with each `from` in it become `to`; NULL: there is none. */
char *text_exchange(const char *text, const char *from, const char *to);

/* The whole file and a NUL, given (caller frees); NULL: cannot be read. */
char *file_read(const char *path);
void file_write(const char *path, struct slice);

/* Give a file to a user, when we are root. */
void file_own(const char *path, const char *user);

/* A TCP port on 127.0.0.1 that nobody listened on a moment ago. */
int free_port(void);

/* Milliseconds of a clock that never jumps. */
int64_t now_ms(void);

/* Ask every few milliseconds until fn(arg) holds; false: not within deadline_ms. */
bool wait_until(bool (*fn)(void *arg), void *arg, int64_t deadline_ms);

#endif
