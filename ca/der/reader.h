/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader: strict DER (X.690, section 10), one value after the other.
 *
 * Definite lengths in their shortest form, single-octet tags, nothing beyond the
 * given bytes. Everything read is borrowed from the input. A reader that refused
 * stays where it was. der_check() walks a whole input first, so that later reads
 * of nested values can rely on the form of everything below.
 */
#pragma once

#include "ca/base/bytes.h"
#include "ca/base/err.h"

enum der_tag {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_ENUMERATED = 0x0a,
    DER_UTF8_STRING = 0x0c,
    DER_PRINTABLE_STRING = 0x13,
    DER_TELETEX_STRING = 0x14,
    DER_IA5_STRING = 0x16,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_BMP_STRING = 0x1e,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
};
/* [n] IMPLICIT of a primitive type; [n] EXPLICIT, or IMPLICIT of a constructed one. */
#define DER_CONTEXT(n)             (0x80 | (n))
#define DER_CONTEXT_CONSTRUCTED(n) (0xa0 | (n))

struct der_value {
    uint8_t tag;
    struct ca_bytes content; /* without tag and length */
    struct ca_bytes whole;   /* with them */
};

struct der_reader {
    const uint8_t *at;
    const uint8_t *end;
};

/*
 * The whole input is one strict DER value: lengths, depth (CA_DER_DEPTH_MAX), and the
 * content rules of BOOLEAN, INTEGER, BIT STRING, NULL, OBJECT IDENTIFIER, the two
 * times and the character strings. SET OF elements in ascending order. CSR_PARSE for all else. No
 * recursion.
 */
CA_MUST_CHECK enum ca_err der_check(struct ca_bytes input);

struct der_reader der_reader_of(struct ca_bytes bytes);
bool der_reader_at_end(const struct der_reader *reader);
/* The tag of the next value, 0 at the end. */
uint8_t der_reader_peek(const struct der_reader *reader);

/* All answer CSR_PARSE when the next value is not what was asked for. */
CA_MUST_CHECK enum ca_err der_read_any(struct der_reader *reader, struct der_value *value_out);
CA_MUST_CHECK enum ca_err der_read(struct der_reader *reader, uint8_t tag,
                                   struct der_value *value_out);
/* Enters a constructed value: inner_out reads its content. */
CA_MUST_CHECK enum ca_err der_read_into(struct der_reader *reader, uint8_t tag,
                                        struct der_reader *inner_out);
/* BOOLEAN; also the DEFAULT FALSE form: absent is false, an encoded FALSE is refused. */
CA_MUST_CHECK enum ca_err der_read_default_false(struct der_reader *reader, bool *value_out);
/* A non-negative INTEGER up to 2^31-1. */
CA_MUST_CHECK enum ca_err der_read_small(struct der_reader *reader, uint32_t *value_out);
/* A positive INTEGER as big-endian octets without the leading zero. */
CA_MUST_CHECK enum ca_err der_read_positive(struct der_reader *reader, struct ca_bytes *octets_out);
/* A BIT STRING of whole octets. */
CA_MUST_CHECK enum ca_err der_read_bit_octets(struct der_reader *reader,
                                              struct ca_bytes *octets_out);
/* UTCTime or GeneralizedTime in the forms of RFC 5280, section 4.1.2.5. */
CA_MUST_CHECK enum ca_err der_read_time(struct der_reader *reader, int64_t *time_s_out);
/* Nothing may be left. */
CA_MUST_CHECK enum ca_err der_read_end(const struct der_reader *reader);
