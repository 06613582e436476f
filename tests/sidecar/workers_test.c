/*
 * workers_test.c - the program itself: several processes that share their sockets, die, are
 * restarted and stop; with a database that is away, because that must not matter here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sidecar/daemon.h"
#include "tests/suite.h"

enum { REPLY_MAX = 16384, CHILDREN_MAX = 16 };

#define ASK "GET /push/status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static void set_up(void)
{
    daemon_set_up("workers");
    file_write(the_program.conf, SLICE("drain = 2s\n"));
}

/* ---- the program ----------------------------------------------------------------------------- */

static pid_t start_with(const char *address, const char *workers, const char *option,
                        const char *value)
{
    pid_t pid = PROGRAM_START("--config", the_program.conf, "--listen", address, "--workers",
                              workers, option, value);
    program_expect_logged("listening on ");
    return pid;
}

static pid_t start(const char *address, const char *workers)
{
    return start_with(address, workers, NULL, NULL);
}

/* ---- clients --------------------------------------------------------------------------------- */

/* Where: a port, or 0: the unix socket. */
static int connect_to(int port)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(port ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ 10, 0 }, sizeof(struct timeval));
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", the_program.socket);
    if (connect(fd, port ? (struct sockaddr *)&in : (struct sockaddr *)&un,
                port ? sizeof(in) : sizeof(un)) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* Ask, and take all of the answer.  NULL: it came whole; otherwise what went wrong. */
static const char *talk(int port, char reply[REPLY_MAX])
{
    int fd = connect_to(port);
    size_t got = 0;
    ssize_t n = -1;

    reply[0] = '\0';
    if (fd < 0)
        return "cannot connect";
    if (send(fd, ASK, sizeof(ASK) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(ASK) - 1)
        while (got < REPLY_MAX - 1 && (n = read(fd, reply + got, REPLY_MAX - 1 - got)) > 0)
            got += (size_t)n;
    int why = errno;
    close(fd);
    errno = why;
    reply[got] = '\0';
    if (n < 0)
        return "cut";
    errno = 0;
    if (got == 0)
        return "no answer";
    return strncmp(reply, "HTTP/1.1 200 ", 13) == 0 && reply[got - 2] == '}' ? NULL : "half";
}

static void expect_answer(int port, char reply[REPLY_MAX])
{
    const char *wrong = talk(port, reply);
    ck_assert_msg(!wrong, "%s: %s; %.99s", wrong, strerror(errno), reply);
}

/* "process":"…:PID" of an answer. */
static pid_t process_of(const char *reply)
{
    const char *at = strstr(reply, "\"process\":\"");
    int pid = 0;

    ck_assert_ptr_nonnull(at);
    at = strchr(at + 11, ':');
    ck_assert(at && sscanf(at, ":%d", &pid) == 1);
    return pid;
}

/* ---- its children ---------------------------------------------------------------------------- */

struct family {
    pid_t first;
    size_t wanted;              /* children that there shall be */
    pid_t before[CHILDREN_MAX]; /* none of these among them */
    size_t n_before;
};

static bool is_family(void *arg)
{
    const struct family *f = arg;
    pid_t now[CHILDREN_MAX];
    size_t n = process_children(f->first, now, CHILDREN_MAX);

    for (size_t i = 0; i < n && i < CHILDREN_MAX; i++)
        for (size_t j = 0; j < f->n_before; j++)
            if (now[i] == f->before[j])
                return false;
    return n == f->wanted;
}

static struct family expect_family(pid_t first, size_t wanted, const struct family *but)
{
    struct family f = { .first = first, .wanted = wanted };

    if (but) {
        memcpy(f.before, but->before, sizeof(f.before));
        f.n_before = but->n_before;
    }
    ck_assert_msg(wait_until(is_family, &f, PROGRAM_DEADLINE_MS), "not %zu children; log: %s",
                  wanted, file_read(the_program.log));
    f.n_before = process_children(first, f.before, CHILDREN_MAX);
    return f;
}

/* ---- tests ----------------------------------------------------------------------------------- */

START_TEST(workers_share_a_port)
{
    char reply[REPLY_MAX];
    pid_t pid = start("127.0.0.1:0", "2"), one = 0;
    int port = daemon_port();
    bool both = false;

    for (int i = 0; i < 200 && !both; i++) {
        expect_answer(port, reply);
        pid_t by = process_of(reply);
        ck_assert_int_ne(by, pid);
        both = one && by != one;
        one = by;
    }
    ck_assert(both);
    program_expect_stop(pid);
    ck_assert_int_lt(connect_to(port), 0);
}
END_TEST

START_TEST(workers_share_a_unix_socket_whose_file_goes_with_the_first_process)
{
    char reply[REPLY_MAX];
    pid_t pid = start(the_program.socket, "3");

    expect_family(pid, 3, NULL);
    for (int i = 0; i < 50; i++)
        expect_answer(0, reply);
    program_expect_stop(pid);
    ck_assert_int_ne(access(the_program.socket, F_OK), 0);
}
END_TEST

START_TEST(a_worker_that_dies_is_replaced)
{
    char reply[REPLY_MAX];
    pid_t pid = start("127.0.0.1:0", "2");
    int port = daemon_port();
    struct family f = expect_family(pid, 2, NULL);

    expect_answer(port, reply);
    for (int i = 0; i < 3; i++) {
        struct family one = { .first = pid, .wanted = 2, .n_before = 1 };
        one.before[0] = f.before[0];
        kill(f.before[0], SIGKILL);
        f = expect_family(pid, 2, &one);
    }
    program_expect_logged("was killed by signal 9; another begins in 0.1 s");
    program_expect_logged("was killed by signal 9; another begins in 0.2 s"); /* later and later */
    expect_answer(port, reply);
    program_expect_stop(pid);
}
END_TEST

START_TEST(workers_that_never_serve_end_it)
{
    file_write(the_program.conf, SLICE("database = host=a nonsense=b\n"));
    pid_t pid = process_start(&(struct process_spec){
        .argv = (const char *const[]){ the_program.path, "--config", the_program.conf, "--listen",
                                       "127.0.0.1:0", "--workers", "2", NULL },
        .log = the_program.log });
    program_expect_end(pid, 1);
    program_expect_logged("before anybody served: giving up");
}
END_TEST

START_TEST(workers_do_not_outlive_the_first_process)
{
    pid_t pid = start("127.0.0.1:0", "2");
    struct family f = expect_family(pid, 2, NULL);
    char reply[REPLY_MAX];

    expect_answer(daemon_port(), reply);
    kill(pid, SIGKILL);
    ck_assert(process_wait(pid, PROGRAM_DEADLINE_MS, NULL));
    for (size_t i = 0; i < 2; i++) {
        char *proc = text_of("/proc/%d/exe", (int)f.before[i]), exe[10];
        for (int64_t end = now_ms() + PROGRAM_DEADLINE_MS; readlink(proc, exe, sizeof(exe)) > 0;) {
            ck_assert_int_lt(now_ms(), end);
            poll(NULL, 0, 5);
        }
        free(proc);
    }
}
END_TEST

START_TEST(a_port_that_another_one_shares_out_is_in_use)
{
    pid_t pid = start("127.0.0.1:0", "2");
    char *address = text_of("127.0.0.1:%d", daemon_port());

    expect_family(pid, 2, NULL);
    for (int workers = 0; workers < 3; workers++) {
        char *n = text_of("%d", workers);
        program_expect_end(PROGRAM_START("--listen", address, "--workers", n), 1);
        free(n);
    }
    program_expect_logged("Address already in use");
    free(address);
    program_expect_stop(pid);
}
END_TEST

/* ---- restarts -------------------------------------------------------------------------------- */

/* Somebody who asks, on a new connection each time, until told that it is enough. */
static pid_t start_client(int port)
{
    char reply[REPLY_MAX];
    pid_t pid = daemon_fork_client();
    int n = 0;

    if (pid != 0)
        return pid;
    for (; !daemon_is_enough(); n++) {
        const char *wrong = talk(port, reply);
        if (wrong) {
            fprintf(stderr, "request %d: %s: %s; %.99s\n", n, wrong, strerror(errno), reply);
            _exit(1);
        }
    }
    fprintf(stderr, "%d requests\n", n);
    _exit(n > 100 ? 0 : 2);
}

static void restart_under(pid_t pid, int port)
{
    struct family f = expect_family(pid, 2, NULL);
    pid_t clients[] = { start_client(port), start_client(port) };

    for (int i = 0; i < 4; i++) {
        kill(pid, SIGUSR2);
        f = expect_family(pid, 2, &f);
    }
    kill(f.before[1], SIGTERM); /* it drains, too, and is replaced */
    struct family one = { .first = pid, .wanted = 2, .before = { f.before[1] }, .n_before = 1 };
    expect_family(pid, 2, &one);
    for (size_t i = 0; i < LENGTH(clients); i++)
        daemon_expect_content(clients[i]);
    program_expect_stop(pid);
}

START_TEST(a_restart_loses_no_connection_attempt)
{
    pid_t pid = start("127.0.0.1:0", "2");
    restart_under(pid, daemon_port());
}
END_TEST

START_TEST(nor_on_a_unix_socket)
{
    restart_under(start(the_program.socket, "2"), 0);
    ck_assert_int_ne(access(the_program.socket, F_OK), 0);
}
END_TEST

/* As systemd does it: descriptor 3, and LISTEN_PID is the program's own. */
START_TEST(nor_on_sockets_of_systemd)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    ck_assert_int_eq(listen(fd, 100), 0);
    getsockname(fd, (struct sockaddr *)&in, &len);
    pid_t pid = process_start(&(struct process_spec){
        .argv = (const char *const[]){ "sh", "-c",
                                       "exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" --config "
                                       "\"$1\" --workers 2",
                                       the_program.path, the_program.conf, NULL },
        .env = PROGRAM_ENV,
        .log = the_program.log,
        .stdin_fd = fd });
    close(fd);
    program_expect_logged("started by systemd");
    restart_under(pid, ntohs(in.sin_port));
}
END_TEST

START_TEST(a_restart_reads_the_configuration_and_may_change_the_number_of_workers)
{
    char reply[REPLY_MAX];
    char *conf = text_of("workers = 4\nlisten_http = 127.0.0.1:0, %s\n", the_program.socket);

    file_write(the_program.conf, slice_of(conf));
    free(conf);
    pid_t pid = PROGRAM_START("--config", the_program.conf);
    program_expect_logged("listening on ");
    int port = daemon_port();
    struct family f = expect_family(pid, 4, NULL);
    static const char *const numbers[] = { "2", "1", "6" };
    for (size_t i = 0; i < LENGTH(numbers); i++) {
        conf = text_of("workers = %s\nlisten_http = 127.0.0.1:0, %s\n", numbers[i],
                       the_program.socket);
        file_write(the_program.conf, slice_of(conf));
        free(conf);
        kill(pid, SIGUSR2);
        f = expect_family(pid, strtoul(numbers[i], NULL, 10), &f);
        for (int j = 0; j < 30; j++) {
            expect_answer(port, reply);
            expect_answer(0, reply);
        }
    }
    /* an address that is wanted no more is not listened to any more */
    file_write(the_program.conf, SLICE("workers = 2\nlisten_http = 127.0.0.1:0\n"));
    kill(pid, SIGUSR2);
    expect_family(pid, 2, &f);
    expect_answer(port, reply);
    ck_assert_int_lt(connect_to(0), 0);
    program_expect_stop(pid);
}
END_TEST

START_TEST(a_configuration_that_is_not_good_changes_nothing)
{
    char reply[REPLY_MAX];
    pid_t pid = start("127.0.0.1:0", "2");
    int port = daemon_port();
    struct family f = expect_family(pid, 2, NULL);

    file_write(the_program.conf, SLICE("drein = 5s\n"));
    kill(pid, SIGUSR2);
    program_expect_logged("did you mean 'drain'?");
    program_expect_logged("all stays as it was");
    file_write(the_program.conf, SLICE("tls_certificate = /nonexistent/certificate.pem\n"));
    kill(pid, SIGUSR2);
    program_expect_logged("/nonexistent/certificate.pem: No such file");
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(kill(f.before[i], 0), 0);
    expect_answer(port, reply);
    file_write(the_program.conf, SLICE("drain = 2s\n"));
    kill(pid, SIGUSR2);
    expect_family(pid, 2, &f);
    program_expect_stop(pid);
}
END_TEST

static bool has_text(void *arg)
{
    char *text = file_read(((const char *const *)arg)[0]);
    bool has = text && strstr(text, ((const char *const *)arg)[1]);

    free(text);
    return has;
}

/* What -n cannot know shows itself when a worker begins. */
START_TEST(new_workers_that_do_not_serve_leave_the_old_ones_in_place)
{
    char reply[REPLY_MAX];
    pid_t pid = process_start(&(struct process_spec){
        .argv = (const char *const[]){ the_program.path, "--config", the_program.conf, "--listen",
                                       "127.0.0.1:0", "--workers", "2", NULL },
        .log = the_program.log });
    program_expect_logged("listening on ");
    int port = daemon_port();
    struct family f = expect_family(pid, 2, NULL);

    expect_answer(port, reply);
    file_write(the_program.conf, SLICE("database = host=a nonsense=b\n"));
    kill(pid, SIGUSR2);
    program_expect_logged("has ended with status 1; another begins in 0.4 s");
    for (int i = 0; i < 20; i++) {
        expect_answer(port, reply);
        pid_t by = process_of(reply);
        ck_assert(by == f.before[0] || by == f.before[1]);
    }
    file_write(the_program.conf, SLICE("drain = 2s\n"));
    kill(pid, SIGUSR2);
    expect_family(pid, 2, &f);
    expect_answer(port, reply);
    program_expect_stop(pid);
}
END_TEST

START_TEST(streams_of_before_end_politely)
{
    char *said = text_of("%s/said", the_program.dir);
    pid_t pid = start("127.0.0.1:0", "1");
    struct family f = expect_family(pid, 1, NULL);
    int fd = connect_to(daemon_port());
    static const char ask[] = "GET /push/events?topic=a HTTP/1.1\r\nHost: a\r\n\r\n";
    char bytes[REPLY_MAX];
    size_t got = 0;
    ssize_t n;

    ck_assert_int_eq(send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL), sizeof(ask) - 1);
    n = read(fd, bytes, sizeof(bytes) - 1);
    ck_assert_int_gt(n, 0);
    kill(pid, SIGUSR2);
    do {
        got += (size_t)n;
        n = read(fd, bytes + got, sizeof(bytes) - 1 - got);
    } while (n > 0);
    ck_assert_int_eq(n, 0);
    bytes[got] = '\0';
    ck_assert_msg(strstr(bytes, "retry:") != NULL, "%s", bytes);
    close(fd);
    expect_family(pid, 1, &f);
    free(said);
    program_expect_stop(pid);
}
END_TEST

