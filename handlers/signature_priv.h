/*
 * signature_priv.h - what the schemes share.  For handlers/signature*.c.
 */
#ifndef HANDLERS_SIGNATURE_PRIV_H
#define HANDLERS_SIGNATURE_PRIV_H

#include "handlers/mac.h"
#include "handlers/signature.h"

enum {
    SIGNATURES_MAX = 16, /* of one delivery: a sender that rotates sends two */
    SECRETS_MAX = 16,
};

struct check { /* one delivery under examination */
    struct delivery *delivery;
    const struct hook *hook;
    const json_t *options;
    struct signature *out;
    int64_t tolerance_s; /* a signed time may differ so much from ours */

    /* what the scheme has read */
    struct slice timestamp, id;
    struct candidate {
        unsigned char bytes[MAC_MAX];
        size_t len;
    } signatures[SIGNATURES_MAX];
    size_t n;
    const struct slice *keys; /* NULL: the hook's secrets as they are */
    size_t key_count;
};

/* What is signed, and with what: "v0:{timestamp}:{body}" */
struct recipe {
    enum mac mac;
    struct slice signed_as;
};

enum { PIECES_MAX = 16 };

/* Each returns false after it has said why not. */
bool check_fails(struct check *, enum signature_word, const char *format, ...) PRINTF(3, 4);
/* A header that must be there, once. */
bool check_header(struct check *, struct slice name, struct slice *out);
/* One that may be there, once. */
bool check_header_if_any(struct check *, struct slice name, struct slice *out);
/* An option that is text; absent: SLICE_NONE. */
bool check_option(struct check *, const char *name, struct slice *out);

enum encoding_of_mac { ENCODED_HEX, ENCODED_BASE64 };
/* Note a signature.  False, and nothing is said: these are not the text of n bytes. */
bool check_note(struct check *, enum encoding_of_mac, struct slice text, size_t n) MUST_USE;

/* Is one of the signatures, which stand in this header, right, and its time ours?  Notes what was
   signed. */
bool check_recipe(struct check *, const struct recipe *, struct slice header);

/* The steps of the latter, for schemes that have their own. */
bool check_pieces(struct check *, struct slice signed_as, struct slice pieces[PIECES_MAX],
                  size_t *n);
bool check_mac(struct check *, enum mac, const struct slice *pieces, size_t n, bool *right);
bool check_time(struct check *);
void check_content(struct check *, const struct slice *pieces, size_t n);
bool check_wrong(struct check *, struct slice header);
/* The delivery's name is what delivery_find() finds; that there is none is no failure. */
bool check_id_from(struct check *, struct slice what);
bool check_id(struct check *, struct slice id);

/* The schemes. */
bool signature_github(struct check *);
bool signature_shopify(struct check *);
bool signature_slack(struct check *);
bool signature_websub(struct check *);
bool signature_hmac(struct check *);
bool signature_gitlab(struct check *);
bool signature_stripe(struct check *);
bool signature_standard(struct check *);
bool signature_twilio(struct check *);
bool signature_cloudevents(struct check *);

#endif
