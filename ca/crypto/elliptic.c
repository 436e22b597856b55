/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P-256 and SM2 in batches on our own arithmetic (ec.h), and the keys of all three curves.
 *
 * Public keys are computed by OpenSSL when a private key is made or read: if the two
 * arithmetics disagreed, the first signature would not verify.
 */
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>

#include "ca/crypto/hash_many.h"
#include "ca/crypto/internal.h"

enum { HALF = 32 };

static enum crypto_ec_curve curve_of(enum crypto_key_type type)
{
    return type == CRYPTO_KEY_SM2 ? CRYPTO_EC_SM2 : CRYPTO_EC_P256;
}

/* Z of GB/T 32918.2, section 5.5. */
static void identity_digest(const struct crypto *crypto, struct ca_bytes point,
                            uint8_t z[CA_DIGEST_LEN])
{
    struct crypto_sm3 state = crypto->sm2_prefix;

    crypto_sm3_update(&state, ca_bytes_of(point.data + 1, point.len - 1));
    crypto_sm3_final(&state, z);
}

/* The first 32 octets: ECDSA takes the leftmost bits of a longer hash (FIPS 186-5, 6.4.1). */
static void ecdsa_digest(enum crypto_sig sig, struct ca_bytes message, uint8_t digest[HALF])
{
    uint8_t hash[CRYPTO_HASH_LEN_MAX];

    crypto_digest(crypto_sig_hash(sig), &message, 1, hash);
    memcpy(digest, hash, HALF);
}

/* ---- verify */

/* What the arithmetic takes, and whose it is. */
struct elliptic_batch {
    struct crypto_ec_verify jobs[CRYPTO_BATCH_MAX];
    struct crypto_verification *owners[CRYPTO_BATCH_MAX];
    size_t count;
    uint8_t z[CRYPTO_BATCH_MAX][CA_DIGEST_LEN]; /* of the SM2 jobs, in their order */
    const uint8_t *heads[CRYPTO_BATCH_MAX];
    struct ca_bytes messages[CRYPTO_BATCH_MAX];
    size_t places[CRYPTO_BATCH_MAX]; /* among the jobs */
    size_t sm2_count;
};

static enum ca_err batch_add(const struct crypto *crypto, struct elliptic_batch *batch,
                             struct crypto_verification *job)
{
    struct crypto_ec_verify *place = &batch->jobs[batch->count];

    if (job->key->point.len != 1 + 2 * HALF || job->key->point.data[0] != 0x04)
        return CA_ERR_CSR_POINT;
    if (!crypto_pair_decode(job->signature, HALF, place->signature))
        return CA_ERR_CSR_SIG;
    place->curve = curve_of(job->key->type);
    memcpy(place->point, job->key->point.data + 1, 2 * HALF);
    if (job->key->type == CRYPTO_KEY_SM2) {
        size_t i = batch->sm2_count++;
        identity_digest(crypto, job->key->point, batch->z[i]);
        batch->heads[i] = batch->z[i];
        batch->messages[i] = job->message;
        batch->places[i] = batch->count;
    } else {
        ecdsa_digest(job->sig, job->message, place->digest);
    }
    batch->owners[batch->count++] = job;
    return CA_OK;
}

static void batch_verify(const struct crypto *crypto, struct elliptic_batch *batch)
{
    uint8_t digests[CRYPTO_BATCH_MAX][CA_DIGEST_LEN];

    crypto_sm3_many(crypto->backend, batch->heads, batch->messages, batch->sm2_count, digests);
    for (size_t i = 0; i < batch->sm2_count; i++)
        memcpy(batch->jobs[batch->places[i]].digest, digests[i], CA_DIGEST_LEN);
    crypto_ec_verify_many(crypto->ec, batch->jobs, batch->count);
    for (size_t i = 0; i < batch->count; i++) {
        const struct crypto_ec_verify *job = &batch->jobs[i];
        if (job->is_valid)
            continue;
        batch->owners[i]->result =
            crypto_ec_point_is_valid(job->curve, job->point) ? CA_ERR_CSR_SIG : CA_ERR_CSR_POINT;
    }
    batch->count = batch->sm2_count = 0;
}

