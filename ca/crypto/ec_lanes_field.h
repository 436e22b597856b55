/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ec_lanes_field: eight field elements at a time, AVX-512 IFMA. Only for ec_lanes_kernel.c.
 *
 * An element is five limbs of 52 bits, Montgomery form with R = 2^260. The multiplier reads
 * 52 bits of each operand, so operands must be *tight*: every limb within 0 to 2^52 - 1. What
 * it leaves, and what additions leave, is *loose*: signed limbs that have not been carried.
 *
 * Bounds are in units of U = 2^256, a little more than p. Tight means below 16 U. A product
 * of elements below a U and b U is below (a b / 16 + 1) U, for a b U^2 / R = a b U / 16 and
 * the reduction adds less than p. Each function says what it takes and what it gives; the
 * build with CERTMILL_EC_BOUNDS checks every tight element against its stated bound.
 */
#pragma once

#include <assert.h>
#include <immintrin.h>

#include "ca/crypto/ec_lanes.h"

#define EC_INLINE static inline __attribute__((always_inline))

/* The large ones. Instrumented by a sanitizer and inlined, they take minutes to compile. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    defined(CERTMILL_EC_BOUNDS) || defined(__clang__) /* which builds what is fuzzed */
#define EC_INLINE_LARGE static __attribute__((noinline, unused))
#else
#define EC_INLINE_LARGE EC_INLINE
#endif

struct ec_fe {
    __m512i limb[EC_LIMBS];
};

struct ec_wide {
    __m512i limb[2 * EC_LIMBS];
};

struct ec_prime {
    uint64_t p[EC_LIMBS];
    uint64_t square[EC_LIMBS];        /* 2^520 mod p: plain numbers enter */
    uint64_t from_portable[EC_LIMBS]; /* 2^264 mod p: Montgomery with 2^256 enters */
    uint64_t to_portable[EC_LIMBS];   /* 2^256 mod p: Montgomery with 2^256 leaves */
    uint64_t one[EC_LIMBS];           /* 2^260 mod p */
};

/* clang-format off */
static const struct ec_prime ec_primes[CRYPTO_EC_CURVE_COUNT] = {
    [CRYPTO_EC_P256] = {
        .p = { 0xfffffffffffff, 0x00fffffffffff, 0x0000000000000,
               0x0001000000000, 0x0ffffffff0000 },
        .square = { 0x0000000000300, 0xffffffff00000, 0xffffefffffffb,
                    0xfdfffffffffff, 0x0000004ffffff },
        .from_portable = { 0x0000000000100, 0x0000000000000, 0xfffffffffffff,
                           0xfefffffffffff, 0x0000000ffffff },
        .to_portable = { 0x0000000000001, 0xff00000000000, 0xfffffffffffff,
                         0xfffefffffffff, 0x000000000ffff },
        .one = { 0x0000000000010, 0xf000000000000, 0xfffffffffffff,
                 0xffeffffffffff, 0x00000000fffff },
    },
    [CRYPTO_EC_SM2] = {
        .p = { 0xfffffffffffff, 0xff00000000fff, 0xfffffffffffff,
               0xfffffffffffff, 0x0fffffffeffff },
        .square = { 0x0020000000300, 0xffffffff00000, 0x0000100000002,
                    0x0200000001000, 0x0000004000000 },
        .from_portable = { 0x0000000000100, 0xffffffff00000, 0x0000000000000,
                           0x0000000000000, 0x0000001000000 },
        .to_portable = { 0x0000000000001, 0x00ffffffff000, 0x0000000000000,
                         0x0000000000000, 0x0000000010000 },
        .one = { 0x0000000000010, 0x0ffffffff0000, 0x0000000000000,
                 0x0000000000000, 0x0000000100000 },
    },
};
/* clang-format on */

EC_INLINE __m512i ec_all(uint64_t value)
{
    return _mm512_set1_epi64((long long)value);
}

#define EC_MASK52        ec_all(((uint64_t)1 << 52) - 1)
#define EC_LOW(t, a, b)  _mm512_madd52lo_epu64(t, a, b)
#define EC_HIGH(t, a, b) _mm512_madd52hi_epu64(t, a, b)

/* Every lane of a tight element is below sixteenths / 16 U. */
EC_INLINE struct ec_fe ec_fe_assert(struct ec_fe a, int sixteenths)
{
#ifdef CERTMILL_EC_BOUNDS
    __mmask8 bad = 0;
    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++)
        bad |= _mm512_cmpgt_epu64_mask(a.limb[i], EC_MASK52);
    bad |= _mm512_cmpgt_epu64_mask(a.limb[4], ec_all((uint64_t)sixteenths << 44));
    assert(bad == 0);
