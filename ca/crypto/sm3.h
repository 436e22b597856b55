/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sm3: the SM3 hash (GB/T 32905) in steps, and the digest an SM2 signature signs.
 *
 * A state is a value: copy it to hash several messages that begin alike.
 */
#pragma once

#include "ca/base/bytes.h"
#include "ca/base/limits.h"

enum { CRYPTO_SM3_BLOCK_LEN = 64 };

struct crypto_sm3 {
    uint32_t chain[8];
    uint8_t block[CRYPTO_SM3_BLOCK_LEN]; /* what does not fill a block yet */
    uint64_t len;                        /* of all input so far */
};

void crypto_sm3_init(struct crypto_sm3 *state);
void crypto_sm3_update(struct crypto_sm3 *state, struct ca_bytes bytes);
void crypto_sm3_final(struct crypto_sm3 *state, uint8_t digest[CA_DIGEST_LEN]);

/*
 * e = SM3(Z || M) with Z = SM3(ENTL || ID || a || b || G || P) for the identity
 * 1234567812345678 (GB/T 32918.2, section 5.5). What Z hashes before P is the same for every key:
 * crypto_sm2_prefix() hashes it once. The point is X || Y.
 */
void crypto_sm2_prefix(struct crypto_sm3 *prefix);
void crypto_sm2_digest(const struct crypto_sm3 *prefix, const uint8_t point[64],
                       struct ca_bytes message, uint8_t digest[CA_DIGEST_LEN]);
