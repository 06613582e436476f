/*
 * guard_test.c - a web server that changes its user ends all the same with the test that started
 * it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/peers/guard.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { PATIENCE_MS = 20000 };

/* A zombie has no program any more. */
static bool is_gone(void *arg)
{
    char link[64], exe[512];

    snprintf(link, sizeof link, "/proc/%d/exe", *(pid_t *)arg);
    return readlink(link, exe, sizeof exe) < 0;
}

/* What becomes of a process that does not hear of its maker's death. */
static pid_t deaf_process_of_a_dead_maker(bool guarded)
{
    const char *const argv[] = { "setpriv", "--pdeathsig", "clear", "sleep", "600", NULL };
    int to[2];
    pid_t deaf = 0;

    ck_assert_int_eq(pipe(to), 0);
    pid_t maker = fork();
    if (maker == 0) {
        deaf = process_start(&(struct process_spec){ .argv = argv });
        char *exe = text_of("/proc/%d/comm", deaf), *comm = NULL;
        while (!comm || strcmp(comm, "sleep\n") != 0) {
            free(comm);
            comm = file_read(exe);
        }
        if (guarded)
            guard_start(deaf);
        _exit(write(to[1], &deaf, sizeof deaf) != sizeof deaf);
    }
    ck_assert_int_eq(read(to[0], &deaf, sizeof deaf), sizeof deaf);
    waitpid(maker, NULL, 0);
    close(to[0]);
    close(to[1]);
    return deaf;
}

START_TEST(guarded_process_ends_with_its_maker)
{
    pid_t deaf = deaf_process_of_a_dead_maker(true);

    ck_assert(wait_until(is_gone, &deaf, PATIENCE_MS));
}
END_TEST

START_TEST(it_would_not_end_by_itself)
{
    pid_t deaf = deaf_process_of_a_dead_maker(false);

    ck_assert(!is_gone(&deaf));
    kill(deaf, SIGKILL);
}
END_TEST

SUITE(guard)
{
    tcase_add_test(tc, guarded_process_ends_with_its_maker);
    tcase_add_test(tc, it_would_not_end_by_itself);
}