void crypto_elliptic_verify_many(struct crypto *crypto, struct crypto_verification *const *jobs,
                                 size_t count)
{
    struct elliptic_batch batch;

    batch.count = batch.sm2_count = 0;
    for (size_t i = 0; i < count; i++) {
        jobs[i]->result = batch_add(crypto, &batch, jobs[i]);
        if (batch.count == CRYPTO_BATCH_MAX)
            batch_verify(crypto, &batch);
    }
    if (batch.count > 0)
        batch_verify(crypto, &batch);
}

/* ---- sign, and check what was signed */

void crypto_elliptic_digests(const struct crypto *crypto, const struct crypto_public_key *key,
                             enum crypto_sig sig, const struct ca_bytes *messages, size_t count,
                             uint8_t (*digests)[CA_DIGEST_LEN])
{
    uint8_t z[CA_DIGEST_LEN];
    const uint8_t *heads[CRYPTO_BATCH_MAX];

    assert(count <= CRYPTO_BATCH_MAX);
    if (key->type != CRYPTO_KEY_SM2) {
        for (size_t i = 0; i < count; i++)
            ecdsa_digest(sig, messages[i], digests[i]);
        return;
    }
    identity_digest(crypto, key->point, z);
    for (size_t i = 0; i < count; i++)
        heads[i] = z;
    crypto_sm3_many(crypto->backend, heads, messages, count, digests);
}

enum ca_err crypto_elliptic_sign_many(struct crypto *crypto, const struct crypto_private_key *key,
                                      const uint8_t (*digests)[CA_DIGEST_LEN], size_t count,
                                      struct crypto_signature *signatures)
{
    uint8_t fresh[CRYPTO_BATCH_MAX][CRYPTO_EC_FRESH_LEN];
    uint8_t pairs[CRYPTO_BATCH_MAX][CRYPTO_EC_SIGNATURE_LEN];
    enum ca_err err = crypto_fresh(crypto, fresh[0], count * sizeof(fresh[0]));

    assert(count > 0 && count <= CRYPTO_BATCH_MAX);
    if (err != CA_OK)
        return err;
    crypto_ec_sign_many(crypto->ec, key->ec, digests, count,
                        (const uint8_t(*)[CRYPTO_EC_FRESH_LEN])fresh, pairs);
    for (size_t i = 0; i < count; i++)
        signatures[i].len = crypto_pair_encode(pairs[i], HALF, signatures[i].bytes);
    OPENSSL_cleanse(fresh, count * sizeof(fresh[0]));
    return CA_OK;
}

enum ca_err crypto_elliptic_own(const struct crypto_public_key *key, struct crypto_own_key *own)
{
    if (key->point.len != 1 + 2 * HALF || key->point.data[0] != 0x04)
        return CA_ERR_CSR_POINT;
    enum ca_err err = crypto_ec_own_new(curve_of(key->type), key->point.data + 1, &own->ec);
    return err == CA_ERR_KEY_UNUSABLE ? CA_ERR_CSR_POINT : err;
}

enum ca_err crypto_elliptic_verify_own_many(struct crypto *crypto, const struct crypto_own_key *own,
                                            const uint8_t (*digests)[CA_DIGEST_LEN], size_t count,
                                            const struct ca_bytes *signatures)
{
    uint8_t pairs[CRYPTO_BATCH_MAX][CRYPTO_EC_SIGNATURE_LEN];
    bool is_valid[CRYPTO_BATCH_MAX];

    assert(count <= CRYPTO_BATCH_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!crypto_pair_decode(signatures[i], HALF, pairs[i]))
            return CA_ERR_CSR_SIG;
    }
    crypto_ec_verify_own_many(crypto->ec, own->ec, digests,
                              (const uint8_t(*)[CRYPTO_EC_SIGNATURE_LEN])pairs, count, is_valid);
    for (size_t i = 0; i < count; i++) {
        if (!is_valid[i])
            return CA_ERR_CSR_SIG;
    }
    return CA_OK;
}

/* ---- one digest, any of the three curves */

enum ca_err crypto_elliptic_sign_digest(struct crypto *crypto, const struct crypto_private_key *key,
                                        const uint8_t *digest, size_t digest_len,
                                        struct crypto_signature *signature)
{
    uint8_t leftmost[1][CA_DIGEST_LEN];

