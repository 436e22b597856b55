/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private keys: made, read and written. Secret numbers go straight from the caller's octets
 * into OpenSSL's secure heap: its decoders would leave copies on the ordinary one.
 */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "ca/crypto/internal.h"

/* ---- PKCS#8 heads: everything in front of the secret */

static const uint8_t head_p256[] = { 0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06,
                                     0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                     0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
                                     0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20 };
static const uint8_t head_sm2[] = { 0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06,
                                    0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                    0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d,
                                    0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20 };
static const uint8_t head_p384[] = { 0x30, 0x81, 0xb6, 0x02, 0x01, 0x00, 0x30, 0x10, 0x06,
                                     0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                     0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x04, 0x81, 0x9e,
                                     0x30, 0x81, 0x9b, 0x02, 0x01, 0x01, 0x04, 0x30 };
static const uint8_t head_ed25519[] = { 0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                        0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20 };

/* Content of the AlgorithmIdentifier. */
static const struct algorithm {
    enum crypto_key_type type;
    struct ca_bytes content;
} algorithms[] = {
    { CRYPTO_KEY_P256, { head_p256 + 8, 19 } },
    { CRYPTO_KEY_SM2, { head_sm2 + 8, 19 } },
    { CRYPTO_KEY_P384, { head_p384 + 8, 16 } },
    { CRYPTO_KEY_ED25519, { head_ed25519 + 7, 5 } },
    { CRYPTO_KEY_RSA,
      { (const uint8_t *)"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", 13 } },
};

static struct ca_bytes head_of(enum crypto_key_type type)
{
    switch (type) {
    case CRYPTO_KEY_P256: return ca_bytes_of(head_p256, sizeof(head_p256));
    case CRYPTO_KEY_P384: return ca_bytes_of(head_p384, sizeof(head_p384));
    case CRYPTO_KEY_SM2: return ca_bytes_of(head_sm2, sizeof(head_sm2));
    default: return ca_bytes_of(head_ed25519, sizeof(head_ed25519));
    }
}

/* ---- life */

static enum ca_err key_new(enum crypto_key_type type, size_t secret_len,
                           struct crypto_private_key **key_out)
{
    *key_out = NULL;
    /* Without it OpenSSL would quietly take ordinary memory. */
    if (CRYPTO_secure_malloc_initialized() != 1)
        return CA_ERR_KEY_UNUSABLE;

    struct crypto_private_key *key = calloc(1, sizeof(*key));
    if (key == NULL)
        return CA_ERR_NOMEM;
    key->public.type = type;
    key->secret_len = secret_len;
    if (secret_len > 0 && (key->secret = OPENSSL_secure_zalloc(secret_len)) == NULL) {
        free(key);
        ERR_clear_error();
        return CA_ERR_NOMEM;
    }
    *key_out = key;
    return CA_OK;
}

void crypto_private_key_free(struct crypto_private_key *key)
{
    if (key == NULL)
        return;
    OPENSSL_secure_clear_free(key->secret, key->secret_len);
    crypto_elliptic_wipe(key);
    RSA_free(key->rsa);
    crypto_rsa_lanes_key_free(key->lanes);
    free(key);
}

const struct crypto_public_key *crypto_private_key_public(const struct crypto_private_key *key)
{
    return &key->public;
}

static size_t secret_len_of(enum crypto_key_type type)
{
    return type == CRYPTO_KEY_ED25519 ? CRYPTO_ED25519_SECRET_LEN : crypto_half_len(type);
}

/* Public key, and what makes signatures fast, from the secret that is there. */
static enum ca_err derive(struct crypto_private_key *key)
{
    if (key->public.type == CRYPTO_KEY_RSA)
        return crypto_rsa_publish(key);
    if (key->public.type != CRYPTO_KEY_ED25519)
        return crypto_elliptic_derive(key);
    crypto_ed25519_derive(key->secret);
    memcpy(key->public_bytes, key->secret + CRYPTO_ED25519_SEED_LEN, 32);
    key->public.point = ca_bytes_of(key->public_bytes, 32);
    key->public.bits = 255;
    return CA_OK;
}

