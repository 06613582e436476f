/*
 * conf_check.c - what settings must be together, and what their words must mean.
 *
 * Everything wrong is told at once, each with the place where it was said.
 */
#include "core/conf.h"
#include "core/text.h"
#include "core/topic.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHANNEL_MAX = 63, KEY_MAX = 4096 };

static void complain(const struct conf *c, struct buf *errors, const char *setting,
                     const char *item, const char *why)
{
    buf_printf(errors, "%s: %s: ", conf_origin(c, setting), setting);
    if (item)
        buf_printf(errors, "'%s': ", item);
    buf_printf(errors, "%s\n", why);
}

/* --- lists --------------------------------------------------------------------------------- */

static const char *channel_error(const char *channel)
{
    if (strlen(channel) > CHANNEL_MAX)
        return "PostgreSQL has channel names of at most 63 bytes";
    if (strcmp(channel, "bellpush") == 0 || strcmp(channel, "bellpush_relay") == 0)
        return "this channel is the bell itself";
    if (channel[0] == '$')
        return "topics that begin with '$' are the system's own";
    return topic_error(slice_of(channel));
}

static const char *origin_error(const char *origin)
{
    if (strcmp(origin, "*") == 0)
        return "name each origin: '*' would let every page on the web ask";
    const char *host = strncmp(origin, "https://", 8) == 0  ? origin + 8
                       : strncmp(origin, "http://", 7) == 0 ? origin + 7
                                                            : NULL;
    if (!host || !*host)
        return "an origin is https://host or http://host, perhaps with a port";
    if (strpbrk(host, "/?#@ "))
        return "an origin ends after the host and port, without a slash";
    return NULL;
}

static const char *closed_error(const char *filter)
{
    return filter_error(slice_of(filter));
}

static void check_list(const struct conf *c, const struct conf_list *list, const char *setting,
                       const char *(*error)(const char *), struct buf *errors)
{
    for (size_t i = 0; i < list->n; i++) {
        const char *why = error(list->at[i]);
        if (why)
            complain(c, errors, setting, list->at[i], why);
    }
}

/* --- the key ------------------------------------------------------------------------------- */

static const char *key_file_error(const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return "is not a regular file";
    if (st->st_mode & (S_IROTH | S_IWOTH))
        return "is open to everybody: chmod o-rw";
    if (st->st_size > KEY_MAX)
        return "is larger than a key can be";
    return NULL;
}

/* Read the file into key[]; an editor's newline at the end is not part of it. */
static const char *read_key(const char *path, char key[KEY_MAX + 1])
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return strerror(errno);
    const char *why = fstat(fd, &st) < 0 ? strerror(errno) : key_file_error(&st);
    ssize_t n = why ? 0 : read(fd, key, KEY_MAX);
    if (n < 0)
        why = strerror(errno);
    close(fd);
    while (n > 0 && (key[n - 1] == '\n' || key[n - 1] == '\r'))
        n--;
    key[n > 0 ? n : 0] = '\0';
    return why ? why : n == 0 ? "is empty" : NULL;
}

static enum rc take_key_file(struct conf *c, struct buf *errors)
{
    char key[KEY_MAX + 1], assignment[sizeof "publish_key=" + KEY_MAX];
    bool from_file = strcmp(conf_origin(c, "publish_key"), c->publish_key_file) == 0;
    if (*c->publish_key && !from_file) {
        complain(c, errors, "publish_key_file", NULL, "publish_key is given too: choose one");
        return RC_OK;
    }
    const char *why = read_key(c->publish_key_file, key);
    enum rc rc = RC_OK;
    if (why) {
        complain(c, errors, "publish_key_file", c->publish_key_file, why);
    } else {
        memcpy(assignment, "publish_key=", 12);
        memcpy(assignment + 12, key, strlen(key) + 1);
        rc = conf_set(c, assignment, c->publish_key_file, errors);
    }
    sodium_memzero(key, sizeof key);
    sodium_memzero(assignment, sizeof assignment);
    return rc;
}

static void check_key(const struct conf *c, struct buf *errors)
{
    for (const char *at = c->publish_key; *at; at++) {
        if (*at <= ' ' || *at > '~') {
            complain(c, errors, "publish_key", NULL,
                     "only visible ASCII without spaces fits into a header");
            return;
        }
    }
}

enum rc conf_check(struct conf *c, struct buf *errors)
{
    size_t before = errors->len;
    enum rc rc = RC_OK;
    if (*c->publish_key_file)
        rc = take_key_file(c, errors);
    if (rc == RC_NOMEM)
        return rc;
    check_key(c, errors);
    check_list(c, &c->channels, "channels", channel_error, errors);
    check_list(c, &c->closed, "closed", closed_error, errors);
    check_list(c, &c->cors_origins, "cors_origins", origin_error, errors);
    if (c->max_body_bytes < c->max_event_bytes)
        complain(c, errors, "max_body_bytes", NULL, "is below max_event_bytes");
    if (buf_rc(errors) != RC_OK)
        return RC_NOMEM;
    return errors->len > before ? RC_SYNTAX : RC_OK;
}
