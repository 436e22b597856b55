/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/ec.h"

#include <stdio.h>
#include <stdlib.h>

#include "ca/base/text.h"
#include "ca/crypto/ec_equation.h"
#include "ca/crypto/ec_lanes.h"
#include "ca/crypto/ec_nonce.h"
#include "tests/support/check.h"
#include "tests/support/ec_reference.h"

enum { MANY = 64 };

/* Every test runs on each backend this machine has. */
static struct crypto_ec *engine[2];
static size_t engine_count;
static struct reference reference[CRYPTO_EC_CURVE_COUNT];

static void open_all(void)
{
    check_ok(crypto_ec_new(CRYPTO_EC_PORTABLE, &engine[engine_count++]));
    if (crypto_ec_backend_best() == CRYPTO_EC_LANES)
        check_ok(crypto_ec_new(CRYPTO_EC_LANES, &engine[engine_count++]));
    for (int i = 0; i < CRYPTO_EC_CURVE_COUNT; i++)
        reference_open(&reference[i], (enum crypto_ec_curve)i);
}

static void close_all(void)
{
    for (size_t i = 0; i < engine_count; i++)
        crypto_ec_free(engine[i]);
    for (int i = 0; i < CRYPTO_EC_CURVE_COUNT; i++)
        reference_close(&reference[i]);
}

TestSuite(ec, .init = open_all, .fini = close_all, .timeout = 120);

static void unhex(const char *text, uint8_t *bytes, size_t size)
{
    size_t len;

    cr_assert(ca_text_unhex(text, bytes, size, &len) && len == size, "%s", text);
}

/* A key pair from a seed. */
static void make_key(enum crypto_ec_curve curve, uint64_t seed, struct crypto_ec_key *key,
                     uint8_t point[64])
{
    uint8_t scalar[32];
    uint64_t state = seed;

    random_fill(&state, scalar, sizeof(scalar));
    scalar[0] &= 0x7f;
    check_ok(crypto_ec_key_init(curve, scalar, key));
    crypto_ec_key_public(engine[0], key, point);
}

/* ---- known answers */

struct sample {
    const char *scalar, *x, *y, *digest, *signature;
};

static void check_deterministic(const struct sample *sample)
{
    uint8_t scalar[32], point[64], got_point[64], digest[1][32], want[64], got[1][64];
    struct crypto_ec_key key;

    unhex(sample->scalar, scalar, 32);
    unhex(sample->x, point, 32);
    unhex(sample->y, point + 32, 32);
    unhex(sample->digest, digest[0], 32);
    unhex(sample->signature, want, 64);
    check_ok(crypto_ec_key_init(CRYPTO_EC_P256, scalar, &key));
    for (size_t i = 0; i < engine_count; i++) {
        crypto_ec_key_public(engine[i], &key, got_point);
        check_bytes(ca_bytes_of(got_point, 64), ca_bytes_of(point, 64));
        crypto_ec_sign_many(engine[i], &key, (const void *)digest, 1, NULL, got);
        check_bytes(ca_bytes_of(got[0], 64), ca_bytes_of(want, 64));
    }
}

/* RFC 6979, appendix A.2.5, with SHA-256. */
Test(ec, deterministic_signatures_are_those_of_rfc_6979)
{
    static const struct sample samples[] = {
        { "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
          "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
          "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
          "af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf",
          "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
          "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8" },
        { "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
          "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
          "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
          "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
          "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
          "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083" },
    };

    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        check_deterministic(&samples[i]);
}

/* x of k G by either width, plain. */
static void multiply_base(enum crypto_ec_curve id, bool in_lanes, const struct ec_number *k,
                          struct ec_number *x_out)
{
    static struct ec_comb comb;
    static struct ec_lanes_comb lanes_comb;
    const struct ec_curve *curve = crypto_ec_curve_of(id);
    struct ec_number odd[EC_LANES], x[EC_LANES], z[EC_LANES], t;
    struct ec_point point;

