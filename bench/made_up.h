/* SPDX-License-Identifier: Apache-2.0 */
/* made_up: certificates made of numbers, as stores are filled with for measurements. */
#pragma once

#include <string.h>

#include "store/store.h"

#define MADE_UP_START_US UINT64_C(1735689600000000) /* 2025-01-01: when number 0 was issued */

enum { MADE_UP_INSTANCE = 1, MADE_UP_DER_LEN = 700 };

static inline uint64_t made_up_mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static inline struct store_digest made_up_digest(char kind, uint64_t n)
{
    struct store_digest digest;
    uint64_t words[2] = { made_up_mix(n * 256 + (uint8_t)kind),
                          made_up_mix(n * 256 + (uint8_t)kind + 128) };

    memcpy(digest.bytes, words, sizeof(words));
    return digest;
}

static inline struct ca_serial made_up_serial(uint64_t n)
{
    uint64_t words[2] = { made_up_mix(n), made_up_mix(~n) };

    return ca_serial_make(MADE_UP_INSTANCE, MADE_UP_START_US + n, (const uint8_t *)words);
}
