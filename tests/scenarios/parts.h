/*
 * parts.h - the parts that scenarios_add() is made of; one file each.
 */
#ifndef TESTS_SCENARIOS_PARTS_H
#define TESTS_SCENARIOS_PARTS_H

#include <check.h>

void scenarios_events(TCase *);
void scenarios_resume(TCase *);
void scenarios_poll(TCase *);
void scenarios_stream(TCase *);
void scenarios_told(TCase *);
void scenarios_publish(TCase *);
void scenarios_hook(TCase *);
void scenarios_cloudevents(TCase *);
void scenarios_refused(TCase *);
void scenarios_rights(TCase *);
void scenarios_crowd(TCase *);

#endif