/* A file that its reader takes slowly is under way for longer than a restart takes. */
START_TEST(who_drains_is_not_hurried_by_another_restart)
{
    enum { LARGE = 8 * 1024 * 1024 };
    char *www = text_of("%s/www", the_program.dir),
         *file = text_of("%s/www/large", the_program.dir);
    char *large = calloc(1, LARGE), bytes[REPLY_MAX];
    static const char ask[] = "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    size_t got = 0;
    ssize_t n;

    ck_assert_int_eq(mkdir(www, 0755), 0);
    file_write(file, (struct slice){ large, LARGE });
    file_write(the_program.conf, SLICE("drain = 60s\n"));
    pid_t pid = start_with("127.0.0.1:0", "1", "--www", www);
    struct family f = expect_family(pid, 1, NULL);
    int fd = connect_to(daemon_port());
    ck_assert_int_eq(send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL), sizeof(ask) - 1);
    ck_assert_int_eq(recv(fd, bytes, 1, MSG_PEEK), 1);
    pid_t first = f.before[0];
    for (size_t i = 0; i < 3; i++) { /* the first stays among the children */
        f.before[0] = 0;
        kill(pid, SIGUSR2);
        char *said = text_of("%zu of before drain", (size_t)1);
        for (int64_t end = now_ms() + PROGRAM_DEADLINE_MS; now_ms() < end; poll(NULL, 0, 5)) {
            char *log = file_read(the_program.log);
            size_t times = 0;
            for (const char *at = log; (at = strstr(at, said)); at++)
                times++;
            free(log);
            if (times == i + 1)
                break;
        }
        free(said);
    }
    ck_assert_int_eq(kill(first, 0), 0);
    while ((n = read(fd, bytes, sizeof(bytes))) > 0)
        got += (size_t)n;
    ck_assert_int_eq(n, 0);
    ck_assert_uint_gt(got, LARGE);
    f.before[0] = first;
    f.n_before = 1;
    expect_family(pid, 1, &f);
    close(fd);
    free(large);
    free(www);
    free(file);
    program_expect_stop(pid);
}
END_TEST

