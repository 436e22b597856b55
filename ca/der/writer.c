/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/der/writer.h"

#include <assert.h>

#include "ca/base/time.h"

void der_writer_init(struct der_writer *writer, uint8_t *buffer, size_t size)
{
    *writer = (struct der_writer){ .start = buffer, .at = buffer + size, .end = buffer + size };
}

struct ca_bytes der_writer_bytes(const struct der_writer *writer)
{
    if (writer->is_spoiled)
        return (struct ca_bytes){ 0 };
    return ca_bytes_of(writer->at, (size_t)(writer->end - writer->at));
}

size_t der_writer_mark(const struct der_writer *writer)
{
    return (size_t)(writer->end - writer->at);
}

void der_write_raw(struct der_writer *writer, struct ca_bytes bytes)
{
    if (bytes.len == 0)
        return;
    if (writer->is_spoiled || (size_t)(writer->at - writer->start) < bytes.len) {
        writer->is_spoiled = true;
        return;
    }
    writer->at -= bytes.len;
    memcpy(writer->at, bytes.data, bytes.len);
}

void der_write_octet(struct der_writer *writer, uint8_t octet)
{
    if (writer->is_spoiled || writer->at == writer->start) {
        writer->is_spoiled = true;
        return;
    }
    *--writer->at = octet;
}

void der_write_header(struct der_writer *writer, uint8_t tag, size_t mark)
{
    if (writer->is_spoiled)
        return;
    assert(mark <= der_writer_mark(writer));
    size_t len = der_writer_mark(writer) - mark;

    if (len < 0x80) {
        der_write_octet(writer, (uint8_t)len);
    } else {
        uint8_t octets = 0;
        for (; len > 0; len >>= 8, octets++)
            der_write_octet(writer, (uint8_t)len);
        der_write_octet(writer, 0x80 | octets);
    }
    der_write_octet(writer, tag);
}

void der_write_value(struct der_writer *writer, uint8_t tag, struct ca_bytes content)
{
    size_t mark = der_writer_mark(writer);

    der_write_raw(writer, content);
    der_write_header(writer, tag, mark);
}

void der_write_oid(struct der_writer *writer, struct ca_bytes content)
{
    der_write_value(writer, DER_OID, content);
}

void der_write_null(struct der_writer *writer)
{
    der_write_value(writer, DER_NULL, (struct ca_bytes){ 0 });
}

void der_write_boolean(struct der_writer *writer, bool value)
{
    uint8_t octet = value ? 0xff : 0x00;

    der_write_value(writer, DER_BOOLEAN, ca_bytes_of(&octet, 1));
}

void der_write_small(struct der_writer *writer, uint64_t value)
{
    uint8_t octets[8];

    for (int i = 7; i >= 0; i--, value >>= 8)
        octets[i] = (uint8_t)value;
    der_write_unsigned(writer, ca_bytes_of(octets, sizeof(octets)));
}

void der_write_unsigned(struct der_writer *writer, struct ca_bytes octets)
{
    size_t mark = der_writer_mark(writer);

    octets = ca_bytes_shortest_number(octets);
    der_write_raw(writer, octets);
    if (octets.len == 0 || octets.data[0] >= 0x80)
        der_write_octet(writer, 0);
    der_write_header(writer, DER_INTEGER, mark);
}

void der_write_bit_octets(struct der_writer *writer, struct ca_bytes octets)
{
    size_t mark = der_writer_mark(writer);

    der_write_raw(writer, octets);
    der_write_octet(writer, 0);
    der_write_header(writer, DER_BIT_STRING, mark);
}

void der_write_named_bits(struct der_writer *writer, uint32_t bits)
{
    uint8_t octets[5] = { 0 };
    uint8_t bit_count = 0;

    for (uint8_t bit = 0; bit < 32; bit++) {
        if ((bits >> bit & 1) == 0)
            continue;
        octets[1 + bit / 8] |= (uint8_t)(0x80 >> bit % 8);
        bit_count = bit + 1;
    }
    size_t len = (bit_count + 7u) / 8;
    octets[0] = (uint8_t)(len * 8 - bit_count);
    der_write_value(writer, DER_BIT_STRING, ca_bytes_of(octets, 1 + len));
}

static void put_two_digits(uint8_t *at, int number)
{
    at[0] = (uint8_t)('0' + number / 10);
    at[1] = (uint8_t)('0' + number % 10);
}

/* YYYYMMDDHHMMSSZ; years 0 to 9999 are the caller's to keep. */
static void format_time(struct ca_civil civil, uint8_t text[15])
{
    put_two_digits(text, civil.year / 100);
    put_two_digits(text + 2, civil.year % 100);
    put_two_digits(text + 4, civil.month);
    put_two_digits(text + 6, civil.day);
    put_two_digits(text + 8, civil.hour);
    put_two_digits(text + 10, civil.minute);
    put_two_digits(text + 12, civil.second);
    text[14] = 'Z';
}

void der_write_time(struct der_writer *writer, int64_t time_s)
{
    struct ca_civil civil = ca_civil_from_unix(time_s, 0);
    uint8_t text[15];

    if (civil.year < 1950 || civil.year > 2049) {
        der_write_generalized_time(writer, time_s);
        return;
    }
    format_time(civil, text);
    der_write_value(writer, DER_UTC_TIME, ca_bytes_of(text + 2, 13));
}

void der_write_generalized_time(struct der_writer *writer, int64_t time_s)
{
    struct ca_civil civil = ca_civil_from_unix(time_s, 0);
    uint8_t text[15];

    assert(civil.year >= 0 && civil.year <= 9999);
    format_time(civil, text);
    der_write_value(writer, DER_GENERALIZED_TIME, ca_bytes_of(text, 15));
}
