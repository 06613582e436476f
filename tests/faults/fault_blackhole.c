/*
 * fault_blackhole.c - the line to the database loses every packet, without a reset.
 */
#include "tests/faults/database.h"
#include "tests/peers/far.h"

enum {
    NOTICE_MS = 10000 /* tcp_user_timeout 3 s after the next tick; keepalives 2 + 3 s */
};

static void black_hole(struct act *a)
{
    static const char *const which[] = { "", "to the database", "from the database", "both ways" };
    int64_t loss = act_choose(a, FAR_LOSES_THERE, FAR_LOSES_ALL);

    act_note(a, "packets are lost %s", which[loss]);
    database_quiet(a);
    far_lose(a->site->extra, (enum far_loss)loss);
    database_away(a, NOTICE_MS);
    act_last(a, act_choose(a, 0, 10000));
    far_lose(a->site->extra, FAR_LOSES_NOTHING);
    database_back(a);
}

FAULT(black_hole, .name = "black-hole",
      .what = "packets to or from the database, or both, are lost without a reset",
      .flavour = SITE_FAR, .run = black_hole);
