/* SPDX-License-Identifier: Apache-2.0 */
/* Lots of RSA signatures: the lanes, and OpenSSL where there are none, answer the same. */
#include <openssl/crypto.h>
#include <openssl/x509.h>

#include "ca/keys/secret.h"
#include "tests/support/check.h"
#include "tests/support/rsa_reference.h"

enum { LOT_MAX = 17, SIZES = 3 };

static const uint32_t sizes[SIZES] = { 2048, 3072, 4096 };
static const enum crypto_sig sigs[] = { CRYPTO_SIG_RSA_SHA256, CRYPTO_SIG_PSS_SHA256,
                                        CRYPTO_SIG_RSA_SHA384, CRYPTO_SIG_PSS_SHA384,
                                        CRYPTO_SIG_RSA_SHA512, CRYPTO_SIG_PSS_SHA512 };
enum { SIGS = sizeof(sigs) / sizeof(sigs[0]) };

static struct crypto_private_key *keys[SIZES];
static struct crypto *lanes, *single;
static struct rsa_reference ref;

static void open_all(void)
{
    check_ok(keys_harden_process());
    check_ok(crypto_open(&lanes));
    check_ok(crypto_open(&single));
    single->backend = CRYPTO_EC_PORTABLE;
    check_ok(crypto_private_key_generate(CRYPTO_KEY_RSA, sizes[0], &keys[0]));
    rsa_reference_open(&ref);
}

/* Takes seconds. */
static void make_larger_keys(void)
{
    for (size_t i = 1; i < SIZES; i++)
        check_ok(crypto_private_key_generate(CRYPTO_KEY_RSA, sizes[i], &keys[i]));
}

static void close_all(void)
{
    for (size_t i = 0; i < SIZES; i++)
        crypto_private_key_free(keys[i]);
    crypto_close(lanes);
    crypto_close(single);
    rsa_reference_close(&ref);
}

TestSuite(rsa_many, .init = open_all, .fini = close_all, .timeout = 240);

static char text[LOT_MAX][32];

static void make_messages(struct ca_bytes messages[LOT_MAX])
{
    for (size_t i = 0; i < LOT_MAX; i++) {
        snprintf(text[i], sizeof(text[i]), "message %zu of a lot", i);
        messages[i] = ca_bytes_of(text[i], strlen(text[i]));
    }
}

static void make_jobs(const struct crypto_private_key *key, enum crypto_sig sig,
                      struct crypto_signature signatures[LOT_MAX],
                      struct crypto_verification jobs[LOT_MAX])
{
    struct ca_bytes messages[LOT_MAX];

    make_messages(messages);
    check_ok(crypto_sign_many(single, key, sig, messages, LOT_MAX, signatures));
    for (size_t i = 0; i < LOT_MAX; i++)
        jobs[i] = (struct crypto_verification){
            .sig = sig,
            .key = crypto_private_key_public(key),
            .message = messages[i],
            .signature = ca_bytes_of(signatures[i].bytes, signatures[i].len),
        };
}

static void check_verdicts(struct crypto *crypto, struct crypto_verification *jobs, size_t count,
                           const bool *is_good)
{
    for (size_t i = 0; i < count; i++)
        jobs[i].result = CA_ERR_INTERNAL;
    crypto_verify_many(crypto, jobs, count);
    for (size_t i = 0; i < count; i++)
        cr_assert(jobs[i].result == (is_good[i] ? CA_OK : CA_ERR_CSR_SIG), "%zu of %zu: %s", i,
                  count, ca_err_text(jobs[i].result));
}

Test(rsa_many, a_key_of_a_usual_size_signs_in_lanes_where_there_are_any)
{
    bool has_lanes = crypto_ec_backend_best() == CRYPTO_EC_LANES;

    make_larger_keys();
    for (size_t i = 0; i < SIZES; i++) {
        const struct crypto_public_key *public = crypto_private_key_public(keys[i]);
        struct crypto_public_key other = *public;
        cr_assert_eq(keys[i]->lanes != NULL, has_lanes);
        cr_assert_eq(crypto_sign_lot(public), has_lanes ? RSA_LANES : 1);
        other.exponent = CA_BYTES("\x01\x00\x03");
        cr_assert_eq(crypto_sign_lot(&other), 1);
    }
}

/* PKCS#1 v1.5 has one signature for a message: both ways are to make it. */
Test(rsa_many, lots_of_any_count_are_signed_as_openssl_signs_them)
{
    struct ca_bytes messages[LOT_MAX];
    struct crypto_signature mine[LOT_MAX], openssl[LOT_MAX];

    make_larger_keys();
    make_messages(messages);
    for (size_t i = 0; i < SIZES; i++) {
        size_t step = sizes[i] == 2048 ? 1 : 5;
        for (size_t count = 1; count <= LOT_MAX; count += step) {
            enum crypto_sig sig = sigs[count % 3 * 2];
            check_ok(crypto_sign_many(lanes, keys[i], sig, messages, count, mine));
            check_ok(crypto_sign_many(single, keys[i], sig, messages, count, openssl));
            for (size_t k = 0; k < count; k++)
                check_bytes(ca_bytes_of(mine[k].bytes, mine[k].len),
                            ca_bytes_of(openssl[k].bytes, openssl[k].len));
        }
    }
}

