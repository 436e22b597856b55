/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of many limbs in eight lanes, with every bound asserted, on those that carry worst. The
 * kernel is included: what is tested here has no name outside.
 */
#ifndef CERTMILL_EC_BOUNDS
#define CERTMILL_EC_BOUNDS
#endif
#include "ca/crypto/rsa_lanes_kernel.c"

#include "ca/crypto/ec_lanes.h"
#include "ca/keys/secret.h"
#include "tests/support/check.h"
#include "tests/support/rsa_reference.h"

enum { ROUNDS = 40 };

static const size_t lengths[] = { 256, 384, 512 };
enum { LENGTHS = sizeof(lengths) / sizeof(lengths[0]) };

static struct rsa_reference ref;
static BIGNUM *got, *want, *inverse_radix;

static void open_all(void)
{
    check_ok(keys_harden_process());
    if (!crypto_ec_has_lanes())
        cr_skip_test("no AVX-512 IFMA here");
    rsa_reference_open(&ref);
    got = BN_new();
    want = BN_new();
    inverse_radix = BN_new();
}

static void close_all(void)
{
    if (!crypto_ec_has_lanes())
        return;
    rsa_reference_close(&ref);
    BN_free(got);
    BN_free(want);
    BN_free(inverse_radix);
}

TestSuite(rsa_lanes, .init = open_all, .fini = close_all, .timeout = 240);

static void to_big(const rsa_vector *a, size_t limbs, int lane, BIGNUM *big)
{
    BIGNUM *limb = BN_new();

    BN_zero(big);
    for (size_t i = limbs; i-- > 0;) {
        BN_lshift(big, big, 52);
        BN_set_word(limb, a[i][lane]);
        BN_add(big, big, limb);
    }
    BN_free(limb);
}

static void from_big(const BIGNUM *big, size_t limbs, int lane, rsa_vector *a)
{
    uint8_t octets[RSA_OCTETS_MAX + 16];

    cr_assert(BN_bn2binpad(big, octets, sizeof(octets)) > 0);
    rsa_load(limbs, a, lane, octets, sizeof(octets));
}

/* Another modulus in each lane, of 52 limbs bits less 16 and more. */
static void draw_modulus(uint64_t *state, size_t limbs, struct rsa_modulus *modulus)
{
    size_t bits = 52 * limbs - 16, len = (bits + 255) / 256 * 32;
    uint8_t octets[RSA_OCTETS_MAX + 32];

    modulus->limbs = limbs;
    for (int lane = 0; lane < RSA_LANES; lane++) {
        rsa_reference_draw(state, octets, len);
        BN_bin2bn(octets, (int)len, want);
        BN_mask_bits(want, (int)bits);
        BN_set_bit(want, (int)bits - 1);
        BN_set_bit(want, 0);
        from_big(want, limbs, lane, modulus->n);
        modulus->inverse[lane] = rsa_lanes_inverse(modulus->n[0][lane]);
    }
}

/* Below `times` n, or in a quarter of cases just that; in every lane. */
static void draw_number(uint64_t *state, const struct rsa_modulus *modulus, unsigned times,
                        rsa_vector *out)
{
    uint8_t octets[RSA_OCTETS_MAX + 32];
    size_t len = (52 * modulus->limbs + 255) / 256 * 32;

    for (int lane = 0; lane < RSA_LANES; lane++) {
        to_big(modulus->n, modulus->limbs, lane, got);
        BN_mul_word(got, times);
        rsa_reference_draw(state, octets, len);
        BN_bin2bn(octets, (int)len, want);
        BN_nnmod(want, want, got, ref.context);
        if (random_next(state) % 4 == 0)
            BN_sub(want, got, BN_value_one());
        from_big(want, modulus->limbs, lane, out);
    }
}