    crypto_ec_comb_init(curve, &curve->base, &comb);
    for (int i = 0; i < EC_LANES; i++) {
        odd[i] = *k;
        crypto_ec_scalar_make_odd(curve, &odd[i]);
    }
    if (in_lanes) {
        crypto_ec_lanes_comb_init(curve, &comb, &lanes_comb);
        crypto_ec_lanes_multiply(curve, &lanes_comb, odd, x, z);
        point.x = x[5];
        point.z = z[5];
    } else {
        crypto_ec_comb_multiply(curve, &comb, &odd[0], &point);
    }
    crypto_ec_number_invert(&curve->p, &t, &point.z);
    crypto_ec_number_square(&curve->p, &t, &t);
    crypto_ec_number_mul(&curve->p, x_out, &point.x, &t);
    ec_number_from_montgomery(&curve->p, x_out);
}

/* GB/T 32918.5, the example with the recommended curve and identity 1234567812345678. */
Test(ec, the_sm2_example_of_gb_t_32918_5_comes_out)
{
    uint8_t scalar[32], point[64], got_point[64], digest[32], nonce[32], want[64], got[64];
    struct crypto_ec_key key;
    struct ec_number k, x;

    unhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8", scalar, 32);
    unhex("09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
          "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13",
          point, 64);
    unhex("f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640", digest, 32);
    unhex("59276e27d506861a16680f3ad9c02dccef3cc1fa3cdbe4ce6d54b80deac1bc21", nonce, 32);
    unhex("f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
          "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa",
          want, 64);

    check_ok(crypto_ec_key_init(CRYPTO_EC_SM2, scalar, &key));
    ec_number_load(&k, nonce);
    for (size_t i = 0; i < engine_count; i++) {
        crypto_ec_key_public(engine[i], &key, got_point);
        check_bytes(ca_bytes_of(got_point, 64), ca_bytes_of(point, 64));
        multiply_base(CRYPTO_EC_SM2, i == 1, &k, &x);
        cr_assert(crypto_ec_equation_sign(&key, digest, &k, NULL, &x, got));
        check_bytes(ca_bytes_of(got, 64), ca_bytes_of(want, 64));
    }
}

/* ---- cases as data */

struct verify_case {
    struct crypto_ec_verify job;
    bool want;
    char why[200];
};

static struct verify_case *read_cases(size_t *count_out)
{
    FILE *file = fopen(TESTS_DIR "/vectors/ec_verify.tsv", "r");
    char line[1024], curve[8], point[129], digest[65], signature[129], verdict[8];
    struct verify_case *cases = calloc(1000, sizeof(*cases));
    size_t count = 0;

    cr_assert(file != NULL && cases != NULL);
    while (fgets(line, sizeof(line), file) != NULL) {
        struct verify_case *it = &cases[count];

        if (line[0] == '#')
            continue;
        cr_assert(sscanf(line, "%7s %128s %64s %128s %7s %199[^\n]", curve, point, digest,
                         signature, verdict, it->why) == 6,
                  "%s", line);
        it->job.curve = strcmp(curve, "sm2") == 0 ? CRYPTO_EC_SM2 : CRYPTO_EC_P256;
        it->want = strcmp(verdict, "valid") == 0;
        unhex(point, it->job.point, 64);
        unhex(digest, it->job.digest, 32);
        unhex(signature, it->job.signature, 64);
        cr_assert(++count < 1000);
    }
    fclose(file);
    *count_out = count;
    return cases;
}