Test(rsa_many, both_ways_accept_each_others_signatures)
{
    struct ca_bytes messages[LOT_MAX];
    struct crypto_signature signatures[LOT_MAX];
    struct crypto *both[] = { lanes, single };
    struct crypto_own_key *own;

    make_larger_keys();
    make_messages(messages);
    for (size_t i = 0; i < SIZES; i++) {
        check_ok(crypto_own_key_new(crypto_private_key_public(keys[i]), &own));
        for (size_t s = 0; s < SIGS; s++) {
            for (size_t by = 0; by < 2; by++) {
                check_ok(crypto_sign_many(both[by], keys[i], sigs[s], messages, 4, signatures));
                for (size_t from = 0; from < 2; from++) {
                    check_ok(
                        crypto_verify_own_many(both[from], own, sigs[s], messages, 4, signatures));
                    signatures[s % 4].bytes[100] ^= 1;
                    check_err(
                        crypto_verify_own_many(both[from], own, sigs[s], messages, 4, signatures),
                        CA_ERR_SIGNATURE_WRONG);
                    signatures[s % 4].bytes[100] ^= 1;
                }
            }
        }
        crypto_own_key_free(own);
    }
}

Test(rsa_many, one_wrong_signature_is_refused_and_its_neighbours_are_not)
{
    struct crypto_signature signatures[LOT_MAX];
    struct crypto_verification jobs[LOT_MAX];
    bool is_good[LOT_MAX];

    for (size_t s = 0; s < 2; s++) {
        make_jobs(keys[0], sigs[s], signatures, jobs);
        for (size_t count = 1; count <= LOT_MAX; count++) {
            for (size_t bad = 0; bad < count; bad++) {
                memset(is_good, true, sizeof(is_good));
                is_good[bad] = false;
                signatures[bad].bytes[(bad * 31 + count) % 256] ^= 1;
                check_verdicts(lanes, jobs, count, is_good);
                signatures[bad].bytes[(bad * 31 + count) % 256] ^= 1;
            }
        }
    }
}

Test(rsa_many, sizes_exponents_and_other_kinds_of_key_may_be_mixed)
{
    struct crypto_signature signatures[4][LOT_MAX];
    struct crypto_verification jobs[4][LOT_MAX], mixed[4 * LOT_MAX];
    struct crypto_private_key *p256;
    bool is_good[4 * LOT_MAX];

    make_larger_keys();
    check_ok(crypto_private_key_generate(CRYPTO_KEY_P256, 0, &p256));
    for (size_t i = 0; i < SIZES; i++)
        make_jobs(keys[i], sigs[i], signatures[i], jobs[i]);
    make_jobs(p256, CRYPTO_SIG_ECDSA_SHA256, signatures[3], jobs[3]);
    for (size_t i = 0; i < 4 * LOT_MAX; i++) {
        is_good[i] = i % 5 != 3;
        mixed[i] = jobs[i % 4][i / 4];
        if (!is_good[i])
            mixed[i].message = CA_BYTES("another message");
    }
    check_verdicts(lanes, mixed, 4 * LOT_MAX, is_good);
    check_verdicts(single, mixed, 4 * LOT_MAX, is_good);
    crypto_private_key_free(p256);
}

/* The edges of what a signature may be: each in a lot of good ones, large enough for lanes. Those
 * that are right but for the modulus added are in signatures.tsv. */
Test(rsa_many, numbers_out_of_range_and_odd_lengths_are_refused_as_by_openssl)
{
    struct crypto_signature signatures[LOT_MAX];
    struct crypto_verification jobs[LOT_MAX];
    bool is_good[LOT_MAX];
    uint8_t octets[7][RSA_OCTETS_MAX + 1] = { { 0 } };
    BIGNUM *n = BN_new();

    make_jobs(keys[0], sigs[0], signatures, jobs);
    memset(is_good, true, sizeof(is_good));
    BN_bin2bn(jobs[0].key->modulus.data, 256, n);
    octets[1][255] = 1; /* 0 and 1; then n - 1, n, n + 1 and 2^2048 - 1 */
    BN_sub_word(n, 1);
    for (int i = 2; i < 5; i++) {
        BN_bn2binpad(n, octets[i], 256);
        BN_add_word(n, 1);
    }
    memset(octets[5], 0xff, 256);
    for (size_t i = 0; i < 6; i++)
        jobs[i].signature = ca_bytes_of(octets[i], 256);
    memcpy(octets[6] + 1, signatures[6].bytes, 256); /* a leading zero too many */
    jobs[6].signature = ca_bytes_of(octets[6], 257);
    jobs[7].signature.len = 255;
    jobs[8].signature.len = 0;
    memset(is_good, false, 9);
    check_verdicts(lanes, jobs, LOT_MAX, is_good);
    check_verdicts(single, jobs, LOT_MAX, is_good);
    BN_free(n);
}

