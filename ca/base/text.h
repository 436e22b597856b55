/* SPDX-License-Identifier: Apache-2.0 */
/* text: characters to bytes and back, for what is not secret. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ca/base/bytes.h"

/* Lower-case hexadecimal: 2 * bytes.len characters and a NUL. */
void ca_text_hex(struct ca_bytes bytes, char *text);
/* Either case, optional single colons between octets. False if malformed or longer than size. */
bool ca_text_unhex(const char *text, uint8_t *bytes, size_t size, size_t *len_out);

/* What an English noun gets behind this number: "s", or nothing for 1. */
const char *ca_text_plural(uint64_t count);

/* The whole text is a decimal number within min and max. */
bool ca_text_to_number(const char *text, uint64_t min, uint64_t max, uint64_t *number_out);

/* Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, no NUL. */
bool ca_text_is_utf8(struct ca_bytes bytes);
/* Characters, not octets, in well-formed UTF-8. */
size_t ca_text_utf8_count(struct ca_bytes bytes);
/* The character set of PrintableString (X.680, section 41.4). */
bool ca_text_is_printable_string(struct ca_bytes bytes);
/* 0x20 to 0x7e. */
bool ca_text_is_visible_ascii(struct ca_bytes bytes);
