/*
 * ws_site.c - a bellpushd with an echo (ws_site.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/peers/certificate.h"
#include "tests/peers/process.h"
#include "tests/sidecar/ws_site.h"

static struct {
    pid_t pid;
    int port, tls_port;
    char *folder, *log, *certificate;
} site;

enum { ARGS_MAX = 32 };

/* The port in the line "listening on WORD:127.0.0.1:PORT"; 0: it is not there yet. */
static int port_in(const char *log, const char *word)
{
    const char *line = strstr(log, word);
    int port = 0;

    if (line && strchr(line, '\n'))
        sscanf(line + strlen(word), ":127.0.0.1:%d", &port);
    return port;
}

/* The ports that it has been given, as soon as it says so. */
static bool says_ports(void *arg)
{
    char *log = file_read(site.log);

    (void)arg;
    site.port = log ? port_in(log, "listening on http") : 0;
    site.tls_port = log ? port_in(log, "listening on tls") : 0;
    free(log);
    return site.port > 0 && site.tls_port > 0;
}

void ws_site_start_with(const char *const *settings)
{
    const char *argv[ARGS_MAX] = { getenv("BELLPUSH_TEST_DAEMON"),
                                   "--listen",
                                   "127.0.0.1:0",
                                   "--listen",
                                   "tls:127.0.0.1:0",
                                   "--set",
                                   "ws_echo=yes" };
    /* A sanitizer's quarantine would count as memory of the server's. */
    const char *const env[] = { "BELLPUSH_DATABASE=host=/nonexistent dbname=none",
                                "ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=1", NULL };
    size_t n = 7;

    ck_assert_msg(argv[0] && access(argv[0], X_OK) == 0, "set BELLPUSH_TEST_DAEMON");
    for (; settings && *settings; settings++) {
        argv[n++] = "--set";
        argv[n++] = *settings;
    }
    site.folder = temp_folder("ws");
    site.log = text_of("%s/log", site.folder);
    certificate_make(site.folder, "site", 2);
    site.certificate = text_of("%s/site.pem", site.folder);
    char *pem = text_of("tls_certificate=%s", site.certificate);
    char *key = text_of("tls_key=%s/site.key", site.folder);
    argv[n++] = "--set";
    argv[n++] = pem;
    argv[n++] = "--set";
    argv[n++] = key;
    site.pid = process_start(&(struct process_spec){ .argv = argv, .env = env, .log = site.log });
    free(pem);
    free(key);
    if (!wait_until(says_ports, NULL, WS_DEADLINE_MS)) {
        char *log = file_read(site.log);
        fprintf(stderr, "bellpushd does not listen: %s\n", log ? log : "");
        abort();
    }
}

void ws_site_start(void)
{
    ws_site_start_with((const char *const[]){ "max_body_bytes=16m", NULL });
}

void ws_site_stop(void)
{
    int status = process_stop(site.pid, WS_DEADLINE_MS);
    char *log = file_read(site.log);

    if (status != 0) {
        fprintf(stderr, "bellpushd ends with %d: %s\n", status, log ? log : "");
        abort();
    }
    free(log);
    free(site.folder);
    free(site.log);
    free(site.certificate);
}

int ws_site_port(void)
{
    return site.port;
}

int ws_site_tls_port(void)
{
    return site.tls_port;
}

const char *ws_site_certificate(void)
{
    return site.certificate;
}

size_t ws_site_peak(void)
{
    char *path = text_of("/proc/%d/status", (int)site.pid), *status = file_read(path);
    const char *line = status ? strstr(status, "VmHWM:") : NULL;
    size_t kib = line ? strtoul(line + strlen("VmHWM:"), NULL, 10) : 0;

    ck_assert_uint_gt(kib, 0);
    free(path);
    free(status);
    return kib * 1024;
}

struct ws_client *ws_site_packer(const char *offer)
{
    return ws_client_open(&(struct ws_client_ask){ .port = site.port,
                                                   .target = "/push/ws/echo",
                                                   .extensions = offer },
                          WS_DEADLINE_MS);
}

struct ws_client *ws_site_client(void)
{
    return ws_site_packer(NULL);
}

void ws_must_hear(struct ws_client *c, unsigned opcode, struct slice data)
{
    struct ws_message m;

    ck_assert_msg(ws_client_hear(c, &m, WS_DEADLINE_MS), "nothing heard; wrong: %s, code %u %s",
                  ws_client_wrong(c), ws_client_code(c), ws_client_reason(c));
    ck_assert_ptr_eq(ws_client_wrong(c), NULL);
    ck_assert_msg(m.opcode == opcode && slice_is(m.data, data),
                  "heard %u, %zu bytes; wanted %u, %zu", m.opcode, m.data.len, opcode, data.len);
}

void ws_must_close(struct ws_client *c, unsigned code)
{
    ck_assert_msg(ws_client_gone(c, WS_DEADLINE_MS), "it stays; code %u", ws_client_code(c));
    ck_assert_ptr_eq(ws_client_wrong(c), NULL);
    ck_assert_uint_eq(ws_client_code(c), code);
    ck_assert(!ws_client_was_reset(c));
    ws_client_free(c);
}

void ws_part(struct ws_client *c)
{
    ws_client_close(c, 1000, "bye");
    ws_must_close(c, 1000);
}