/* A scalar at or above n comes once in 2^32 draws (P-256, SM2): draw again. */
static enum ca_err generate_secret(struct crypto_private_key *key)
{
    enum ca_err err;
    size_t len = key->public.type == CRYPTO_KEY_ED25519 ? CRYPTO_ED25519_SEED_LEN : key->secret_len;

    for (int tries = 0; tries < 8; tries++) {
        if ((err = crypto_random(key->secret, len)) != CA_OK)
            return err;
        if ((err = derive(key)) != CA_ERR_KEY_UNUSABLE)
            return err;
    }
    return CA_ERR_RANDOM;
}

static enum ca_err generate_rsa(uint32_t bits, struct crypto_private_key *key)
{
    struct ca_refusal refusal;
    enum ca_err err;

    if ((err = crypto_rsa_generate(bits, key)) != CA_OK || (err = derive(key)) != CA_OK)
        return err;
    return crypto_rsa_check(&key->public, &refusal);
}

enum ca_err crypto_private_key_generate(enum crypto_key_type type, uint32_t rsa_bits,
                                        struct crypto_private_key **key_out)
{
    struct crypto_private_key *key = NULL;
    enum ca_err err;

    *key_out = NULL;
    if (type == CRYPTO_KEY_NONE)
        return CA_ERR_KEY_TYPE;
    if (type == CRYPTO_KEY_RSA && rsa_bits != 2048 && rsa_bits != 3072 && rsa_bits != 4096)
        return CA_ERR_KEY_SIZE;
    if ((err = key_new(type, secret_len_of(type), &key)) != CA_OK)
        return err;
    err = type == CRYPTO_KEY_RSA ? generate_rsa(rsa_bits, key) : generate_secret(key);
    if (err != CA_OK) {
        crypto_private_key_free(key);
        return err;
    }
    *key_out = key;
    return CA_OK;
}

/* ---- parse */

/* The content of the next value if it has this tag and a definite length in its shortest form. */
static bool take(struct ca_bytes *in, uint8_t tag, struct ca_bytes *content_out)
{
    size_t head = 2;

    if (in->len < 2 || in->data[0] != tag)
        return false;
    size_t len = in->data[1];
    if (len > 0x82 || len == 0x80)
        return false;
    if (len > 0x80) {
        size_t octets = len - 0x80;
        if (in->len < 2 + octets)
            return false;
        len = octets == 1 ? in->data[2] : (size_t)in->data[2] << 8 | in->data[3];
        if (len < (octets == 1 ? 0x80 : 0x100))
            return false;
        head += octets;
    }
    if (len > in->len - head)
        return false;
    *content_out = ca_bytes_of(in->data + head, len);
    *in = ca_bytes_of(in->data + head + len, in->len - head - len);
    return true;
}

static bool take_version(struct ca_bytes *in, uint8_t version)
{
    struct ca_bytes content;
    return take(in, 0x02, &content) && content.len == 1 && content.data[0] == version;
}

/* ECPrivateKey (RFC 5915): the public key, if given, must be the one that belongs to the scalar. */
static enum ca_err parse_elliptic(enum crypto_key_type type, struct ca_bytes in,
                                  struct crypto_private_key **key_out)
{
    struct ca_bytes fields, scalar, parameters, wrapped, bits = { 0 };
    size_t half = crypto_half_len(type);
    enum ca_err err;

    if (!take(&in, 0x30, &fields) || in.len != 0 || !take_version(&fields, 1) ||
        !take(&fields, 0x04, &scalar) || scalar.len != half)
        return CA_ERR_KEY_UNUSABLE;
    if (fields.len > 0 && fields.data[0] == 0xa0) {
        /* The curve again, at the end of the AlgorithmIdentifier. */
        const struct algorithm *known = algorithms;
        while (known->type != type)
            known++;
        struct ca_bytes curve = ca_bytes_of(known->content.data + 9, known->content.len - 9);
        if (!take(&fields, 0xa0, &parameters) || !ca_bytes_equal(parameters, curve))
            return CA_ERR_KEY_UNUSABLE;
    }
    if (fields.len > 0 && (!take(&fields, 0xa1, &wrapped) || !take(&wrapped, 0x03, &bits) ||
                           wrapped.len != 0 || bits.len < 1 || bits.data[0] != 0))
        return CA_ERR_KEY_UNUSABLE;
    if (fields.len != 0)
        return CA_ERR_KEY_UNUSABLE;

