#include "core/conf.h"
#include "tests/core/memory.h"
#include "tests/page.h"
#include "tests/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct conf conf;
static struct buf errors;
static char folder[] = "/tmp/bellpush-conf-XXXXXX";
static char path[64];

static void setup(void)
{
    ck_assert_int_eq(conf_init(&conf), RC_OK);
    errors = BUF_EMPTY;
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
}

static void teardown(void)
{
    conf_fini(&conf);
    buf_fini(&errors);
    unlink(path);
    rmdir(folder);
}

static const char *told(void)
{
    buf_putc(&errors, '\0');
    errors.len--;
    return errors.at;
}

static enum rc read_text(const char *text)
{
    struct page p = page_of(slice_of(text));
    errors.len = 0;
    enum rc rc = conf_read_text(&conf, "bellpush.conf", p.bytes, &errors);
    page_fini(&p);
    return rc;
}

/* One bad text, and all of what it is told. */
static void expect_errors(const char *text, const char *expected)
{
    enum rc rc = read_text(text);
    ck_assert_str_eq(told(), expected);
    ck_assert_int_eq(rc, RC_SYNTAX);
}

static enum rc check(void)
{
    errors.len = 0;
    return conf_check(&conf, &errors);
}

static void write_file(const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fchmod(fileno(f), mode), 0);
    fclose(f);
}

/* --- values -------------------------------------------------------------------------------- */

START_TEST(the_defaults_are_those_of_the_design)
{
    ck_assert_str_eq(conf.database, "");
    ck_assert_int_eq(conf.database_pool, 2);
    ck_assert_int_eq(conf.max_open, 0);
    ck_assert_int_eq(conf.processes, 10);
    ck_assert_str_eq(conf.one_request, "auto");
    ck_assert_int_eq(conf.drain_ms, 10000);
    ck_assert_int_eq(conf.max_event_bytes, 1 << 20);
    ck_assert_int_eq(conf.max_body_bytes, 8 << 20);
    ck_assert_int_eq(conf.max_batch, 1000);
    ck_assert_int_eq(conf.max_topics, 100);
    ck_assert_int_eq(conf.journal_events, 20000);
    ck_assert_int_eq(conf.journal_bytes, 64 << 20);
    ck_assert_int_eq(conf.heartbeat_ms, 15000);
    ck_assert_int_eq(conf.retry_ms, 2000);
    ck_assert_int_eq(conf.poll_wait_ms, 25000);
    ck_assert_int_eq(conf.poll_limit, 100);
    ck_assert_int_eq(conf.stream_bytes, 64 << 20);
    ck_assert_int_eq(conf.queue_bytes, 256 << 10);
    ck_assert_int_eq(conf.queue_age_ms, 30000);
    ck_assert_int_eq(conf.probe_ms, 5000);
    ck_assert_str_eq(conf.log_level, "info");
    ck_assert_str_eq(conf.publish_key, "");
    ck_assert_uint_eq(conf.channels.n + conf.closed.n + conf.cors_origins.n, 0);
    ck_assert_str_eq(conf_origin(&conf, "drain"), "default");
    ck_assert_int_eq(check(), RC_OK);
}
END_TEST

