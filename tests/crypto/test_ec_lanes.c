/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The eight-lane field and points, with every stated bound asserted, on the numbers that
 * carry worst. The kernel is included: what is tested here has no name outside.
 */
#ifndef CERTMILL_EC_BOUNDS
#define CERTMILL_EC_BOUNDS
#endif
#include "ca/crypto/ec_lanes_kernel.c"

#include "tests/support/check.h"
#include "tests/support/ec_reference.h"

enum { ROUNDS = 4000, WORDS_MAX = 5 };

static struct reference reference[CRYPTO_EC_CURVE_COUNT];
static BIGNUM *got, *want, *inverse_radix;
static BN_CTX *context;

static void open_all(void)
{
    if (!crypto_ec_has_lanes())
        cr_skip_test("no AVX-512 IFMA here");
    reference_open(&reference[0], CRYPTO_EC_P256);
    reference_open(&reference[1], CRYPTO_EC_SM2);
    got = BN_new();
    want = BN_new();
    inverse_radix = BN_new();
    context = BN_CTX_new();
}

static void close_all(void)
{
    if (!crypto_ec_has_lanes())
        return;
    for (int i = 0; i < CRYPTO_EC_CURVE_COUNT; i++)
        reference_close(&reference[i]);
    BN_free(got);
    BN_free(want);
    BN_free(inverse_radix);
    BN_CTX_free(context);
}

TestSuite(ec_lanes, .init = open_all, .fini = close_all, .timeout = 120);

/* A lane as a number, whatever its limbs are, signed or not carried. */
static void to_big(struct ec_fe a, int lane, BIGNUM *big)
{
    BIGNUM *limb = BN_new();

    BN_zero(big);
    for (int i = EC_LIMBS - 1; i >= 0; i--) {
        _Alignas(64) long long limbs[EC_LANES];

        _mm512_store_si512(limbs, a.limb[i]);
        long long value = limbs[lane];
        BN_lshift(big, big, 52);
        BN_set_word(limb, (BN_ULONG)(value < 0 ? -value : value));
        BN_set_negative(limb, value < 0);
        BN_add(big, big, limb);
    }
    BN_free(limb);
}

/* Tight, below `units` U; limbs of all ones and none as often as random ones. */
static struct ec_fe draw(uint64_t *state, uint64_t units)
{
    const uint64_t ones = ((uint64_t)1 << 52) - 1;
    _Alignas(64) uint64_t limb[EC_LIMBS][EC_LANES];
    struct ec_fe out;

    for (int i = 0; i < EC_LIMBS; i++) {
        for (int lane = 0; lane < EC_LANES; lane++) {
            uint64_t random = reference_random(state);
            uint64_t max = i == EC_LIMBS - 1 ? (units << 48) - 1 : ones;
            switch (random >> 62) {
            case 0: limb[i][lane] = 0; break;
            case 1: limb[i][lane] = max; break;
            case 2: limb[i][lane] = max & (max << (random & 31)); break;
            default: limb[i][lane] = (random >> 4) % (max + 1); break;
            }
        }
        out.limb[i] = _mm512_load_si512(limb[i]);
    }
    return out;
}

static void check_lane(struct ec_fe a, int lane, const BIGNUM *p, const char *what)
{
    to_big(a, lane, got);
    BN_nnmod(got, got, p, context);
    cr_assert(BN_cmp(got, want) == 0, "%s, lane %d: %s, not %s", what, lane, BN_bn2hex(got),
              BN_bn2hex(want));
}

static void use_radix(const BIGNUM *p)
{
    BN_zero(want);
    BN_set_bit(want, 260);
    BN_mod_inverse(inverse_radix, want, p, context);
}

static void check_products(enum crypto_ec_curve id, const BIGNUM *p, struct ec_fe a, struct ec_fe b,
                           int sixteenths)
{
    struct ec_fe product = ec_fe_assert(ec_fe_mul(id, a, b), sixteenths);
    struct ec_fe square = ec_fe_assert(ec_fe_square(id, a), sixteenths);
    struct ec_wide wide = ec_wide_product(a, b);
    BIGNUM *left = BN_new(), *right = BN_new();

    ec_wide_add_product(&wide, b, b);
    struct ec_fe two = ec_fe_fold(id, ec_wide_reduce(id, wide));
    for (int lane = 0; lane < EC_LANES; lane++) {
        to_big(a, lane, left);
        to_big(b, lane, right);
        BN_mod_mul(want, left, right, p, context);
        BN_mod_mul(want, want, inverse_radix, p, context);
        check_lane(product, lane, p, "product");
        BN_mod_sqr(want, left, p, context);
        BN_mod_mul(want, want, inverse_radix, p, context);
        check_lane(square, lane, p, "square");
        BN_add(left, left, right);
        BN_mod_mul(want, left, right, p, context);
        BN_mod_mul(want, want, inverse_radix, p, context);
        check_lane(two, lane, p, "sum of two products");
    }
    BN_free(left);
    BN_free(right);
}

