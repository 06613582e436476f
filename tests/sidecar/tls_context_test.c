/*
 * tls_context_test.c - what TLS connections share: certificates that change, or cannot be used, and
 * the tickets of sessions.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/logged.h"
#include "tests/peers/certificate.h"
#include "tests/peers/process.h"
#include "tests/sidecar/tls_pair.h"
#include "tests/suite.h"

enum { LOOK_MS = 60 };

/* ---- certificates ---------------------------------------------------------------------------- */

/* A server, as far as looking after files needs one; its loop does not run. */
static uv_loop_t loop;
static struct server server;

static void watch(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    server = (struct server){ .loop = &loop, .wheel = wheel_new(&loop) };
    ck_assert_ptr_nonnull(server.wheel);
    logged_begin(&server.log);
    tls_context_watch(tls_rig.context, &server, LOOK_MS);
}

static void unwatch(void)
{
    tls_context_unwatch(tls_rig.context);
    tls_context_free(tls_rig.context);
    tls_rig.context = NULL;
    wheel_free(server.wheel);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static void expect_served(const char *name)
{
    expect_certificate(TLS1_3_VERSION, NULL, name);
}

START_TEST(a_new_certificate_is_for_those_who_come_then)
{
    struct pair p;

    watch();
    pair_open(&p, TLS1_3_VERSION, NULL);
    shake_hands(&p, 1000);
    certificate_replace(tls_rig.dir, "now", "two");
    expect_served("one");
    tls_context_reload(tls_rig.context);
    expect_served("two");
    logged_expect(&server.log, "has been read again");
    client_says(&p, SLICE("still here"), 3);
    ck_assert(slice_is(buf_slice(&p.got), SLICE("still here")));
    ck_assert_str_eq(name_of_server(&p), "one");
    pair_close(&p);
    unwatch();
}
END_TEST

static void expect_kept(const char *why)
{
    struct buf error = BUF_EMPTY;

    tls_context_reload(tls_rig.context);
    logged_expect(&server.log, why);
    logged_expect(&server.log, "the old certificate stays");
    expect_served("one");
    /* and a process that starts now says the same */
    ck_assert_ptr_null(tls_context_new(&(struct conf_list){ &tls_rig.pem, 1 },
                                       &(struct conf_list){ &tls_rig.key, 1 }, &error));
    buf_putc(&error, '\0');
    ck_assert_msg(strstr(error.at, why) != NULL, "%s", error.at);
    buf_fini(&error);
}

START_TEST(what_cannot_be_used_leaves_the_old_certificate_in_place)
{
    char *two_key = text_of("%s/two.key", tls_rig.dir), *other = file_read(two_key);
    char *one_key = text_of("%s/one.key", tls_rig.dir), *mine = file_read(one_key);
    char *text = file_read(tls_rig.pem), *locked = text_of("%s/locked.key", tls_rig.dir);

    watch();
    file_write(tls_rig.pem, SLICE("not a certificate\n"));
    expect_kept("no start line");
    file_write(tls_rig.pem, (struct slice){ text, strlen(text) / 2 }); /* half written */
    expect_kept("now.pem: ");
    file_write(tls_rig.pem, slice_of(text));
    file_write(tls_rig.key, slice_of(other));
    expect_kept("key values mismatch");
    file_write(tls_rig.key, slice_of(mine));
    chmod(tls_rig.key, 0644);
    expect_kept("is open to everybody");
    const char *const argv[] = { "openssl",  "ec",     "-in",  two_key, "-aes256",
                                 "-passout", "pass:x", "-out", locked,  NULL };
    ck_assert_int_eq(process_run(&(struct process_spec){ .argv = argv, .log = "/dev/null" }, 20000),
                     0);
    free(other);
    other = file_read(locked);
    chmod(tls_rig.key, 0600);
    file_write(tls_rig.key, slice_of(other));
    expect_kept("now.key: ");
    unlink(tls_rig.key);
    expect_kept("No such file or directory");
    file_write(tls_rig.key, slice_of(mine));
    chmod(tls_rig.key, 0600);
    certificate_replace(tls_rig.dir, "now", "two");
    tls_context_reload(tls_rig.context);
    expect_served("two");
    free(two_key);
    free(one_key);
    free(other);
    free(mine);
    free(text);
    free(locked);
    unwatch();
}
END_TEST

/* Let the loop's clock stand further on, and ring. */
static void on_over(struct alarm *alarm)
{
    *(bool *)(alarm + 1) = true;
}

static void run_for(uint64_t ms)
{
    struct {
        struct alarm alarm;
        bool over;
    } until = { .over = false };

    alarm_set(server.wheel, &until.alarm, ms, on_over);
    while (!until.over)
        uv_run(&loop, UV_RUN_ONCE);
}

START_TEST(files_that_change_are_read_again_and_trouble_is_told_once)
{
    watch();
    run_for(3 * LOOK_MS);
    ck_assert_str_eq(logged(&server.log), ""); /* nothing has changed */
    certificate_replace(tls_rig.dir, "now", "two");
    run_for(3 * LOOK_MS);
    expect_served("two");
    file_write(tls_rig.pem, SLICE("not a certificate\n"));
    run_for(6 * LOOK_MS);
    ck_assert_int_eq(logged_count(&server.log, "the old certificate stays"), 1);
    expect_served("two");
    unwatch();
}
END_TEST

START_TEST(of_several_certificates_all_are_exchanged_or_none)
{
    char *other = text_of("%s/other.pem", tls_rig.dir);
    char *pems[] = { tls_rig.pem, other };
    char *keys[] = { tls_rig.key, text_of("%s/other.key", tls_rig.dir) };
    struct buf error = BUF_EMPTY;

    certificate_make_for(tls_rig.dir, "other", 30, "ec", "DNS:other.test");
    certificate_make_for(tls_rig.dir, "another", 3, "ec", "DNS:other.test");
    tls_context_free(tls_rig.context);
    tls_rig.context =
        tls_context_new(&(struct conf_list){ pems, 2 }, &(struct conf_list){ keys, 2 }, &error);
    watch();
    file_write(other, SLICE("not a certificate\n"));
    certificate_replace(tls_rig.dir, "now", "two");
    tls_context_reload(tls_rig.context);
    logged_expect(&server.log, "tls_certificate: ");
    logged_expect(&server.log, "other.pem: no start line; all old certificates stay\n");
    expect_served("one");
    expect_certificate(TLS1_3_VERSION, "other.test", "other");
    unlink(keys[0]);
    file_write(other, SLICE("still none\n"));
    tls_context_refresh(tls_rig.context, &server.log);
    logged_expect(&server.log, "now.key: No such file or directory; all old certificates stay\n");
    ck_assert_int_eq(logged_count(&server.log, "stay"), 2);
    tls_context_refresh(tls_rig.context, &server.log); /* nothing has happened since */
    ck_assert_int_eq(logged_count(&server.log, "stay"), 2);
    expect_certificate(TLS1_3_VERSION, "other.test", "other");
    certificate_replace(tls_rig.dir, "now", "two");
    certificate_replace(tls_rig.dir, "other", "another");
    run_for(3 * LOOK_MS);
    expect_served("two");
    expect_certificate(TLS1_3_VERSION, "other.test", "another");
    ck_assert_int_eq(logged_count(&server.log, "has been read again"), 2);
    logged_expect(&server.log, "other.pem expires in ");
    unwatch();
    free(other);
    free(keys[1]);
}
END_TEST

START_TEST(a_certificate_at_its_end_is_told)
{
    certificate_make(tls_rig.dir, "short", 3);
    certificate_replace(tls_rig.dir, "now", "short");
    watch();
    tls_context_reload(tls_rig.context);
    logged_expect(&server.log, "now.pem expires in ");
    unwatch();
}
END_TEST

START_TEST(certificate_and_key_may_be_one_file)
{
    struct buf both = BUF_EMPTY, error = BUF_EMPTY;
    char *a = file_read(tls_rig.pem), *b = file_read(tls_rig.key),
         *path = text_of("%s/both.pem", tls_rig.dir);

    buf_puts(&both, a);
    buf_puts(&both, b);
    file_write(path, buf_slice(&both));
    chmod(path, 0600);
    tls_context_free(tls_rig.context);
    tls_rig.context =
        tls_context_new(&(struct conf_list){ &path, 1 }, &(struct conf_list){ NULL, 0 }, &error);
    ck_assert_ptr_nonnull(tls_rig.context);
    expect_served("one");
    free(a);
    free(b);
    free(path);
    buf_fini(&both);
}
END_TEST

/* ---- sessions -------------------------------------------------------------------------------- */

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

START_TEST(a_ticket_is_good_after_a_new_certificate_too)
{
    watch();
    for (size_t i = 0; i < LENGTH(versions); i++) {
        SSL_SESSION *ticket = pair_ticket(versions[i], NULL);
        certificate_replace(tls_rig.dir, "now", i == 0 ? "two" : "one");
        tls_context_reload(tls_rig.context);
        ck_assert(pair_is_known(versions[i], ticket, NULL));
        SSL_SESSION_free(ticket);
    }
    unwatch();
}
END_TEST

START_TEST(a_ticket_ends_with_the_key_that_it_is_sealed_with)
{
    for (size_t i = 0; i < LENGTH(versions); i++) {
        SSL_SESSION *ticket = pair_ticket(versions[i], NULL);
        tls_context_age(tls_rig.context, (i + 1) * TLS_TICKET_KEY_MS - 1);
        ck_assert(pair_is_known(versions[i], ticket, NULL));
        tls_context_age(tls_rig.context, (i + 1) * TLS_TICKET_KEY_MS);
        ck_assert(!pair_is_known(versions[i], ticket, NULL));
        SSL_SESSION_free(ticket);
        ticket = pair_ticket(versions[i], NULL);
        tls_context_age(tls_rig.context, 0); /* none comes back */
        ck_assert(pair_is_known(versions[i], ticket, NULL));
        SSL_SESSION_free(ticket);
    }
}
END_TEST

/* A worker that was forked, and has aged as time went by. */
static void write_ticket(int to)
{
    unsigned char *der = NULL;

    for (uint64_t turn = 1; turn <= 3; turn++)
        tls_context_age(tls_rig.context, turn * TLS_TICKET_KEY_MS + turn);
    int len = i2d_SSL_SESSION(pair_ticket(TLS1_2_VERSION, NULL), &der);
    _exit(len > 0 && write(to, der, (size_t)len) == len ? 0 : 1);
}

START_TEST(workers_have_the_same_keys_whenever_they_began)
{
    unsigned char bytes[8192];
    const unsigned char *at = bytes;
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    pid_t worker = fork();
    if (worker == 0)
        write_ticket(ends[1]);
    close(ends[1]);
    ssize_t n = read(ends[0], bytes, sizeof(bytes));
    ck_assert(process_wait(worker, 20000, NULL));
    SSL_SESSION *ticket = n > 0 ? d2i_SSL_SESSION(NULL, &at, n) : NULL;
    ck_assert_ptr_nonnull(ticket);
    ck_assert(!pair_is_known(TLS1_2_VERSION, ticket, NULL));
    tls_context_age(tls_rig.context, 3 * TLS_TICKET_KEY_MS); /* one that begins only now */
    ck_assert(pair_is_known(TLS1_2_VERSION, ticket, NULL));
    SSL_SESSION_free(ticket);
    close(ends[0]);
}
END_TEST

SUITE(tls_context)
{
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, tls_rig_set_up, tls_rig_tear_down);
    tcase_add_test(tc, a_new_certificate_is_for_those_who_come_then);
    tcase_add_test(tc, what_cannot_be_used_leaves_the_old_certificate_in_place);
    tcase_add_test(tc, files_that_change_are_read_again_and_trouble_is_told_once);
    tcase_add_test(tc, of_several_certificates_all_are_exchanged_or_none);
    tcase_add_test(tc, a_certificate_at_its_end_is_told);
    tcase_add_test(tc, certificate_and_key_may_be_one_file);
    tcase_add_test(tc, a_ticket_is_good_after_a_new_certificate_too);
    tcase_add_test(tc, a_ticket_ends_with_the_key_that_it_is_sealed_with);
    tcase_add_test(tc, workers_have_the_same_keys_whenever_they_began);
}