START_TEST(a_file_sets_what_it_names)
{
    ck_assert_int_eq(read_text("\xEF\xBB\xBF# a comment\r\n"
                               "\r\n"
                               "database = host=/run/postgresql dbname=x\r\n"
                               "   max_open=500\n"
                               "\tdrain\t=\t2m\t\n"
                               "log_file = \"  /var/log/b = #1.log \"\n"
                               "queue_bytes = 1M\n"
                               "channels = orders ,  Chat/Room,x\n"
                               "closed = \"secret/#, a/+\"\n"
                               "log_level = debug"),
                     RC_OK);
    ck_assert_uint_eq(errors.len, 0);
    ck_assert_str_eq(conf.database, "host=/run/postgresql dbname=x");
    ck_assert_int_eq(conf.max_open, 500);
    ck_assert_int_eq(conf.drain_ms, 120000);
    ck_assert_str_eq(conf.log_file, "  /var/log/b = #1.log ");
    ck_assert_int_eq(conf.queue_bytes, 1 << 20);
    ck_assert_uint_eq(conf.channels.n, 3);
    ck_assert_str_eq(conf.channels.at[0], "orders");
    ck_assert_str_eq(conf.channels.at[1], "Chat/Room");
    ck_assert_str_eq(conf.channels.at[2], "x");
    ck_assert_uint_eq(conf.closed.n, 2);
    ck_assert_str_eq(conf.closed.at[1], "a/+");
    ck_assert_str_eq(conf.log_level, "debug");
    ck_assert_str_eq(conf_origin(&conf, "drain"), "bellpush.conf:5");
    ck_assert_str_eq(conf_origin(&conf, "log_level"), "bellpush.conf:10");
    ck_assert_str_eq(conf_origin(&conf, "retry"), "default");
    ck_assert_int_eq(read_text("closed =\nchannels = \"\"\n"), RC_OK);
    ck_assert_uint_eq(conf.closed.n + conf.channels.n, 0);
}
END_TEST

START_TEST(every_mistake_is_told_with_its_line)
{
    expect_errors("databse = x\n"
                  "\n"
                  "max_open = many\n"
                  "max_open = 5\n"
                  "drain = 15\n"
                  "nonsense\n"
                  "queue_bytes = 1kb\n"
                  "log_level = loud\n"
                  "poll_limit = 0\n"
                  "queue_age = 5ms\n"
                  "closed = a,,b\n"
                  "log_file = \"half\n"
                  "quite_something_else = 1\n"
                  "max_topics = 5\n",
                  "bellpush.conf:1: unknown setting 'databse'; did you mean 'database'?\n"
                  "bellpush.conf:3: max_open: expected a whole number\n"
                  "bellpush.conf:4: 'max_open' was given in line 3 already\n"
                  "bellpush.conf:5: drain: expected a time such as 250ms, 15s, 2m, 1h or 7d\n"
                  "bellpush.conf:6: expected 'name = value'\n"
                  "bellpush.conf:7: queue_bytes: expected a size such as 500, 64k, 8m or 1g\n"
                  "bellpush.conf:8: log_level: must be one of error|warn|info|debug\n"
                  "bellpush.conf:9: poll_limit: must be 1 to 100000\n"
                  "bellpush.conf:10: queue_age: must be 10ms to 1d\n"
                  "bellpush.conf:11: closed: an item of the list is empty\n"
                  "bellpush.conf:12: the value begins with a quote but does not end with one\n"
                  "bellpush.conf:13: unknown setting 'quite_something_else'\n");
    ck_assert_int_eq(conf.max_open, 0);   /* as before */
    ck_assert_int_eq(conf.max_topics, 5); /* one mistake does not spoil the rest */
    ck_assert_uint_eq(conf.closed.n, 0);
}
END_TEST

START_TEST(near_misses_are_guessed)
{
    static const char *const pairs[][2] = {
        { "max_opne", "max_open" }, { "heartbeat_ms", "heartbeat" },
        { "chanels", "channels" },  { "journal_event", "journal_events" },
        { "logfile", "log_file" },  { "publish-key", "publish_key" },
        { "Retry", "retry" },
    };
    for (size_t i = 0; i < LENGTH(pairs); i++) {
        char text[64], expected[128];
        snprintf(text, sizeof text, "%s = 1", pairs[i][0]);
        snprintf(expected, sizeof expected,
                 "bellpush.conf:1: unknown setting '%s'; did you mean '%s'?\n", pairs[i][0],
                 pairs[i][1]);
        expect_errors(text, expected);
    }
    expect_errors("x = 1", "bellpush.conf:1: unknown setting 'x'\n");
    expect_errors("= 1", "bellpush.conf:1: unknown setting ''\n");
}
END_TEST

