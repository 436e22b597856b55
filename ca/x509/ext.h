/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext: extensions (RFC 5280, section 4.2; GM/T 0015), each written as a whole Extension.
 *
 * Backwards like everything in ca/der: the last extension is written first.
 */
#pragma once

#include "ca/x509/cert.h"

/* Bit n of KeyUsage is 1 << n. */
enum x509_key_usage {
    X509_KU_DIGITAL_SIGNATURE = 1 << 0,
    X509_KU_NON_REPUDIATION = 1 << 1,
    X509_KU_KEY_ENCIPHERMENT = 1 << 2,
    X509_KU_DATA_ENCIPHERMENT = 1 << 3,
    X509_KU_KEY_AGREEMENT = 1 << 4,
    X509_KU_KEY_CERT_SIGN = 1 << 5,
    X509_KU_CRL_SIGN = 1 << 6,
    X509_KU_ENCIPHER_ONLY = 1 << 7,
    X509_KU_DECIPHER_ONLY = 1 << 8,
};

/* Content octets of the OIDs. */
extern const struct ca_bytes X509_OID_SKI, X509_OID_KEY_USAGE, X509_OID_SAN,
    X509_OID_BASIC_CONSTRAINTS, X509_OID_CRL_DISTRIBUTION_POINTS, X509_OID_CERTIFICATE_POLICIES,
    X509_OID_AKI, X509_OID_EXT_KEY_USAGE, X509_OID_FRESHEST_CRL, X509_OID_AIA;

/* Any extension: value is the DER that goes into the OCTET STRING. */
void x509_ext_write(struct der_writer *writer, struct ca_bytes oid, bool is_critical,
                    struct ca_bytes value);

void x509_ext_write_key_usage(struct der_writer *writer, uint32_t usage, bool is_critical);
/* Each OID as content octets. */
void x509_ext_write_ext_key_usage(struct der_writer *writer, const struct ca_bytes *oids,
                                  size_t count, bool is_critical);
/* path_len below 0: no pathLenConstraint. is_ca false writes the empty SEQUENCE. */
void x509_ext_write_basic_constraints(struct der_writer *writer, bool is_ca, int path_len,
                                      bool is_critical);
void x509_ext_write_subject_key_id(struct der_writer *writer, const uint8_t id[20]);
void x509_ext_write_authority_key_id(struct der_writer *writer, struct ca_bytes id);
/* names: the concatenated GeneralName values. Critical where the subject is empty. */
void x509_ext_write_alt_names(struct der_writer *writer, struct ca_bytes names, bool is_critical);
/* Either may be empty; with both empty nothing is written. */
void x509_ext_write_authority_info_access(struct der_writer *writer, struct ca_bytes ocsp_url,
                                          struct ca_bytes ca_issuers_url);
void x509_ext_write_crl_distribution_point(struct der_writer *writer, struct ca_bytes url);
/* Where delta lists are: in certificates and in complete lists. */
void x509_ext_write_freshest_crl(struct der_writer *writer, struct ca_bytes url);

struct x509_policy {
    struct ca_bytes oid;     /* content octets */
    struct ca_bytes cps_url; /* may be empty */
};
void x509_ext_write_policies(struct der_writer *writer, const struct x509_policy *policies,
                             size_t count);

/* Dotted decimal to content octets in the arena: FIELD_FORMAT. */
CA_MUST_CHECK enum ca_err x509_oid_parse(const char *dotted, struct ca_arena *arena,
                                         struct ca_bytes *oid_out);
