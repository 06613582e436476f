/*
 * hub.c - the tree of topic levels.
 *
 *      root --- "orders" --- "42" --- "status"     subscribers of orders/42/status hang here
 *                 |   |
 *                 |   '---- '+' --- "status"       orders/+/status
 *                 '-------- '#'                    orders/#
 *
 * Each node keeps its literal children in a hash table of its own, its '+' and '#' children in two
 * slots.  A publish follows, from each node reached, at most three ways, and no node is reached
 * twice, so however hostile the filters, it looks at no more nodes than there are.  The walk needs
 * no stack: a node knows its parent and which way it was reached.
 *
 * A node's subscribers are an array, so that the walk knows long before which memory it will need.
 * While a publish walks, from the array's end to its beginning, deliver() may do what it likes with
 * subscriptions:
 *   - who goes leaves its place to the array's last, who has been told or is still ahead;
 *   - a node that becomes useless is kept until the walk is over (hub->idle);
 *   - who comes is marked as told already.
 *
 * Hashes are keyed (SipHash): filters come from strangers, who must not choose our collisions.
 */
#include "core/hub.h"
#include "core/topic.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

/* Small, both: there may be a hundred thousand. */
struct hub_link {
    struct node *node;
    uint32_t place; /* in node->ears */
};

struct ear {
    struct subscriber *subscriber;
    struct hub_link *link;
};

/* One allocation per subscription; subscriber.links points at the first link. */
struct links {
    size_t n;
    struct hub_link at[];
};

enum { AHEAD = 4 }; /* subscribers whose memory is on its way while others are told */

enum node_kind { NODE_LITERAL, NODE_PLUS, NODE_HASH };

struct node {
    struct node *parent;
    struct node *next; /* in the parent's slot */
    struct node **slots;
    struct node *plus, *hash;
    struct ear *ears; /* who is subscribed, in no order that matters */
    struct node *next_idle;
    uint64_t key;
    uint32_t ear_count, ear_room;
    uint32_t child_count; /* literal ones */
    uint32_t slot_count;  /* a power of two, or 0 */
    uint16_t level_len;
    uint8_t kind;
    bool idle; /* waits for prune() */
    char level[];
};

struct hub {
    struct node *root;
    struct node *idle;
    bool walking;
    int64_t walks;
    uint64_t visited;
    size_t subscribers, filters;
    unsigned char hash_key[crypto_shorthash_KEYBYTES];
};

static struct links *links_of(const struct subscriber *s)
{
    return CONTAINER(s->links, struct links, at);
}

static uint64_t level_key(const struct hub *hub, struct slice level)
{
    unsigned char out[crypto_shorthash_BYTES];
    uint64_t key;
    crypto_shorthash(out, (const unsigned char *)level.at, level.len, hub->hash_key);
    memcpy(&key, out, sizeof key);
    return key;
}

/* --- nodes --------------------------------------------------------------------------------- */

static struct node *node_new(struct node *parent, enum node_kind kind, struct slice level,
                             uint64_t key)
{
    struct node *n = malloc(sizeof *n + level.len);
    if (!n)
        return NULL;
    *n = (struct node){ .parent = parent, .kind = (uint8_t)kind, .key = key };
    n->level_len = (uint16_t)level.len;
    if (level.len)
        memcpy(n->level, level.at, level.len);
    return n;
}

static void node_free(struct node *n)
{
    free(n->ears);
    free(n->slots);
    free(n);
}

static struct node *find_literal(const struct node *n, struct slice level, uint64_t key)
{
    if (n->slot_count == 0)
        return NULL;
    struct node *child = n->slots[key & (n->slot_count - 1)];
    while (child && !(child->key == key && child->level_len == level.len &&
                      memcmp(child->level, level.at, level.len) == 0))
        child = child->next;
    return child;
}

/* False: no memory, all is as before. */
static bool resize(struct node *n, uint32_t slot_count)
{
    struct node **slots = calloc(slot_count, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < n->slot_count; i++) {
        for (struct node *child = n->slots[i], *next; child; child = next) {
            struct node **slot = &slots[child->key & (slot_count - 1)];
            next = child->next;
            child->next = *slot;
            *slot = child;
        }
    }
    free(n->slots);
    n->slots = slots;
    n->slot_count = slot_count;
    return true;
}

