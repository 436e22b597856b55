/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ec_lanes_point: eight points at a time. Only for ec_lanes_kernel.c.
 *
 * Coordinates between operations: X and Y folded (below 2.1 U), Z below 2.7 U, affine ones
 * below 1.1 U. The numbers beside the steps are bounds in U (ec_lanes_field.h).
 */
#pragma once

#include "ca/crypto/ec_lanes_field.h"

struct ec_lanes_affine {
    struct ec_fe x, y;
};

struct ec_lanes_point {
    struct ec_fe x, y, z;
};

/* a - b + times * p, tight; in case of doubt 0 <= result needs b < times * p. */
EC_INLINE_LARGE struct ec_fe ec_fe_difference(enum crypto_ec_curve curve, struct ec_fe a,
                                              struct ec_fe b, uint64_t times)
{
    return ec_fe_carry(ec_fe_add_p(curve, ec_fe_sub(a, b), times));
}

/* -a in lanes of the mask; a below 1.1 U, the result below 2 U. */
EC_INLINE struct ec_fe ec_fe_negate_if(enum crypto_ec_curve curve, __mmask8 mask, struct ec_fe a)
{
    const struct ec_fe zero = { { _mm512_setzero_si512(), _mm512_setzero_si512(),
                                  _mm512_setzero_si512(), _mm512_setzero_si512(),
                                  _mm512_setzero_si512() } };

    return ec_fe_select(mask, a, ec_fe_difference(curve, zero, a, 2));
}

/* For a = -3, four multiplications and four squarings; infinity (Z = 0) stays there. */
EC_INLINE_LARGE struct ec_lanes_point ec_lanes_double(enum crypto_ec_curve curve,
                                                      struct ec_lanes_point a)
{
    struct ec_lanes_point out;
    struct ec_fe delta = ec_fe_assert(ec_fe_square(curve, a.z), 24); /* Z^2: 1.46 */
    struct ec_fe gamma = ec_fe_assert(ec_fe_square(curve, a.y), 21); /* Y^2: 1.28 */
    struct ec_fe beta = ec_fe_mul_loose(curve, a.x, gamma);          /* X Y^2: 1.17 */
    struct ec_fe low = ec_fe_add_p(curve, ec_fe_sub(a.x, delta), 2); /* X - Z^2: 4.1 */
    struct ec_fe high = ec_fe_carry(ec_fe_add(a.x, delta));          /* X + Z^2: 3.6 */

    low = ec_fe_assert(ec_fe_carry(ec_fe_add(ec_fe_shift(low, 1), low)), 198); /* 12.3 */
    struct ec_fe alpha = ec_fe_mul(curve, low, high);                          /* 3.8 */
    alpha = ec_fe_assert(alpha, 61);
    beta = ec_fe_assert(ec_fe_carry(ec_fe_shift(beta, 2)), 76); /* 4 X Y^2: 4.7 */

    struct ec_fe z = ec_fe_mul_loose(curve, a.y, a.z); /* Y Z: 1.36 */
    out.z = ec_fe_assert(ec_fe_carry(ec_fe_shift(z, 1)), 44);

    struct ec_fe x = ec_fe_square_loose(curve, alpha); /* alpha^2: 1.91 */
    out.x = ec_fe_fold(curve, ec_fe_sub(x, ec_fe_shift(beta, 1)));

    struct ec_fe step = ec_fe_assert(ec_fe_difference(curve, beta, out.x, 3), 124); /* 7.7 */
    struct ec_fe y = ec_fe_mul_loose(curve, alpha, step);                           /* 2.9 */
    struct ec_fe eighth = ec_fe_square_loose(curve, gamma);                         /* 8 Y^4: 8.9 */
    out.y = ec_fe_fold(curve, ec_fe_sub(y, ec_fe_shift(eighth, 3)));
    return out;
}

/*
 * Eight multiplications and three squarings, one reduction saved. Z is multiplied by H, the
 * difference of the abscissas: if the operands are equal or opposite, or the first is
 * infinity, Z becomes zero modulo p and stays so through all that follows.
 */
