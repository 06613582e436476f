/*
 * hook_handshake.h - senders that want to see, before the first delivery, whose address this is.
 */
#ifndef HANDLERS_HOOK_HANDSHAKE_H
#define HANDLERS_HOOK_HANDSHAKE_H

#include "handlers/delivery.h"
#include "handlers/visit.h"

/*
 * GET with hub.mode, hub.challenge and more (WebSub section 5.3; Meta does it too): answered where
 * the options say which hub.topic, or which hub.verify_token, is ours.
 */
void handshake_get(const struct visit *, const json_t *options);

/*
 * OPTIONS with WebHook-Request-Origin (HTTP 1.1 Web Hooks for Event Delivery, section 4): those in
 * the option "origins" may deliver.
 */
void handshake_options(const struct visit *, const json_t *options);

/* Answer 200 with this text. */
void handshake_say(const struct visit *, struct slice text);

/* Slack's url_verification, whose signature was right.  False: it is none. */
bool handshake_slack(const struct visit *, struct delivery *);

#endif