/* Also tells whether the file is right: OpenSSL has to agree with it. */
Test(ec, cases_of_the_file_are_decided_as_written_there)
{
    size_t count;
    struct verify_case *cases = read_cases(&count);
    struct crypto_ec_verify *jobs = calloc(count, sizeof(*jobs));

    cr_assert(count > 850);
    for (size_t i = 0; i < count; i++) {
        const struct crypto_ec_verify *job = &cases[i].job;
        cr_assert(reference_verify(&reference[job->curve], job->point, job->digest,
                                   job->signature) == cases[i].want,
                  "OpenSSL: %s", cases[i].why);
    }
    for (size_t e = 0; e < engine_count; e++) {
        for (size_t i = 0; i < count; i++)
            jobs[i] = cases[i].job;
        crypto_ec_verify_many(engine[e], jobs, count);
        for (size_t i = 0; i < count; i++)
            cr_assert(jobs[i].is_valid == cases[i].want, "all at once: %s", cases[i].why);
        for (size_t i = 0; i < count; i++) { /* eight times the same: lanes even for one */
            for (int lane = 0; lane < EC_LANES; lane++)
                jobs[lane] = cases[i].job;
            crypto_ec_verify_many(engine[e], jobs, EC_LANES);
            for (int lane = 0; lane < EC_LANES; lane++)
                cr_assert(jobs[lane].is_valid == cases[i].want, "lane %d: %s", lane, cases[i].why);
        }
    }
    free(cases);
    free(jobs);
}

/* Eight lanes and one more: each case in another place, all around it are good. */
Test(ec, cases_of_the_file_are_decided_alike_alone_and_among_good_ones)
{
    size_t count;
    struct verify_case *cases = read_cases(&count);
    struct crypto_ec_verify jobs[EC_LANES + 1], good[CRYPTO_EC_CURVE_COUNT];

    for (size_t i = count; i-- > 0;) {
        if (cases[i].want)
            good[cases[i].job.curve] = cases[i].job;
    }
    for (size_t e = 0; e < engine_count; e++) {
        for (size_t i = 0; i < count; i++) {
            size_t place = i % (EC_LANES + 1);

            jobs[0] = cases[i].job;
            crypto_ec_verify_many(engine[e], jobs, 1);
            cr_assert(jobs[0].is_valid == cases[i].want, "alone: %s", cases[i].why);
            for (size_t k = 0; k <= EC_LANES; k++)
                jobs[k] = k == place ? cases[i].job : good[cases[i].job.curve];
            crypto_ec_verify_many(engine[e], jobs, EC_LANES + 1);
            for (size_t k = 0; k <= EC_LANES; k++)
                cr_assert(jobs[k].is_valid == (k != place || cases[i].want), "%zu, case at %zu: %s",
                          k, place, cases[i].why);
        }
    }
    free(cases);
}

Test(ec, infinity_fulfils_no_claim)
{
    static const struct ec_number zero;

    for (int c = 0; c < CRYPTO_EC_CURVE_COUNT; c++) {
        const struct ec_curve *curve = crypto_ec_curve_of((enum crypto_ec_curve)c);
        const struct ec_number one = { { 1, 0, 0, 0 } };
        const struct ec_claim claims[] = { { one, one, zero, true }, { one, one, one, true } };
        const struct ec_point points[] = { { zero, zero, zero },
                                           { curve->p.one, curve->p.one, zero } };

        for (int i = 0; i < 4; i++)
            cr_assert_not(crypto_ec_claim_holds(curve, &claims[i & 1], &points[i >> 1]));
    }
}

