/*
 * publisher_post.c - POST /publish, behind any front, with an Idempotency-Key: whatever happens to
 * an answer, the same is asked again until one says what became of it.
 */
#include <stdlib.h>

#include "core/text.h"
#include "tests/faults/publisher_priv.h"
#include "tests/peers/http.h"
#include "tests/peers/process.h"

enum {
    ANSWER_MS = 5000,
    AGAIN_LEAST_MS = 50,
    AGAIN_MOST_MS = 200,
    AGAIN_TOLD_MS = 1000, /* with a Retry-After, which counts in seconds */
    LAST_TRIES_MS = 10000,
    BATCH_MAX = 5,
};

struct post {
    char *target, *key, *authorization;
    const char *type;
    struct buf body;
};

static void add_name(struct buf *names, const char *name, const char *topic)
{
    buf_printf(names, "\t%s:%s", name, topic);
}

static void make_single(struct publisher *p, struct post *post, struct buf *names)
{
    char name[NAME_TEXT_MAX];
    const char *topic = publisher_topic(p);
    struct buf target = BUF_EMPTY;

    publisher_name(p, name);
    add_name(names, name, topic);
    publisher_data(p, name, &post->body);
    post->body.len--; /* its NUL */
    post->type = "Content-Type: text/plain; charset=utf-8";
    buf_puts(&target, "/push/publish?topic=");
    load_put_encoded(&target, topic);
    buf_putc(&target, '\0');
    post->target = target.at;
}

static void make_batch(struct publisher *p, struct post *post, struct buf *names)
{
    int64_t n = choose(p, 2, BATCH_MAX);

    for (int64_t i = 0; i < n; i++) {
        char name[NAME_TEXT_MAX];
        const char *topic = publisher_topic(p);
        struct buf data = BUF_EMPTY;
        publisher_name(p, name);
        add_name(names, name, topic);
        publisher_data(p, name, &data);
        buf_puts(&post->body, i ? ",{\"topic\":" : "[{\"topic\":");
        json_put_string(&post->body, slice_of(topic));
        buf_puts(&post->body, ",\"data\":");
        json_put_string(&post->body, slice_of(data.at));
        buf_putc(&post->body, '}');
        buf_fini(&data);
    }
    buf_putc(&post->body, ']');
    post->type = "Content-Type: application/json";
    post->target = text_of("/push/publish");
}

/* What is certain after one try; *again_ms: otherwise, when to try again. */
static enum outcome try_once(struct publisher *p, const struct post *post, int64_t *again_ms)
{
    size_t front = (size_t)choose(p, 0, (int64_t)p->spec->n_fronts - 1);
    const char *headers[] = { post->key, post->authorization, post->type, NULL };
    const struct http_ask ask = { .port = p->spec->fronts[front].port,
                                  .method = "POST",
                                  .target = post->target,
                                  .headers = headers,
                                  .body = buf_slice(&post->body) };
    struct http *h = http_new(&ask);
    int64_t until = now_ms() + ANSWER_MS, left;
    enum outcome outcome = OUTCOME_UNKNOWN;

    while (!http_ended(h) && (left = until - now_ms()) > 0)
        (void)http_wait(h, left);
    bool told = http_header(h, "Retry-After");
    *again_ms = choose(p, AGAIN_LEAST_MS, told ? AGAIN_TOLD_MS : AGAIN_MOST_MS);
    int status = http_status(h);
    if (status == 201 || status == 202)
        outcome = OUTCOME_COMMITTED;
    else if (status >= 400 && status < 500 && status != 408 && status != 409 && status != 429)
        load_fail("POST %s behind %s is answered %d: %.*s", post->target,
                  p->spec->fronts[front].name, status, (int)http_body(h).len, http_body(h).at);
    http_free(h);
    return outcome;
}

enum outcome publisher_post(struct publisher *p, int64_t *before_us, struct buf *names)
{
    struct post post = { .body = BUF_EMPTY };
    enum outcome outcome;
    int64_t give_up_ms = 0, again_ms;

    if (choose(p, 0, 2) == 0)
        make_batch(p, &post, names);
    else
        make_single(p, &post, names);
    post.key =
        text_of("Idempotency-Key: %lld-%d.%d", (long long)p->born_us, p->number, p->transaction);
    post.authorization = text_of("Authorization: Bearer %s", p->spec->key);
    *before_us = now_us();
    while ((outcome = try_once(p, &post, &again_ms)) == OUTCOME_UNKNOWN) {
        if (load_told_to_finish && !give_up_ms)
            give_up_ms = now_ms() + LAST_TRIES_MS;
        if (give_up_ms && now_ms() >= give_up_ms)
            break;
        publisher_pause(again_ms);
    }
    free(post.target);
    free(post.key);
    free(post.authorization);
    buf_fini(&post.body);
    return outcome;
}
