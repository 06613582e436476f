/*
 * scenarios.c - all of them, for whichever stage the linker has chosen.
 */
#include "tests/scenarios/parts.h"
#include "tests/scenarios/stage.h"

void scenarios_add(TCase *tc)
{
    scenarios_events(tc);
    scenarios_resume(tc);
    scenarios_poll(tc);
    scenarios_stream(tc);
    scenarios_told(tc);
    scenarios_publish(tc);
    scenarios_hook(tc);
    scenarios_cloudevents(tc);
    scenarios_refused(tc);
    scenarios_rights(tc);
    scenarios_crowd(tc);
}
