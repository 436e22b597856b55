/* SPDX-License-Identifier: Apache-2.0 */
/* hash_rounds: the constants of the rounds, shared by both widths. */
#pragma once

#include <stdint.h>

extern const uint32_t crypto_hash_sha256_round[64];
extern const uint32_t crypto_hash_sm3_round[64]; /* T_j rotated left by j */
