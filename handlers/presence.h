/*
 * presence.h - who is on a topic, as JSON: for GET /presence, and for who asks over a WebSocket.
 */
#ifndef HANDLERS_PRESENCE_H
#define HANDLERS_PRESENCE_H

#include "core/source.h"

enum { PRESENCE_MEMBERS_MAX = 1000 }; /* of one answer */

/*
 * Append
 * {"topic":…,"id":CURSOR,"count":n,"members":[{"member":…,"data":…,"since":…,"sessions":n}]}, no
 * newline.
 */
void presence_put(struct buf *, struct slice topic, const struct roll *);

#endif
