/*
 * whole.h - an answer that is all there, head and body, and that nobody may keep.
 */
#ifndef HANDLERS_WHOLE_H
#define HANDLERS_WHOLE_H

#include "core/request.h"

/*
 * Answer, and end the reply.  headers: as of problem_reply().  body is copied and released.
 * For want of memory, in body too, a 200 becomes a 503; any other status has told what was done,
 * and is said alone.
 */
void whole_reply(struct request *, struct slice headers, int status, const char *content_type,
                 struct buf *body);

#endif
