/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rsa_reference: what OpenSSL's numbers say about the same exponentiations, for any odd modulus
 * and any two odd factors without a common divisor: primes take long to find and carry no worse.
 * For tests only: slow, dies on any failure of its own.
 */
#pragma once

#include <openssl/rsa.h>

#include "ca/crypto/internal.h"
#include "tests/support/ec_reference.h"

struct rsa_reference {
    BN_CTX *context;
    BIGNUM *n, *a, *b, *e;
};

static inline void rsa_reference_open(struct rsa_reference *ref)
{
    ref->context = BN_CTX_new();
    ref->n = BN_new();
    ref->a = BN_new();
    ref->b = BN_new();
    ref->e = BN_new();
    assert(ref->e != NULL && BN_set_word(ref->e, CRYPTO_RSA_EXPONENT) == 1);
}

static inline void rsa_reference_close(struct rsa_reference *ref)
{
    BN_free(ref->n);
    BN_free(ref->a);
    BN_free(ref->b);
    BN_free(ref->e);
    BN_CTX_free(ref->context);
}

/* Random octets, or now and then ones that carry badly. `len` is a multiple of 32. */
static inline void rsa_reference_draw(uint64_t *state, uint8_t *bytes, size_t len)
{
    bool is_random = random_next(state) % 4 == 0;

    for (size_t at = 0; at < len; at += 32) {
        if (is_random)
            random_fill(state, bytes + at, 32);
        else
            reference_structured(state, bytes + at);
    }
}

/* value mod modulus, of the same length. */
static inline void rsa_reference_reduce(struct rsa_reference *ref, uint8_t *value,
                                        const uint8_t *modulus, size_t len)
{
    BN_bin2bn(modulus, (int)len, ref->n);
    BN_bin2bn(value, (int)len, ref->a);
    assert(BN_nnmod(ref->a, ref->a, ref->n, ref->context) == 1);
    assert(BN_bn2binpad(ref->a, value, (int)len) == (int)len);
}

/* An odd modulus with its top bit set, and a base below it. */
static inline void rsa_reference_draw_power(struct rsa_reference *ref, uint64_t *state,
                                            uint8_t *modulus, uint8_t *base, size_t len)
{
    rsa_reference_draw(state, modulus, len);
    modulus[0] |= 0x80;
    modulus[len - 1] |= 1;
    rsa_reference_draw(state, base, len);
    rsa_reference_reduce(ref, base, modulus, len);
}

static inline void rsa_reference_power(struct rsa_reference *ref, size_t len,
                                       const uint8_t *modulus, const uint8_t *base, uint8_t *power)
{
    BN_bin2bn(modulus, (int)len, ref->n);
    BN_bin2bn(base, (int)len, ref->a);
    assert(BN_mod_exp(ref->b, ref->a, ref->e, ref->n, ref->context) == 1);
    assert(BN_bn2binpad(ref->b, power, (int)len) == (int)len);
}

/*
 * A key from odd factors and any exponents, each of `half` octets; NULL if the factors divide
 * each other or their product is too short. It is not an RSA key but for CRT.
 */
static inline RSA *rsa_reference_key(struct rsa_reference *ref, size_t half,
                                     const uint8_t *p_octets, const uint8_t *q_octets,
                                     const uint8_t *dp_octets, const uint8_t *dq_octets)
{
    BIGNUM *p = BN_bin2bn(p_octets, (int)half, NULL), *q = BN_bin2bn(q_octets, (int)half, NULL);
    BIGNUM *dp = BN_bin2bn(dp_octets, (int)half, NULL), *dq = BN_bin2bn(dq_octets, (int)half, NULL);
    BIGNUM *n = BN_new(), *inverse = BN_mod_inverse(NULL, q, p, ref->context);
    RSA *rsa = RSA_new();

    assert(BN_mul(n, p, q, ref->context) == 1);
    assert(RSA_set0_key(rsa, n, BN_dup(ref->e), BN_dup(ref->e)) == 1);
    assert(RSA_set0_factors(rsa, p, q) == 1);
    if (inverse == NULL || BN_num_bits(n) != (int)(16 * half)) {
        BN_free(inverse);
        BN_free(dp);
        BN_free(dq);
        RSA_free(rsa);
        return NULL;
    }
    assert(RSA_set0_crt_params(rsa, dp, dq, inverse) == 1);
    return rsa;
}

/* By the book (RFC 8017, section 5.1.2), whatever the exponents are. */
static inline void rsa_reference_sign(struct rsa_reference *ref, const RSA *rsa, size_t len,
                                      const uint8_t *message, uint8_t *signature)
{
    const BIGNUM *p = RSA_get0_p(rsa), *q = RSA_get0_q(rsa);

    BN_bin2bn(message, (int)len, ref->n);
    assert(BN_mod_exp(ref->a, ref->n, RSA_get0_dmp1(rsa), p, ref->context) == 1);
    assert(BN_mod_exp(ref->b, ref->n, RSA_get0_dmq1(rsa), q, ref->context) == 1);
    assert(BN_mod_sub(ref->a, ref->a, ref->b, p, ref->context) == 1);
    assert(BN_mod_mul(ref->a, ref->a, RSA_get0_iqmp(rsa), p, ref->context) == 1);
    assert(BN_mul(ref->a, ref->a, q, ref->context) == 1);
    assert(BN_add(ref->a, ref->a, ref->b) == 1);
    assert(BN_bn2binpad(ref->a, signature, (int)len) == (int)len);
}

/* Odd numbers with both top bits set for factors, anything for exponents. */
static inline RSA *rsa_reference_draw_key(struct rsa_reference *ref, uint64_t *state, size_t half)
{
    uint8_t number[4][RSA_OCTETS_MAX / 2];
    RSA *rsa;

    do {
        for (int i = 0; i < 4; i++)
            rsa_reference_draw(state, number[i], half);
        for (int i = 0; i < 2; i++) {
            number[i][0] |= 0xc0;
            number[i][half - 1] |= 1;
        }
        rsa = rsa_reference_key(ref, half, number[0], number[1], number[2], number[3]);
    } while (rsa == NULL);
    return rsa;
}

/* The modulus of a key, of `len` octets. */
static inline void rsa_reference_modulus(const RSA *rsa, uint8_t *modulus, size_t len)
{
    assert(BN_bn2binpad(RSA_get0_n(rsa), modulus, (int)len) == (int)len);
}