Test(ec, cases_of_the_file_are_decided_alike_with_an_own_key)
{
    size_t count;
    struct verify_case *cases = read_cases(&count);
    struct crypto_ec_own *own = NULL;
    const struct crypto_ec_verify *made_for = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct crypto_ec_verify *job = &cases[i].job;
        uint8_t digest[EC_LANES][32], signature[EC_LANES][64];
        bool is_valid[EC_LANES];

        if (made_for == NULL || job->curve != made_for->curve ||
            !ca_bytes_equal(ca_bytes_of(job->point, 64), ca_bytes_of(made_for->point, 64))) {
            crypto_ec_own_free(own);
            made_for = job;
            if (!crypto_ec_point_is_valid(job->curve, job->point))
                check_err(crypto_ec_own_new(job->curve, job->point, &own), CA_ERR_KEY_UNUSABLE);
            else
                check_ok(crypto_ec_own_new(job->curve, job->point, &own));
        }
        if (own == NULL)
            continue;
        for (int lane = 0; lane < EC_LANES; lane++) {
            memcpy(digest[lane], job->digest, 32);
            memcpy(signature[lane], job->signature, 64);
        }
        for (size_t e = 0; e < engine_count; e++) {
            crypto_ec_verify_own_many(engine[e], own, (const void *)digest, (const void *)signature,
                                      1, is_valid);
            cr_assert(is_valid[0] == cases[i].want, "alone: %s", cases[i].why);
            crypto_ec_verify_own_many(engine[e], own, (const void *)digest, (const void *)signature,
                                      EC_LANES, is_valid);
            for (int lane = 0; lane < EC_LANES; lane++)
                cr_assert(is_valid[lane] == cases[i].want, "%s", cases[i].why);
        }
    }
    crypto_ec_own_free(own);
    free(cases);
}

/* ---- keys */

static void check_key(enum crypto_ec_curve curve, const BIGNUM *n, int above_n, enum ca_err want)
{
    uint8_t scalar[32], point[64], want_point[64];
    struct crypto_ec_key key, empty;
    BIGNUM *d = BN_dup(n);

    if (above_n >= 0)
        BN_add_word(d, (BN_ULONG)above_n);
    else
        BN_sub_word(d, (BN_ULONG)-above_n);
    BN_bn2binpad(d, scalar, 32);
    BN_free(d);
    check_err(crypto_ec_key_init(curve, scalar, &key), want);
    if (want == CA_OK) {
        crypto_ec_key_public(engine[0], &key, point);
        reference_public(&reference[curve], scalar, want_point);
        check_bytes(ca_bytes_of(point, 64), ca_bytes_of(want_point, 64));
        crypto_ec_key_wipe(&key);
    }
    memset(&empty, 0, sizeof(empty));
    check_bytes(ca_bytes_of(&key, sizeof(key)), ca_bytes_of(&empty, sizeof(empty)));
}

Test(ec, scalars_out_of_range_make_no_key_and_leave_it_empty)
{
    for (int i = 0; i < CRYPTO_EC_CURVE_COUNT; i++) {
        enum crypto_ec_curve curve = (enum crypto_ec_curve)i;
        bool is_sm2 = curve == CRYPTO_EC_SM2;
        const BIGNUM *n = reference[i].n;
        BIGNUM *number = BN_new();

        check_key(curve, n, 0, CA_ERR_KEY_UNUSABLE);
        check_key(curve, n, 1, CA_ERR_KEY_UNUSABLE);
        check_key(curve, n, -1, is_sm2 ? CA_ERR_KEY_UNUSABLE : CA_OK); /* 1 + d is to be inverted */
        check_key(curve, n, -2, CA_OK);
        check_key(curve, n, -3, CA_OK);
        BN_zero(number);
        check_key(curve, number, 0, CA_ERR_KEY_UNUSABLE);
        for (int d = 1; d < 300; d++)
            check_key(curve, number, d, CA_OK);
        BN_set_bit(number, 256);
        BN_sub_word(number, 1);
        check_key(curve, number, 0, CA_ERR_KEY_UNUSABLE);
        BN_free(number);
    }
}

/* Structured nonces and the ones whose last addition is a doubling: k = n - 2 |digit|. */
static void check_multiple(enum crypto_ec_curve id, const uint8_t bytes[32])
{
    const struct ec_curve *curve = crypto_ec_curve_of(id);
    uint8_t point[64];
    struct ec_number k, x, want;

    ec_number_load(&k, bytes);
    if (ec_number_zero_mask(&k) != 0 || ec_number_less_mask(&k, &curve->n.m) == 0)
        return;
    reference_public(&reference[id], bytes, point);
    ec_number_load(&want, point);
    for (size_t e = 0; e < engine_count; e++) {
        multiply_base(id, e == 1, &k, &x);
        cr_assert(ec_number_is_equal_public(&x, &want), "backend %zu", e);
    }
}

