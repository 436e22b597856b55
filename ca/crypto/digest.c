/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/digest.h"

#include <openssl/sha.h>

#include "ca/crypto/sm3.h"

/* The one-shot SHA256() of OpenSSL 3 looks the algorithm up at every call; these do not. */
void crypto_sha256(const struct ca_bytes *parts, size_t count, uint8_t digest[CA_DIGEST_LEN])
{
    SHA256_CTX state;

    SHA256_Init(&state);
    for (size_t i = 0; i < count; i++)
        SHA256_Update(&state, parts[i].data, parts[i].len);
    SHA256_Final(digest, &state);
}

void crypto_sm3(const struct ca_bytes *parts, size_t count, uint8_t digest[CA_DIGEST_LEN])
{
    struct crypto_sm3 state;

    crypto_sm3_init(&state);
    for (size_t i = 0; i < count; i++)
        crypto_sm3_update(&state, parts[i]);
    crypto_sm3_final(&state, digest);
}

void crypto_sha1_key_id(struct ca_bytes bytes, uint8_t digest[20])
{
    SHA_CTX state;

    SHA1_Init(&state);
    SHA1_Update(&state, bytes.data, bytes.len);
    SHA1_Final(digest, &state);
}
