/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/der/writer.h"
#include "tests/support/check.h"

TestSuite(writer, .timeout = 30);

static uint8_t buffer[1 << 17];
static struct der_writer writer;

static void restart(void)
{
    der_writer_init(&writer, buffer, sizeof(buffer));
}

Test(writer, what_is_written_last_stands_first)
{
    restart();
    size_t mark = der_writer_mark(&writer);
    der_write_null(&writer);
    der_write_boolean(&writer, true);
    der_write_boolean(&writer, false);
    der_write_oid(&writer, CA_BYTES("\x55\x04\x03"));
    der_write_header(&writer, DER_SEQUENCE, mark);
    check_bytes(der_writer_bytes(&writer),
                CA_BYTES("\x30\x0d\x06\x03\x55\x04\x03\x01\x01\x00\x01\x01\xff\x05\x00"));
}

Test(writer, lengths_take_the_fewest_octets)
{
    static const struct {
        size_t len;
        struct ca_bytes header;
    } cases[] = {
        { 0, CA_BYTES("\x04\x00") },
        { 127, CA_BYTES("\x04\x7f") },
        { 128, CA_BYTES("\x04\x81\x80") },
        { 255, CA_BYTES("\x04\x81\xff") },
        { 256, CA_BYTES("\x04\x82\x01\x00") },
        { 65535, CA_BYTES("\x04\x82\xff\xff") },
        { 65536, CA_BYTES("\x04\x83\x01\x00\x00") },
    };
    static uint8_t content[65536];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        restart();
        der_write_value(&writer, DER_OCTET_STRING, ca_bytes_of(content, cases[i].len));
        struct ca_bytes got = der_writer_bytes(&writer);
        cr_assert(got.len == cases[i].header.len + cases[i].len);
        check_bytes(ca_bytes_of(got.data, cases[i].header.len), cases[i].header);
        check_ok(der_check(got));
    }
}

Test(writer, numbers_are_minimal_and_never_negative)
{
    static const struct {
        uint64_t value;
        struct ca_bytes der;
    } cases[] = {
        { 0, CA_BYTES("\x02\x01\x00") },
        { 127, CA_BYTES("\x02\x01\x7f") },
        { 128, CA_BYTES("\x02\x02\x00\x80") },
        { 256, CA_BYTES("\x02\x02\x01\x00") },
        { UINT64_MAX, CA_BYTES("\x02\x09\x00\xff\xff\xff\xff\xff\xff\xff\xff") },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        restart();
        der_write_small(&writer, cases[i].value);
        check_bytes(der_writer_bytes(&writer), cases[i].der);
    }
    restart();
    der_write_unsigned(&writer, CA_BYTES("\x00\x00\x81\x00"));
    check_bytes(der_writer_bytes(&writer), CA_BYTES("\x02\x03\x00\x81\x00"));
    restart();
    der_write_unsigned(&writer, CA_BYTES(""));
    check_bytes(der_writer_bytes(&writer), CA_BYTES("\x02\x01\x00"));
}

Test(writer, named_bits_lose_their_trailing_zeros)
{
    static const struct {
        uint32_t bits;
        struct ca_bytes der;
    } cases[] = {
        { 0, CA_BYTES("\x03\x01\x00") },
        { 1 << 0, CA_BYTES("\x03\x02\x07\x80") },
        { 1 << 0 | 1 << 1, CA_BYTES("\x03\x02\x06\xc0") },
        { 1 << 5 | 1 << 6, CA_BYTES("\x03\x02\x01\x06") },
        { 1 << 7, CA_BYTES("\x03\x02\x00\x01") },
        { 1 << 4 | 1 << 8, CA_BYTES("\x03\x03\x07\x08\x80") },
        { 1u << 31, CA_BYTES("\x03\x05\x00\x00\x00\x00\x01") },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        restart();
        der_write_named_bits(&writer, cases[i].bits);
        check_bytes(der_writer_bytes(&writer), cases[i].der);
        check_ok(der_check(der_writer_bytes(&writer)));
    }
}

Test(writer, times_change_their_form_in_2050)
{
    restart();
    der_write_time(&writer, 2524607999);
    check_bytes(der_writer_bytes(&writer), CA_BYTES("\x17\x0d"
                                                    "491231235959Z"));
    restart();
    der_write_time(&writer, 2524608000);
    check_bytes(der_writer_bytes(&writer), CA_BYTES("\x18\x0f"
                                                    "20500101000000Z"));
    restart();
    der_write_time(&writer, 253402300799);
    check_bytes(der_writer_bytes(&writer), CA_BYTES("\x18\x0f"
                                                    "99991231235959Z"));
    restart();
    der_write_generalized_time(&writer, 1709208000);
    check_bytes(der_writer_bytes(&writer), CA_BYTES("\x18\x0f"
                                                    "20240229120000Z"));
}

Test(writer, every_second_written_is_the_second_read)
{
    for (int64_t at_s = -631152000; at_s < 253402300800; at_s += 86400 * 97 + 3671) {
        restart();
        der_write_time(&writer, at_s);
        struct der_reader reader = der_reader_of(der_writer_bytes(&writer));
        int64_t time_s;
        check_ok(der_read_time(&reader, &time_s));
        cr_assert(time_s == at_s);
    }
}

Test(writer, a_bit_string_of_octets_is_read_back)
{
    struct ca_bytes octets;

    restart();
    der_write_bit_octets(&writer, CA_BYTES("abc"));
    check_bytes(der_writer_bytes(&writer), CA_BYTES("\x03\x04\x00"
                                                    "abc"));
    struct der_reader reader = der_reader_of(der_writer_bytes(&writer));
    check_ok(der_read_bit_octets(&reader, &octets));
    check_bytes(octets, CA_BYTES("abc"));
}

Test(writer, a_buffer_too_small_spoils_the_writer_for_good)
{
    for (size_t size = 0; size < 8; size++) {
        der_writer_init(&writer, buffer, size);
        size_t mark = der_writer_mark(&writer);
        der_write_small(&writer, 65535);
        der_write_octet(&writer, 1);
        der_write_header(&writer, DER_SEQUENCE, mark);
        cr_assert(der_writer_bytes(&writer).data == NULL && der_writer_bytes(&writer).len == 0);
        der_write_octet(&writer, 1);
        cr_assert(der_writer_bytes(&writer).data == NULL);
    }
    der_writer_init(&writer, buffer, 8);
    der_write_small(&writer, 65535);
    der_write_octet(&writer, 1);
    der_write_header(&writer, DER_SEQUENCE, 0);
    cr_assert(der_writer_bytes(&writer).len == 8);
}
