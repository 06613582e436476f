/*
 * files.h - the files of one folder, for developing a page without another web server.
 *
 * GET and HEAD; a type by the name's ending; an ETag, so that a browser asks whether a file is as
 * it was.  Only regular files below the folder, reached without any symbolic link, and nothing
 * whose name, or a folder's on the way, begins with a dot: that also is why ".." leads nowhere.
 */
#ifndef SIDECAR_FILES_H
#define SIDECAR_FILES_H

#include "core/request.h"

struct files;

/* Gives; NULL with a line in *error: no such folder. */
struct files *files_new(const char *folder, struct buf *error) MUST_USE;
void files_free(struct files *); /* replies that are under way go on; NULL: nothing happens */

/* serve(); path: all of the address's, decoded. */
void files_serve(const struct files *, struct request *, struct slice path);

#endif
