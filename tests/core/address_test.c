#include "core/address.h"
#include "tests/page.h"
#include "tests/suite.h"

#include <stdlib.h>

static struct address address(const char *text)
{
    struct address a;

    ck_assert_msg(address_parse(slice_of(text), &a) == RC_OK, "%s", text);
    return a;
}

static const char *as_text(const struct address *a)
{
    static char text[ADDRESS_TEXT_MAX + 1];

    ck_assert_uint_eq(address_text(a, text), strlen(text));
    return text;
}

/* ---- one address ----------------------------------------------------------------------------- */

START_TEST(addresses_are_read_and_written_in_one_form)
{
    static const char *const pairs[][2] = {
        { "192.0.2.1", "192.0.2.1" },
        { "::ffff:192.0.2.1", "192.0.2.1" },
        { "::FFFF:c000:201", "192.0.2.1" },
        { "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
        { "fe80::1%eth0", "fe80::1" },
        { "::", "::" },
        { "0000:0000:0000:0000:0000:ffff:255.255.255.255", "255.255.255.255" },
    };
    for (size_t i = 0; i < LENGTH(pairs); i++) {
        struct address a = address(pairs[i][0]), again = address(pairs[i][1]);
        ck_assert_str_eq(as_text(&a), pairs[i][1]);
        ck_assert(address_is(&a, &again));
    }
}
END_TEST

START_TEST(what_is_no_address_leaves_the_place_alone)
{
    static const char *const bad[] = {
        "",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.4%eth0",
        "unix:",
        "localhost",
        ":::",
        "1::2::3",
        "[::1]",
        "12345::",
        "::1/128",
        "0x7f.0.0.1",
        "1.2.3.4:80",
        "0000:0000:0000:0000:0000:ffff:255.255.255.2555",
        "%",
        "%eth0",
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct address a = address("192.0.2.77"), before = a;
        ck_assert_msg(address_parse(slice_of(bad[i]), &a) == RC_SYNTAX, "'%s'", bad[i]);
        ck_assert(address_is(&a, &before));
    }
    struct address a;
    ck_assert_int_eq(address_parse((struct slice){ "1.2.3.4\0", 8 }, &a), RC_SYNTAX);
    ck_assert_int_eq(address_parse(SLICE_NONE, &a), RC_SYNTAX);
}
END_TEST

START_TEST(a_client_counts_as_its_slash_64)
{
    struct address a = address("2001:db8:1:2:3:4:5:6"), b = address("2001:db8:1:2::99"),
                   other = address("2001:db8:1:3::99"), v4 = address("192.0.2.1"),
                   v4_next = address("192.0.2.2");

    a = address_counted(&a);
    b = address_counted(&b);
    other = address_counted(&other);
    ck_assert(address_is(&a, &b));
    ck_assert(!address_is(&a, &other));
    v4 = address_counted(&v4);
    v4_next = address_counted(&v4_next);
    ck_assert_str_eq(as_text(&v4), "192.0.2.1");
    ck_assert(!address_is(&v4, &v4_next));
}
END_TEST

/* ---- networks -------------------------------------------------------------------------------- */

static bool holds(const char *network, const char *one)
{
    struct network n;
    struct address a = address(one);

    ck_assert_msg(network_parse(slice_of(network), &n) == RC_OK, "%s", network);
    return network_holds(&n, &a);
}

START_TEST(networks_hold_what_they_say)
{
    static const struct {
        const char *network, *first, *last, *below, *above;
    } all[] = {
        { "10.0.0.0/8", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0" },
        { "192.0.2.128/25", "192.0.2.128", "192.0.2.255", "192.0.2.127", "192.0.3.0" },
        { "192.0.2.7", "192.0.2.7", "::ffff:192.0.2.7", "192.0.2.6", "192.0.2.8" },
        { "::ffff:10.0.0.0/104", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0" },
        { "2001:db8::/33", "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff",
          "2001:db7:ffff::", "2001:db8:8000::" },
        { "fc00::/7", "fc00::", "fdff::1", "fbff::", "fe00::" },
    };
    for (size_t i = 0; i < LENGTH(all); i++) {
        ck_assert(holds(all[i].network, all[i].first));
        ck_assert(holds(all[i].network, all[i].last));
        ck_assert(!holds(all[i].network, all[i].below));
        ck_assert(!holds(all[i].network, all[i].above));
    }
    ck_assert(holds("0.0.0.0/0", "203.0.113.9"));
    ck_assert(!holds("0.0.0.0/0", "2001:db8::1")); /* all of IPv4 is not all there is */
    ck_assert(holds("::/0", "2001:db8::1"));
}
END_TEST

START_TEST(networks_that_are_slips_of_the_pen_are_refused)
{
    static const char *const bad[] = {
        "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1",  "2001:db8::1/64", "::/129",
        "10/8",       "/8",          "",          "10.0.0.0/8/8", "10.0.0.0/ 8",
    };
    struct network n;

    for (size_t i = 0; i < LENGTH(bad); i++) {
        ck_assert_msg(network_parse(slice_of(bad[i]), &n) == RC_SYNTAX, "'%s'", bad[i]);
        ck_assert_ptr_nonnull(networks_error(bad[i]));
    }
    ck_assert_ptr_null(networks_error("private"));
    ck_assert_ptr_null(networks_error("unix"));
    ck_assert_ptr_null(networks_error("10.0.0.0/8"));
}
END_TEST

static struct networks networks_of(const char *one, const char *two)
{
    char *items[] = { strdup(one ? one : ""), strdup(two ? two : "") };
    struct networks list;

    ck_assert(items[0] && items[1]);
    ck_assert_int_eq(networks_init(&list, items, (one != NULL) + (two != NULL)), RC_OK);
    free(items[0]);
    free(items[1]);
    return list;
}

START_TEST(private_is_whatever_is_nobodys_on_the_internet)
{
    static const char *const in[] = { "127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.7.7", "::1",
                                      "fd00::1",   "fe80::1",  "100.64.0.1", "169.254.1.1" };
    static const char *const out[] = { "8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1",
                                       "::2" };
    struct networks list = networks_of("private", NULL);

    for (size_t i = 0; i < LENGTH(in); i++) {
        struct address a = address(in[i]);
        ck_assert_msg(networks_hold(&list, &a), "%s", in[i]);
    }
    for (size_t i = 0; i < LENGTH(out); i++) {
        struct address a = address(out[i]);
        ck_assert_msg(!networks_hold(&list, &a), "%s", out[i]);
    }
    ck_assert(!networks_hold(&list, NULL));
    networks_fini(&list);
    list = networks_of("unix", "203.0.113.0/24");
    ck_assert(networks_hold(&list, NULL));
    networks_fini(&list);
}
END_TEST

/* ---- what proxies say ------------------------------------------------------------------------ */

/* The client, with 10.0.0.0/8 and 2001:db8:ffff::/48 trusted; "" for no address. */
static const char *client(const char *peer, const char *said, bool elements)
{
    struct networks trusted = networks_of("10.0.0.0/8", "2001:db8:ffff::/48");
    struct page page = page_of(slice_of(said));
    struct address a;
    bool known = address_of_client(&trusted, slice_of(peer), page.bytes, elements, &a);

    networks_fini(&trusted);
    page_fini(&page);
    return known ? as_text(&a) : "";
}

START_TEST(nobody_else_is_believed)
{
    ck_assert_str_eq(client("203.0.113.9", "192.0.2.1", false), "203.0.113.9");
    ck_assert_str_eq(client("203.0.113.9", "", false), "203.0.113.9");
    ck_assert_str_eq(client("unix:", "192.0.2.1", false), "");
    ck_assert_str_eq(client("", "", false), "");
}
END_TEST

START_TEST(the_list_is_walked_from_the_right_to_the_first_stranger)
{
    static const char *const cases[][2] = {
        { "192.0.2.1", "192.0.2.1" },
        { "198.51.100.7, 192.0.2.1", "192.0.2.1" }, /* the left is the client's own claim */
        { "198.51.100.7, 192.0.2.1, 10.1.1.1 ,\t10.2.2.2", "192.0.2.1" },
        { "10.9.9.9, 192.0.2.1", "192.0.2.1" },
        { "10.9.9.9", "10.9.9.9" }, /* nobody but proxies: the first of them */
        { "", "10.0.0.1" },
        { " ", "10.0.0.1" },
        { ",,", "10.0.0.1" },
        { "192.0.2.1,,", "192.0.2.1" },
        { "192.0.2.1:4711", "192.0.2.1" },
        { "[2001:db8::7]:4711", "2001:db8::7" },
        { "2001:db8::7", "2001:db8::7" },
        { "192.0.2.1, 2001:db8:ffff::1", "192.0.2.1" },
        { "::ffff:192.0.2.1", "192.0.2.1" },
        { "192.0.2.1, ::ffff:10.7.7.7", "192.0.2.1" },
        { "192.0.2.1, unknown", "10.0.0.1" }, /* what cannot be read ends the walk */
        { "192.0.2.1, x, 10.2.2.2", "10.2.2.2" },
        { "192.0.2.1 10.2.2.2", "10.0.0.1" },
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        ck_assert_msg(strcmp(client("10.0.0.1", cases[i][0], false), cases[i][1]) == 0,
                      "'%s' is %s", cases[i][0], client("10.0.0.1", cases[i][0], false));
}
END_TEST

START_TEST(forwarded_is_read_as_its_specification_says)
{
    static const char *const cases[][2] = {
        { "for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60" },
        { "For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17" },
        { "for=192.0.2.43, for=198.51.100.17", "198.51.100.17" },
        { "for=192.0.2.43, for=10.3.3.3;by=10.0.0.1", "192.0.2.43" },
        { "for=192.0.2.43, for=_hidden", "10.0.0.1" },
        { "for=unknown", "10.0.0.1" },
        { "by=192.0.2.1", "10.0.0.1" },
        { "192.0.2.1", "10.0.0.1" },                /* not the other header's form */
        { "for=\"_x, for=192.0.2.9", "192.0.2.9" }, /* an open quote cannot swallow the next hop */
        { "FOR = 192.0.2.1", "10.0.0.1" },
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        ck_assert_msg(strcmp(client("10.0.0.1", cases[i][0], true), cases[i][1]) == 0, "'%s' is %s",
                      cases[i][0], client("10.0.0.1", cases[i][0], true));
    ck_assert_str_eq(client("10.0.0.1", "for=192.0.2.1", false), "10.0.0.1");
}
END_TEST

START_TEST(proxies_on_a_local_socket_may_be_trusted)
{
    struct networks trusted = networks_of("unix", NULL);
    struct address a;

    ck_assert(address_of_client(&trusted, SLICE("unix:"), SLICE("x, 192.0.2.1"), false, &a));
    ck_assert_str_eq(as_text(&a), "192.0.2.1");
    ck_assert(!address_of_client(&trusted, SLICE("unix:"), SLICE("x"), false, &a));
    ck_assert(!address_of_client(&trusted, SLICE("unix:"), SLICE_NONE, false, &a));
    networks_fini(&trusted);
}
END_TEST

SUITE(address)
{
    tcase_add_test(tc, addresses_are_read_and_written_in_one_form);
    tcase_add_test(tc, what_is_no_address_leaves_the_place_alone);
    tcase_add_test(tc, a_client_counts_as_its_slash_64);
    tcase_add_test(tc, networks_hold_what_they_say);
    tcase_add_test(tc, networks_that_are_slips_of_the_pen_are_refused);
    tcase_add_test(tc, private_is_whatever_is_nobodys_on_the_internet);
    tcase_add_test(tc, nobody_else_is_believed);
    tcase_add_test(tc, the_list_is_walked_from_the_right_to_the_first_stranger);
    tcase_add_test(tc, forwarded_is_read_as_its_specification_says);
    tcase_add_test(tc, proxies_on_a_local_socket_may_be_trusted);
}
