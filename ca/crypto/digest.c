/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/digest.h"

#include <assert.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif
#include <openssl/sha.h>

#include "ca/crypto/hash_pair.h"
#include "ca/crypto/sm3.h"

_Static_assert(sizeof(((SHA256_CTX *)0)->h) == HASH_STATE_WORDS * sizeof(uint32_t), "its state");

/* The one-shot SHA256() of OpenSSL 3 looks the algorithm up at every call; these do not. */
void crypto_sha256(const struct ca_bytes *parts, size_t count, uint8_t digest[CA_DIGEST_LEN])
{
    SHA256_CTX state;

    SHA256_Init(&state);
    for (size_t i = 0; i < count; i++)
        SHA256_Update(&state, parts[i].data, parts[i].len);
    SHA256_Final(digest, &state);
}

bool crypto_sha256_has_pair(void)
{
#ifdef __x86_64__
    const unsigned int leaf = 7, sha = 1u << 29; /* in ebx; no name that every compiler knows */
    unsigned int a, b, c, d;

    return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(leaf, 0, &a, &b, &c, &d) != 0 &&
           (b & sha) != 0;
#else
    return false;
#endif
}

/* What both have goes side by side; OpenSSL, told how much that was, does the rest. */
static void take_common(SHA256_CTX states[2], const struct ca_bytes messages[2], size_t len)
{
    uint32_t words[2][HASH_STATE_WORDS];
    uint64_t bits = (uint64_t)len * 8;

    for (int i = 0; i < 2; i++)
        memcpy(words[i], states[i].h, sizeof(words[i]));
    crypto_hash_sha256_pair(words, messages[0].data, messages[1].data, len / HASH_BLOCK_LEN);
    for (int i = 0; i < 2; i++) {
        memcpy(states[i].h, words[i], sizeof(words[i]));
        states[i].Nl = (SHA_LONG)bits;
        states[i].Nh = (SHA_LONG)(bits >> 32);
    }
}

void crypto_sha256_two(const struct ca_bytes messages[2], uint8_t (*digests_out)[CA_DIGEST_LEN])
{
    size_t common = messages[0].len < messages[1].len ? messages[0].len : messages[1].len;
    SHA256_CTX states[2];

    common = crypto_sha256_has_pair() ? common - common % HASH_BLOCK_LEN : 0;
    for (int i = 0; i < 2; i++)
        SHA256_Init(&states[i]);
    if (common > 0)
        take_common(states, messages, common);
    for (int i = 0; i < 2; i++) {
        SHA256_Update(&states[i], messages[i].data + common, messages[i].len - common);
        SHA256_Final(digests_out[i], &states[i]);
    }
}

/* ---- messages with their padding */

size_t crypto_sha256_pad(uint8_t *message, size_t len)
{
    size_t total = (len + 9 + HASH_BLOCK_LEN - 1) / HASH_BLOCK_LEN * HASH_BLOCK_LEN;

    memset(message + len, 0, total - len);
    message[len] = 0x80;
    ca_bytes_put_number(message + total - 8, (uint64_t)len * 8, 8); /* its bits */
    return total;
}

static void store_state(const uint32_t state[HASH_STATE_WORDS], uint8_t digest[CA_DIGEST_LEN])
{
    for (size_t i = 0; i < HASH_STATE_WORDS; i++)
        hash_store_word(state[i], digest + 4 * i);
}

static void padded_one(struct ca_bytes message, uint8_t digest[CA_DIGEST_LEN])
{
    SHA256_CTX state;

    SHA256_Init(&state);
    SHA256_Update(&state, message.data, message.len);
    store_state(state.h, digest);
}

/* Two messages on their way. */
struct pair {
    uint32_t states[2][HASH_STATE_WORDS];
    const uint8_t *next[2];
    size_t blocks[2]; /* to come */
    size_t index[2];
};

static void pair_take(struct pair *pair, int side, struct ca_bytes message, size_t index)
{
    memcpy(pair->states[side], crypto_hash_first_state[HASH_SHA256], sizeof(pair->states[side]));
    pair->next[side] = message.data;
    pair->blocks[side] = message.len / HASH_BLOCK_LEN;
    pair->index[side] = index;
}

/* To the end of the shorter; one that is alone keeps itself company. */
static void pair_step(struct pair *pair)
{
    int idle = pair->blocks[0] == 0 ? 0 : 1;

    if (pair->blocks[idle] == 0) {
        pair->next[idle] = pair->next[!idle];
        pair->blocks[idle] = pair->blocks[!idle];
    }
    size_t blocks = pair->blocks[0] < pair->blocks[1] ? pair->blocks[0] : pair->blocks[1];
    crypto_hash_sha256_pair(pair->states, pair->next[0], pair->next[1], blocks);
    for (int i = 0; i < 2; i++) {
        pair->next[i] += blocks * HASH_BLOCK_LEN;
        pair->blocks[i] -= blocks;
    }
}

static void padded_pairs(const struct ca_bytes *messages, size_t count,
                         uint8_t (*digests_out)[CA_DIGEST_LEN])
{
    struct pair pair = { .blocks = { 0 } };
    size_t given = 0, done = 0;

    while (done < count) {
        for (int i = 0; i < 2; i++)
            if (pair.blocks[i] == 0 && given < count) {
                pair_take(&pair, i, messages[given], given);
                given++;
            }
        bool was_open[2] = { pair.blocks[0] > 0, pair.blocks[1] > 0 };
        pair_step(&pair);
        for (int i = 0; i < 2; i++)
            if (was_open[i] && pair.blocks[i] == 0) {
                store_state(pair.states[i], digests_out[pair.index[i]]);
                done++;
            }
    }
}

void crypto_sha256_padded(bool has_pair, const struct ca_bytes *messages, size_t count,
                          uint8_t (*digests_out)[CA_DIGEST_LEN])
{
    for (size_t i = 0; i < count; i++)
        assert(messages[i].len > 0 && messages[i].len % HASH_BLOCK_LEN == 0);
    if (has_pair)
        padded_pairs(messages, count, digests_out);
    else
        for (size_t i = 0; i < count; i++)
            padded_one(messages[i], digests_out[i]);
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
