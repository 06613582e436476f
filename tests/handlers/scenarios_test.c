/*
 * scenarios_test.c - all scenarios on the stage of memory: as a process of thousands, and as one of
 * those that get a single request at a time and may hold nothing.
 */
#include "tests/handlers/loopback.h"
#include "tests/suite.h"

#define RIGHTS "token_cookie=bell", "token_in_query=yes", "session_cookies=PHPSESSID"

static void setup(void)
{
    static const char *const settings[] = { RIGHTS, NULL };

    loopback_open(settings);
}

static void one_slot_setup(void)
{
    static const char *const settings[] = { RIGHTS, "slots_file=/nonexistent/slots", NULL };

    loopback_open(settings);
    loopback_one_slot();
}

SUITE(scenarios)
{
    tcase_add_checked_fixture(tc, setup, loopback_teardown);
    scenarios_add(tc);
}

SUITE(scenarios_one_slot)
{
    tcase_add_checked_fixture(tc, one_slot_setup, loopback_teardown);
    scenarios_add(tc);
}