START_TEST(alone_it_does_not_mind_the_signal)
{
    char reply[REPLY_MAX];
    pid_t pid = start("127.0.0.1:0", "0");

    kill(pid, SIGUSR2);
    expect_answer(daemon_port(), reply);
    ck_assert_int_eq(process_of(reply), pid);
    program_expect_stop(pid);
}
END_TEST

/* ---- privileges ------------------------------------------------------------------------------ */

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
    char reply[REPLY_MAX];
    struct stat st;

    if (geteuid() != 0) /* make check runs as either */
        return;
    for (int workers = 0; workers < 2; workers++) {
        char *n = text_of("%d", workers);
        program_forget_log();
        pid_t pid = start_with(the_program.socket, n, "--user", "nobody");
        expect_answer(0, reply);
        ck_assert_int_eq(process_of(reply) == pid, workers == 0);
        expect_nobody(process_of(reply), nobody);
        ck_assert_int_eq(stat(the_program.socket, &st), 0);
        ck_assert_int_eq(st.st_uid, nobody->pw_uid);
        kill(pid, SIGTERM);
        program_expect_end(pid, 0);
        free(n);
    }
}
END_TEST

static bool is_refused(void *arg)
{
    int fd = connect_to(0);

    (void)arg;
    if (fd >= 0)
        close(fd);
    return fd < 0;
}

