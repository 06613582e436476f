/*
 * privileges.h - a process that was started as root becomes somebody else, for good.
 *
 * Ports below 1024, keys that only root may read and folders that only root may write to are opened
 * before.
 */
#ifndef SIDECAR_PRIVILEGES_H
#define SIDECAR_PRIVILEGES_H

#include <sys/types.h>

#include "core/buf.h"

struct privileges {
    const char *user; /* "": stay who we are */
    bool change;
    uid_t uid;
    gid_t gid;
};

/* user: the setting, lent.  RC_SYNTAX with a line in *error: there is no such user, or we are not
   root and somebody else. */
enum rc privileges_find(const char *user, struct privileges *, struct buf *error) MUST_USE;

/* Give a file to the user, if there is to be a change. */
void privileges_give(const struct privileges *, const char *path);

/* Become the user, with the user's groups, and never gain anything by execve() again.  False:
   cannot be (errno); then the process must end. */
bool privileges_drop(const struct privileges *) MUST_USE;

#endif
