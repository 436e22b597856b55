/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA by RFC 8017: PKCS#1 v1.5 and PSS, with the encodings made here and compared whole, so
 * nothing is parsed. Exponentiation is OpenSSL's here, without an RSA object per public key;
 * rsa_many.c knows another.
 */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "ca/crypto/internal.h"
#include "ca/crypto/memory.h"

static bool is_pss(enum crypto_sig sig)
{
    return sig == CRYPTO_SIG_PSS_SHA256 || sig == CRYPTO_SIG_PSS_SHA384 ||
           sig == CRYPTO_SIG_PSS_SHA512;
}

/* EM = 0x00 0x01 0xff... 0x00 DigestInfo (section 9.2); false if len is too short for it. */
static bool pkcs1_encode(enum crypto_hash hash, const uint8_t *message_digest, uint8_t *encoded,
                         size_t len)
{
    /* DigestInfo ::= SEQUENCE { SEQUENCE { 2.16.840.1.101.3.4.2.x, NULL }, OCTET STRING } */
    uint8_t prefix[] = { 0x30, 0x11, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                         0x65, 0x03, 0x04, 0x02, 0x00, 0x05, 0x00, 0x04, 0x00 };
    static const uint8_t arcs[] = { [CRYPTO_SHA256] = 1, [CRYPTO_SHA384] = 2, [CRYPTO_SHA512] = 3 };
    size_t digest_len = crypto_hash_len(hash);
    size_t tail = sizeof(prefix) + digest_len;

    if (len < tail + 11)
        return false;
    prefix[1] = (uint8_t)(prefix[1] + digest_len);
    prefix[14] = arcs[hash];
    prefix[18] = (uint8_t)digest_len;
    encoded[0] = 0x00;
    encoded[1] = 0x01;
    memset(encoded + 2, 0xff, len - tail - 3);
    encoded[len - tail - 1] = 0x00;
    memcpy(encoded + len - tail, prefix, sizeof(prefix));
    memcpy(encoded + len - digest_len, message_digest, digest_len);
    return true;
}

/* MGF1 (appendix B.2.1), added to what is there. */
static void mask_add(enum crypto_hash hash, const uint8_t *seed, uint8_t *masked, size_t len)
{
    size_t digest_len = crypto_hash_len(hash);
    uint8_t block[CRYPTO_HASH_LEN_MAX];
    uint8_t counter[4] = { 0 }; /* at most 16 blocks */

    for (size_t at = 0; at < len; at += digest_len, counter[3]++) {
        const struct ca_bytes parts[] = { { seed, digest_len }, { counter, sizeof(counter) } };
        crypto_digest(hash, parts, 2, block);
        for (size_t i = 0; i < digest_len && at + i < len; i++)
            masked[at + i] ^= block[i];
    }
}

/* H = Hash(eight zeros || Hash(M) || salt), section 9.1.1 steps 5 and 6. */
static void pss_digest(enum crypto_hash hash, const uint8_t *message_digest, const uint8_t *salt,
                       uint8_t *digest)
{
    static const uint8_t zeros[8];
    size_t digest_len = crypto_hash_len(hash);
    const struct ca_bytes parts[] = { { zeros, sizeof(zeros) },
                                      { message_digest, digest_len },
                                      { salt, digest_len } };
    crypto_digest(hash, parts, 3, digest);
}

/*
 * Section 9.1.1 and 9.1.2 for a modulus of whole octets (emBits = 8 len - 1) and a salt as long
 * as the hash: maskedDB || H || 0xbc, DB = 0x00... 0x01 salt.
 */
static bool pss_encode(enum crypto_hash hash, const uint8_t *message_digest, const uint8_t *salt,
                       uint8_t *encoded, size_t len)
{
    size_t digest_len = crypto_hash_len(hash);

    if (len < 2 * digest_len + 2)
        return false;
    size_t masked_len = len - digest_len - 1;
    uint8_t *digest = encoded + masked_len;
    pss_digest(hash, message_digest, salt, digest);
    memset(encoded, 0, masked_len - digest_len - 1);
    encoded[masked_len - digest_len - 1] = 0x01;
    memcpy(encoded + masked_len - digest_len, salt, digest_len);
    mask_add(hash, digest, encoded, masked_len);
    encoded[0] &= 0x7f;
    encoded[len - 1] = 0xbc;
    return true;
}

