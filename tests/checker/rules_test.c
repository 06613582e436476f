/*
 * Small folders, written out, one for each rule.
 */
#include "tests/checker/folder.h"
#include "tests/suite.h"

static struct folder folder;
static struct figures figures;
static struct buf report;

/* Three events of one publisher, one subscriber of all and one of topic a. */
static void setup(void)
{
    folder_add(&folder, "acks.1", "1.1 100 110 committed publish");
    folder_add(&folder, "acks.1", "1.2 200 210 committed publish");
    folder_add(&folder, "acks.1", "1.3 300 310 committed watch");
    folder_add(&folder, "ledger", "@1.1.1@ a publish");
    folder_add(&folder, "ledger", "@1.2.1@ b publish");
    folder_add(&folder, "ledger", "@1.3.1@ a watch");
    folder_add(&folder, "truth", "E 1 @1.1.1@ a");
    folder_add(&folder, "truth", "E 3 @1.2.1@ b");
    folder_add(&folder, "truth", "E 4 @1.3.1@ a");
    folder_add(&folder, "seen.1", "subscriber 1 sse nginx #");
    folder_add(&folder, "seen.1", "start 50 E-0");
    folder_add(&folder, "seen.1", "event 105 E-1 @1.1.1@ a");
    folder_add(&folder, "seen.1", "event 1350 E-3 @1.2.1@ b");
    folder_add(&folder, "seen.1", "event 310 E-4 @1.3.1@ a");
    folder_add(&folder, "seen.1", "done 1400");
    folder_add(&folder, "seen.2", "subscriber 2 poll apache x/+ a");
    folder_add(&folder, "seen.2", "start 50 E-0");
    folder_add(&folder, "seen.2", "event 105 E-1 @1.1.1@ a");
    folder_add(&folder, "seen.2", "event 310 E-4 @1.3.1@ a");
    folder_add(&folder, "seen.2", "done 1400");
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

/* All of its figures but committed, delivered and the delay; what differs from 0 is named. */
static void expect(const char *figures_said, const char *report_said)
{
    bool read = folder_check(&folder, &figures, &report);
    ck_assert_msg(read, "%s", report.at);
    ck_assert_str_eq(report.at, report_said);
    static const char *const names[] = { "lost",    "reordered", "phantom",   "duplicated",
                                         "skipped", "unheard",   "unfinished" };
    const size_t values[] = { figures.lost,       figures.reordered, figures.phantom,
                              figures.duplicated, figures.skipped,   figures.unheard,
                              figures.unfinished };
    struct buf said = BUF_EMPTY;
    for (size_t i = 0; i < LENGTH(names); i++)
        if (values[i])
            buf_printf(&said, "%s%s=%zu", said.len ? " " : "", names[i], values[i]);
    buf_putc(&said, '\0');
    ck_assert_str_eq(said.at, figures_said);
    buf_fini(&said);
}

static void expect_line(const char *line)
{
    struct buf said = BUF_EMPTY;
    figures_put(&said, &figures);
    buf_putc(&said, '\0');
    ck_assert_str_eq(said.at, line);
    buf_fini(&said);
}

/* --- figures ------------------------------------------------------------------------------- */

START_TEST(a_right_run_is_good_and_its_figures_are_one_line)
{
    expect("", "");
    ck_assert(figures_are_good(&figures));
    ck_assert_uint_eq(figures.subscribers, 2);
    expect_line("committed=3 delivered=5 lost=0 reordered=0 phantom=0 duplicated=0 gaps=0 "
                "worst_delay_ms=2 skipped=0 unheard=0 unfinished=0");
}
END_TEST

START_TEST(each_of_five_figures_spoils_a_run_and_the_others_do_not)
{
    struct figures f = { .committed = 1,
                         .delivered = 2,
                         .gaps = 3,
                         .skipped = 4,
                         .unheard = 5,
                         .subscribers = 6,
                         .worst_delay_us = 7 };
    ck_assert(figures_are_good(&f));
    size_t *const bad[] = { &f.lost, &f.reordered, &f.phantom, &f.duplicated, &f.unfinished };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        *bad[i] = 1;
        ck_assert(!figures_are_good(&f));
        *bad[i] = 0;
    }
}
END_TEST

