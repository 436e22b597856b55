/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/ec_point.h"

#include <openssl/crypto.h>

#define MUL(out, a, b) crypto_ec_number_mul(&curve->p, &(out), &(a), &(b))
#define SQUARE(out, a) crypto_ec_number_square(&curve->p, &(out), &(a))
#define ADD(out, a, b) ec_number_add(&curve->p, &(out), &(a), &(b))
#define SUB(out, a, b) ec_number_sub(&curve->p, &(out), &(a), &(b))

static bool is_on_curve(const struct ec_curve *curve, const struct ec_affine *point)
{
    struct ec_number left, right, three_x;

    SQUARE(left, point->y);
    SQUARE(right, point->x);
    MUL(right, right, point->x);
    ADD(three_x, point->x, point->x);
    ADD(three_x, three_x, point->x);
    SUB(right, right, three_x);
    ADD(right, right, curve->b);
    return ec_number_is_equal_public(&left, &right);
}

bool crypto_ec_point_load(const struct ec_curve *curve, const uint8_t bytes[CRYPTO_EC_POINT_LEN],
                          struct ec_affine *out)
{
    ec_number_load(&out->x, bytes);
    ec_number_load(&out->y, bytes + 32);
    if (ec_number_less_mask(&out->x, &curve->p.m) == 0 ||
        ec_number_less_mask(&out->y, &curve->p.m) == 0)
        return false;
    ec_number_to_montgomery(&curve->p, &out->x);
    ec_number_to_montgomery(&curve->p, &out->y);
    return is_on_curve(curve, out);
}

/* For a = -3: slope 3 (X - Z^2) (X + Z^2); four multiplications, four squarings. */
void crypto_ec_point_double(const struct ec_curve *curve, struct ec_point *out,
                            const struct ec_point *a)
{
    struct ec_number twice_y, square, beta, alpha, t, u;

    ADD(twice_y, a->y, a->y);
    SQUARE(t, a->z);
    SUB(u, a->x, t);
    ADD(t, a->x, t);
    MUL(t, t, u);
    ADD(alpha, t, t);
    ADD(alpha, alpha, t);
    MUL(out->z, twice_y, a->z);
    SQUARE(square, twice_y); /* 4 Y^2 */
    MUL(beta, a->x, square); /* 4 X Y^2 */
    SQUARE(t, alpha);
    SUB(t, t, beta);
    SUB(out->x, t, beta);
    SUB(t, beta, out->x);
    MUL(t, t, alpha);
    SQUARE(square, square);
    ec_number_halve(&curve->p, &square, &square); /* 8 Y^4 */
    SUB(out->y, t, square);
}

/* The common end of both additions, from H = U2 - U1, R = S2 - S1, Z = Z1 Z2 and (U1, S1). */
static void finish_addition(const struct ec_curve *curve, struct ec_point *out, struct ec_number *h,
                            struct ec_number *r, const struct ec_number *z,
                            const struct ec_number *u, const struct ec_number *s)
{
    struct ec_number h2, h3, v, sh;

    SQUARE(h2, *h);
    MUL(h3, h2, *h);
    MUL(v, *u, h2);
    MUL(sh, *s, h3);
    MUL(out->z, *z, *h);
    SQUARE(out->x, *r);
    SUB(out->x, out->x, h3);
    SUB(out->x, out->x, v);
    SUB(out->x, out->x, v);
    SUB(v, v, out->x);
    MUL(v, v, *r);
    SUB(out->y, v, sh);
}

void crypto_ec_point_add_affine(const struct ec_curve *curve, struct ec_point *out,
                                const struct ec_point *a, const struct ec_affine *b)
{
    struct ec_point from = *a;
    struct ec_number zz, h, r;

    SQUARE(zz, from.z);
    MUL(h, b->x, zz);
    MUL(zz, zz, from.z);
    MUL(r, b->y, zz);
    SUB(h, h, from.x);
    SUB(r, r, from.y);
    finish_addition(curve, out, &h, &r, &from.z, &from.x, &from.y);
}

void crypto_ec_point_add_public(const struct ec_curve *curve, struct ec_point *out,
                                const struct ec_point *a, const struct ec_point *b)
{
    struct ec_number zz1, zz2, u1, u2, s1, s2, h, r, z;

    if (ec_number_zero_mask(&a->z) != 0 || ec_number_zero_mask(&b->z) != 0) {
        *out = ec_number_zero_mask(&a->z) != 0 ? *b : *a;
        return;
    }
    SQUARE(zz1, a->z);
    SQUARE(zz2, b->z);
    MUL(u1, a->x, zz2);
    MUL(u2, b->x, zz1);
    MUL(zz1, zz1, a->z);
    MUL(zz2, zz2, b->z);
    MUL(s1, a->y, zz2);
    MUL(s2, b->y, zz1);
    SUB(h, u2, u1);
    SUB(r, s2, s1);
    if (ec_number_zero_mask(&h) != 0 && ec_number_zero_mask(&r) != 0) {
        crypto_ec_point_double(curve, out, a);
        return;
    }
    MUL(z, a->z, b->z);
    finish_addition(curve, out, &h, &r, &z, &u1, &s1);
}

