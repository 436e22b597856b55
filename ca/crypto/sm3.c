/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/sm3.h"

#include "ca/crypto/hash_block.h"

static void compress(uint32_t chain[8], const uint8_t block[CRYPTO_SM3_BLOCK_LEN])
{
    crypto_hash_compress(HASH_SM3, chain, block);
}

void crypto_sm3_init(struct crypto_sm3 *state)
{
    memcpy(state->chain, crypto_hash_first_state[HASH_SM3], sizeof(state->chain));
    state->len = 0;
}

void crypto_sm3_update(struct crypto_sm3 *state, struct ca_bytes bytes)
{
    size_t used = state->len % CRYPTO_SM3_BLOCK_LEN;

    if (bytes.len == 0)
        return;
    state->len += bytes.len;
    if (used + bytes.len < CRYPTO_SM3_BLOCK_LEN) {
        memcpy(state->block + used, bytes.data, bytes.len);
        return;
    }
    if (used > 0) {
        size_t missing = CRYPTO_SM3_BLOCK_LEN - used;
        memcpy(state->block + used, bytes.data, missing);
        compress(state->chain, state->block);
        bytes = ca_bytes_of(bytes.data + missing, bytes.len - missing);
    }
    for (; bytes.len >= CRYPTO_SM3_BLOCK_LEN; bytes.len -= CRYPTO_SM3_BLOCK_LEN) {
        compress(state->chain, bytes.data);
        bytes.data += CRYPTO_SM3_BLOCK_LEN;
    }
    if (bytes.len > 0)
        memcpy(state->block, bytes.data, bytes.len);
}

void crypto_sm3_final(struct crypto_sm3 *state, uint8_t digest[CA_DIGEST_LEN])
{
    size_t used = state->len % CRYPTO_SM3_BLOCK_LEN;
    uint64_t bits = state->len * 8;

    state->block[used++] = 0x80;
    if (used > CRYPTO_SM3_BLOCK_LEN - 8) {
        memset(state->block + used, 0, CRYPTO_SM3_BLOCK_LEN - used);
        compress(state->chain, state->block);
        used = 0;
    }
    memset(state->block + used, 0, CRYPTO_SM3_BLOCK_LEN - 8 - used);
    hash_store_word((uint32_t)(bits >> 32), state->block + CRYPTO_SM3_BLOCK_LEN - 8);
    hash_store_word((uint32_t)bits, state->block + CRYPTO_SM3_BLOCK_LEN - 4);
    compress(state->chain, state->block);
    for (int i = 0; i < 8; i++)
        hash_store_word(state->chain[i], digest + 4 * i);
}

void crypto_sm2_prefix(struct crypto_sm3 *prefix)
{
    /* ENTL, the identity, and a, b, xG, yG of the curve (GB/T 32918.5). */
    static const char constant[] =
        "\x00\x80"
        "1234567812345678"
        "\xff\xff\xff\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
        "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xfc"
        "\x28\xe9\xfa\x9e\x9d\x9f\x5e\x34\x4d\x5a\x9e\x4b\xcf\x65\x09\xa7"
        "\xf3\x97\x89\xf5\x15\xab\x8f\x92\xdd\xbc\xbd\x41\x4d\x94\x0e\x93"
        "\x32\xc4\xae\x2c\x1f\x19\x81\x19\x5f\x99\x04\x46\x6a\x39\xc9\x94"
        "\x8f\xe3\x0b\xbf\xf2\x66\x0b\xe1\x71\x5a\x45\x89\x33\x4c\x74\xc7"
        "\xbc\x37\x36\xa2\xf4\xf6\x77\x9c\x59\xbd\xce\xe3\x6b\x69\x21\x53"
        "\xd0\xa9\x87\x7c\xc6\x2a\x47\x40\x02\xdf\x32\xe5\x21\x39\xf0\xa0";

    crypto_sm3_init(prefix);
    crypto_sm3_update(prefix, CA_BYTES(constant));
}

void crypto_sm2_digest(const struct crypto_sm3 *prefix, const uint8_t point[64],
                       struct ca_bytes message, uint8_t digest[CA_DIGEST_LEN])
{
    struct crypto_sm3 state = *prefix;
    uint8_t z[CA_DIGEST_LEN];

    crypto_sm3_update(&state, ca_bytes_of(point, 64));
    crypto_sm3_final(&state, z);
    crypto_sm3_init(&state);
    crypto_sm3_update(&state, ca_bytes_of(z, sizeof(z)));
    crypto_sm3_update(&state, message);
    crypto_sm3_final(&state, digest);
}
