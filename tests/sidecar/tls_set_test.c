/*
 * tls_set_test.c - several certificates: which of them is for whom, whose sessions are resumed, and
 * what is no set of certificates.
 */
#include "sidecar/tls_set.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "sidecar/tls_priv.h"
#include "tests/page.h"
#include "tests/peers/certificate.h"
#include "tests/peers/process.h"
#include "tests/sidecar/tls_pair.h"
#include "tests/suite.h"

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/* ---- certificates ---------------------------------------------------------------------------- */

static char *dir;

/* Once for all tests: RSA keys take their time. */
static void make_certificates(void)
{
    static const struct {
        const char *name, *type, *others;
    } all[] = {
        { "first", "ec", "DNS:first.test,DNS:*.wild.test,IP:127.0.0.1" },
        { "b", "ec",
          "DNS:b.test,DNS:B2.Test,DNS:*.b.test,DNS:www.wild.test,DNS:f*.part.test,DNS:192.0.2.1" },
        { "b_again", "ec",
          "DNS:b2.test,DNS:*.b.test,DNS:www.wild.test,DNS:f*.part.test,"
          "DNS:192.0.2.1,DNS:B.test,IP:127.0.0.1" },
        { "rsa", "rsa", "DNS:both.test,DNS:*.both.test" },
        { "ec", "ec", "DNS:*.both.test,DNS:BOTH.test" },
        { "less", "ec", "DNS:both.test" },
        { "b.test", "ec", "" }, /* has it in its subject only */
    };

    dir = temp_folder("tls-set");
    for (size_t i = 0; i < LENGTH(all); i++)
        certificate_make_for(dir, all[i].name, 30, all[i].type, all[i].others);
}

static void forget_certificates(void)
{
    free(dir);
}

struct paths {
    char *at[TLS_CERTIFICATES_MAX + 1];
    size_t n;
};

/* DIR/NAME.SUFFIX of each word. */
static struct paths paths_of(const char *words, const char *suffix)
{
    struct paths p = { .n = 0 };

    while (*words) {
        int len = (int)strcspn(words, " ");
        p.at[p.n++] = text_of("%s/%.*s.%s", dir, len, words, suffix);
        words += len + (words[len] == ' ');
    }
    return p;
}

static struct paths pems, keys;

/* Read these, "a b c", with the keys of those; NULL: *error says why. */
static struct tls_context *context_of(const char *certificates, const char *of, struct buf *error)
{
    pems = paths_of(certificates, "pem");
    keys = paths_of(of, "key");
    return tls_context_new(&(struct conf_list){ pems.at, pems.n },
                           &(struct conf_list){ keys.at, keys.n }, error);
}

static void serve(const char *certificates, const char *of)
{
    struct buf error = BUF_EMPTY;

    tls_rig.context = context_of(certificates, of, &error);
    ck_assert_msg(tls_rig.context != NULL, "%.*s", (int)error.len, error.at);
}

static void set_up(void)
{
    pems = keys = (struct paths){ .n = 0 };
    tls_rig.context = NULL;
}

static void forget(struct paths *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->at[i]);
    p->n = 0;
}

static void tear_down(void)
{
    tls_context_free(tls_rig.context);
    forget(&pems);
    forget(&keys);
}

/* ---- who is asked for ------------------------------------------------------------------------ */

static void on_extension(SSL *ssl, int by_client, int type, const unsigned char *data, int len,
                         void *arg)
{
    (void)ssl;
    (void)data;
    (void)len;
    (void)by_client;
    *(bool *)arg |= type == TLSEXT_TYPE_server_name;
}

START_TEST(a_client_gets_the_first_certificate_that_has_the_name)
{
    static const struct {
        const char *name, *wanted;
        bool known;
    } cases[] = {
        { NULL, "first", false },
        { "first.test", "first", true },
        { "b.test", "b", true },
        { "B.tESt", "b", true },
        { "b2.test", "b", true },
        { "x.b.test", "b", true },
        { "x.y.b.test", "first", false },    /* a wildcard is one label */
        { "www.wild.test", "first", true },  /* both have it */
        { "wild.test", "first", false },     /* and not none */
        { "foo.part.test", "first", false }, /* nor a part of one */
        { "*.b.test", "first", false },
        { ".test", "first", false },
        { "b.test.", "first", false },
        { "192.0.2.1", "first", false },
        { "nobody.test", "first", false },
        { "b.test\x80", "first", false },
    };

    serve("first b", "first b");
    for (size_t i = 0; i < LENGTH(cases) * LENGTH(versions); i++) {
        size_t at = i / LENGTH(versions);
        bool answered = false;
        struct pair p;
        pair_open(&p, versions[i % LENGTH(versions)], NULL);
        SSL_set_tlsext_debug_callback(p.client, on_extension);
        SSL_set_tlsext_debug_arg(p.client, &answered);
        if (cases[at].name)
            SSL_set_tlsext_host_name(p.client, cases[at].name);
        shake_hands(&p, 1000);
        ck_assert_msg(strcmp(name_of_server(&p), cases[at].wanted) == 0, "%s", cases[at].name);
        ck_assert_msg(answered == cases[at].known, "%s", cases[at].name);
        client_says(&p, SLICE("hello"), 1000);
        ck_assert(slice_is(buf_slice(&p.got), SLICE("hello")));
        pair_close(&p);
    }
}
END_TEST