#else
    (void)sixteenths;
#endif
    return a;
}

EC_INLINE struct ec_fe ec_fe_all(const uint64_t limb[EC_LIMBS])
{
    struct ec_fe out;

    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++)
        out.limb[i] = ec_all(limb[i]);
    return out;
}

/* ---- loose arithmetic: limb by limb, no carries */

EC_INLINE struct ec_fe ec_fe_add(struct ec_fe a, struct ec_fe b)
{
    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++)
        a.limb[i] = _mm512_add_epi64(a.limb[i], b.limb[i]);
    return a;
}

EC_INLINE struct ec_fe ec_fe_sub(struct ec_fe a, struct ec_fe b)
{
    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++)
        a.limb[i] = _mm512_sub_epi64(a.limb[i], b.limb[i]);
    return a;
}

EC_INLINE struct ec_fe ec_fe_shift(struct ec_fe a, unsigned by)
{
    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++)
        a.limb[i] = _mm512_slli_epi64(a.limb[i], by);
    return a;
}

/* a + times * p */
EC_INLINE struct ec_fe ec_fe_add_p(enum crypto_ec_curve curve, struct ec_fe a, uint64_t times)
{
    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++)
        a.limb[i] = _mm512_add_epi64(a.limb[i], ec_all(times * ec_primes[curve].p[i]));
    return a;
}

/* ---- from loose to tight */

/* Carries, signed, from limb to limb. The whole must be within 0 to 16 U. */
EC_INLINE_LARGE struct ec_fe ec_fe_carry(struct ec_fe a)
{
    EC_UNROLL
    for (int i = 0; i < EC_LIMBS - 1; i++) {
        a.limb[i + 1] = _mm512_add_epi64(a.limb[i + 1], _mm512_srai_epi64(a.limb[i], 52));
        a.limb[i] = _mm512_and_si512(a.limb[i], EC_MASK52);
    }
    return a;
}

/*
 * Carries, and first takes off q p with q one less than floor(a / U): what remains is below
 * 2 U + 2^-4 U and not negative. With p = U - c this is adding q c and taking q U off the top.
 * For |a| < 64 U and limbs below 2^62; q is read off the top limb, which the carries of the
 * others can change by no more than 2^10, far less than U / 2^4.
 */
EC_INLINE_LARGE struct ec_fe ec_fe_fold(enum crypto_ec_curve curve, struct ec_fe a)
{
    __m512i *t = a.limb;
    __m512i q = _mm512_sub_epi64(_mm512_srai_epi64(t[4], 48), ec_all(1));
    __m512i q44 = _mm512_slli_epi64(q, 44);

    t[0] = _mm512_add_epi64(t[0], q);
    t[4] = _mm512_sub_epi64(t[4], _mm512_slli_epi64(q, 48));
    t[4] = _mm512_add_epi64(t[4], _mm512_slli_epi64(q, 16));
    if (curve == CRYPTO_EC_P256) { /* c = 2^224 - 2^192 - 2^96 + 1 */
        t[1] = _mm512_sub_epi64(t[1], q44);
        t[3] = _mm512_sub_epi64(t[3], _mm512_slli_epi64(q, 36));
    } else { /* c = 2^224 + 2^96 - 2^64 + 1 */
        t[1] = _mm512_add_epi64(t[1], _mm512_sub_epi64(q44, _mm512_slli_epi64(q, 12)));
    }
    return ec_fe_assert(ec_fe_carry(a), 33);
}

/* ---- products; operands tight. A column gets at most ten halves of 52 bits per product. */

EC_INLINE_LARGE void ec_wide_add_product(struct ec_wide *t, struct ec_fe a, struct ec_fe b)
{
    a = ec_fe_assert(a, 256);
    b = ec_fe_assert(b, 256);
    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++) {
        EC_UNROLL
        for (int j = 0; j < EC_LIMBS; j++) {
            t->limb[i + j] = EC_LOW(t->limb[i + j], a.limb[i], b.limb[j]);
            t->limb[i + j + 1] = EC_HIGH(t->limb[i + j + 1], a.limb[i], b.limb[j]);
        }
    }
}

