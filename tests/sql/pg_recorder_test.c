/*
 * pg_recorder_test.c - the queue of plain NOTIFYs: nothing lost, nothing doubled, whoever dies.
 */
#include "sql/pg_recorder.h"
#include "tests/sql/pg_rig.h"

static const struct log silent = { .fd = -1, .level = LOG_ERROR };

static void hear(struct pg_recorder *r, const char *payload, uint64_t now)
{
    pg_recorder_heard(r, SLICE("c"), slice_of(payload), now);
}

static void see(struct pg_recorder *r, const char *payload, uint64_t now)
{
    pg_recorder_seen(r, SLICE("c"), slice_of(payload), true, now);
}

/* The payloads of the next batch, as bytes. */
static size_t take(struct pg_recorder *r, char *out, size_t max)
{
    struct pg_array channels, payloads;
    size_t n = pg_recorder_batch(r, &channels, &payloads);
    struct slice bytes = n ? pg_array_end(&payloads) : SLICE_NONE;
    size_t at = 20, len = 0;

    while (at < bytes.len) {
        size_t size = (size_t)pg_get_int4(bytes.at + at);
        ck_assert_uint_lt(len + size, max);
        memcpy(out + len, bytes.at + at + 4, size);
        len += size;
        at += 4 + size;
    }
    out[len] = '\0';
    pg_array_fini(&channels);
    pg_array_fini(&payloads);
    return n;
}

START_TEST(heard_is_kept_until_it_is_seen)
{
    struct pg_recorder *r = pg_recorder_new(&silent);
    char got[16];

    hear(r, "a", 0);
    hear(r, "b", 0);
    hear(r, "c", 0);
    ck_assert_uint_eq(pg_recorder_waiting(r), 3);
    see(r, "b", 0); /* what was before it was written too */
    ck_assert_uint_eq(pg_recorder_waiting(r), 1);
    ck_assert_uint_eq(take(r, got, sizeof(got)), 1);
    ck_assert_str_eq(got, "c");
    ck_assert_uint_eq(pg_recorder_committed(r), 1);
    ck_assert(!pg_recorder_has_work(r));
    ck_assert_uint_eq(pg_recorder_waiting(r), 1); /* until it comes back */
    see(r, "c", 0);
    ck_assert_uint_eq(pg_recorder_waiting(r), 0);
    pg_recorder_free(r);
}
END_TEST

START_TEST(unknown_outcome_is_answered_by_the_log)
{
    struct pg_recorder *r = pg_recorder_new(&silent);
    char got[16];

    hear(r, "a", 0);
    hear(r, "b", 0);
    ck_assert_uint_eq(take(r, got, sizeof(got)), 2);
    pg_recorder_resign(r); /* the connection broke: was it committed? */
    ck_assert_uint_eq(pg_recorder_waiting(r), 2);
    pg_recorder_seen(r, SLICE("c"), SLICE("a"), false, 0); /* one had come from another, say */
    ck_assert_uint_eq(take(r, got, sizeof(got)), 1);
    ck_assert_str_eq(got, "b");
    pg_recorder_free(r);
}
END_TEST

START_TEST(seen_before_heard_cancels_out)
{
    struct pg_recorder *r = pg_recorder_new(&silent);

    see(r, "a", 100);
    hear(r, "a", 150);
    ck_assert_uint_eq(pg_recorder_waiting(r), 0);
    hear(r, "a", 200); /* a second one of the same text is another */
    ck_assert_uint_eq(pg_recorder_waiting(r), 1);
    see(r, "b", 300);
    hear(r, "b", 60000); /* too late to be the same */
    ck_assert_uint_eq(pg_recorder_waiting(r), 2);
    pg_recorder_free(r);
}
END_TEST

START_TEST(history_does_not_cancel_the_future)
{
    struct pg_recorder *r = pg_recorder_new(&silent);

    pg_recorder_seen(r, SLICE("c"), SLICE("a"), false, 0);
    hear(r, "a", 1);
    ck_assert_uint_eq(pg_recorder_waiting(r), 1);
    pg_recorder_free(r);
}
END_TEST

START_TEST(refused_ones_are_tried_alone)
{
    struct pg_recorder *r = pg_recorder_new(&silent);
    char got[16];

    hear(r, "a", 0);
    hear(r, "X", 0);
    hear(r, "b", 0);
    ck_assert_uint_eq(take(r, got, sizeof(got)), 3);
    pg_recorder_refused(r, "X is bad");
    ck_assert_uint_eq(take(r, got, sizeof(got)), 1);
    ck_assert_str_eq(got, "a");
    pg_recorder_committed(r);
    ck_assert_uint_eq(take(r, got, sizeof(got)), 1);
    ck_assert_str_eq(got, "X");
    pg_recorder_refused(r, "X is bad");
    ck_assert_uint_eq(take(r, got, sizeof(got)), 1);
    ck_assert_str_eq(got, "b");
    pg_recorder_committed(r);
    hear(r, "c", 0);
    hear(r, "d", 0);
    ck_assert_uint_eq(take(r, got, sizeof(got)), 2);
    ck_assert_str_eq(got, "cd");
    pg_recorder_free(r);
}
END_TEST

