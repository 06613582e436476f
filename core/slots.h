/*
 * slots.h - one-request mode: how many of a site's processes are holding a reply right now.
 *
 * Under mod_fcgid and plain CGI each process carries one request, and processes know nothing of one
 * another.  They share a file: byte i locked means that slot i holds a reply.  The kernel gives the
 * lock back when its process dies, however it dies.
 */
#ifndef CORE_SLOTS_H
#define CORE_SLOTS_H

#include "core/buf.h"

/*
 * path: "" or NULL chooses one in the temporary folder by user and executable.  Returns a
 * descriptor, or -1 with errno: then nothing may be held.
 */
int slots_open(const char *path);

/* Take a free one of n slots; -1: all are taken. */
int slot_take(int fd, int n) MUST_USE;
void slot_give(int fd, int slot);

#endif
