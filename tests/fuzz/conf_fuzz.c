/*
 * conf_fuzz.c - a file is either fine or its mistakes are told, one line each; whatever was taken
 * is printed in a form that reads back to the same.
 */
#include "core/conf.h"
#include "tests/fuzz/fuzz.h"

/* Values only: the comments say where they come from, which is not the same the second time. */
static struct buf printed_values(const struct conf *c)
{
    struct buf all = BUF_EMPTY, values = BUF_EMPTY;
    conf_print(c, &all);
    struct slice rest = buf_slice(&all), line;
    while (line_next(&rest, &line)) {
        if (line.len > 0 && line.at[0] != '#') {
            buf_put(&values, line);
            buf_putc(&values, '\n');
        }
    }
    must(buf_rc(&values) == RC_OK);
    buf_fini(&all);
    return values;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf conf, again;
    struct buf errors = BUF_EMPTY;
    struct slice text = exact_copy(data, size);
    must(conf_init(&conf) == RC_OK && conf_init(&again) == RC_OK);
    enum rc rc = conf_read_text(&conf, "fuzz.conf", text, &errors);
    must(rc == RC_OK || rc == RC_SYNTAX);
    must((rc == RC_SYNTAX) == (errors.len > 0));
    struct slice rest = buf_slice(&errors), line;
    while (line_next(&rest, &line))
        must(line.len > 10 && memcmp(line.at, "fuzz.conf:", 10) == 0);

    static const char *const secrets[] = { "publish_key=", "token_key=", "database=",
                                           "listen_database=" };
    for (size_t i = 0; i < LENGTH(secrets); i++) /* these are not printed, or not always */
        must(conf_set(&conf, secrets[i], "fuzz", &errors) == RC_OK);
    struct buf first = printed_values(&conf);
    errors.len = 0;
    must(conf_read_text(&again, "printed", buf_slice(&first), &errors) == RC_OK);
    struct buf second = printed_values(&again);
    must(slice_is(buf_slice(&first), buf_slice(&second)));

    if (!*conf.publish_key_file && !*conf.token_key_file && !*conf.token_keys_file) {
        /* they would be opened */
        errors.len = 0;
        rc = conf_check(&conf, &errors);
        must((rc == RC_SYNTAX) == (errors.len > 0));
    }
    buf_fini(&first);
    buf_fini(&second);
    buf_fini(&errors);
    conf_fini(&conf);
    conf_fini(&again);
    free((char *)text.at);
    return 0;
}