Test(ec, multiples_of_the_base_point_are_right_at_every_edge_of_the_comb)
{
    uint8_t bytes[32];
    uint64_t state = 5;

    for (int i = 0; i < CRYPTO_EC_CURVE_COUNT; i++) {
        enum crypto_ec_curve id = (enum crypto_ec_curve)i;
        BIGNUM *k = BN_new();

        for (BN_ULONG below = 1; below <= 140; below++) {
            BN_copy(k, reference[i].n);
            BN_sub_word(k, below);
            BN_bn2binpad(k, bytes, 32);
            check_multiple(id, bytes);
            BN_set_word(k, below);
            BN_bn2binpad(k, bytes, 32);
            check_multiple(id, bytes);
        }
        for (int round = 0; round < 30; round++) {
            reference_structured(&state, bytes);
            check_multiple(id, bytes);
        }
        BN_free(k);
    }
}

/* ---- signing and verifying */

struct lot {
    struct crypto_ec_key key;
    uint8_t point[64];
    uint8_t digest[MANY + 1][32], fresh[MANY + 1][32], signature[2][MANY + 1][64];
};

static void make_lot(enum crypto_ec_curve curve, uint64_t seed, struct lot *lot)
{
    uint64_t state = seed * 77 + 1;

    make_key(curve, seed, &lot->key, lot->point);
    random_fill(&state, lot->digest[0], sizeof(lot->digest));
    random_fill(&state, lot->fresh[0], sizeof(lot->fresh));
}

Test(ec, lots_of_1_to_65_verify_and_both_widths_sign_alike)
{
    static struct lot lot;

    for (int c = 0; c < CRYPTO_EC_CURVE_COUNT; c++) {
        make_lot((enum crypto_ec_curve)c, 3, &lot);
        for (size_t count = 0; count <= MANY + 1; count++) {
            bool is_hedged = count % 8 != 3;

            for (size_t e = 0; e < engine_count; e++)
                crypto_ec_sign_many(engine[e], &lot.key, (const void *)lot.digest, count,
                                    is_hedged ? (const void *)lot.fresh : NULL, lot.signature[e]);
            check_bytes(ca_bytes_of(lot.signature[engine_count - 1], 64 * count),
                        ca_bytes_of(lot.signature[0], 64 * count));
            for (size_t i = count > 9 ? count - 9 : 0; i < count; i++)
                cr_assert(
                    reference_verify(&reference[c], lot.point, lot.digest[i], lot.signature[0][i]),
                    "%zu of %zu", i, count);
        }
    }
}

/* For one lot: which positions are spoilt, and how, differs from round to round. */
static void spoil(struct crypto_ec_verify *job, size_t how)
{
    switch (how % 5) {
    case 0: job->digest[how % 32] ^= (uint8_t)(1 << how % 8); break;
    case 1: job->signature[how % 64] ^= (uint8_t)(1 << how % 8); break;
    case 2: job->point[how % 64] ^= (uint8_t)(1 << how % 8); break;
    case 3: memset(job->signature + how % 2 * 32, 0, 32); break;
    default: memset(job->signature + how % 2 * 32, 0xff, 32); break;
    }
}