EC_INLINE struct ec_wide ec_wide_product(struct ec_fe a, struct ec_fe b)
{
    struct ec_wide t;

    EC_UNROLL
    for (int i = 0; i < 2 * EC_LIMBS; i++)
        t.limb[i] = _mm512_setzero_si512();
    ec_wide_add_product(&t, a, b);
    return t;
}

EC_INLINE_LARGE struct ec_wide ec_wide_square(struct ec_fe a)
{
    struct ec_wide t;

    a = ec_fe_assert(a, 256);
    EC_UNROLL
    for (int i = 0; i < 2 * EC_LIMBS; i++)
        t.limb[i] = _mm512_setzero_si512();
    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++) {
        EC_UNROLL
        for (int j = i + 1; j < EC_LIMBS; j++) {
            t.limb[i + j] = EC_LOW(t.limb[i + j], a.limb[i], a.limb[j]);
            t.limb[i + j + 1] = EC_HIGH(t.limb[i + j + 1], a.limb[i], a.limb[j]);
        }
    }
    EC_UNROLL
    for (int i = 1; i < 2 * EC_LIMBS - 1; i++)
        t.limb[i] = _mm512_add_epi64(t.limb[i], t.limb[i]);
    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++) {
        t.limb[2 * i] = EC_LOW(t.limb[2 * i], a.limb[i], a.limb[i]);
        t.limb[2 * i + 1] = EC_HIGH(t.limb[2 * i + 1], a.limb[i], a.limb[i]);
    }
    return t;
}

/*
 * Montgomery's reduction, a limb at a time: both primes are -1 modulo 2^52, so the factor is
 * the limb itself (its low 52 bits, which is all the multiplier reads), and adding factor * p
 * takes them away; what is above them is carried on. A column, begun below 20 * 2^52 (two
 * products), gains less than 2^55 here and never leaves 62 bits. The result is loose.
 */
EC_INLINE_LARGE struct ec_fe ec_wide_reduce(enum crypto_ec_curve curve, struct ec_wide t)
{
    const __m512i top = ec_all(((uint64_t)1 << 48) - ((uint64_t)1 << 16)); /* 2^256 - 2^224 */
    struct ec_fe out;

    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++) {
        __m512i factor = t.limb[i];

        t.limb[i + 1] = _mm512_add_epi64(t.limb[i + 1], _mm512_srai_epi64(factor, 52));
        if (curve == CRYPTO_EC_P256) { /* p + 1 = 2^256 - 2^224 + 2^192 + 2^96 */
            const __m512i p1 = ec_all((uint64_t)1 << 44), p3 = ec_all((uint64_t)1 << 36);
            t.limb[i + 1] = EC_LOW(t.limb[i + 1], factor, p1);
            t.limb[i + 2] = EC_HIGH(t.limb[i + 2], factor, p1);
            t.limb[i + 3] = EC_LOW(t.limb[i + 3], factor, p3);
            t.limb[i + 4] = EC_HIGH(t.limb[i + 4], factor, p3);
        } else { /* p + 1 = 2^256 - 2^224 - 2^104 + (2^104 - 2^96 + 2^64) */
            const __m512i p1 =
                ec_all(((uint64_t)1 << 52) - ((uint64_t)1 << 44) + ((uint64_t)1 << 12));
            t.limb[i + 1] = EC_LOW(t.limb[i + 1], factor, p1);
            t.limb[i + 2] = EC_HIGH(t.limb[i + 2], factor, p1);
            t.limb[i + 2] = _mm512_sub_epi64(t.limb[i + 2], _mm512_and_si512(factor, EC_MASK52));
        }
        t.limb[i + 4] = EC_LOW(t.limb[i + 4], factor, top);
        t.limb[i + 5] = EC_HIGH(t.limb[i + 5], factor, top);
    }
    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++)
        out.limb[i] = t.limb[EC_LIMBS + i];
    return out;
}

/* Loose results, to be added to before they are carried or folded. */
EC_INLINE_LARGE struct ec_fe ec_fe_mul_loose(enum crypto_ec_curve curve, struct ec_fe a,
                                             struct ec_fe b)
{
    return ec_wide_reduce(curve, ec_wide_product(a, b));
}

EC_INLINE_LARGE struct ec_fe ec_fe_square_loose(enum crypto_ec_curve curve, struct ec_fe a)
{
    return ec_wide_reduce(curve, ec_wide_square(a));
}

/* Tight results, below (a b / 16 + 1) U. */
EC_INLINE_LARGE struct ec_fe ec_fe_mul(enum crypto_ec_curve curve, struct ec_fe a, struct ec_fe b)
{
    return ec_fe_carry(ec_fe_mul_loose(curve, a, b));
}