START_TEST(control_characters_and_broken_utf8_are_refused)
{
    expect_errors("log_file = a\x01z\n",
                  "bellpush.conf:1: log_file: contains a control character\n");
    expect_errors("log_file = a\xFFz\n", "bellpush.conf:1: log_file: is not valid UTF-8\n");
    errors.len = 0;
    ck_assert_int_eq(conf_read_text(&conf, "f", SLICE("log_file = a\0b"), &errors), RC_SYNTAX);
    ck_assert_str_eq(told(), "f:1: log_file: contains a control character\n");
}
END_TEST

/* --- sources ------------------------------------------------------------------------------- */

START_TEST(the_environment_and_the_command_line_win_in_that_order)
{
    static const char *const environment[] = { "HOME=/",
                                               "BELLPUSH_MAX_OPEN=7",
                                               "BELLPUSH_RETRY=3s",
                                               "BELLPUSH_TEST_TOP=/x",
                                               "BELLPUSH_CLOSED= a/# , b ",
                                               NULL };
    ck_assert_int_eq(read_text("max_open = 1\nretry = 1s\ndrain = 1s\n"), RC_OK);
    ck_assert_int_eq(conf_read_env(&conf, (char *const *)environment, &errors), RC_OK);
    ck_assert_int_eq(conf_set(&conf, "retry=9s", "--set", &errors), RC_OK);
    ck_assert_int_eq(conf.max_open, 7);
    ck_assert_int_eq(conf.retry_ms, 9000);
    ck_assert_int_eq(conf.drain_ms, 1000);
    ck_assert_uint_eq(conf.closed.n, 2);
    ck_assert_str_eq(conf_origin(&conf, "max_open"), "environment");
    ck_assert_str_eq(conf_origin(&conf, "retry"), "--set");
    ck_assert_str_eq(conf_origin(&conf, "drain"), "bellpush.conf:3");
}
END_TEST

START_TEST(mistakes_there_are_told_too)
{
    static const char *const environment[] = { "BELLPUSH_MAXOPEN=7", "BELLPUSH_DRAIN=x",
                                               "BELLPUSH_LISTEN", NULL };
    ck_assert_int_eq(conf_read_env(&conf, (char *const *)environment, &errors), RC_SYNTAX);
    ck_assert_int_eq(conf_set(&conf, "drain", "--set", &errors), RC_SYNTAX);
    ck_assert_str_eq(told(),
                     "environment: unknown setting 'maxopen'; did you mean 'max_open'?\n"
                     "environment: drain: expected a time such as 250ms, 15s, 2m, 1h or 7d\n"
                     "--set: expected name=value\n");
}
END_TEST

START_TEST(a_file_is_read_or_said_to_be_unreadable)
{
    write_file("max_open = 3\n", 0600);
    ck_assert_int_eq(conf_read_file(&conf, path, &errors), RC_OK);
    ck_assert_int_eq(conf.max_open, 3);
    char expected[200];
    ck_assert_int_eq(conf_read_file(&conf, "/nonexistent", &errors), RC_SYNTAX);
    ck_assert_str_eq(told(), "/nonexistent: cannot open: No such file or directory\n");
    errors.len = 0;
    ck_assert_int_eq(conf_read_file(&conf, folder, &errors), RC_SYNTAX);
    snprintf(expected, sizeof expected, "%s: cannot read: Is a directory\n", folder);
    ck_assert_str_eq(told(), expected);
    errors.len = 0;
    ck_assert_int_eq(truncate(path, (1 << 20) + 1), 0);
    ck_assert_int_eq(conf_read_file(&conf, path, &errors), RC_SYNTAX);
    ck_assert_ptr_nonnull(strstr(told(), "larger than 1 MiB"));
}
END_TEST

/* --- printing ------------------------------------------------------------------------------ */

static struct buf printed(const struct conf *c)
{
    struct buf b = BUF_EMPTY;
    conf_print(c, &b);
    ck_assert_int_eq(buf_rc(&b), RC_OK);
    return b;
}

/* Without the lines that tell where values come from. */
static struct buf values_of(struct buf text)
{
    struct buf b = BUF_EMPTY;
    for (size_t at = 0; at < text.len;) {
        size_t end = at;
        while (text.at[end] != '\n')
            end++;
        if (text.at[at] != '#')
            buf_put(&b, (struct slice){ text.at + at, end - at + 1 });
        at = end + 1;
    }
    buf_fini(&text);
    return b;
}

