/*
 * script_test.c - the client's files before any browser sees them: their language, size, types and
 * modules.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/peers/process.h"
#include "tests/suite.h"

enum { ANSWER_MS = 60000 };

/* What sh says to a line, with the folder of the sources as $1; gives.  Fails the test unless sh
   succeeds. */
static char *sh(const char *line)
{
    char *folder = temp_folder("script"), *log = text_of("%s/log", folder);
    const char *const argv[] = { "sh", "-euc", line, "sh", getenv("BELLPUSH_TEST_TOP"), NULL };
    /* Debian's own node looks there by itself. */
    const char *const env[] = { "NODE_PATH=/usr/share/nodejs", NULL };
    int status = process_run(
        &(struct process_spec){ .argv = argv, .env = env, .log = log, .dir = folder }, ANSWER_MS);
    char *said = file_read(log);

    ck_assert_msg(status == 0, "%s: %d: %s", line, status, said ? said : "");
    free(log);
    free(folder);
    return said ? said : text_of("%s", "");
}

START_TEST(scripts_are_es3)
{
    free(sh("node $1/tests/browser/script/es3.js $1/www/*.js"));
}
END_TEST

START_TEST(what_is_not_es3_is_found)
{
    static const char *const lines[] = { "a.default = 1",
                                         "a = { class: 1 }",
                                         "a = [1,].map(b => b)",
                                         "a = { b: 1, }",
                                         "a = { get b() { return 1 } }",
                                         "let a",
                                         "var int" };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char *line =
            text_of("echo '%s' >x.js; ! node $1/tests/browser/script/es3.js x.js", lines[i]);
        free(sh(line));
        free(line);
    }
}
END_TEST

/* Minified and compressed, as a site would serve it. */
START_TEST(scripts_are_small)
{
    static const struct {
        const char *name;
        int most;
    } files[] = { { "bellpush.js", 5120 }, { "bellpush-share.js", 1640 } };

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *line = text_of("terser --ie8 -c -m <$1/www/%s | gzip -9n | wc -c", files[i].name);
        char *said = sh(line);
        int size = atoi(said);
        printf("client: %s: %d of %d bytes\n", files[i].name, size, files[i].most);
        ck_assert_int_gt(size, 500);
        ck_assert_int_le(size, files[i].most);
        free(said);
        free(line);
    }
}
END_TEST

START_TEST(types_are_strict)
{
    free(sh("tsc --strict --noEmit --module commonjs --lib es2015,dom "
            "$1/tests/browser/script/use.ts"));
}
END_TEST

/* What the types name has its place in the documentation: each heading there is one or more. */
START_TEST(docs_have_every_option_and_method)
{
    free(sh("for name in $(sed -n '/interface Options/,/^    }/s/^ *\\([a-zA-Z]*\\)?:.*/\\1/p' "
            "$1/www/bellpush.d.ts) on publish reconnect close report share EventSource polyfill; do"
            "    grep -q \"<h3>.*\\b$name\\b\" $1/www/docs.html || { echo $name; exit 1; };"
            "done"));
    free(sh("test $(sed -n '/interface Options/,/^    }/p' $1/www/bellpush.d.ts | grep -c '?:') "
            "-ge 10"));
}
END_TEST

START_TEST(modules_of_both_kinds_give_the_same)
{
    free(sh("node -e \"var b = require('$1/www'); process.exit(typeof b === 'function' && "
            "typeof b.polyfill === 'function' ? 0 : 1)\""));
    free(sh("echo \"import b from '$1/www/bellpush.mjs'; "
            "process.exit(typeof b.polyfill === 'function' ? 0 : 1)\" >x.mjs; node x.mjs"));
}
END_TEST

SUITE(script)
{
    tcase_add_test(tc, scripts_are_es3);
    tcase_add_test(tc, what_is_not_es3_is_found);
    tcase_add_test(tc, scripts_are_small);
    tcase_add_test(tc, types_are_strict);
    tcase_add_test(tc, docs_have_every_option_and_method);
    tcase_add_test(tc, modules_of_both_kinds_give_the_same);
}