Test(ec, the_wrong_ones_are_found_at_every_place_of_every_lot)
{
    static struct lot lots[CRYPTO_EC_CURVE_COUNT];
    static struct crypto_ec_verify jobs[MANY + 1], good[CRYPTO_EC_CURVE_COUNT][MANY + 1];
    uint64_t state = 99;

    for (int c = 0; c < CRYPTO_EC_CURVE_COUNT; c++) {
        make_lot((enum crypto_ec_curve)c, 8 + (uint64_t)c, &lots[c]);
        crypto_ec_sign_many(engine[0], &lots[c].key, (const void *)lots[c].digest, MANY + 1,
                            (const void *)lots[c].fresh, lots[c].signature[0]);
        for (size_t i = 0; i <= MANY; i++) {
            good[c][i].curve = (enum crypto_ec_curve)c;
            memcpy(good[c][i].point, lots[c].point, 64);
            memcpy(good[c][i].digest, lots[c].digest[i], 32);
            memcpy(good[c][i].signature, lots[c].signature[0][i], 64);
        }
    }
    for (size_t e = 0; e < engine_count; e++) {
        for (size_t count = 1; count <= MANY + 1; count++) {
            uint64_t wrong =
                count <= 16 ? (uint64_t)1 << (random_next(&state) % count) : random_next(&state);
            uint64_t mixture = count % 3 == 0 ? 0 : random_next(&state);

            for (size_t i = 0; i < count; i++) {
                jobs[i] = good[mixture >> (i % 64) & 1][i];
                jobs[i].is_valid = wrong >> (i % 64) & 1;
                if (wrong >> (i % 64) & 1)
                    spoil(&jobs[i], random_next(&state) % 1000);
            }
            crypto_ec_verify_many(engine[e], jobs, count);
            for (size_t i = 0; i < count; i++)
                cr_assert(jobs[i].is_valid == !(wrong >> (i % 64) & 1), "%zu of %zu", i, count);
        }
    }
}

Test(ec, an_own_key_finds_the_wrong_one_at_every_place)
{
    static struct lot lot;
    struct crypto_ec_own *own;
    bool is_valid[MANY + 1];

    for (int c = 0; c < CRYPTO_EC_CURVE_COUNT; c++) {
        make_lot((enum crypto_ec_curve)c, 21, &lot);
        check_ok(crypto_ec_own_new((enum crypto_ec_curve)c, lot.point, &own));
        crypto_ec_sign_many(engine[0], &lot.key, (const void *)lot.digest, MANY + 1, NULL,
                            lot.signature[0]);
        for (size_t e = 0; e < engine_count; e++) {
            for (size_t count = 1; count <= MANY + 1; count++) {
                size_t wrong = count / 2 + count % 2 * (count - 1) / 2;

                lot.signature[0][wrong][40] ^= 2;
                crypto_ec_verify_own_many(engine[e], own, (const void *)lot.digest,
                                          (const void *)lot.signature[0], count, is_valid);
                for (size_t i = 0; i < count; i++)
                    cr_assert(is_valid[i] == (i != wrong), "%zu of %zu", i, count);
                lot.signature[0][wrong][40] ^= 2;
            }
        }
        crypto_ec_own_free(own);
    }
}

Test(ec, nonces_differ_with_key_digest_curve_and_randomness)
{
    uint8_t digest[4][32] = { { 0 } }, fresh[4][32] = { { 0 } }, signature[2][4][64], scalar[32];
    struct crypto_ec_key key[2];

    memset(scalar, 0x11, sizeof(scalar));
    digest[1][31] = 1;
    fresh[2][0] = 1;
    for (int c = 0; c < CRYPTO_EC_CURVE_COUNT; c++) {
        check_ok(crypto_ec_key_init((enum crypto_ec_curve)c, scalar, &key[c]));
        crypto_ec_sign_many(engine[0], &key[c], (const void *)digest, 4, (const void *)fresh,
                            signature[c]);
        for (int i = 1; i < 3; i++)
            cr_assert(!ca_bytes_equal(ca_bytes_of(signature[c][0], 32),
                                      ca_bytes_of(signature[c][i], 32)));
        check_bytes(ca_bytes_of(signature[c][0], 64), ca_bytes_of(signature[c][3], 64));
    }
    cr_assert(
        !ca_bytes_equal(ca_bytes_of(key[0].nonce_inner, 32), ca_bytes_of(key[1].nonce_inner, 32)));
}

