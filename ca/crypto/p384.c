/* SPDX-License-Identifier: Apache-2.0 */
/* P-384 on OpenSSL's curve arithmetic. No EVP_PKEY is made per signature. */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>

#include "ca/crypto/internal.h"

enum { HALF = 48 };

enum ca_err crypto_p384_open(struct crypto_p384 *curve)
{
    BIGNUM *r = BN_new();
    BIGNUM *s = BN_new();

    curve->pair = ECDSA_SIG_new();
    if (r == NULL || s == NULL || curve->pair == NULL || ECDSA_SIG_set0(curve->pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return CA_ERR_NOMEM;
    }
    curve->r = r;
    curve->s = s;
    curve->group = EC_GROUP_new_by_curve_name(NID_secp384r1);
    curve->key = EC_KEY_new();
    if (curve->group == NULL || curve->key == NULL)
        return CA_ERR_NOMEM;
    curve->point = EC_POINT_new(curve->group);
    if (curve->point == NULL || EC_KEY_set_group(curve->key, curve->group) != 1)
        return CA_ERR_NOMEM;
    return CA_OK;
}

void crypto_p384_close(struct crypto_p384 *curve)
{
    EC_POINT_free(curve->point);
    EC_KEY_free(curve->key);
    EC_GROUP_free(curve->group);
    ECDSA_SIG_free(curve->pair);
}

static enum ca_err verify(struct crypto_p384 *curve, EC_KEY *key, const uint8_t *digest,
                          size_t digest_len, struct ca_bytes signature)
{
    uint8_t pair[2 * HALF];

    if (!crypto_pair_decode(signature, HALF, pair))
        return CA_ERR_CSR_SIG;
    if (BN_bin2bn(pair, HALF, curve->r) == NULL || BN_bin2bn(pair + HALF, HALF, curve->s) == NULL)
        return CA_ERR_NOMEM;
    if (ECDSA_do_verify(digest, (int)digest_len, curve->pair, key) != 1)
        return crypto_openssl_error(CA_ERR_CSR_SIG);
    return CA_OK;
}

/* Uncompressed, both coordinates below p, on the curve: oct2point checks all but the form. */
enum ca_err crypto_p384_verify(struct crypto *crypto, const struct crypto_verification *job)
{
    struct crypto_p384 *curve = &crypto->p384;
    struct ca_bytes point = job->key->point;
    enum crypto_hash hash = crypto_sig_hash(job->sig);
    uint8_t digest[CRYPTO_HASH_LEN_MAX];

    if (point.len != 1 + 2 * HALF || point.data[0] != 0x04)
        return CA_ERR_CSR_POINT;
    if (EC_POINT_oct2point(curve->group, curve->point, point.data, point.len, crypto->numbers) != 1)
        return crypto_openssl_error(CA_ERR_CSR_POINT);
    if (EC_KEY_set_public_key(curve->key, curve->point) != 1)
        return crypto_openssl_error(CA_ERR_NOMEM);
    crypto_digest(hash, &job->message, 1, digest);
    return verify(curve, curve->key, digest, crypto_hash_len(hash), job->signature);
}

enum ca_err crypto_p384_own(const struct crypto_public_key *key, struct crypto_own_key *own)
{
    if (key->point.len != 1 + 2 * HALF || key->point.data[0] != 0x04)
        return CA_ERR_CSR_POINT;
    own->p384 = EC_KEY_new_by_curve_name(NID_secp384r1);
    if (own->p384 == NULL)
        return CA_ERR_NOMEM;
    if (EC_KEY_oct2key(own->p384, key->point.data, key->point.len, NULL) != 1)
        return crypto_openssl_error(CA_ERR_CSR_POINT);
    return CA_OK;
}

enum ca_err crypto_p384_verify_own(struct crypto *crypto, const struct crypto_own_key *own,
                                   const uint8_t *digest, size_t digest_len,
                                   struct ca_bytes signature)
{
    return verify(&crypto->p384, own->p384, digest, digest_len, signature);
}

enum ca_err crypto_p384_sign(const struct crypto_private_key *key, const uint8_t *digest,
                             size_t digest_len, struct crypto_signature *signature)
{
    /* OpenSSL mixes key and digest into the nonce, so a weak random source alone leaks nothing. */
    ECDSA_SIG *made = ECDSA_do_sign(digest, (int)digest_len, key->p384);
    uint8_t pair[2 * HALF];
    enum ca_err err = CA_OK;

    if (made == NULL)
        return crypto_openssl_error(CA_ERR_KEY_UNUSABLE);
    if (BN_bn2binpad(ECDSA_SIG_get0_r(made), pair, HALF) < 0 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(made), pair + HALF, HALF) < 0)
        err = CA_ERR_KEY_UNUSABLE;
    else
        signature->len = crypto_pair_encode(pair, HALF, signature->bytes);
    ECDSA_SIG_free(made);
    return err;
}
