/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/san.h"

#include "tests/support/draft.h"
#include "tests/support/tsv.h"

static struct ca_arena *arena;

static void set_up(void)
{
    check_ok(ca_arena_new(1 << 16, 1 << 20, &arena));
}

static void tear_down(void)
{
    ca_arena_free(arena);
}

TestSuite(san, .init = set_up, .fini = tear_down);

Test(san, hosts_of_the_vectors_are_judged_as_written)
{
    struct tsv tsv = tsv_open("rules_hosts.tsv");

    while (tsv_next(&tsv, 4)) {
        struct ca_bytes host = draft_unescape(tsv.fields[0]);

        cr_assert_eq(rules_host_is_valid(host, false), strcmp(tsv.fields[1], "yes") == 0,
                     "line %u: %s", tsv.line, tsv.fields[0]);
        cr_assert_eq(rules_host_is_valid(host, true), strcmp(tsv.fields[2], "yes") == 0,
                     "line %u: %s with wildcards", tsv.line, tsv.fields[0]);
    }
    cr_assert(tsv.count > 0);
}

Test(san, no_octet_sequence_makes_the_host_check_read_beyond_its_end)
{
    uint8_t label[12];

    for (unsigned seed = 0; seed < 200000; seed++) {
        uint32_t state = seed * 2654435761U + 1;
        uint8_t *host = malloc(sizeof(label)); /* for the sanitizer to guard */
        memcpy(host, "xn--", 4);
        for (size_t i = 4; i < sizeof(label); i++) {
            state = state * 1664525 + 1013904223;
            host[i] = (uint8_t) "abcdefghijklmnopqrstuvwxyz0123456789-."[(state >> 16) % 38];
        }
        (void)rules_host_is_valid(ca_bytes_of(host, sizeof(label)), true);
        free(host);
    }
}

Test(san, folding_changes_letters_only_and_lends_what_needs_none)
{
    struct ca_bytes lower = CA_BYTES("abc-1.example");

    cr_assert_eq(rules_text_fold(lower, arena).data, lower.data);
    check_bytes(rules_text_fold(CA_BYTES("AbZ@[`{-1"), arena), CA_BYTES("abz@[`{-1"));
    check_bytes(rules_text_fold(CA_BYTES("\xc3\x84"), arena), CA_BYTES("\xc3\x84"));
}

Test(san, only_dns_names_and_addresses_include_a_common_name)
{
    const uint8_t ip4[] = { 192, 0, 2, 1 };
    const uint8_t ip6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
    struct rules_san list[] = {
        { RULES_SAN_DNS, CA_BYTES("a.example") },
        { RULES_SAN_IP, ca_bytes_of(ip4, sizeof(ip4)) },
        { RULES_SAN_IP, ca_bytes_of(ip6, sizeof(ip6)) },
        { RULES_SAN_EMAIL, CA_BYTES("a@a.example") },
        { RULES_SAN_URI, CA_BYTES("urn:a") },
    };
    const struct rules_names names = { list, 5 };

    cr_assert(rules_names_include(&names, CA_BYTES("a.example")));
    cr_assert(rules_names_include(&names, CA_BYTES("192.0.2.1")));
    cr_assert(rules_names_include(&names, CA_BYTES("2001:db8::1")));
    cr_assert(!rules_names_include(&names, CA_BYTES("A.example")));
    cr_assert(!rules_names_include(&names, CA_BYTES("2001:db8:0::1")));
    cr_assert(!rules_names_include(&names, CA_BYTES("a@a.example")));
    cr_assert(!rules_names_include(&names, CA_BYTES("urn:a")));
    cr_assert(!rules_names_include(&names, CA_BYTES("")));
}

Test(san, names_that_no_certificate_could_hold_are_refused)
{
    enum { COUNT = 70, LEN = 240 };
    static struct rules_san list[COUNT];
    static uint8_t text[LEN];
    const struct rules_names names = { list, COUNT };
    struct ca_refusal refusal;
    struct ca_bytes der;

    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < COUNT; i++)
        list[i] = (struct rules_san){ RULES_SAN_DNS, ca_bytes_of(text, LEN) };
    check_err(rules_names_encode(&names, arena, &der, &refusal), CA_ERR_SAN_COUNT);
    cr_assert_null(der.data);
}
