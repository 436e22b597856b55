/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys for the lanes: made on any machine, once, by OpenSSL in its secure heap. */
#include "ca/crypto/rsa_lanes.h"

#include <openssl/crypto.h>

#include "ca/crypto/internal.h"

enum { LIMB_BITS = 52, HALF_OCTETS = RSA_OCTETS_MAX / 2 };

static const uint64_t MASK52 = ((uint64_t)1 << LIMB_BITS) - 1;

/* number < 2^(8 HALF_OCTETS) */
static bool to_limbs(const BIGNUM *number, uint64_t limbs_out[RSA_HALF_LIMBS_MAX])
{
    uint8_t octets[HALF_OCTETS];
    unsigned __int128 window = 0;
    size_t at = 0;
    unsigned bits = 0;

    if (BN_bn2lebinpad(number, octets, sizeof(octets)) < 0)
        return false;
    for (size_t i = 0; i < RSA_HALF_LIMBS_MAX; i++, bits -= LIMB_BITS) {
        for (; bits < LIMB_BITS; bits += 8) {
            uint64_t octet = at < sizeof(octets) ? octets[at++] : 0;
            window |= (unsigned __int128)octet << bits;
        }
        limbs_out[i] = (uint64_t)window & MASK52;
        window >>= LIMB_BITS;
    }
    OPENSSL_cleanse(octets, sizeof(octets));
    OPENSSL_cleanse(&window, sizeof(window));
    return true;
}

/* number 2^shift mod factor */
static bool shifted_limbs(const BIGNUM *number, size_t shift, const BIGNUM *factor, BN_CTX *numbers,
                          uint64_t limbs_out[RSA_HALF_LIMBS_MAX])
{
    BIGNUM *value = BN_secure_new();
    bool is_good = value != NULL && BN_lshift(value, number, (int)shift) == 1 &&
                   BN_nnmod(value, value, factor, numbers) == 1 && to_limbs(value, limbs_out);

    BN_clear_free(value);
    return is_good;
}

static bool fill_half(struct rsa_lanes_key *key, int half, const BIGNUM *factor,
                      const BIGNUM *exponent, BN_CTX *numbers)
{
    size_t r_bits = LIMB_BITS * key->limbs;

    if (!to_limbs(factor, key->factor[half]) || !to_limbs(exponent, key->exponent[half]))
        return false;
    key->inverse[half] = rsa_lanes_inverse(key->factor[half][0]);
    return shifted_limbs(BN_value_one(), 2 * r_bits, factor, numbers, key->square[half]) &&
           shifted_limbs(BN_value_one(), 3 * r_bits, factor, numbers, key->cube[half]);
}

/*
 * The shape the lanes are made for: a usual size, two factors of half of it, all of CRT; and the
 * usual exponent, with which signatures are checked.
 */
static bool fits(const RSA *rsa)
{
    int bits = RSA_bits(rsa);
    const BIGNUM *p = RSA_get0_p(rsa), *q = RSA_get0_q(rsa);

    return bits % 8 == 0 && rsa_lanes_limbs((size_t)bits / 8) != 0 && p != NULL && q != NULL &&
           RSA_get_multi_prime_extra_count(rsa) == 0 && BN_num_bits(p) == bits / 2 &&
           BN_num_bits(q) == bits / 2 && RSA_get0_dmp1(rsa) != NULL && RSA_get0_dmq1(rsa) != NULL &&
           RSA_get0_iqmp(rsa) != NULL && BN_is_word(RSA_get0_e(rsa), CRYPTO_RSA_EXPONENT);
}

enum ca_err crypto_rsa_lanes_key_new(const RSA *rsa, struct rsa_lanes_key **key_out)
{
    struct rsa_lanes_key *key;
    BN_CTX *numbers;
    enum ca_err err = CA_OK;

    *key_out = NULL;
    if (!fits(rsa))
        return CA_OK;
    numbers = BN_CTX_secure_new();
    key = OPENSSL_secure_zalloc(sizeof(*key));
    if (key != NULL)
        key->limbs = rsa_lanes_limbs((size_t)RSA_size(rsa)) / 2;
    if (numbers == NULL || key == NULL ||
        !fill_half(key, 0, RSA_get0_p(rsa), RSA_get0_dmp1(rsa), numbers) ||
        !fill_half(key, 1, RSA_get0_q(rsa), RSA_get0_dmq1(rsa), numbers) ||
        !shifted_limbs(RSA_get0_iqmp(rsa), LIMB_BITS * key->limbs, RSA_get0_p(rsa), numbers,
                       key->crt[0])) {
        crypto_rsa_lanes_key_free(key);
        key = NULL;
        err = crypto_openssl_error(CA_ERR_NOMEM);
    }
    BN_CTX_free(numbers);
    *key_out = key;
    return err;
}

void crypto_rsa_lanes_key_free(struct rsa_lanes_key *key)
{
    OPENSSL_secure_clear_free(key, sizeof(*key));
}
