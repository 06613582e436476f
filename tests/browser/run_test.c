/*
 * run_test.c - `make run` keeps its promises: four lines that work when pasted, side by side with
 * another, and nothing left behind, however it ends.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/browser/run_site.h"
#include "tests/peers/process.h"
#include "tests/peers/ws_client.h"
#include "tests/suite.h"

enum { SEEN_MS = 20000, GONE_MS = 15000, FAMILY_MAX = 128, WORKERS = 2 };

/* ---- what a person does with the lines
 * ------------------------------------------------------------ */

static pid_t paste(const char *line, const char *log)
{
    const char *const argv[] = { "sh", "-c", line, NULL };
    return process_start(&(struct process_spec){ .argv = argv, .log = log });
}

struct waiting {
    const char *file, *text;
};

static bool file_has(void *arg)
{
    struct waiting *w = arg;
    char *text = file_read(w->file);
    bool yes = text && strstr(text, w->text);
    free(text);
    return yes;
}

static void expect_in(const char *file, const char *text)
{
    struct waiting w = { file, text };
    char *now = NULL;
    if (!wait_until(file_has, &w, SEEN_MS))
        now = file_read(file);
    ck_assert_msg(now == NULL, "no \"%s\" in:\n%s", text, now);
}

/* A reader by the curl line: its first bytes are there when this returns. */
static pid_t listen_with(const struct run_site *s, const char *log)
{
    pid_t pid = paste(s->curl, log);
    expect_in(log, "\n\n");
    return pid;
}

static void insert_with(const struct run_site *s, const char *item)
{
    const char *tea = strstr(s->psql, "tea");
    ck_assert_ptr_nonnull(tea);
    char *line = text_of("%.*s%s%s", (int)(tea - s->psql), s->psql, item, tea + 3);
    char *log = text_of("%s.psql", s->log);
    int status = -1;
    ck_assert(process_wait(paste(line, log), SEEN_MS, &status));
    char *said = file_read(log);
    ck_assert_msg(status == 0, "%s: %s", line, said);
    free(said);
    free(log);
    free(line);
}

/* A reader by the ws line, who has been greeted. */
static struct ws_client *open_ws(const struct run_site *s, const char *const *headers)
{
    const struct ws_client_ask ask = { .port = s->ws_port,
                                       .target = s->ws_target,
                                       .headers = headers };
    struct ws_client *c = ws_client_open(&ask, SEEN_MS);
    struct ws_message m;
    ck_assert(ws_client_hear(c, &m, SEEN_MS));
    ck_assert(memmem(m.data.at, m.data.len, "bellpush-hello", 14) != NULL);
    return c;
}

static void expect_heard(struct ws_client *c, const char *text)
{
    struct ws_message m;
    do
        ck_assert_msg(ws_client_hear(c, &m, SEEN_MS), "no \"%s\"", text);
    while (!memmem(m.data.at, m.data.len, text, strlen(text)));
}

/* ---- what must be gone afterwards
 * ------------------------------------------------------------------ */

struct traces {
    const struct run_site *site; /* until it ends */
    pid_t pids[FAMILY_MAX];
    size_t n;
    char *build, *sockets;
    int port;
};

/* Who is there?  False: one of them (a pause of the script, a backend) has ended meanwhile. */
static bool take_stock(void *arg)
{
    struct traces *t = arg;
    t->n = run_site_family(t->site, t->pids, FAMILY_MAX);
    return t->n <= FAMILY_MAX && alive_among(t->pids, t->n) == t->n;
}

static struct traces traces_of(const struct run_site *s)
{
    struct traces t = { .site = s,
                        .build = text_of("%s", s->build),
                        .sockets = text_of("%s", s->sockets),
                        .port = s->port };
    ck_assert(wait_until(take_stock, &t, SEEN_MS));
    ck_assert_uint_ge(t.n, WORKERS + 3); /* or we would prove nothing: postgres, lighttpd, workers,
                                            bellpushd */
    return t;
}

static bool all_gone(void *arg)
{
    struct traces *t = arg;
    return alive_among(t->pids, t->n) == 0;
}

