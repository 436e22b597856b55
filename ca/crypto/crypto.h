/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto: signatures, many at a time.
 *
 * A struct crypto holds the contexts of one thread; keys are const after they are
 * made and may be shared by threads. Nothing here knows X.509: keys are points and
 * numbers, signatures are the octets that go into a BIT STRING.
 */
#pragma once

#include "ca/base/bytes.h"
#include "ca/base/err.h"
#include "ca/base/limits.h"

enum crypto_key_type {
    CRYPTO_KEY_NONE,
    CRYPTO_KEY_P256,
    CRYPTO_KEY_P384,
    CRYPTO_KEY_RSA,
    CRYPTO_KEY_ED25519,
    CRYPTO_KEY_SM2,
};

enum crypto_sig {
    CRYPTO_SIG_NONE,
    CRYPTO_SIG_ECDSA_SHA256,
    CRYPTO_SIG_ECDSA_SHA384,
    CRYPTO_SIG_ECDSA_SHA512,
    CRYPTO_SIG_RSA_SHA256, /* PKCS#1 v1.5 */
    CRYPTO_SIG_RSA_SHA384,
    CRYPTO_SIG_RSA_SHA512,
    CRYPTO_SIG_PSS_SHA256, /* MGF1 with the same hash, salt as long as the hash */
    CRYPTO_SIG_PSS_SHA384,
    CRYPTO_SIG_PSS_SHA512,
    CRYPTO_SIG_ED25519,
    CRYPTO_SIG_SM2_SM3, /* identity 1234567812345678 (GM/T 0009, section 10) */
};

/* "p256", "sm2": the names used in the configuration, on the command line and in reports. */
const char *crypto_key_type_name(enum crypto_key_type type);
/* Does this kind of signature fit this kind of key? */
bool crypto_sig_fits(enum crypto_sig sig, enum crypto_key_type type);
/* The one a key of this type makes unless something else was said. */
enum crypto_sig crypto_sig_usual(enum crypto_key_type type);

/* Borrowed from wherever it was read. */
struct crypto_public_key {
    enum crypto_key_type type;
    uint32_t bits;            /* of the field or modulus */
    struct ca_bytes point;    /* EC and SM2: 0x04, X, Y; Ed25519: 32 octets */
    struct ca_bytes modulus;  /* RSA: big endian, no leading zero */
    struct ca_bytes exponent; /* RSA: big endian, no leading zero */
};
bool crypto_public_key_equal(const struct crypto_public_key *a, const struct crypto_public_key *b);

struct crypto;
CA_MUST_CHECK enum ca_err crypto_open(struct crypto **crypto_out);
/*
 * With the tables of another one, which take most of the time and memory of opening; nothing else
 * is shared, and either may be closed first. NULL: tables of its own. Any thread.
 */
CA_MUST_CHECK enum ca_err crypto_open_beside(const struct crypto *other,
                                             struct crypto **crypto_out);
void crypto_close(struct crypto *crypto);
/*
 * With another source of randomness than crypto_random(): tests, and signers that have their
 * own. What it answers is checked for repetitions; RANDOM stops signing.
 */
typedef enum ca_err crypto_random_fn(void *arg, uint8_t *bytes, size_t len);
CA_MUST_CHECK enum ca_err crypto_open_with_random(crypto_random_fn *random, void *arg,
                                                  struct crypto **crypto_out);

struct crypto_verification {
    enum crypto_sig sig; /* must fit the key */
    const struct crypto_public_key *key;
    struct ca_bytes message;
    struct ca_bytes signature;
    enum ca_err result; /* CA_OK, CSR_SIG, CSR_POINT, or NOMEM */
};
/* Unrelated keys and kinds in any mixture; every result is set. */
void crypto_verify_many(struct crypto *crypto, struct crypto_verification *jobs, size_t count);

/*
 * RSA public keys (CA/B Forum BR 6.1.6 and 6.1.1.3): modulus odd and of whole octets, exponent
 * odd, above 2^16 and below 2^256, no factor below 752, not near a square (Fermat, 100
 * rounds), not of the ROCA form. KEY_SIZE (whole octets, CA_RSA_BITS_MAX), KEY_EXPONENT or
 * KEY_WEAK; the rule is named. Asks for no memory.
 */
CA_MUST_CHECK enum ca_err crypto_rsa_check(const struct crypto_public_key *key,
                                           struct ca_refusal *refusal);

/*
 * A private key in locked memory, with what makes its signatures fast. keys_harden_process()
 * comes first: without OpenSSL's secure heap there are no keys (KEY_UNUSABLE).
 */
enum { CRYPTO_PKCS8_LEN_MAX = 2560 }; /* RSA-4096 */
struct crypto_private_key;
/* rsa_bits is 2048, 3072 or 4096 for RSA, otherwise ignored. */
CA_MUST_CHECK enum ca_err crypto_private_key_generate(enum crypto_key_type type, uint32_t rsa_bits,
                                                      struct crypto_private_key **key_out);
/* PKCS#8 PrivateKeyInfo (RFC 5208), unencrypted, strict DER; der is the caller's to wipe.
 * KEY_UNUSABLE if it is not that or its numbers do not all fit together, KEY_TYPE, KEY_SIZE; for
 * RSA also what crypto_rsa_check() answers. */
CA_MUST_CHECK enum ca_err crypto_private_key_parse(struct ca_bytes der,
                                                   struct crypto_private_key **key_out);
/* Writes PKCS#8 into buffer, which is the caller's to wipe; CRYPTO_PKCS8_LEN_MAX always fits. */
CA_MUST_CHECK enum ca_err crypto_private_key_encode(const struct crypto_private_key *key,
                                                    uint8_t *buffer, size_t size, size_t *len_out);
void crypto_private_key_free(struct crypto_private_key *key);
/* Lent until the key is freed. */
const struct crypto_public_key *crypto_private_key_public(const struct crypto_private_key *key);

/* As many messages as are signed together for little more than one; 1 if that saves nothing. */
size_t crypto_sign_lot(const struct crypto_public_key *key);

struct crypto_signature {
    uint8_t bytes[CA_SIGNATURE_LEN_MAX];
    size_t len;
};
/* All or none: on an error the signatures are wiped. RANDOM if the random source fails or repeats
 * itself, SIGNATURE_WRONG if an RSA signature does not give back what was signed. */
CA_MUST_CHECK enum ca_err crypto_sign_many(struct crypto *crypto,
                                           const struct crypto_private_key *key,
                                           enum crypto_sig sig, const struct ca_bytes *messages,
                                           size_t count, struct crypto_signature *signatures);

/* An issuer's public key, prepared to check many signatures of its own. */
struct crypto_own_key;
CA_MUST_CHECK enum ca_err crypto_own_key_new(const struct crypto_public_key *key,
                                             struct crypto_own_key **own_out);
void crypto_own_key_free(struct crypto_own_key *own);
/* Lent until the key is freed. */
const struct crypto_public_key *crypto_own_key_public(const struct crypto_own_key *own);
/* CA_OK if every signature verifies, otherwise SIGNATURE_WRONG (or NOMEM: nothing is known). */
CA_MUST_CHECK enum ca_err crypto_verify_own_many(struct crypto *crypto,
                                                 const struct crypto_own_key *own,
                                                 enum crypto_sig sig,
                                                 const struct ca_bytes *messages, size_t count,
                                                 const struct crypto_signature *signatures);

/* Cryptographically strong random octets. Never half: on an error none is to be used. */
CA_MUST_CHECK enum ca_err crypto_random(uint8_t *bytes, size_t len);
