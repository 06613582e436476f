/*
 * browser.c - see browser.h.
 */
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/peers/browser.h"
#include "tests/peers/browser_wire.h"
#include "tests/peers/process.h"

/* How both protocols spell "element reference" (W3C WebDriver, 12.1). */
#define ELEMENT_KEY "element-6066-11e4-a52e-4f735466cecf"

struct browser {
    const struct browser_wire *wire;
    void *driver;
    char *folder;
};

static const struct browser_command navigate = { "WebDriver:Navigate", "POST", "/url" };
static const struct browser_command find = { "WebDriver:FindElement", "POST", "/element" };
static const struct browser_command click = { "WebDriver:ElementClick", "POST",
                                              "/element/*/click" };
static const struct browser_command keys = { "WebDriver:ElementSendKeys", "POST",
                                             "/element/*/value" };
static const struct browser_command script = { "WebDriver:ExecuteScript", "POST", "/execute/sync" };
static const struct browser_command rect = { "WebDriver:SetWindowRect", "POST", "/window/rect" };
static const struct browser_command console = { "the console", "POST", "/se/log" };
static const struct browser_command window = { "WebDriver:GetWindowHandle", "GET", "/window" };
static const struct browser_command new_window = { "WebDriver:NewWindow", "POST", "/window/new" };
static const struct browser_command to_window = { "WebDriver:SwitchToWindow", "POST", "/window" };
static const struct browser_command devtools = { "", "POST", "/goog/cdp/execute" };
static const struct browser_command shot = { "WebDriver:TakeScreenshot", "GET", "/screenshot" };

static _Noreturn void give_up(const struct browser *b, const char *what, const char *why)
{
    fprintf(stderr, "tests: %s: %s: %s\n", b->wire->name, what, why);
    exit(EXIT_FAILURE);
}

static json_t *command(struct browser *b, const struct browser_command *c, const char *element,
                       json_t *params)
{
    char *error = NULL;
    json_t *value = b->wire->command(b->driver, c, element, params, &error);
    if (!value)
        give_up(b, c->name, error ? error : "no answer");
    return value;
}

struct browser *browser_start(enum browser_kind kind)
{
    static const struct browser_wire *const wires[] = {
        [BROWSER_CHROMIUM] = &browser_chromium,       [BROWSER_FIREFOX] = &browser_firefox,
        [BROWSER_QTWEBKIT] = &browser_qtwebkit,       [BROWSER_PHANTOMJS_2] = &browser_phantomjs_2,
        [BROWSER_PHANTOMJS_1] = &browser_phantomjs_1, [BROWSER_KHTML] = &browser_khtml,
    };
    struct browser *b = calloc(1, sizeof *b);
    if (!b)
        abort();
    b->wire = wires[kind];
    b->folder = temp_folder(b->wire->name);
    b->driver = b->wire->start(b->folder);
    if (!b->driver) {
        free(b->folder);
        free(b);
        return NULL;
    }
    return b;
}

void browser_free(struct browser *b)
{
    if (!b)
        return;
    b->wire->stop(b->driver);
    free(b->folder); /* the folder itself goes with the process */
    free(b);
}

void browser_open(struct browser *b, const char *url)
{
    json_decref(command(b, &navigate, NULL, json_pack("{s:s}", "url", url)));
}

/* The element's reference; gives. */
static char *element(struct browser *b, const char *selector)
{
    json_t *value = command(b, &find, NULL,
                            json_pack("{s:s, s:s}", "using", "css selector", "value", selector));
    const char *id = json_string_value(json_object_get(value, ELEMENT_KEY));
    if (!id) /* before the W3C */
        id = json_string_value(json_object_get(value, "ELEMENT"));
    if (!id)
        give_up(b, "no such element", selector);
    char *copy = text_of("%s", id);
    json_decref(value);
    return copy;
}

void browser_click(struct browser *b, const char *selector)
{
    char *id = element(b, selector);
    json_decref(command(b, &click, id, json_object()));
    free(id);
}

void browser_type(struct browser *b, const char *selector, const char *text)
{
    char *id = element(b, selector);
    json_decref(command(b, &keys, id, json_pack("{s:s}", "text", text)));
    free(id);
}

char *browser_eval(struct browser *b, const char *expression)
{
    char *body = text_of("return String(%s)", expression);
    json_t *value = command(b, &script, NULL, json_pack("{s:s, s:[]}", "script", body, "args"));
    const char *text = json_string_value(value);
    char *copy = text_of("%s", text ? text : "");
    json_decref(value);
    free(body);
    return copy;
}

struct expectation {
    struct browser *browser;
    const char *expression;
};

static bool holds(void *arg)
{
    struct expectation *e = arg;
    char *test = text_of("!!(%s)", e->expression), *text = browser_eval(e->browser, test);
    bool yes = strcmp(text, "true") == 0;
    free(text);
    free(test);
    return yes;
}

