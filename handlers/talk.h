/*
 * talk.h - a conversation over one WebSocket: the subprotocol bellpush.v1.json (README.md).
 *
 *      message --> utterance (utterance.h) --> handler --> answer
 *                      |
 *                      '-- subscribe, unsubscribe, auth: one after the other, for they change
 *                          what the stream beneath (stream.h) follows
 *
 * There is one place in the log for the whole connection, so one cursor resumes it.  Filters that
 * join with a past of their own are brought up to that place first, while the stream waits:
 *
 *      … events … | answer, "replay":true | past of the new topics | bellpush-caught-up | events …
 *                                            the cursor does not move
 */
#ifndef HANDLERS_TALK_H
#define HANDLERS_TALK_H

#include "handlers/stream.h"
#include "handlers/utterance.h"

#define TALK_PROTOCOL "bellpush.v1.json" /* the subprotocol */
#define TALK_PATH     "/ws/say" /* of a message that is served here; of no use from outside */

/* Begin; q: what it subscribes to at once, or no topics.  Answers or holds the request. */
void talk_open(const struct visit *, struct query *);

/* --- for stream.c --- */
void talk_message(struct stream *, enum message_kind, struct slice);
void talk_room(struct stream *);
void talk_caught_up(struct stream *);
bool talk_may_end(struct stream *); /* the process stops; false: it will end it by itself, soon */
void talk_free(struct stream *);    /* its stream is over */

/* --- for utterance.c --- */
struct slice talk_headers(const struct talk *);       /* of the handshake: "name: value\n"… */
const struct command *talk_command(const char *name); /* NULL: none of this name */
void talk_answer(struct utterance *);                 /* its reply is whole: tell it, and drop it */

#endif
