/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/x509/ext.h"
#include "tests/support/check.h"

static struct ca_arena *arena;
static uint8_t buffer[1024];
static struct der_writer writer;

static void make_arena(void)
{
    check_ok(ca_arena_new(1 << 12, 1 << 16, &arena));
    der_writer_init(&writer, buffer, sizeof(buffer));
}

static void free_arena(void)
{
    ca_arena_free(arena);
}

TestSuite(ext, .init = make_arena, .fini = free_arena, .timeout = 30);

static void check_written(struct ca_bytes want)
{
    check_bytes(der_writer_bytes(&writer), want);
    check_ok(der_check(der_writer_bytes(&writer)));
    der_writer_init(&writer, buffer, sizeof(buffer));
}

Test(ext, key_usage_is_a_bit_string_of_named_bits)
{
    x509_ext_write_key_usage(&writer, X509_KU_DIGITAL_SIGNATURE | X509_KU_NON_REPUDIATION, true);
    check_written(CA_BYTES("\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x06\xc0"));
    x509_ext_write_key_usage(&writer, X509_KU_KEY_CERT_SIGN | X509_KU_CRL_SIGN, false);
    check_written(CA_BYTES("\x30\x0b\x06\x03\x55\x1d\x0f\x04\x04\x03\x02\x01\x06"));
}

Test(ext, basic_constraints_leave_defaults_out)
{
    x509_ext_write_basic_constraints(&writer, false, -1, true);
    check_written(CA_BYTES("\x30\x0c\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x02\x30\x00"));
    x509_ext_write_basic_constraints(&writer, true, -1, true);
    check_written(CA_BYTES("\x30\x0f\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x05\x30\x03\x01\x01\xff"));
    x509_ext_write_basic_constraints(&writer, true, 0, true);
    check_written(CA_BYTES(
        "\x30\x12\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x08\x30\x06\x01\x01\xff\x02\x01\x00"));
}

Test(ext, purposes_stand_in_the_given_order)
{
    const struct ca_bytes oids[] = { CA_BYTES("\x2a\x03"), CA_BYTES("\x2a\x04") };

    x509_ext_write_ext_key_usage(&writer, oids, 2, false);
    check_written(
        CA_BYTES("\x30\x11\x06\x03\x55\x1d\x25\x04\x0a\x30\x08\x06\x02\x2a\x03\x06\x02\x2a\x04"));
}

Test(ext, a_distribution_point_is_a_full_name_with_one_url)
{
    x509_ext_write_crl_distribution_point(&writer, CA_BYTES("http://a/"));
    check_written(CA_BYTES("\x30\x1a\x06\x03\x55\x1d\x1f\x04\x13\x30\x11\x30\x0f\xa0\x0d\xa0\x0b"
                           "\x86\x09http://a/"));
}

Test(ext, information_access_is_written_only_for_urls_that_are_there)
{
    x509_ext_write_authority_info_access(&writer, (struct ca_bytes){ 0 }, (struct ca_bytes){ 0 });
    cr_assert(der_writer_mark(&writer) == 0);
    x509_ext_write_authority_info_access(&writer, CA_BYTES("http://o"), (struct ca_bytes){ 0 });
    check_written(CA_BYTES("\x30\x24\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x01\x04\x18\x30\x16\x30"
                           "\x14\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x01\x86\x08http://o"));
}

Test(ext, a_policy_carries_its_cps_as_qualifier)
{
    const struct x509_policy policies[] = {
        { CA_BYTES("\x2a\x03"), { 0 } },
        { CA_BYTES("\x2a\x04"), CA_BYTES("http://c") },
    };

    x509_ext_write_policies(&writer, policies, 2);
    check_written(CA_BYTES("\x30\x2d\x06\x03\x55\x1d\x20\x04\x26\x30\x24\x30\x04\x06\x02\x2a\x03"
                           "\x30\x1c\x06\x02\x2a\x04\x30\x16\x30\x14\x06\x08\x2b\x06\x01\x05\x05"
                           "\x07\x02\x01\x16\x08http://c"));
}

Test(ext, dotted_oids_become_content_octets)
{
    static const struct {
        const char *dotted;
        struct ca_bytes content;
    } cases[] = {
        { "0.0", CA_BYTES("\x00") },
        { "1.39", CA_BYTES("\x4f") },
        { "2.5.29.15", CA_BYTES("\x55\x1d\x0f") },
        { "2.999.3", CA_BYTES("\x88\x37\x03") },
        { "1.2.840.113549", CA_BYTES("\x2a\x86\x48\x86\xf7\x0d") },
        { "1.2.156.10197.1.501", CA_BYTES("\x2a\x81\x1c\xcf\x55\x01\x83\x75") },
        { "1.2.0", CA_BYTES("\x2a\x00") },
        { "1.2.127.128", CA_BYTES("\x2a\x7f\x81\x00") },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ca_bytes oid;
        check_ok(x509_oid_parse(cases[i].dotted, arena, &oid));
        check_bytes(oid, cases[i].content);
    }
}

Test(ext, text_that_is_no_oid_is_refused)
{
    static const char *const cases[] = {
        "",
        "1",
        "1.",
        ".1",
        "1..2",
        "3.1",
        "1.40",
        "0.40",
        "1.2.",
        "1.2.a",
        "1.2 .3",
        "-1.2",
        "1.-2",
        "1.02",
        "01.2",
        "1.2.3 ",
        " 1.2",
        "1.2,3",
        "1.2.99999999999999999999999999",
        ("1.2.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1"
         ".1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1"),
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ca_bytes oid;
        check_err(x509_oid_parse(cases[i], arena, &oid), CA_ERR_FIELD_FORMAT);
        cr_assert(oid.data == NULL);
    }
}