static void check_product(const struct rsa_modulus *modulus, const rsa_vector *a,
                          const rsa_vector *b, const rsa_vector *product, const char *what)
{
    for (int lane = 0; lane < RSA_LANES; lane++) {
        to_big(modulus->n, modulus->limbs, lane, ref.n);
        BN_zero(want);
        BN_set_bit(want, 52 * (int)modulus->limbs);
        BN_mod_inverse(inverse_radix, want, ref.n, ref.context);
        to_big(a, modulus->limbs, lane, ref.a);
        to_big(b, modulus->limbs, lane, ref.b);
        BN_mod_mul(want, ref.a, ref.b, ref.n, ref.context);
        BN_mod_mul(want, want, inverse_radix, ref.n, ref.context);
        to_big(product, modulus->limbs, lane, got);
        BN_nnmod(got, got, ref.n, ref.context);
        cr_assert(BN_cmp(got, want) == 0, "%s of %zu limbs, lane %d", what, modulus->limbs, lane);
    }
}

/* 2 n and less comes of operands up to 4 n; rsa_reduce() asserts it. */
Test(rsa_lanes, products_of_the_largest_numbers_are_right_and_within_their_bounds)
{
    static const size_t sizes[] = { 20, 30, 40, 60, 80 };
    static struct rsa_modulus modulus;
    rsa_vector a[RSA_LIMBS_MAX], b[RSA_LIMBS_MAX], product[RSA_LIMBS_MAX];
    uint64_t state = 11;

    for (int round = 0; round < ROUNDS; round++) {
        draw_modulus(&state, sizes[round % 5], &modulus);
        draw_number(&state, &modulus, 4, a);
        draw_number(&state, &modulus, 4, b);
        rsa_multiply(&modulus, product, a, b);
        check_product(&modulus, a, b, product, "product");
        rsa_square(&modulus, product, a);
        check_product(&modulus, a, a, product, "square");
        memcpy(product, a, sizeof(a));
        rsa_multiply(&modulus, product, product, b);
        check_product(&modulus, a, b, product, "product in place");
    }
}

/* Columns meet their largest sums with limbs of all ones: 2^61 is not passed. */
Test(rsa_lanes, limbs_of_all_ones_do_not_overflow_their_columns)
{
    static struct rsa_modulus modulus;
    rsa_vector a[RSA_LIMBS_MAX], product[RSA_LIMBS_MAX];

    modulus.limbs = RSA_LIMBS_MAX;
    for (size_t i = 0; i < RSA_LIMBS_MAX; i++)
        modulus.n[i] = a[i] = RSA_ALL(RSA_MASK52);
    modulus.n[RSA_LIMBS_MAX - 1] = a[RSA_LIMBS_MAX - 1] = RSA_ALL(RSA_MASK52 >> 16);
    modulus.inverse = RSA_ALL(1);
    rsa_multiply(&modulus, product, a, a);
    check_product(&modulus, a, a, product, "product");
    rsa_square(&modulus, product, a);
    check_product(&modulus, a, a, product, "square");
}

Test(rsa_lanes, the_canonical_form_is_the_residue)
{
    static struct rsa_modulus modulus;
    rsa_vector a[RSA_LIMBS_MAX], b[RSA_LIMBS_MAX];
    uint64_t state = 21;

    for (int round = 0; round < ROUNDS; round++) {
        draw_modulus(&state, round % 2 == 0 ? 20 : 80, &modulus);
        draw_number(&state, &modulus, 2, a);
        if (round < 2) /* n itself is none */
            memcpy(a, modulus.n, sizeof(a));
        memcpy(b, a, sizeof(b));
        rsa_canonical(&modulus, b);
        for (int lane = 0; lane < RSA_LANES; lane++) {
            to_big(a, modulus.limbs, lane, ref.a);
            to_big(modulus.n, modulus.limbs, lane, ref.n);
            BN_nnmod(want, ref.a, ref.n, ref.context);
            to_big(b, modulus.limbs, lane, got);
            cr_assert(BN_cmp(got, want) == 0);
        }
    }
}

Test(rsa_lanes, octets_become_limbs_and_octets_again)
{
    uint8_t in[RSA_OCTETS_MAX], out[RSA_OCTETS_MAX];
    rsa_vector a[RSA_LIMBS_MAX];
    uint64_t state = 31;

    for (int round = 0; round < 20 * ROUNDS; round++) {
        size_t len = lengths[round % LENGTHS];
        int lane = round % RSA_LANES;
        rsa_reference_draw(&state, in, len);
        rsa_load(rsa_lanes_limbs(len), a, lane, in, len);
        to_big(a, rsa_lanes_limbs(len), lane, got);
        BN_bin2bn(in, (int)len, want);
        cr_assert(BN_cmp(got, want) == 0);
        rsa_store(a, lane, out, len);
        check_bytes(ca_bytes_of(out, len), ca_bytes_of(in, len));
    }
}

