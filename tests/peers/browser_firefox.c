/*
 * browser_firefox.c - Firefox, driven by Marionette, its own remote control.
 *
 * Debian has no geckodriver, and need not: Marionette is "LENGTH:JSON" on a TCP socket, where JSON
 * is [0, id, command, params] one way and [1, id, error, result] the other.  Firefox chooses the
 * port and writes it into the profile.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/peers/browser_wire.h"
#include "tests/peers/process.h"

enum { LENGTH_DIGITS_MAX = 10 };

struct firefox {
    pid_t browser;
    int fd, last_id;
};

/* Nothing of this may leave the machine. */
static const char preferences[] =
    "user_pref('marionette.port', 0);\n"
    "user_pref('network.proxy.type', 0);\n"
    "user_pref('network.captive-portal-service.enabled', false);\n"
    "user_pref('network.connectivity-service.enabled', false);\n"
    "user_pref('network.prefetch-next', false);\n"
    "user_pref('app.update.disabledForTesting', true);\n"
    "user_pref('app.normandy.enabled', false);\n"
    "user_pref('browser.safebrowsing.malware.enabled', false);\n"
    "user_pref('browser.safebrowsing.phishing.enabled', false);\n"
    "user_pref('browser.safebrowsing.downloads.remote.enabled', false);\n"
    "user_pref('browser.region.update.enabled', false);\n"
    "user_pref('browser.shell.checkDefaultBrowser', false);\n"
    "user_pref('browser.startup.page', 0);\n"
    "user_pref('datareporting.policy.dataSubmissionEnabled', false);\n"
    "user_pref('datareporting.healthreport.uploadEnabled', false);\n"
    "user_pref('toolkit.telemetry.enabled', false);\n"
    "user_pref('extensions.getAddons.cache.enabled', false);\n"
    "user_pref('extensions.update.enabled', false);\n"
    "user_pref('extensions.systemAddon.update.enabled', false);\n"
    "user_pref('media.gmp-manager.updateEnabled', false);\n"
    "user_pref('dom.push.connection.enabled', false);\n"
    "user_pref('services.settings.server', 'data:,');\n"
    "user_pref('signon.autofillForms', false);\n";

/* Take exactly len bytes. */
static bool take(struct firefox *f, char *at, size_t len)
{
    int64_t end = now_ms() + BROWSER_ANSWER_MS;
    while (len > 0) {
        struct pollfd p = { .fd = f->fd, .events = POLLIN };
        if (poll(&p, 1, (int)(end - now_ms())) <= 0)
            return false;
        ssize_t n = recv(f->fd, at, len, 0);
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* One packet; gives; NULL: the connection is over or silent. */
static json_t *take_packet(struct firefox *f)
{
    size_t len = 0;
    char digit = 0, *text;

    for (int i = 0; i < LENGTH_DIGITS_MAX && take(f, &digit, 1) && digit != ':'; i++)
        len = len * 10 + (size_t)(digit - '0');
    if (digit != ':' || !(text = malloc(len + 1)))
        return NULL;
    json_t *packet = take(f, text, len) ? json_loadb(text, len, 0, NULL) : NULL;
    free(text);
    return packet;
}

static bool send_packet(struct firefox *f, json_t *packet)
{
    char *json = json_dumps(packet, JSON_COMPACT), *text = text_of("%zu:%s", strlen(json), json);
    size_t len = strlen(text), done = 0;
    ssize_t n = 0;

    while (done < len && (n = send(f->fd, text + done, len - done, MSG_NOSIGNAL)) > 0)
        done += (size_t)n;
    free(text);
    free(json);
    json_decref(packet);
    return done == len;
}

/* Most results are {"value": …}; some are themselves the value. */
static json_t *command(void *arg, const struct browser_command *what, const char *element,
                       json_t *params, char **error)
{
    struct firefox *f = arg;
    json_t *value = NULL;

    if (element)
        json_object_set_new(params, "id", json_string(element));
    if (!send_packet(f, json_pack("[i, i, s, o]", 0, ++f->last_id, what->name, params)))
        return NULL;
    json_t *answer = take_packet(f);
    if (json_integer_value(json_array_get(answer, 1)) == f->last_id) {
        json_t *wrong = json_array_get(answer, 2), *result = json_array_get(answer, 3);
        json_t *inner = json_object_get(result, "value");
        if (json_is_null(wrong))
            value = json_incref(inner ? inner : result);
        else
            *error = json_dumps(wrong, JSON_COMPACT);
    }
    json_decref(answer);
    return value;
}

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "tests: firefox: %s\n", why);
    exit(EXIT_FAILURE);
}

static void join(struct firefox *f, int port)
{
    static const struct browser_command session = { "WebDriver:NewSession", NULL, NULL };
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char *error = NULL;

    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (f->fd < 0 || connect(f->fd, (struct sockaddr *)&a, sizeof a))
        give_up(strerror(errno));
    json_t *hello = take_packet(f); /* {"applicationType":"gecko","marionetteProtocol":3} */
    if (json_integer_value(json_object_get(hello, "marionetteProtocol")) != 3)
        give_up("not the Marionette that we speak");
    json_decref(hello);
    json_t *value = command(f, &session, NULL, json_object(), &error);
    if (!value)
        give_up(error ? error : "no session");
    json_decref(value);
}

static void *start(const char *folder)
{
    struct firefox *f = calloc(1, sizeof *f);
    char *user_js = text_of("%s/user.js", folder), *home = text_of("HOME=%s", folder);
    char *log = text_of("%s/firefox.log", folder);
    char *port_file = text_of("%s/MarionetteActivePort", folder);
    const char *const argv[] = { "firefox-esr", "--headless", "--marionette", "--no-remote",
                                 "--profile",   folder,       "--width",      "1100",
                                 "--height",    "1000",       "about:blank",  NULL };
    const char *const env[] = { home,
                                "MOZ_CRASHREPORTER_DISABLE=1",
                                "MOZ_DISABLE_AUTO_SAFE_MODE=1",
                                "DISPLAY",
                                "XDG_RUNTIME_DIR",
                                NULL };

    if (!f)
        abort();
    file_write(user_js, slice_of(preferences));
    f->browser = process_start(&(struct process_spec){ .argv = argv, .env = env, .log = log });
    char *text = browser_await_file(port_file, f->browser, log);
    join(f, atoi(text));
    free(text);
    free(port_file);
    free(log);
    free(home);
    free(user_js);
    return f;
}

static void stop(void *arg)
{
    struct firefox *f = arg;
    close(f->fd);
    browser_kill(f->browser);
    free(f);
}

static pid_t pid(void *arg)
{
    return ((struct firefox *)arg)->browser;
}

const struct browser_wire browser_firefox = {
    .name = "firefox", .start = start, .stop = stop, .command = command, .pid = pid
};
