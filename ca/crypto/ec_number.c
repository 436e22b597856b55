/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/ec_number.h"

#include <assert.h>
#include <gmp.h>
#include <openssl/crypto.h>
#include <string.h>

enum { WORDS = 4 };
_Static_assert(GMP_NUMB_BITS == 64, "our words are GMP's limbs");

/* A column sum of up to 2^192. */
struct column {
    uint64_t low, middle, high;
};

static inline void column_add(struct column *column, uint64_t low, uint64_t high)
{
    unsigned char carry = 0;

    column->low = ec_add_carry(column->low, low, &carry);
    column->middle = ec_add_carry(column->middle, high, &carry);
    column->high = ec_add_carry(column->high, 0, &carry);
}

static inline uint64_t column_next(struct column *column)
{
    uint64_t word = column->low;

    *column = (struct column){ column->middle, column->high, 0 };
    return word;
}

/* Row by row: the lower halves of four products in one chain of carries, the upper in another. */
static inline void multiply(uint64_t t[8], const struct ec_number *a, const struct ec_number *b)
{
    t[0] = t[1] = t[2] = t[3] = 0;
    EC_UNROLL
    for (int i = 0; i < 4; i++) {
        unsigned __int128 product[4];
        unsigned char carry = 0;

        EC_UNROLL
        for (int j = 0; j < 4; j++)
            product[j] = (unsigned __int128)a->word[j] * b->word[i];
        EC_UNROLL
        for (int j = 0; j < 4; j++)
            t[i + j] = ec_add_carry(t[i + j], (uint64_t)product[j], &carry);
        t[i + 4] = carry;
        carry = 0;
        EC_UNROLL
        for (int j = 0; j < 4; j++)
            t[i + j + 1] = ec_add_carry(t[i + j + 1], (uint64_t)(product[j] >> 64), &carry);
    }
}

/* Products of different words count twice. */
static inline void square(uint64_t t[8], const struct ec_number *a)
{
    struct column column = { 0, 0, 0 };

    EC_UNROLL
    for (int sum = 0; sum < 7; sum++) {
        EC_UNROLL
        for (int i = sum < 4 ? 0 : sum - 3; 2 * i <= sum; i++) {
            unsigned __int128 product = (unsigned __int128)a->word[i] * a->word[sum - i];
            column_add(&column, (uint64_t)product, (uint64_t)(product >> 64));
            if (2 * i < sum)
                column_add(&column, (uint64_t)product, (uint64_t)(product >> 64));
        }
        t[sum] = column_next(&column);
    }
    t[7] = column.low;
}

/*
 * One step of Montgomery's reduction: r = (r + f * m) / 2^64 with f chosen so that the
 * division is exact. From r < 2^256 follows r + f * m < 2^64 * 2^256, so no carry is lost.
 */
static inline void step_generic(const struct ec_modulus *m, uint64_t r[4])
{
    uint64_t factor = r[0] * m->negated_inverse;
    unsigned __int128 sum = (unsigned __int128)factor * m->m.word[0] + r[0];

    EC_UNROLL
    for (int i = 1; i < 4; i++) {
        sum = (unsigned __int128)factor * m->m.word[i] + r[i] + (uint64_t)(sum >> 64);
        r[i - 1] = (uint64_t)sum;
    }
    r[3] = (uint64_t)(sum >> 64);
}

/*
 * Both primes are -1 mod 2^64, so f is r[0] itself and cancels it.
 * P-256: p + 1 = 2^96 + 2^192 * (2^64 - 2^32 + 1).
 */
static inline void step_p256(uint64_t r[4])
{
    uint64_t factor = r[0];
    unsigned __int128 top = (unsigned __int128)factor * 0xffffffff00000001;
    unsigned char carry = 0;

    r[0] = ec_add_carry(r[1], factor << 32, &carry);
    r[1] = ec_add_carry(r[2], factor >> 32, &carry);
    r[2] = ec_add_carry(r[3], (uint64_t)top, &carry);
    r[3] = ec_add_carry((uint64_t)(top >> 64), 0, &carry);
}

/* SM2: p + 1 = 2^256 - 2^224 - 2^96 + 2^64, shifts and subtractions only. */
static inline void step_sm2(uint64_t r[4])
{
    uint64_t factor = r[0], low = factor << 32, high = factor >> 32;
    unsigned char carry = 0, borrow = 0;

    r[0] = ec_add_carry(r[1], factor, &carry);
    r[1] = ec_add_carry(r[2], 0, &carry);
    r[2] = ec_add_carry(r[3], 0, &carry);
    r[3] = ec_add_carry(factor, 0, &carry); /* may wrap to zero, and is borrowed from next */
    r[0] = ec_sub_borrow(r[0], low, &borrow);
    r[1] = ec_sub_borrow(r[1], high, &borrow);
    r[2] = ec_sub_borrow(r[2], low, &borrow);
    r[3] = ec_sub_borrow(r[3], high, &borrow);
}

/* t < 2^256 * m gives low / 2^256 <= m plus high < m: less than 2m, one subtraction is enough. */
static inline __attribute__((always_inline)) void reduce(const struct ec_modulus *m,
                                                         struct ec_number *out, const uint64_t t[8])
{
    uint64_t r[4] = { t[0], t[1], t[2], t[3] };
    unsigned char carry = 0;

