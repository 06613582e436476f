/*
 * certificate.h - certificates for tests, made by openssl(1) while they run.
 */
#ifndef TESTS_PEERS_CERTIFICATE_H
#define TESTS_PEERS_CERTIFICATE_H

/*
 * Make FOLDER/NAME.pem and FOLDER/NAME.key (P-256, mode 0600): signed by itself, for localhost and
 * 127.0.0.1, with NAME as its common name, good for so many days.
 */
void certificate_make(const char *folder, const char *name, int days);

/* The same of such a type, "ec" or "rsa", for others: "DNS:a.example,DNS:*.b.example"; "": nobody.
 */
void certificate_make_for(const char *folder, const char *name, int days, const char *type,
                          const char *others);

/* Let the files of one be those of another from now on; each is exchanged in one step. */
void certificate_replace(const char *folder, const char *name, const char *by);

#endif