/* (a b / 16 + 1) U for 4 and 4, for 15 and 15 (all a tight number can be), for 1 and 12. */
Test(ec_lanes, products_of_the_largest_limbs_are_right_and_within_their_bounds)
{
    static const int cases[][3] = { { 4, 4, 32 }, { 15, 15, 242 }, { 12, 12, 160 }, { 1, 1, 17 } };

    for (int c = 0; c < CRYPTO_EC_CURVE_COUNT; c++) {
        enum crypto_ec_curve id = (enum crypto_ec_curve)c;
        uint64_t state = 31 + (uint64_t)c;

        use_radix(reference[c].p);
        for (int round = 0; round < ROUNDS / 8; round++) {
            const int *it = cases[round % 4];
            struct ec_fe a = draw(&state, (uint64_t)it[0]), b = draw(&state, (uint64_t)it[1]);
            check_products(id, reference[c].p, a, b, it[2] + 1);
        }
    }
}

Test(ec_lanes, folding_keeps_the_residue_and_gives_less_than_2_u_and_a_bit)
{
    BIGNUM *bound = BN_new(), *value = BN_new();

    BN_set_word(bound, 33);
    BN_lshift(bound, bound, 252);
    for (int c = 0; c < CRYPTO_EC_CURVE_COUNT; c++) {
        uint64_t state = 41 + (uint64_t)c;
        for (int round = 0; round < ROUNDS / 8; round++) {
            /* From -56 U to 64 U, limbs not carried. */
            unsigned up = reference_random(&state) % 3, down = reference_random(&state) % 3;
            struct ec_fe loose =
                ec_fe_sub(ec_fe_shift(draw(&state, 15), up), ec_fe_shift(draw(&state, 14), down));
            struct ec_fe tight = ec_fe_fold((enum crypto_ec_curve)c, loose);
            for (int lane = 0; lane < EC_LANES; lane++) {
                to_big(loose, lane, value);
                BN_nnmod(want, value, reference[c].p, context);
                check_lane(tight, lane, reference[c].p, "fold");
                to_big(tight, lane, value);
                cr_assert(!BN_is_negative(value) && BN_cmp(value, bound) < 0);
            }
        }
    }
    BN_free(bound);
    BN_free(value);
}

Test(ec_lanes, the_canonical_form_is_the_residue)
{
    for (int c = 0; c < CRYPTO_EC_CURVE_COUNT; c++) {
        uint64_t state = 51 + (uint64_t)c;
        for (int round = 0; round < ROUNDS / 8; round++) {
            struct ec_fe a = draw(&state, 3);
            if (round < 4) { /* the multiples of p themselves */
                for (int i = 0; i < EC_LIMBS; i++)
                    a.limb[i] = ec_all((uint64_t)round * ec_primes[c].p[i]);
                a = ec_fe_carry(a);
            }
            struct ec_fe canonical = ec_fe_canonical((enum crypto_ec_curve)c, a);
            for (int lane = 0; lane < EC_LANES; lane++) {
                to_big(a, lane, want);
                BN_nnmod(want, want, reference[c].p, context);
                to_big(canonical, lane, got);
                cr_assert(BN_cmp(got, want) == 0);
                cr_assert(((ec_fe_zero_mask(canonical) >> lane) & 1) == BN_is_zero(want));
            }
        }
    }
}

Test(ec_lanes, words_become_limbs_and_words_again)
{
    struct ec_number in[EC_LANES], out[EC_LANES];
    uint64_t state = 61;
    uint8_t bytes[32];
    __m512i word[4];

    for (int round = 0; round < ROUNDS; round++) {
        for (int lane = 0; lane < EC_LANES; lane++) {
            reference_structured(&state, bytes);
            ec_number_load(&in[lane], bytes);
        }
        ec_words_load(word, in, EC_LANES);
        ec_fe_store(ec_fe_assert(ec_fe_from_words(word), 16), out);
        check_bytes(ca_bytes_of(out, sizeof(out)), ca_bytes_of(in, sizeof(in)));
    }
}

Test(ec_lanes, digits_are_those_of_the_portable_code)
{
    struct ec_number k[EC_LANES];
    uint64_t state = 71;
    uint8_t bytes[32];
    __m512i word[4];

    for (int round = 0; round < ROUNDS / 20; round++) {
        for (int lane = 0; lane < EC_LANES; lane++) {
            reference_structured(&state, bytes);
            ec_number_load(&k[lane], bytes);
        }
        ec_words_load(word, k, EC_LANES);
        for (unsigned width = EC_WINDOW_WIDTH; width <= EC_BASE_WIDTH; width++) {
            for (unsigned position = 0; position < 255; position += width) {
                bool is_top = position + width >= 256;
                struct ec_lanes_digit digits = ec_lanes_digit_at(word, position, width, is_top);
                _Alignas(64) uint64_t index[EC_LANES];

                _mm512_store_si512(index, digits.index);
                for (int lane = 0; lane < EC_LANES; lane++) {
                    struct ec_digit one = ec_digit_at(&k[lane], position, width, is_top);
                    cr_assert(one.index == index[lane]);
                    cr_assert((one.negative & 1) == ((digits.negative >> lane) & 1));
                }
            }
        }
    }
}

