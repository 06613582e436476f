/*
 * privileges.c - a process that was started as root becomes somebody else, for good.
 */
#include "sidecar/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

enum rc privileges_find(const char *user, struct privileges *out, struct buf *error)
{
    const struct passwd *found;

    *out = (struct privileges){ .user = user };
    if (!*user)
        return RC_OK;
    errno = 0;
    found = getpwnam(user);
    if (!found) {
        buf_printf(error, "user: '%s': %s\n", user, errno ? strerror(errno) : "no such user");
        return RC_SYNTAX;
    }
    out->uid = found->pw_uid;
    out->gid = found->pw_gid;
    out->change = geteuid() != out->uid;
    if (!out->change || geteuid() == 0)
        return RC_OK;
    buf_printf(error, "user: only root can become '%s'\n", user);
    return RC_SYNTAX;
}

void privileges_give(const struct privileges *p, const char *path)
{
    if (p->change)
        (void)!lchown(path, p->uid, p->gid);
}

/* All three ids of each kind; and try whether the way back is closed. */
static bool become(const struct privileges *p)
{
    if (initgroups(p->user, p->gid) < 0 || setresgid(p->gid, p->gid, p->gid) < 0 ||
        setresuid(p->uid, p->uid, p->uid) < 0)
        return false;
    if (p->uid != 0 && setuid(0) == 0) {
        errno = EPERM;
        return false;
    }
    return true;
}

bool privileges_drop(const struct privileges *p)
{
    int with_parent = 0;

    /* Who has started us may want us to end with him; a change of user forgets that. */
    prctl(PR_GET_PDEATHSIG, &with_parent);
    if (p->change && !become(p))
        return false;
    prctl(PR_SET_PDEATHSIG, with_parent);
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}
