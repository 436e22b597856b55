/* SPDX-License-Identifier: Apache-2.0 */
/* name: distinguished names (RFC 5280, section 4.1.2.4) and the attributes in them. */
#pragma once

#include "ca/base/arena.h"
#include "ca/base/limits.h"
#include "ca/der/writer.h"

/* One attribute type this engine knows: "CN", "O", "emailAddress"; its OID as content octets. */
struct x509_attribute_type {
    const char *name;
    struct ca_bytes oid;
    uint8_t default_tag;  /* UTF8_STRING, PRINTABLE_STRING for C and serialNumber, IA5_STRING */
    uint16_t upper_bound; /* RFC 5280, appendix A.1; in characters */
};
const struct x509_attribute_type *x509_attribute_type_by_name(const char *name);
const struct x509_attribute_type *x509_attribute_type_by_oid(struct ca_bytes oid);

struct x509_attribute {
    struct ca_bytes oid;
    uint8_t tag; /* string type in the encoding */
    struct ca_bytes value;
};

struct x509_name {
    struct ca_bytes whole;                                    /* the DER */
    struct x509_attribute attributes[CA_ATTRIBUTE_COUNT_MAX]; /* in the order of the encoding */
    size_t count;
};

/* Borrows from whole, which der_check() has accepted. Multi-valued RDNs and values that are no
 * strings are refused (FIELD_FORMAT), too many or too long ones as well (FIELD_LENGTH). */
CA_MUST_CHECK enum ca_err x509_name_parse(struct ca_bytes whole, struct x509_name *name_out);
/* One attribute an RDN, in the given order. */
void x509_name_write(struct der_writer *writer, const struct x509_attribute *attributes,
                     size_t count);
/* "CN=...,O=..." as in RFC 4514: the last RDN first, a NUL behind it. Values that are not text of
 * a known type are in hexadecimal. data is NULL when the arena is exhausted. */
struct ca_bytes x509_name_format(const struct x509_name *name, struct ca_arena *arena);