/* One in 256 begins with a zero: all four that are looked for must be taken. */
Test(rsa_many, signatures_with_leading_zeros_are_right)
{
    struct crypto_signature signatures[16];
    struct crypto_verification jobs[16];
    struct ca_bytes messages[16];
    uint32_t number[16];
    bool is_good[16];
    size_t zeros = 0;

    memset(is_good, true, sizeof(is_good));
    for (uint32_t round = 0; zeros < 4 && round < 1000; round++) {
        for (uint32_t i = 0; i < 16; i++) {
            number[i] = 16 * round + i;
            messages[i] = ca_bytes_of(&number[i], sizeof(number[i]));
        }
        check_ok(crypto_sign_many(lanes, keys[0], sigs[0], messages, 16, signatures));
        for (size_t i = 0; i < 16; i++) {
            cr_assert_eq(signatures[i].len, 256);
            zeros += signatures[i].bytes[0] == 0 ? 1 : 0;
            jobs[i] = (struct crypto_verification){
                .sig = sigs[0],
                .key = crypto_private_key_public(keys[0]),
                .message = messages[i],
                .signature = ca_bytes_of(signatures[i].bytes, 256),
            };
        }
        check_verdicts(lanes, jobs, 16, is_good);
        check_verdicts(single, jobs, 16, is_good);
    }
    cr_assert_eq(zeros, 4);
}

/* Moduli that no request should have do not reach the lanes, or their neighbours. */
Test(rsa_many, strange_keys_are_refused_and_hurt_no_neighbour)
{
    struct crypto_signature signatures[LOT_MAX];
    struct crypto_verification jobs[LOT_MAX];
    struct crypto_public_key strange[5];
    uint8_t modulus[5][256];
    bool is_good[LOT_MAX];

    make_jobs(keys[0], sigs[0], signatures, jobs);
    memset(is_good, true, sizeof(is_good));
    for (size_t i = 0; i < 5; i++) {
        strange[i] = *jobs[i].key;
        memcpy(modulus[i], strange[i].modulus.data, 256);
        strange[i].modulus.data = modulus[i];
        jobs[2 * i].key = &strange[i];
        is_good[2 * i] = false;
    }
    modulus[0][255] ^= 1;                   /* even */
    modulus[1][0] &= 0x7f;                  /* short of a bit */
    strange[2].exponent.len = 0;            /* no exponent */
    strange[3].exponent = CA_BYTES("\x03"); /* another one */
    strange[4].modulus.len = 248;           /* another size */
    check_verdicts(lanes, jobs, LOT_MAX, is_good);
    check_verdicts(single, jobs, LOT_MAX, is_good);
}

/* As a flipped bit in memory would do it: right modulo one factor, which tells both. */
Test(rsa_many, a_faulty_signature_does_not_leave_the_lanes)
{
    struct ca_bytes messages[LOT_MAX];
    struct crypto_signature signatures[LOT_MAX];
    struct rsa_lanes_key *key = keys[0]->lanes;
    uint64_t *numbers[] = { key == NULL ? NULL : &key->exponent[0][7],
                            key == NULL ? NULL : &key->exponent[1][0],
                            key == NULL ? NULL : &key->crt[0][3],
                            key == NULL ? NULL : &key->cube[1][19],
                            key == NULL ? NULL : &key->factor[0][1] };
    static const struct crypto_signature none;

    if (key == NULL)
        cr_skip_test("no AVX-512 IFMA here");
    make_messages(messages);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        *numbers[i] ^= 1 << 5;
        memset(signatures, 0x5a, sizeof(signatures));
        check_err(crypto_sign_many(lanes, keys[0], sigs[0], messages, 8, signatures),
                  CA_ERR_SIGNATURE_WRONG);
        for (size_t k = 0; k < 8; k++)
            check_bytes(ca_bytes_of(&signatures[k], sizeof(none)),
                        ca_bytes_of(&none, sizeof(none)));
        *numbers[i] ^= 1 << 5;
        check_ok(crypto_sign_many(lanes, keys[0], sigs[0], messages, 8, signatures));
    }
}

/* The linker sends signing in lanes through here (--wrap): one bit of one message goes wrong. */
static size_t spoilt_in = SIZE_MAX; /* so many messages from now on */