START_TEST(figures_add_up_and_the_worst_delay_is_the_greater)
{
    const struct figures one = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    struct figures sum = { 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100 };
    figures_add(&sum, &one);
    const struct figures expected = { 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 100 };
    ck_assert_mem_eq(&sum, &expected, sizeof sum);
    sum.worst_delay_us = 11;
    figures_add(&sum, &one);
    ck_assert_int_eq(sum.worst_delay_us, 12);
}
END_TEST

START_TEST(a_hundred_findings_of_a_kind_are_told_and_the_rest_counted)
{
    for (int i = 0; i < 130; i++)
        folder_add(&folder, "seen.2", "event 999 E-9 @8.8.%d@ a", i);
    ck_assert(folder_check(&folder, &figures, &report));
    ck_assert_uint_eq(figures.phantom, 130);
    ck_assert_ptr_nonnull(strstr(report.at, "phantom: @8.8.99@ a: seen as E-9"));
    ck_assert_ptr_null(strstr(report.at, "@8.8.100@"));
    ck_assert_ptr_nonnull(strstr(report.at, "\nphantom: and 30 more\n"));
}
END_TEST

/* --- what was published ---------------------------------------------------------------------- */

START_TEST(a_plain_notify_may_be_lost_only_while_nobody_listened)
{
    folder_add(&folder, "acks.2", "2.1 400 450 committed notify");
    folder_add(&folder, "ledger", "@2.1.1@ notes notify");
    const char *lost =
        "lost: @2.1.1@ notes: committed (notify), but the log has no number for it\n";
    expect("lost=1", lost);
    ck_assert_uint_eq(figures.committed, 4);
    folder_add(&folder, "unheard", "300 399 workers-killed");
    folder_add(&folder, "unheard", "451 500 workers-killed");
    expect("lost=1", lost);
    folder_add(&folder, "unheard", "450 451 workers-killed");
    expect("unheard=1", "");
    ck_assert_uint_eq(figures.committed, 3);
    file_set(file("unheard"), 2, 0, "100");
    file_set(file("unheard"), 2, 1, "400");
    expect("unheard=1", "");
    /* what is published has no such excuse */
    file_set(file("ledger"), 3, 2, "publish");
    expect("lost=1",
           "lost: @2.1.1@ notes: committed (publish), but the log has no number for it\n");
}
END_TEST

START_TEST(a_notify_of_unknown_outcome_may_have_come_at_any_later_time)
{
    folder_add(&folder, "acks.2", "2.1 400 450 unknown notify");
    folder_add(&folder, "ledger", "@2.1.1@ notes notify");
    folder_add(&folder, "unheard", "300 399 workers-killed");
    expect("lost=1", "lost: @2.1.1@ notes: committed (notify), but the log has no number for it\n");
    folder_add(&folder, "unheard", "900 999 workers-killed");
    expect("unheard=1", "");
}
END_TEST

START_TEST(a_transaction_of_unknown_outcome_is_what_the_ledger_says)
{
    file_set(file("acks.1"), 1, 3, "unknown");
    expect("", "");
    ck_assert_uint_eq(figures.committed, 3);
    /* never committed: neither here nor there */
    file_drop(file("ledger"), 1);
    file_drop(file("truth"), 1);
    file_drop(file("seen.1"), 3);
    expect("", "");
    ck_assert_uint_eq(figures.committed, 2);
}
END_TEST

START_TEST(what_http_committed_must_be_there_and_what_it_never_learnt_may_be)
{
    folder_add(&folder, "acks.2", "2.1 400 450 committed http @2.1.1@:c:d @2.1.2@:b");
    folder_add(&folder, "acks.2", "2.2 500 550 unknown http @2.2.1@:b");
    folder_add(&folder, "acks.2", "2.3 600 650 rolledback http @2.3.1@:b");
    expect("lost=2", "lost: @2.1.1@ c:d: committed (http), but the log has no number for it\n"
                     "lost: @2.1.2@ b: committed (http), but the log has no number for it\n");
    folder_add(&folder, "truth", "E 5 @2.1.1@ c:d");
    folder_add(&folder, "truth", "E 6 @2.1.2@ b");
    file_insert(file("seen.1"), 5, "event 550 E-5 @2.1.1@ c:d");
    file_insert(file("seen.1"), 6, "event 550 E-6 @2.1.2@ b");
    expect("", "");
    ck_assert_uint_eq(figures.committed, 5);
    folder_add(&folder, "truth", "E 7 @2.2.1@ b");
    expect("lost=1", "lost: @2.2.1@ b: E-7, not seen by subscriber 1 (sse, nginx)\n");
    ck_assert_uint_eq(figures.committed, 6);
    file_insert(file("seen.1"), 7, "event 550 E-7 @2.2.1@ b");
    folder_add(&folder, "truth", "E 8 @2.3.1@ b");
    expect("phantom=1",
           "phantom: @2.3.1@ b: numbered E-8, although its transaction was rolled back\n");
}
END_TEST

