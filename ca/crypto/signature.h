/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature: the pair (r, s) of ECDSA and SM2, between DER and fixed length.
 *
 * Fixed length is r || s, each `half` octets, big endian. Whether 0 < r, s < n is for
 * the arithmetic to check; here they are positive and not longer than half.
 */
#pragma once

#include "ca/base/bytes.h"

enum {
    CRYPTO_HALF_LEN_MAX = 48,                      /* P-384 */
    CRYPTO_PAIR_LEN_MAX = 2 * CRYPTO_HALF_LEN_MAX, /* as fixed length */
    CRYPTO_PAIR_DER_LEN_MAX = CRYPTO_PAIR_LEN_MAX + 2 * 3 + 2,
};

/*
 * SEQUENCE { r INTEGER, s INTEGER } in strict DER with nothing behind it: shortest lengths,
 * shortest integers, none negative or zero. False, and pair undefined, for all else.
 */
bool crypto_pair_decode(struct ca_bytes der, size_t half, uint8_t *pair);
/* Returns the length, at most CRYPTO_PAIR_DER_LEN_MAX. */
size_t crypto_pair_encode(const uint8_t *pair, size_t half, uint8_t *der);