/* The '+', '#' or literal child of n; made if it is not there.  NULL: no memory. */
static struct node *intern_child(struct hub *hub, struct node *n, struct slice level)
{
    bool plus = slice_is(level, SLICE("+")), hash = slice_is(level, SLICE("#"));
    if (plus || hash) {
        struct node **place = plus ? &n->plus : &n->hash;
        if (!*place)
            *place = node_new(n, plus ? NODE_PLUS : NODE_HASH, level, 0);
        return *place;
    }
    uint64_t key = level_key(hub, level);
    struct node *child = find_literal(n, level, key);
    if (child)
        return child;
    /* A table that cannot grow is only slower; but there must be one. */
    if (n->child_count >= n->slot_count)
        if (!resize(n, n->slot_count ? n->slot_count * 2 : 1) && n->slot_count == 0)
            return NULL;
    child = node_new(n, NODE_LITERAL, level, key);
    if (!child)
        return NULL;
    struct node **slot = &n->slots[key & (n->slot_count - 1)];
    child->next = *slot;
    *slot = child;
    n->child_count++;
    return child;
}

static void remove_from_parent(struct node *n)
{
    struct node *parent = n->parent;
    if (n->kind == NODE_PLUS) {
        parent->plus = NULL;
    } else if (n->kind == NODE_HASH) {
        parent->hash = NULL;
    } else {
        struct node **place = &parent->slots[n->key & (parent->slot_count - 1)];
        while (*place != n)
            place = &(*place)->next;
        *place = n->next;
        parent->child_count--;
        /* Far below its size: shrink, or stay as it is when that finds no memory. */
        if (parent->slot_count > 8 && parent->child_count < parent->slot_count / 8)
            (void)resize(parent, parent->slot_count / 4);
    }
}

/* Free the node and those above it, as far as nobody needs them; later, if a walk is under way. */
static void prune(struct hub *hub, struct node *n)
{
    while (n->parent && !n->idle && !n->ear_count && !n->child_count && !n->plus && !n->hash) {
        if (hub->walking) {
            n->idle = true;
            n->next_idle = hub->idle;
            hub->idle = n;
            return;
        }
        struct node *parent = n->parent;
        remove_from_parent(n);
        node_free(n);
        n = parent;
    }
}

static void sweep(struct hub *hub)
{
    while (hub->idle) {
        struct node *n = hub->idle;
        hub->idle = n->next_idle;
        n->idle = false;
        prune(hub, n);
    }
}

/* The node of a filter; made if it is not there.  NULL: no memory, nothing was made. */
static struct node *intern(struct hub *hub, struct slice filter)
{
    struct node *n = hub->root;
    for (;;) {
        const char *slash = filter.len ? memchr(filter.at, '/', filter.len) : NULL;
        struct slice level = { filter.at, slash ? (size_t)(slash - filter.at) : filter.len };
        struct node *child = intern_child(hub, n, level);
        if (!child) {
            prune(hub, n);
            return NULL;
        }
        if (!slash)
            return child;
        n = child;
        filter.at += level.len + 1;
        filter.len -= level.len + 1;
    }
}

/* Write the filter of a node to the end of room[]; lends it from there. */
static struct slice node_filter(const struct node *n, char room[TOPIC_MAX])
{
    size_t at = TOPIC_MAX;
    for (; n->parent; n = n->parent) {
        at -= n->level_len;
        memcpy(room + at, n->level, n->level_len);
        if (n->parent->parent)
            room[--at] = '/';
    }
    return (struct slice){ room + at, TOPIC_MAX - at };
}

/* --- the hub and its subscribers ------------------------------------------------------------- */

struct hub *hub_new(void)
{
    struct hub *hub = calloc(1, sizeof *hub);
    if (!hub)
        return NULL;
    hub->root = node_new(NULL, NODE_LITERAL, SLICE_NONE, 0);
    if (!hub->root) {
        free(hub);
        return NULL;
    }
    randombytes_buf(hub->hash_key, sizeof hub->hash_key);
    return hub;
}

void hub_free(struct hub *hub)
{
    if (!hub)
        return;
    assert(hub->subscribers == 0);
    node_free(hub->root);
    free(hub);
}

/* Room for so many subscribers of a node.  False: no memory, all is as before. */
static bool make_room(struct node *n, uint32_t room)
{
    struct ear *ears = realloc(n->ears, room * sizeof *ears);
    if (!ears)
        return false;
    n->ears = ears;
    n->ear_room = room;
    return true;
}

