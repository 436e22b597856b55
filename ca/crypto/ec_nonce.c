/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/ec_nonce.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <string.h>

#include "ca/crypto/hash_block.h"

enum {
    HMAC_BYTE_INNER = 0x36, /* RFC 2104 */
    HMAC_BYTE_OUTER = 0x5c,
    HMAC_MESSAGE_MAX = 2 * HASH_BLOCK_LEN - 9, /* with padding, two blocks */
};

/* SHA-256 states behind the key blocks of HMAC. */
struct hmac {
    uint32_t inner[HASH_STATE_WORDS], outer[HASH_STATE_WORDS];
};

static void hmac_half(uint32_t state[HASH_STATE_WORDS], const uint8_t key[32], uint8_t byte)
{
    uint8_t block[HASH_BLOCK_LEN];

    memset(block, byte, sizeof(block));
    for (int i = 0; i < 32; i++)
        block[i] ^= key[i];
    memcpy(state, crypto_hash_first_state[HASH_SHA256], 4 * HASH_STATE_WORDS);
    crypto_hash_compress(HASH_SHA256, state, block);
    OPENSSL_cleanse(block, sizeof(block));
}

static void hmac_init(struct hmac *hmac, const uint8_t key[32])
{
    hmac_half(hmac->inner, key, HMAC_BYTE_INNER);
    hmac_half(hmac->outer, key, HMAC_BYTE_OUTER);
}

/* Pads a message that follows one block of key; how many blocks it takes, 1 or 2. */
static size_t hmac_pad(uint8_t padded[2 * HASH_BLOCK_LEN], size_t len)
{
    size_t size = len + 9 <= HASH_BLOCK_LEN ? HASH_BLOCK_LEN : 2 * HASH_BLOCK_LEN;
    size_t bits = 8 * (HASH_BLOCK_LEN + len);

    memset(padded + len, 0, size - len);
    padded[len] = 0x80;
    padded[size - 2] = (uint8_t)(bits >> 8);
    padded[size - 1] = (uint8_t)bits;
    return size / HASH_BLOCK_LEN;
}

static void store_state(const uint32_t state[HASH_STATE_WORDS], uint8_t out[32])
{
    for (int i = 0; i < HASH_STATE_WORDS; i++)
        hash_store_word(state[i], out + 4 * i);
}

static void hmac_sum(const struct hmac *hmac, const uint8_t *message, size_t len, uint8_t out[32])
{
    uint8_t padded[2 * HASH_BLOCK_LEN];
    uint32_t state[HASH_STATE_WORDS];

    assert(len <= HMAC_MESSAGE_MAX);
    memcpy(padded, message, len);
    size_t count = hmac_pad(padded, len);
    memcpy(state, hmac->inner, sizeof(state));
    for (size_t i = 0; i < count; i++)
        crypto_hash_compress(HASH_SHA256, state, padded + i * HASH_BLOCK_LEN);
    store_state(state, padded);
    hmac_pad(padded, 32);
    memcpy(state, hmac->outer, sizeof(state));
    crypto_hash_compress(HASH_SHA256, state, padded);
    store_state(state, out);
    OPENSSL_cleanse(padded, sizeof(padded));
    OPENSSL_cleanse(state, sizeof(state));
}

void crypto_ec_nonce_prepare(struct crypto_ec_key *key)
{
    /* The curve takes part: one scalar on both curves gives unrelated nonces. */
    uint8_t label[] = "certmill nonce key, curve 0";
    struct hmac hmac;
    uint8_t secret[32];

    label[sizeof(label) - 2] = (uint8_t)('0' + key->curve);
    hmac_init(&hmac, key->secret);
    hmac_sum(&hmac, label, sizeof(label) - 1, secret);
    hmac_init(&hmac, secret);
    memcpy(key->nonce_inner, hmac.inner, sizeof(hmac.inner));
    memcpy(key->nonce_outer, hmac.outer, sizeof(hmac.outer));
    OPENSSL_cleanse(&hmac, sizeof(hmac));
    OPENSSL_cleanse(secret, sizeof(secret));
}