START_TEST(of_a_post_of_unknown_outcome_all_is_there_or_nothing)
{
    folder_add(&folder, "acks.2", "2.1 400 450 unknown http @2.1.1@:c @2.1.2@:c");
    expect("", "");
    folder_add(&folder, "truth", "E 5 @2.1.2@ c");
    file_insert(file("seen.1"), 5, "event 550 E-5 @2.1.2@ c");
    expect("lost=1", "lost: @2.1.1@ c: committed (http), but the log has no number for it\n");
}
END_TEST

START_TEST(what_a_publisher_says_is_committed_must_be_in_the_ledger)
{
    folder_add(&folder, "acks.1", "1.4 400 410 committed notify");
    folder_add(&folder, "acks.1", "1.5 500 510 unknown publish");
    folder_add(&folder, "acks.1", "1.6 600 610 rolledback publish");
    expect("lost=1", "lost: transaction 1.4 (notify): its publisher was told that it is committed, "
                     "but the ledger has nothing of it\n");
}
END_TEST

START_TEST(what_was_rolled_back_must_be_nowhere)
{
    file_set(file("acks.1"), 1, 3, "rolledback");
    expect("phantom=1", "phantom: @1.2.1@ b: in the ledger, although it was rolled back\n");
    file_drop(file("ledger"), 1);
    expect("phantom=1",
           "phantom: @1.2.1@ b: numbered E-3, although its transaction was rolled back\n");
    file_drop(file("truth"), 1);
    expect("phantom=1", "phantom: @1.2.1@ b: seen as E-3 by subscriber 1 (sse, nginx), but it was "
                        "rolled back\n");
    file_drop(file("seen.1"), 3);
    expect("", "");
}
END_TEST

START_TEST(what_a_savepoint_rolled_back_is_a_phantom_too)
{
    folder_add(&folder, "truth", "E 5 @1.2.2@ b");
    folder_add(&folder, "truth", "E 6 @7.7.7@ b");
    expect("phantom=2", "phantom: @1.2.2@ b: numbered E-5, but neither ledger nor acks have it\n"
                        "phantom: @7.7.7@ b: numbered E-6, but neither ledger nor acks have it\n");
}
END_TEST

START_TEST(a_cut_last_line_of_acks_excuses_what_it_may_have_been_about)
{
    folder_add(&folder, "acks.1", "1.4 400 41");
    file("acks.1")->cut = true;
    expect("", "");
    folder_add(&folder, "truth", "E 5 @1.3.2@ c");
    folder_add(&folder, "truth", "E 6 @1.4.1@ c");
    file_insert(file("seen.1"), 5, "event 550 E-6 @1.4.1@ c");
    expect("phantom=1", "phantom: @1.3.2@ c: numbered E-5, but neither ledger nor acks have it\n");
    file_set(file("truth"), 3, 2, "@1.0.1@");
    expect("phantom=1", "phantom: @1.0.1@ c: numbered E-5, but neither ledger nor acks have it\n");
    file_drop(file("seen.1"), 5);
    file_drop(file("truth"), 3);
    expect("lost=1", "lost: @1.4.1@ c: E-6, not seen by subscriber 1 (sse, nginx)\n");
    file("acks.1")->cut = false;
    file_drop(file("acks.1"), 3);
    expect("phantom=1", "phantom: @1.4.1@ c: numbered E-6, but neither ledger nor acks have it\n");
}
END_TEST

/* --- the log's order ------------------------------------------------------------------------- */

