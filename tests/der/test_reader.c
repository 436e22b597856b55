/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/base/limits.h"
#include "ca/der/reader.h"
#include "tests/support/rows.h"

TestSuite(reader, .timeout = 30);

/* der.tsv: what it is, "ok" or "bad", hexadecimal. */
Test(reader, strict_der_is_accepted_and_everything_else_is_refused)
{
    struct rows rows;

    rows_open(&rows, "der.tsv");
    while (rows_next(&rows)) {
        struct ca_bytes der = rows_unhex(rows.fields[2]);
        enum ca_err want = strcmp(rows.fields[1], "ok") == 0 ? CA_OK : CA_ERR_CSR_PARSE;
        cr_expect(der_check(der) == want, "%s", rows.fields[0]);
        rows_free(der);
    }
    rows_close(&rows);
}

Test(reader, nesting_is_bounded_at_the_limit)
{
    uint8_t der[2 * (CA_DER_DEPTH_MAX + 1)];

    for (size_t depth = 1; depth <= CA_DER_DEPTH_MAX + 1; depth++) {
        for (size_t i = 0; i < depth; i++) {
            der[2 * i] = DER_SEQUENCE;
            der[2 * i + 1] = (uint8_t)(2 * (depth - i - 1));
        }
        check_err(der_check(ca_bytes_of(der, 2 * depth)),
                  depth <= CA_DER_DEPTH_MAX ? CA_OK : CA_ERR_CSR_PARSE);
    }
}

Test(reader, nesting_of_20000_levels_is_refused)
{
    enum { LEVELS = 20000, HEADER = 4 };
    static uint8_t der[LEVELS * HEADER];

    for (size_t i = 0; i < LEVELS; i++) {
        size_t len = (LEVELS - i - 1) * HEADER;
        uint8_t *at = &der[i * HEADER];
        at[0] = DER_SEQUENCE;
        at[1] = 0x82;
        at[2] = (uint8_t)(len >> 8);
        at[3] = (uint8_t)len;
    }
    check_err(der_check(ca_bytes_of(der, sizeof(der))), CA_ERR_CSR_PARSE);
}

Test(reader, a_refused_value_leaves_the_reader_where_it_was)
{
    struct ca_bytes bytes = CA_BYTES("\x02\x01\x81\x05\x00");
    struct der_reader reader = der_reader_of(bytes);
    struct der_value value;
    struct ca_bytes octets;
    uint32_t number;
    int64_t time_s;

    check_err(der_read(&reader, DER_NULL, &value), CA_ERR_CSR_PARSE);
    cr_assert(value.whole.data == NULL);
    check_err(der_read_small(&reader, &number), CA_ERR_CSR_PARSE);
    check_err(der_read_positive(&reader, &octets), CA_ERR_CSR_PARSE);
    cr_assert(octets.data == NULL);
    check_err(der_read_bit_octets(&reader, &octets), CA_ERR_CSR_PARSE);
    check_err(der_read_time(&reader, &time_s), CA_ERR_CSR_PARSE);
    check_err(der_read_end(&reader), CA_ERR_CSR_PARSE);
    cr_assert(reader.at == bytes.data);
    check_ok(der_read_any(&reader, &value));
    check_ok(der_read(&reader, DER_NULL, &value));
    check_ok(der_read_end(&reader));
    check_err(der_read_any(&reader, &value), CA_ERR_CSR_PARSE);
    cr_assert(der_reader_peek(&reader) == 0);
}

Test(reader, integers_are_read_up_to_their_limits)
{
    static const struct {
        struct ca_bytes der;
        enum ca_err err;
        uint32_t value;
    } cases[] = {
        { CA_BYTES("\x02\x01\x00"), CA_OK, 0 },
        { CA_BYTES("\x02\x02\x00\x80"), CA_OK, 128 },
        { CA_BYTES("\x02\x04\x7f\xff\xff\xff"), CA_OK, 0x7fffffff },
        { CA_BYTES("\x02\x05\x00\x80\x00\x00\x00"), CA_ERR_CSR_PARSE, 0 },
        { CA_BYTES("\x02\x01\xff"), CA_ERR_CSR_PARSE, 0 },
        { CA_BYTES("\x02\x02\x00\x7f"), CA_ERR_CSR_PARSE, 0 },
        { CA_BYTES("\x02\x00"), CA_ERR_CSR_PARSE, 0 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct der_reader reader = der_reader_of(cases[i].der);
        uint32_t value;
        check_err(der_read_small(&reader, &value), cases[i].err);
        cr_assert(value == cases[i].value);
    }
}

Test(reader, a_positive_integer_comes_without_its_sign_octet)
{
    struct der_reader reader = der_reader_of(CA_BYTES("\x02\x02\x00\xff\x02\x01\x00"));
    struct ca_bytes octets;

    check_ok(der_read_positive(&reader, &octets));
    check_bytes(octets, CA_BYTES("\xff"));
    check_err(der_read_positive(&reader, &octets), CA_ERR_CSR_PARSE);
}

Test(reader, an_absent_boolean_is_false_and_an_encoded_false_is_refused)
{
    struct der_reader reader = der_reader_of(CA_BYTES("\x01\x01\xff\x05\x00"));
    bool value;

    check_ok(der_read_default_false(&reader, &value));
    cr_assert(value);
    check_ok(der_read_default_false(&reader, &value));
    cr_assert(!value);
    reader = der_reader_of(CA_BYTES("\x01\x01\x00"));
    check_err(der_read_default_false(&reader, &value), CA_ERR_CSR_PARSE);
}

Test(reader, times_are_read_to_the_second)
{
    static const struct {
        struct ca_bytes der;
        int64_t time_s;
    } cases[] = {
        { CA_BYTES("\x17\x0d"
                   "700101000000Z"),
          0 },
        { CA_BYTES("\x17\x0d"
                   "491231235959Z"),
          2524607999 },
        { CA_BYTES("\x17\x0d"
                   "500101000000Z"),
          -631152000 },
        { CA_BYTES("\x18\x0f"
                   "20500101000000Z"),
          2524608000 },
        { CA_BYTES("\x18\x0f"
                   "99991231235959Z"),
          253402300799 },
        { CA_BYTES("\x17\x0d"
                   "240229120000Z"),
          1709208000 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct der_reader reader = der_reader_of(cases[i].der);
        int64_t time_s;
        check_ok(der_read_time(&reader, &time_s));
        cr_assert(time_s == cases[i].time_s, "%zu: %lld", i, (long long)time_s);
    }
}
