/*
 * conf_check.c - what settings must be together, and what their words must mean.
 *
 * Everything wrong is told at once, each with the place where it was said.
 */
#include "core/address.h"
#include "core/conf_priv.h"
#include "core/keyring.h"
#include "core/text.h"
#include "core/topic.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHANNEL_MAX = 63, KEY_MAX = 4096, JWKS_MAX = 256 * 1024, TOKEN_KEY_MIN = 32 };

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
    const char *error = filter_error(slice_of(filter));

    if (!error && !slice_is(topic_heard_as(slice_of(filter)), slice_of(filter)))
        return "who is on a topic is closed with the topic: name that";
    return error;
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

/* --- keys ---------------------------------------------------------------------------------- */

static const char *key_file_error(const struct stat *st, size_t most)
{
    if (!S_ISREG(st->st_mode))
        return "is not a regular file";
    if (st->st_mode & (S_IROTH | S_IWOTH))
        return "is open to everybody: chmod o-rw";
    if ((size_t)st->st_size > most)
        return "is larger than a key can be";
    return NULL;
}

/* Read the file into text[most + 1]; an editor's newline at the end is not part of it. */
static const char *read_key(const char *path, char *text, size_t most)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return strerror(errno);
    const char *why = fstat(fd, &st) < 0 ? strerror(errno) : key_file_error(&st, most);
    ssize_t n = why ? 0 : read(fd, text, most);
    if (n < 0)
        why = strerror(errno);
    close(fd);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    text[n > 0 ? n : 0] = '\0';
    return why ? why : n == 0 ? "is empty" : NULL;
}

/* `setting` may be said by a file, which `file_setting` names. */
static enum rc take_key_file(struct conf *c, const char *setting, const char *value,
                             const char *file_setting, const char *path, struct buf *errors)
{
    char key[KEY_MAX + 1];
    bool from_file = strcmp(conf_origin(c, setting), path) == 0;

    if (!*path)
        return RC_OK;
    if (*value && !from_file) {
        buf_printf(errors, "%s: %s: %s is given too: choose one\n", conf_origin(c, file_setting),
                   file_setting, setting);
        return RC_OK;
    }
    const char *why = read_key(path, key, KEY_MAX);
    enum rc rc = RC_OK;
    if (why)
        complain(c, errors, file_setting, path, why);
    else
        rc = conf_assign(c, slice_of(setting), slice_of(key), path, errors);
    sodium_memzero(key, sizeof key);
    return rc == RC_SYNTAX ? RC_OK : rc; /* said among the errors */
}

/* The JWK Set is kept as text: the gate makes keys of it whenever the database's have changed. */
static enum rc take_jwks(struct conf *c, struct buf *errors)
{
    char *text = *c->token_keys_file ? malloc(JWKS_MAX + 1) : NULL;

    if (c->token_jwks)
        sodium_memzero(c->token_jwks, strlen(c->token_jwks));
    free(c->token_jwks);
    c->token_jwks = text;
    if (!*c->token_keys_file)
        return RC_OK;
    if (!text)
        return RC_NOMEM;
    const char *why = read_key(c->token_keys_file, text, JWKS_MAX);
    if (why)
        complain(c, errors, "token_keys_file", c->token_keys_file, why);
    return RC_OK;
}

static void complain_of_lines(const struct conf *c, struct buf *errors, struct buf *lines)
{
    buf_putc(lines, '\0');
    for (char *rest = lines->at, *line; (line = strsep(&rest, "\n")) && *line;)
        complain(c, errors, "token_keys_file", c->token_keys_file, line);
}

/* Can all of them be used, and together?  The gate will take them in the same order. */
static enum rc check_token_keys(const struct conf *c, struct buf *errors)
{
    struct keyring *keys = keyring_new();
    struct buf lines = BUF_EMPTY, warnings = BUF_EMPTY; /* the gate warns when the process starts */
    enum rc rc = keys ? keyring_add_conf(keys, c, &lines, &warnings) : RC_NOMEM;

