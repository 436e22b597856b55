/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rsa_lanes_number: eight numbers of many limbs at a time. Only for rsa_lanes_kernel.c.
 *
 * A number is `limbs` vectors of 52 bits in each lane, the lowest first; limbs is a multiple of
 * RSA_TILE. It is *tight* when every limb is below 2^52: the multiplier reads no more of them.
 * Columns are sums of products that have not been carried yet.
 *
 * Bounds: R = 2^(52 limbs) is at least 2^16 n. A Montgomery product of a and b, tight, is
 * below a b / R + n: below 2 n if a, b < 4 n (16 n / R + 1 < 2), and if a < R and b < n. Nothing
 * is compared with n on the way. A column gets four halves of 52 bits for each limb, two of the
 * product and two of the reduction, and a carry: below 2^61 for 80 limbs. The build with
 * CERTMILL_EC_BOUNDS checks operands and results.
 *
 * Products are made tile by tile, ten limbs by ten, whose twenty columns and ten limbs stay in
 * registers. Without AVX-512 the same code is compiled for one lane after the other, which is
 * how it is watched for its secrets.
 */
#pragma once

#include <assert.h>
#include <string.h>

#include "ca/crypto/rsa_lanes.h"

typedef uint64_t rsa_vector __attribute__((vector_size(64)));

enum { RSA_TILE = 10 };

#define RSA_MASK52    (((uint64_t)1 << 52) - 1)
#define RSA_INLINE    static inline __attribute__((always_inline))
#define RSA_UNROLL    _Pragma("GCC unroll 32")
#define RSA_ALL(word) ((rsa_vector){ 0 } + (uint64_t)(word))

/* ---- what the machine has for it */

#ifdef __AVX512IFMA__
#include <immintrin.h>

/* t + the lower, or the upper, half of the 104 bits of a product. */
#define RSA_LOW(t, a, b) \
    ((rsa_vector)_mm512_madd52lo_epu64((__m512i)(t), (__m512i)(a), (__m512i)(b)))
#define RSA_HIGH(t, a, b) \
    ((rsa_vector)_mm512_madd52hi_epu64((__m512i)(t), (__m512i)(a), (__m512i)(b)))
#else
RSA_INLINE rsa_vector rsa_add_half(rsa_vector t, rsa_vector a, rsa_vector b, unsigned shift)
{
    for (int lane = 0; lane < RSA_LANES; lane++) {
        unsigned __int128 product =
            (unsigned __int128)(a[lane] & RSA_MASK52) * (b[lane] & RSA_MASK52);
        t[lane] += (uint64_t)(product >> shift) & RSA_MASK52;
    }
    return t;
}
#define RSA_LOW(t, a, b)  rsa_add_half(t, a, b, 0)
#define RSA_HIGH(t, a, b) rsa_add_half(t, a, b, 52)
#endif

/* b where the mask has ones, a elsewhere. */
RSA_INLINE rsa_vector rsa_select(rsa_vector mask, rsa_vector a, rsa_vector b)
{
    return (a & ~mask) | (b & mask);
}

/* Signed: what is below zero stays there. */
RSA_INLINE rsa_vector rsa_shift_signed(rsa_vector a, int by)
{
    typedef int64_t signed_vector __attribute__((vector_size(64)));

    return (rsa_vector)((signed_vector)a >> by);
}

/* A modulus in each lane. */
struct rsa_modulus {
    size_t limbs;
    rsa_vector inverse; /* -1 / n modulo 2^52 */
    rsa_vector n[RSA_LIMBS_MAX];
};

/* ---- carries and comparison */

/* Tight, from columns that may be negative; the whole is not, and below R. */
RSA_INLINE void rsa_carry(size_t limbs, rsa_vector *out, const rsa_vector *columns)
{
    rsa_vector carry = RSA_ALL(0);

    for (size_t i = 0; i < limbs; i++) {
        rsa_vector sum = columns[i] + carry;
        out[i] = sum & RSA_MASK52;
        carry = rsa_shift_signed(sum, 52);
    }
#ifdef CERTMILL_EC_BOUNDS
    for (int lane = 0; lane < RSA_LANES; lane++)
        assert(carry[lane] == 0);
#endif
}

/* a - times n, tight but for its sign: all ones where a < times n. */
RSA_INLINE rsa_vector rsa_subtract(const struct rsa_modulus *modulus, rsa_vector *out,
                                   const rsa_vector *a, uint64_t times)
{
    rsa_vector carry = RSA_ALL(0);

    for (size_t i = 0; i < modulus->limbs; i++) {
        rsa_vector sum = a[i] - modulus->n[i] * times + carry;
        out[i] = sum & RSA_MASK52;
        carry = rsa_shift_signed(sum, 52);
    }
    return rsa_shift_signed(carry, 63);
}

