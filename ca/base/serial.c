/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/base/serial.h"

#include <assert.h>

#include "ca/base/text.h"

enum { TIME_LEN = 7 };
_Static_assert(1 + TIME_LEN + CA_SERIAL_RANDOM_LEN == CA_SERIAL_LEN, "the parts make the whole");

struct ca_serial ca_serial_make(uint8_t instance, uint64_t time_us,
                                const uint8_t random[CA_SERIAL_RANDOM_LEN])
{
    struct ca_serial serial;

    assert(instance >= 0x01 && instance <= 0x7f);
    assert(time_us >> (8 * TIME_LEN) == 0);
    serial.bytes[0] = instance;
    ca_bytes_put_number(serial.bytes + 1, time_us, TIME_LEN);
    memcpy(serial.bytes + 1 + TIME_LEN, random, CA_SERIAL_RANDOM_LEN);
    return serial;
}

uint64_t ca_serial_locator(const struct ca_serial *serial)
{
    return ca_bytes_get_number(serial->bytes, 1 + TIME_LEN);
}

uint64_t ca_serial_time_us(const struct ca_serial *serial)
{
    return ca_serial_locator(serial) & (UINT64_MAX >> 8);
}

void ca_serial_format(const struct ca_serial *serial, char text[CA_SERIAL_TEXT_LEN + 1])
{
    ca_text_hex(ca_serial_bytes(serial), text);
}

enum ca_err ca_serial_from_bytes(struct ca_bytes bytes, struct ca_serial *serial_out)
{
    memset(serial_out, 0, sizeof(*serial_out));
    if (bytes.len != CA_SERIAL_LEN || bytes.data[0] < 0x01 || bytes.data[0] > 0x7f)
        return CA_ERR_FIELD_FORMAT;
    memcpy(serial_out->bytes, bytes.data, CA_SERIAL_LEN);
    return CA_OK;
}

enum ca_err ca_serial_parse(const char *text, struct ca_serial *serial_out)
{
    uint8_t bytes[CA_SERIAL_LEN];
    size_t len = 0;

    memset(serial_out, 0, sizeof(*serial_out));
    if (!ca_text_unhex(text, bytes, sizeof(bytes), &len))
        return CA_ERR_FIELD_FORMAT;
    return ca_serial_from_bytes(ca_bytes_of(bytes, len), serial_out);
}