    if ((err = key_new(type, half, key_out)) != CA_OK)
        return err;
    memcpy((*key_out)->secret, scalar.data, half);
    if ((err = derive(*key_out)) != CA_OK)
        return err;
    if (bits.data != NULL &&
        !ca_bytes_equal(ca_bytes_of(bits.data + 1, bits.len - 1), (*key_out)->public.point))
        return CA_ERR_KEY_UNUSABLE;
    return CA_OK;
}

static enum ca_err parse_ed25519(struct ca_bytes in, struct crypto_private_key **key_out)
{
    struct ca_bytes seed;
    enum ca_err err;

    if (!take(&in, 0x04, &seed) || in.len != 0 || seed.len != CRYPTO_ED25519_SEED_LEN)
        return CA_ERR_KEY_UNUSABLE;
    if ((err = key_new(CRYPTO_KEY_ED25519, CRYPTO_ED25519_SECRET_LEN, key_out)) != CA_OK)
        return err;
    memcpy((*key_out)->secret, seed.data, seed.len);
    return derive(*key_out);
}

enum { RSA_N, RSA_E, RSA_D, RSA_P, RSA_Q, RSA_DP, RSA_DQ, RSA_QINV, RSA_NUMBER_COUNT };

/* Hands the numbers over to rsa, and empties their places. */
static bool rsa_fill(RSA *rsa, BIGNUM *number[RSA_NUMBER_COUNT])
{
    if (RSA_set0_key(rsa, number[RSA_N], number[RSA_E], number[RSA_D]) != 1)
        return false;
    number[RSA_N] = number[RSA_E] = number[RSA_D] = NULL;
    if (RSA_set0_factors(rsa, number[RSA_P], number[RSA_Q]) != 1)
        return false;
    number[RSA_P] = number[RSA_Q] = NULL;
    if (RSA_set0_crt_params(rsa, number[RSA_DP], number[RSA_DQ], number[RSA_QINV]) != 1)
        return false;
    number[RSA_DP] = number[RSA_DQ] = number[RSA_QINV] = NULL;
    return true;
}

/* value mod (prime - 1). */
static bool reduce(BIGNUM *result, const BIGNUM *value, const BIGNUM *prime, BN_CTX *numbers)
{
    BIGNUM *order = BN_secure_new();
    bool is_good = order != NULL && BN_sub(order, prime, BN_value_one()) == 1 &&
                   BN_nnmod(result, value, order, numbers) == 1;

    BN_clear_free(order);
    return is_good;
}

/* CRT exponent = d mod (prime - 1), and e d = 1 mod (prime - 1). */
static bool rsa_exponent_fits(const BIGNUM *e, const BIGNUM *d, const BIGNUM *prime,
                              const BIGNUM *crt_exponent, BN_CTX *numbers)
{
    BIGNUM *reduced = BN_secure_new(), *product = BN_secure_new();
    bool fits = reduced != NULL && product != NULL && reduce(reduced, d, prime, numbers) &&
                BN_cmp(reduced, crt_exponent) == 0 &&
                BN_mul(product, e, crt_exponent, numbers) == 1 &&
                reduce(reduced, product, prime, numbers) && BN_is_one(reduced);

    BN_clear_free(reduced);
    BN_clear_free(product);
    return fits;
}

