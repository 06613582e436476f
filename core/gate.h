/*
 * gate.h - who may hear and who may ring.
 *
 * Every subscription and every publish passes gate_may(); every event whose hearing is in doubt
 * passes gate_may_hear().  Today: topics are public unless one of the configured `closed` filters
 * covers them; publishing needs the configured key.  Tokens and rights will enter through struct
 * who and nowhere else.
 */
#ifndef CORE_GATE_H
#define CORE_GATE_H

#include "core/event.h"
#include "core/rights.h"

struct conf;

/* What a request has proved about its sender. */
struct who {
    bool has_key; /* presented the publish key */
};

enum credential { CREDENTIAL_NONE, CREDENTIAL_GOOD, CREDENTIAL_BAD };

/*
 * Read `Authorization` (RFC 6750 "Bearer KEY"); constant-time comparison.  BAD: something was
 * presented and it is not right.  Another scheme is NONE: Basic or Digest are the web server's own
 * affair, and browsers repeat them to everything below the page.
 */
enum credential gate_identify(const struct conf *, struct slice authorization, struct who *out);

/*
 * VERB_SUBSCRIBE: name is a filter; RC_DENIED when a closed filter covers all of it.
 * VERB_PUBLISH: name is a topic; RC_DENIED without the key.  `$`-topics are the system's own:
 * nobody publishes there.
 */
enum rc gate_may(const struct conf *, const struct who *, struct slice name, enum verb) MUST_USE;

/* Must gate_may_hear() be asked for each event of this filter?  (For private ones always.) */
bool gate_doubts(const struct conf *, const struct who *, struct slice filter);

bool gate_may_hear(const struct conf *, const struct who *, const struct event *);

#endif
