/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/hash_block.h"

#include <openssl/crypto.h>

#include "ca/crypto/hash_rounds.h"

const uint32_t crypto_hash_first_state[2][HASH_STATE_WORDS] = {
    [HASH_SHA256] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                      0x1f83d9ab, 0x5be0cd19 },
    [HASH_SM3] = { 0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa,
                   0xe38dee4d, 0xb0fb0e4e },
};

const uint32_t crypto_hash_sha256_round[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

const uint32_t crypto_hash_sm3_round[64] = {
    0x79cc4519, 0xf3988a32, 0xe7311465, 0xce6228cb, 0x9cc45197, 0x3988a32f, 0x7311465e, 0xe6228cbc,
    0xcc451979, 0x988a32f3, 0x311465e7, 0x6228cbce, 0xc451979c, 0x88a32f39, 0x11465e73, 0x228cbce6,
    0x9d8a7a87, 0x3b14f50f, 0x7629ea1e, 0xec53d43c, 0xd8a7a879, 0xb14f50f3, 0x629ea1e7, 0xc53d43ce,
    0x8a7a879d, 0x14f50f3b, 0x29ea1e76, 0x53d43cec, 0xa7a879d8, 0x4f50f3b1, 0x9ea1e762, 0x3d43cec5,
    0x7a879d8a, 0xf50f3b14, 0xea1e7629, 0xd43cec53, 0xa879d8a7, 0x50f3b14f, 0xa1e7629e, 0x43cec53d,
    0x879d8a7a, 0x0f3b14f5, 0x1e7629ea, 0x3cec53d4, 0x79d8a7a8, 0xf3b14f50, 0xe7629ea1, 0xcec53d43,
    0x9d8a7a87, 0x3b14f50f, 0x7629ea1e, 0xec53d43c, 0xd8a7a879, 0xb14f50f3, 0x629ea1e7, 0xc53d43ce,
    0x8a7a879d, 0x14f50f3b, 0x29ea1e76, 0x53d43cec, 0xa7a879d8, 0x4f50f3b1, 0x9ea1e762, 0x3d43cec5,
};

static inline uint32_t rotate(uint32_t word, int by)
{
    return word << by | word >> (32 - by);
}

/* FIPS 180-4, section 6.2.2; w is the schedule, sixteen words of it at any time. */
static inline void round_sha256(uint32_t s[8], uint32_t w[16], int t)
{
    if (t >= 16) {
        uint32_t early = w[(t + 1) & 15], late = w[(t + 14) & 15];
        w[t & 15] += w[(t + 9) & 15] + (rotate(early, 25) ^ rotate(early, 14) ^ early >> 3) +
                     (rotate(late, 15) ^ rotate(late, 13) ^ late >> 10);
    }
    uint32_t t1 = s[7] + (rotate(s[4], 26) ^ rotate(s[4], 21) ^ rotate(s[4], 7)) +
                  (s[6] ^ (s[4] & (s[5] ^ s[6]))) + crypto_hash_sha256_round[t] + w[t & 15];
    uint32_t t2 = (rotate(s[0], 30) ^ rotate(s[0], 19) ^ rotate(s[0], 10)) +
                  ((s[0] & s[1]) | (s[2] & (s[0] | s[1])));
    s[7] = s[6];
    s[6] = s[5];
    s[5] = s[4];
    s[4] = s[3] + t1;
    s[3] = s[2];
    s[2] = s[1];
    s[1] = s[0];
    s[0] = t1 + t2;
}

static inline uint32_t sm3_schedule(const uint32_t w[16], int t)
{
    uint32_t mixed = w[t & 15] ^ w[(t + 7) & 15] ^ rotate(w[(t + 13) & 15], 15);

    mixed ^= rotate(mixed, 15) ^ rotate(mixed, 23);
    return mixed ^ rotate(w[(t + 3) & 15], 7) ^ w[(t + 10) & 15];
}

/* GB/T 32905, section 5.3.3; word t + 16 takes the place of word t behind round t. */
static inline void round_sm3(uint32_t s[8], uint32_t w[16], int t)
{
    bool is_early = t < 16;
    uint32_t a12 = rotate(s[0], 12), word = w[t & 15], later = w[(t + 4) & 15];
    uint32_t ss1 = rotate(a12 + s[4] + crypto_hash_sm3_round[t], 7);
    uint32_t ff = is_early ? s[0] ^ s[1] ^ s[2] : (s[0] & s[1]) | (s[2] & (s[0] | s[1]));
    uint32_t gg = is_early ? s[4] ^ s[5] ^ s[6] : s[6] ^ (s[4] & (s[5] ^ s[6]));
    uint32_t tt1 = ff + s[3] + (ss1 ^ a12) + (word ^ later);
    uint32_t tt2 = gg + s[7] + ss1 + word;

    if (t < 52)
        w[t & 15] = sm3_schedule(w, t);
    s[3] = s[2];
    s[2] = rotate(s[1], 9);
    s[1] = s[0];
    s[0] = tt1;
    s[7] = s[6];
    s[6] = rotate(s[5], 19);
    s[5] = s[4];
    s[4] = tt2 ^ rotate(tt2, 9) ^ rotate(tt2, 17);
}

void crypto_hash_compress(enum hash_kind kind, uint32_t state[HASH_STATE_WORDS],
                          const uint8_t block[HASH_BLOCK_LEN])
{
    uint32_t w[16], s[8];

    for (int i = 0; i < 16; i++)
        w[i] = hash_load_word(block + 4 * i);
    for (int i = 0; i < 8; i++)
        s[i] = state[i];
    /* Unrolled, so that state and schedule stay where they are instead of moving. */
    if (kind == HASH_SHA256) {
        _Pragma("GCC unroll 64") for (int t = 0; t < 64; t++) round_sha256(s, w, t);
        for (int i = 0; i < 8; i++)
            state[i] += s[i];
    } else {
        _Pragma("GCC unroll 64") for (int t = 0; t < 64; t++) round_sm3(s, w, t);
        for (int i = 0; i < 8; i++)
            state[i] ^= s[i];
    }
    OPENSSL_cleanse(w, sizeof(w));
    OPENSSL_cleanse(s, sizeof(s));
}
