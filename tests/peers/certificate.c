/*
 * certificate.c - certificates for tests, made by openssl(1) while they run.
 */
#include "tests/peers/certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/peers/process.h"

enum { DEADLINE_MS = 20000 };

static void must(bool done, const char *what)
{
    if (done)
        return;
    fprintf(stderr, "certificate: cannot %s\n", what);
    exit(EXIT_FAILURE);
}

void certificate_make_for(const char *folder, const char *name, int days, const char *type,
                          const char *others)
{
    char *pem = text_of("%s/%s.pem", folder, name), *key = text_of("%s/%s.key", folder, name);
    char *subject = text_of("/CN=%s", name), *good_for = text_of("%d", days);
    char *names = text_of("subjectAltName=%s", others);
    const char *const argv[] = { "openssl",
                                 "req",
                                 "-x509",
                                 "-newkey",
                                 type,
                                 "-pkeyopt",
                                 strcmp(type, "ec") == 0 ? "ec_paramgen_curve:prime256v1"
                                                         : "rsa_keygen_bits:2048",
                                 "-nodes",
                                 "-subj",
                                 subject,
                                 "-days",
                                 good_for,
                                 "-out",
                                 pem,
                                 "-keyout",
                                 key,
                                 *others ? "-addext" : NULL,
                                 names,
                                 NULL };

    must(process_run(&(struct process_spec){ .argv = argv, .log = "/dev/null" }, DEADLINE_MS) == 0,
         "make one: openssl req failed");
    must(chmod(key, 0600) == 0, "chmod");
    free(pem);
    free(key);
    free(subject);
    free(good_for);
    free(names);
}

void certificate_make(const char *folder, const char *name, int days)
{
    certificate_make_for(folder, name, days, "ec", "DNS:localhost,IP:127.0.0.1");
}

static void copy_over(const char *folder, const char *name, const char *by, const char *suffix)
{
    char *from = text_of("%s/%s.%s", folder, by, suffix);
    char *to = text_of("%s/%s.%s", folder, name, suffix), *new = text_of("%s.new", to);
    char *text = file_read(from);

    must(text != NULL, "read");
    file_write(new, slice_of(text));
    must(chmod(new, 0600) == 0 && rename(new, to) == 0, "exchange");
    free(text);
    free(from);
    free(to);
    free(new);
}

void certificate_replace(const char *folder, const char *name, const char *by)
{
    copy_over(folder, name, by, "pem");
    copy_over(folder, name, by, "key");
}
