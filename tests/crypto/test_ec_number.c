/* SPDX-License-Identifier: Apache-2.0 */
/* The portable arithmetic, modulo both primes and both orders, against OpenSSL's BIGNUM. */
#include "ca/crypto/ec_number.h"

#include "ca/crypto/ec_curve.h"
#include "tests/support/check.h"
#include "tests/support/ec_reference.h"

enum { ROUNDS = 3000, MODULI = 4 };

static struct reference reference[CRYPTO_EC_CURVE_COUNT];
static BIGNUM *got, *want, *left, *right, *radix, *inverse_radix;
static BN_CTX *context;

static void open_all(void)
{
    reference_open(&reference[0], CRYPTO_EC_P256);
    reference_open(&reference[1], CRYPTO_EC_SM2);
    context = BN_CTX_new();
    got = BN_new();
    want = BN_new();
    left = BN_new();
    right = BN_new();
    radix = BN_new();
    inverse_radix = BN_new();
    BN_set_bit(radix, 256);
}

static void close_all(void)
{
    reference_close(&reference[0]);
    reference_close(&reference[1]);
    BN_free(got);
    BN_free(want);
    BN_free(left);
    BN_free(right);
    BN_free(radix);
    BN_free(inverse_radix);
    BN_CTX_free(context);
}

TestSuite(ec_number, .init = open_all, .fini = close_all, .timeout = 60);

static const struct ec_modulus *modulus(int i, const BIGNUM **big_out)
{
    const struct ec_curve *curve = crypto_ec_curve_of((enum crypto_ec_curve)(i / 2));

    *big_out = i % 2 == 0 ? reference[i / 2].p : reference[i / 2].n;
    BN_mod_inverse(inverse_radix, radix, *big_out, context);
    return i % 2 == 0 ? &curve->p : &curve->n;
}

static void to_big(const struct ec_number *number, BIGNUM *big)
{
    uint8_t bytes[32];

    ec_number_store(number, bytes);
    BN_bin2bn(bytes, sizeof(bytes), big);
}

static void from_big(const BIGNUM *big, struct ec_number *number)
{
    uint8_t bytes[32];

    BN_bn2binpad(big, bytes, sizeof(bytes));
    ec_number_load(number, bytes);
}

static void check_number(const struct ec_number *number, const char *what)
{
    to_big(number, got);
    cr_assert(BN_cmp(got, want) == 0, "%s: %s, not %s", what, BN_bn2hex(got), BN_bn2hex(want));
}

/* Structured numbers below the modulus; the first few are the edges themselves. */
static void draw(uint64_t *state, const BIGNUM *m, int round, BIGNUM *big)
{
    uint8_t bytes[32];

    if (round < 4) {
        BN_copy(big, m);
        BN_sub_word(big, (BN_ULONG)round + 1);
    } else if (round < 8) {
        BN_set_word(big, (BN_ULONG)round - 4);
    } else {
        reference_structured(state, bytes);
        BN_bin2bn(bytes, sizeof(bytes), big);
        BN_nnmod(big, big, m, context);
    }
}

static void check_pair(const struct ec_modulus *m, const BIGNUM *big)
{
    struct ec_number a, b, out;

    from_big(left, &a);
    from_big(right, &b);

    ec_number_add(m, &out, &a, &b);
    BN_mod_add(want, left, right, big, context);
    check_number(&out, "sum");

    ec_number_sub(m, &out, &a, &b);
    BN_mod_sub(want, left, right, big, context);
    check_number(&out, "difference");

    crypto_ec_number_mul(m, &out, &a, &b);
    BN_mod_mul(want, left, right, big, context);
    BN_mod_mul(want, want, inverse_radix, big, context);
    check_number(&out, "product");

    crypto_ec_number_square(m, &out, &a);
    BN_mod_sqr(want, left, big, context);
    BN_mod_mul(want, want, inverse_radix, big, context);
    check_number(&out, "square");

    cr_assert((ec_number_less_mask(&a, &b) != 0) == (BN_cmp(left, right) < 0));
    cr_assert((ec_number_zero_mask(&a) != 0) == BN_is_zero(left));
}