START_TEST(what_is_printed_can_be_read_again)
{
    ck_assert_int_eq(read_text("database = dbname=\"x y\"\n"
                               "log_file = \" with blanks \"\n"
                               "slots_file = \"\"quoted\"\"\n"
                               "drain = 1500ms\nqueue_age = 90s\nqueue_bytes = 1000\n"
                               "journal_bytes = 0\nclosed = a/#, \xC3\xA9\nmax_open = 12\n"),
                     RC_OK);
    struct buf first = printed(&conf);
    struct conf again;
    ck_assert_int_eq(conf_init(&again), RC_OK);
    enum rc rc = conf_read_text(&again, "printed", buf_slice(&first), &errors);
    ck_assert_msg(rc == RC_OK, "%s", told());
    ck_assert_str_eq(again.log_file, " with blanks ");
    ck_assert_str_eq(again.slots_file, "\"quoted\"");
    first = values_of(first);
    struct buf second = values_of(printed(&again));
    ck_assert(slice_is(buf_slice(&first), buf_slice(&second)));
    ck_assert_ptr_nonnull(memmem(first.at, first.len, "\nqueue_age = 90s\n", 17));
    buf_fini(&first);
    buf_fini(&second);
    conf_fini(&again);
}
END_TEST

START_TEST(each_value_is_printed_with_its_source)
{
    ck_assert_int_eq(read_text("\nmax_open = 5\n"), RC_OK);
    struct buf b = printed(&conf);
    buf_putc(&b, '\0');
    ck_assert_ptr_nonnull(strstr(b.at, "# bellpush.conf:2\nmax_open = 5\n"));
    ck_assert_ptr_nonnull(strstr(b.at, "# default\nheartbeat = 15s\n"));
    buf_fini(&b);
}
END_TEST

START_TEST(secrets_are_not_printed)
{
    static const struct {
        const char *setting;
        bool secret;
    } cases[] = {
        { "publish_key=Sesam77", true },
        { "database=host=db password=Sesam77", true },
        { "database=host=db PASSWORD = 'Sesam77'", true },
        { "database=postgres://me:Sesam77@db/x", true },
        { "listen_database=postgresql://me:Sesam77@[::1]:5432/x", true },
        { "database=host=Sesam77", false },
        { "database=postgres://Sesam77@db:5432/x", false },
        { "database=postgres://Sesam77:5432/x", false },
        { "log_file=Sesam77", false },
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct conf c;
        ck_assert_int_eq(conf_init(&c), RC_OK);
        ck_assert_int_eq(conf_set(&c, cases[i].setting, "--set", &errors), RC_OK);
        struct buf b = printed(&c);
        bool shown = memmem(b.at, b.len, "Sesam77", 7);
        ck_assert_msg(shown != cases[i].secret, "%s", cases[i].setting);
        ck_assert_int_eq(memmem(b.at, b.len, "\"***\"", 5) != NULL, cases[i].secret);
        ck_assert_int_eq(conf_read_text(&c, "printed", buf_slice(&b), &errors), RC_OK);
        buf_fini(&b);
        b = printed(&c); /* reading it again has changed no secret */
        ck_assert_int_eq(memmem(b.at, b.len, "\"***\"", 5) != NULL, cases[i].secret);
        buf_fini(&b);
        conf_fini(&c);
    }
}
END_TEST

START_TEST(help_names_every_setting)
{
    struct buf help = BUF_EMPTY, b = values_of(printed(&conf));
    conf_help(&help);
    buf_putc(&help, '\0');
    size_t settings = 0;
    for (size_t at = 0; at < b.len; settings++) {
        char name[40];
        size_t len = strcspn(b.at + at, " ");
        snprintf(name, sizeof name, "%.*s ", (int)len, b.at + at);
        ck_assert_ptr_nonnull(strstr(help.at, name));
        while (b.at[at++] != '\n')
            ;
    }
    ck_assert_uint_gt(settings, 25);
    ck_assert_ptr_nonnull(strstr(help.at, "heartbeat                 time, default 15s\n"));
    buf_fini(&help);
    buf_fini(&b);
}
END_TEST

