/* SPDX-License-Identifier: Apache-2.0 */
/* csr: certification requests (PKCS#10, RFC 2986). */
#pragma once

#include "ca/x509/algorithm.h"
#include "ca/x509/name.h"

struct x509_extension {
    struct ca_bytes oid; /* content octets */
    bool is_critical;
    struct ca_bytes value; /* the DER inside the OCTET STRING */
};

struct x509_csr {
    struct ca_bytes info; /* CertificationRequestInfo, whole: what is signed */
    struct x509_name subject;
    struct ca_bytes spki; /* whole */
    struct crypto_public_key key;
    enum crypto_sig sig;
    struct ca_bytes signature;
    struct x509_extension extensions[CA_EXTENSION_COUNT_MAX]; /* of extensionRequest */
    size_t extension_count;
};

/*
 * Strict DER first, then the grammar, then key and algorithm. Everything is borrowed from
 * der. Other attributes than extensionRequest are skipped; duplicate attributes and duplicate
 * extensions are refused. The signature is not verified here, only that its kind fits the key.
 */
CA_MUST_CHECK enum ca_err x509_csr_parse(struct ca_bytes der, struct x509_csr *csr_out,
                                         struct ca_refusal *refusal);

/* The content of an Extensions value: one to CA_EXTENSION_COUNT_MAX of them, none twice, each value
 * strict DER. CSR_PARSE otherwise. Certificates have the same. */
CA_MUST_CHECK enum ca_err x509_extensions_parse(struct ca_bytes content,
                                                struct x509_extension *extensions,
                                                size_t *count_out);

/* CertificationRequestInfo for a key of our own (an outer root's answer comes back by import). */
void x509_csr_info_write(struct der_writer *writer, const struct x509_attribute *subject,
                         size_t subject_count, const struct crypto_public_key *key,
                         const struct x509_extension *extensions, size_t extension_count);