START_TEST(too_many_lose_the_oldest)
{
    struct pg_recorder *r = pg_recorder_new(&silent);
    char text[16];

    for (int i = 0; i < 100 * 1000 + 50; i++) {
        snprintf(text, sizeof(text), "%d", i);
        hear(r, text, 0);
    }
    ck_assert_uint_eq(pg_recorder_waiting(r), 100 * 1000);
    see(r, "60", 0);
    ck_assert_uint_eq(pg_recorder_waiting(r), 100 * 1000 - 11);
    pg_recorder_free(r);
}
END_TEST

/*
 * A model of the whole: some processes, each with its ear (a position in what was notified) and its
 * eye (a position in the log), and one lock.  At random: somebody notifies, hears, reads, records,
 * is elected, dies in the middle of a record() that was committed or not, joins.  At the end
 * the log must hold every payload once, in order, as long as one process was there all the time.
 * Payloads are few and repeat, so that equal ones are mistaken for one another if that is possible.
 */
enum { PROCESSES = 4, NOTIFIED = 400 };

struct process {
    struct pg_recorder *r;
    int ear, eye;
    bool elected, fresh;
};

static char notified[NOTIFIED + 1], logged[2 * NOTIFIED + 1];
static int notified_count, logged_count;

static void hear_some(struct process *p, int upto)
{
    for (; p->ear < upto; p->ear++)
        pg_recorder_heard(p->r, SLICE("c"), (struct slice){ &notified[p->ear], 1 }, 0);
}

static void read_log(struct process *p)
{
    for (; p->eye < logged_count; p->eye++)
        pg_recorder_seen(p->r, SLICE("c"), (struct slice){ &logged[p->eye], 1 }, true, 0);
    p->fresh |= p->elected;
}

static void record(struct process *p, bool committed, bool answered)
{
    char batch[NOTIFIED + 1];

    if (!p->elected || !p->fresh || !take(p->r, batch, sizeof(batch)))
        return;
    if (committed) {
        ck_assert_uint_lt((size_t)logged_count + strlen(batch), sizeof(logged));
        logged_count += (int)strlen(strcpy(&logged[logged_count], batch));
    }
    if (answered)
        pg_recorder_committed(p->r);
}

START_TEST(nothing_is_lost_or_doubled_whoever_dies)
{
    struct process p[PROCESSES];
    int holder = -1;

    srandom((unsigned)_i + 1);
    notified_count = logged_count = 0;
    memset(p, 0, sizeof(p));
    for (int i = 0; i < PROCESSES; i++)
        p[i].r = pg_recorder_new(&silent);
    for (int turn = 0; logged_count < NOTIFIED; turn++) {
        struct process *one = &p[random() % PROCESSES];
        ck_assert_int_lt(turn, 1000 * 1000);
        switch (random() % 8) {
        case 0:
        case 1:
            if (notified_count < NOTIFIED)
                notified[notified_count++] = (char)('a' + random() % 26);
            break;
        case 2:
        case 3: /* hears perhaps not yet all */
            if (one->ear < notified_count)
                hear_some(one, one->ear + (int)(random() % (notified_count - one->ear + 1)));
            break;
        case 4:
        case 5: /* what the recorder has written was notified before, and is told with its bell */
            if (random() % 2)
                hear_some(one, logged_count);
            read_log(one);
            hear_some(one, logged_count);
            break;
        case 6:
            if (holder < 0) {
                holder = (int)(one - p);
                one->elected = true;
                one->fresh = false;
            } else {
                record(&p[holder], true, true);
            }
            break;
        case 7:
            if (holder < 0 || random() % 4)
                break;
            record(&p[holder], random() % 2, false);
            pg_recorder_resign(p[holder].r); /* the connection broke; it comes back later */
            p[holder].elected = false;
            holder = -1;
            break;
        }
    }
    ck_assert_str_eq(logged, notified);
    for (int i = 0; i < PROCESSES; i++)
        pg_recorder_free(p[i].r);
}
END_TEST

SUITE(pg_recorder)
{
    tcase_add_test(tc, heard_is_kept_until_it_is_seen);
    tcase_add_test(tc, unknown_outcome_is_answered_by_the_log);
    tcase_add_test(tc, seen_before_heard_cancels_out);
    tcase_add_test(tc, history_does_not_cancel_the_future);
    tcase_add_test(tc, refused_ones_are_tried_alone);
    tcase_add_test(tc, too_many_lose_the_oldest);
    tcase_add_loop_test(tc, nothing_is_lost_or_doubled_whoever_dies, 0, 50);
}