/* --- checks -------------------------------------------------------------------------------- */

START_TEST(words_in_lists_are_checked_for_what_they_mean)
{
    ck_assert_int_eq(
        read_text("channels = ok, bellpush, a+b, "
                  "a23456789012345678901234567890123456789012345678901234567890123, "
                  "b234567890123456789012345678901234567890123456789012345678901234\n"
                  "closed = fine/#, a/#/b, $presence/#\n"
                  "cors_origins = https://ok.example, http://ok:8080, *, https://x/, example.org\n"
                  "max_body_bytes = 1k\n"),
        RC_OK);
    ck_assert_int_eq(check(), RC_SYNTAX);
    ck_assert_str_eq(
        told(),
        "bellpush.conf:1: channels: 'bellpush': this channel is the bell itself\n"
        "bellpush.conf:1: channels: 'a+b': a topic may not contain '+' or '#': these are the "
        "wildcards of filters\n"
        "bellpush.conf:1: channels: "
        "'b234567890123456789012345678901234567890123456789012345678901234': PostgreSQL has "
        "channel "
        "names of at most 63 bytes\n"
        "bellpush.conf:2: closed: 'a/#/b': in a topic filter '#' must be the last level\n"
        "bellpush.conf:2: closed: '$presence/#': who is on a topic is closed with the topic: name "
        "that\n"
        "bellpush.conf:3: cors_origins: '*': name each origin: '*' would let every page on the web "
        "ask\n"
        "bellpush.conf:3: cors_origins: 'https://x/': an origin ends after the host and port, "
        "without a slash\n"
        "bellpush.conf:3: cors_origins: 'example.org': an origin is https://host or http://host, "
        "perhaps with a port\n"
        "bellpush.conf:4: max_body_bytes: is below max_event_bytes\n");
}
END_TEST

START_TEST(certificates_and_keys_are_counted)
{
    static const struct {
        const char *text, *wanted; /* "": it is good */
    } cases[] = {
        { "tls_certificate = a\n", "" },
        { "tls_certificate = a\ntls_key = x\n", "" },
        { "tls_certificate = a, b, c\n", "" },
        { "tls_certificate = a, b, c\ntls_key = x\n", "" },
        { "tls_certificate = a, b, c\ntls_key = x, y, z\n", "" },
        { "tls_certificate = a, b, c\ntls_key = x, y\n",
          "bellpush.conf:2: tls_key: there are 2 for 3 in tls_certificate: as many are wanted, one "
          "for all, or none if they are in the same files\n" },
        { "tls_key = x, y\ntls_certificate = a\n",
          "bellpush.conf:1: tls_key: there are 2 for 1 in tls_certificate: as many are wanted, one "
          "for all, or none if they are in the same files\n" },
        { "tls_key = x, y\n", "bellpush.conf:1: tls_key: 'x': there is no tls_certificate\n" },
    };

    for (size_t i = 0; i < LENGTH(cases); i++) {
        conf_fini(&conf);
        ck_assert_int_eq(conf_init(&conf), RC_OK);
        ck_assert_int_eq(read_text(cases[i].text), RC_OK);
        ck_assert_int_eq(check(), *cases[i].wanted ? RC_SYNTAX : RC_OK);
        ck_assert_str_eq(told(), cases[i].wanted);
    }
}
END_TEST

static void use_key_file(const char *text, mode_t mode)
{
    char assignment[100];
    write_file(text, mode);
    snprintf(assignment, sizeof assignment, "publish_key_file=%s", path);
    ck_assert_int_eq(conf_set(&conf, assignment, "--set", &errors), RC_OK);
}

