/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/base/bytes.h"

#include "tests/support/check.h"

TestSuite(bytes, .timeout = 10);

static int sign_of(int order)
{
    return (order > 0) - (order < 0);
}

Test(bytes, sort_by_octets_and_a_prefix_sorts_first)
{
    const struct ca_bytes ascending[] = { { NULL, 0 },    CA_BYTES(""),  CA_BYTES("a"),
                                          CA_BYTES("ab"), CA_BYTES("b"), CA_BYTES("\xff") };
    enum { COUNT = sizeof(ascending) / sizeof(ascending[0]) };

    for (size_t i = 1; i < COUNT; i++) {
        for (size_t j = 1; j < COUNT; j++)
            cr_assert_eq(sign_of(ca_bytes_compare(ascending[i], ascending[j])),
                         sign_of((int)i - (int)j));
    }
    cr_assert_eq(ca_bytes_compare(ascending[0], ascending[1]), 0);
}

Test(bytes, a_number_is_written_and_read_big_endian)
{
    uint8_t octets[8];

    ca_bytes_put_number(octets, UINT64_C(0x0102030405060708), 8);
    check_bytes(ca_bytes_of(octets, 8), CA_BYTES("\1\2\3\4\5\6\7\10"));
    cr_assert_eq(ca_bytes_get_number(octets, 8), UINT64_C(0x0102030405060708));
    ca_bytes_put_number(octets, UINT64_C(0x0102030405060708),
                        2); /* what does not fit is left out */
    check_bytes(ca_bytes_of(octets, 2), CA_BYTES("\7\10"));
    cr_assert_eq(ca_bytes_get_number(octets, 2), 0x0708);
    cr_assert_eq(ca_bytes_get_number(octets, 0), 0);
}

Test(bytes, the_shortest_form_of_a_number_has_no_leading_zero)
{
    check_bytes(ca_bytes_shortest_number(CA_BYTES("\0\0\1\0")), CA_BYTES("\1\0"));
    check_bytes(ca_bytes_shortest_number(CA_BYTES("\x80")), CA_BYTES("\x80"));
    check_bytes(ca_bytes_shortest_number(CA_BYTES("\0\0")), CA_BYTES(""));
    check_bytes(ca_bytes_shortest_number((struct ca_bytes){ 0 }), CA_BYTES(""));
}

Test(bytes, the_longer_one_of_two_numbers_is_the_larger)
{
    cr_assert(ca_bytes_compare_numbers(CA_BYTES("\xff"), CA_BYTES("\1\0")) < 0);
    cr_assert(ca_bytes_compare_numbers(CA_BYTES("\1\0"), CA_BYTES("\xff")) > 0);
    cr_assert(ca_bytes_compare_numbers(CA_BYTES("\1\2"), CA_BYTES("\1\3")) < 0);
    cr_assert_eq(ca_bytes_compare_numbers(CA_BYTES("\1\2"), CA_BYTES("\1\2")), 0);
    cr_assert(ca_bytes_compare_numbers(CA_BYTES(""), CA_BYTES("\1")) < 0);
}