    if (key->public.type == CRYPTO_KEY_P384)
        return crypto_p384_sign(key, digest, digest_len, signature);
    memcpy(leftmost[0], digest, CA_DIGEST_LEN);
    return crypto_elliptic_sign_many(crypto, key, (const uint8_t(*)[CA_DIGEST_LEN])leftmost, 1,
                                     signature);
}

enum ca_err crypto_elliptic_verify_own_digest(struct crypto *crypto,
                                              const struct crypto_own_key *own,
                                              const uint8_t *digest, size_t digest_len,
                                              struct ca_bytes signature)
{
    uint8_t leftmost[1][CA_DIGEST_LEN];

    if (own->public.type == CRYPTO_KEY_P384)
        return crypto_p384_verify_own(crypto, own, digest, digest_len, signature);
    memcpy(leftmost[0], digest, CA_DIGEST_LEN);
    return crypto_elliptic_verify_own_many(crypto, own, (const uint8_t(*)[CA_DIGEST_LEN])leftmost,
                                           1, &signature);
}

/* ---- private keys */

static int nid_of(enum crypto_key_type type)
{
    switch (type) {
    case CRYPTO_KEY_P256: return NID_X9_62_prime256v1;
    case CRYPTO_KEY_P384: return NID_secp384r1;
    default: return NID_sm2;
    }
}

/* The form that signs: our arithmetic's, in the secure heap, or OpenSSL's for P-384. */
static enum ca_err prepare_signing(struct crypto_private_key *key, const BIGNUM *scalar,
                                   const EC_POINT *point, EC_KEY **elliptic)
{
    if (key->public.type != CRYPTO_KEY_P384) {
        key->ec = OPENSSL_secure_zalloc(sizeof(*key->ec));
        if (key->ec == NULL)
            return CA_ERR_NOMEM;
        return crypto_ec_key_init(curve_of(key->public.type), key->secret, key->ec);
    }
    if (EC_KEY_set_private_key(*elliptic, scalar) != 1 ||
        EC_KEY_set_public_key(*elliptic, point) != 1)
        return CA_ERR_KEY_UNUSABLE;
    key->p384 = *elliptic;
    *elliptic = NULL;
    return CA_OK;
}

enum ca_err crypto_elliptic_derive(struct crypto_private_key *key)
{
    enum crypto_key_type type = key->public.type;
    size_t half = crypto_half_len(type);
    enum ca_err err = CA_ERR_NOMEM;
    BN_CTX *numbers = BN_CTX_secure_new();
    BIGNUM *scalar = BN_secure_new();
    EC_KEY *elliptic = EC_KEY_new_by_curve_name(nid_of(type));
    EC_POINT *point = NULL;

    assert(key->secret_len == half);
    if (numbers == NULL || scalar == NULL || elliptic == NULL ||
        BN_bin2bn(key->secret, (int)half, scalar) == NULL)
        goto out;
    BN_set_flags(scalar, BN_FLG_CONSTTIME);
    const EC_GROUP *group = EC_KEY_get0_group(elliptic);
    if ((point = EC_POINT_new(group)) == NULL)
        goto out;
    err = CA_ERR_KEY_UNUSABLE;
    if (BN_is_zero(scalar) || BN_cmp(scalar, EC_GROUP_get0_order(group)) >= 0)
        goto out;
    if (EC_POINT_mul(group, point, scalar, NULL, NULL, numbers) != 1 ||
        EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, key->public_bytes,
                           1 + 2 * half, numbers) != 1 + 2 * half)
        goto out;
    key->public.point = ca_bytes_of(key->public_bytes, 1 + 2 * half);
    key->public.bits = (uint32_t)(8 * half);
    err = prepare_signing(key, scalar, point, &elliptic);
out:
    ERR_clear_error();
    EC_POINT_free(point);
    EC_KEY_free(elliptic);
    BN_clear_free(scalar);
    BN_CTX_free(numbers);
    return err;
}

void crypto_elliptic_wipe(struct crypto_private_key *key)
{
    OPENSSL_secure_clear_free(key->ec, sizeof(*key->ec));
    EC_KEY_free(key->p384);
    key->ec = NULL;
    key->p384 = NULL;
}