START_TEST(the_key_may_come_from_a_file)
{
    use_key_file("Sesam77\r\n", 0640);
    ck_assert_int_eq(check(), RC_OK);
    ck_assert_str_eq(conf.publish_key, "Sesam77");
    ck_assert_str_eq(conf_origin(&conf, "publish_key"), path);
    use_key_file("Sesam88", 0600);
    ck_assert_int_eq(check(), RC_OK); /* once more, with what is there now */
    ck_assert_str_eq(conf.publish_key, "Sesam88");
}
END_TEST

START_TEST(a_key_file_that_gives_the_key_away_is_refused)
{
    use_key_file("Sesam77", 0604);
    ck_assert_int_eq(check(), RC_SYNTAX);
    ck_assert_ptr_nonnull(strstr(told(), "is open to everybody"));
    ck_assert_ptr_null(strstr(told(), "Sesam77"));
    ck_assert_str_eq(conf.publish_key, "");
    use_key_file("", 0600);
    ck_assert_int_eq(check(), RC_SYNTAX);
    ck_assert_ptr_nonnull(strstr(told(), "is empty"));
    use_key_file("two words", 0600);
    ck_assert_int_eq(check(), RC_SYNTAX);
    ck_assert_ptr_nonnull(strstr(told(), "only visible ASCII"));
    ck_assert_ptr_null(strstr(told(), "two words"));
}
END_TEST

static const char *warned(bool one_request)
{
    errors.len = 0;
    conf_warn(&conf, one_request, &errors);
    return told();
}

START_TEST(a_file_that_gives_a_secret_away_is_warned_of)
{
    static const char secrets[] = "publish_key = hunter2hunter2\ntoken_key = "
                                  "0123456789abcdef0123456789abcdef\ndatabase = password=x\n";
    static const char none[] = "database = dbname=shop\npoll_wait = 7s\n";
    char expected[200];

    write_file(secrets, 0604);
    ck_assert_int_eq(conf_read_file(&conf, path, &errors), RC_OK);
    snprintf(expected, sizeof expected,
             "%s holds a secret (database) and is open to everybody: chmod o-rw\n", path);
    ck_assert_str_eq(warned(false), expected); /* one line for the file */
    write_file(secrets, 0640);
    ck_assert_str_eq(warned(false), "");
    conf_fini(&conf);
    ck_assert_int_eq(conf_init(&conf), RC_OK);
    write_file(none, 0644);
    ck_assert_int_eq(conf_read_file(&conf, path, &errors), RC_OK);
    ck_assert_str_eq(warned(false), "");
    /* What was said elsewhere is no file's affair. */
    char *const environment[] = { (char *)"BELLPUSH_PUBLISH_KEY=hunter2", NULL };
    ck_assert_int_eq(conf_read_env(&conf, environment, &errors), RC_OK);
    ck_assert_int_eq(
        conf_set(&conf, "token_key=0123456789abcdef0123456789abcdef", "--set", &errors), RC_OK);
    ck_assert_str_eq(warned(false), "");
}
END_TEST

START_TEST(limits_that_limit_nothing_are_warned_of)
{
    ck_assert_str_eq(warned(true), ""); /* the defaults are nobody's wish */
    ck_assert_int_eq(conf_set(&conf, "requests_per_subject=7", "--set", &errors), RC_OK);
    ck_assert_str_eq(warned(false), "");
    ck_assert_str_eq(warned(true),
                     "--set: requests_per_subject limits nothing here: each process counts for "
                     "itself, and has one request at a time\n");
}
END_TEST

START_TEST(networks_and_headers_are_checked)
{
    static const char *const bad[] = { "trusted_proxies=10.0.0.1/8",
                                       "trusted_proxies=privat",
                                       "unlimited_addresses=10.0.0.0/8,2001:db8::1/32",
                                       "forwarded_header=",
                                       "forwarded_header=X Forwarded",
                                       "forwarded_header=X-Forwarded-For:" };

    ck_assert_int_eq(
        conf_set(&conf, "trusted_proxies=private, unix, 192.0.2.0/24", "--set", &errors), RC_OK);
    ck_assert_int_eq(conf_set(&conf, "unlimited_addresses=", "--set", &errors), RC_OK);
    ck_assert_int_eq(conf_set(&conf, "forwarded_header=CF-Connecting-IP", "--set", &errors), RC_OK);
    ck_assert_int_eq(check(), RC_OK);
    for (size_t i = 0; i < LENGTH(bad); i++) {
        conf_fini(&conf);
        ck_assert_int_eq(conf_init(&conf), RC_OK);
        ck_assert_int_eq(conf_set(&conf, bad[i], "--set", &errors), RC_OK);
        ck_assert_msg(check() == RC_SYNTAX, "%s", bad[i]);
    }
}
END_TEST

