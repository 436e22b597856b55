/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal: what the files of this folder share, and nobody else includes.
 *
 * One file per kind of arithmetic: elliptic (P-256 and SM2, in batches on ec.h), p384, rsa,
 * ed25519. They take and give signatures as they stand in a BIT STRING.
 */
#pragma once

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#include "ca/crypto/crypto.h"
#include "ca/crypto/ec.h"
#include "ca/crypto/rsa_lanes.h"
#include "ca/crypto/signature.h"
#include "ca/crypto/sm3.h"

enum {
    CRYPTO_HASH_LEN_MAX = 64,  /* SHA-512 */
    CRYPTO_POINT_LEN_MAX = 97, /* P-384, uncompressed */
    CRYPTO_MODULUS_LEN_MAX = CA_RSA_BITS_MAX / 8,
    CRYPTO_EXPONENT_LEN_MAX = 32, /* BR 6.1.6: below 2^256 */
    CRYPTO_RSA_EXPONENT = 65537,  /* of keys made here, and of what lanes verify */
    CRYPTO_BATCH_MAX = 64,        /* what elliptic.c takes at once */
    CRYPTO_HEALTH_LEN = 16,       /* two equal random blocks of this length are an alarm */
};

/* P-384, with places to compute in that are used again and again. */
struct crypto_p384 {
    EC_GROUP *group;
    EC_KEY *key; /* takes the public key of the moment */
    EC_POINT *point;
    ECDSA_SIG *pair; /* owns r and s */
    BIGNUM *r, *s;
};

struct crypto {
    BN_CTX *numbers;
    enum crypto_ec_backend backend;
    struct crypto_ec *ec;
    struct crypto_p384 p384;
    struct crypto_sm3 sm2_prefix;
    BIGNUM *modulus, *exponent, *base, *power;
    BN_MONT_CTX *montgomery;
    crypto_random_fn *random;
    void *random_arg;
    uint8_t random_last[CRYPTO_HEALTH_LEN];
};

struct crypto_private_key {
    struct crypto_public_key public;
    uint8_t public_bytes[CRYPTO_MODULUS_LEN_MAX + CRYPTO_EXPONENT_LEN_MAX];
    uint8_t *secret; /* in the secure heap: scalar, or Ed25519 seed and public key */
    size_t secret_len;
    struct crypto_ec_key *ec; /* P-256, SM2: in the secure heap */
    EC_KEY *p384;
    RSA *rsa;
    struct rsa_lanes_key *lanes; /* RSA, in the secure heap; NULL where OpenSSL signs alone */
};

struct crypto_own_key {
    struct crypto_public_key public;
    uint8_t public_bytes[CRYPTO_MODULUS_LEN_MAX + CRYPTO_EXPONENT_LEN_MAX];
    struct crypto_ec_own *ec; /* P-256, SM2 */
    EC_KEY *p384;
    BN_MONT_CTX *montgomery; /* RSA */
};

/* crypto.c */
enum crypto_hash { CRYPTO_SHA256, CRYPTO_SHA384, CRYPTO_SHA512 };
enum crypto_hash crypto_sig_hash(enum crypto_sig sig); /* not for Ed25519 and SM2 */
size_t crypto_hash_len(enum crypto_hash hash);
void crypto_digest(enum crypto_hash hash, const struct ca_bytes *parts, size_t count,
                   uint8_t *digest);
/* Octets of a coordinate; 0 if the type has none. */
size_t crypto_half_len(enum crypto_key_type type);
/* From the context's source, checked for a source that repeats itself. */
CA_MUST_CHECK enum ca_err crypto_fresh(struct crypto *crypto, uint8_t *bytes, size_t len);
/* Copies the numbers that `key` borrows into `bytes`; CSR_POINT, KEY_SIZE or KEY_EXPONENT if their
 * lengths cannot be right. */
CA_MUST_CHECK enum ca_err crypto_public_copy(const struct crypto_public_key *key, uint8_t *bytes,
                                             size_t size, struct crypto_public_key *copy_out);
/* What OpenSSL's error queue says, which is emptied: RANDOM, NOMEM, otherwise `other`. */
enum ca_err crypto_openssl_error(enum ca_err other);

/* p384.c */
CA_MUST_CHECK enum ca_err crypto_p384_open(struct crypto_p384 *curve);
void crypto_p384_close(struct crypto_p384 *curve);
CA_MUST_CHECK enum ca_err crypto_p384_verify(struct crypto *crypto,
                                             const struct crypto_verification *job);
CA_MUST_CHECK enum ca_err crypto_p384_own(const struct crypto_public_key *key,
                                          struct crypto_own_key *own);
CA_MUST_CHECK enum ca_err crypto_p384_verify_own(struct crypto *crypto,
                                                 const struct crypto_own_key *own,
                                                 const uint8_t *digest, size_t digest_len,
                                                 struct ca_bytes signature);
CA_MUST_CHECK enum ca_err crypto_p384_sign(const struct crypto_private_key *key,
                                           const uint8_t *digest, size_t digest_len,
                                           struct crypto_signature *signature);

/* elliptic.c */
/* P-256 and SM2 in any mixture; sets every result. */
void crypto_elliptic_verify_many(struct crypto *crypto, struct crypto_verification *const *jobs,
                                 size_t count);
/* What is signed, for a key of P-256 or SM2. At most CRYPTO_BATCH_MAX, as below. */
void crypto_elliptic_digests(const struct crypto *crypto, const struct crypto_public_key *key,
                             enum crypto_sig sig, const struct ca_bytes *messages, size_t count,
                             uint8_t (*digests)[CA_DIGEST_LEN]);
