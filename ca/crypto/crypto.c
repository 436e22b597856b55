/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/crypto.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "ca/crypto/ec_lanes.h"
#include "ca/crypto/internal.h"

const char *crypto_key_type_name(enum crypto_key_type type)
{
    switch (type) {
    case CRYPTO_KEY_P256: return "p256";
    case CRYPTO_KEY_P384: return "p384";
    case CRYPTO_KEY_RSA: return "rsa";
    case CRYPTO_KEY_ED25519: return "ed25519";
    case CRYPTO_KEY_SM2: return "sm2";
    case CRYPTO_KEY_NONE: break;
    }
    return "none";
}

bool crypto_sig_fits(enum crypto_sig sig, enum crypto_key_type type)
{
    switch (sig) {
    case CRYPTO_SIG_ECDSA_SHA256:
    case CRYPTO_SIG_ECDSA_SHA384:
    case CRYPTO_SIG_ECDSA_SHA512: return type == CRYPTO_KEY_P256 || type == CRYPTO_KEY_P384;
    case CRYPTO_SIG_RSA_SHA256:
    case CRYPTO_SIG_RSA_SHA384:
    case CRYPTO_SIG_RSA_SHA512:
    case CRYPTO_SIG_PSS_SHA256:
    case CRYPTO_SIG_PSS_SHA384:
    case CRYPTO_SIG_PSS_SHA512: return type == CRYPTO_KEY_RSA;
    case CRYPTO_SIG_ED25519: return type == CRYPTO_KEY_ED25519;
    case CRYPTO_SIG_SM2_SM3: return type == CRYPTO_KEY_SM2;
    case CRYPTO_SIG_NONE: break;
    }
    return false;
}

bool crypto_public_key_equal(const struct crypto_public_key *a, const struct crypto_public_key *b)
{
    return a->type == b->type && ca_bytes_equal(a->point, b->point) &&
           ca_bytes_equal(a->modulus, b->modulus) && ca_bytes_equal(a->exponent, b->exponent);
}

enum crypto_sig crypto_sig_usual(enum crypto_key_type type)
{
    switch (type) {
    case CRYPTO_KEY_P256: return CRYPTO_SIG_ECDSA_SHA256;
    case CRYPTO_KEY_P384: return CRYPTO_SIG_ECDSA_SHA384;
    case CRYPTO_KEY_RSA: return CRYPTO_SIG_RSA_SHA256;
    case CRYPTO_KEY_ED25519: return CRYPTO_SIG_ED25519;
    case CRYPTO_KEY_SM2: return CRYPTO_SIG_SM2_SM3;
    default: return CRYPTO_SIG_NONE;
    }
}

enum crypto_hash crypto_sig_hash(enum crypto_sig sig)
{
    switch (sig) {
    case CRYPTO_SIG_ECDSA_SHA512:
    case CRYPTO_SIG_RSA_SHA512:
    case CRYPTO_SIG_PSS_SHA512: return CRYPTO_SHA512;
    case CRYPTO_SIG_ECDSA_SHA384:
    case CRYPTO_SIG_RSA_SHA384:
    case CRYPTO_SIG_PSS_SHA384: return CRYPTO_SHA384;
    default: return CRYPTO_SHA256;
    }
}

size_t crypto_hash_len(enum crypto_hash hash)
{
    switch (hash) {
    case CRYPTO_SHA512: return 64;
    case CRYPTO_SHA384: return 48;
    default: return 32;
    }
}

void crypto_digest(enum crypto_hash hash, const struct ca_bytes *parts, size_t count,
                   uint8_t *digest)
{
    union {
        SHA256_CTX of_256;
        SHA512_CTX of_512;
    } state;

    if (hash == CRYPTO_SHA256) {
        SHA256_Init(&state.of_256);
        for (size_t i = 0; i < count; i++)
            SHA256_Update(&state.of_256, parts[i].data, parts[i].len);
        SHA256_Final(digest, &state.of_256);
        return;
    }
    if (hash == CRYPTO_SHA384)
        SHA384_Init(&state.of_512);
    else
        SHA512_Init(&state.of_512);
    for (size_t i = 0; i < count; i++)
        SHA512_Update(&state.of_512, parts[i].data, parts[i].len);
    SHA512_Final(digest, &state.of_512); /* knows which of the two it is */
}