/* n = p q, qInv q = 1 mod p, and the factors differ. */
static bool rsa_factors_fit(BIGNUM *const number[RSA_NUMBER_COUNT], BN_CTX *numbers)
{
    BIGNUM *product = BN_secure_new();
    bool fits = product != NULL && BN_cmp(number[RSA_P], number[RSA_Q]) != 0 &&
                BN_mul(product, number[RSA_P], number[RSA_Q], numbers) == 1 &&
                BN_cmp(product, number[RSA_N]) == 0 &&
                BN_cmp(number[RSA_QINV], number[RSA_P]) < 0 &&
                BN_mod_mul(product, number[RSA_QINV], number[RSA_Q], number[RSA_P], numbers) == 1 &&
                BN_is_one(product);

    BN_clear_free(product);
    return fits;
}

/*
 * Every number fits the others: a wrong dP, dQ or qInv makes a signature that is right modulo one
 * factor only, which gives the key away. What costs most, whether the factors are prime, comes
 * last. All in the secure heap, unlike RSA_check_key().
 */
static bool rsa_numbers_fit(BIGNUM *const number[RSA_NUMBER_COUNT])
{
    BN_CTX *numbers = BN_CTX_secure_new();
    bool fits =
        numbers != NULL && BN_is_odd(number[RSA_E]) && !BN_is_one(number[RSA_E]) &&
        BN_is_odd(number[RSA_P]) && !BN_is_one(number[RSA_P]) && BN_is_odd(number[RSA_Q]) &&
        !BN_is_one(number[RSA_Q]) && BN_cmp(number[RSA_D], number[RSA_N]) < 0 &&
        rsa_factors_fit(number, numbers) &&
        rsa_exponent_fits(number[RSA_E], number[RSA_D], number[RSA_P], number[RSA_DP], numbers) &&
        rsa_exponent_fits(number[RSA_E], number[RSA_D], number[RSA_Q], number[RSA_DQ], numbers) &&
        BN_check_prime(number[RSA_P], numbers, NULL) == 1 &&
        BN_check_prime(number[RSA_Q], numbers, NULL) == 1;

    BN_CTX_free(numbers);
    return fits;
}

/* A positive INTEGER in its shortest form, into the secure heap. */
static BIGNUM *take_number(struct ca_bytes *in)
{
    struct ca_bytes content;
    BIGNUM *number;

    if (!take(in, 0x02, &content) || content.len == 0 || content.data[0] >= 0x80 ||
        (content.data[0] == 0 && (content.len == 1 || content.data[1] < 0x80)) ||
        content.len > CRYPTO_MODULUS_LEN_MAX + 1)
        return NULL;
    if ((number = BN_secure_new()) != NULL &&
        BN_bin2bn(content.data, (int)content.len, number) == NULL) {
        BN_clear_free(number);
        number = NULL;
    }
    return number;
}

/* RSAPrivateKey (RFC 8017, appendix A.1.2), two primes. */
static enum ca_err parse_rsa(struct ca_bytes in, struct crypto_private_key **key_out)
{
    struct ca_bytes fields;
    BIGNUM *number[RSA_NUMBER_COUNT] = { NULL };
    struct ca_refusal refusal;
    enum ca_err err = key_new(CRYPTO_KEY_RSA, 0, key_out);

    if (err != CA_OK)
        return err;
    err = CA_ERR_KEY_UNUSABLE;
    if (!take(&in, 0x30, &fields) || in.len != 0 || !take_version(&fields, 0))
        goto out;
    for (int i = 0; i < RSA_NUMBER_COUNT; i++) {
        if ((number[i] = take_number(&fields)) == NULL)
            goto out;
    }
    if (fields.len != 0 || !rsa_numbers_fit(number))
        goto out;
    if (((*key_out)->rsa = RSA_new()) == NULL || !rsa_fill((*key_out)->rsa, number)) {
        err = CA_ERR_NOMEM;
        goto out;
    }
    if ((err = derive(*key_out)) == CA_OK)
        err = crypto_rsa_check(&(*key_out)->public, &refusal);
out:
    for (int i = 0; i < RSA_NUMBER_COUNT; i++)
        BN_clear_free(number[i]);
    return err;
}