EC_INLINE_LARGE struct ec_fe ec_fe_square(enum crypto_ec_curve curve, struct ec_fe a)
{
    return ec_fe_carry(ec_fe_square_loose(curve, a));
}

/* ---- the one true form, selection and comparison */

EC_INLINE struct ec_fe ec_fe_select(__mmask8 mask, struct ec_fe a, struct ec_fe b)
{
    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++)
        a.limb[i] = _mm512_mask_mov_epi64(a.limb[i], mask, b.limb[i]);
    return a;
}

/* Tight and below 4 U becomes below p: four subtractions, each kept if it leaves no debt. */
EC_INLINE_LARGE struct ec_fe ec_fe_canonical(enum crypto_ec_curve curve, struct ec_fe a)
{
    EC_UNROLL
    for (int i = 0; i < 4; i++) {
        struct ec_fe less = ec_fe_carry(ec_fe_sub(a, ec_fe_all(ec_primes[curve].p)));
        a = ec_fe_select(_mm512_movepi64_mask(less.limb[4]), less, a);
    }
    return a;
}

/* Lanes that are zero; canonical. */
EC_INLINE __mmask8 ec_fe_zero_mask(struct ec_fe a)
{
    __m512i any = _mm512_or_si512(a.limb[0], a.limb[1]);

    any = _mm512_or_si512(any, _mm512_or_si512(a.limb[2], a.limb[3]));
    return _mm512_testn_epi64_mask(_mm512_or_si512(any, a.limb[4]),
                                   _mm512_or_si512(any, a.limb[4]));
}

EC_INLINE __mmask8 ec_fe_equal_mask(struct ec_fe a, struct ec_fe b)
{
    EC_UNROLL
    for (int i = 0; i < EC_LIMBS; i++)
        a.limb[i] = _mm512_xor_si512(a.limb[i], b.limb[i]);
    return ec_fe_zero_mask(a);
}

/* ---- between eight numbers of four words and lanes of five limbs */

EC_INLINE void ec_words_load(__m512i word[4], const struct ec_number *numbers, size_t count)
{
    _Alignas(64) uint64_t column[4][EC_LANES] = { { 0 } };

    for (size_t lane = 0; lane < count; lane++) {
        EC_UNROLL
        for (int i = 0; i < 4; i++)
            column[i][lane] = numbers[lane].word[i];
    }
    EC_UNROLL
    for (int i = 0; i < 4; i++)
        word[i] = _mm512_load_si512(column[i]);
    /* May be scalars: leave none in memory. */
    EC_UNROLL
    for (int i = 0; i < 4; i++)
        _mm512_store_si512(column[i], _mm512_setzero_si512());
    __asm__ volatile("" : : "r"(column) : "memory");
}

EC_INLINE struct ec_fe ec_fe_from_words(const __m512i word[4])
{
    struct ec_fe out;

    out.limb[0] = _mm512_and_si512(word[0], EC_MASK52);
    EC_UNROLL
    for (unsigned i = 1; i < 4; i++) {
        __m512i low = _mm512_srli_epi64(word[i - 1], 64 - 12 * i);
        __m512i high = _mm512_slli_epi64(word[i], 12 * i);
        out.limb[i] = _mm512_and_si512(_mm512_or_si512(low, high), EC_MASK52);
    }
    out.limb[4] = _mm512_srli_epi64(word[3], 16);
    return out;
}

/* A canonical element as plain words. */
EC_INLINE void ec_fe_store(struct ec_fe a, struct ec_number numbers_out[EC_LANES])
{
    _Alignas(64) uint64_t column[4][EC_LANES];

    EC_UNROLL
    for (unsigned i = 0; i < 4; i++) {
        __m512i low = _mm512_srli_epi64(a.limb[i], 12 * i);
        __m512i high = _mm512_slli_epi64(a.limb[i + 1], 52 - 12 * i);
        _mm512_store_si512(column[i], _mm512_or_si512(low, high));
    }
    for (int lane = 0; lane < EC_LANES; lane++) {
        EC_UNROLL
        for (int i = 0; i < 4; i++)
            numbers_out[lane].word[i] = column[i][lane];
    }
    EC_UNROLL
    for (int i = 0; i < 4; i++)
        _mm512_store_si512(column[i], _mm512_setzero_si512());
    __asm__ volatile("" : : "r"(column) : "memory");
}
