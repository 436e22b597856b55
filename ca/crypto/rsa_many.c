/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many RSA signatures at once: what goes through the lanes, and what is left for OpenSSL. Both
 * answer the same; a vector costs the same full or empty, so few go one by one.
 */
#include <assert.h>
#include <openssl/crypto.h>

#include "ca/crypto/internal.h"

enum {
    LANES_VERIFY_MIN = 2, /* a vector of verifications costs as much as two by OpenSSL */
    SIGN_LOT = RSA_LANES, /* two vectors to sign, which are one to verify */
};

/* A vector of signatures costs as much as 2.6 by OpenSSL for 2048 bits, for which it has its own
 * AVX-512, and 1.1 for others. */
static size_t lanes_sign_min(size_t modulus_len)
{
    return modulus_len == 256 ? 3 : 2;
}

static bool is_usual_exponent(struct ca_bytes exponent)
{
    static const uint8_t usual[] = { 0x01, 0x00, 0x01 };

    return ca_bytes_equal(exponent, ca_bytes_of(usual, sizeof(usual)));
}
_Static_assert(CRYPTO_RSA_EXPONENT == 0x010001, "the usual exponent");

/* One signature to be verified. */
struct task {
    const struct crypto_public_key *key;
    BN_MONT_CTX *montgomery; /* or NULL */
    enum crypto_sig sig;
    struct ca_bytes message, signature;
    enum ca_err *result;
};

static bool fits_lanes(const struct task *task)
{
    struct ca_bytes modulus = task->key->modulus;

    return rsa_lanes_limbs(modulus.len) != 0 && task->signature.len == modulus.len &&
           modulus.data[0] >= 0x80 && (modulus.data[modulus.len - 1] & 1) == 1 &&
           is_usual_exponent(task->key->exponent) && ca_bytes_compare(task->signature, modulus) < 0;
}

/* At most RSA_LANES, with moduli of one length. */
static void verify_lanes(const struct task *const *tasks, size_t count)
{
    struct rsa_lanes_power powers[RSA_LANES];
    size_t len = tasks[0]->key->modulus.len;
    uint8_t digest[CRYPTO_HASH_LEN_MAX];

    for (size_t i = 0; i < count; i++) {
        powers[i].modulus = tasks[i]->key->modulus.data;
        powers[i].base = tasks[i]->signature.data;
    }
    crypto_rsa_lanes_power(len, powers, count);
    for (size_t i = 0; i < count; i++) {
        const struct task *task = tasks[i];
        crypto_digest(crypto_sig_hash(task->sig), &task->message, 1, digest);
        bool is_good = crypto_rsa_encoding_matches(task->sig, digest, powers[i].power, len);
        *task->result = is_good ? CA_OK : CA_ERR_CSR_SIG;
    }
}

static void verify_openssl(struct crypto *crypto, const struct task *const *tasks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct task *task = tasks[i];
        *task->result = crypto_rsa_verify(crypto, task->key, task->montgomery, task->sig,
                                          task->message, task->signature);
    }
}

/* At most CRYPTO_BATCH_MAX. One length of modulus after the other; what fits none is the rest. */
static void verify(struct crypto *crypto, struct task *tasks, size_t count)
{
    static const size_t lengths[] = { 256, 384, 512, 0 };
    const struct task *same[CRYPTO_BATCH_MAX];

    assert(count <= CRYPTO_BATCH_MAX);
    for (size_t length = 0; length < sizeof(lengths) / sizeof(lengths[0]); length++) {
        size_t same_count = 0, done = 0;
        for (size_t i = 0; i < count; i++) {
            bool fits = crypto->backend == CRYPTO_EC_LANES && fits_lanes(&tasks[i]);
            if ((fits ? tasks[i].key->modulus.len : 0) == lengths[length])
                same[same_count++] = &tasks[i];
        }
        while (lengths[length] != 0 && same_count - done >= LANES_VERIFY_MIN) {
            size_t some = same_count - done < RSA_LANES ? same_count - done : RSA_LANES;
            verify_lanes(same + done, some);
            done += some;
        }
        verify_openssl(crypto, same + done, same_count - done);
    }
}

void crypto_rsa_verify_many(struct crypto *crypto, struct crypto_verification *const *jobs,
                            size_t count)
{
    struct task tasks[CRYPTO_BATCH_MAX];

    for (size_t i = 0; i < count; i++)
        tasks[i] = (struct task){ jobs[i]->key,       NULL,
                                  jobs[i]->sig,       jobs[i]->message,
                                  jobs[i]->signature, &jobs[i]->result };
    verify(crypto, tasks, count);
}

