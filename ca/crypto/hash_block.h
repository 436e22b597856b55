/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash_block: the compression functions of SHA-256 and SM3, for one block of one message or
 * for a block each of sixteen. Both hashes cut, pad and count alike (Merkle-Damgard, blocks of
 * 64 octets, big endian); they differ in the first state and in this function.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "ca/crypto/ec.h"

enum { HASH_BLOCK_LEN = 64, HASH_STATE_WORDS = 8, HASH_LANES = 16 };

/* With fewer blocks than this one after the other is faster than side by side (measured). */
enum { HASH_LANES_MIN = 3 };

enum hash_kind { HASH_SHA256, HASH_SM3 };

extern const uint32_t crypto_hash_first_state[2][HASH_STATE_WORDS];

void crypto_hash_compress(enum hash_kind kind, uint32_t state[HASH_STATE_WORDS],
                          const uint8_t block[HASH_BLOCK_LEN]);
/* state[word][lane]; needs AVX-512. A lane without a message is given any block. */
void crypto_hash_compress_lanes(enum hash_kind kind, uint32_t state[HASH_STATE_WORDS][HASH_LANES],
                                const uint8_t *const blocks[HASH_LANES]);

static inline uint32_t hash_load_word(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline void hash_store_word(uint32_t word, uint8_t *bytes)
{
    bytes[0] = (uint8_t)(word >> 24);
    bytes[1] = (uint8_t)(word >> 16);
    bytes[2] = (uint8_t)(word >> 8);
    bytes[3] = (uint8_t)word;
}
