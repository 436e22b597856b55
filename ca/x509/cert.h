/* SPDX-License-Identifier: Apache-2.0 */
/* cert: certificates (RFC 5280, section 4.1): the to-be-signed part, the whole, reading both. */
#pragma once

#include "ca/base/serial.h"
#include "ca/x509/csr.h"

/* What goes into a TBSCertificate, all of it already in its final form. */
struct x509_tbs {
    struct ca_bytes serial; /* positive, big endian */
    enum crypto_sig sig;
    struct ca_bytes issuer; /* Name, whole DER */
    int64_t not_before_s;
    int64_t not_after_s;
    struct ca_bytes subject; /* Name, whole DER */
    struct ca_bytes spki;    /* whole DER */
    /* The concatenated Extension values, without the wrapper; may be empty. */
    struct ca_bytes extensions;
};
void x509_tbs_write(struct der_writer *writer, const struct x509_tbs *tbs);

/* SEQUENCE { tbs, algorithm, signature }. */
void x509_signed_write(struct der_writer *writer, struct ca_bytes tbs, enum crypto_sig sig,
                       struct ca_bytes signature);

struct x509_cert {
    struct ca_bytes whole;
    struct ca_bytes tbs;
    struct ca_bytes serial; /* content octets as encoded */
    enum crypto_sig sig;
    struct x509_name issuer;
    int64_t not_before_s;
    int64_t not_after_s;
    struct x509_name subject;
    struct ca_bytes spki;
    struct crypto_public_key key;
    struct x509_extension extensions[CA_EXTENSION_COUNT_MAX];
    size_t extension_count;
    struct ca_bytes signature;
};
/* Strict; borrows from der. CERT_PARSE for the form; unknown algorithms and keys, and an algorithm
 * inside that is not the one outside, are refused as in a request. */
CA_MUST_CHECK enum ca_err x509_cert_parse(struct ca_bytes der, struct x509_cert *cert_out,
                                          struct ca_refusal *refusal);
/* A TBSCertificate alone: whole, signature stay empty. */
CA_MUST_CHECK enum ca_err x509_tbs_parse(struct ca_bytes der, struct x509_cert *cert_out,
                                         struct ca_refusal *refusal);
const struct x509_extension *x509_cert_extension(const struct x509_cert *cert, struct ca_bytes oid);
