/*
 * disk.h - a small disk: a file system of its own in memory, mounted on an empty folder, that can
 * be filled up.
 *
 * The mount is seen only by this process and by what it starts from now on (a mount namespace of
 * ours), and vanishes with us.
 */
#ifndef TESTS_PEERS_DISK_H
#define TESTS_PEERS_DISK_H

#include "core/buf.h"

/* Why this machine cannot have one; NULL: it can.  Static text. */
const char *disk_lacks(void);

/* Mount one of so many bytes on the folder; ends the program on failure.  Until disk_unmount(), or
   our exit. */
void disk_mount(const char *folder, int64_t bytes);
void disk_unmount(const char *folder); /* also while files are open */

int64_t disk_free(const char *folder); /* bytes that can still be written */

/* Write ballast until only so many bytes are free; take it away. */
void disk_fill(const char *folder, int64_t leave);
void disk_clear(const char *folder);

#endif
