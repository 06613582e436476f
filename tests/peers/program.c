/*
 * program.c - bellpush.fcgi or bellpushd as a process of a test.
 */
#include "tests/peers/program.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 16 };

struct program the_program;

void program_set_up(const char *variable, const char *name)
{
    struct program *p = &the_program;

    p->path = getenv(variable);
    ck_assert_msg(p->path && access(p->path, X_OK) == 0, "set %s", variable);
    p->dir = temp_folder(name);
    p->log = text_of("%s/log", p->dir);
    p->conf = text_of("%s/bellpush.conf", p->dir);
    p->socket = text_of("%s/socket", p->dir);
    program_forget_log();
}

void program_tear_down(void)
{
    free(the_program.dir);
    free(the_program.log);
    free(the_program.conf);
    free(the_program.socket);
}

pid_t program_start(int stdin_fd, const char *const *arguments)
{
    const char *argv[ARGUMENTS_MAX] = { the_program.path };

    for (size_t i = 0; arguments[i]; i++) {
        ck_assert_uint_lt(i + 2, ARGUMENTS_MAX);
        argv[i + 1] = arguments[i];
    }
    return process_start(&(struct process_spec){
        .argv = argv, .env = PROGRAM_ENV, .stdin_fd = stdin_fd, .log = the_program.log });
}

int program_listen(const char *path)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    ck_assert_int_eq(listen(fd, 64), 0);
    return fd;
}

/* ---- what it says ---------------------------------------------------------------------------- */

static bool is_logged(void *text)
{
    char *log = file_read(the_program.log);
    bool is = log && strstr(log, text);

    free(log);
    return is;
}

void program_expect_logged(const char *text)
{
    ck_assert_msg(wait_until(is_logged, (void *)(uintptr_t)text, PROGRAM_DEADLINE_MS),
                  "no '%s' in the log: %s", text, file_read(the_program.log));
}

void program_expect_not_logged(const char *text)
{
    ck_assert_msg(!is_logged((void *)(uintptr_t)text), "'%s' in the log: %s", text,
                  file_read(the_program.log));
}

void program_forget_log(void)
{
    file_write(the_program.log, SLICE_NONE);
}

/* ---- its end --------------------------------------------------------------------------------- */

void program_expect_end(pid_t pid, int wanted)
{
    int status = 0;

    ck_assert_msg(process_wait(pid, PROGRAM_DEADLINE_MS, &status), "it does not end");
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == wanted, "status %x; log: %s", status,
                  file_read(the_program.log));
}

void program_expect_stop(pid_t pid)
{
    kill(pid, SIGTERM);
    program_expect_end(pid, 0);
}
