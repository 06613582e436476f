/*
 * fcgi_params_fuzz.c - meta-variables from anybody: what comes out lies within what came in, pairs
 * put together again are the same pairs, and mount and path are the front's address.
 */
#include "fcgi/params.h"
#include "tests/fuzz/fuzz.h"

static bool within(struct slice part, struct slice whole)
{
    return part.len == 0 || (part.at >= whole.at && part.len <= whole.len &&
                             (size_t)(part.at - whole.at) <= whole.len - part.len);
}

static void check_pairs(struct slice params)
{
    struct buf again = BUF_EMPTY;
    struct slice rest = params, name, value, other = SLICE_NONE, n, v;

    while (params_next(&rest, &name, &value) == RC_OK) {
        must(within(name, params) && within(value, params));
        params_put(&again, name, value);
    }
    must(buf_rc(&again) == RC_OK);
    other = buf_slice(&again);
    rest = params;
    while (params_next(&rest, &name, &value) == RC_OK) {
        must(params_next(&other, &n, &v) == RC_OK);
        must(slice_is(name, n) && slice_is(value, v));
    }
    must(params_next(&other, &n, &v) == RC_AGAIN);
    buf_fini(&again);
}

static void check_head(struct slice params)
{
    struct request_head head = { .body = SLICE_NONE };
    struct buf scratch = BUF_EMPTY;
    enum rc rc = params_head(params, &head, &scratch);
    const struct slice all[] = { head.method, head.mount, head.path, head.query, head.remote };

    must(rc == RC_OK || rc == RC_SYNTAX);
    for (size_t i = 0; rc == RC_OK && i < LENGTH(all); i++)
        must(within(all[i], params) || within(all[i], buf_slice(&scratch)));
    if (rc == RC_OK) {
        must(head.method.len > 0);
        if (params_get(params, "PATH_INFO").len > 0)
            must(slice_is(head.path, params_get(params, "PATH_INFO")));
    }
    buf_fini(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const headers[] = { "authorization", "content-type", "content-length",
                                           "last-event-id", "x" };
    struct slice params = exact_copy(data, size);

    check_pairs(params);
    check_head(params);
    for (size_t i = 0; i < LENGTH(headers); i++)
        must(within(params_header(params, headers[i]), params));
    (void)params_body_is_whole(params, size);
    free((char *)(uintptr_t)params.at);
    return 0;
}