/* Takes the salt out, encodes again, compares: every bit of the encoding is checked that way. */
static bool pss_matches(enum crypto_hash hash, const uint8_t *message_digest,
                        const uint8_t *encoded, size_t len)
{
    size_t digest_len = crypto_hash_len(hash);
    uint8_t masked[CRYPTO_MODULUS_LEN_MAX];
    uint8_t again[CRYPTO_MODULUS_LEN_MAX];

    if (len < 2 * digest_len + 2)
        return false;
    size_t masked_len = len - digest_len - 1;
    memcpy(masked, encoded, masked_len);
    mask_add(hash, encoded + masked_len, masked, masked_len);
    return pss_encode(hash, message_digest, masked + masked_len - digest_len, again, len) &&
           ca_bytes_equal(ca_bytes_of(encoded, len), ca_bytes_of(again, len));
}

bool crypto_rsa_encoding_matches(enum crypto_sig sig, const uint8_t *digest, const uint8_t *encoded,
                                 size_t len)
{
    enum crypto_hash hash = crypto_sig_hash(sig);
    uint8_t expected[CRYPTO_MODULUS_LEN_MAX];

    if (is_pss(sig))
        return pss_matches(hash, digest, encoded, len);
    return pkcs1_encode(hash, digest, expected, len) &&
           ca_bytes_equal(ca_bytes_of(encoded, len), ca_bytes_of(expected, len));
}

enum ca_err crypto_rsa_encode(struct crypto *crypto, enum crypto_sig sig, const uint8_t *digest,
                              uint8_t *encoded, size_t len)
{
    enum crypto_hash hash = crypto_sig_hash(sig);
    uint8_t salt[CRYPTO_HASH_LEN_MAX];
    bool is_encoded;

    if (is_pss(sig)) {
        enum ca_err err = crypto_fresh(crypto, salt, crypto_hash_len(hash));
        if (err != CA_OK)
            return err;
        is_encoded = pss_encode(hash, digest, salt, encoded, len);
    } else {
        is_encoded = pkcs1_encode(hash, digest, encoded, len);
    }
    return is_encoded ? CA_OK : CA_ERR_KEY_UNUSABLE;
}

/* encoded = signature ^ e mod n, as long as n (section 5.2.2). */
static enum ca_err public_power(struct crypto *crypto, const struct crypto_public_key *key,
                                BN_MONT_CTX *montgomery, struct ca_bytes signature,
                                uint8_t *encoded)
{
    if (BN_bin2bn(key->modulus.data, (int)key->modulus.len, crypto->modulus) == NULL ||
        BN_bin2bn(key->exponent.data, (int)key->exponent.len, crypto->exponent) == NULL ||
        BN_bin2bn(signature.data, (int)signature.len, crypto->base) == NULL)
        return CA_ERR_NOMEM;
    if (!BN_is_odd(crypto->modulus) || BN_is_zero(crypto->exponent) ||
        BN_ucmp(crypto->base, crypto->modulus) >= 0)
        return CA_ERR_CSR_SIG;
    if (montgomery == NULL) {
        montgomery = crypto->montgomery;
        if (BN_MONT_CTX_set(montgomery, crypto->modulus, crypto->numbers) != 1)
            return crypto_openssl_error(CA_ERR_CSR_SIG);
    }
    if (BN_mod_exp_mont(crypto->power, crypto->base, crypto->exponent, crypto->modulus,
                        crypto->numbers, montgomery) != 1 ||
        BN_bn2binpad(crypto->power, encoded, (int)key->modulus.len) < 0)
        return crypto_openssl_error(CA_ERR_CSR_SIG);
    return CA_OK;
}

enum ca_err crypto_rsa_verify_digest(struct crypto *crypto, const struct crypto_public_key *key,
                                     BN_MONT_CTX *own_montgomery, enum crypto_sig sig,
                                     const uint8_t *digest, struct ca_bytes signature)
{
    size_t len = key->modulus.len;
    uint8_t encoded[CRYPTO_MODULUS_LEN_MAX];

    /* A top bit that is not set would be a modulus of other than whole octets (and no DER). */
    if (len == 0 || len > sizeof(encoded) || signature.len != len || key->modulus.data[0] < 0x80 ||
        key->exponent.len == 0 || key->exponent.len > CRYPTO_EXPONENT_LEN_MAX)
        return CA_ERR_CSR_SIG;

    enum ca_err err = public_power(crypto, key, own_montgomery, signature, encoded);
    if (err != CA_OK)
        return err;
    return crypto_rsa_encoding_matches(sig, digest, encoded, len) ? CA_OK : CA_ERR_CSR_SIG;
}

enum ca_err crypto_rsa_verify(struct crypto *crypto, const struct crypto_public_key *key,
                              BN_MONT_CTX *own_montgomery, enum crypto_sig sig,
                              struct ca_bytes message, struct ca_bytes signature)
{
    uint8_t digest[CRYPTO_HASH_LEN_MAX];

    crypto_digest(crypto_sig_hash(sig), &message, 1, digest);
    return crypto_rsa_verify_digest(crypto, key, own_montgomery, sig, digest, signature);
}