size_t crypto_half_len(enum crypto_key_type type)
{
    switch (type) {
    case CRYPTO_KEY_P256:
    case CRYPTO_KEY_SM2: return 32;
    case CRYPTO_KEY_P384: return 48;
    default: return 0;
    }
}

enum ca_err crypto_openssl_error(enum ca_err other)
{
    unsigned long code = ERR_peek_error();
    enum ca_err err = other;

    if (ERR_GET_LIB(code) == ERR_LIB_RAND)
        err = CA_ERR_RANDOM;
    else if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
        err = CA_ERR_NOMEM;
    ERR_clear_error();
    return err;
}

enum ca_err crypto_public_copy(const struct crypto_public_key *key, uint8_t *bytes, size_t size,
                               struct crypto_public_key *copy_out)
{
    *copy_out = (struct crypto_public_key){ .type = key->type, .bits = key->bits };
    if (key->type == CRYPTO_KEY_RSA) {
        if (key->modulus.len == 0 || key->modulus.len > CRYPTO_MODULUS_LEN_MAX)
            return CA_ERR_KEY_SIZE;
        if (key->exponent.len == 0 || key->exponent.len > CRYPTO_EXPONENT_LEN_MAX)
            return CA_ERR_KEY_EXPONENT;
        assert(key->modulus.len + key->exponent.len <= size);
        memcpy(bytes, key->modulus.data, key->modulus.len);
        copy_out->modulus = ca_bytes_of(bytes, key->modulus.len);
        bytes += key->modulus.len;
        memcpy(bytes, key->exponent.data, key->exponent.len);
        copy_out->exponent = ca_bytes_of(bytes, key->exponent.len);
        return CA_OK;
    }
    if (key->point.len == 0 || key->point.len > CRYPTO_POINT_LEN_MAX)
        return CA_ERR_CSR_POINT;
    assert(key->point.len <= size);
    memcpy(bytes, key->point.data, key->point.len);
    copy_out->point = ca_bytes_of(bytes, key->point.len);
    return CA_OK;
}

/* ---- contexts */

static enum ca_err open_tables(const struct crypto *other, struct crypto *crypto)
{
    if (other == NULL)
        return crypto_ec_new(crypto->backend, &crypto->ec);
    crypto->ec = crypto_ec_share(other->ec);
    return CA_OK;
}

static enum ca_err open_context(const struct crypto *other, crypto_random_fn *random, void *arg,
                                struct crypto **crypto_out)
{
    enum ca_err err = CA_ERR_NOMEM;
    struct crypto *crypto = calloc(1, sizeof(*crypto));

    *crypto_out = NULL;
    if (crypto == NULL)
        return CA_ERR_NOMEM;
    crypto->random = random;
    crypto->random_arg = arg;
    crypto->numbers = BN_CTX_new();
    crypto->modulus = BN_new();
    crypto->exponent = BN_new();
    crypto->base = BN_new();
    crypto->power = BN_new();
    crypto->montgomery = BN_MONT_CTX_new();
    if (crypto->numbers == NULL || crypto->modulus == NULL || crypto->exponent == NULL ||
        crypto->base == NULL || crypto->power == NULL || crypto->montgomery == NULL)
        goto out;
    crypto->backend = crypto_ec_backend_best();
    if ((err = open_tables(other, crypto)) != CA_OK ||
        (err = crypto_p384_open(&crypto->p384)) != CA_OK)
        goto out;
    crypto_sm2_prefix(&crypto->sm2_prefix);
    *crypto_out = crypto;
    crypto = NULL;
out:
    crypto_close(crypto);
    return err;
}

static enum ca_err random_of_openssl(void *arg, uint8_t *bytes, size_t len)
{
    (void)arg;
    return crypto_random(bytes, len);
}

enum ca_err crypto_open(struct crypto **crypto_out)
{
    return crypto_open_beside(NULL, crypto_out);
}