/* 1 <= k < n? The answer is about a number that is thrown away if it is no. */
static bool take_candidate(const struct ec_curve *curve, const uint8_t bytes[32],
                           struct ec_number *k)
{
    ec_number_load(k, bytes);
    uint64_t mask = ec_number_less_mask(k, &curve->n.m) & ~ec_number_zero_mask(k);
    EC_DECLASSIFY(&mask, sizeof(mask));
    return mask != 0;
}

/* RFC 6979, section 3.2, with V, K and the key's HMAC states side by side. */
struct drbg {
    struct hmac hmac;
    uint8_t v[32];
};

/* K = HMAC(K, V || separator || seed), V = HMAC(K, V). */
static void drbg_update(struct drbg *drbg, uint8_t separator, const uint8_t *seed, size_t seed_len)
{
    uint8_t message[32 + 1 + 64], k[32];

    memcpy(message, drbg->v, 32);
    message[32] = separator;
    memcpy(message + 33, seed, seed_len);
    hmac_sum(&drbg->hmac, message, 33 + seed_len, k);
    hmac_init(&drbg->hmac, k);
    hmac_sum(&drbg->hmac, drbg->v, 32, drbg->v);
    OPENSSL_cleanse(message, sizeof(message));
    OPENSSL_cleanse(k, sizeof(k));
}

static void nonce_deterministic(const struct ec_curve *curve, const struct crypto_ec_key *key,
                                const uint8_t *digest, uint8_t *attempt, struct ec_number *k)
{
    static const uint8_t zero[32];
    struct drbg drbg;
    struct ec_number number;
    uint8_t seed[64];
    unsigned accepted = 0;

    memcpy(seed, key->secret, 32);
    ec_number_load(&number, digest);
    ec_number_reduce_once(&curve->n, 0, &number); /* bits2octets */
    ec_number_store(&number, seed + 32);
    memset(drbg.v, 1, sizeof(drbg.v));
    hmac_init(&drbg.hmac, zero);
    drbg_update(&drbg, 0, seed, sizeof(seed));
    drbg_update(&drbg, 1, seed, sizeof(seed));
    for (;;) {
        hmac_sum(&drbg.hmac, drbg.v, 32, drbg.v);
        if (take_candidate(curve, drbg.v, k) && accepted++ == *attempt)
            break;
        drbg_update(&drbg, 0, seed, 0);
    }
    *attempt += 1;
    OPENSSL_cleanse(&drbg, sizeof(drbg));
    OPENSSL_cleanse(seed, sizeof(seed));
    OPENSSL_cleanse(&number, sizeof(number));
}

enum { HEDGED_LEN = CRYPTO_EC_DIGEST_LEN + CRYPTO_EC_FRESH_LEN + 1 };

static void hedged_message(const uint8_t *digest, const uint8_t *fresh, uint8_t attempt,
                           uint8_t message[HEDGED_LEN])
{
    memcpy(message, digest, CRYPTO_EC_DIGEST_LEN);
    memcpy(message + CRYPTO_EC_DIGEST_LEN, fresh, CRYPTO_EC_FRESH_LEN);
    message[HEDGED_LEN - 1] = attempt;
}

static void nonce_hedged(const struct ec_curve *curve, const struct crypto_ec_key *key,
                         const uint8_t *digest, const uint8_t *fresh, uint8_t *attempt,
                         struct ec_number *k)
{
    uint8_t message[HEDGED_LEN], sum[32];
    struct hmac hmac;