enum ca_err crypto_rsa_sign_digest(struct crypto *crypto, const struct crypto_private_key *key,
                                   enum crypto_sig sig, const uint8_t *digest,
                                   struct crypto_signature *signature)
{
    size_t len = key->public.modulus.len;
    uint8_t encoded[CRYPTO_MODULUS_LEN_MAX];
    enum ca_err err = crypto_rsa_encode(crypto, sig, digest, encoded, len);

    if (err != CA_OK)
        return err;
    /* OpenSSL blinds, and checks its result with the public key before it gives it out. */
    if (RSA_private_encrypt((int)len, encoded, signature->bytes, key->rsa, RSA_NO_PADDING) !=
        (int)len)
        return crypto_openssl_error(CA_ERR_KEY_UNUSABLE);
    signature->len = len;
    return CA_OK;
}

enum ca_err crypto_rsa_sign(struct crypto *crypto, const struct crypto_private_key *key,
                            enum crypto_sig sig, struct ca_bytes message,
                            struct crypto_signature *signature)
{
    uint8_t digest[CRYPTO_HASH_LEN_MAX];

    crypto_digest(crypto_sig_hash(sig), &message, 1, digest);
    return crypto_rsa_sign_digest(crypto, key, sig, digest, signature);
}

enum ca_err crypto_rsa_own(const struct crypto_public_key *key, struct crypto_own_key *own)
{
    enum ca_err err = CA_ERR_NOMEM;
    BN_CTX *numbers = BN_CTX_new();
    BIGNUM *modulus = BN_bin2bn(key->modulus.data, (int)key->modulus.len, NULL);

    own->montgomery = BN_MONT_CTX_new();
    if (numbers != NULL && modulus != NULL && own->montgomery != NULL)
        err = BN_is_odd(modulus) && BN_MONT_CTX_set(own->montgomery, modulus, numbers) == 1
                  ? CA_OK
                  : crypto_openssl_error(CA_ERR_KEY_WEAK);
    BN_free(modulus);
    BN_CTX_free(numbers);
    return err;
}

enum ca_err crypto_rsa_generate(uint32_t bits, struct crypto_private_key *key)
{
    BIGNUM *exponent = BN_new();
    enum ca_err err = CA_ERR_NOMEM;

    key->rsa = RSA_new();
    if (exponent != NULL && key->rsa != NULL && BN_set_word(exponent, CRYPTO_RSA_EXPONENT) == 1)
        err = RSA_generate_key_ex(key->rsa, (int)bits, exponent, NULL) == 1
                  ? CA_OK
                  : crypto_openssl_error(CA_ERR_KEY_UNUSABLE);
    BN_free(exponent);
    return err;
}

/*
 * OpenSSL copies the factors (into Montgomery contexts) when they are first used, and keeps the
 * copies: that is done here, where they come into the secure heap.
 */
static enum ca_err settle(RSA *rsa)
{
    uint8_t message[CRYPTO_MODULUS_LEN_MAX] = { 0 }, power[CRYPTO_MODULUS_LEN_MAX];
    int len = RSA_size(rsa);

    /* The generator of this thread is ordinary memory, and would be large. */
    if (RAND_priv_bytes(power, sizeof(power)) != 1)
        return CA_ERR_RANDOM;
    message[len - 1] = 2;
    crypto_memory_begin();
    int made = RSA_private_encrypt(len, message, power, rsa, RSA_NO_PADDING);
    crypto_memory_end();
    OPENSSL_cleanse(power, sizeof(power));
    return made == len ? CA_OK : crypto_openssl_error(CA_ERR_KEY_UNUSABLE);
}

enum ca_err crypto_rsa_publish(struct crypto_private_key *key)
{
    const BIGNUM *n = RSA_get0_n(key->rsa);
    const BIGNUM *e = RSA_get0_e(key->rsa);
    int bits = BN_num_bits(n);

    if (bits % 8 != 0 || bits < CA_RSA_BITS_MIN || bits > CA_RSA_BITS_MAX)
        return CA_ERR_KEY_SIZE;
    if (BN_is_zero(e) || BN_num_bytes(e) > CRYPTO_EXPONENT_LEN_MAX)
        return CA_ERR_KEY_EXPONENT;
    key->public.bits = (uint32_t)bits;
    key->public.modulus = ca_bytes_of(key->public_bytes, (size_t)BN_bn2bin(n, key->public_bytes));
    uint8_t *after = key->public_bytes + key->public.modulus.len;
    key->public.exponent = ca_bytes_of(after, (size_t)BN_bn2bin(e, after));
    enum ca_err err = settle(key->rsa);
    if (err != CA_OK || crypto_ec_backend_best() != CRYPTO_EC_LANES)
        return err;
    return crypto_rsa_lanes_key_new(key->rsa, &key->lanes);
}
