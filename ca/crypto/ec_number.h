/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ec_number: numbers of 256 bits modulo a prime, in words of 64 bits.
 *
 * The portable width, and the part of the work that is done one signature at a time on
 * either width. Elements are kept in Montgomery form (a * 2^256 mod m) and always fully
 * reduced, so equal elements have equal words. Constant time, unless a name says public.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

/*
 * Values made from secrets that may be known: tests that track secrets define this to
 * take the mark off them.
 */
#ifndef EC_DECLASSIFY
#define EC_DECLASSIFY(pointer, size) ((void)(pointer))
#endif

/* Counted loops over words run faster straightened out, and gcc -O2 does not do it unasked. */
#define EC_UNROLL _Pragma("GCC unroll 8")

struct ec_number {
    uint64_t word[4]; /* least significant first */
};

/* How m * modulus is formed in a reduction step; the two fields need no multiplication. */
enum ec_shape { EC_SHAPE_GENERIC, EC_SHAPE_P256, EC_SHAPE_SM2 };

struct ec_modulus {
    enum ec_shape shape;
    uint64_t negated_inverse; /* -1 / m mod 2^64 */
    struct ec_number m;
    struct ec_number one;    /* 2^256 mod m */
    struct ec_number square; /* 2^512 mod m */
};

static inline void ec_number_load(struct ec_number *out, const uint8_t bytes[32])
{
    EC_UNROLL
    for (int i = 0; i < 4; i++) {
        uint64_t word = 0;
        for (int j = 0; j < 8; j++)
            word = word << 8 | bytes[8 * (3 - i) + j];
        out->word[i] = word;
    }
}

static inline void ec_number_store(const struct ec_number *a, uint8_t bytes_out[32])
{
    for (int i = 0; i < 32; i++)
        bytes_out[i] = (uint8_t)(a->word[3 - i / 8] >> (56 - 8 * (i % 8)));
}

/*
 * Sum and difference with a carry of 0 or 1. The intrinsics say the same as the portable
 * lines; with them gcc keeps the carry in the flag, which halves the time of everything.
 */
static inline uint64_t ec_add_carry(uint64_t a, uint64_t b, unsigned char *carry)
{
#ifdef __x86_64__
    unsigned long long sum;

    *carry = _addcarry_u64(*carry, a, b, &sum);
    return sum;
#else
    unsigned __int128 sum = (unsigned __int128)a + b + *carry;

    *carry = (unsigned char)(sum >> 64);
    return (uint64_t)sum;
#endif
}

static inline uint64_t ec_sub_borrow(uint64_t a, uint64_t b, unsigned char *borrow)
{
#ifdef __x86_64__
    unsigned long long difference;

    *borrow = _subborrow_u64(*borrow, a, b, &difference);
    return difference;
#else
    unsigned __int128 difference = (unsigned __int128)a - b - *borrow;

    *borrow = (unsigned char)(difference >> 64) & 1;
    return (uint64_t)difference;
#endif
}

/* out = a - b mod 2^256; the borrow, 0 or 1. */
static inline unsigned char ec_number_sub_raw(struct ec_number *out, const struct ec_number *a,
                                              const struct ec_number *b)
{
    unsigned char borrow = 0;

    EC_UNROLL
    for (int i = 0; i < 4; i++)
        out->word[i] = ec_sub_borrow(a->word[i], b->word[i], &borrow);
    return borrow;
}

/* out = mask == 0 ? a : b, for a mask of no or all ones. */
static inline void ec_number_select(struct ec_number *out, uint64_t mask, const struct ec_number *a,
                                    const struct ec_number *b)
{
    EC_UNROLL
    for (int i = 0; i < 4; i++)
        out->word[i] = a->word[i] ^ (mask & (a->word[i] ^ b->word[i]));
}

/* All ones if a is zero, else none. */
static inline uint64_t ec_number_zero_mask(const struct ec_number *a)
{
    uint64_t any = a->word[0] | a->word[1] | a->word[2] | a->word[3];

    return ((any | (0 - any)) >> 63) - 1;
}