void browser_expect(struct browser *b, const char *expression, int64_t ms)
{
    struct expectation e = { b, expression };
    if (wait_until(holds, &e, ms))
        return;
    char *text = browser_eval(b, "document.body.innerText");
    fprintf(stderr, "tests: the page says:\n%s\n", text);
    give_up(b, "does not come to hold", expression);
}

char *browser_console(struct browser *b)
{
    json_t *value = command(b, &console, NULL, json_pack("{s:s}", "type", "browser")), *entry;
    struct buf text = BUF_EMPTY;
    size_t i;

    json_array_foreach(value, i, entry)
    {
        const char *level = json_string_value(json_object_get(entry, "level"));
        const char *said = json_string_value(json_object_get(entry, "message"));
        if (level && said && strcmp(level, "SEVERE") == 0)
            buf_printf(&text, "%s\n", said);
    }
    json_decref(value);
    char *copy = slice_dup(buf_slice(&text));
    buf_fini(&text);
    return copy;
}

char *browser_window(struct browser *b)
{
    json_t *value = command(b, &window, NULL, json_object());
    char *copy = text_of("%s", json_string_value(value));
    json_decref(value);
    return copy;
}

char *browser_window_new(struct browser *b)
{
    json_t *value = command(b, &new_window, NULL, json_pack("{s:s}", "type", "window"));
    const char *handle = json_string_value(json_object_get(value, "handle"));
    if (!handle)
        give_up(b, new_window.name, "no handle");
    char *copy = text_of("%s", handle);
    json_decref(value);
    return copy;
}

void browser_window_switch(struct browser *b, const char *handle)
{
    json_decref(command(b, &to_window, NULL, json_pack("{s:s}", "handle", handle)));
}

static void signal_all(struct browser *b, int signal)
{
    if (!b->wire->pid || kill(-b->wire->pid(b->driver), signal))
        give_up(b, "its processes", "are not to be reached");
}

void browser_sleep(struct browser *b)
{
    signal_all(b, SIGSTOP);
}

void browser_wake(struct browser *b)
{
    signal_all(b, SIGCONT);
}

static json_t *devtools_params(const char *name, const char *params)
{
    return json_pack("{s:s, s:o}", "cmd", name, "params", json_loads(params, 0, NULL));
}

void browser_devtools(struct browser *b, const char *name, const char *params)
{
    json_decref(command(b, &devtools, NULL, devtools_params(name, params)));
}

void browser_window_kill(struct browser *b)
{
    char *error = NULL; /* of course: who should answer? */
    json_t *value =
        b->wire->command(b->driver, &devtools, NULL, devtools_params("Page.crash", "{}"), &error);
    json_decref(value);
    free(error);
}

void browser_resize(struct browser *b, int width, int height)
{
    json_decref(command(b, &rect, NULL, json_pack("{s:i, s:i}", "width", width, "height", height)));
}

void browser_screenshot(struct browser *b, const char *what)
{
    const char *program = getenv("BELLPUSH_TEST_PROGRAM");
    char *folder = text_of("%.*s/screens", (int)(strrchr(program, '/') - program), program);
    char *path = text_of("%s/%s-%s.png", folder, what, b->wire->name);
    json_t *value = command(b, &shot, NULL, json_object());
    const char *text = json_string_value(value);
    size_t len = text ? strlen(text) : 0, png_len = 0;
    unsigned char *png = malloc(len + 1);

    if (!png || sodium_base642bin(png, len, text ? text : "", len, NULL, &png_len, NULL,
                                  sodium_base64_VARIANT_ORIGINAL))
        give_up(b, "no screenshot for", path);
    mkdir(folder, 0755);
    file_write(path, (struct slice){ (const char *)png, png_len });
    free(png);
    json_decref(value);
    free(path);
    free(folder);
}

/* ---- for the wires ------------------------------------------------------------------------------
 */

static bool group_is_gone(void *arg)
{
    return kill(-*(pid_t *)arg, SIGKILL) != 0;
}

/* A browser is many processes in one group, and the last of them still writes into the profile. */
void browser_kill(pid_t pid)
{
    process_stop(pid, BROWSER_STOP_MS);
    wait_until(group_is_gone, &pid, BROWSER_STOP_MS);
}

struct awaited {
    const char *path, *log;
    pid_t pid;
    char *text;
};

static bool file_is_there(void *arg)
{
    struct awaited *a = arg;
    free(a->text);
    a->text = file_read(a->path);
    if (process_ended(a->pid, NULL)) {
        char *log = file_read(a->log);
        fprintf(stderr, "tests: the browser has ended:\n%s\n", log ? log : "");
        exit(EXIT_FAILURE);
    }
    return a->text && *a->text;
}

char *browser_await_file(const char *path, pid_t pid, const char *log)
{
    struct awaited a = { .path = path, .log = log, .pid = pid };
    if (!wait_until(file_is_there, &a, BROWSER_START_MS)) {
        fprintf(stderr, "tests: %s does not come\n", path);
        exit(EXIT_FAILURE);
    }
    return a.text;
}