/* Moduli of all ones, and of a one at either end, are the largest and smallest there are. */
Test(rsa_lanes, r_squared_is_right_for_the_largest_and_smallest_moduli)
{
    static struct rsa_modulus modulus;
    rsa_vector square[RSA_LIMBS_MAX];
    uint64_t state = 41;

    for (int round = 0; round < ROUNDS; round++) {
        size_t len = lengths[round % LENGTHS], limbs = rsa_lanes_limbs(len);
        modulus.limbs = limbs;
        for (int lane = 0; lane < RSA_LANES; lane++) {
            uint8_t octets[RSA_OCTETS_MAX] = { 0 };
            if (lane == 0)
                memset(octets, 0xff, len);
            else if (lane > 1)
                rsa_reference_draw(&state, octets, len);
            octets[0] |= 0x80;
            octets[len - 1] |= 1;
            rsa_load(limbs, modulus.n, lane, octets, len);
            modulus.inverse[lane] = rsa_lanes_inverse(modulus.n[0][lane]);
        }
        square_of_r(&modulus, 8 * len, square);
        rsa_assert_below(&modulus, square, 3);
        for (int lane = 0; lane < RSA_LANES; lane++) {
            BN_zero(want);
            BN_set_bit(want, 104 * (int)limbs);
            to_big(modulus.n, limbs, lane, ref.n);
            BN_nnmod(want, want, ref.n, ref.context);
            to_big(square, limbs, lane, got);
            BN_nnmod(got, got, ref.n, ref.context);
            cr_assert(BN_cmp(got, want) == 0, "%zu octets, lane %d", len, lane);
        }
    }
}

/* 0, 1, n - 1 and others, under as many moduli; lanes without work change nothing. */
Test(rsa_lanes, powers_are_those_of_openssl_in_every_lane)
{
    uint8_t modulus[RSA_LANES][RSA_OCTETS_MAX], base[RSA_LANES][RSA_OCTETS_MAX];
    uint8_t power[RSA_OCTETS_MAX];
    struct rsa_lanes_power powers[RSA_LANES];
    uint64_t state = 51;

    for (int round = 0; round < ROUNDS; round++) {
        size_t len = lengths[round % LENGTHS], count = 1 + (size_t)round % RSA_LANES;
        for (size_t i = 0; i < count; i++) {
            rsa_reference_draw_power(&ref, &state, modulus[i], base[i], len);
            if (random_next(&state) % 3 == 0) {
                memset(base[i], 0, len);
                base[i][len - 1] = (uint8_t)(random_next(&state) % 2);
            } else if (random_next(&state) % 3 == 0) {
                memcpy(base[i], modulus[i], len);
                base[i][len - 1] ^= 1;
            }
            powers[i].modulus = modulus[i];
            powers[i].base = base[i];
        }
        crypto_rsa_lanes_power(len, powers, count);
        for (size_t i = 0; i < count; i++) {
            rsa_reference_power(&ref, len, modulus[i], base[i], power);
            check_bytes(ca_bytes_of(powers[i].power, len), ca_bytes_of(power, len));
        }
    }
}

static void check_signatures(const RSA *rsa, const struct rsa_lanes_key *key, size_t len,
                             size_t count, uint64_t *state)
{
    uint8_t modulus[RSA_OCTETS_MAX], message[RSA_LANES_MESSAGES][RSA_OCTETS_MAX];
    uint8_t signature[RSA_LANES_MESSAGES][RSA_OCTETS_MAX], expected[RSA_OCTETS_MAX];

    rsa_reference_modulus(rsa, modulus, len);
    for (size_t i = 0; i < count; i++) {
        rsa_reference_draw(state, message[i], len);
        rsa_reference_reduce(&ref, message[i], modulus, len);
        if (random_next(state) % 4 == 0) {
            memset(message[i], 0, len);
            message[i][len - 1] = (uint8_t)(random_next(state) % 2);
        } else if (random_next(state) % 4 == 0) {
            memcpy(message[i], modulus, len);
            message[i][len - 1] ^= 1;
        }
    }
    crypto_rsa_lanes_sign(key, len, (const void *)message, count, signature);
    for (size_t i = 0; i < count; i++) {
        rsa_reference_sign(&ref, rsa, len, message[i], expected);
        check_bytes(ca_bytes_of(signature[i], len), ca_bytes_of(expected, len));
    }
}