EC_INLINE_LARGE struct ec_lanes_point
ec_lanes_add(enum crypto_ec_curve curve, struct ec_lanes_point a, struct ec_lanes_affine b)
{
    struct ec_lanes_point out;
    struct ec_fe zz = ec_fe_assert(ec_fe_square(curve, a.z), 24);   /* 1.46 */
    struct ec_fe zzz = ec_fe_assert(ec_fe_mul(curve, zz, a.z), 20); /* 1.25 */
    struct ec_fe h = ec_fe_mul_loose(curve, b.x, zz);               /* 1.2 */
    struct ec_fe r = ec_fe_mul_loose(curve, b.y, zzz);              /* 1.2 */

    h = ec_fe_assert(ec_fe_difference(curve, h, a.x, 3), 68); /* 4.2 */
    r = ec_fe_assert(ec_fe_difference(curve, r, a.y, 3), 68);
    out.z = ec_fe_assert(ec_fe_mul(curve, a.z, h), 28);            /* 1.71 */
    struct ec_fe hh = ec_fe_assert(ec_fe_square(curve, h), 34);    /* 2.11 */
    struct ec_fe hhh = ec_fe_assert(ec_fe_mul(curve, h, hh), 26);  /* 1.56 */
    struct ec_fe v = ec_fe_assert(ec_fe_mul(curve, a.x, hh), 21);  /* 1.28 */
    struct ec_fe x = ec_fe_sub(ec_fe_square_loose(curve, r), hhh); /* 2.11 - 1.56 */
    out.x = ec_fe_fold(curve, ec_fe_sub(x, ec_fe_shift(v, 1)));

    struct ec_fe step = ec_fe_assert(ec_fe_difference(curve, v, out.x, 3), 70); /* 4.3 */
    const struct ec_fe zero = ec_fe_sub(v, v);
    struct ec_fe minus_y = ec_fe_difference(curve, zero, a.y, 3); /* 3 */
    struct ec_wide y = ec_wide_product(r, step);                  /* 1.13 */
    ec_wide_add_product(&y, minus_y, hhh);                        /* 0.3, and 1 for both */
    out.y = ec_fe_fold(curve, ec_wide_reduce(curve, y));
    return out;
}

EC_INLINE struct ec_lanes_point ec_lanes_from_affine(enum crypto_ec_curve curve,
                                                     struct ec_lanes_affine a)
{
    return (struct ec_lanes_point){ a.x, a.y, ec_fe_all(ec_primes[curve].one) };
}

/* ---- digits, as ec_digit_at() */

struct ec_lanes_digit {
    __m512i index;
    __mmask8 negative;
};

EC_INLINE struct ec_lanes_digit ec_lanes_digit_at(const __m512i k[4], unsigned position,
                                                  unsigned width, bool is_top)
{
    struct ec_lanes_digit out;
    unsigned from = position + 1, word = from / 64, shift = from % 64;
    __m512i bits = _mm512_srl_epi64(k[word], _mm_cvtsi32_si128((int)shift));

    /* A shift by 64 gives zero. */
    if (word < 3)
        bits = _mm512_or_si512(bits,
                               _mm512_sll_epi64(k[word + 1], _mm_cvtsi32_si128((int)(64 - shift))));
    out.negative = is_top ? 0 : _mm512_testn_epi64_mask(bits, ec_all((uint64_t)1 << (width - 1)));
    bits = _mm512_mask_xor_epi64(bits, out.negative, bits, ec_all(~(uint64_t)0));
    out.index = _mm512_and_si512(bits, ec_all(((uint64_t)1 << (width - 1)) - 1));
    return out;
}

/* ---- tables */

