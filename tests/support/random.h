/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random: a stream of numbers that is the same for the same seed, so that a failure can be
 * repeated (xorshift64*). The state begins with the seed, which is not 0.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1d;
}

static inline void random_fill(uint64_t *state, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(random_next(state) >> 56);
}