/* Factors and exponents of long runs of ones and zeros, either factor the larger one. */
Test(rsa_lanes, signatures_are_those_of_openssl_for_any_factors_and_exponents)
{
    struct rsa_lanes_key *key;
    uint64_t state = 61;

    for (int round = 0; round < ROUNDS; round++) {
        size_t len = lengths[round % LENGTHS];
        RSA *rsa = rsa_reference_draw_key(&ref, &state, len / 2);
        check_ok(crypto_rsa_lanes_key_new(rsa, &key));
        cr_assert_not_null(key);
        check_signatures(rsa, key, len, 1 + (size_t)round % RSA_LANES_MESSAGES, &state);
        crypto_rsa_lanes_key_free(key);
        RSA_free(rsa);
    }
}

/* s_p - s_q is most negative, and Garner's sum largest, for a small p and a large q. */
Test(rsa_lanes, factors_may_be_as_far_apart_as_their_length_allows)
{
    uint8_t number[4][RSA_OCTETS_MAX / 2];
    struct rsa_lanes_key *key;
    uint64_t state = 71;

    for (size_t i = 0; i < LENGTHS; i++) {
        size_t half = lengths[i] / 2;
        memset(number, 0, sizeof(number));
        number[0][0] = 0x80; /* 2^b / 2 + 2^b / 256 ... and 2^b - 1: their product is long enough */
        number[0][1] = 0x80;
        number[0][half - 1] = 1;
        memset(number[1], 0xff, half);
        memset(number[2], 0xff, half);
        number[3][half - 1] = 1;
        for (int order = 0; order < 2; order++) {
            RSA *rsa;
            while ((rsa = rsa_reference_key(&ref, half, number[order], number[1 - order],
                                            number[2 + order], number[3 - order])) == NULL)
                number[1][half - 1] -= 2; /* they have a divisor in common */
            check_ok(crypto_rsa_lanes_key_new(rsa, &key));
            cr_assert_not_null(key);
            for (int round = 0; round < ROUNDS / 4; round++)
                check_signatures(rsa, key, lengths[i], RSA_LANES_MESSAGES, &state);
            crypto_rsa_lanes_key_free(key);
            RSA_free(rsa);
        }
    }
}

static void check_no_lanes(const RSA *rsa)
{
    struct rsa_lanes_key *key;

    check_ok(crypto_rsa_lanes_key_new(rsa, &key));
    cr_assert_null(key);
}

Test(rsa_lanes, keys_of_another_shape_have_no_lanes)
{
    BIGNUM *e = BN_new(), *p = BN_new(), *q = BN_new(), *n = BN_new();
    uint64_t state = 81;
    RSA *rsa = rsa_reference_draw_key(&ref, &state, 128), *bare = RSA_new();

    /* Another exponent. */
    BN_set_word(e, 65539);
    RSA_set0_key(rsa, NULL, e, NULL);
    check_no_lanes(rsa);
    RSA_free(rsa);
    /* Other sizes. */
    for (size_t half = 96; half <= 160; half += 64) {
        rsa = rsa_reference_draw_key(&ref, &state, half);
        check_no_lanes(rsa);
        RSA_free(rsa);
    }
    /* Factors of 1000 and 1048 bits; no CRT numbers, and no factors. */
    BN_set_bit(p, 999);
    BN_set_bit(p, 998);
    BN_set_bit(q, 1047);
    BN_set_bit(q, 1046);
    BN_set_bit(p, 0);
    BN_set_bit(q, 0);
    BN_mul(n, p, q, ref.context);
    cr_assert_eq(BN_num_bits(n), 2048);
    RSA_set0_key(bare, n, BN_dup(ref.e), NULL);
    check_no_lanes(bare);
    RSA_set0_factors(bare, p, q);
    check_no_lanes(bare);
    RSA_set0_crt_params(bare, BN_dup(ref.e), BN_dup(ref.e), BN_dup(ref.e));
    check_no_lanes(bare);
    RSA_free(bare);
}