/* What the standards want to be tried again with another nonce. */
Test(ec, a_nonce_that_makes_r_or_s_zero_is_refused)
{
    for (int c = 0; c < CRYPTO_EC_CURVE_COUNT; c++) {
        const struct ec_curve *curve = crypto_ec_curve_of((enum crypto_ec_curve)c);
        struct reference *ref = &reference[c];
        struct ec_number k = { { 77, 1, 2, 3 } }, inverse = k, x;
        uint8_t bytes[32], signature[64];
        struct crypto_ec_key key;
        uint8_t point[64];

        make_key(curve->id, 55, &key, point);
        multiply_base(curve->id, false, &k, &x);
        ec_number_to_montgomery(&curve->n, &inverse);
        crypto_ec_number_invert(&curve->n, &inverse, &inverse);
        ec_number_store(&x, bytes);
        BN_bin2bn(bytes, 32, ref->x);
        if (c == CRYPTO_EC_P256) { /* s = 0: e = -r d */
            BN_bin2bn(key.secret, 32, ref->t);
            BN_mod_mul(ref->e, ref->x, ref->t, ref->n, ref->context);
            BN_sub(ref->e, ref->n, ref->e);
            BN_bn2binpad(ref->e, bytes, 32);
            cr_assert(!crypto_ec_equation_sign(&key, bytes, &k, &inverse, &x, signature));
        } else { /* r = 0: e = -x; r + k = n: e = -x - k */
            BN_nnmod(ref->x, ref->x, ref->n, ref->context);
            BN_sub(ref->e, ref->n, ref->x);
            BN_bn2binpad(ref->e, bytes, 32);
            cr_assert(!crypto_ec_equation_sign(&key, bytes, &k, NULL, &x, signature));
            ec_number_store(&k, bytes);
            BN_bin2bn(bytes, 32, ref->t);
            BN_mod_sub(ref->e, ref->e, ref->t, ref->n, ref->context);
            BN_bn2binpad(ref->e, bytes, 32);
            cr_assert(!crypto_ec_equation_sign(&key, bytes, &k, NULL, &x, signature));
        }
        bytes[0] ^= 1;
        cr_assert(crypto_ec_equation_sign(&key, bytes, &k, &inverse, &x, signature));
        cr_assert(reference_verify(ref, point, bytes, signature));
    }
}

Test(ec, asking_again_gives_another_nonce_on_either_width)
{
    uint8_t digest[4][32] = { { 1 }, { 2 }, { 3 }, { 4 } }, fresh[4][32] = { { 0 } }, point[64];
    struct ec_number first[2][4], second[2][4];
    struct crypto_ec_key key;

    make_key(CRYPTO_EC_SM2, 56, &key, point);
    for (int is_hedged = 0; is_hedged < 2; is_hedged++) {
        const void *randomness = is_hedged ? fresh : NULL;

        for (size_t e = 0; e < engine_count; e++) {
            uint8_t attempts[4] = { 0 };

            crypto_ec_nonce_many((enum crypto_ec_backend)e, &key, (const void *)digest, randomness,
                                 4, attempts, first[e]);
            crypto_ec_nonce_many((enum crypto_ec_backend)e, &key, (const void *)digest, randomness,
                                 4, attempts, second[e]);
            for (int i = 0; i < 4; i++) {
                cr_assert(attempts[i] == 2);
                cr_assert(!ec_number_is_equal_public(&first[e][i], &second[e][i]));
                cr_assert(ec_number_is_equal_public(&first[e][i], &first[0][i]));
                cr_assert(ec_number_is_equal_public(&second[e][i], &second[0][i]));
            }
        }
    }
}

Test(ec, a_backend_the_machine_lacks_is_refused)
{
    struct crypto_ec *none;

    if (crypto_ec_backend_best() == CRYPTO_EC_LANES)
        cr_skip_test("this machine lacks nothing");
    check_err(crypto_ec_new(CRYPTO_EC_LANES, &none), CA_ERR_CONFIG);
    cr_assert(none == NULL);
}
