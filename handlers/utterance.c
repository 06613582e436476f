/*
 * utterance.c - one message of a conversation, carried as a request.
 */
#include "handlers/utterance.h"

#include <stdlib.h>

#include "core/strict.h"
#include "core/text.h"
#include "handlers/talk.h"

enum {
    DEPTH_MAX = 64,
    REF_MAX = 64,            /* bytes of the client's own reference */
    REPLY_MAX = 1024 * 1024, /* of a handler; more than any of those that are reached says */
};

static const struct request_ops ops;

struct utterance *utterance_of(const struct request *r)
{
    return r->ops == &ops ? CONTAINER(r, struct utterance, request) : NULL;
}

/* ---- the request's door ---------------------------------------------------------------------- */

/* "name: value\n", names in lower case; walks them. */
static bool next_line(struct slice *rest, struct slice *name, struct slice *value)
{
    const char *colon = rest->len ? memchr(rest->at, ':', rest->len) : NULL;
    const char *end = colon ? memchr(colon, '\n', rest->len - (size_t)(colon - rest->at)) : NULL;

    if (!end)
        return false;
    *name = (struct slice){ rest->at, (size_t)(colon - rest->at) };
    *value = (struct slice){ colon + 2, (size_t)(end - colon) - 2 };
    *rest = (struct slice){ end + 1, rest->len - (size_t)(end + 1 - rest->at) };
    return true;
}

static struct slice find(struct slice lines, struct slice wanted)
{
    struct slice name, value;

    while (next_line(&lines, &name, &value))
        if (slice_is(name, wanted))
            return value;
    return SLICE_NONE;
}

static struct slice op_header(const struct request *r, const char *name)
{
    const struct utterance *u = utterance_of(r);
    struct slice own = find(buf_slice(&u->more), slice_of(name));

    return own.at ? own : find(talk_headers(u->talk), slice_of(name));
}

static void op_each_header(const struct request *r, header_fn *fn, void *arg)
{
    const struct utterance *u = utterance_of(r);
    struct slice rest = buf_slice(&u->more), name, value;

    while (next_line(&rest, &name, &value))
        fn(arg, name, value);
    rest = talk_headers(u->talk);
    while (next_line(&rest, &name, &value))
        if (!find(buf_slice(&u->more), name).at)
            fn(arg, name, value);
}

static enum rc op_begin(struct request *r, int status, struct slice headers)
{
    struct utterance *u = utterance_of(r);
    struct slice retry = SLICE("Retry-After: ");
    const char *at = headers.len ? memmem(headers.at, headers.len, retry.at, retry.len) : NULL;

    u->status = status;
    if (at)
        u->retry_after_s = atoi(at + retry.len);
    return RC_OK;
}

static enum rc op_write(struct request *r, struct slice bytes)
{
    struct utterance *u = utterance_of(r);

    if (u->reply.len + bytes.len > REPLY_MAX)
        return RC_LIMIT;
    buf_put(&u->reply, bytes);
    return buf_rc(&u->reply);
}

static enum rc op_lend(struct request *r, struct block *block)
{
    return op_write(r, block_slice(block));
}

static size_t op_queued(const struct request *r)
{
    (void)r;
    return 0;
}

static void op_end(struct request *r)
{
    struct utterance *u = utterance_of(r);

    if (r->broken) {
        u->status = 503;
        u->reply.len = 0;
    }
    talk_answer(u);
}

static const struct request_ops ops = {
    .header = op_header,
    .each_header = op_each_header,
    .begin = op_begin,
    .write = op_write,
    .lend = op_lend,
    .end = op_end,
    .queued = op_queued,
};

/* ---- life ------------------------------------------------------------------------------------ */

/* Whoever has answered may still look at the request: it goes when the stack is empty again. */
static void on_turn(struct turn *turn)
{
    struct utterance *u = CONTAINER(turn, struct utterance, turn);

    json_decref(u->message);
    buf_fini(&u->ref);
    buf_fini(&u->query);
    buf_fini(&u->body);
    buf_fini(&u->more);
    buf_fini(&u->reply);
    free(u);
}

void utterance_drop(struct utterance *u)
{
    if (u->link) {
        *u->link = u->next;
        if (u->next)
            u->next->link = u->link;
        u->link = NULL;
    }
    if (u->request.reply_ops)
        request_gone(&u->request);
    u->request.ended = 1;
    turn_add(u->request.server, &u->turn);
}

static const char *read_ref(struct utterance *u)
{
    const json_t *ref = json_object_get(u->message, "ref");
    char *text;

    if (!ref)
        return NULL;
    if (!json_is_integer(ref) && (!json_is_string(ref) || json_string_length(ref) > REF_MAX))
        return "ref must be a whole number, or a string of at most 64 bytes";
    text = json_dumps(ref, JSON_ENCODE_ANY);
    buf_puts(&u->ref, text ? text : "");
    free(text);
    return NULL;
}

/* What it is, as far as it can be understood; u->why: why it cannot. */
static void read_message(struct utterance *u, struct slice text)
{
    const json_t *name;

    if (strict_read_value(text, DEPTH_MAX, &u->message, &u->why) != RC_OK)
        return;
    if (!json_is_object(u->message))
        u->why = "is not a JSON object";
    else
        u->why = read_ref(u);
    if (u->why)
        return;
    name = json_object_get(u->message, "do");
    u->command = json_is_string(name) ? talk_command(json_string_value(name)) : NULL;
    if (!u->command)
        u->why = json_is_string(name) ? "says to do something that is unknown here"
                                      : "does not say what to do: {\"do\":\"subscribe\",…}";
}

struct utterance *utterance_new(struct talk *talk, struct server *server, struct slice message)
{
    struct utterance *u = calloc(1, sizeof(*u));

    if (!u)
        return NULL;
    u->talk = talk;
    u->turn.run = on_turn;
    u->request = (struct request){ .ops = &ops, .server = server };
    read_message(u, message);
    return u;
}

void utterance_serve(struct utterance *u, struct slice remote, struct slice mount)
{
    struct request_head head = {
        .method = SLICE("POST"), .mount = mount, .path = SLICE(TALK_PATH), .remote = remote
    };

    if (!u->why && u->command->translate)
        u->command->translate(u);
    if (buf_rc(&u->query) != RC_OK || buf_rc(&u->body) != RC_OK || buf_rc(&u->more) != RC_OK)
        u->why = "cannot be taken for want of memory";
    if (!u->why) {
        head.method = slice_of(u->command->method);
        head.path = slice_of(u->command->path);
    }
    head.query = buf_slice(&u->query);
    head.body = buf_slice(&u->body);
    u->request.head = &head;
    request_serve(&u->request);
    if (u->request.head == &head)
        u->request.head = NULL;
}

struct slice slice_of_json(const json_t *string)
{
    return (struct slice){ json_string_value(string), json_string_length(string) };
}

void query_put(struct buf *query, const char *name, struct slice value)
{
    buf_printf(query, "%s%s=", query->len ? "&" : "", name);
    for (size_t i = 0; i < value.len; i++)
        buf_printf(query, "%%%02X", (unsigned char)value.at[i]);
}
