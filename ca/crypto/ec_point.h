/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ec_point: points in Jacobian coordinates, x = X / Z^2, y = Y / Z^3, infinity is Z = 0;
 * digits of scalars; the comb, a table for multiples of a point known beforehand.
 */
#pragma once

#include "ca/crypto/ec_curve.h"

struct ec_point {
    struct ec_number x, y, z;
};

/* x || y, reduced and on the curve; otherwise false. */
bool crypto_ec_point_load(const struct ec_curve *curve, const uint8_t bytes[CRYPTO_EC_POINT_LEN],
                          struct ec_affine *out);

void crypto_ec_point_double(const struct ec_curve *curve, struct ec_point *out,
                            const struct ec_point *a);
/* Neither operand at infinity, and a != b, a != -b: these give Z = 0. */
void crypto_ec_point_add_affine(const struct ec_curve *curve, struct ec_point *out,
                                const struct ec_point *a, const struct ec_affine *b);
/* Any operands; the time tells which case it was. */
void crypto_ec_point_add_public(const struct ec_curve *curve, struct ec_point *out,
                                const struct ec_point *a, const struct ec_point *b);

/*
 * An odd number k < 2^256 is the sum of odd digits, digit i between -(2^w - 1) and 2^w - 1
 * with weight 2^(w i), the topmost positive. Bits w i + 1 and up say which digit it is, so
 * no carry runs and none is zero: every step adds something, which is what makes additions
 * free of exceptions. An even k is handled as the odd number n - k.
 */
struct ec_digit {
    uint64_t negative; /* mask */
    unsigned index;    /* the digit is 2 * index + 1, or its negative */
};

/* The digit with weight 2^position; is_top for the topmost one. */
static inline struct ec_digit ec_digit_at(const struct ec_number *k, unsigned position,
                                          unsigned width, bool is_top)
{
    unsigned from = position + 1, word = from / 64, shift = from % 64;
    uint64_t bits = k->word[word] >> shift;
    unsigned mask = (1u << (width - 1)) - 1;

    if (shift != 0 && word < 3)
        bits |= k->word[word + 1] << (64 - shift);
    uint64_t negative = is_top ? 0 : ((bits >> (width - 1)) & 1) - 1;
    return (struct ec_digit){ negative, (unsigned)(bits ^ negative) & mask };
}

/* All ones if k was even and is now n - k; k is left odd. Zero becomes n. */
uint64_t crypto_ec_scalar_make_odd(const struct ec_curve *curve, struct ec_number *k);

enum {
    EC_COMB_WIDTH = 7,
    EC_COMB_ROWS = (256 + EC_COMB_WIDTH - 1) / EC_COMB_WIDTH,
    EC_COMB_ENTRIES = 1 << (EC_COMB_WIDTH - 1),
    EC_WINDOW_WIDTH = 5,
    EC_WINDOW_ENTRIES = 1 << (EC_WINDOW_WIDTH - 1),
    EC_WINDOW_TOP = 255, /* 51 digits of five bits, and the topmost is always 1 */
};

/* entry[i][j] = (2 j + 1) * 2^(7 i) * P */
struct ec_comb {
    struct ec_affine entry[EC_COMB_ROWS][EC_COMB_ENTRIES];
};

void crypto_ec_comb_init(const struct ec_curve *curve, const struct ec_affine *point,
                         struct ec_comb *comb_out);
/* out = k P for odd 0 < k < n, in constant time and for every such k. */
void crypto_ec_comb_multiply(const struct ec_curve *curve, const struct ec_comb *comb,
                             const struct ec_number *k, struct ec_point *out);
/* sum += k P for any 0 <= k < n; not for secrets. */
void crypto_ec_comb_add_public(const struct ec_curve *curve, const struct ec_comb *comb,
                               const struct ec_number *k, struct ec_point *sum);
/* out = k P for any 0 < k < n; not for secrets. */
void crypto_ec_point_multiply_public(const struct ec_curve *curve, const struct ec_affine *point,
                                     const struct ec_number *k, struct ec_point *out);