START_TEST(numbers_ascend_as_a_publishers_transactions_do)
{
    folder_add(&folder, "acks.2", "2.1 10 20 committed publish");
    folder_add(&folder, "acks.2", "2.2 30 40 committed publish");
    folder_add(&folder, "ledger", "@2.2.1@ c publish");
    folder_add(&folder, "ledger", "@2.1.1@ c publish");
    folder_add(&folder, "truth", "E 5 @2.2.1@ c");
    folder_add(&folder, "truth", "E 6 @2.1.1@ c");
    file_insert(file("seen.1"), 5, "event 900 E-5 @2.2.1@ c");
    file_insert(file("seen.1"), 6, "event 900 E-6 @2.1.1@ c");
    expect("reordered=1", "reordered: @2.1.1@ c: numbered E-6, after @2.2.1@\n");
    /* the first transaction may have been committed at any later time: */
    file_set(file("acks.2"), 0, 3, "unknown");
    expect("", "");
    /* but the second only after the first */
    file_set(file("acks.2"), 0, 3, "committed");
    file_set(file("acks.2"), 1, 3, "unknown");
    expect("reordered=1", "reordered: @2.1.1@ c: numbered E-6, after @2.2.1@\n");
    /* each kind has its own lane */
    file_set(file("ledger"), 3, 2, "watch");
    file_set(file("acks.2"), 1, 3, "committed");
    expect("", "");
}
END_TEST

START_TEST(numbers_ascend_as_the_events_of_a_transaction_do_even_of_one_that_came_late)
{
    folder_add(&folder, "acks.2", "2.1 10 20 unknown publish");
    folder_add(&folder, "acks.2", "2.2 30 40 committed publish");
    folder_add(&folder, "ledger", "@2.2.1@ c publish");
    folder_add(&folder, "ledger", "@2.1.1@ c publish");
    folder_add(&folder, "ledger", "@2.1.2@ c publish");
    folder_add(&folder, "truth", "E 5 @2.2.1@ c");
    folder_add(&folder, "truth", "E 6 @2.1.1@ c");
    folder_add(&folder, "truth", "E 7 @2.1.2@ c");
    file_insert(file("seen.1"), 1, "note 50 only-the-log-is-looked-at");
    file_insert(file("seen.1"), 6, "gap 900 - E-7 expired");
    expect("skipped=3", "");
    file_set(file("truth"), 4, 2, "@2.1.2@");
    file_set(file("truth"), 5, 2, "@2.1.1@");
    expect("reordered=1 skipped=3", "reordered: @2.1.1@ c: numbered E-7, after @2.1.2@\n");
}
END_TEST

START_TEST(an_event_has_one_number_and_a_number_one_event)
{
    folder_add(&folder, "truth", "E 8 @1.1.1@ a");
    expect("duplicated=1", "duplicated: @1.1.1@ a: numbered E-1 and again E-8\n");
    /* whoever sees both is not blamed for it */
    file_insert(file("seen.2"), 4, "event 900 E-8 @1.1.1@ a");
    expect("duplicated=1", "duplicated: @1.1.1@ a: numbered E-1 and again E-8\n");
    file_drop(file("seen.2"), 4);
    file_drop(file("truth"), 3);
    file_set(file("truth"), 1, 1, "4");
    file_set(file("seen.1"), 3, 2, "E-4");
    ck_assert(folder_check(&folder, &figures, &report));
    ck_assert_uint_eq(figures.duplicated, 1);
    ck_assert_ptr_nonnull(strstr(report.at, ": numbered E-4, as "));
}
END_TEST

START_TEST(the_logs_topic_is_the_publishers)
{
    file_set(file("truth"), 1, 3, "c");
    file_set(file("seen.1"), 3, 4, "c");
    expect("phantom=1", "phantom: @1.2.1@ b: numbered E-3 with another topic, c\n");
}
END_TEST

/* --- what subscribers saw -------------------------------------------------------------------- */

START_TEST(epochs_come_in_the_order_in_which_they_appear)
{
    file_set(file("truth"), 1, 0, "D");
    file_set(file("truth"), 1, 1, "900");
    file_set(file("truth"), 2, 0, "D");
    file_set(file("truth"), 2, 1, "1000");
    file_set(file("seen.1"), 3, 2, "D-900");
    file_set(file("seen.1"), 4, 2, "D-1000");
    file_set(file("seen.2"), 3, 2, "D-1000");
    expect("", "");
    /* the order of lines is that of epochs only */
    file_insert(file("truth"), 1, "%s", file("truth")->lines[2]);
    file_drop(file("truth"), 3);
    expect("", "");
}
END_TEST

