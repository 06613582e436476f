/*
 * passing_test.c - what a recipe lets through to the worker, and what it keeps from the web.
 *
 * The test program is its own responder here: started with TELLER set, it is a stock libfcgi
 * program (or CGI, as libfcgi finds) that tells every meta-variable it was given, a line each.
 */
#include <fcgiapp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/web/web.h"

#define TELLER "BELLPUSH_TEST_TELLER"

extern char **environ;

__attribute__((constructor)) static void be_the_teller(void)
{
    static const char head[] = "Content-Type: text/plain\r\n\r\n";
    FCGX_Request request;

    if (!getenv(TELLER))
        return;
    if (FCGX_IsCGI()) {
        fputs(head, stdout);
        for (char **e = environ; *e; e++)
            puts(*e);
        exit(EXIT_SUCCESS);
    }
    if (FCGX_Init() != 0 || FCGX_InitRequest(&request, 0, 0) != 0)
        _exit(EXIT_FAILURE);
    while (FCGX_Accept_r(&request) == 0) {
        FCGX_PutS(head, request.out);
        for (char **e = request.envp; *e; e++)
            FCGX_FPrintF(request.out, "%s\n", *e);
        FCGX_Finish_r(&request);
    }
    _exit(EXIT_SUCCESS);
}

/* A program for the front's folder: a copy of ourselves, which its user may run, and a wrapper. */
static char *make_teller(void)
{
    char *folder = temp_folder("teller"), *copy = text_of("%s/teller", folder);
    char *wrapper = text_of("%s/wrapper", folder);
    char *script = text_of("#!/bin/sh\n" TELLER "=1 exec %s\n", copy);
    char *self = realpath("/proc/self/exe", NULL);
    const char *const cp[] = { "cp", self, copy, NULL };

    ck_assert_int_eq(process_run(&(struct process_spec){ .argv = cp }, WEB_PATIENCE_MS), 0);
    chmod(copy, 0755);
    file_write(wrapper, slice_of(script));
    chmod(wrapper, 0755);
    free(self);
    free(script);
    free(copy);
    free(folder);
    return wrapper;
}

static void expect_line(struct slice told, const char *line)
{
    char *text = text_of("\n%.*s", (int)told.len, told.at), *want = text_of("\n%s\n", line);
    ck_assert_msg(strstr(text, want) != NULL, "%s: no line \"%s\" in:%s", web.way->traits.name,
                  line, text);
    free(text);
    free(want);
}

START_TEST(worker_is_told_what_it_needs_and_nothing_evil)
{
    static const char *const headers[] = { "Authorization: Bearer abc", "Proxy: http://evil.test/",
                                           "Last-Event-ID: e-17", "Cookie: a=b; bell=\"c d\"",
                                           NULL };
    char *teller = make_teller();
    struct web before = web_aside(NULL, NULL, teller);
    struct answer *a = stage_ask(
        &(struct ask){ .target = "/a%20b/%C3%BC?topic=orders/%23&x=a+b%2Bc", .headers = headers });

    ck_assert_int_eq(answer_status(a), 200);
    struct slice told = answer_body(a);
    expect_line(told, "HTTP_AUTHORIZATION=Bearer abc");
    expect_line(told, "HTTP_LAST_EVENT_ID=e-17");
    expect_line(told, "HTTP_COOKIE=a=b; bell=\"c d\"");
    expect_line(told, "QUERY_STRING=topic=orders/%23&x=a+b%2Bc");
    expect_line(told, "PATH_INFO=/a b/\xC3\xBC");
    expect_line(told, "REMOTE_ADDR=127.0.0.1");
    if (web.kind == FRONT_SHARED_FCGI)
        expect_line(told, "SCRIPT_NAME=/push/push.fcgi");
    else if (web.kind == FRONT_SHARED_CGI)
        expect_line(told, "SCRIPT_NAME=/push/push.cgi");
    else
        expect_line(told, "SCRIPT_NAME=/push");
    ck_assert_msg(!memmem(told.at, told.len, "evil.test", 9), "%s lets HTTP_PROXY in: %.*s",
                  web.way->traits.name, (int)told.len, told.at);
    answer_close(a);
    web_back(before);
    free(teller);
}
END_TEST

/* Nothing that lies beside the program can be fetched, nor the program as a file. */
START_TEST(settings_and_program_cannot_be_fetched)
{
    static const struct {
        const char *target;
        bool may_run; /* names the program, which may answer for itself */
    } tries[] = {
        { "/bellpush.conf", false },   { "/.htaccess", false },
        { "/bellpush.conf/", false },  { "/push.fcgi/../bellpush.conf", false },
        { "/%62ellpush.conf", false }, { "//bellpush.conf", false },
        { "/push.cgi", true },         { "/push.fcgi", true },
    };
    for (size_t i = 0; i < LENGTH(tries); i++) {
        struct answer *a = stage_get(tries[i].target);
        int status = answer_status(a);
        struct slice body = answer_body(a);
        ck_assert_msg(status == 403 || status == 404 || (status == 200 && tries[i].may_run),
                      "%s: %d", tries[i].target, status);
        ck_assert(!memmem(body.at, body.len, "dbname", 6));
        ck_assert(!memmem(body.at, body.len, "\177ELF", 4));
        answer_close(a);
    }
}
END_TEST

void passing_tests(TCase *tc, const struct web_way *way)
{
    tcase_add_test(tc, worker_is_told_what_it_needs_and_nothing_evil);
    if (strncmp(way->traits.name, "shared", 6) == 0)
        tcase_add_test(tc, settings_and_program_cannot_be_fetched);
}