uint64_t crypto_ec_scalar_make_odd(const struct ec_curve *curve, struct ec_number *k)
{
    struct ec_number other;
    uint64_t even = (k->word[0] & 1) - 1;

    ec_number_sub_raw(&other, &curve->n.m, k);
    ec_number_select(k, even, k, &other);
    return even;
}

static void to_affine(const struct ec_curve *curve, const struct ec_point *a,
                      const struct ec_number *z_inverse, struct ec_affine *out)
{
    struct ec_number power;

    SQUARE(power, *z_inverse);
    MUL(out->x, a->x, power);
    MUL(power, power, *z_inverse);
    MUL(out->y, a->y, power);
}

static struct ec_point from_affine(const struct ec_curve *curve, const struct ec_affine *a)
{
    return (struct ec_point){ a->x, a->y, curve->p.one };
}

/* One row from its first entry; the first entry of the next row comes with it. */
static void init_row(const struct ec_curve *curve, struct ec_affine row[EC_COMB_ENTRIES],
                     struct ec_affine *next_out)
{
    struct ec_point point[EC_COMB_ENTRIES], twice;
    struct ec_number z[EC_COMB_ENTRIES];
    struct ec_affine step;

    _Static_assert((int)EC_COMB_ENTRIES <= (int)EC_INVERT_MAX, "one inversion for a row");
    point[0] = from_affine(curve, &row[0]);
    crypto_ec_point_double(curve, &twice, &point[0]);
    crypto_ec_number_invert_public(&curve->p, &z[0], &twice.z);
    to_affine(curve, &twice, &z[0], &step);
    for (int i = 1; i < EC_COMB_ENTRIES; i++) {
        crypto_ec_point_add_affine(curve, &point[i], &point[i - 1], &step);
        z[i] = point[i].z;
    }
    /* Entry 0 is affine already; its place is used for 2^7 times the row. */
    for (int i = 1; i < EC_COMB_WIDTH; i++)
        crypto_ec_point_double(curve, &twice, &twice);
    point[0] = twice;
    z[0] = twice.z;
    crypto_ec_number_invert_many_public(&curve->p, z, EC_COMB_ENTRIES);
    to_affine(curve, &point[0], &z[0], next_out);
    for (int i = 1; i < EC_COMB_ENTRIES; i++)
        to_affine(curve, &point[i], &z[i], &row[i]);
}

void crypto_ec_comb_init(const struct ec_curve *curve, const struct ec_affine *point,
                         struct ec_comb *comb_out)
{
    struct ec_affine next = *point;

    for (int i = 0; i < EC_COMB_ROWS; i++) {
        comb_out->entry[i][0] = next;
        init_row(curve, comb_out->entry[i], &next);
    }
}

/* Reads every entry of the row, whichever is wanted. */
static void select_entry(const struct ec_curve *curve, const struct ec_affine row[EC_COMB_ENTRIES],
                         struct ec_digit digit, struct ec_affine *out)
{
    *out = (struct ec_affine){ 0 };
    for (unsigned i = 0; i < EC_COMB_ENTRIES; i++) {
        uint64_t difference = i ^ digit.index;
        uint64_t mask = ((difference - 1) & ~difference) >> 63;

        mask = 0 - mask;
        EC_UNROLL
        for (int j = 0; j < 4; j++) {
            out->x.word[j] |= row[i].x.word[j] & mask;
            out->y.word[j] |= row[i].y.word[j] & mask;
        }
    }
    ec_number_negate_if(&curve->p, digit.negative, &out->y);
}

/*
 * From the top row down. Before digit i is added the sum is T * 2^(w (i + 1)) for an odd T,
 * 0 < sum < k + 2^(w (i + 1)) < 2 n, and the summand is smaller in magnitude; so as integers
 * they differ, and modulo n sum -+ summand = n is the only way to be equal or opposite. The
 * left side is a multiple of 2^(w i) and n is odd: that leaves i = 0. There the sum cannot
 * become infinity, for 0 < k < n, but it may be a doubling (k = n - 2 |digit|), so both are
 * computed and one is taken by mask.
 */