START_TEST(a_gap_covers_what_comes_after_from_or_the_last_sighting_up_to_next)
{
    file_drop(file("seen.1"), 3);
    const char *lost = "lost: @1.2.1@ b: E-3, not seen by subscriber 1 (sse, nginx)\n";
    expect("lost=1", lost);
    file_insert(file("seen.1"), 3, "gap 900 E-1 E-2 expired"); /* ends before it */
    expect("lost=1", lost);
    file_set(file("seen.1"), 3, 3, "E-3");
    expect("skipped=1", "");
    ck_assert_uint_eq(figures.gaps, 1);
    file_set(file("seen.1"), 3, 2, "E-3"); /* it should have been seen before */
    expect("lost=1", lost);
    file_set(file("seen.1"), 3, 2, "X-1"); /* the log has nothing of that epoch */
    expect("skipped=1", "");
    file_set(file("seen.1"), 3, 2, "-");
    expect("skipped=1", "");
    file_set(file("seen.1"), 3, 3, "X-9");
    expect("lost=1", lost);
    file_drop(file("seen.1"), 3);
    file_insert(file("seen.1"), 4, "gap 900 - E-9 expired"); /* too late */
    expect("lost=1", lost);
}
END_TEST

START_TEST(a_gap_does_not_skip_what_was_seen)
{
    file_set(file("seen.1"), 3, 4, "c");
    file_insert(file("seen.1"), 4, "gap 900 - E-3 expired");
    expect("phantom=1", "phantom: @1.2.1@ b: seen with another topic, c, by subscriber 1 (sse, "
                        "nginx)\n");
}
END_TEST

START_TEST(what_a_gap_has_skipped_must_not_be_seen_after_it)
{
    file_insert(file("seen.1"), 3, "gap 900 - E-3 expired");
    expect(
        "reordered=1",
        "reordered: @1.2.1@ b: seen by subscriber 1 (sse, nginx) after the gap that skipped it\n");
}
END_TEST

START_TEST(a_subscriber_is_owed_what_comes_after_its_start)
{
    file_set(file("seen.2"), 1, 2, "E-1");
    expect("duplicated=1", "duplicated: @1.1.1@ a: seen by subscriber 2 (poll, apache), who had "
                           "started after it\n");
    file_drop(file("seen.2"), 2);
    expect("", "");
    file_set(file("seen.2"), 1, 2, "E-0");
    expect("lost=1", "lost: @1.1.1@ a: E-1, not seen by subscriber 2 (poll, apache)\n");
}
END_TEST

START_TEST(a_subscriber_who_did_not_finish_is_owed_what_came_before_its_last_sighting)
{
    const char *unfinished =
        "unfinished: subscriber 1 (sse, nginx): did not see the last event of all\n";
    file_drop(file("seen.1"), 5);
    expect("unfinished=1", unfinished);
    file_drop(file("seen.1"), 4);
    expect("unfinished=1", unfinished);
    file_insert(file("seen.1"), 4, "event 1350 E-4 @1.3.1@ a");
    file_drop(file("seen.1"), 2);
    ck_assert(folder_check(&folder, &figures, &report));
    ck_assert_uint_eq(figures.lost, 1);
    ck_assert_uint_eq(figures.unfinished, 1);
    while (file("seen.1")->n > 1)
        file_drop(file("seen.1"), 1);
    expect("unfinished=1", "unfinished: subscriber 1 (sse, nginx): did not see the last event of "
                           "all, it did not even start\n");
}
END_TEST

START_TEST(a_sighting_is_late_when_its_subscriber_was_past_it)
{
    file_insert(file("seen.1"), 5, "%s", file("seen.1")->lines[2]);
    file_drop(file("seen.1"), 2);
    expect("reordered=1", "reordered: @1.1.1@ a: seen by subscriber 1 (sse, nginx), who was at E-4 "
                          "already\n");
}
END_TEST

START_TEST(a_sighting_must_agree_with_the_log)
{
    file_set(file("seen.1"), 3, 4, "a");
    expect("phantom=1", "phantom: @1.2.1@ b: seen with another topic, a, by subscriber 1 (sse, "
                        "nginx)\n");
    file_set(file("seen.1"), 3, 4, "b");
    file_set(file("seen.1"), 3, 2, "E-2");
    expect("phantom=1", "phantom: @1.2.1@ b: seen as E-2 by subscriber 1 (sse, nginx), but it is "
                        "E-3\n");
    file_set(file("seen.1"), 3, 2, "F-3");
    expect("phantom=1", "phantom: @1.2.1@ b: seen as F-3 by subscriber 1 (sse, nginx), but it is "
                        "E-3\n");
    file_set(file("seen.1"), 3, 2, "E-3");
    file_insert(file("seen.2"), 3, "event 999 E-3 @1.2.1@ b");
    expect("phantom=1", "phantom: @1.2.1@ b: seen by subscriber 2 (poll, apache), whose filters do "
                        "not match it\n");
}
END_TEST

