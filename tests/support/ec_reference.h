/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ec_reference: what OpenSSL says about the same numbers, points and signatures, and numbers
 * that carry badly. For tests only: slow, leaks nothing, dies on any failure of its own.
 */
#pragma once

#include <assert.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>
#include <string.h>

#include "ca/crypto/ec.h"
#include "tests/support/random.h"

/* The low-level signature calls are what is wanted: they take a digest and raw numbers. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

struct reference {
    enum crypto_ec_curve id;
    EC_GROUP *group;
    EC_POINT *point, *other;
    EC_KEY *key;
    BN_CTX *context;
    BIGNUM *p, *n, *r, *s, *t, *x, *e;
};

static inline void reference_open(struct reference *ref, enum crypto_ec_curve id)
{
    ref->id = id;
    ref->context = BN_CTX_new();
    ref->group = EC_GROUP_new_by_curve_name(id == CRYPTO_EC_P256 ? NID_X9_62_prime256v1 : NID_sm2);
    ref->point = EC_POINT_new(ref->group);
    ref->other = EC_POINT_new(ref->group);
    ref->key = EC_KEY_new();
    EC_KEY_set_group(ref->key, ref->group);
    ref->p = BN_new();
    ref->n = BN_dup(EC_GROUP_get0_order(ref->group));
    EC_GROUP_get_curve(ref->group, ref->p, NULL, NULL, ref->context);
    ref->r = BN_new();
    ref->s = BN_new();
    ref->t = BN_new();
    ref->x = BN_new();
    ref->e = BN_new();
}

static inline void reference_close(struct reference *ref)
{
    BN_free(ref->p);
    BN_free(ref->n);
    BN_free(ref->r);
    BN_free(ref->s);
    BN_free(ref->t);
    BN_free(ref->x);
    BN_free(ref->e);
    EC_POINT_free(ref->point);
    EC_POINT_free(ref->other);
    EC_KEY_free(ref->key);
    EC_GROUP_free(ref->group);
    BN_CTX_free(ref->context);
}

/* The scalar's public key, x || y. */
static inline void reference_public(struct reference *ref, const uint8_t scalar[32],
                                    uint8_t point_out[64])
{
    uint8_t encoded[65];

    BN_bin2bn(scalar, 32, ref->t);
    size_t len = EC_POINT_mul(ref->group, ref->other, ref->t, NULL, NULL, ref->context) == 1
                     ? EC_POINT_point2oct(ref->group, ref->other, POINT_CONVERSION_UNCOMPRESSED,
                                          encoded, sizeof(encoded), ref->context)
                     : 0;
    assert(len == sizeof(encoded));
    memcpy(point_out, encoded + 1, 64);
}

static inline bool reference_load_point(struct reference *ref, const uint8_t point[64])
{
    uint8_t encoded[65];

    encoded[0] = 4;
    memcpy(encoded + 1, point, 64);
    return EC_POINT_oct2point(ref->group, ref->point, encoded, sizeof(encoded), ref->context) == 1;
}

/* GB/T 32918.2, section 7.1, from step B1 on, in OpenSSL's numbers and points. */
static inline bool reference_verify_sm2(struct reference *ref)
{
    if (BN_is_zero(ref->r) || BN_is_zero(ref->s) || BN_cmp(ref->r, ref->n) >= 0 ||
        BN_cmp(ref->s, ref->n) >= 0)
        return false;
    BN_mod_add(ref->t, ref->r, ref->s, ref->n, ref->context);
    if (BN_is_zero(ref->t))
        return false;
    EC_POINT_mul(ref->group, ref->other, ref->s, ref->point, ref->t, ref->context);
    if (EC_POINT_is_at_infinity(ref->group, ref->other))
        return false;
    EC_POINT_get_affine_coordinates(ref->group, ref->other, ref->x, NULL, ref->context);
    BN_mod_add(ref->x, ref->x, ref->e, ref->n, ref->context);
    return BN_cmp(ref->x, ref->r) == 0;
}

