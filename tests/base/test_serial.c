/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/base/serial.h"
#include "tests/support/check.h"

TestSuite(serial, .timeout = 10);

static const uint8_t RANDOM[CA_SERIAL_RANDOM_LEN] = { 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9 };

Test(serial, is_positive_of_fixed_length_and_tells_its_time)
{
    struct ca_serial serial = ca_serial_make(0x7f, 1764000000123456, RANDOM);

    cr_assert(serial.bytes[0] == 0x7f);
    cr_assert(ca_serial_time_us(&serial) == 1764000000123456);
    check_bytes(ca_bytes_of(serial.bytes + 8, 10), ca_bytes_of(RANDOM, 10));
}

Test(serial, a_later_one_sorts_behind_whatever_its_random_part)
{
    static const uint8_t zeros[CA_SERIAL_RANDOM_LEN];
    struct ca_serial early = ca_serial_make(1, 1000, RANDOM);
    struct ca_serial late = ca_serial_make(1, 1001, zeros);

    cr_assert(ca_bytes_compare(ca_serial_bytes(&early), ca_serial_bytes(&late)) < 0);
    cr_assert(ca_serial_locator(&early) < ca_serial_locator(&late));
}

Test(serial, text_and_back_is_the_same_number)
{
    struct ca_serial serial = ca_serial_make(3, 42, RANDOM), back;
    char text[CA_SERIAL_TEXT_LEN + 1];

    ca_serial_format(&serial, text);
    cr_assert_str_eq(text, "030000000000002aff010203040506070809");
    check_ok(ca_serial_parse(text, &back));
    check_bytes(ca_serial_bytes(&back), ca_serial_bytes(&serial));
    check_ok(ca_serial_parse("03:00:00:00:00:00:00:2A:FF:01:02:03:04:05:06:07:08:09", &back));
    check_bytes(ca_serial_bytes(&back), ca_serial_bytes(&serial));
}

Test(serial, text_of_another_form_is_refused)
{
    static const char *const wrong[] = {
        "",
        "03",
        "0",
        "zz0000000000002aff010203040506070809",
        "030000000000002aff01020304050607080900",
        "830000000000002aff010203040506070809",
        "000000000000002aff010203040506070809",
        "030000000000002aff010203040506070809:",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct ca_serial serial;
        check_err(ca_serial_parse(wrong[i], &serial), CA_ERR_FIELD_FORMAT);
    }
}