START_TEST(nobody_sees_an_event_before_its_commit_was_sent)
{
    file_set(file("seen.1"), 2, 1, "99");
    expect("phantom=1", "phantom: @1.1.1@ a: seen by subscriber 1 (sse, nginx) 1 us before its "
                        "COMMIT was sent\n");
}
END_TEST

START_TEST(long_lines_are_lines)
{
    enum { MANY = 20000 };
    struct buf filters = BUF_EMPTY, names = BUF_EMPTY;
    for (int i = 0; i < MANY; i++) {
        buf_printf(&filters, " none/%d/+/#", i);
        buf_printf(&names, " @2.1.%d@:long", i);
        folder_add(&folder, "truth", "E %d @2.1.%d@ long", 5 + i, i);
        file_insert(file("seen.1"), file("seen.1")->n - 1, "event 999 E-%d @2.1.%d@ long", 5 + i,
                    i);
    }
    folder_add(&folder, "acks.2", "2.1 10 20 committed http%.*s", (int)names.len, names.at);
    folder_add(&folder, "seen.3", "subscriber 3 poll apache%.*s", (int)filters.len, filters.at);
    folder_add(&folder, "seen.3", "start 50 E-0");
    folder_add(&folder, "seen.3", "done 400");
    expect("", "");
    ck_assert_uint_eq(figures.committed, 3 + MANY);
    ck_assert_uint_eq(figures.delivered, 5 + MANY);
    buf_fini(&filters);
    buf_fini(&names);
}
END_TEST

SUITE(rules)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_right_run_is_good_and_its_figures_are_one_line);
    tcase_add_test(tc, each_of_five_figures_spoils_a_run_and_the_others_do_not);
    tcase_add_test(tc, figures_add_up_and_the_worst_delay_is_the_greater);
    tcase_add_test(tc, a_hundred_findings_of_a_kind_are_told_and_the_rest_counted);
    tcase_add_test(tc, a_plain_notify_may_be_lost_only_while_nobody_listened);
    tcase_add_test(tc, a_notify_of_unknown_outcome_may_have_come_at_any_later_time);
    tcase_add_test(tc, a_transaction_of_unknown_outcome_is_what_the_ledger_says);
    tcase_add_test(tc, what_http_committed_must_be_there_and_what_it_never_learnt_may_be);
    tcase_add_test(tc, of_a_post_of_unknown_outcome_all_is_there_or_nothing);
    tcase_add_test(tc, what_a_publisher_says_is_committed_must_be_in_the_ledger);
    tcase_add_test(tc, what_was_rolled_back_must_be_nowhere);
    tcase_add_test(tc, what_a_savepoint_rolled_back_is_a_phantom_too);
    tcase_add_test(tc, a_cut_last_line_of_acks_excuses_what_it_may_have_been_about);
    tcase_add_test(tc, numbers_ascend_as_a_publishers_transactions_do);
    tcase_add_test(tc, numbers_ascend_as_the_events_of_a_transaction_do_even_of_one_that_came_late);
    tcase_add_test(tc, an_event_has_one_number_and_a_number_one_event);
    tcase_add_test(tc, the_logs_topic_is_the_publishers);
    tcase_add_test(tc, epochs_come_in_the_order_in_which_they_appear);
    tcase_add_test(tc, a_gap_covers_what_comes_after_from_or_the_last_sighting_up_to_next);
    tcase_add_test(tc, a_gap_does_not_skip_what_was_seen);
    tcase_add_test(tc, what_a_gap_has_skipped_must_not_be_seen_after_it);
    tcase_add_test(tc, a_subscriber_is_owed_what_comes_after_its_start);
    tcase_add_test(tc, a_subscriber_who_did_not_finish_is_owed_what_came_before_its_last_sighting);
    tcase_add_test(tc, a_sighting_is_late_when_its_subscriber_was_past_it);
    tcase_add_test(tc, a_sighting_must_agree_with_the_log);
    tcase_add_test(tc, nobody_sees_an_event_before_its_commit_was_sent);
    tcase_add_test(tc, long_lines_are_lines);
}