static size_t entries(const char *folder)
{
    DIR *dir = opendir(folder);
    size_t n = 0;
    for (struct dirent *e; dir && (e = readdir(dir));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (dir)
        closedir(dir);
    return n;
}

static bool port_answers(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return yes;
}

static void expect_no_process(struct traces *t)
{
    ck_assert_msg(wait_until(all_gone, t, GONE_MS), "%zu processes are left",
                  alive_among(t->pids, t->n));
}

static void expect_no_trace(struct traces *t)
{
    /* Whoever ended it need not wait: all was gone when it ended. */
    ck_assert_uint_eq(alive_among(t->pids, t->n), 0);
    ck_assert_uint_eq(entries(t->build), 0);
    ck_assert_int_ne(access(t->sockets, F_OK), 0);
    free(t->build);
    free(t->sockets);
}

/* ---- the tests
 * ------------------------------------------------------------------------------------- */

START_TEST(four_lines_can_be_pasted_and_an_interrupt_leaves_nothing)
{
    struct run_site *s = run_site_start(NULL);
    char *heard = text_of("%s.curl", s->log), *page = text_of("%s.page", s->log);
    char *get = text_of("curl -s '%s'", s->page);
    char *origin =
        text_of("Origin: %.*s", (int)(strlen(s->page) - 1), s->page); /* as its script would ask */
    const char *const from_page[] = { origin, NULL };
    int status;

    ck_assert(process_wait(paste(get, page), SEEN_MS, &status));
    expect_in(page, "demo.js");
    pid_t reader = listen_with(s, heard);
    struct ws_client *plain = open_ws(s, NULL), *page_ws = open_ws(s, from_page);
    insert_with(s, "tea");
    expect_in(heard, "tea");
    expect_heard(plain, "tea");
    expect_heard(page_ws, "tea");

    struct traces t = traces_of(s);
    ck_assert_int_eq(run_site_end(s, SIGINT), 130);
    expect_no_trace(&t);
    ck_assert_msg(process_wait(reader, SEEN_MS, NULL), "curl still hangs");
    ck_assert(ws_client_gone(plain, SEEN_MS));
    ck_assert_uint_eq(ws_client_code(plain), 1012);
    ws_client_free(plain);
    ws_client_free(page_ws);
    free(origin);
    free(get);
    free(page);
    free(heard);
}
END_TEST

START_TEST(two_run_at_the_same_time)
{
    struct run_site *a = run_site_start(NULL), *b = run_site_start(NULL);
    char *heard_a = text_of("%s.curl", a->log), *heard_b = text_of("%s.curl", b->log);
    pid_t reader_a = listen_with(a, heard_a), reader_b = listen_with(b, heard_b);

    ck_assert_int_ne(a->port, b->port);
    struct traces of_a = traces_of(a), of_b = traces_of(b);
    insert_with(a, "first");
    expect_in(heard_a, "first");
    ck_assert_int_eq(run_site_end(a, SIGTERM), 143);
    expect_no_trace(&of_a);

    insert_with(b, "second");
    expect_in(heard_b, "second");
    struct waiting foreign = { heard_b, "first" };
    ck_assert(!file_has(&foreign));
    ck_assert_int_eq(run_site_end(b, SIGHUP), 129); /* as when its terminal is closed */
    expect_no_trace(&of_b);
    process_stop(reader_a, GONE_MS);
    process_stop(reader_b, GONE_MS);
    free(heard_a);
    free(heard_b);
}
END_TEST

/* `make run &` in a script: shells without job control make their background jobs deaf. */
START_TEST(interrupt_is_heard_even_if_it_was_ignored_at_the_start)
{
    struct run_site *s = run_site_start("trap '' INT; exec \"$@\"");
    struct traces t = traces_of(s);
    ck_assert_int_eq(run_site_end(s, SIGINT), 130);
    expect_no_trace(&t);
}
END_TEST

START_TEST(even_a_killed_one_takes_its_processes_along)
{
    struct run_site *s = run_site_start(NULL);
    struct traces t = traces_of(s);
    ck_assert_int_eq(run_site_end(s, SIGKILL), 128 + SIGKILL);
    expect_no_process(&t);
    ck_assert(!port_answers(t.port));
    char *rest = text_of("rm -rf '%s' '%s'", t.sockets, t.build); /* nobody was left to do it */
    process_wait(paste(rest, "/dev/null"), SEEN_MS, NULL);
    free(rest);
    expect_no_trace(&t);
}
END_TEST

static pid_t postmaster_of(const struct run_site *s)
{
    char *path = text_of("%s/.s.PGSQL.5432.lock", s->sockets), *text = file_read(path);
    pid_t pid = text ? (pid_t)atoi(text) : 0;
    ck_assert_int_gt(pid, 1);
    free(text);
    free(path);
    return pid;
}

START_TEST(database_that_dies_is_started_again_and_streams_go_on)
{
    struct run_site *s = run_site_start(NULL);
    char *heard = text_of("%s.curl", s->log);
    pid_t reader = listen_with(s, heard);

    insert_with(s, "before");
    expect_in(heard, "before");
    kill(postmaster_of(s), SIGQUIT);
    expect_in(s->log, "starting it again");
    expect_in(s->log, "PostgreSQL is back");
    insert_with(s, "after");
    expect_in(heard, "after");
    ck_assert(!process_ended(reader, NULL)); /* the same stream all the time */

    struct traces t = traces_of(s);
    ck_assert_int_eq(run_site_end(s, SIGINT), 130);
    expect_no_trace(&t);
    process_stop(reader, GONE_MS);
    free(heard);
}
END_TEST

START_TEST(sidecar_that_dies_is_started_again_at_its_old_address)
{
    struct run_site *s = run_site_start(NULL);
    struct ws_client *c = open_ws(s, NULL);

    kill(run_site_sidecar(s), SIGKILL);
    ck_assert(ws_client_gone(c, SEEN_MS));
    ws_client_free(c);
    expect_in(s->log, "bellpushd is back");
    c = open_ws(s, NULL);
    insert_with(s, "again");
    expect_heard(c, "again");
    ws_client_free(c);

    struct traces t = traces_of(s);
    ck_assert_int_eq(run_site_end(s, SIGTERM), 143);
    expect_no_trace(&t);
}
END_TEST

SUITE(run)
{
    tcase_add_test(tc, four_lines_can_be_pasted_and_an_interrupt_leaves_nothing);
    tcase_add_test(tc, two_run_at_the_same_time);
    tcase_add_test(tc, interrupt_is_heard_even_if_it_was_ignored_at_the_start);
    tcase_add_test(tc, even_a_killed_one_takes_its_processes_along);
    tcase_add_test(tc, sidecar_that_dies_is_started_again_at_its_old_address);
    tcase_add_test(tc, database_that_dies_is_started_again_and_streams_go_on);
}
