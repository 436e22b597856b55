/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message: what a signature covers, hashed piece by piece, for messages too long for memory.
 *
 * Every kind of signature of ours but Ed25519 signs a digest, so a message of any length is
 * signed from 64 octets. Ed25519 (RFC 8032) reads its message twice and has no such form.
 */
#pragma once

#include "ca/crypto/crypto.h"

enum { CRYPTO_DIGEST_LEN_MAX = 64 };

struct crypto_digest {
    uint8_t bytes[CRYPTO_DIGEST_LEN_MAX];
    size_t len;
};

/* Spelled out to be a value: no memory to be freed. Nobody else reads the fields. */
struct crypto_message {
    uint32_t hash;
    uint64_t state[28];
};

/* SM2 hashes the identity and the key first, others do not look at the key. KEY_TYPE for Ed25519
 * and for a key that does not fit. */
CA_MUST_CHECK enum ca_err crypto_message_init(struct crypto_message *message, enum crypto_sig sig,
                                              const struct crypto_public_key *key);
/* Plain SHA-256, of no key. */
void crypto_message_init_sha256(struct crypto_message *message);
void crypto_message_update(struct crypto_message *message, struct ca_bytes bytes);
void crypto_message_final(struct crypto_message *message, struct crypto_digest *digest_out);

/* As crypto_sign_many() and crypto_verify_own_many() with the message's digest. */
CA_MUST_CHECK enum ca_err
crypto_sign_digest(struct crypto *crypto, const struct crypto_private_key *key, enum crypto_sig sig,
                   const struct crypto_digest *digest, struct crypto_signature *signature);
CA_MUST_CHECK enum ca_err crypto_verify_own_digest(struct crypto *crypto,
                                                   const struct crypto_own_key *own,
                                                   enum crypto_sig sig,
                                                   const struct crypto_digest *digest,
                                                   struct ca_bytes signature);
