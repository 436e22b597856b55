/* SPDX-License-Identifier: Apache-2.0 */
/* The compression functions, sixteen blocks side by side in the 32-bit lanes of AVX-512. */
#include "ca/crypto/hash_block.h"

#include <immintrin.h>
#include <openssl/crypto.h>

#include "ca/crypto/hash_rounds.h"

#define INLINE        static inline __attribute__((always_inline))
#define ADD(a, b)     _mm512_add_epi32(a, b)
#define ROTATE(a, by) _mm512_rol_epi32(a, by)
#define SHIFT(a, by)  _mm512_srli_epi32(a, by)
#define ALL(word)     _mm512_set1_epi32((int)(word))

/* Any function of three bits, by its truth table. */
#define XOR3(a, b, c)     _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define CHOOSE(a, b, c)   _mm512_ternarylogic_epi32(a, b, c, 0xca)
#define MAJORITY(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xe8)

/* Sixteen words of sixteen blocks: word[i] has word i of every block. */
INLINE void load_blocks(__m512i word[16], const uint8_t *const blocks[HASH_LANES])
{
    const __m512i swap = _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
    __m512i a[16], b[16];

    for (int i = 0; i < 16; i++)
        a[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(blocks[i]), swap);
    for (int i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
        a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
        a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
        a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        b[i] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0x88);
        b[i + 4] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0xdd);
        b[i + 8] = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0x88);
        b[i + 12] = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        word[i] = _mm512_shuffle_i32x4(b[i], b[i + 8], 0x88);
        word[i + 8] = _mm512_shuffle_i32x4(b[i], b[i + 8], 0xdd);
        word[i + 4] = _mm512_shuffle_i32x4(b[i + 4], b[i + 12], 0x88);
        word[i + 12] = _mm512_shuffle_i32x4(b[i + 4], b[i + 12], 0xdd);
    }
}

INLINE void round_sha256(__m512i s[8], __m512i w[16], int t)
{
    if (t >= 16) {
        __m512i early = w[(t + 1) & 15], late = w[(t + 14) & 15];
        __m512i sigma0 = XOR3(ROTATE(early, 25), ROTATE(early, 14), SHIFT(early, 3));
        __m512i sigma1 = XOR3(ROTATE(late, 15), ROTATE(late, 13), SHIFT(late, 10));
        w[t & 15] = ADD(ADD(w[t & 15], w[(t + 9) & 15]), ADD(sigma0, sigma1));
    }
    __m512i sum1 = XOR3(ROTATE(s[4], 26), ROTATE(s[4], 21), ROTATE(s[4], 7));
    __m512i sum0 = XOR3(ROTATE(s[0], 30), ROTATE(s[0], 19), ROTATE(s[0], 10));
    __m512i t1 = ADD(ADD(s[7], ADD(w[t & 15], ALL(crypto_hash_sha256_round[t]))),
                     ADD(sum1, CHOOSE(s[4], s[5], s[6])));
    __m512i t2 = ADD(sum0, MAJORITY(s[0], s[1], s[2]));

    s[7] = s[6];
    s[6] = s[5];
    s[5] = s[4];
    s[4] = s[3];
    s[3] = s[2];
    s[2] = s[1];
    s[1] = s[0];
    s[4] = ADD(s[4], t1);
    s[0] = ADD(t1, t2);
}

INLINE void round_sm3(__m512i s[8], __m512i w[16], int t)
{
    bool is_early = t < 16;
    __m512i a12 = ROTATE(s[0], 12), word = w[t & 15];
    __m512i ss1 = ROTATE(ADD(ADD(a12, s[4]), ALL(crypto_hash_sm3_round[t])), 7);
    __m512i ff = is_early ? XOR3(s[0], s[1], s[2]) : MAJORITY(s[0], s[1], s[2]);
    __m512i gg = is_early ? XOR3(s[4], s[5], s[6]) : CHOOSE(s[4], s[5], s[6]);
    __m512i tt1 = ADD(ADD(ff, s[3]),
                      ADD(_mm512_xor_si512(ss1, a12), _mm512_xor_si512(word, w[(t + 4) & 15])));
    __m512i tt2 = ADD(ADD(gg, s[7]), ADD(ss1, word));

    if (t < 52) {
        __m512i mixed = XOR3(word, w[(t + 7) & 15], ROTATE(w[(t + 13) & 15], 15));
        mixed = XOR3(mixed, ROTATE(mixed, 15), ROTATE(mixed, 23));
        w[t & 15] = XOR3(mixed, ROTATE(w[(t + 3) & 15], 7), w[(t + 10) & 15]);
    }
    s[3] = s[2];
    s[2] = ROTATE(s[1], 9);
    s[1] = s[0];
    s[0] = tt1;
    s[7] = s[6];
    s[6] = ROTATE(s[5], 19);
    s[5] = s[4];
    s[4] = XOR3(tt2, ROTATE(tt2, 9), ROTATE(tt2, 17));
}

void crypto_hash_compress_lanes(enum hash_kind kind, uint32_t state[HASH_STATE_WORDS][HASH_LANES],
                                const uint8_t *const blocks[HASH_LANES])
{
    __m512i w[16], s[8], before[8];

    load_blocks(w, blocks);
    for (int i = 0; i < 8; i++)
        before[i] = s[i] = _mm512_loadu_si512(state[i]);
    if (kind == HASH_SHA256) {
        _Pragma("GCC unroll 64") for (int t = 0; t < 64; t++) round_sha256(s, w, t);
        for (int i = 0; i < 8; i++)
            s[i] = ADD(s[i], before[i]);
    } else {
        _Pragma("GCC unroll 64") for (int t = 0; t < 64; t++) round_sm3(s, w, t);
        for (int i = 0; i < 8; i++)
            s[i] = _mm512_xor_si512(s[i], before[i]);
    }
    for (int i = 0; i < 8; i++)
        _mm512_storeu_si512(state[i], s[i]);
    OPENSSL_cleanse(w, sizeof(w));
    OPENSSL_cleanse(s, sizeof(s));
    OPENSSL_cleanse(before, sizeof(before));
}