START_TEST(the_first_needs_no_name)
{
    serve("b.test b", "b.test b");
    expect_certificate(TLS1_3_VERSION, NULL, "b.test");
    expect_certificate(TLS1_3_VERSION, "nobody.test", "b.test");
    expect_certificate(TLS1_3_VERSION, "b.test", "b");
}
END_TEST

static void on_message(int by_us, int version, int type, const void *bytes, size_t len, SSL *ssl,
                       void *arg)
{
    (void)version;
    (void)ssl;
    if (by_us && type == SSL3_RT_HANDSHAKE && len > 0 &&
        *(const unsigned char *)bytes == SSL3_MT_CLIENT_HELLO)
        ++*(int *)arg;
}

START_TEST(the_name_counts_also_where_the_client_is_asked_for_another_key_share)
{
    struct pair p;
    int hellos = 0;

    serve("first b", "first b");
    for (size_t i = 0; i < 2; i++)
        SSL_CTX_set1_groups_list(tls_rig.context->set.ssl[i], "P-384");
    pair_open(&p, TLS1_3_VERSION, NULL);
    SSL_set_msg_callback(p.client, on_message);
    SSL_set_msg_callback_arg(p.client, &hellos);
    SSL_set_tlsext_host_name(p.client, "b.test");
    shake_hands(&p, 1000);
    ck_assert_str_eq(name_of_server(&p), "b");
    ck_assert_int_eq(hellos, 2);
    pair_close(&p);
    SSL_SESSION *ticket = pair_ticket(TLS1_3_VERSION, "b.test");
    ck_assert(pair_is_known(TLS1_3_VERSION, ticket, "b.test"));
    ck_assert(!pair_is_known(TLS1_3_VERSION, ticket, "first.test"));
    SSL_SESSION_free(ticket);
}
END_TEST

START_TEST(keys_of_two_types_serve_the_same_names)
{
    static const struct {
        const char *algorithms, *wanted;
    } cases[] = { { "ECDSA+SHA256", "ec" }, { "RSA-PSS+SHA256:RSA+SHA256", "rsa" } };

    for (int turn = 0; turn < 2; turn++) {
        serve(turn ? "rsa first ec" : "first ec rsa", turn ? "rsa first ec" : "first ec rsa");
        for (size_t i = 0; i < LENGTH(cases) * LENGTH(versions); i++) {
            struct pair p;
            size_t at = i / LENGTH(versions);
            pair_open(&p, versions[i % LENGTH(versions)], NULL);
            SSL_set1_sigalgs_list(p.client, cases[at].algorithms);
            SSL_set_tlsext_host_name(p.client, "x.both.test");
            shake_hands(&p, 1000);
            ck_assert_str_eq(name_of_server(&p), cases[at].wanted);
            pair_close(&p);
        }
        expect_certificate(TLS1_2_VERSION, "first.test", "first");
        tear_down();
    }
    serve("rsa less", "rsa less"); /* not the same names: the first only */
    expect_certificate(TLS1_3_VERSION, "both.test", "rsa");
}
END_TEST

/* ---- sessions -------------------------------------------------------------------------------- */

START_TEST(a_session_is_resumed_under_its_own_name_only)
{
    static const char *const names[] = { NULL, "first.test", "b.test", "x.b.test", "nobody.test" };

    serve("first b", "first b");
    for (size_t v = 0; v < LENGTH(versions); v++)
        for (size_t i = 0; i < LENGTH(names) * LENGTH(names); i++) {
            const char *before = names[i / LENGTH(names)], *now = names[i % LENGTH(names)];
            SSL_SESSION *ticket = pair_ticket(versions[v], before);
            ck_assert_msg(pair_is_known(versions[v], ticket, now) == (before == now), "%s, then %s",
                          before, now);
            SSL_SESSION_free(ticket);
        }
}
END_TEST

