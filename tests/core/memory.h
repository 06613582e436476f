/*
 * memory.h - memory that runs out on request.
 *
 * The linker sends malloc, calloc, realloc and free of this test program through here (--wrap), so
 * the code under test knows nothing of it and costs nothing for it.  Libraries are not affected.
 *
 *      MEMORY_SCRIPT(nth) {                    the body runs with its 1st allocation failing, then
 *          rc = something();                   with the 2nd, …, and at last with none
 *          ck_assert(rc == (memory_failed() ? RC_NOMEM : RC_OK));
 *      }
 */
#ifndef TESTS_CORE_MEMORY_H
#define TESTS_CORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Let the n-th allocation from now fail (0: the next), and only that one. */
void memory_fail_at(size_t n);

/* Stop failing; did one fail since memory_fail_at()? */
bool memory_end(void);

/* Has one failed since memory_fail_at()? */
bool memory_failed(void);

/*
 * From now on, count the blocks that are given back with these bytes still in them.  Blocks that
 * libraries free are not seen, and realloc() is: what it may leave behind counts too.
 */
void memory_watch(const void *bytes, size_t len);
size_t memory_leaks_seen(void); /* since memory_watch(); stops the watch */

#define MEMORY_SCRIPT(nth)                                                                         \
    for (size_t nth = 0, more_ = 1; more_ && (memory_fail_at(nth), 1); more_ = memory_end(), nth++)

#endif
