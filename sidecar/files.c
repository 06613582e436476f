/*
 * files.c - the files of one folder.
 *
 * A path is walked folder by folder, each opened in the one before without following links, so that
 * nothing that happens to the tree meanwhile leads out of it.  A file is read in pieces, the next
 * when the last has left.
 */
#include "sidecar/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/answer.h"
#include "core/text.h"

enum { PIECE = 64 * 1024 };

struct files {
    int fd; /* the folder */
};

/* One that is being sent. */
struct sending {
    struct request *request;
    int fd;
    off_t at, size;
};

struct files *files_new(const char *folder, struct buf *error)
{
    struct files *f = malloc(sizeof(*f));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        buf_printf(error, "www: %s: %s\n", folder, strerror(errno));
    else if (!f)
        buf_puts(error, "out of memory\n");
    if (f && fd >= 0) {
        f->fd = fd;
        return f;
    }
    if (fd >= 0)
        close(fd);
    free(f);
    return NULL;
}

void files_free(struct files *f)
{
    if (!f)
        return;
    close(f->fd);
    free(f);
}

/* ---- which file ------------------------------------------------------------------------------ */

/* Cut "/name" off the path; false: what follows is no name of ours. */
static bool name_next(struct slice *path, char name[NAME_MAX + 1])
{
    if (path->len < 2 || path->at[0] != '/' || path->at[1] == '.')
        return false;
    const char *end = memchr(path->at + 1, '/', path->len - 1);
    size_t len = end ? (size_t)(end - path->at) - 1 : path->len - 1;
    if (len == 0 || len > NAME_MAX || memchr(path->at + 1, '\0', len))
        return false;
    memcpy(name, path->at + 1, len);
    name[len] = '\0';
    *path = (struct slice){ path->at + 1 + len, path->len - 1 - len };
    return true;
}

/* Descriptor of what the path names; a folder's when it ends in '/'.  -1: nothing of ours. */
static int open_path(const struct files *f, struct slice path)
{
    char name[NAME_MAX + 1];
    int fd = path.len > 0 ? fcntl(f->fd, F_DUPFD_CLOEXEC, 0) : -1;

    while (fd >= 0 && path.len > 0 && !slice_is(path, SLICE("/"))) {
        int next = -1;
        if (name_next(&path, name)) {
            int how = path.len > 0 ? O_PATH | O_DIRECTORY : O_RDONLY | O_NONBLOCK | O_NOCTTY;
            next = openat(fd, name, how | O_NOFOLLOW | O_CLOEXEC);
        }
        close(fd);
        fd = next;
    }
    return fd;
}