START_TEST(which_is_the_same_in_capitals)
{
    serve("first b", "first b");
    for (size_t v = 0; v < LENGTH(versions); v++) {
        SSL_SESSION *ticket = pair_ticket(versions[v], "x.b.test");
        ck_assert(pair_is_known(versions[v], ticket, "X.b.TEST"));
        SSL_SESSION_free(ticket);
    }
}
END_TEST

START_TEST(with_one_certificate_too)
{
    serve("b", "b");
    for (size_t v = 0; v < LENGTH(versions); v++) {
        SSL_SESSION *ticket = pair_ticket(versions[v], "b.test");
        ck_assert(pair_is_known(versions[v], ticket, "b.test"));
        ck_assert(!pair_is_known(versions[v], ticket, "b2.test"));
        SSL_SESSION_free(ticket);
    }
}
END_TEST

START_TEST(tickets_of_all_names_age_together)
{
    serve("first b", "first b");
    for (size_t v = 0; v < LENGTH(versions); v++) {
        SSL_SESSION *ticket = pair_ticket(versions[v], "b.test");
        tls_context_age(tls_rig.context, (v + 1) * TLS_TICKET_KEY_MS - 1);
        ck_assert(pair_is_known(versions[v], ticket, "b.test"));
        tls_context_age(tls_rig.context, (v + 1) * TLS_TICKET_KEY_MS);
        ck_assert(!pair_is_known(versions[v], ticket, "b.test"));
        SSL_SESSION_free(ticket);
    }
}
END_TEST

/* ---- the extension --------------------------------------------------------------------------- */

START_TEST(a_name_is_read_whole_or_not_at_all)
{
    static const char good[] = "\x00\x09\x00\x00\x06"
                               "b.test";
    struct slice whole = { good, sizeof(good) - 1 };

    for (size_t len = 0; len <= whole.len; len++) {
        struct page p = page_of((struct slice){ good, len });
        struct slice name = tls_set_name_in(p.bytes);
        ck_assert(slice_is(name, len == whole.len ? SLICE("b.test") : SLICE_NONE));
        page_fini(&p);
    }
    /* every byte of the frame counts */
    for (size_t i = 0; i < 5; i++) {
        char bad[sizeof(good)];
        memcpy(bad, good, sizeof(good));
        bad[i] ^= 1;
        ck_assert_uint_eq(tls_set_name_in((struct slice){ bad, whole.len }).len, 0);
    }
    ck_assert_uint_eq(tls_set_name_in(SLICE("\x00\x03\x00\x00\x00")).len, 0); /* of no bytes */
    ck_assert_uint_eq(tls_set_name_in(SLICE("\x00\x09\x00\x00\x06"
                                            "b.testx"))
                          .len,
                      0);
    ck_assert_uint_eq(tls_set_name_in(SLICE("\x00\x0d\x00\x00\x06"
                                            "b.test\x00\x00\x01"
                                            "a"))
                          .len,
                      0);
}
END_TEST

START_TEST(a_name_has_255_bytes_at_most)
{
    for (size_t len = 254; len <= 256; len++) {
        char bytes[5 + 256] = { (char)((len + 3) >> 8), (char)(len + 3), 0, (char)(len >> 8),
                                (char)len };
        memset(bytes + 5, 'a', len);
        struct page p = page_of((struct slice){ bytes, 5 + len });
        ck_assert_uint_eq(tls_set_name_in(p.bytes).len, len <= 255 ? len : 0);
        page_fini(&p);
    }
}
END_TEST

/* ---- what is no set -------------------------------------------------------------------------- */

/* DIR in it stands for the folder; what does not end in a newline begins the line. */
static void expect_refused(const char *certificates, const char *of, const char *why)
{
    struct buf error = BUF_EMPTY;
    char *expected = text_exchange(why, "DIR", dir);

    ck_assert_ptr_null(context_of(certificates, of, &error));
    buf_putc(&error, '\0');
    const char *wanted = expected ? expected : why;
    size_t len = strlen(wanted);
    ck_assert_msg(strncmp(error.at, wanted, len) == 0, "%s", error.at);
    ck_assert_msg(wanted[len - 1] != '\n' || !error.at[len], "%s", error.at);
    free(expected);
    buf_fini(&error);
    forget(&pems);
    forget(&keys);
}