void __real_crypto_rsa_lanes_sign(const struct rsa_lanes_key *key, size_t len,
                                  const uint8_t (*encoded)[RSA_OCTETS_MAX], size_t count,
                                  uint8_t (*signatures)[RSA_OCTETS_MAX]);
void __wrap_crypto_rsa_lanes_sign(const struct rsa_lanes_key *key, size_t len,
                                  const uint8_t (*encoded)[RSA_OCTETS_MAX], size_t count,
                                  uint8_t (*signatures)[RSA_OCTETS_MAX]);
void __wrap_crypto_rsa_lanes_sign(const struct rsa_lanes_key *key, size_t len,
                                  const uint8_t (*encoded)[RSA_OCTETS_MAX], size_t count,
                                  uint8_t (*signatures)[RSA_OCTETS_MAX])
{
    __real_crypto_rsa_lanes_sign(key, len, encoded, count, signatures);
    if (spoilt_in < count)
        signatures[spoilt_in][len - 1] ^= 1;
    spoilt_in -= spoilt_in == SIZE_MAX ? 0 : count;
}

Test(rsa_many, each_signature_of_a_lot_is_checked)
{
    struct ca_bytes messages[LOT_MAX];
    struct crypto_signature signatures[LOT_MAX];

    if (keys[0]->lanes == NULL)
        cr_skip_test("no AVX-512 IFMA here");
    make_messages(messages);
    for (size_t bad = 0; bad < 16; bad++) {
        spoilt_in = bad;
        check_err(crypto_sign_many(lanes, keys[0], sigs[0], messages, 16, signatures),
                  CA_ERR_SIGNATURE_WRONG);
        for (size_t i = 0; i < 16; i++)
            cr_assert_eq(signatures[i].len, 0);
        spoilt_in = SIZE_MAX;
    }
    check_ok(crypto_sign_many(lanes, keys[0], sigs[0], messages, 16, signatures));
}

/* PKCS#8 of a new key with this exponent, its factors the other way round if asked for. */
static struct crypto_private_key *foreign_key(BN_ULONG exponent, bool is_swapped)
{
    RSA *rsa = RSA_new();
    EVP_PKEY *pkey = EVP_PKEY_new();
    struct crypto_private_key *key;
    uint8_t *der = NULL;

    BN_set_word(ref.e, exponent);
    cr_assert_eq(RSA_generate_key_ex(rsa, 2048, ref.e, NULL), 1);
    if (is_swapped) {
        BIGNUM *p = BN_dup(RSA_get0_q(rsa)), *q = BN_dup(RSA_get0_p(rsa));
        BIGNUM *dp = BN_dup(RSA_get0_dmq1(rsa)), *dq = BN_dup(RSA_get0_dmp1(rsa));
        BIGNUM *inverse = BN_mod_inverse(NULL, q, p, ref.context);
        cr_assert(RSA_set0_factors(rsa, p, q) == 1);
        cr_assert(RSA_set0_crt_params(rsa, dp, dq, inverse) == 1);
    }
    cr_assert_eq(EVP_PKEY_assign_RSA(pkey, rsa), 1);
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
    int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    cr_assert_gt(len, 0);
    check_ok(crypto_private_key_parse(ca_bytes_of(der, (size_t)len), &key));
    PKCS8_PRIV_KEY_INFO_free(info);
    EVP_PKEY_free(pkey);
    OPENSSL_free(der);
    return key;
}

Test(rsa_many, keys_from_elsewhere_sign_with_lanes_or_without)
{
    static const struct {
        BN_ULONG exponent;
        bool is_swapped, has_lanes;
    } cases[] = { { 65537, false, true }, { 65537, true, true }, { 65539, false, false } };
    struct ca_bytes messages[LOT_MAX];
    struct crypto_signature mine[LOT_MAX], openssl[LOT_MAX];
    struct crypto_own_key *own;

    make_messages(messages);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct crypto_private_key *key = foreign_key(cases[i].exponent, cases[i].is_swapped);
        cr_assert_eq(key->lanes != NULL,
                     cases[i].has_lanes && crypto_ec_backend_best() == CRYPTO_EC_LANES);
        check_ok(crypto_sign_many(lanes, key, sigs[0], messages, LOT_MAX, mine));
        check_ok(crypto_sign_many(single, key, sigs[0], messages, LOT_MAX, openssl));
        for (size_t k = 0; k < LOT_MAX; k++)
            check_bytes(ca_bytes_of(mine[k].bytes, mine[k].len),
                        ca_bytes_of(openssl[k].bytes, openssl[k].len));
        check_ok(crypto_own_key_new(crypto_private_key_public(key), &own));
        check_ok(crypto_verify_own_many(lanes, own, sigs[0], messages, LOT_MAX, mine));
        crypto_own_key_free(own);
        crypto_private_key_free(key);
    }
}