/* False: no memory. */
static bool link_up(struct hub *hub, struct hub_link *link, struct subscriber *s, struct node *n)
{
    if (n->ear_count == n->ear_room && !make_room(n, n->ear_room + n->ear_room / 4 + 1))
        return false;
    *link = (struct hub_link){ .node = n, .place = n->ear_count };
    n->ears[n->ear_count] = (struct ear){ s, link };
    if (n->ear_count++ == 0)
        hub->filters++;
    return true;
}

static void unlink_one(struct hub *hub, const struct hub_link *link)
{
    struct node *n = link->node;
    struct ear last = n->ears[--n->ear_count];
    n->ears[link->place] = last;
    last.link->place = link->place;
    if (n->ear_count == 0)
        hub->filters--;
    else if (n->ear_count < n->ear_room / 4)
        (void)make_room(n, n->ear_room / 2); /* or it stays as it is */
    prune(hub, n);
}

static void unlink_all(struct hub *hub, struct links *links)
{
    for (size_t i = 0; i < links->n; i++)
        unlink_one(hub, &links->at[i]);
    free(links);
}

/* Does one of these hang here, because a filter was given twice?  Then it has come last. */
static bool is_among(const struct links *links, const struct node *n)
{
    const struct hub_link *link = n->ear_count ? n->ears[n->ear_count - 1].link : NULL;
    return link && link >= links->at && link < links->at + links->n;
}

/* NULL: no memory, and nothing has changed. */
static struct links *links_new(struct hub *hub, struct subscriber *s, const struct slice *filters,
                               size_t n)
{
    struct links *links = malloc(sizeof *links + n * sizeof links->at[0]);
    if (!links)
        return NULL;
    links->n = 0;
    for (size_t i = 0; i < n; i++) {
        struct node *node = intern(hub, filters[i]);
        if (node && is_among(links, node))
            continue;
        if (!node || !link_up(hub, &links->at[links->n], s, node)) {
            if (node)
                prune(hub, node);
            unlink_all(hub, links);
            return NULL;
        }
        links->n++;
    }
    return links;
}

enum rc hub_subscribe(struct hub *hub, struct subscriber *s, const struct slice *filters, size_t n)
{
    assert(!s->links && n > 0);
    struct links *links = links_new(hub, s, filters, n);
    if (!links)
        return RC_NOMEM;
    s->links = links->at;
    s->told = hub->walks;
    hub->subscribers++;
    return RC_OK;
}

enum rc hub_resubscribe(struct hub *hub, struct subscriber *s, const struct slice *filters,
                        size_t n)
{
    assert(s->links && n > 0 && !hub->walking);
    struct links *old = links_of(s), *links = links_new(hub, s, filters, n);
    if (!links)
        return RC_NOMEM;
    s->links = links->at;
    unlink_all(hub, old);
    return RC_OK;
}

void hub_unsubscribe(struct hub *hub, struct subscriber *s)
{
    if (!s->links)
        return;
    unlink_all(hub, links_of(s));
    s->links = NULL;
    hub->subscribers--;
}

size_t hub_subscribers(const struct hub *hub)
{
    return hub->subscribers;
}

size_t hub_filters(const struct hub *hub)
{
    return hub->filters;
}

uint64_t hub_visited(const struct hub *hub)
{
    return hub->visited;
}

bool hub_filter(const struct hub *hub, const struct subscriber *s, size_t i, struct buf *out)
{
    char room[TOPIC_MAX];
    if (!s->links || i >= links_of(s)->n)
        return false;
    buf_put(out, node_filter(s->links[i].node, room));
    return true;
}

bool hub_wants(const struct hub *hub, const struct subscriber *s, struct slice topic)
{
    char room[TOPIC_MAX];
    for (size_t i = 0; s->links && i < links_of(s)->n; i++)
        if (topic_matches(node_filter(s->links[i].node, room), topic))
            return true;
    return false;
}

/* --- publishing ---------------------------------------------------------------------------- */

/* The topic, cut into levels; hashed once each, however many nodes are asked for it. */
struct path {
    size_t n;
    struct {
        uint16_t at, len;
        bool hashed;
        uint64_t key;
    } levels[TOPIC_MAX + 1];
};

