/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serial: a certificate's serial number (RFC 5280, section 4.1.2.2).
 *
 * 18 octets: instance (1, 0x01 to 0x7f), microseconds since 1970 (7, big endian,
 * strictly increasing per instance), random (10). Always positive, always the same
 * length, 80 random bits, and in the order of writing. The first eight octets
 * name the certificate within this installation: no instance uses a microsecond twice.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ca/base/bytes.h"
#include "ca/base/err.h"
#include "ca/base/limits.h"

enum {
    CA_SERIAL_RANDOM_LEN = 10,
    CA_SERIAL_TEXT_LEN = 2 * CA_SERIAL_LEN, /* hexadecimal, lower case */
};

struct ca_serial {
    uint8_t bytes[CA_SERIAL_LEN];
};

/* time_us below 2^56, instance 1 to 127. */
struct ca_serial ca_serial_make(uint8_t instance, uint64_t time_us,
                                const uint8_t random[CA_SERIAL_RANDOM_LEN]);
uint64_t ca_serial_time_us(const struct ca_serial *serial);
/* The first eight octets as a number: orders certificates of one instance by time of issue. */
uint64_t ca_serial_locator(const struct ca_serial *serial);

/* Writes CA_SERIAL_TEXT_LEN characters and a NUL. */
void ca_serial_format(const struct ca_serial *serial, char text[CA_SERIAL_TEXT_LEN + 1]);
/* Takes either case and colons between octets; anything else than 18 octets is FIELD_FORMAT. */
CA_MUST_CHECK enum ca_err ca_serial_parse(const char *text, struct ca_serial *serial_out);
/* Is this a serial number of the form above? */
CA_MUST_CHECK enum ca_err ca_serial_from_bytes(struct ca_bytes bytes, struct ca_serial *serial_out);

static inline struct ca_bytes ca_serial_bytes(const struct ca_serial *serial)
{
    return ca_bytes_of(serial->bytes, CA_SERIAL_LEN);
}