/* From below 2 n to below n. */
RSA_INLINE void rsa_canonical(const struct rsa_modulus *modulus, rsa_vector *a)
{
    rsa_vector less[RSA_LIMBS_MAX];
    rsa_vector is_below = rsa_subtract(modulus, less, a, 1);

    for (size_t i = 0; i < modulus->limbs; i++)
        a[i] = rsa_select(is_below, less[i], a[i]);
}

/* a < times n, and tight. */
RSA_INLINE void rsa_assert_below(const struct rsa_modulus *modulus, const rsa_vector *a,
                                 uint64_t times)
{
#ifdef CERTMILL_EC_BOUNDS
    rsa_vector less[RSA_LIMBS_MAX];
    rsa_vector is_below = rsa_subtract(modulus, less, a, times);

    for (int lane = 0; lane < RSA_LANES; lane++) {
        assert(is_below[lane] == UINT64_MAX);
        for (size_t i = 0; i < modulus->limbs; i++)
            assert(a[i][lane] <= RSA_MASK52);
    }
#else
    (void)modulus;
    (void)a;
    (void)times;
#endif
}

/* ---- tiles: `columns` are 20, a and b are 10 limbs. They are called, not inlined: small, hot. */

#define RSA_TILE_FUNCTION static __attribute__((noinline)) void

RSA_INLINE void rsa_tile(rsa_vector *sum, const rsa_vector *a, const rsa_vector *b)
{
    RSA_UNROLL
    for (int i = 0; i < RSA_TILE; i++) {
        RSA_UNROLL
        for (int j = 0; j < RSA_TILE; j++)
            sum[i + j] = RSA_LOW(sum[i + j], a[i], b[j]);
        RSA_UNROLL
        for (int j = 0; j < RSA_TILE; j++)
            sum[i + j + 1] = RSA_HIGH(sum[i + j + 1], a[i], b[j]);
    }
}

/* columns = a b */
RSA_TILE_FUNCTION rsa_tile_set(rsa_vector *columns, const rsa_vector *a, const rsa_vector *b)
{
    rsa_vector sum[2 * RSA_TILE];

    RSA_UNROLL
    for (int i = 0; i < 2 * RSA_TILE; i++)
        sum[i] = RSA_ALL(0);
    rsa_tile(sum, a, b);
    RSA_UNROLL
    for (int i = 0; i < 2 * RSA_TILE; i++)
        columns[i] = sum[i];
}

/* columns += a b */
RSA_TILE_FUNCTION rsa_tile_add(rsa_vector *columns, const rsa_vector *a, const rsa_vector *b)
{
    rsa_vector sum[2 * RSA_TILE];

    RSA_UNROLL
    for (int i = 0; i < 2 * RSA_TILE; i++)
        sum[i] = columns[i];
    rsa_tile(sum, a, b);
    RSA_UNROLL
    for (int i = 0; i < 2 * RSA_TILE; i++)
        columns[i] = sum[i];
}

/* columns += 2 a b */
RSA_TILE_FUNCTION rsa_tile_add_twice(rsa_vector *columns, const rsa_vector *a, const rsa_vector *b)
{
    rsa_vector sum[2 * RSA_TILE];

    rsa_tile_set(sum, a, b);
    RSA_UNROLL
    for (int i = 0; i < 2 * RSA_TILE; i++)
        columns[i] += sum[i] + sum[i];
}

/* columns = a^2: products of different limbs once, doubled, and the squares of all. */
RSA_TILE_FUNCTION rsa_tile_square(rsa_vector *columns, const rsa_vector *a)
{
    rsa_vector sum[2 * RSA_TILE];

    RSA_UNROLL
    for (int i = 0; i < 2 * RSA_TILE; i++)
        sum[i] = RSA_ALL(0);
    RSA_UNROLL
    for (int i = 0; i < RSA_TILE; i++) {
        RSA_UNROLL
        for (int j = i + 1; j < RSA_TILE; j++)
            sum[i + j] = RSA_LOW(sum[i + j], a[i], a[j]);
        RSA_UNROLL
        for (int j = i + 1; j < RSA_TILE; j++)
            sum[i + j + 1] = RSA_HIGH(sum[i + j + 1], a[i], a[j]);
    }
    RSA_UNROLL
    for (int i = 0; i < RSA_TILE; i++) {
        columns[2 * i] = RSA_LOW(sum[2 * i] + sum[2 * i], a[i], a[i]);
        columns[2 * i + 1] = RSA_HIGH(sum[2 * i + 1] + sum[2 * i + 1], a[i], a[i]);
    }
}

/*
 * Finds the factors which, times n and added, clear the ten lower columns; adds their products
 * with the ten lower limbs of n, and carries what is above 52 bits of those columns on.
 */