static void path_cut(struct path *path, struct slice topic)
{
    size_t from = 0;
    path->n = 0;
    for (size_t i = 0; i <= topic.len; i++) {
        if (i < topic.len && topic.at[i] != '/')
            continue;
        path->levels[path->n].at = (uint16_t)from;
        path->levels[path->n].len = (uint16_t)(i - from);
        path->levels[path->n++].hashed = false;
        from = i + 1;
    }
}

static struct node *literal_way(const struct hub *hub, const struct node *n, struct slice topic,
                                struct path *path, size_t depth)
{
    if (n->slot_count == 0)
        return NULL;
    struct slice level = { topic.at + path->levels[depth].at, path->levels[depth].len };
    if (!path->levels[depth].hashed) {
        path->levels[depth].key = level_key(hub, level);
        path->levels[depth].hashed = true;
    }
    return find_literal(n, level, path->levels[depth].key);
}

/* Have the processor fetch what a step to come will look at: with ten thousand subscribers none of
   it is in its cache. */
static void fetch_ahead(const struct subscriber *s)
{
    __builtin_prefetch(s, 1);
    __builtin_prefetch((const char *)s + 64, 1);
    __builtin_prefetch((const char *)s + 128, 1);
}

/* The hot loop: everybody who hangs at this node. */
static size_t tell(struct hub *hub, const struct node *at, struct run *run)
{
    size_t told = 0;
    for (uint32_t i = at->ear_count; i-- > 0;) {
        if (i >= at->ear_count) /* many have left */
            continue;
        struct subscriber *s = at->ears[i].subscriber;
        if (i >= AHEAD)
            fetch_ahead(at->ears[i - AHEAD].subscriber);
        if (s->told == hub->walks)
            continue;
        s->told = hub->walks;
        told++;
        s->deliver(s, run);
    }
    return told;
}

size_t hub_publish(struct hub *hub, struct run *run)
{
    struct slice topic = event_fields(run->events[0])->topic;
    struct path path;
    size_t told = 0, depth = 0;
    assert(!hub->walking && topic.len > 0 && topic.len <= TOPIC_MAX);

    hub->walking = true;
    hub->walks++;
    path_cut(&path, topic);
    const bool system = topic.at[0] == '$'; /* the root's wildcards do not match */

    struct node *n = hub->root;
    while (n) {
        /* Arriving: the first depth levels of the topic lead here. */
        hub->visited++;
        if (n->hash && !(system && depth == 0))
            told += tell(hub, n->hash, run);
        struct node *way = NULL;
        if (depth == path.n) {
            told += tell(hub, n, run);
        } else {
            way = literal_way(hub, n, topic, &path, depth);
            if (!way && !(system && depth == 0))
                way = n->plus;
        }
        if (way) {
            n = way;
            depth++;
            continue;
        }
        /* Going back, up to where a '+' has not been tried. */
        while (n->parent) {
            depth--;
            bool tried = n->kind == NODE_PLUS || (system && depth == 0);
            n = n->parent;
            if (!tried && n->plus) {
                way = n->plus;
                depth++;
                break;
            }
        }
        n = way;
    }
    hub->walking = false;
    sweep(hub);
    return told;
}

/* --- looking around ------------------------------------------------------------------------ */

static struct node *first_in_slots(const struct node *n, uint32_t from)
{
    for (uint32_t i = from; i < n->slot_count; i++)
        if (n->slots[i])
            return n->slots[i];
    return NULL;
}

static struct node *first_child(const struct node *n)
{
    struct node *child = first_in_slots(n, 0);
    return child ? child : n->plus ? n->plus : n->hash;
}

static struct node *next_sibling(const struct node *n)
{
    const struct node *parent = n->parent;
    if (n->kind == NODE_HASH)
        return NULL;
    if (n->kind == NODE_PLUS)
        return parent->hash;
    struct node *next = n->next;
    if (!next)
        next = first_in_slots(parent, (uint32_t)(n->key & (parent->slot_count - 1)) + 1);
    return next ? next : parent->plus ? parent->plus : parent->hash;
}

void hub_each(const struct hub *hub, bool (*fn)(void *arg, struct slice filter, size_t subscribers),
              void *arg)
{
    char room[TOPIC_MAX];
    const struct node *n = hub->root;
    while (n) {
        if (n->ear_count && !fn(arg, node_filter(n, room), n->ear_count))
            return;
        const struct node *next = first_child(n);
        while (!next && n->parent) {
            next = next_sibling(n);
            n = n->parent;
        }
        n = next;
    }
}