/* All ones if a < b. */
static inline uint64_t ec_number_less_mask(const struct ec_number *a, const struct ec_number *b)
{
    struct ec_number unused;

    return 0 - (uint64_t)ec_number_sub_raw(&unused, a, b);
}

static inline bool ec_number_is_equal_public(const struct ec_number *a, const struct ec_number *b)
{
    return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
           a->word[3] == b->word[3];
}

/* a + carry * 2^256 < 2m becomes less than m. */
static inline void ec_number_reduce_once(const struct ec_modulus *m, unsigned char carry,
                                         struct ec_number *a)
{
    struct ec_number less;
    unsigned char borrow = ec_number_sub_raw(&less, a, &m->m);

    /* Keep a only if the subtraction borrowed and no carry paid for it. */
    ec_number_select(a, 0 - (uint64_t)(borrow & (carry ^ 1)), &less, a);
}

static inline void ec_number_add(const struct ec_modulus *m, struct ec_number *out,
                                 const struct ec_number *a, const struct ec_number *b)
{
    unsigned char carry = 0;

    EC_UNROLL
    for (int i = 0; i < 4; i++)
        out->word[i] = ec_add_carry(a->word[i], b->word[i], &carry);
    ec_number_reduce_once(m, carry, out);
}

static inline void ec_number_sub(const struct ec_modulus *m, struct ec_number *out,
                                 const struct ec_number *a, const struct ec_number *b)
{
    uint64_t mask = 0 - (uint64_t)ec_number_sub_raw(out, a, b);
    unsigned char carry = 0;

    EC_UNROLL
    for (int i = 0; i < 4; i++)
        out->word[i] = ec_add_carry(out->word[i], m->m.word[i] & mask, &carry);
}

/* out = a / 2: of a and a + m one is even. */
static inline void ec_number_halve(const struct ec_modulus *m, struct ec_number *out,
                                   const struct ec_number *a)
{
    uint64_t mask = 0 - (a->word[0] & 1), sum[5];
    unsigned char carry = 0;

    EC_UNROLL
    for (int i = 0; i < 4; i++)
        sum[i] = ec_add_carry(a->word[i], m->m.word[i] & mask, &carry);
    sum[4] = carry;
    EC_UNROLL
    for (int i = 0; i < 4; i++)
        out->word[i] = sum[i] >> 1 | sum[i + 1] << 63;
}

/* m - a where the mask is set; zero stays zero. */
static inline void ec_number_negate_if(const struct ec_modulus *m, uint64_t mask,
                                       struct ec_number *a)
{
    struct ec_number negated, zero = { { 0 } };

    ec_number_sub(m, &negated, &zero, a);
    ec_number_select(a, mask, a, &negated);
}

/* out = a * b / 2^256 mod m. Operands below 2^256 with a * b < 2^256 * m. */
void crypto_ec_number_mul(const struct ec_modulus *m, struct ec_number *out,
                          const struct ec_number *a, const struct ec_number *b);
void crypto_ec_number_square(const struct ec_modulus *m, struct ec_number *out,
                             const struct ec_number *a);

static inline void ec_number_to_montgomery(const struct ec_modulus *m, struct ec_number *a)
{
    crypto_ec_number_mul(m, a, a, &m->square);
}

static inline void ec_number_from_montgomery(const struct ec_modulus *m, struct ec_number *a)
{
    crypto_ec_number_mul(m, a, a, &(struct ec_number){ { 1, 0, 0, 0 } });
}

/* 1 / a in Montgomery form; zero gives zero. The second takes a tenth of the first's time. */
void crypto_ec_number_invert(const struct ec_modulus *m, struct ec_number *out,
                             const struct ec_number *a);
void crypto_ec_number_invert_public(const struct ec_modulus *m, struct ec_number *out,
                                    const struct ec_number *a);

enum { EC_INVERT_MAX = 64 };
/* Inverts count <= EC_INVERT_MAX elements in place for the price of one; zeros stay zero. */
void crypto_ec_number_invert_many(const struct ec_modulus *m, struct ec_number *a, size_t count);
void crypto_ec_number_invert_many_public(const struct ec_modulus *m, struct ec_number *a,
                                         size_t count);
