/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash_pair: SHA-256 of two messages side by side, with the processor's own instructions for it.
 *
 * Each of them waits for the one before: a second message fills the pauses, and both together take
 * as long as one. For the few long messages that hash_lanes is not made for.
 */
#pragma once

#include "ca/crypto/hash_block.h"

/* Only where digest.c found the instructions. So many whole blocks of each, which may overlap. */
void crypto_hash_sha256_pair(uint32_t states[2][HASH_STATE_WORDS], const uint8_t *a,
                             const uint8_t *b, size_t blocks);