static inline bool reference_verify(struct reference *ref, const uint8_t point[64],
                                    const uint8_t digest[32], const uint8_t signature[64])
{
    if (!reference_load_point(ref, point))
        return false;
    BN_bin2bn(signature, 32, ref->r);
    BN_bin2bn(signature + 32, 32, ref->s);
    BN_bin2bn(digest, 32, ref->e);
    if (ref->id == CRYPTO_EC_SM2)
        return reference_verify_sm2(ref);

    ECDSA_SIG *sig = ECDSA_SIG_new();
    ECDSA_SIG_set0(sig, BN_dup(ref->r), BN_dup(ref->s));
    EC_KEY_set_public_key(ref->key, ref->point);
    bool is_valid = ECDSA_do_verify(digest, 32, sig, ref->key) == 1;
    ECDSA_SIG_free(sig);
    return is_valid;
}

/* A signature with this nonce, or false where the standards ask for another one. */
static inline bool reference_sign(struct reference *ref, const uint8_t scalar[32],
                                  const uint8_t digest[32], const uint8_t nonce[32],
                                  uint8_t signature_out[64])
{
    BIGNUM *d = BN_bin2bn(scalar, 32, NULL), *k = BN_bin2bn(nonce, 32, NULL);

    BN_bin2bn(digest, 32, ref->e);
    EC_POINT_mul(ref->group, ref->other, k, NULL, NULL, ref->context);
    EC_POINT_get_affine_coordinates(ref->group, ref->other, ref->x, NULL, ref->context);
    if (ref->id == CRYPTO_EC_P256) { /* r = x, s = (e + r d) / k */
        BN_nnmod(ref->r, ref->x, ref->n, ref->context);
        BN_mod_mul(ref->t, ref->r, d, ref->n, ref->context);
        BN_mod_add(ref->t, ref->t, ref->e, ref->n, ref->context);
        BN_mod_inverse(k, k, ref->n, ref->context);
    } else { /* r = e + x, s = (k - r d) / (1 + d) */
        BN_mod_add(ref->r, ref->x, ref->e, ref->n, ref->context);
        BN_mod_mul(ref->t, ref->r, d, ref->n, ref->context);
        BN_mod_sub(ref->t, k, ref->t, ref->n, ref->context);
        BN_add_word(d, 1);
        BN_mod_inverse(k, d, ref->n, ref->context);
    }
    BN_mod_mul(ref->s, ref->t, k, ref->n, ref->context);
    BN_bn2binpad(ref->r, signature_out, 32);
    BN_bn2binpad(ref->s, signature_out + 32, 32);
    BN_clear_free(d);
    BN_clear_free(k);
    return !BN_is_zero(ref->r) && !BN_is_zero(ref->s);
}

/*
 * 32 octets that carry badly: runs of ones and zeros of many lengths, and single bits, at the
 * borders of 52-bit and 64-bit limbs as often as elsewhere.
 */
static inline void reference_structured(uint64_t *state, uint8_t bytes[32])
{
    uint64_t choice = random_next(state);
    uint64_t value = choice & 1 ? ~(uint64_t)0 : 0;

    for (int word = 0; word < 4; word++) {
        uint64_t kind = random_next(state);

        switch (kind >> 61) {
        case 0: value = 0; break;
        case 1: value = ~(uint64_t)0; break;
        case 2: value = ~(uint64_t)0 << (kind & 63); break;
        case 3: value = ~(uint64_t)0 >> (kind & 63); break;
        case 4: value = (uint64_t)1 << (kind & 63); break;
        case 5: value = ~((uint64_t)1 << (kind & 63)); break;
        case 6: break; /* as the word before */
        default: value = random_next(state);
        }
        for (int i = 0; i < 8; i++)
            bytes[8 * word + i] = (uint8_t)(value >> (56 - 8 * i));
    }
}