static enum crypto_key_type type_of(struct ca_bytes algorithm)
{
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        if (ca_bytes_equal(algorithm, algorithms[i].content))
            return algorithms[i].type;
    }
    return CRYPTO_KEY_NONE;
}

enum ca_err crypto_private_key_parse(struct ca_bytes der, struct crypto_private_key **key_out)
{
    struct ca_bytes fields, algorithm, secret;
    struct crypto_private_key *key = NULL;
    enum ca_err err;

    *key_out = NULL;
    if (!take(&der, 0x30, &fields) || der.len != 0 || !take_version(&fields, 0) ||
        !take(&fields, 0x30, &algorithm) || !take(&fields, 0x04, &secret) || fields.len != 0)
        return CA_ERR_KEY_UNUSABLE;

    enum crypto_key_type type = type_of(algorithm);
    switch (type) {
    case CRYPTO_KEY_NONE: return CA_ERR_KEY_TYPE;
    case CRYPTO_KEY_RSA: err = parse_rsa(secret, &key); break;
    case CRYPTO_KEY_ED25519: err = parse_ed25519(secret, &key); break;
    default: err = parse_elliptic(type, secret, &key); break;
    }
    ERR_clear_error();
    if (err != CA_OK) {
        crypto_private_key_free(key);
        return err;
    }
    *key_out = key;
    return CA_OK;
}

/* ---- encode */

static enum ca_err encode_rsa(const struct crypto_private_key *key, uint8_t *buffer, size_t size,
                              size_t *len_out)
{
    /* SEQUENCE, version 0, rsaEncryption, OCTET STRING; both lengths are filled in. */
    uint8_t head[] = {
        0x30, 0x82, 0x00, 0x00, 0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86,
        0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x04, 0x82, 0x00, 0x00
    };
    int inner = i2d_RSAPrivateKey(key->rsa, NULL);

    if (inner < 0x100 || inner > CRYPTO_PKCS8_LEN_MAX - (int)sizeof(head))
        return CA_ERR_INTERNAL;
    size_t outer = (size_t)inner + sizeof(head) - 4;
    if (size < outer + 4)
        return CA_ERR_FIELD_LENGTH;
    head[2] = (uint8_t)(outer >> 8);
    head[3] = (uint8_t)outer;
    head[24] = (uint8_t)(inner >> 8);
    head[25] = (uint8_t)inner;
    memcpy(buffer, head, sizeof(head));
    uint8_t *at = buffer + sizeof(head);
    if (i2d_RSAPrivateKey(key->rsa, &at) != inner)
        return crypto_openssl_error(CA_ERR_INTERNAL);
    *len_out = outer + 4;
    return CA_OK;
}

enum ca_err crypto_private_key_encode(const struct crypto_private_key *key, uint8_t *buffer,
                                      size_t size, size_t *len_out)
{
    enum crypto_key_type type = key->public.type;

    *len_out = 0;
    if (type == CRYPTO_KEY_RSA)
        return encode_rsa(key, buffer, size, len_out);

    struct ca_bytes head = head_of(type);
    bool is_elliptic = type != CRYPTO_KEY_ED25519;
    size_t secret_len = is_elliptic ? key->secret_len : CRYPTO_ED25519_SEED_LEN;
    size_t point_len = is_elliptic ? key->public.point.len : 0;
    if (size < head.len + secret_len + (is_elliptic ? 5 + point_len : 0))
        return CA_ERR_FIELD_LENGTH;
    memcpy(buffer, head.data, head.len);
    uint8_t *at = buffer + head.len;
    memcpy(at, key->secret, secret_len);
    at += secret_len;
    if (is_elliptic) {
        /* publicKey [1] BIT STRING */
        const uint8_t middle[] = { 0xa1, (uint8_t)(point_len + 3), 0x03, (uint8_t)(point_len + 1),
                                   0x00 };
        memcpy(at, middle, sizeof(middle));
        memcpy(at + sizeof(middle), key->public.point.data, point_len);
        at += sizeof(middle) + point_len;
    }
    *len_out = (size_t)(at - buffer);
    return CA_OK;
}
