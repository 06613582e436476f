/*
 * Records that cannot be what they should be: refused, with file, line and reason.
 */
#include "tests/checker/folder.h"
#include "tests/faults/records.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

#include <stdio.h>
#include <stdlib.h>

static struct folder folder;
static struct figures figures;
static struct buf report;

static void setup(void)
{
    folder_add(&folder, "acks.1", "1.1 100 110 committed publish");
    folder_add(&folder, "acks.1", "1.2 200 210 unknown http @1.2.1@:b @1.2.2@:a");
    folder_add(&folder, "acks.1", "1.3 300 310 rolledback http");
    folder_add(&folder, "ledger", "@1.1.1@ a publish");
    folder_add(&folder, "ledger", "@1.1.2@ a watch");
    folder_add(&folder, "truth", "E 1 @1.1.1@ a");
    folder_add(&folder, "truth", "E 2 @1.1.2@ a");
    folder_add(&folder, "unheard", "10 20 nobody-listens");
    folder_add(&folder, "seen.1", "subscriber 1 sse nginx # a/+");
    folder_add(&folder, "seen.1", "start 50 E-0");
    folder_add(&folder, "seen.1", "event 105 E-1 @1.1.1@ a");
    folder_add(&folder, "seen.1", "gap 110 E-1 E-2 expired");
    folder_add(&folder, "seen.1", "note 120 anything at all");
    folder_add(&folder, "seen.1", "done 400");
}

static void teardown(void)
{
    folder_fini(&folder);
    buf_fini(&report);
}

static struct file *file(const char *name)
{
    return folder_file(&folder, name);
}

static void expect_good(void)
{
    ck_assert_msg(folder_check(&folder, &figures, &report), "%s", report.at);
    ck_assert_msg(figures_are_good(&figures), "%s", report.at);
}

static void expect_refused(const char *why)
{
    ck_assert_msg(!folder_check(&folder, &figures, &report), "expected: %s", why);
    ck_assert_str_eq(report.at, why);
}

#define ACKS_FORM                                                                                  \
    "expected P.T, BEFORE, AFTER, committed|rolledback|unknown, KIND and, of http, NAME:TOPIC..."
#define LEDGER_FORM "expected NAME, TOPIC, publish|notify|watch"
#define TRUTH_FORM  "expected EPOCH, SEQ, NAME, TOPIC"
#define WINDOW_FORM "expected FROM, TO, WHY"
#define HEAD_FORM   "expected subscriber, S, TRANSPORT, FRONT, FILTER..."
#define LINE_FORM   "expected event, gap, start, done or note, and AT"
#define EVENT_FORM  "expected event, AT, CURSOR, NAME, TOPIC"
#define GAP_FORM    "expected gap, AT, FROM|-, NEXT, REASON"

