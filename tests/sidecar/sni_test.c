/*
 * sni_test.c - the program itself with several certificates, and clients that are not ours:
 * openssl s_client, Python's ssl, curl.
 */
#include <signal.h>
#include <stdlib.h>

#include "tests/peers/certificate.h"
#include "tests/sidecar/daemon.h"
#include "tests/suite.h"

static void set_up(void)
{
    daemon_set_up("sni");
    certificate_make_for(the_program.dir, "a", 30, "ec", "DNS:a.test,DNS:*.a.test");
    certificate_make_for(the_program.dir, "b", 30, "rsa", "DNS:b.test");
    certificate_make_for(the_program.dir, "c", 30, "ec", "DNS:b.test");
}

static void write_conf(const char *more)
{
    const char *dir = the_program.dir;
    char *conf = text_of("tls_certificate = %s/a.pem, %s/b.pem\n"
                         "database = host=/nonexistent dbname=none\ndrain = 2s\n%s",
                         dir, dir, more);

    file_write(the_program.conf, slice_of(conf));
    free(conf);
}

static pid_t start(void)
{
    char *keys =
        text_of("tls_key = %s/a.key, %s/b.key\nworkers = 2\n", the_program.dir, the_program.dir);

    write_conf(keys);
    free(keys);
    pid_t pid = PROGRAM_START("--config", the_program.conf, "--listen", "tls:127.0.0.1:0");
    program_expect_logged("listening on ");
    return pid;
}

static int run(const char *const *argv)
{
    return process_run(&(struct process_spec){ .argv = argv, .log = the_program.log },
                       PROGRAM_DEADLINE_MS);
}

#define RUN(...) run((const char *const[]){ __VA_ARGS__, NULL })

/* ---- openssl s_client ------------------------------------------------------------------------ */

struct seen {
    int port;
    const char *options, *name; /* of s_client; of a certificate */
};

static bool s_client_sees(void *arg)
{
    const struct seen *s = arg;
    char *command = text_of("openssl s_client -connect 127.0.0.1:%d %s </dev/null 2>/dev/null | "
                            "openssl x509 -noout -subject | grep -x 'subject=CN = %s'",
                            s->port, s->options, s->name);
    int status = RUN("sh", "-c", command);

    free(command);
    return status == 0;
}

START_TEST(s_client_sees_the_certificate_of_the_name)
{
    static const struct seen cases[] = {
        { 0, "-servername a.test", "a" },      { 0, "-servername x.a.test", "a" },
        { 0, "-servername b.test", "b" },      { 0, "-servername B.TEST -tls1_2", "b" },
        { 0, "-servername nobody.test", "a" }, { 0, "-noservername", "a" },
        { 0, "-noservername -tls1_2", "a" },
    };
    pid_t pid = start();

    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct seen now = cases[i];
        now.port = daemon_port();
        ck_assert_msg(s_client_sees(&now), "%s", now.options);
    }
    program_expect_stop(pid);
}
END_TEST

/* "New" or "Reused", with the ticket that was got under one name, under another. */
static void expect_session(const char *version, const char *before, const char *now,
                           const char *word)
{
    char *command = text_of(
        "cd %s && printf 'GET /push/status HTTP/1.0\\r\\n\\r\\n' | openssl s_client -connect "
        "127.0.0.1:%d %s -servername %s -sess_out session -ign_eof 2>&1 | grep -q '200 OK' && "
        "openssl s_client -connect 127.0.0.1:%d %s -servername %s -sess_in session </dev/null 2>&1 "
        "| grep '^%s, TLS'",
        the_program.dir, daemon_port(), version, before, daemon_port(), version, now, word);

    ck_assert_msg(RUN("sh", "-c", command) == 0, "%s", command);
    free(command);
}

START_TEST(s_client_resumes_its_session_under_the_same_name_only)
{
    static const char *const versions[] = { "-tls1_2", "-tls1_3" };
    pid_t pid = start();

    for (size_t i = 0; i < LENGTH(versions); i++) {
        expect_session(versions[i], "a.test", "a.test", "Reused");
        expect_session(versions[i], "b.test", "b.test", "Reused");
        expect_session(versions[i], "a.test", "x.a.test", "New");
        expect_session(versions[i], "a.test", "b.test", "New");
        expect_session(versions[i], "b.test", "a.test", "New");
    }
    program_expect_stop(pid);
}
END_TEST

