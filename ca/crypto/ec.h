/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ec: P-256 (ECDSA, FIPS 186-5) and SM2 (GB/T 32918.2) signatures, many at a time.
 *
 * This layer knows numbers, not formats: hashing, SM2's Z and DER are the caller's. A
 * digest is the 32 octets to be signed (for SM2 e = SM3(Z || M)), a point is x || y, a
 * signature is r || s, all big endian with leading zeros kept.
 *
 * Everything made here is constant once made, so threads share it without locks. Calls ask
 * for no memory; they work on the stack and need up to 256 KiB of it. Signing takes the same
 * time and touches the same addresses whatever the key, the nonce and the digest are;
 * verifying does not, for nothing in it is secret. Both widths give the same verdicts and,
 * from the same nonces, the same signatures. docs/CRYPTO.md tells how it works.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ca/base/err.h"

enum {
    CRYPTO_EC_SCALAR_LEN = 32,
    CRYPTO_EC_DIGEST_LEN = 32,
    CRYPTO_EC_FRESH_LEN = 32,
    CRYPTO_EC_POINT_LEN = 64,
    CRYPTO_EC_SIGNATURE_LEN = 64,
};

enum crypto_ec_curve { CRYPTO_EC_P256, CRYPTO_EC_SM2, CRYPTO_EC_CURVE_COUNT };

/* LANES needs AVX-512 with IFMA, and takes lots too small for it the portable way. */
enum crypto_ec_backend { CRYPTO_EC_PORTABLE, CRYPTO_EC_LANES };

/* The fastest this machine and its operating system can run. */
enum crypto_ec_backend crypto_ec_backend_best(void);

/* Tables of both base points, the same for everybody: some 10 ms to make, about 1 MiB. */
struct crypto_ec;

/* CONFIG if this machine has no such backend. */
CA_MUST_CHECK enum ca_err crypto_ec_new(enum crypto_ec_backend backend, struct crypto_ec **ec_out);
/* One more holder, who frees it, too; from any thread. */
struct crypto_ec *crypto_ec_share(struct crypto_ec *ec);
void crypto_ec_free(struct crypto_ec *ec); /* with its last holder */

/*
 * A private key, ready for signing. Spelled out so that its owner decides in which memory it
 * lives; nobody else reads the fields.
 */
struct crypto_ec_key {
    enum crypto_ec_curve curve;
    uint64_t scalar[4];      /* d, Montgomery form modulo n */
    uint64_t blend[4];       /* SM2: 1 / (1 + d), Montgomery form modulo n */
    uint32_t nonce_inner[8]; /* SHA-256 behind the first block of the nonce's HMAC key */
    uint32_t nonce_outer[8];
    uint8_t secret[CRYPTO_EC_SCALAR_LEN];
};

/* KEY_UNUSABLE, and a wiped key, unless 1 <= scalar < n (SM2: < n - 1). */
CA_MUST_CHECK enum ca_err crypto_ec_key_init(enum crypto_ec_curve curve,
                                             const uint8_t scalar[CRYPTO_EC_SCALAR_LEN],
                                             struct crypto_ec_key *key_out);
void crypto_ec_key_wipe(struct crypto_ec_key *key);
void crypto_ec_key_public(const struct crypto_ec *ec, const struct crypto_ec_key *key,
                          uint8_t point_out[CRYPTO_EC_POINT_LEN]);

/*
 * Signs each digest. With `fresh`, as many 32 random octets as digests, nonces are
 * HMAC-SHA-256 under a secret made from the key, over digest and randomness: no two alike,
 * and still unpredictable should the random source fail. With NULL they are those of
 * RFC 6979 (with HMAC-SHA-256 for both curves), and equal digests get equal signatures.
 */
void crypto_ec_sign_many(const struct crypto_ec *ec, const struct crypto_ec_key *key,
                         const uint8_t (*digests)[CRYPTO_EC_DIGEST_LEN], size_t count,
                         const uint8_t (*fresh)[CRYPTO_EC_FRESH_LEN],
                         uint8_t (*signatures_out)[CRYPTO_EC_SIGNATURE_LEN]);

/* Is this the encoding of a point of the curve, other than infinity, with x, y < p? */
bool crypto_ec_point_is_valid(enum crypto_ec_curve curve, const uint8_t point[CRYPTO_EC_POINT_LEN]);

/* One signature to be verified; is_valid is the answer. */
struct crypto_ec_verify {
    enum crypto_ec_curve curve;
    bool is_valid;
    uint8_t point[CRYPTO_EC_POINT_LEN];
    uint8_t digest[CRYPTO_EC_DIGEST_LEN];
    uint8_t signature[CRYPTO_EC_SIGNATURE_LEN];
};

/*
 * Keys may differ and curves may be mixed. Also decides on the point (not valid: false)
 * and on 1 <= r, s < n. Both s and n - s are accepted.
 */
void crypto_ec_verify_many(const struct crypto_ec *ec, struct crypto_ec_verify *jobs, size_t count);

/* A public key that verifies often, with a table of its multiples: some 350 KiB. */
struct crypto_ec_own;

/* KEY_UNUSABLE if the point is not valid. */
CA_MUST_CHECK enum ca_err crypto_ec_own_new(enum crypto_ec_curve curve,
                                            const uint8_t point[CRYPTO_EC_POINT_LEN],
                                            struct crypto_ec_own **own_out);
void crypto_ec_own_free(struct crypto_ec_own *own);
void crypto_ec_verify_own_many(const struct crypto_ec *ec, const struct crypto_ec_own *own,
                               const uint8_t (*digests)[CRYPTO_EC_DIGEST_LEN],
                               const uint8_t (*signatures)[CRYPTO_EC_SIGNATURE_LEN], size_t count,
                               bool *is_valid_out);
