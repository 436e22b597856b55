/* SPDX-License-Identifier: Apache-2.0 */
/* algorithm: AlgorithmIdentifier and SubjectPublicKeyInfo, to and from what ca/crypto takes. */
#pragma once

#include "ca/crypto/crypto.h"
#include "ca/der/writer.h"

/* The whole AlgorithmIdentifier of a signature, ready-made; lives for ever. RFC 3279, 4055, 5758,
 * 8410; SM2 with SM3 without parameters. */
struct ca_bytes x509_algorithm_of(enum crypto_sig sig);
/* CSR_ALGORITHM for an algorithm or parameters this engine does not take. */
CA_MUST_CHECK enum ca_err x509_algorithm_parse(struct ca_bytes whole, enum crypto_sig *sig_out);

/* Borrows from spki. KEY_TYPE for algorithms and curves other than ours (explicit parameters
 * included), CSR_PARSE for wrong form. Whether a point is on its curve is checked with the
 * signature. */
CA_MUST_CHECK enum ca_err x509_spki_parse(struct ca_bytes spki, struct crypto_public_key *key_out);
void x509_spki_write(struct der_writer *writer, const struct crypto_public_key *key);

/* The 20-octet key identifier of RFC 5280, section 4.2.1.2, method 1. */
void x509_key_id(const struct crypto_public_key *key, uint8_t id[20]);
