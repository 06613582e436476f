/*
 * privileges_test.c - root becomes somebody else for good, and is heard all the same.
 */
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sidecar/daemon.h"
#include "tests/suite.h"

static void set_up(void)
{
    daemon_set_up("privileges");
    file_write(the_program.conf, SLICE("drain = 2s\n"));
}

static bool has_text(void *arg)
{
    char *text = file_read(((const char *const *)arg)[0]);
    bool has = text && strstr(text, ((const char *const *)arg)[1]);

    free(text);
    return has;
}

static void expect_nobody(pid_t pid, const struct passwd *nobody)
{
    char *path = text_of("/proc/%d/status", (int)pid);
    char *ids = text_of("Uid:\t%d\t%d\t%d\t%d", nobody->pw_uid, nobody->pw_uid, nobody->pw_uid,
                        nobody->pw_uid);
    char *gids = text_of("Gid:\t%d\t%d\t%d\t%d", nobody->pw_gid, nobody->pw_gid, nobody->pw_gid,
                         nobody->pw_gid);
    char *groups = text_of("Groups:\t%d \n", nobody->pw_gid);
    const char *const wanted[] = { ids,
                                   gids,
                                   groups,
                                   "CapPrm:\t0000000000000000",
                                   "CapEff:\t0000000000000000",
                                   "NoNewPrivs:\t1" };

    for (size_t i = 0; i < LENGTH(wanted); i++) {
        const char *const both[] = { path, wanted[i] };
        ck_assert_msg(wait_until(has_text, (void *)(uintptr_t)both, PROGRAM_DEADLINE_MS),
                      "no %s in %s", wanted[i], file_read(path));
    }
    free(path);
    free(ids);
    free(gids);
    free(groups);
}

START_TEST(root_becomes_somebody_else_when_all_is_open)
{
    const struct passwd *nobody = getpwnam("nobody");
    char reply[DAEMON_REPLY_MAX];
    struct stat st;

    if (geteuid() != 0) /* make check runs as either */
        return;
    for (int workers = 0; workers < 2; workers++) {
        char *n = text_of("%d", workers);
        program_forget_log();
        pid_t pid = daemon_start(the_program.socket, n, "--user", "nobody");
        daemon_expect_answer(0, reply);
        ck_assert_int_eq(daemon_process_of(reply) == pid, workers == 0);
        expect_nobody(daemon_process_of(reply), nobody);
        ck_assert_int_eq(stat(the_program.socket, &st), 0);
        ck_assert_int_eq(st.st_uid, nobody->pw_uid);
        program_expect_stop(pid);
        free(n);
    }
}
END_TEST

static bool is_refused(void *arg)
{
    int fd = daemon_connect(0);

    (void)arg;
    if (fd >= 0)
        close(fd);
    return fd < 0;
}

/* process_start() asks the kernel that what it starts shall die with it. */
START_TEST(who_wants_it_to_end_with_him_is_heard_after_the_change_too)
{
    char reply[DAEMON_REPLY_MAX];
    pid_t middle = geteuid() == 0 ? fork() : -1;

    if (middle < 0)
        return;
    if (middle == 0) {
        daemon_start(the_program.socket, "0", "--user", "nobody");
        for (;;)
            pause();
    }
    program_expect_logged("listening on ");
    daemon_expect_answer(0, reply);
    kill(middle, SIGKILL);
    ck_assert(process_wait(middle, PROGRAM_DEADLINE_MS, NULL));
    ck_assert(wait_until(is_refused, NULL, PROGRAM_DEADLINE_MS));
}
END_TEST

START_TEST(who_is_not_root_cannot_become_another)
{
    struct process_spec spec = {
        .argv = (const char *const[]){ the_program.path, "--listen", "127.0.0.1:0", "--user",
                                       "root", NULL },
        .env = PROGRAM_ENV,
        .log = the_program.log,
        .user = "nobody",
    };

    chmod(the_program.log, 0666);
    if (geteuid() == 0) { /* the program must be where nobody may run it */
        ck_assert_int_eq(process_run(&spec, PROGRAM_DEADLINE_MS), 1);
        program_expect_logged("only root can become 'root'");
    }
    spec.argv = (const char *const[]){ the_program.path, "--listen",    "127.0.0.1:0",
                                       "--user",         "no such one", NULL };
    ck_assert_int_eq(process_run(&spec, PROGRAM_DEADLINE_MS), 1);
    program_expect_logged("'no such one': no such user");
}
END_TEST

SUITE(privileges)
{
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, program_tear_down);
    tcase_add_test(tc, root_becomes_somebody_else_when_all_is_open);
    tcase_add_test(tc, who_wants_it_to_end_with_him_is_heard_after_the_change_too);
    tcase_add_test(tc, who_is_not_root_cannot_become_another);
}