void crypto_ec_comb_multiply(const struct ec_curve *curve, const struct ec_comb *comb,
                             const struct ec_number *k, struct ec_point *out)
{
    struct ec_affine entry;
    struct ec_point twice, sum;

    for (int i = EC_COMB_ROWS - 1; i >= 0; i--) {
        bool is_top = i == EC_COMB_ROWS - 1;
        unsigned position = (unsigned)i * EC_COMB_WIDTH;

        select_entry(curve, comb->entry[i], ec_digit_at(k, position, EC_COMB_WIDTH, is_top),
                     &entry);
        if (is_top)
            sum = from_affine(curve, &entry);
        else
            crypto_ec_point_add_affine(curve, &sum, &sum, &entry);
    }
    struct ec_point last = from_affine(curve, &entry);
    crypto_ec_point_double(curve, &twice, &last);
    uint64_t is_doubling = ec_number_zero_mask(&sum.z);
    ec_number_select(&out->x, is_doubling, &sum.x, &twice.x);
    ec_number_select(&out->y, is_doubling, &sum.y, &twice.y);
    ec_number_select(&out->z, is_doubling, &sum.z, &twice.z);
    OPENSSL_cleanse(&entry, sizeof(entry));
    OPENSSL_cleanse(&sum, sizeof(sum));
    OPENSSL_cleanse(&last, sizeof(last));
    OPENSSL_cleanse(&twice, sizeof(twice));
}

void crypto_ec_comb_add_public(const struct ec_curve *curve, const struct ec_comb *comb,
                               const struct ec_number *k, struct ec_point *sum)
{
    struct ec_number odd = *k;

    if (ec_number_zero_mask(k) != 0)
        return;
    uint64_t flip = crypto_ec_scalar_make_odd(curve, &odd);
    for (int i = EC_COMB_ROWS - 1; i >= 0; i--) {
        struct ec_digit digit =
            ec_digit_at(&odd, (unsigned)i * EC_COMB_WIDTH, EC_COMB_WIDTH, i == EC_COMB_ROWS - 1);
        struct ec_affine entry = comb->entry[i][digit.index];
        struct ec_point result;

        ec_number_negate_if(&curve->p, digit.negative ^ flip, &entry.y);
        crypto_ec_point_add_affine(curve, &result, sum, &entry);
        if (ec_number_zero_mask(&result.z) != 0) {
            struct ec_point point = from_affine(curve, &entry);
            crypto_ec_point_add_public(curve, &result, sum, &point);
        }
        *sum = result;
    }
}

enum { SIGNED_DIGITS_MAX = 257, SIGNED_ENTRIES = 8 };

/*
 * k as a sum of odd digits between -15 and 15, most of them zero: each other one is followed
 * by four zeros at least. Fewer additions than with windows at fixed places, but the places
 * tell k. Returns how many digits there are.
 */
static int recode_public(const struct ec_number *k, int8_t digits[SIGNED_DIGITS_MAX])
{
    uint64_t word[5] = { k->word[0], k->word[1], k->word[2], k->word[3], 0 };
    int count = 0, carry = 0;

    for (int bit = 0; bit < SIGNED_DIGITS_MAX;) {
        int from = (int)(word[bit / 64] >> (bit % 64) & 1);

        if (from == carry) { /* the sum of bit and carry is even */
            digits[bit++] = 0;
            continue;
        }
        uint64_t window = word[bit / 64] >> (bit % 64);
        if (bit % 64 > 59 && bit / 64 < 4)
            window |= word[bit / 64 + 1] << (64 - bit % 64);
        int digit = (int)(window & 31) + carry;
        carry = digit > 16;
        count = bit + 1;
        digits[bit++] = (int8_t)(digit - 32 * carry);
        for (int i = 0; i < 4 && bit < SIGNED_DIGITS_MAX; i++)
            digits[bit++] = 0;
    }
    return count;
}

void crypto_ec_point_multiply_public(const struct ec_curve *curve, const struct ec_affine *point,
                                     const struct ec_number *k, struct ec_point *out)
{
    struct ec_point table[SIGNED_ENTRIES], twice;
    int8_t digits[SIGNED_DIGITS_MAX];

    table[0] = from_affine(curve, point);
    crypto_ec_point_double(curve, &twice, &table[0]);
    for (int i = 1; i < SIGNED_ENTRIES; i++)
        crypto_ec_point_add_public(curve, &table[i], &table[i - 1], &twice);

    *out = (struct ec_point){ 0 };
    for (int i = recode_public(k, digits) - 1; i >= 0; i--) {
        crypto_ec_point_double(curve, out, out);
        if (digits[i] == 0)
            continue;
        struct ec_point entry = table[(digits[i] < 0 ? -digits[i] : digits[i]) / 2];

        ec_number_negate_if(&curve->p, digits[i] < 0 ? ~(uint64_t)0 : 0, &entry.y);
        crypto_ec_point_add_public(curve, out, out, &entry);
    }
}