enum ca_err crypto_open_beside(const struct crypto *other, struct crypto **crypto_out)
{
    return open_context(other, random_of_openssl, NULL, crypto_out);
}

enum ca_err crypto_open_with_random(crypto_random_fn *random, void *arg, struct crypto **crypto_out)
{
    return open_context(NULL, random, arg, crypto_out);
}

void crypto_close(struct crypto *crypto)
{
    if (crypto == NULL)
        return;
    crypto_ec_free(crypto->ec);
    crypto_p384_close(&crypto->p384);
    BN_MONT_CTX_free(crypto->montgomery);
    BN_free(crypto->modulus);
    BN_free(crypto->exponent);
    BN_free(crypto->base);
    BN_free(crypto->power);
    BN_CTX_free(crypto->numbers);
    free(crypto);
}

/* ---- verify */

static enum ca_err verify_single(struct crypto *crypto, const struct crypto_verification *job)
{
    switch (job->key->type) {
    case CRYPTO_KEY_P384: return crypto_p384_verify(crypto, job);
    case CRYPTO_KEY_ED25519:
        return crypto_ed25519_verify(job->key->point, job->message, job->signature);
    default: return CA_ERR_CSR_SIG;
    }
}

static bool is_batched(enum crypto_key_type type)
{
    return type == CRYPTO_KEY_P256 || type == CRYPTO_KEY_SM2;
}

/* Jobs of one kind of arithmetic, until there are enough of them. */
struct verify_batch {
    void (*verify)(struct crypto *crypto, struct crypto_verification *const *jobs, size_t count);
    struct crypto_verification *jobs[CRYPTO_BATCH_MAX];
    size_t count;
};

static void batch_end(struct crypto *crypto, struct verify_batch *batch)
{
    if (batch->count > 0)
        batch->verify(crypto, batch->jobs, batch->count);
    batch->count = 0;
}

static void batch_add(struct crypto *crypto, struct verify_batch *batch,
                      struct crypto_verification *job)
{
    batch->jobs[batch->count++] = job;
    if (batch->count == CRYPTO_BATCH_MAX)
        batch_end(crypto, batch);
}

void crypto_verify_many(struct crypto *crypto, struct crypto_verification *jobs, size_t count)
{
    struct verify_batch elliptic = { .verify = crypto_elliptic_verify_many };
    struct verify_batch rsa = { .verify = crypto_rsa_verify_many };

    for (size_t i = 0; i < count; i++) {
        struct crypto_verification *job = &jobs[i];
        if (!crypto_sig_fits(job->sig, job->key->type))
            job->result = CA_ERR_CSR_SIG;
        else if (is_batched(job->key->type))
            batch_add(crypto, &elliptic, job);
        else if (job->key->type == CRYPTO_KEY_RSA)
            batch_add(crypto, &rsa, job);
        else
            job->result = verify_single(crypto, job);
    }
    batch_end(crypto, &elliptic);
    batch_end(crypto, &rsa);
}

/* ---- sign */

static enum ca_err sign_p384(const struct crypto_private_key *key, enum crypto_sig sig,
                             struct ca_bytes message, struct crypto_signature *signature)
{
    enum crypto_hash hash = crypto_sig_hash(sig);
    uint8_t digest[CRYPTO_HASH_LEN_MAX];

    crypto_digest(hash, &message, 1, digest);
    return crypto_p384_sign(key, digest, crypto_hash_len(hash), signature);
}

static enum ca_err sign_one(const struct crypto_private_key *key, enum crypto_sig sig,
                            struct ca_bytes message, struct crypto_signature *signature)
{
    switch (key->public.type) {
    case CRYPTO_KEY_P384: return sign_p384(key, sig, message, signature);
    case CRYPTO_KEY_ED25519: return crypto_ed25519_sign(key->secret, message, signature);
    default: return CA_ERR_KEY_UNUSABLE;
    }
}