CA_MUST_CHECK enum ca_err crypto_elliptic_sign_many(struct crypto *crypto,
                                                    const struct crypto_private_key *key,
                                                    const uint8_t (*digests)[CA_DIGEST_LEN],
                                                    size_t count,
                                                    struct crypto_signature *signatures);
CA_MUST_CHECK enum ca_err crypto_elliptic_own(const struct crypto_public_key *key,
                                              struct crypto_own_key *own);
CA_MUST_CHECK enum ca_err crypto_elliptic_verify_own_many(struct crypto *crypto,
                                                          const struct crypto_own_key *own,
                                                          const uint8_t (*digests)[CA_DIGEST_LEN],
                                                          size_t count,
                                                          const struct ca_bytes *signatures);
/* One digest (for SM2 of Z and message), a key of any of the three curves. */
CA_MUST_CHECK enum ca_err crypto_elliptic_sign_digest(struct crypto *crypto,
                                                      const struct crypto_private_key *key,
                                                      const uint8_t *digest, size_t digest_len,
                                                      struct crypto_signature *signature);
CA_MUST_CHECK enum ca_err crypto_elliptic_verify_own_digest(struct crypto *crypto,
                                                            const struct crypto_own_key *own,
                                                            const uint8_t *digest,
                                                            size_t digest_len,
                                                            struct ca_bytes signature);
/* Everything in the key that follows from the scalar in key->secret. */
CA_MUST_CHECK enum ca_err crypto_elliptic_derive(struct crypto_private_key *key);
void crypto_elliptic_wipe(struct crypto_private_key *key);

/* rsa.c */
CA_MUST_CHECK enum ca_err crypto_rsa_verify(struct crypto *crypto,
                                            const struct crypto_public_key *key,
                                            BN_MONT_CTX *own_montgomery, enum crypto_sig sig,
                                            struct ca_bytes message, struct ca_bytes signature);
CA_MUST_CHECK enum ca_err crypto_rsa_sign(struct crypto *crypto,
                                          const struct crypto_private_key *key, enum crypto_sig sig,
                                          struct ca_bytes message,
                                          struct crypto_signature *signature);
/* The same from the digest of the message, by the hash of the kind. */
CA_MUST_CHECK enum ca_err crypto_rsa_verify_digest(struct crypto *crypto,
                                                   const struct crypto_public_key *key,
                                                   BN_MONT_CTX *own_montgomery, enum crypto_sig sig,
                                                   const uint8_t *digest,
                                                   struct ca_bytes signature);
CA_MUST_CHECK enum ca_err crypto_rsa_sign_digest(struct crypto *crypto,
                                                 const struct crypto_private_key *key,
                                                 enum crypto_sig sig, const uint8_t *digest,
                                                 struct crypto_signature *signature);
/* EMSA-PKCS1-v1_5 or EMSA-PSS of the digest, as long as the modulus. */
CA_MUST_CHECK enum ca_err crypto_rsa_encode(struct crypto *crypto, enum crypto_sig sig,
                                            const uint8_t *digest, uint8_t *encoded, size_t len);
bool crypto_rsa_encoding_matches(enum crypto_sig sig, const uint8_t *digest, const uint8_t *encoded,
                                 size_t len);
CA_MUST_CHECK enum ca_err crypto_rsa_own(const struct crypto_public_key *key,
                                         struct crypto_own_key *own);
CA_MUST_CHECK enum ca_err crypto_rsa_generate(uint32_t bits, struct crypto_private_key *key);
/* Fills key->public from key->rsa, and lets it make its first signature. */
CA_MUST_CHECK enum ca_err crypto_rsa_publish(struct crypto_private_key *key);

/* rsa_many.c: at most CRYPTO_BATCH_MAX. */
void crypto_rsa_verify_many(struct crypto *crypto, struct crypto_verification *const *jobs,
                            size_t count); /* sets every result */
CA_MUST_CHECK enum ca_err crypto_rsa_verify_own_many(struct crypto *crypto,
                                                     const struct crypto_own_key *own,
                                                     enum crypto_sig sig,
                                                     const struct ca_bytes *messages, size_t count,
                                                     const struct ca_bytes *signatures);
size_t crypto_rsa_sign_lot(const struct crypto_public_key *key); /* crypto_sign_lot() */
CA_MUST_CHECK enum ca_err crypto_rsa_sign_many(struct crypto *crypto,
                                               const struct crypto_private_key *key,
                                               enum crypto_sig sig, const struct ca_bytes *messages,
                                               size_t count, struct crypto_signature *signatures);

/* rsa_lanes.c */
/* In the secure heap. CA_OK and NULL if the lanes are not made for such a key. */
CA_MUST_CHECK enum ca_err crypto_rsa_lanes_key_new(const RSA *rsa, struct rsa_lanes_key **key_out);
void crypto_rsa_lanes_key_free(struct rsa_lanes_key *key);

/* ed25519.c */
enum { CRYPTO_ED25519_SECRET_LEN = 64, CRYPTO_ED25519_SEED_LEN = 32 };
CA_MUST_CHECK enum ca_err crypto_ed25519_verify(struct ca_bytes point, struct ca_bytes message,
                                                struct ca_bytes signature);
CA_MUST_CHECK enum ca_err crypto_ed25519_sign(const uint8_t *secret, struct ca_bytes message,
                                              struct crypto_signature *signature);
/* secret: the seed comes in, seed and public key go out. */
void crypto_ed25519_derive(uint8_t secret[CRYPTO_ED25519_SECRET_LEN]);