START_TEST(a_new_certificate_of_a_name_is_served_after_a_signal)
{
    pid_t pid = start();
    struct seen b = { daemon_port(), "-servername b.test", "b" };
    struct seen c = { daemon_port(), "-servername b.test", "c" };
    char *pem = text_of("%s/b.pem", the_program.dir);

    ck_assert(s_client_sees(&b));
    certificate_replace(the_program.dir, "b", "c");
    kill(pid, SIGHUP);
    ck_assert(wait_until(s_client_sees, &c, PROGRAM_DEADLINE_MS));
    file_write(pem, SLICE("half a certifi"));
    kill(pid, SIGHUP);
    program_expect_logged("b.pem: no start line; all old certificates stay");
    ck_assert(wait_until(s_client_sees, &c, PROGRAM_DEADLINE_MS));
    free(pem);
    program_expect_stop(pid);
}
END_TEST

/* ---- others ---------------------------------------------------------------------------------- */

START_TEST(python_verifies_each_name_and_resumes_none_under_another)
{
    pid_t pid = start();
    char *all = text_of("%s/all.pem", the_program.dir), *port = text_of("%d", daemon_port());
    char *both = text_of("cat %s/a.pem %s/b.pem >%s", the_program.dir, the_program.dir, all);
    char *script = text_of("%s/tests/sidecar/sni_peer.py", getenv("BELLPUSH_TEST_TOP"));

    ck_assert_int_eq(RUN("sh", "-c", both), 0);
    if (RUN("/usr/bin/python3", script, port, all, "a.test", "x.a.test", "b.test") != 0)
        ck_abort_msg("%s", file_read(the_program.log));
    free(all);
    free(port);
    free(both);
    free(script);
    program_expect_stop(pid);
}
END_TEST

START_TEST(curl_verifies_each_name)
{
    static const struct {
        const char *host, *trusted;
        int status; /* of curl; 60: the certificate is not trusted */
    } cases[] = {
        { "a.test", "a", 0 },  { "x.a.test", "a", 0 }, { "b.test", "b", 0 },
        { "b.test", "a", 60 }, { "a.test", "b", 60 },  { "nobody.test", "a", 60 },
    };
    pid_t pid = start();

    for (size_t i = 0; i < LENGTH(cases); i++) {
        const char *host = cases[i].host;
        char *to = text_of("%s:%d:127.0.0.1", host, daemon_port());
        char *pem = text_of("%s/%s.pem", the_program.dir, cases[i].trusted);
        char *url = text_of("https://%s:%d/push/status", host, daemon_port());
        ck_assert_int_eq(
            RUN("curl", "-sSf", "--resolve", to, "--cacert", pem, "-o", "/dev/null", url),
            cases[i].status);
        free(to);
        free(pem);
        free(url);
    }
    program_expect_stop(pid);
}
END_TEST

/* ---- what is no start ------------------------------------------------------------------------ */

static void expect_refused(const char *keys, const char *why)
{
    char *line = text_of("tls_key = %s\n", keys);

    write_conf(line);
    program_forget_log();
    ck_assert_int_eq(RUN(the_program.path, "-n", "--config", the_program.conf), 1);
    program_expect_logged(why);
    ck_assert_int_eq(
        RUN(the_program.path, "--config", the_program.conf, "--listen", "tls:127.0.0.1:0"), 1);
    program_expect_not_logged("listening on ");
    free(line);
}

START_TEST(the_settings_are_checked_with_their_files)
{
    char *a = text_of("%s/a.key", the_program.dir), *b = text_of("%s/b.key", the_program.dir);
    char *swapped = text_of("%s, %s", b, a), *three = text_of("%s, %s, %s", a, b, b);

    expect_refused(swapped, "b.key: cannot be used with ");
    expect_refused(a, "a.key: cannot be used with ");
    expect_refused(three,
                   "bellpush.conf:4: tls_key: there are 3 for 2 in tls_certificate: as many");
    expect_refused("/nonexistent/a, /nonexistent/b", "tls_key: /nonexistent/b: No such file");
    free(a);
    free(b);
    free(swapped);
    free(three);
    pid_t pid = start();
    ck_assert_int_eq(RUN(the_program.path, "-n", "--config", the_program.conf), 0);
    program_expect_stop(pid);
}
END_TEST

SUITE(sni)
{
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, program_tear_down);
    tcase_add_test(tc, s_client_sees_the_certificate_of_the_name);
    tcase_add_test(tc, s_client_resumes_its_session_under_the_same_name_only);
    tcase_add_test(tc, a_new_certificate_of_a_name_is_served_after_a_signal);
    tcase_add_test(tc, python_verifies_each_name_and_resumes_none_under_another);
    tcase_add_test(tc, curl_verifies_each_name);
    tcase_add_test(tc, the_settings_are_checked_with_their_files);
}