/* count is at most CRYPTO_BATCH_MAX. */
static enum ca_err sign_batch(struct crypto *crypto, const struct crypto_private_key *key,
                              enum crypto_sig sig, const struct ca_bytes *messages, size_t count,
                              struct crypto_signature *signatures)
{
    uint8_t digests[CRYPTO_BATCH_MAX][CA_DIGEST_LEN];
    enum ca_err err = CA_OK;

    if (is_batched(key->public.type)) {
        crypto_elliptic_digests(crypto, &key->public, sig, messages, count, digests);
        return crypto_elliptic_sign_many(crypto, key, (const uint8_t(*)[CA_DIGEST_LEN])digests,
                                         count, signatures);
    }
    if (key->public.type == CRYPTO_KEY_RSA)
        return crypto_rsa_sign_many(crypto, key, sig, messages, count, signatures);
    for (size_t i = 0; i < count && err == CA_OK; i++)
        err = sign_one(key, sig, messages[i], &signatures[i]);
    return err;
}

size_t crypto_sign_lot(const struct crypto_public_key *key)
{
    if (is_batched(key->type))
        return EC_LANES;
    return key->type == CRYPTO_KEY_RSA ? crypto_rsa_sign_lot(key) : 1;
}

static size_t batch_at(size_t i, size_t count)
{
    return count - i < CRYPTO_BATCH_MAX ? count - i : CRYPTO_BATCH_MAX;
}

enum ca_err crypto_sign_many(struct crypto *crypto, const struct crypto_private_key *key,
                             enum crypto_sig sig, const struct ca_bytes *messages, size_t count,
                             struct crypto_signature *signatures)
{
    enum ca_err err = CA_ERR_KEY_UNUSABLE;
    uint8_t probe[2 * CRYPTO_HEALTH_LEN];

    /* A source that fails or repeats itself stops everything, also kinds that need no nonce. */
    if (crypto_sig_fits(sig, key->public.type))
        err = crypto_fresh(crypto, probe, sizeof(probe));
    for (size_t i = 0; i < count && err == CA_OK; i += CRYPTO_BATCH_MAX)
        err = sign_batch(crypto, key, sig, messages + i, batch_at(i, count), signatures + i);
    if (err != CA_OK)
        OPENSSL_cleanse(signatures, count * sizeof(*signatures));
    return err;
}

/* ---- own keys */

enum ca_err crypto_own_key_new(const struct crypto_public_key *key, struct crypto_own_key **own_out)
{
    enum ca_err err;
    struct crypto_own_key *own = calloc(1, sizeof(*own));

    *own_out = NULL;
    if (own == NULL)
        return CA_ERR_NOMEM;
    err = crypto_public_copy(key, own->public_bytes, sizeof(own->public_bytes), &own->public);
    if (err != CA_OK)
        goto out;
    if (is_batched(key->type))
        err = crypto_elliptic_own(key, own);
    else if (key->type == CRYPTO_KEY_P384)
        err = crypto_p384_own(key, own);
    else if (key->type == CRYPTO_KEY_RSA)
        err = crypto_rsa_own(key, own);
    else if (key->type != CRYPTO_KEY_ED25519)
        err = CA_ERR_KEY_TYPE;
    if (err != CA_OK)
        goto out;
    *own_out = own;
    own = NULL;
out:
    crypto_own_key_free(own);
    return err;
}

void crypto_own_key_free(struct crypto_own_key *own)
{
    if (own == NULL)
        return;
    crypto_ec_own_free(own->ec);
    EC_KEY_free(own->p384);
    BN_MONT_CTX_free(own->montgomery);
    free(own);
}

const struct crypto_public_key *crypto_own_key_public(const struct crypto_own_key *own)
{
    return &own->public;
}

static enum ca_err verify_own(struct crypto *crypto, const struct crypto_own_key *own,
                              enum crypto_sig sig, struct ca_bytes message,
                              struct ca_bytes signature)
{
    const struct crypto_public_key *key = &own->public;
    uint8_t digest[CRYPTO_HASH_LEN_MAX];

    if (key->type == CRYPTO_KEY_ED25519)
        return crypto_ed25519_verify(key->point, message, signature);
    crypto_digest(crypto_sig_hash(sig), &message, 1, digest);
    return crypto_p384_verify_own(crypto, own, digest, crypto_hash_len(crypto_sig_hash(sig)),
                                  signature);
}

