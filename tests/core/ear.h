/*
 * ear.h - a subscriber that counts what it hears, for tests of the hub.
 */
#ifndef TESTS_CORE_EAR_H
#define TESTS_CORE_EAR_H

#include "core/hub.h"

/* May do something when it is told. */
struct ear {
    struct subscriber sub;
    size_t heard;
    void (*act)(struct ear *, struct event *);
    struct hub *hub;
    struct ear *other;
};

void ear_on_run(struct subscriber *, struct run *);
void ear_listen(struct hub *, struct ear *, const char *filter);

/* An event of this topic comes.  How many were told; how many nodes were looked at. */
size_t ear_tell_slice(struct hub *, struct slice topic);
size_t ear_tell(struct hub *, const char *topic);
uint64_t ear_visits(struct hub *, const char *topic);

/* For hub_each(): one more in the size_t at arg. */
bool ear_count_one(void *arg, struct slice filter, size_t subscribers);

/* Free it, and be sure that nothing was left in it. */
void ear_close_hub(struct hub *);

#endif
