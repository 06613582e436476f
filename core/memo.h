/*
 * memo.h - what the site has said of late to "may it?", a bounded number of answers.
 *
 * A table in which a new answer takes the place of whatever its hash falls upon: losing one costs a
 * question, nothing else.  Questions are kept as keyed hashes: there are cookies in them.
 */
#ifndef CORE_MEMO_H
#define CORE_MEMO_H

#include "core/rights.h"

struct memo; /* opaque: memo.c */

/* NULL: no memory.  memo_free(NULL) does nothing. */
struct memo *memo_new(void) MUST_USE;
void memo_free(struct memo *);

/* Forget all. */
void memo_clear(struct memo *);

/* Good until then (microseconds, of the clock that memo_get() is asked by). */
void memo_put(struct memo *, struct slice description, enum verb, struct slice name, bool may,
              int64_t until_us);

enum word { WORD_UNKNOWN, WORD_NO, WORD_YES };
enum word memo_get(const struct memo *, struct slice description, enum verb, struct slice name,
                   int64_t now_us);

#endif
