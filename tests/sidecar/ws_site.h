/*
 * ws_site.h - a bellpushd with an echo at /push/ws/echo and clients of it; its database is away,
 * because that must not matter here.
 */
#ifndef TESTS_SIDECAR_WS_SITE_H
#define TESTS_SIDECAR_WS_SITE_H

#include "tests/peers/ws_client.h"
#include "tests/suite.h"

enum {
    WS_DEADLINE_MS = 20000,
    WS_MESSAGE_MAX = 16 * 1024 * 1024, /* what this server takes */
};

/* Unchecked fixture: one server for all tests of a suite. */
void ws_site_start(void);
void ws_site_stop(void);
/* The same for checked fixtures, with settings of its own, "name=value", NULL-terminated. */
void ws_site_start_with(const char *const *settings);

int ws_site_port(void);
int ws_site_tls_port(void);
const char *ws_site_certificate(void); /* PEM, for localhost; lent */
/* The most memory that the server has had, in bytes. */
size_t ws_site_peak(void);

/* Connect; over TCP, without extensions. */
struct ws_client *ws_site_client(void);
/* With an offer of compression. */
struct ws_client *ws_site_packer(const char *offer);

/* The server must say this next, and nothing wrong. */
void ws_must_hear(struct ws_client *, unsigned opcode, struct slice data);
/* The server must close with this code, and then the connection; frees the client. */
void ws_must_close(struct ws_client *, unsigned code);
/* Say goodbye, be answered, and see the connection end; frees the client. */
void ws_part(struct ws_client *);

#endif
