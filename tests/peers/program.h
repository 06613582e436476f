/*
 * program.h - bellpush.fcgi or bellpushd as a process of a test: its folder, its log, its end.
 * Its database is away, because that must not matter where this is used.
 */
#ifndef TESTS_PEERS_PROGRAM_H
#define TESTS_PEERS_PROGRAM_H

#include "tests/peers/process.h"

enum { PROGRAM_DEADLINE_MS = 20000 };

/* Of what process_start() is told: the database is away, and we are no CGI program. */
#define PROGRAM_ENV                                                                                \
    ((const char *const[]){ "BELLPUSH_DATABASE=host=/nonexistent dbname=none",                     \
                            "GATEWAY_INTERFACE", NULL })

/* Lent until program_tear_down(). */
struct program {
    const char *path;
    char *dir, *log, *conf, *socket; /* paths; the log is there, and empty */
};

extern struct program the_program;

/* variable: of the environment, which says where the program is.  name: of the folder. */
void program_set_up(const char *variable, const char *name);
void program_tear_down(void);

/* Start it with these arguments; its standard input is stdin_fd, or 0: /dev/null. */
pid_t program_start(int stdin_fd, const char *const *arguments);

#define PROGRAM_START(...) program_start(0, (const char *const[]){ __VA_ARGS__, NULL })

/* A listening unix socket at its path, as managers hand one over. */
int program_listen(const char *path);

/* Wait until its output or its log has this text, or end the test. */
void program_expect_logged(const char *text);
void program_expect_not_logged(const char *text);
void program_forget_log(void); /* what has been said until now */

/* It ends within the deadline, with this status; or is told to, and ends with 0. */
void program_expect_end(pid_t, int status);
void program_expect_stop(pid_t);

#endif