Test(ec_number, arithmetic_equals_that_of_bignum)
{
    const BIGNUM *big;

    for (int i = 0; i < MODULI; i++) {
        const struct ec_modulus *m = modulus(i, &big);
        uint64_t state = 1 + (uint64_t)i;

        for (int round = 0; round < ROUNDS; round++) {
            draw(&state, big, round % 64 < 8 ? round % 64 : 64, left);
            draw(&state, big, round / 64 < 8 ? round / 64 : 64, right);
            check_pair(m, big);
        }
    }
}

/* Operands of the conversions may be up to 2^256 - 1, as digests are. */
Test(ec_number, whatever_32_octets_enter_and_leave_montgomery_form)
{
    const BIGNUM *big;
    uint8_t bytes[32];

    for (int i = 0; i < MODULI; i++) {
        const struct ec_modulus *m = modulus(i, &big);
        uint64_t state = 11 + (uint64_t)i;

        for (int round = 0; round < ROUNDS; round++) {
            struct ec_number a;

            reference_structured(&state, bytes);
            ec_number_load(&a, bytes);
            ec_number_to_montgomery(m, &a);
            BN_bin2bn(bytes, sizeof(bytes), left);
            BN_mod_mul(want, left, radix, big, context);
            check_number(&a, "Montgomery form");
            ec_number_from_montgomery(m, &a);
            BN_nnmod(want, left, big, context);
            check_number(&a, "plain again");
        }
    }
}

Test(ec_number, inverses_are_those_of_bignum_and_zero_stays_zero)
{
    const BIGNUM *big;
    struct ec_number batch[EC_INVERT_MAX], public[EC_INVERT_MAX], alone[EC_INVERT_MAX], out;

    for (int i = 0; i < MODULI; i++) {
        const struct ec_modulus *m = modulus(i, &big);
        uint64_t state = 21 + (uint64_t)i;

        for (size_t count = 1; count <= EC_INVERT_MAX; count += 9) {
            for (size_t j = 0; j < count; j++) {
                draw(&state, big, j % 16 == 3 ? 4 : (int)j, left); /* some zeros */
                from_big(left, &batch[j]);
                crypto_ec_number_invert(m, &alone[j], &batch[j]);
                if (BN_mod_inverse(want, left, big, context) == NULL)
                    BN_zero(want);
                BN_mod_mul(want, want, radix, big, context);
                BN_mod_mul(want, want, radix, big, context);
                check_number(&alone[j], "inverse");
                crypto_ec_number_invert_public(m, &out, &batch[j]);
                check_number(&out, "inverse of a public number");
                public[j] = batch[j];
            }
            crypto_ec_number_invert_many(m, batch, count);
            crypto_ec_number_invert_many_public(m, public, count);
            for (size_t j = 0; j < count; j++) {
                cr_assert(ec_number_is_equal_public(&batch[j], &alone[j]), "%zu of %zu", j, count);
                cr_assert(ec_number_is_equal_public(&public[j], &alone[j]), "%zu of %zu", j, count);
            }
        }
    }
}

Test(ec_number, constants_of_the_curves_are_what_they_are_said_to_be)
{
    const BIGNUM *big;

    for (int i = 0; i < MODULI; i++) {
        const struct ec_modulus *m = modulus(i, &big);

        BN_copy(want, big);
        check_number(&m->m, "modulus");
        BN_nnmod(want, radix, big, context);
        check_number(&m->one, "one");
        BN_mod_sqr(want, radix, big, context);
        check_number(&m->square, "square of the radix");
        cr_assert(m->negated_inverse * m->m.word[0] == ~(uint64_t)0);
    }
    for (int i = 0; i < CRYPTO_EC_CURVE_COUNT; i++) {
        const struct ec_curve *curve = crypto_ec_curve_of((enum crypto_ec_curve)i);
        struct reference *ref = &reference[i];

        EC_GROUP_get_curve(ref->group, NULL, NULL, left, context);
        BN_mod_mul(want, left, radix, ref->p, context);
        check_number(&curve->b, "b");
        EC_POINT_get_affine_coordinates(ref->group, EC_GROUP_get0_generator(ref->group), left,
                                        right, context);
        BN_mod_mul(want, left, radix, ref->p, context);
        check_number(&curve->base.x, "x of the base point");
        BN_mod_mul(want, right, radix, ref->p, context);
        check_number(&curve->base.y, "y of the base point");
        BN_sub(want, ref->p, ref->n);
        check_number(&curve->gap, "p - n");
    }
}