RSA_TILE_FUNCTION rsa_tile_reduce(rsa_vector *columns, const rsa_vector *n, rsa_vector inverse,
                                  rsa_vector *factors_out)
{
    rsa_vector sum[2 * RSA_TILE];

    RSA_UNROLL
    for (int i = 0; i < 2 * RSA_TILE; i++)
        sum[i] = columns[i];
    RSA_UNROLL
    for (int i = 0; i < RSA_TILE; i++) {
        rsa_vector factor = RSA_LOW(RSA_ALL(0), sum[i], inverse);

        factors_out[i] = factor;
        RSA_UNROLL
        for (int j = 0; j < RSA_TILE; j++)
            sum[i + j] = RSA_LOW(sum[i + j], factor, n[j]);
        sum[i + 1] += sum[i] >> 52;
        RSA_UNROLL
        for (int j = 0; j < RSA_TILE; j++)
            sum[i + j + 1] = RSA_HIGH(sum[i + j + 1], factor, n[j]);
    }
    RSA_UNROLL
    for (int i = RSA_TILE; i < 2 * RSA_TILE; i++)
        columns[i] = sum[i];
}

/* ---- products */

RSA_INLINE void rsa_product(size_t limbs, rsa_vector *columns, const rsa_vector *a,
                            const rsa_vector *b)
{
    for (size_t i = 0; i < limbs; i += RSA_TILE)
        rsa_tile_set(columns + 2 * i, a + i, b + i);
    for (size_t i = 0; i < limbs; i += RSA_TILE) {
        for (size_t j = 0; j < limbs; j += RSA_TILE) {
            if (i != j)
                rsa_tile_add(columns + i + j, a + i, b + j);
        }
    }
}

/* Montgomery's reduction, ten limbs at a time. */
RSA_INLINE void rsa_reduce(const struct rsa_modulus *modulus, rsa_vector *out, rsa_vector *columns)
{
    rsa_vector factors[RSA_TILE];

    for (size_t i = 0; i < modulus->limbs; i += RSA_TILE) {
        rsa_tile_reduce(columns + i, modulus->n, modulus->inverse, factors);
        for (size_t j = RSA_TILE; j < modulus->limbs; j += RSA_TILE)
            rsa_tile_add(columns + i + j, factors, modulus->n + j);
    }
    rsa_carry(modulus->limbs, out, columns + modulus->limbs);
    rsa_assert_below(modulus, out, 2);
}

/* out = a b / R mod n, below 2 n; out may be a or b. */
static __attribute__((noinline)) void rsa_multiply(const struct rsa_modulus *modulus,
                                                   rsa_vector *out, const rsa_vector *a,
                                                   const rsa_vector *b)
{
    rsa_vector columns[2 * RSA_LIMBS_MAX];

    rsa_product(modulus->limbs, columns, a, b);
    rsa_reduce(modulus, out, columns);
}

/* The same of a and a, below 4 n, for less. */
static __attribute__((noinline)) void rsa_square(const struct rsa_modulus *modulus, rsa_vector *out,
                                                 const rsa_vector *a)
{
    rsa_vector columns[2 * RSA_LIMBS_MAX];

    rsa_assert_below(modulus, a, 4);
    for (size_t i = 0; i < modulus->limbs; i += RSA_TILE)
        rsa_tile_square(columns + 2 * i, a + i);
    for (size_t i = 0; i < modulus->limbs; i += RSA_TILE) {
        for (size_t j = i + RSA_TILE; j < modulus->limbs; j += RSA_TILE)
            rsa_tile_add_twice(columns + i + j, a + i, a + j);
    }
    rsa_reduce(modulus, out, columns);
}

/* ---- between a lane and big-endian octets, of which there are a multiple of eight */

/* Limbs beyond the octets become zero. */
static inline void rsa_load(size_t limbs, rsa_vector *out, int lane, const uint8_t *octets,
                            size_t len)
{
    unsigned __int128 window = 0;
    unsigned bits = 0;

    for (size_t i = 0; i < limbs; i++, bits -= 52) {
        if (bits < 52) {
            uint64_t word = 0;
            if (len > 0)
                memcpy(&word, octets + (len -= sizeof(word)), sizeof(word));
            window |= (unsigned __int128)__builtin_bswap64(word) << bits;
            bits += 64;
        }
        out[i][lane] = (uint64_t)window & RSA_MASK52;
        window >>= 52;
    }
}

/* Tight, and below 2^(8 len). */
static inline void rsa_store(const rsa_vector *a, int lane, uint8_t *octets, size_t len)
{
    unsigned __int128 window = 0;
    unsigned bits = 0;

    for (; len > 0; bits -= 64) {
        for (; bits < 64; bits += 52)
            window |= (unsigned __int128)(*a++)[lane] << bits;
        uint64_t word = __builtin_bswap64((uint64_t)window);
        memcpy(octets + (len -= sizeof(word)), &word, sizeof(word));
        window >>= 64;
    }
}