/* Coordinates as large as the formulas allow, not on the curve: they are identities of fields. */
static struct ec_lanes_point draw_point(uint64_t *state)
{
    struct ec_lanes_point out = { draw(state, 2), draw(state, 2), draw(state, 2) };

    return out;
}

static void to_portable(enum crypto_ec_curve id, struct ec_fe a,
                        struct ec_number numbers_out[EC_LANES])
{
    store_portable(id, a, numbers_out);
}

static void check_formulas(enum crypto_ec_curve id, struct ec_lanes_point a,
                           struct ec_lanes_affine b)
{
    const struct ec_curve *curve = crypto_ec_curve_of(id);
    struct ec_lanes_point result[2] = { ec_lanes_double(id, a), ec_lanes_add(id, a, b) };
    struct ec_number x[EC_LANES], y[EC_LANES], z[EC_LANES], bx[EC_LANES], by[EC_LANES];
    struct ec_number rx[2][EC_LANES], ry[2][EC_LANES], rz[2][EC_LANES];

    to_portable(id, a.x, x);
    to_portable(id, a.y, y);
    to_portable(id, a.z, z);
    to_portable(id, b.x, bx);
    to_portable(id, b.y, by);
    for (int i = 0; i < 2; i++) {
        to_portable(id, result[i].x, rx[i]);
        to_portable(id, result[i].y, ry[i]);
        to_portable(id, result[i].z, rz[i]);
    }
    for (int lane = 0; lane < EC_LANES; lane++) {
        struct ec_point from = { x[lane], y[lane], z[lane] }, expected[2];
        struct ec_affine other = { bx[lane], by[lane] };

        crypto_ec_point_double(curve, &expected[0], &from);
        crypto_ec_point_add_affine(curve, &expected[1], &from, &other);
        for (int i = 0; i < 2; i++) {
            cr_assert(ec_number_is_equal_public(&expected[i].x, &rx[i][lane]));
            cr_assert(ec_number_is_equal_public(&expected[i].y, &ry[i][lane]));
            cr_assert(ec_number_is_equal_public(&expected[i].z, &rz[i][lane]));
        }
    }
}

Test(ec_lanes, formulas_agree_with_the_portable_ones_on_the_largest_coordinates)
{
    for (int c = 0; c < CRYPTO_EC_CURVE_COUNT; c++) {
        uint64_t state = 81 + (uint64_t)c;
        for (int round = 0; round < ROUNDS / 4; round++) {
            struct ec_lanes_affine b = { draw(&state, 1), draw(&state, 1) };
            check_formulas((enum crypto_ec_curve)c, draw_point(&state), b);
        }
    }
}

/* Whole computations on structured scalars: no bound is passed on the way. */
Test(ec_lanes, no_computation_leaves_its_bounds)
{
    static struct ec_comb comb;
    static struct ec_lanes_comb lanes_comb;
    static struct ec_lanes_public_comb public_comb;
    static struct ec_lanes_base base;
    struct ec_number k[EC_LANES], x[EC_LANES], z[EC_LANES];
    struct ec_affine points[EC_LANES];
    struct ec_claim claims[EC_LANES];
    bool is_valid[EC_LANES], is_doubtful[EC_LANES];
    uint64_t state = 91;
    uint8_t bytes[32];

    for (int c = 0; c < CRYPTO_EC_CURVE_COUNT; c++) {
        const struct ec_curve *curve = crypto_ec_curve_of((enum crypto_ec_curve)c);

        crypto_ec_comb_init(curve, &curve->base, &comb);
        crypto_ec_lanes_comb_init(curve, &comb, &lanes_comb);
        crypto_ec_lanes_public_comb_init(curve, &comb, &public_comb);
        crypto_ec_lanes_base_init(curve, &base);
        for (int round = 0; round < 40; round++) {
            for (int lane = 0; lane < EC_LANES; lane++) {
                reference_structured(&state, bytes);
                ec_number_load(&k[lane], bytes);
                ec_number_reduce_once(&curve->n, 0, &k[lane]);
                claims[lane] = (struct ec_claim){ k[lane], k[lane], k[lane], true };
                claims[lane].u2.word[0] |= 1;
                crypto_ec_scalar_make_odd(curve, &k[lane]);
                points[lane] = comb.entry[round % EC_COMB_ROWS][7 * lane];
            }
            crypto_ec_lanes_multiply(curve, &lanes_comb, k, x, z);
            crypto_ec_lanes_verify(curve, &base, points, claims, EC_LANES, is_valid, is_doubtful);
            crypto_ec_lanes_verify_own(curve, &public_comb, &public_comb, claims, EC_LANES,
                                       is_valid, is_doubtful);
        }
    }
}