/* A line, which replaces line i, counted from 1, and what is said of it. */
static const struct {
    const char *file;
    int i;
    const char *line, *why;
} cases[] = {
    { "acks.1", 1, "", ACKS_FORM },
    { "acks.1", 1, "1 100 110 committed publish", ACKS_FORM },
    { "acks.1", 1, "1.1.1 100 110 committed publish", ACKS_FORM },
    { "acks.1", 1, "1.1 x 110 committed publish", ACKS_FORM },
    { "acks.1", 1, "1.1 -1 110 committed publish", ACKS_FORM },
    { "acks.1", 1, "1.1 100 99999999999999999999 committed publish", ACKS_FORM },
    { "acks.1", 1, "1.1 100 110 perhaps publish", ACKS_FORM },
    { "acks.1", 1, "1.1 100 110 committed", ACKS_FORM },
    { "acks.1", 1, "1.1 100 110 committed mail", ACKS_FORM },
    { "acks.1", 1, "1.1 110 100 committed publish", "AFTER is before BEFORE" },
    { "acks.1", 1, "2.1 100 110 committed publish", "this transaction is another publisher's" },
    { "acks.1", 2, "1.1 100 110 committed publish", "transactions must ascend" },
    { "acks.1", 2, "1.0 100 110 committed publish", "transactions must ascend" },
    { "acks.1", 1, "1.1 100 110 committed publish @1.1.1@:a", "only http names its events here" },
    { "acks.1", 3, "1.3 300 310 committed http", "http must name its events" },
    { "acks.1", 3, "1.3 300 310 unknown http", "http must name its events" },
    { "acks.1", 3, "1.3 300 310 committed http @1.3.1@", ACKS_FORM },
    { "acks.1", 3, "1.3 300 310 committed http @1.3.1@a", ACKS_FORM },
    { "acks.1", 3, "1.3 300 310 committed http 1.3.1:a", ACKS_FORM },
    { "acks.1", 3, "1.3 300 310 committed http @1.3.1@:a ", ACKS_FORM },
    { "acks.1", 3, "1.3 300 310 committed http @1.3.1@:", "this is no topic" },
    { "acks.1", 3, "1.3 300 310 committed http @1.3.1@:#", "this is no topic" },
    { "acks.1", 3, "1.3 300 310 committed http @1.2.3@:a", "the name is of another transaction" },
    { "acks.1", 3, "1.3 300 310 committed http @1.3.1@:a @1.3.1@:a",
      "this name stood here already" },
    { "ledger", 2, "", LEDGER_FORM },
    { "ledger", 2, "@1.1.2@ a", LEDGER_FORM },
    { "ledger", 2, "@1.1.2 a watch", LEDGER_FORM },
    { "ledger", 2, "@1.1.2@x a watch", LEDGER_FORM },
    { "ledger", 2, "@1.1.2@ a http", LEDGER_FORM },
    { "ledger", 2, "@1.1.2@ a watch more", LEDGER_FORM },
    { "ledger", 2, "@1.1.2@ a/+ watch", "this is no topic" },
    { "ledger", 2, "@1.1.1@ a watch", "this name stood here or in acks already" },
    { "ledger", 2, "@1.2.1@ a watch", "this name stood here or in acks already" },
    { "truth", 2, "", TRUTH_FORM },
    { "truth", 2, "E 2 @1.1.2@", TRUTH_FORM },
    { "truth", 2, "E -2 @1.1.2@ a", TRUTH_FORM },
    { "truth", 2, "E 02 @1.1.2@ a", TRUTH_FORM },
    { "truth", 2, "_ 2 @1.1.2@ a", TRUTH_FORM },
    { "truth", 2, "ABCDEFGHIJKLMNOPQ 2 @1.1.2@ a", TRUTH_FORM },
    { "truth", 2, "E 2 1.1.2 a", TRUTH_FORM },
    { "truth", 2, "E 2 @1.1.2@ a a", TRUTH_FORM },
    { "truth", 2, "E 2 @1.1.2@ +", "this is no topic" },
    { "unheard", 1, "10", WINDOW_FORM },
    { "unheard", 1, "10 20", WINDOW_FORM },
    { "unheard", 1, "20 10 why", WINDOW_FORM },
    { "unheard", 1, "10 20 why not", WINDOW_FORM },
    { "seen.1", 1, "subscriber 1 sse nginx", HEAD_FORM },
    { "seen.1", 1, "subscriber one sse nginx #", HEAD_FORM },
    { "seen.1", 1, "somebody 1 sse nginx #", HEAD_FORM },
    { "seen.1", 1, "start 50 E-0", HEAD_FORM },
    { "seen.1", 1, "subscriber 2 sse nginx #", "this file is another subscriber's" },
    { "seen.1", 1, "subscriber 1 sse nginx #/a", "this is no filter" },
    { "seen.1", 1, "subscriber 1 sse nginx # ", "this is no filter" },
    { "seen.1", 2, "start 50", "expected start, AT, CURSOR" },
    { "seen.1", 2, "start 50 -", "expected start, AT, CURSOR" },
    { "seen.1", 2, "start 50 E-0 E-0", "expected start, AT, CURSOR" },
    { "seen.1", 2, "event 105 E-1 @1.1.1@ a", "it has not started" },
    { "seen.1", 2, "done 105", "it has not started" },
    { "seen.1", 3, "start 60 E-0", "it has started already" },
    { "seen.1", 3, "", LINE_FORM },
    { "seen.1", 3, "even", LINE_FORM },
    { "seen.1", 3, "event", LINE_FORM },
    { "seen.1", 3, "event x E-1 @1.1.1@ a", LINE_FORM },
    { "seen.1", 3, "event 105 E1 @1.1.1@ a", EVENT_FORM },
    { "seen.1", 3, "event 105 E-1 @1.1@ a", EVENT_FORM },
    { "seen.1", 3, "event 105 E-1 @1.1.1@", EVENT_FORM },
    { "seen.1", 3, "event 105 E-1 @1.1.1@ a a", EVENT_FORM },
    { "seen.1", 3, "event 105 E-1 @1.1.1@ a ", EVENT_FORM },
    { "seen.1", 4, "gap 110 E-1 E-2", GAP_FORM },
    { "seen.1", 4, "gap 110 E-1 - expired", GAP_FORM },
    { "seen.1", 4, "gap 110 E E-2 expired", GAP_FORM },
    { "seen.1", 4, "gap 110 E-1 E-2 expired long ago", GAP_FORM },
    { "seen.1", 6, "done", LINE_FORM },
    { "seen.1", 6, "done 400 well", "expected done, AT" },
};