START_TEST(what_cannot_be_used_is_told_with_its_file)
{
    expect_refused("first nope", "first nope",
                   "tls_certificate: DIR/nope.pem: No such file or directory\n"
                   "tls_key: DIR/nope.key: No such file or directory\n");
    expect_refused("first b", "b first",
                   "tls_key: DIR/b.key: cannot be used with DIR/first.pem: key values mismatch\n"
                   "tls_key: DIR/first.key: cannot be used with DIR/b.pem: key values mismatch\n");
    expect_refused("first b", "first",
                   "tls_key: DIR/first.key: cannot be used with DIR/b.pem: key values mismatch\n");
    expect_refused("first rsa", "first",
                   "tls_key: DIR/first.key: cannot be used with DIR/rsa.pem: ");
    expect_refused("first b.test", "first b.test",
                   "tls_certificate: DIR/b.test.pem: has no DNS name (subjectAltName) to be "
                   "chosen by\n");
    expect_refused("first b rsa b_again", "first b rsa b_again",
                   "tls_certificate: DIR/b_again.pem: another before it has the same names and the "
                   "same type of key\n");
    expect_refused("b ec rsa rsa", "b ec rsa rsa",
                   "tls_certificate: DIR/rsa.pem: another before it has the same names and the "
                   "same type of key\n");
}
END_TEST

START_TEST(there_is_a_most_of_them)
{
    struct buf words = BUF_EMPTY;

    for (int i = 0; i <= TLS_CERTIFICATES_MAX; i++)
        buf_puts(&words, i ? " b" : "b");
    buf_putc(&words, '\0');
    expect_refused(words.at, "", "tls_certificate: there are 33, but 32 are the most\n");
    buf_fini(&words);
}
END_TEST

START_TEST(one_key_may_be_that_of_all)
{
    char *key = text_of("%s/b.key", dir), *pem = text_of("%s/b_sibling.pem", dir);

    ck_assert_int_eq(
        process_run(
            &(struct process_spec){
                .argv = (const char *const[]){ "openssl", "req", "-x509", "-key", key, "-subj",
                                               "/CN=b_sibling", "-addext",
                                               "subjectAltName=DNS:c.test", "-out", pem, NULL },
                .log = "/dev/null" },
            20000),
        0);
    serve("b b_sibling", "b");
    expect_certificate(TLS1_3_VERSION, "b.test", "b");
    expect_certificate(TLS1_3_VERSION, "c.test", "b_sibling");
    free(key);
    free(pem);
}
END_TEST

static void join_files(const char *name)
{
    char *from[] = { text_of("%s/%s.pem", dir, name), text_of("%s/%s.key", dir, name) };
    char *to = text_of("%s/%s_both.pem", dir, name);
    struct buf both = BUF_EMPTY;

    for (size_t i = 0; i < 2; i++) {
        char *text = file_read(from[i]);
        buf_puts(&both, text);
        free(text);
        free(from[i]);
    }
    file_write(to, buf_slice(&both));
    chmod(to, 0600);
    buf_fini(&both);
    free(to);
}

START_TEST(each_may_be_one_file_with_its_key)
{
    join_files("first");
    join_files("b");
    serve("first_both b_both", "");
    expect_certificate(TLS1_3_VERSION, NULL, "first");
    expect_certificate(TLS1_3_VERSION, "b.test", "b");
    tear_down();
    char *open = text_of("%s/b_both.pem", dir);
    chmod(open, 0644);
    expect_refused("first_both b_both", "",
                   "tls_key: DIR/b_both.pem: is open to everybody: chmod o-rw\n");
    tls_rig.context = NULL;
    free(open);
}
END_TEST

SUITE(tls_set)
{
    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, make_certificates, forget_certificates);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_client_gets_the_first_certificate_that_has_the_name);
    tcase_add_test(tc, the_first_needs_no_name);
    tcase_add_test(tc, the_name_counts_also_where_the_client_is_asked_for_another_key_share);
    tcase_add_test(tc, keys_of_two_types_serve_the_same_names);
    tcase_add_test(tc, a_session_is_resumed_under_its_own_name_only);
    tcase_add_test(tc, which_is_the_same_in_capitals);
    tcase_add_test(tc, with_one_certificate_too);
    tcase_add_test(tc, tickets_of_all_names_age_together);
    tcase_add_test(tc, a_name_is_read_whole_or_not_at_all);
    tcase_add_test(tc, a_name_has_255_bytes_at_most);
    tcase_add_test(tc, what_cannot_be_used_is_told_with_its_file);
    tcase_add_test(tc, there_is_a_most_of_them);
    tcase_add_test(tc, one_key_may_be_that_of_all);
    tcase_add_test(tc, each_may_be_one_file_with_its_key);
}
