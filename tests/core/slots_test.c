/*
 * slots_test.c - one-request mode: how many of a site's processes are holding a reply.
 */
#include "core/slots.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/suite.h"

static char folder[] = "/tmp/bellpush-slots-XXXXXX";
static char path[64];

static void folder_make(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/slots", folder);
}

static void folder_remove(void)
{
    unlink(path);
    rmdir(folder);
}

START_TEST(each_process_takes_another_slot_until_none_is_left)
{
    int a = slots_open(path), b = slots_open(path), c = slots_open(path);

    ck_assert_int_ge(a, 0);
    ck_assert_int_eq(slot_take(a, 2), 0);
    ck_assert_int_eq(slot_take(b, 2), 1);
    ck_assert_int_eq(slot_take(c, 2), -1);
    slot_give(a, 0);
    ck_assert_int_eq(slot_take(c, 2), 0);
    close(a);
    close(b);
    close(c);
}
END_TEST

START_TEST(a_slot_comes_back_when_its_process_is_killed)
{
    int ready[2];
    char byte;

    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = slots_open(path);
        byte = (char)slot_take(fd, 1);
        (void)!write(ready[1], &byte, 1);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 0);
    int fd = slots_open(path);
    ck_assert_int_eq(slot_take(fd, 1), -1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ck_assert_int_eq(slot_take(fd, 1), 0);
    close(fd);
}
END_TEST

START_TEST(a_file_that_cannot_be_trusted_is_refused)
{
    char link[80];

    ck_assert_int_eq(slots_open("/nowhere/at/all"), -1);
    snprintf(link, sizeof(link), "%s/link", folder);
    ck_assert_int_eq(symlink(path, link), 0);
    ck_assert_int_eq(slots_open(link), -1);
    ck_assert_int_eq(errno, ELOOP);
    unlink(link);
    ck_assert_int_eq(slot_take(-1, 3), -1);
    slot_give(-1, -1); /* nothing happens */
}
END_TEST

START_TEST(without_a_path_each_installation_gets_its_own_file)
{
    char env[64];

    snprintf(env, sizeof(env), "%s", folder);
    setenv("TMPDIR", env, 1);
    int a = slots_open(NULL), b = slots_open("");
    ck_assert_int_ge(a, 0);
    ck_assert_int_eq(slot_take(a, 1), 0);
    ck_assert_int_eq(slot_take(b, 1), -1); /* the same file */
    struct stat st;
    ck_assert_int_eq(fstat(a, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    close(a);
    close(b);
    char remove[96];
    snprintf(remove, sizeof(remove), "rm -f %s/bellpush-*.slots", folder);
    ck_assert_int_eq(system(remove), 0);
}
END_TEST

SUITE(slots)
{
    tcase_add_checked_fixture(tc, folder_make, folder_remove);
    tcase_add_test(tc, each_process_takes_another_slot_until_none_is_left);
    tcase_add_test(tc, a_slot_comes_back_when_its_process_is_killed);
    tcase_add_test(tc, a_file_that_cannot_be_trusted_is_refused);
    tcase_add_test(tc, without_a_path_each_installation_gets_its_own_file);
}