    memcpy(hmac.inner, key->nonce_inner, sizeof(hmac.inner));
    memcpy(hmac.outer, key->nonce_outer, sizeof(hmac.outer));
    do {
        hedged_message(digest, fresh, *attempt, message);
        *attempt += 1;
        hmac_sum(&hmac, message, sizeof(message), sum);
    } while (!take_candidate(curve, sum, k));
    OPENSSL_cleanse(&hmac, sizeof(hmac));
    OPENSSL_cleanse(sum, sizeof(sum));
}

static void broadcast(uint32_t state[HASH_STATE_WORDS][HASH_LANES],
                      const uint32_t from[HASH_STATE_WORDS])
{
    for (int i = 0; i < HASH_STATE_WORDS; i++) {
        for (int lane = 0; lane < HASH_LANES; lane++)
            state[i][lane] = from[i];
    }
}

/* What nonce_hedged() does, with a first attempt for sixteen at once. */
static void nonces_hedged_lanes(const struct crypto_ec_key *key,
                                const uint8_t (*digests)[CRYPTO_EC_DIGEST_LEN],
                                const uint8_t (*fresh)[CRYPTO_EC_FRESH_LEN], size_t count,
                                uint8_t sums[HASH_LANES][32])
{
    uint8_t padded[HASH_LANES][2 * HASH_BLOCK_LEN];
    uint32_t state[HASH_STATE_WORDS][HASH_LANES];
    const uint8_t *block[HASH_LANES];

    for (size_t i = 0; i < HASH_LANES; i++) {
        size_t from = i < count ? i : 0;
        hedged_message(digests[from], fresh[from], 0, padded[i]);
        hmac_pad(padded[i], HEDGED_LEN);
    }
    broadcast(state, key->nonce_inner);
    for (size_t part = 0; part < 2; part++) {
        for (size_t i = 0; i < HASH_LANES; i++)
            block[i] = padded[i] + part * HASH_BLOCK_LEN;
        crypto_hash_compress_lanes(HASH_SHA256, state, block);
    }
    for (size_t i = 0; i < HASH_LANES; i++) {
        for (int word = 0; word < HASH_STATE_WORDS; word++)
            hash_store_word(state[word][i], padded[i] + 4 * word);
        hmac_pad(padded[i], 32);
        block[i] = padded[i];
    }
    broadcast(state, key->nonce_outer);
    crypto_hash_compress_lanes(HASH_SHA256, state, block);
    for (size_t i = 0; i < HASH_LANES; i++) {
        for (int word = 0; word < HASH_STATE_WORDS; word++)
            hash_store_word(state[word][i], sums[i] + 4 * word);
    }
    OPENSSL_cleanse(padded, sizeof(padded));
    OPENSSL_cleanse(state, sizeof(state));
}

void crypto_ec_nonce_many(enum crypto_ec_backend backend, const struct crypto_ec_key *key,
                          const uint8_t (*digests)[CRYPTO_EC_DIGEST_LEN],
                          const uint8_t (*fresh)[CRYPTO_EC_FRESH_LEN], size_t count,
                          uint8_t *attempts, struct ec_number *nonces_out)
{
    const struct ec_curve *curve = crypto_ec_curve_of(key->curve);
    uint8_t sums[HASH_LANES][32];

    assert(count <= EC_NONCE_MAX);
    for (size_t i = 0; i < count; i++) {
        bool is_taken = false;

        if (fresh == NULL) {
            nonce_deterministic(curve, key, digests[i], &attempts[i], &nonces_out[i]);
            continue;
        }
        if (backend == CRYPTO_EC_LANES && count >= HASH_LANES_MIN) {
            if (i % HASH_LANES == 0)
                nonces_hedged_lanes(key, digests + i, fresh + i, count - i, sums);
            if (attempts[i] == 0) {
                is_taken = take_candidate(curve, sums[i % HASH_LANES], &nonces_out[i]);
                attempts[i] = 1;
            }
        }
        if (!is_taken)
            nonce_hedged(curve, key, digests[i], fresh[i], &attempts[i], &nonces_out[i]);
    }
    OPENSSL_cleanse(sums, sizeof(sums));
}
