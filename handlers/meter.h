/*
 * meter.h - what visitors use up, and 429 for those who have used up theirs.
 *
 *      meter_address  --> who is it? -->  meter_who  --> handler -->  meter_publish, meter_open
 *      before anything else is looked at                              before it takes place
 *
 * Each returns false after answering 429 with a Retry-After; the detail names the limit.  A limit
 * for addresses does not apply to `unlimited_addresses`, and whoever shows the publish key is the
 * site itself: it counts as the key's holder, and its address does not count.
 */
#ifndef HANDLERS_METER_H
#define HANDLERS_METER_H

#include "handlers/visit.h"

/*
 * Find out from where it comes (v->address, which text holds), and count a request of that
 * address; one that is served again counts no more.
 */
bool meter_address(struct visit *, char text[ADDRESS_TEXT_MAX + 1]) MUST_USE;

/* It is known who it is: count a request of that subject. */
bool meter_who(struct visit *) MUST_USE;

/* It presented something that was not good: its address pays for it, so that guessing is slow. */
void meter_failure(const struct visit *);

/* About to publish these: so many events, of so many bytes of data. */
bool meter_publish(const struct visit *, const struct draft *, size_t n) MUST_USE;

/* About to hold the reply: counted until the request is over, however it ends. */
bool meter_open(const struct visit *) MUST_USE;

#endif
