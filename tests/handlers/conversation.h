/*
 * conversation.h - bellpush.v1.json over memory: who says and hears it.
 */
#ifndef TESTS_HANDLERS_CONVERSATION_H
#define TESTS_HANDLERS_CONVERSATION_H

#include "tests/handlers/loopback.h"

/* Begin one, with this query ("" or "?topic=…") and one header (NULL: none). */
struct answer *conversation_as(const char *query, const char *header);
struct answer *conversation(void);

/* With ' for ", because there are so many. */
void say(struct answer *, const char *text);
void hear(struct answer *, const char *text); /* behind what was heard before */

void never_heard(const struct answer *, const char *text);
size_t count_of(const struct answer *, const char *text); /* in all that was heard */

#endif
