/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ed25519 by libsodium, which takes half the time of OpenSSL 3.0 for it and refuses keys and
 * signatures in small subgroups and in encodings that are not the canonical one.
 */
#include <sodium.h>

#include "ca/crypto/internal.h"

_Static_assert(CRYPTO_ED25519_SECRET_LEN == crypto_sign_ed25519_SECRETKEYBYTES, "seed and point");
_Static_assert(CRYPTO_ED25519_SEED_LEN == crypto_sign_ed25519_SEEDBYTES, "seed");

enum ca_err crypto_ed25519_verify(struct ca_bytes point, struct ca_bytes message,
                                  struct ca_bytes signature)
{
    if (point.len != crypto_sign_ed25519_PUBLICKEYBYTES)
        return CA_ERR_CSR_POINT;
    if (signature.len == crypto_sign_ed25519_BYTES &&
        crypto_sign_ed25519_verify_detached(signature.data, message.data, message.len,
                                            point.data) == 0)
        return CA_OK;
    /* Dear, therefore only to name the reason. */
    if (crypto_core_ed25519_is_valid_point(point.data) != 1)
        return CA_ERR_CSR_POINT;
    return CA_ERR_CSR_SIG;
}

enum ca_err crypto_ed25519_sign(const uint8_t *secret, struct ca_bytes message,
                                struct crypto_signature *signature)
{
    if (crypto_sign_ed25519_detached(signature->bytes, NULL, message.data, message.len, secret) !=
        0)
        return CA_ERR_KEY_UNUSABLE;
    signature->len = crypto_sign_ed25519_BYTES;
    return CA_OK;
}

void crypto_ed25519_derive(uint8_t secret[CRYPTO_ED25519_SECRET_LEN])
{
    uint8_t seed[CRYPTO_ED25519_SEED_LEN];
    uint8_t point[crypto_sign_ed25519_PUBLICKEYBYTES];

    memcpy(seed, secret, sizeof(seed));
    (void)crypto_sign_ed25519_seed_keypair(point, secret, seed); /* cannot fail */
    sodium_memzero(seed, sizeof(seed));
}
