/*
 * talk_priv.h - a conversation, for the files that make it up: talk.c (messages and answers),
 * talk_topics.c (what is subscribed), talk_present.c (who is there).
 */
#ifndef HANDLERS_TALK_PRIV_H
#define HANDLERS_TALK_PRIV_H

#include "core/presence.h"
#include "handlers/talk.h"

enum {
    UNDER_WAY_MAX = 16, /* messages of one peer that are being served, */
    WAITING_MAX = 16,   /* and that wait for their turn; then it is not listened to */
};

struct past; /* talk_topics.c */

struct talk {
    struct stream stream;
    struct who who;     /* as whom it listens: one reference */
    struct buf headers; /* of the handshake, those that say who and from where */
    char *remote, *mount;
    char *topics; /* the filters subscribed, each with its NUL; NULL: none */
    size_t topics_len, topic_count;
    struct utterance *serving, *waiting, **waiting_end;
    size_t serving_count, waiting_count;
    struct utterance *changing; /* the one of them that changes what is subscribed */
    struct buf change_ref;      /* its reference, once it is answered */
    bool settling;              /* answered, but its past is not told yet */
    bool deaf;                  /* the peer is not listened to */
    struct past *past;          /* the past of new topics, while the stream waits */
    struct joiner joiner;
    struct seat *seats; /* topics on which it is present; talk_present.c */
    struct turn turn;   /* after an answer, or a change */
    bool changed;       /* the change is over: the next one that waits may go on */
    bool draining;      /* it ends when its publishes are answered */
    bool failed;        /* there was no memory for something that must not go untold */
};

static inline struct talk *talk_of(struct stream *s)
{
    return CONTAINER(s, struct talk, stream);
}

/* End it, but not now. */
void talk_failed(struct talk *);

/* ---- talk_topics.c ---- */

bool topics_first(struct talk *, const struct query *) MUST_USE; /* false: no memory */
void topics_free(struct talk *);
void topics_room(struct talk *);
void subscribe_translate(struct utterance *);
void subscribe_serve(const struct visit *, struct utterance *);
void unsubscribe_serve(const struct visit *, struct utterance *);
void auth_serve(const struct visit *, struct utterance *);

/* ---- talk_present.c ---- */

void join_serve(const struct visit *, struct utterance *);
void leave_serve(const struct visit *, struct utterance *);
void seats_free(struct talk *);
/* It will be somebody else: under another name it is present nowhere. */
void seats_who(struct talk *, const struct who *);

/* ---- talk.c ---- */

/* Its messages show this from now on, a header line.  False: no memory. */
bool talk_authorization(struct talk *, struct slice line) MUST_USE;

/* Answer an utterance with 200 and this JSON object. */
void talk_reply(const struct visit *, struct buf *body);

#endif