enum ca_err crypto_rsa_verify_own_many(struct crypto *crypto, const struct crypto_own_key *own,
                                       enum crypto_sig sig, const struct ca_bytes *messages,
                                       size_t count, const struct ca_bytes *signatures)
{
    struct task tasks[CRYPTO_BATCH_MAX];
    enum ca_err results[CRYPTO_BATCH_MAX];

    for (size_t i = 0; i < count; i++)
        tasks[i] = (struct task){ &own->public, own->montgomery, sig,
                                  messages[i],  signatures[i],   &results[i] };
    verify(crypto, tasks, count);
    for (size_t i = 0; i < count; i++) {
        if (results[i] != CA_OK)
            return results[i];
    }
    return CA_OK;
}

/* ---- signing */

size_t crypto_rsa_sign_lot(const struct crypto_public_key *key)
{
    bool has_lanes = crypto_ec_backend_best() == CRYPTO_EC_LANES &&
                     rsa_lanes_limbs(key->modulus.len) != 0 && is_usual_exponent(key->exponent);

    return has_lanes ? SIGN_LOT : 1;
}

/*
 * A signature that is right modulo one factor only tells both: each is raised to e, and must give
 * what was encoded. That takes e = 65537, which keys with lanes have.
 */
static bool signatures_are_right(const struct crypto_private_key *key,
                                 const uint8_t (*encoded)[RSA_OCTETS_MAX],
                                 const uint8_t (*signed_)[RSA_OCTETS_MAX], size_t count)
{
    struct rsa_lanes_power powers[RSA_LANES];
    size_t len = key->public.modulus.len;
    bool are_right = true;

    for (size_t done = 0; done < count; done += RSA_LANES) {
        size_t some = count - done < RSA_LANES ? count - done : RSA_LANES;
        for (size_t i = 0; i < some; i++) {
            powers[i].modulus = key->public.modulus.data;
            powers[i].base = signed_[done + i];
        }
        crypto_rsa_lanes_power(len, powers, some);
        for (size_t i = 0; i < some; i++)
            are_right &= CRYPTO_memcmp(powers[i].power, encoded[done + i], len) == 0;
    }
    return are_right;
}

/* At most CRYPTO_BATCH_MAX. */
static enum ca_err sign_lanes(struct crypto *crypto, const struct crypto_private_key *key,
                              enum crypto_sig sig, const struct ca_bytes *messages, size_t count,
                              struct crypto_signature *signatures)
{
    uint8_t encoded[CRYPTO_BATCH_MAX][RSA_OCTETS_MAX], signed_[CRYPTO_BATCH_MAX][RSA_OCTETS_MAX];
    uint8_t digest[CRYPTO_HASH_LEN_MAX];
    size_t len = key->public.modulus.len;
    enum ca_err err;

    for (size_t i = 0; i < count; i++) {
        crypto_digest(crypto_sig_hash(sig), &messages[i], 1, digest);
        if ((err = crypto_rsa_encode(crypto, sig, digest, encoded[i], len)) != CA_OK)
            return err;
    }
    for (size_t done = 0; done < count; done += RSA_LANES_MESSAGES) {
        size_t some = count - done < RSA_LANES_MESSAGES ? count - done : RSA_LANES_MESSAGES;
        crypto_rsa_lanes_sign(key->lanes, len, (const void *)(encoded + done), some,
                              signed_ + done);
    }
    err = signatures_are_right(key, (const void *)encoded, (const void *)signed_, count)
              ? CA_OK
              : CA_ERR_SIGNATURE_WRONG;
    for (size_t i = 0; i < count && err == CA_OK; i++) {
        memcpy(signatures[i].bytes, signed_[i], len);
        signatures[i].len = len;
    }
    if (err != CA_OK)
        OPENSSL_cleanse(signed_, sizeof(signed_));
    return err;
}

enum ca_err crypto_rsa_sign_many(struct crypto *crypto, const struct crypto_private_key *key,
                                 enum crypto_sig sig, const struct ca_bytes *messages, size_t count,
                                 struct crypto_signature *signatures)
{
    enum ca_err err = CA_OK;
    size_t done = 0;

    assert(count <= CRYPTO_BATCH_MAX);
    if (crypto->backend == CRYPTO_EC_LANES && key->lanes != NULL) {
        size_t rest = count % RSA_LANES_MESSAGES;
        done = rest < lanes_sign_min(key->public.modulus.len) ? count - rest : count;
        if (done > 0)
            err = sign_lanes(crypto, key, sig, messages, done, signatures);
    }
    for (; done < count && err == CA_OK; done++)
        err = crypto_rsa_sign(crypto, key, sig, messages[done], &signatures[done]);
    return err;
}