START_TEST(each_malformed_line_is_told_with_its_file_and_number)
{
    file_insert(file(cases[_i].file), cases[_i].i - 1, "%s", cases[_i].line);
    file_drop(file(cases[_i].file), cases[_i].i);
    char why[256];
    snprintf(why, sizeof why, "%s:%d: %s\n", cases[_i].file, cases[_i].i, cases[_i].why);
    expect_refused(why);
}
END_TEST

START_TEST(as_they_should_be_they_are_read)
{
    expect_good();
}
END_TEST

START_TEST(every_file_but_acks_must_end_with_a_whole_line)
{
    static const struct {
        const char *file, *why;
    } whole[] = {
        { "ledger", "ledger:2: the last line is cut\n" },
        { "truth", "truth:2: the last line is cut\n" },
        { "unheard", "unheard:1: the last line is cut\n" },
        { "seen.1", "seen.1:6: the last line is cut\n" },
    };
    for (size_t i = 0; i < LENGTH(whole); i++) {
        file(whole[i].file)->cut = true;
        expect_refused(whole[i].why);
        file(whole[i].file)->cut = false;
    }
    file("acks.1")->cut = true;
    expect_good();
}
END_TEST

START_TEST(acks_may_be_cut_anywhere_in_their_last_line)
{
    folder_add(&folder, "acks.1", "1.4 400 410 committed http @1.4.1@:a");
    struct file *acks = file("acks.1");
    acks->cut = true;
    for (size_t len = strlen(acks->lines[3]); len > 0; len--) {
        acks->lines[3][len] = '\0';
        expect_good();
    }
    /* but not in another */
    folder_add(&folder, "acks.1", "1.5 500 510 committed publish");
    expect_refused("acks.1:4: " ACKS_FORM "\n");
}
END_TEST

START_TEST(all_files_but_unheard_must_be_there)
{
    char *place = temp_folder("checker");
    struct buf said = BUF_EMPTY;
    static const struct {
        const char *file, *text, *lacking;
    } steps[] = {
        { "notes", "for people\n", "there is no acks.N" },
        { "acks.x", "no number\n", "there is no acks.N" },
        { "acks.1", "", "there is no seen.N" },
        { "seen.1", "subscriber\t1\tsse\tnginx\t#\n", "ledger: No such file or directory" },
        { "ledger", "", "truth: No such file or directory" },
        { "truth", "", NULL },
    };
    for (size_t i = 0; i < LENGTH(steps); i++) {
        char *path = text_of("%s/%s", place, steps[i].file);
        file_write(path, slice_of(steps[i].text));
        free(path);
        said.len = 0;
        bool read = check_folder(place, &figures, &said);
        buf_putc(&said, '\0');
        ck_assert_msg(read == !steps[i].lacking, "%s: %s", steps[i].file, said.at);
        ck_assert_ptr_nonnull(strstr(said.at, steps[i].lacking ? steps[i].lacking : "unfinished"));
    }
    char *path = text_of("%s/nowhere", place);
    ck_assert(!check_folder(path, &figures, &said));
    free(path);
    free(place);
    buf_fini(&said);
}
END_TEST

START_TEST(an_empty_record_of_a_subscriber_is_none)
{
    while (file("seen.1")->n > 0)
        file_drop(file("seen.1"), 0);
    expect_refused("seen.1:1: it is empty\n");
    folder_add(&folder, "seen.1", "subscriber 1 sse ng");
    file("seen.1")->cut = true;
    expect_refused("seen.1:1: the last line is cut\n");
}
END_TEST

SUITE(malformed)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, each_malformed_line_is_told_with_its_file_and_number, 0, LENGTH(cases));
    tcase_add_test(tc, as_they_should_be_they_are_read);
    tcase_add_test(tc, every_file_but_acks_must_end_with_a_whole_line);
    tcase_add_test(tc, acks_may_be_cut_anywhere_in_their_last_line);
    tcase_add_test(tc, all_files_but_unheard_must_be_there);
    tcase_add_test(tc, an_empty_record_of_a_subscriber_is_none);
}