    if (rc == RC_SYNTAX || rc == RC_LIMIT)
        complain_of_lines(c, errors, &lines);
    keyring_free(keys);
    buf_fini(&lines);
    buf_fini(&warnings);
    return rc == RC_NOMEM ? RC_NOMEM : RC_OK; /* said among the errors */
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

/* RFC 6265 section 4.1.1: a cookie's name is a token of RFC 9110. */
static const char *cookie_error(const char *name)
{
    for (const char *at = name; *at; at++)
        if (*at <= ' ' || *at > '~' || strchr("()<>@,;:\\\"/[]?={}", *at))
            return "is not the name of a cookie";
    return NULL;
}

static void check_tokens(const struct conf *c, struct buf *errors)
{
    const char *why = cookie_error(c->token_cookie);

    if (why)
        complain(c, errors, "token_cookie", c->token_cookie, why);
    if (*c->token_key && strlen(c->token_key) < TOKEN_KEY_MIN)
        complain(c, errors, "token_key", NULL,
                 "an HS256 secret has 32 bytes or more (openssl rand -hex 32)");
    check_list(c, &c->session_cookies, "session_cookies", cookie_error, errors);
}

/* RFC 9110 section 5.1: the name of a field is a token, as that of a cookie is. */
static void check_limits(const struct conf *c, struct buf *errors)
{
    check_list(c, &c->trusted_proxies, "trusted_proxies", networks_error, errors);
    check_list(c, &c->unlimited_addresses, "unlimited_addresses", networks_error, errors);
    if (!*c->forwarded_header || cookie_error(c->forwarded_header))
        complain(c, errors, "forwarded_header", c->forwarded_header, "is not the name of a header");
}

/* What is in the files is for who reads them. */
static void check_tls(const struct conf *c, struct buf *errors)
{
    size_t n = c->tls_certificate.n, keys = c->tls_key.n;

    if (keys > 0 && n == 0)
        complain(c, errors, "tls_key", c->tls_key.at[0], "there is no tls_certificate");
    else if (keys > 1 && keys != n)
        buf_printf(errors,
                   "%s: tls_key: there are %zu for %zu in tls_certificate: as many are wanted, one "
                   "for all, or none if they are in the same files\n",
                   conf_origin(c, "tls_key"), keys, n);
}

/* "" or "/push", as it stands in addresses when they are decoded. */
static bool is_mount(const char *path)
{
    size_t len = strlen(path);
    return len == 0 || (path[0] == '/' && path[len - 1] != '/' && !strpbrk(path, "?#%"));
}

enum rc conf_check(struct conf *c, struct buf *errors)
{
    size_t before = errors->len;
    enum rc rc = take_key_file(c, "publish_key", c->publish_key, "publish_key_file",
                               c->publish_key_file, errors);
    if (rc == RC_OK)
        rc = take_key_file(c, "token_key", c->token_key, "token_key_file", c->token_key_file,
                           errors);
    if (rc == RC_OK)
        rc = take_jwks(c, errors);
    if (rc != RC_OK)
        return rc;
    check_key(c, errors);
    check_tokens(c, errors);
    check_limits(c, errors);
    if (errors->len == before && (rc = check_token_keys(c, errors)) != RC_OK)
        return rc;
    check_list(c, &c->channels, "channels", channel_error, errors);
    check_list(c, &c->closed, "closed", closed_error, errors);
    check_list(c, &c->cors_origins, "cors_origins", origin_error, errors);
    if (!uri_reference_valid(slice_of(c->cloudevents_source)))
        complain(c, errors, "cloudevents_source", c->cloudevents_source,
                 "is not a URI such as https://example.org/push");
    if (!is_mount(c->mount))
        complain(c, errors, "mount", c->mount,
                 "is not a path such as /push, without a / at its end");
    if (*c->www && !*c->mount)
        complain(c, errors, "www", c->www, "nothing is outside the mount when that is empty");
    check_tls(c, errors);
    if (c->max_body_bytes < c->max_event_bytes)
        complain(c, errors, "max_body_bytes", NULL, "is below max_event_bytes");
    if (buf_rc(errors) != RC_OK)
        return RC_NOMEM;
    return errors->len > before ? RC_SYNTAX : RC_OK;
}

/* --- not wrong, but -------------------------------------------------------------------------- */

/* Path of "PATH:LINE"; false: it was not said in a file. */
static bool path_of(const char *origin, char *path, size_t most)
{
    const char *colon = strrchr(origin, ':');
    size_t len = colon ? (size_t)(colon - origin) : 0;

    if (len == 0 || len >= most || colon[1 + strspn(colon + 1, "0123456789")] != '\0')
        return false;
    memcpy(path, origin, len);
    path[len] = '\0';
    return true;
}

static void warn_of_secrets(const struct conf *c, struct buf *warnings)
{
    char path[PATH_MAX], before[PATH_MAX] = "";
    const char *name, *origin;
    struct stat st;

    for (size_t i = 0; i < CONF_SETTINGS_MAX; i++) {
        if (!(name = conf_secret(c, i, &origin)) || !path_of(origin, path, sizeof path) ||
            strcmp(path, before) == 0 || stat(path, &st) != 0 ||
            !(st.st_mode & (S_IROTH | S_IWOTH)))
            continue;
        buf_printf(warnings, "%s holds a secret (%s) and is open to everybody: chmod o-rw\n", path,
                   name);
        memcpy(before, path, sizeof before);
    }
}

void conf_warn(const struct conf *c, bool one_request, struct buf *warnings)
{
    static const char *const in_vain[] = {
        "requests_per_address",      "requests_per_subject",  "publishes_per_address",
        "publishes_per_subject",     "publishes_per_key",     "publish_bytes_per_address",
        "publish_bytes_per_subject", "publish_bytes_per_key", "open_per_address",
        "open_per_subject",
    };

    warn_of_secrets(c, warnings);
    for (size_t i = 0; one_request && i < LENGTH(in_vain); i++) {
        if (strcmp(conf_origin(c, in_vain[i]), "default") == 0)
            continue;
        buf_printf(warnings,
                   "%s: %s limits nothing here: each process counts for itself, and has one "
                   "request at a time\n",
                   conf_origin(c, in_vain[i]), in_vain[i]);
        return; /* one is enough to tell */
    }
}
