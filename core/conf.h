/*
 * conf.h - the settings: one table (conf.c) says name, type, place, default, limits, help.
 *
 * Read in this order, later wins: defaults; one file (`--config FILE`, or `bellpush.conf` beside
 * the executable, or /etc/bellpush/bellpush.conf; the first that exists); environment
 * BELLPUSH_NAME; command line `--set name=value`.
 *
 * File: lines `name = value`; '#' begins a comment line; a value may stand in double quotes.
 * Lists are comma-separated.  Sizes take k, m, g (1024s); times take ms, s, m, h, d.
 * Unknown names, bad values and names given twice are errors with file and line.
 * Environment: BELLPUSH_MAX_OPEN is max_open; BELLPUSH_TEST_… belongs to the tests.
 */
#ifndef CORE_CONF_H
#define CORE_CONF_H

#include <stdio.h>

#include "core/buf.h"

enum { CONF_SETTINGS_MAX = 96 };

struct conf_list {
    char **at; /* NUL-terminated each */
    size_t n;
};

struct conf {
    /* database */
    char *database;            /* libpq connection string; "": the PG* environment */
    char *listen_database;     /* the same for LISTEN only; "": as database */
    int64_t database_pool;     /* query connections per process */
    struct conf_list channels; /* plain NOTIFY channels to record */
    /* front */
    char *listen;                     /* FastCGI: path or host:port; "": the socket at fd 0 */
    struct conf_list listen_http;     /* bellpushd: host:port, or a path */
    char *mount;                      /* bellpushd: everything is below this path */
    struct conf_list tls_certificate; /* bellpushd: PEM, the chain behind each */
    struct conf_list tls_key;    /* bellpushd: PEM; as many, one for all, or none: in those files */
    int64_t workers;             /* bellpushd: processes; 0: the first one serves by itself */
    char *user;                  /* bellpushd: who it becomes when it was started as root */
    char *www;                   /* bellpushd: files that are served outside the mount; "": none */
    int64_t max_open;            /* open requests; 0: as many as descriptors allow */
    int64_t processes;           /* one-request mode: how many processes the site may run */
    int64_t one_request_hold_ms; /* one-request mode: longest hold of a stream or poll */
    char *one_request;           /* auto | yes | no: does each process get one request at a time? */
    char *slots_file;            /* one-request mode: shared lock file; "": in the temp folder */
    int64_t drain_ms;            /* longest graceful stop */
    /* events */
    int64_t max_event_bytes, max_body_bytes;
    int64_t max_batch;  /* events in one publish */
    int64_t max_topics; /* filters of one request */
    int64_t journal_events, journal_bytes;
    char *cloudevents_source; /* of events that did not come as CloudEvents: a URI reference */
    /* readers */
    int64_t heartbeat_ms, retry_ms;
    int64_t poll_wait_ms; /* longest hold of a poll */
    int64_t poll_limit;   /* most events of one poll */
    int64_t stream_bytes; /* /stream ends cleanly after so many; 0: never */
    int64_t queue_bytes;  /* a slow reader is paused above */
    int64_t queue_age_ms; /* and closed when it takes nothing for so long */
    int64_t ws_ping_ms;   /* a WebSocket peer that is silent is asked whether it is there */
    char *io_uring;       /* auto | no */
    char *ws_deflate;     /* yes | no: permessage-deflate, where the peer offers it */
    char *ws_echo;        /* yes | no: /ws/echo, for conformance suites */
    /* rights */
    char *publish_key, *publish_key_file;
    char *token_key, *token_key_file; /* HS256 secret of tokens */
    char *token_keys_file;            /* JWK Set (RFC 7517) */
    struct conf_list token_issuers;   /* `iss` must be one of them; none: need not be */
    char *token_audience;             /* must be in `aud`; "": there must be none */
    char *token_cookie;               /* name of the cookie that may hold a token; "": none */
    char *token_in_query;             /* yes | no: may `access_token=` hold one? */
    struct conf_list session_cookies; /* names; shown to the site's own bellpush.authorize() */
    int64_t authorize_for_ms;         /* so long its answers are good */
    struct conf_list closed;          /* filters nobody may subscribe to without a right */
    struct conf_list cors_origins;
    /* limits; so many a minute where nothing else is said; 0: none */
    int64_t max_query_bytes;
    struct conf_list trusted_proxies;     /* networks whose forwarded_header is believed */
    char *forwarded_header;               /* who the client is, says a trusted proxy */
    struct conf_list unlimited_addresses; /* networks that are not counted */
    int64_t requests_per_address, requests_per_subject;
    int64_t publishes_per_address, publishes_per_subject, publishes_per_key; /* events */
    int64_t publish_bytes_per_address, publish_bytes_per_subject, publish_bytes_per_key;
    int64_t open_per_address, open_per_subject; /* replies held at one time */
    /* presence */
    int64_t max_joined;           /* members of this process; 0: nobody may join */
    int64_t joins_per_connection; /* topics that one may join */
    int64_t joined_per_topic;     /* names on one topic */
    int64_t join_bytes;           /* JSON that a member may show */
    /* housekeeping */
    int64_t probe_ms; /* self-probe and head check of the listening connection */
    char *log_file, *log_level;

    char *token_jwks;                /* text of token_keys_file, read by conf_check(); NULL: none */
    char *origin[CONF_SETTINGS_MAX]; /* where each value came from; NULL: default; conf.c */
};

/* Fill in all defaults.  RC_NOMEM. */
enum rc conf_init(struct conf *) MUST_USE;
void conf_fini(struct conf *); /* wipes secrets */

/*
 * Each returns RC_OK, or RC_SYNTAX after appending one line per error to *errors
 * ("bellpush.conf:12: unknown setting 'databse'; did you mean 'database'?").
 */
enum rc conf_read_file(struct conf *, const char *path, struct buf *errors) MUST_USE;
enum rc conf_read_text(struct conf *, const char *name, struct slice text,
                       struct buf *errors) MUST_USE; /* a file that has been read already */
enum rc conf_read_env(struct conf *, char *const *environment, struct buf *errors) MUST_USE;
enum rc conf_set(struct conf *, const char *name_is_value, const char *origin,
                 struct buf *errors) MUST_USE;

/* Checks that span settings, the closed filters and the channel names; reads publish_key_file. */
enum rc conf_check(struct conf *, struct buf *errors) MUST_USE;

/*
 * What is not wrong, but should be known: append a line for each file that holds a secret and is
 * open to everybody, and one if limits are set that limit nothing in one-request mode.
 */
void conf_warn(const struct conf *, bool one_request, struct buf *warnings);

/* Where the value of a setting comes from: "default", "bellpush.conf:12", "environment".  Lent. */
const char *conf_origin(const struct conf *, const char *setting);

/* `--check-config`: every effective setting with its source, as a file that could be read again.
   Secrets are shown as "***", in a comment. */
void conf_print(const struct conf *, struct buf *out);

/* `--help-config`: name, type, default, help. */
void conf_help(struct buf *out);

#endif
