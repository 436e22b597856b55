/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash_many: SM3 (GB/T 32905) and SHA-256 (FIPS 180-4) of many messages at once.
 *
 * Sixteen messages are hashed side by side where the machine has AVX-512 and there are
 * enough of them; lengths may differ. Nothing but the length of a message decides what is
 * done, so messages may be secret. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "ca/base/bytes.h"
#include "ca/crypto/ec.h"

enum { CRYPTO_HASH_LEN = 32 };

/*
 * heads is NULL, or points at CRYPTO_HASH_LEN octets that go before each message: SM2's Z.
 * The backend must be one this machine has.
 */
void crypto_sm3_many(enum crypto_ec_backend backend, const uint8_t *const *heads,
                     const struct ca_bytes *messages, size_t count,
                     uint8_t (*digests_out)[CRYPTO_HASH_LEN]);
void crypto_sha256_many(enum crypto_ec_backend backend, const struct ca_bytes *messages,
                        size_t count, uint8_t (*digests_out)[CRYPTO_HASH_LEN]);