START_TEST(a_key_file_must_be_a_file_and_the_only_key)
{
    char assignment[100];
    snprintf(assignment, sizeof assignment, "publish_key_file=%s", folder);
    ck_assert_int_eq(conf_set(&conf, assignment, "--set", &errors), RC_OK);
    ck_assert_int_eq(check(), RC_SYNTAX);
    ck_assert_ptr_nonnull(strstr(told(), "is not a regular file"));
    ck_assert_int_eq(conf_set(&conf, "publish_key_file=/nonexistent", "--set", &errors), RC_OK);
    ck_assert_int_eq(check(), RC_SYNTAX);
    ck_assert_ptr_nonnull(strstr(told(), "No such file"));
    use_key_file("Sesam77", 0600);
    ck_assert_int_eq(conf_set(&conf, "publish_key=x", "--set", &errors), RC_OK);
    ck_assert_int_eq(check(), RC_SYNTAX);
    ck_assert_ptr_nonnull(strstr(told(), "choose one"));
}
END_TEST

/* --- memory -------------------------------------------------------------------------------- */

START_TEST(a_want_of_memory_is_told_and_leaves_a_whole_conf)
{
    write_file("database = x\nclosed = a, b, c\nmax_open = 4\nfoo = 1\nmax_batch = x\n", 0600);
    MEMORY_SCRIPT(nth)
    {
        struct conf c;
        struct buf why = BUF_EMPTY;
        enum rc rc = conf_init(&c);
        if (rc == RC_OK) {
            rc = conf_read_file(&c, path, &why);
            bool told_all = why.len > 0 && memmem(why.at, why.len, "max_batch", 9);
            ck_assert(rc == RC_NOMEM || why.nomem || (rc == RC_SYNTAX && told_all));
            ck_assert(memory_failed() || c.closed.n == 3);
        } else {
            ck_assert_int_eq(rc, RC_NOMEM);
            ck_assert(memory_failed());
        }
        buf_fini(&why);
        conf_fini(&c);
    }
}
END_TEST

SUITE(conf)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_defaults_are_those_of_the_design);
    tcase_add_test(tc, a_file_sets_what_it_names);
    tcase_add_test(tc, every_mistake_is_told_with_its_line);
    tcase_add_test(tc, near_misses_are_guessed);
    tcase_add_test(tc, control_characters_and_broken_utf8_are_refused);
    tcase_add_test(tc, the_environment_and_the_command_line_win_in_that_order);
    tcase_add_test(tc, mistakes_there_are_told_too);
    tcase_add_test(tc, a_file_is_read_or_said_to_be_unreadable);
    tcase_add_test(tc, what_is_printed_can_be_read_again);
    tcase_add_test(tc, each_value_is_printed_with_its_source);
    tcase_add_test(tc, secrets_are_not_printed);
    tcase_add_test(tc, help_names_every_setting);
    tcase_add_test(tc, words_in_lists_are_checked_for_what_they_mean);
    tcase_add_test(tc, certificates_and_keys_are_counted);
    tcase_add_test(tc, the_key_may_come_from_a_file);
    tcase_add_test(tc, a_key_file_that_gives_the_key_away_is_refused);
    tcase_add_test(tc, a_file_that_gives_a_secret_away_is_warned_of);
    tcase_add_test(tc, limits_that_limit_nothing_are_warned_of);
    tcase_add_test(tc, networks_and_headers_are_checked);
    tcase_add_test(tc, a_key_file_must_be_a_file_and_the_only_key);
    tcase_add_test(tc, a_want_of_memory_is_told_and_leaves_a_whole_conf);
}