/* count is at most CRYPTO_BATCH_MAX. */
static enum ca_err verify_own_batch(struct crypto *crypto, const struct crypto_own_key *own,
                                    enum crypto_sig sig, const struct ca_bytes *messages,
                                    size_t count, const struct crypto_signature *signatures)
{
    uint8_t digests[CRYPTO_BATCH_MAX][CA_DIGEST_LEN];
    struct ca_bytes encoded[CRYPTO_BATCH_MAX];
    enum ca_err err = CA_OK;

    for (size_t i = 0; i < count; i++) {
        assert(signatures[i].len <= sizeof(signatures[i].bytes));
        encoded[i] = ca_bytes_of(signatures[i].bytes, signatures[i].len);
    }
    if (is_batched(own->public.type)) {
        crypto_elliptic_digests(crypto, &own->public, sig, messages, count, digests);
        return crypto_elliptic_verify_own_many(
            crypto, own, (const uint8_t(*)[CA_DIGEST_LEN])digests, count, encoded);
    }
    if (own->public.type == CRYPTO_KEY_RSA)
        return crypto_rsa_verify_own_many(crypto, own, sig, messages, count, encoded);
    for (size_t i = 0; i < count && err == CA_OK; i++)
        err = verify_own(crypto, own, sig, messages[i], encoded[i]);
    return err;
}

enum ca_err crypto_verify_own_many(struct crypto *crypto, const struct crypto_own_key *own,
                                   enum crypto_sig sig, const struct ca_bytes *messages,
                                   size_t count, const struct crypto_signature *signatures)
{
    if (!crypto_sig_fits(sig, own->public.type))
        return CA_ERR_SIGNATURE_WRONG;
    for (size_t i = 0; i < count; i += CRYPTO_BATCH_MAX) {
        enum ca_err err =
            verify_own_batch(crypto, own, sig, messages + i, batch_at(i, count), signatures + i);
        if (err != CA_OK)
            return err == CA_ERR_NOMEM ? err : CA_ERR_SIGNATURE_WRONG;
    }
    return CA_OK;
}

/* ---- randomness */

/* Two equal neighbours of 16 octets come once in 2^128 draws from a source that works. */
static bool repeats(const uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at + 2 * CRYPTO_HEALTH_LEN <= len; at += CRYPTO_HEALTH_LEN) {
        if (CRYPTO_memcmp(bytes + at, bytes + at + CRYPTO_HEALTH_LEN, CRYPTO_HEALTH_LEN) == 0)
            return true;
    }
    return false;
}

enum ca_err crypto_random(uint8_t *bytes, size_t len)
{
    uint8_t block[2 * CRYPTO_HEALTH_LEN];
    bool is_short = len < sizeof(block);
    uint8_t *to = is_short ? block : bytes;
    size_t to_len = is_short ? sizeof(block) : len;
    enum ca_err err = CA_ERR_RANDOM;

    if (to_len <= INT32_MAX && RAND_bytes(to, (int)to_len) == 1 && !repeats(to, to_len))
        err = CA_OK;
    ERR_clear_error();
    if (err == CA_OK && is_short)
        memcpy(bytes, block, len);
    else if (err != CA_OK)
        OPENSSL_cleanse(bytes, len);
    if (is_short)
        OPENSSL_cleanse(block, sizeof(block));
    return err;
}

enum ca_err crypto_fresh(struct crypto *crypto, uint8_t *bytes, size_t len)
{
    assert(len >= CRYPTO_HEALTH_LEN);

    if (crypto->random(crypto->random_arg, bytes, len) != CA_OK || repeats(bytes, len) ||
        CRYPTO_memcmp(bytes, crypto->random_last, CRYPTO_HEALTH_LEN) == 0) {
        OPENSSL_cleanse(bytes, len);
        return CA_ERR_RANDOM;
    }
    memcpy(crypto->random_last, bytes, CRYPTO_HEALTH_LEN);
    return CA_OK;
}
