/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ec_nonce: the secret number of each signature.
 *
 * Hedged: HMAC-SHA-256 under a secret derived from the private key, over digest, fresh
 * randomness and an attempt number. Deterministic: RFC 6979. Either way a candidate that is
 * not within 1 to n - 1 is thrown away, so what remains is uniform and has no bias.
 */
#pragma once

#include "ca/crypto/ec_curve.h"

/* Fills in the key's nonce fields from its secret. */
void crypto_ec_nonce_prepare(struct crypto_ec_key *key);

enum { EC_NONCE_MAX = 64 };

/*
 * count <= EC_NONCE_MAX nonces. attempts[i], zero at first, moves on with each candidate, so
 * that asking again for one signature gives another nonce. fresh is NULL for RFC 6979.
 */
void crypto_ec_nonce_many(enum crypto_ec_backend backend, const struct crypto_ec_key *key,
                          const uint8_t (*digests)[CRYPTO_EC_DIGEST_LEN],
                          const uint8_t (*fresh)[CRYPTO_EC_FRESH_LEN], size_t count,
                          uint8_t *attempts, struct ec_number *nonces_out);
