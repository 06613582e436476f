/*
 * browser_webdriver.c - see browser_webdriver.h.
 */
#include "tests/peers/browser_webdriver.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/peers/process.h"

static size_t on_bytes(char *at, size_t size, size_t n, void *arg)
{
    buf_put(arg, (struct slice){ at, size * n });
    return size * n;
}

/* Gives the answer, which has a "value". */
static json_t *ask(struct webdriver *w, const char *method, const char *url, json_t *params,
                   char **error)
{
    char *body = json_dumps(params, JSON_COMPACT);
    struct buf answer = BUF_EMPTY;
    struct curl_slist *type = curl_slist_append(NULL, "Content-Type: application/json");

    json_decref(params);
    curl_easy_reset(w->curl);
    curl_easy_setopt(w->curl, CURLOPT_URL, url);
    curl_easy_setopt(w->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(w->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(w->curl, CURLOPT_TIMEOUT_MS, (long)BROWSER_ANSWER_MS);
    curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, type);
    if (strcmp(method, "POST") == 0)
        curl_easy_setopt(w->curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(w->curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(w->curl, CURLOPT_WRITEDATA, &answer);
    CURLcode code = curl_easy_perform(w->curl);
    json_t *all = code ? NULL : json_loadb(answer.at ? answer.at : "", answer.len, 0, NULL);
    json_t *value = json_object_get(all, "value");
    if (!value || json_object_get(value, "error") ||
        json_integer_value(json_object_get(all, "status"))) {
        *error = text_of("%s %.*s", code ? curl_easy_strerror(code) : "", (int)answer.len,
                         answer.at ? answer.at : "");
        json_decref(all);
        all = NULL;
    }
    curl_slist_free_all(type);
    buf_fini(&answer);
    free(body);
    return all;
}

void webdriver_init(struct webdriver *w, const char *name, int port, json_t *params)
{
    char *url = text_of("http://127.0.0.1:%d/session", port), *error = NULL;

    if (!(w->curl = curl_easy_init()))
        abort();
    json_t *answer = ask(w, "POST", url, params, &error);
    json_t *id = json_object_get(json_object_get(answer, "value"), "sessionId");
    if (!id) /* the older protocol has it beside the value */
        id = json_object_get(answer, "sessionId");
    if (!json_is_string(id)) {
        fprintf(stderr, "tests: %s: no session: %s\n", name, error ? error : "");
        exit(EXIT_FAILURE);
    }
    w->base = text_of("%s/%s", url, json_string_value(id));
    json_decref(answer);
    free(url);
}

void webdriver_fini(struct webdriver *w)
{
    curl_easy_cleanup(w->curl);
    free(w->base);
}

json_t *webdriver_command(struct webdriver *w, const char *method, const char *path,
                          const char *element, json_t *params, char **error)
{
    const char *star = strchr(path, '*');
    char *url = star ? text_of("%s%.*s%s%s", w->base, (int)(star - path), path, element, star + 1)
                     : text_of("%s%s", w->base, path);
    json_t *answer = ask(w, method, url, params, error);
    json_t *value = json_incref(json_object_get(answer, "value"));
    json_decref(answer);
    free(url);
    return value;
}