/* process_start() asks the kernel that what it starts shall die with it. */
START_TEST(who_wants_it_to_end_with_him_is_heard_after_the_change_too)
{
    char reply[REPLY_MAX];
    pid_t middle = geteuid() == 0 ? fork() : -1;

    if (middle < 0)
        return;
    if (middle == 0) {
        start_with(the_program.socket, "0", "--user", "nobody");
        for (;;)
            pause();
    }
    program_expect_logged("listening on ");
    expect_answer(0, reply);
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

SUITE(workers)
{
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, program_tear_down);
    tcase_add_test(tc, workers_share_a_port);
    tcase_add_test(tc, workers_share_a_unix_socket_whose_file_goes_with_the_first_process);
    tcase_add_test(tc, a_worker_that_dies_is_replaced);
    tcase_add_test(tc, workers_that_never_serve_end_it);
    tcase_add_test(tc, workers_do_not_outlive_the_first_process);
    tcase_add_test(tc, a_port_that_another_one_shares_out_is_in_use);
    tcase_add_test(tc, a_restart_loses_no_connection_attempt);
    tcase_add_test(tc, nor_on_a_unix_socket);
    tcase_add_test(tc, nor_on_sockets_of_systemd);
    tcase_add_test(tc, a_restart_reads_the_configuration_and_may_change_the_number_of_workers);
    tcase_add_test(tc, a_configuration_that_is_not_good_changes_nothing);
    tcase_add_test(tc, new_workers_that_do_not_serve_leave_the_old_ones_in_place);
    tcase_add_test(tc, streams_of_before_end_politely);
    tcase_add_test(tc, who_drains_is_not_hurried_by_another_restart);
    tcase_add_test(tc, alone_it_does_not_mind_the_signal);
    tcase_add_test(tc, root_becomes_somebody_else_when_all_is_open);
    tcase_add_test(tc, who_wants_it_to_end_with_him_is_heard_after_the_change_too);
    tcase_add_test(tc, who_is_not_root_cannot_become_another);
}
