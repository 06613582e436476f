/*
 * streams.c - GET /events, /stream and /ws: which face a stream has for whom (stream.h).
 */
#include <stdlib.h>

#include "handlers/listen.h"
#include "handlers/problem.h"
#include "handlers/serve.h"
#include "handlers/stream.h"

static void serve(const struct visit *v, struct query *q, enum face_name name,
                  const struct slice *protocol)
{
    if (v->is_head) {
        stream_head(v, name, q);
        return;
    }
    struct stream *s = calloc(1, sizeof(*s));
    if (!s) {
        problem_no_memory(v->request, v->common, "Out of memory.");
        return;
    }
    s->face = (uint8_t)name;
    s->follow.who = *v->who;
    if (!stream_open(v, s, q, protocol) || s->over)
        free(s);
}

struct face_of_format {
    enum query_format format;
    enum face_name face;
};

/* False: it is not one of these. */
static bool serve_format(const struct visit *v, struct query *q, const struct face_of_format *known,
                         size_t n, const struct slice *protocol)
{
    for (size_t i = 0; i < n; i++)
        if (q->format == known[i].format) {
            serve(v, q, known[i].face, protocol);
            return true;
        }
    return false;
}

void stream_events(const struct visit *v)
{
    static const struct face_of_format known[] = {
        { FORMAT_NONE, FACE_SSE },      { FORMAT_RAW, FACE_SSE },
        { FORMAT_JSON, FACE_SSE_JSON }, { FORMAT_CLOUD, FACE_SSE_CLOUD },
        { FORMAT_SSE, FACE_SSE_TOLD },
    };
    struct query q;

    if (listen_read(v, &q) && !serve_format(v, &q, known, LENGTH(known), NULL))
        problem_reply(v->request, v->common, 400,
                      "/events knows format=raw, format=json, format=sse and format=cloudevents; "
                      "the others are for /stream.");
    query_fini(&q);
}

void stream_lines(const struct visit *v)
{
    static const struct face_of_format known[] = {
        { FORMAT_NONE, FACE_LINES },
        { FORMAT_NDJSON, FACE_LINES },
        { FORMAT_CLOUD, FACE_LINES_CLOUD },
        { FORMAT_FRAME, FACE_FRAME },
    };
    struct query q;

    if (listen_read(v, &q)) {
        if (q.format == FORMAT_FRAME && q.callback.len == 0)
            problem_reply(v->request, v->common, 400,
                          "format=frame calls a function of the page around it: name it with "
                          "callback=, such as callback=onEvent for parent.onEvent.");
        else if (!serve_format(v, &q, known, LENGTH(known), NULL))
            problem_reply(v->request, v->common, 400,
                          "/stream knows format=ndjson, format=cloudevents and format=frame; the "
                          "others are for /events.");
    }
    query_fini(&q);
}

void stream_messages(const struct visit *v)
{
    static const struct face_of_format known[] = {
        { FORMAT_NONE, FACE_MESSAGES },
        { FORMAT_JSON, FACE_MESSAGES },
        { FORMAT_SSE, FACE_SSE_TOLD },
    };
    struct query q;

    if (listen_read(v, &q) && !serve_format(v, &q, known, LENGTH(known), &SLICE("")))
        problem_reply(v->request, v->common, 400,
                      "/ws knows format=json and format=sse; the others are for /events and "
                      "/stream.");
    query_fini(&q);
}
