/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/hash_pair.h"

#include <immintrin.h>

#include "ca/crypto/hash_rounds.h"

#define INLINE static inline __attribute__((always_inline))

/* The words of a state as the instructions have them: a, b, e, f and c, d, g, h, highest first. */
struct state {
    __m128i abef, cdgh;
};

INLINE struct state state_load(const uint32_t words[HASH_STATE_WORDS])
{
    __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)words), 0xb1);
    __m128i hgfe =
        _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(words + 4)), 0x1b);

    return (struct state){ _mm_alignr_epi8(badc, hgfe, 8), _mm_blend_epi16(hgfe, badc, 0xf0) };
}

INLINE void state_store(struct state state, uint32_t words[HASH_STATE_WORDS])
{
    __m128i feba = _mm_shuffle_epi32(state.abef, 0x1b);
    __m128i dchg = _mm_shuffle_epi32(state.cdgh, 0xb1);

    _mm_storeu_si128((__m128i *)(void *)words, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(void *)(words + 4), _mm_alignr_epi8(dchg, feba, 8));
}

INLINE struct state state_add(struct state a, struct state b)
{
    return (struct state){ _mm_add_epi32(a.abef, b.abef), _mm_add_epi32(a.cdgh, b.cdgh) };
}

INLINE void block_load(__m128i word[4], const uint8_t *block)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);

    for (int i = 0; i < 4; i++)
        word[i] = _mm_shuffle_epi8(
            _mm_loadu_si128((const __m128i *)(const void *)(block + (ptrdiff_t)16 * i)), swap);
}

/* Rounds 4 i to 4 i + 3; the words they used make room for those of 16 rounds later. */
INLINE void four_rounds(struct state *state, __m128i word[4], int i)
{
    const uint32_t *round = crypto_hash_sha256_round + (ptrdiff_t)4 * i;
    __m128i now = word[i & 3], before = word[(i + 3) & 3];
    __m128i in = _mm_add_epi32(now, _mm_loadu_si128((const __m128i *)(const void *)round));

    state->cdgh = _mm_sha256rnds2_epu32(state->cdgh, state->abef, in);
    state->abef = _mm_sha256rnds2_epu32(state->abef, state->cdgh, _mm_shuffle_epi32(in, 0x0e));
    if (i >= 12)
        return;
    __m128i middle = _mm_alignr_epi8(before, word[(i + 2) & 3], 4);
    __m128i early = _mm_sha256msg1_epu32(now, word[(i + 1) & 3]);
    word[i & 3] = _mm_sha256msg2_epu32(_mm_add_epi32(early, middle), before);
}

void crypto_hash_sha256_pair(uint32_t states[2][HASH_STATE_WORDS], const uint8_t *a,
                             const uint8_t *b, size_t blocks)
{
    struct state state_a = state_load(states[0]), state_b = state_load(states[1]);

    for (; blocks > 0; blocks--, a += HASH_BLOCK_LEN, b += HASH_BLOCK_LEN) {
        struct state before_a = state_a, before_b = state_b;
        __m128i word_a[4], word_b[4];
        block_load(word_a, a);
        block_load(word_b, b);
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            four_rounds(&state_a, word_a, i);
            four_rounds(&state_b, word_b, i);
        }
        state_a = state_add(state_a, before_a);
        state_b = state_add(state_b, before_b);
    }
    state_store(state_a, states[0]);
    state_store(state_b, states[1]);
}