/* A file, or the index of a folder; -1: none.  *is_folder: it wants a '/' at its end. */
static int open_file(const struct files *f, struct slice path, struct stat *st, bool *is_folder)
{
    bool asks_for_folder = path.len > 0 && path.at[path.len - 1] == '/';
    int fd = open_path(f, path);

    if (fd >= 0 && asks_for_folder) {
        int index = openat(fd, "index.html", O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
        close(fd);
        fd = index;
    }
    *is_folder = false;
    if (fd < 0)
        return -1;
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
        return fd;
    *is_folder = !asks_for_folder && S_ISDIR(st->st_mode);
    close(fd);
    return -1;
}

static const char *type_of(struct slice path)
{
    static const char *const types[][2] = {
        { "html", "text/html; charset=utf-8" },
        { "htm", "text/html; charset=utf-8" },
        { "js", "text/javascript; charset=utf-8" },
        { "mjs", "text/javascript; charset=utf-8" },
        { "css", "text/css; charset=utf-8" },
        { "txt", "text/plain; charset=utf-8" },
        { "md", "text/plain; charset=utf-8" },
        { "json", "application/json" },
        { "map", "application/json" },
        { "xml", "application/xml" },
        { "svg", "image/svg+xml" },
        { "png", "image/png" },
        { "jpg", "image/jpeg" },
        { "jpeg", "image/jpeg" },
        { "gif", "image/gif" },
        { "webp", "image/webp" },
        { "ico", "image/vnd.microsoft.icon" },
        { "woff2", "font/woff2" },
        { "wasm", "application/wasm" },
        { "pdf", "application/pdf" },
    };
    const char *dot = path.len > 0 ? memrchr(path.at, '.', path.len) : NULL;

    if (path.len > 0 && path.at[path.len - 1] == '/')
        return types[0][1]; /* its index */
    for (size_t i = 0; dot && i < LENGTH(types); i++) {
        struct slice ending = { dot + 1, path.len - (size_t)(dot + 1 - path.at) };
        if (slice_is_nocase(ending, slice_of(types[i][0])))
            return types[i][1];
    }
    return "application/octet-stream";
}

/* ---- as the client knows it? ----------------------------------------------------------------- */

static void put_tag(struct buf *out, const struct stat *st)
{
    buf_printf(out, "\"%llx.%lx-%llx\"", (unsigned long long)st->st_mtim.tv_sec,
               (unsigned long)st->st_mtim.tv_nsec, (unsigned long long)st->st_size);
}

/* RFC 9110 section 13.1.2: a list of tags, compared weakly.  Ours has no comma in it. */
static bool is_known(struct slice known, struct slice tag)
{
    struct slice one;

    while (item_next(&known, ',', &one)) {
        one = slice_trim(one);
        if (one.len > 2 && memcmp(one.at, "W/", 2) == 0)
            one = (struct slice){ one.at + 2, one.len - 2 };
        if (slice_is(one, tag) || slice_is(one, SLICE("*")))
            return true;
    }
    return false;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void end_sending(struct sending *s)
{
    struct request *r = s->request;

    close(s->fd);
    free(s);
    reply_end(r);
}

/* The last piece has been taken: the next.  A file that has become shorter breaks the reply. */
static void on_room(void *owner)
{
    struct sending *s = owner;
    char piece[PIECE];
    off_t left = s->size - s->at;
    ssize_t n = pread(s->fd, piece, left < PIECE ? (size_t)left : PIECE, s->at);

    if (n <= 0) {
        s->request->broken = 1;
        end_sending(s);
        return;
    }
    s->at += n;
    reply_write(s->request, (struct slice){ piece, (size_t)n });
    if (s->at == s->size)
        end_sending(s);
}

static void on_gone(void *owner)
{
    struct sending *s = owner;

    close(s->fd);
    free(s);
}

static void on_drain(void *owner)
{
    (void)owner; /* it has an end */
}

static const struct reply_ops sending_ops = {
    .room = on_room,
    .gone = on_gone,
    .drain = on_drain,
};

/* Takes fd. */
static void send_file(struct request *r, int fd, const struct stat *st, struct slice headers)
{
    struct sending *s = r->head_only || st->st_size == 0 ? NULL : malloc(sizeof(*s));

    if (!s && !r->head_only && st->st_size > 0) {
        close(fd);
        answer_problem(r, 503, "This server is short of memory.", 1);
        return;
    }
    reply_begin(r, 200, headers);
    if (!s) {
        close(fd);
        reply_end(r);
        return;
    }
    *s = (struct sending){ .request = r, .fd = fd, .size = st->st_size };
    reply_hold(r, &sending_ops, s);
    on_room(s);
}

static void answer_file(struct request *r, int fd, const struct stat *st, struct slice path)
{
    struct buf headers = BUF_EMPTY, tag = BUF_EMPTY;

    put_tag(&tag, st);
    buf_puts(&headers, "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nETag: ");
    buf_put(&headers, buf_slice(&tag));
    buf_puts(&headers, "\r\n");
    bool known = is_known(request_header(r, "if-none-match"), buf_slice(&tag));
    if (!known)
        buf_printf(&headers, "Content-Type: %s\r\nContent-Length: %lld\r\n", type_of(path),
                   (long long)st->st_size);
    if (buf_rc(&headers) != RC_OK || buf_rc(&tag) != RC_OK) {
        close(fd);
        answer_problem(r, 503, "This server is short of memory.", 1);
    } else if (known) {
        close(fd);
        reply_begin(r, 304, buf_slice(&headers));
        reply_end(r);
    } else {
        send_file(r, fd, st, buf_slice(&headers));
    }
    buf_fini(&headers);
    buf_fini(&tag);
}

/* A folder's files name each other relative to it: its address must end in '/'. */
static void answer_folder(struct request *r, struct slice path)
{
    struct buf headers = BUF_EMPTY;

    buf_puts(&headers, "Content-Length: 0\r\nLocation: ");
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("/-._~", c);
        buf_printf(&headers, plain ? "%c" : "%%%02X", c);
    }
    buf_puts(&headers, "/\r\n");
    if (buf_rc(&headers) == RC_OK)
        reply_begin(r, 301, buf_slice(&headers));
    else
        r->broken = 1;
    reply_end(r);
    buf_fini(&headers);
}

void files_serve(const struct files *f, struct request *r, struct slice path)
{
    struct stat st;
    bool is_folder;

    if (!r->head_only && !slice_is(r->head->method, SLICE("GET"))) {
        reply_begin(r, 405, SLICE("Allow: GET, HEAD\r\nContent-Length: 0\r\n"));
        reply_end(r);
        return;
    }
    int fd = open_file(f, path, &st, &is_folder);
    if (fd >= 0)
        answer_file(r, fd, &st, path);
    else if (is_folder)
        answer_folder(r, path);
    else
        answer_problem(r, 404, "There is nothing at this address.", 0);
}