    switch (m->shape) {
    case EC_SHAPE_P256:
        EC_UNROLL
        for (int i = 0; i < 4; i++)
            step_p256(r);
        break;
    case EC_SHAPE_SM2:
        EC_UNROLL
        for (int i = 0; i < 4; i++)
            step_sm2(r);
        break;
    case EC_SHAPE_GENERIC:
        EC_UNROLL
        for (int i = 0; i < 4; i++)
            step_generic(m, r);
        break;
    }
    EC_UNROLL
    for (int i = 0; i < 4; i++)
        out->word[i] = ec_add_carry(r[i], t[4 + i], &carry);
    ec_number_reduce_once(m, carry, out);
}

void crypto_ec_number_mul(const struct ec_modulus *m, struct ec_number *out,
                          const struct ec_number *a, const struct ec_number *b)
{
    uint64_t t[8];

    multiply(t, a, b);
    reduce(m, out, t);
}

void crypto_ec_number_square(const struct ec_modulus *m, struct ec_number *out,
                             const struct ec_number *a)
{
    uint64_t t[8];

    square(t, a);
    reduce(m, out, t);
}

/* Fermat: a^(m - 2) in windows of four bits of the exponent, which everybody knows. */
void crypto_ec_number_invert(const struct ec_modulus *m, struct ec_number *out,
                             const struct ec_number *a)
{
    struct ec_number power[16], result = m->one, exponent;

    ec_number_sub_raw(&exponent, &m->m, &(struct ec_number){ { 2, 0, 0, 0 } });
    power[0] = m->one;
    for (int i = 1; i < 16; i++)
        crypto_ec_number_mul(m, &power[i], &power[i - 1], a);
    for (int i = 63; i >= 0; i--) {
        unsigned digit = (exponent.word[i / 16] >> (4 * (i % 16))) & 15;

        for (int j = 0; j < 4; j++)
            crypto_ec_number_square(m, &result, &result);
        if (digit != 0)
            crypto_ec_number_mul(m, &result, &result, &power[digit]);
    }
    *out = result;
    OPENSSL_cleanse(power, sizeof(power));
    OPENSSL_cleanse(&result, sizeof(result));
}

/* Euclid's way, as long as the number wants; on the stack. */
void crypto_ec_number_invert_public(const struct ec_modulus *m, struct ec_number *out,
                                    const struct ec_number *a)
{
    mp_limb_t left[WORDS + 1] = { 0 }, right[WORDS + 1] = { 0 }; /* both are used up */
    mp_limb_t gcd[WORDS + 1], inverse[WORDS + 1] = { 0 };
    mp_size_t len = 0;

    memcpy(left, a->word, sizeof(a->word));
    memcpy(right, m->m.word, sizeof(m->m.word));
    if (ec_number_zero_mask(a) == 0)
        mpn_gcdext(gcd, inverse, &len, left, WORDS, right, WORDS);
    memcpy(out->word, inverse, sizeof(out->word));
    if (len < 0)
        ec_number_sub_raw(out, &m->m, out);
    /* What was inverted is a * 2^256: its inverse lacks 2^512. */
    ec_number_to_montgomery(m, out);
    ec_number_to_montgomery(m, out);
}

typedef void invert_fn(const struct ec_modulus *m, struct ec_number *out,
                       const struct ec_number *a);

/*
 * Montgomery's trick: invert the product of all, then take the factors off again. A zero
 * takes part as a one, chosen by mask, and is a zero again at the end.
 */
static void invert_many(const struct ec_modulus *m, struct ec_number *a, size_t count,
                        invert_fn *invert)
{
    struct ec_number prefix[EC_INVERT_MAX], inverse, product = m->one;
    uint64_t zero[EC_INVERT_MAX];

    assert(count <= EC_INVERT_MAX);
    for (size_t i = 0; i < count; i++) {
        zero[i] = ec_number_zero_mask(&a[i]);
        ec_number_select(&a[i], zero[i], &a[i], &m->one);
        prefix[i] = product;
        crypto_ec_number_mul(m, &product, &product, &a[i]);
    }
    invert(m, &inverse, &product);
    for (size_t i = count; i-- > 0;) {
        struct ec_number own;

        crypto_ec_number_mul(m, &own, &inverse, &prefix[i]);
        crypto_ec_number_mul(m, &inverse, &inverse, &a[i]);
        ec_number_select(&a[i], zero[i], &own, &(struct ec_number){ { 0 } });
        OPENSSL_cleanse(&own, sizeof(own));
    }
    OPENSSL_cleanse(prefix, sizeof(prefix[0]) * count);
    OPENSSL_cleanse(&inverse, sizeof(inverse));
    OPENSSL_cleanse(&product, sizeof(product));
}

void crypto_ec_number_invert_many(const struct ec_modulus *m, struct ec_number *a, size_t count)
{
    invert_many(m, a, count, crypto_ec_number_invert);
}

void crypto_ec_number_invert_many_public(const struct ec_modulus *m, struct ec_number *a,
                                         size_t count)
{
    invert_many(m, a, count, crypto_ec_number_invert_public);
}
