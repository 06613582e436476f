/*
 * mac_test.c - the vectors of RFC 2202 (SHA-1) and RFC 4231 (SHA-2).
 */
#include <sodium.h>
#include <stdlib.h>

#include "handlers/mac.h"
#include "tests/suite.h"

static struct slice filled(size_t n, int byte)
{
    static char room[256];

    memset(room, byte, n);
    return (struct slice){ room, n };
}

static void expect(enum mac mac, struct slice key, struct slice data, const char *hex)
{
    unsigned char out[MAC_MAX];
    char is[2 * MAC_MAX + 1];

    for (size_t cut = 0; cut <= data.len; cut++) { /* in one piece, and in two of any length */
        struct slice pieces[] = { { data.at, cut }, { data.at + cut, data.len - cut } };
        ck_assert_int_eq(mac_make(mac, key, pieces, 2, out), RC_OK);
        sodium_bin2hex(is, sizeof is, out, mac_bytes(mac));
        ck_assert_str_eq(is, hex);
    }
}

START_TEST(vectors_of_rfc_2202)
{
    expect(MAC_SHA1, filled(20, 0x0b), SLICE("Hi There"),
           "b617318655057264e28bc0b6fb378c8ef146be00");
    expect(MAC_SHA1, SLICE("Jefe"), SLICE("what do ya want for nothing?"),
           "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    expect(MAC_SHA1, filled(80, 0xaa),
           SLICE("Test Using Larger Than Block-Size Key - Hash Key First"),
           "aa4ae5e15272d00e95705637ce8a3b55ed402112");
}
END_TEST

START_TEST(vectors_of_rfc_4231)
{
    struct slice data = SLICE("Hi There");

    expect(MAC_SHA256, filled(20, 0x0b), data,
           "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    expect(MAC_SHA384, filled(20, 0x0b), data,
           "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
           "faea9ea9076ede7f4af152e8b2fa9cb6");
    expect(MAC_SHA512, filled(20, 0x0b), data,
           "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
           "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854");
    data = SLICE("what do ya want for nothing?");
    expect(MAC_SHA256, SLICE("Jefe"), data,
           "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    expect(MAC_SHA512, SLICE("Jefe"), data,
           "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
           "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
    data = SLICE("Test Using Larger Than Block-Size Key - Hash Key First");
    expect(MAC_SHA256, filled(131, 0xaa), data,
           "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    expect(MAC_SHA384, filled(131, 0xaa), data,
           "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
           "0c2ef6ab4030fe8296248df163f44952");
}
END_TEST

START_TEST(nothing_is_signed_too)
{
    expect(MAC_SHA256, SLICE("k"), SLICE_NONE,
           "8bb990c40a7d61cb97597a942125025be50ac8beb74436e3735b98893a7f6620");
}
END_TEST

START_TEST(names_are_exact)
{
    ck_assert_int_eq(mac_of(SLICE("sha384")), MAC_SHA384);
    ck_assert_int_eq(mac_of(SLICE("SHA1")), MAC__COUNT);
    ck_assert_int_eq(mac_of(SLICE("sha")), MAC__COUNT);
    ck_assert_int_eq(mac_of(SLICE_NONE), MAC__COUNT);
}
END_TEST

SUITE(mac)
{
    tcase_add_test(tc, vectors_of_rfc_2202);
    tcase_add_test(tc, vectors_of_rfc_4231);
    tcase_add_test(tc, nothing_is_signed_too);
    tcase_add_test(tc, names_are_exact);
}