/* One limb of 64 entries, looked up by lane: every entry is read, four permutes sort them out. */
EC_INLINE __m512i ec_lanes_look_up(const uint64_t limb[EC_COMB_ENTRIES], __m512i index)
{
    const __m512i *t = (const __m512i *)(const void *)limb;
    __mmask8 bit4 = _mm512_test_epi64_mask(index, ec_all(16));
    __mmask8 bit5 = _mm512_test_epi64_mask(index, ec_all(32));
    __m512i quarter0 = _mm512_permutex2var_epi64(t[0], index, t[1]);
    __m512i quarter1 = _mm512_permutex2var_epi64(t[2], index, t[3]);
    __m512i quarter2 = _mm512_permutex2var_epi64(t[4], index, t[5]);
    __m512i quarter3 = _mm512_permutex2var_epi64(t[6], index, t[7]);

    quarter0 = _mm512_mask_mov_epi64(quarter0, bit4, quarter1);
    quarter2 = _mm512_mask_mov_epi64(quarter2, bit4, quarter3);
    return _mm512_mask_mov_epi64(quarter0, bit5, quarter2);
}

_Static_assert(EC_COMB_ENTRIES == 64, "four permutes of sixteen entries");

/* The entry of a comb's row for each lane, with the digit's sign. */
EC_INLINE_LARGE struct ec_lanes_affine ec_lanes_comb_entry(enum crypto_ec_curve curve,
                                                           const struct ec_lanes_comb *comb,
                                                           const __m512i k[4], int row)
{
    struct ec_lanes_digit digit =
        ec_lanes_digit_at(k, (unsigned)row * EC_COMB_WIDTH, EC_COMB_WIDTH, row == EC_COMB_ROWS - 1);
    struct ec_lanes_affine out;

    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++) {
        out.x.limb[i] = ec_lanes_look_up(comb->limb[row][i], digit.index);
        out.y.limb[i] = ec_lanes_look_up(comb->limb[row][EC_LIMBS + i], digit.index);
    }
    out.y = ec_fe_negate_if(curve, digit.negative, out.y);
    return out;
}

/* Two neighbouring limbs of eight entries somewhere in memory, lane by lane. Not for secrets. */
EC_INLINE void ec_lanes_gather_pair(const uint64_t *const entry[EC_LANES], int limb,
                                    __m512i pair_out[2])
{
    __m512i even = _mm512_setzero_si512(), odd = _mm512_setzero_si512();

    EC_UNROLL
    for (int i = 0; i < EC_LANES / 2; i++) {
        __mmask8 place = (__mmask8)(3 << (2 * i));
        even = _mm512_mask_broadcast_i64x2(even, place,
                                           _mm_loadu_si128((const void *)(entry[2 * i] + limb)));
        odd = _mm512_mask_broadcast_i64x2(odd, place,
                                          _mm_loadu_si128((const void *)(entry[2 * i + 1] + limb)));
    }
    pair_out[0] = _mm512_unpacklo_epi64(even, odd);
    pair_out[1] = _mm512_unpackhi_epi64(even, odd);
}

EC_INLINE_LARGE struct ec_lanes_affine ec_lanes_gather(const uint64_t *const entry[EC_LANES])
{
    struct ec_lanes_affine out;
    __m512i limb[2 * EC_LIMBS];

    EC_UNROLL
    for (int i = 0; i < 2 * EC_LIMBS; i += 2)
        ec_lanes_gather_pair(entry, i, &limb[i]);
    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++) {
        out.x.limb[i] = limb[i];
        out.y.limb[i] = limb[EC_LIMBS + i];
    }
    return out;
}

/* The reverse of ec_lanes_gather(). */
EC_INLINE_LARGE void ec_lanes_scatter(struct ec_lanes_affine a, uint64_t *const entry[EC_LANES])
{
    __m512i limb[2 * EC_LIMBS];

    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++) {
        limb[i] = a.x.limb[i];
        limb[EC_LIMBS + i] = a.y.limb[i];
    }
    EC_UNROLL
    for (int i = 0; i < 2 * EC_LIMBS; i += 2) {
        _Alignas(64) uint64_t pair[2][EC_LANES];

        _mm512_store_si512(pair[0], _mm512_unpacklo_epi64(limb[i], limb[i + 1]));
        _mm512_store_si512(pair[1], _mm512_unpackhi_epi64(limb[i], limb[i + 1]));
        EC_UNROLL
        for (int lane = 0; lane < EC_LANES; lane++) {
            const uint64_t *from = pair[lane % 2] + (lane & ~1);
            _mm_storeu_si128((void *)(entry[lane] + i), _mm_load_si128((const void *)from));
        }
    }
}
