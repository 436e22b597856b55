/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/hash_many.h"

#include <openssl/crypto.h>
#include <string.h>

#include "ca/crypto/hash_block.h"

/*
 * A message on its way: whole blocks where they are, then one or two with the padding. With a
 * head, the first block is put together from both.
 */
struct stream {
    const uint8_t *next;
    const uint8_t *rest;  /* of the message, behind the first block */
    size_t whole, padded; /* blocks to come */
    size_t message;
    uint8_t first[HASH_BLOCK_LEN];
    uint8_t tail[2 * HASH_BLOCK_LEN];
};

struct batch {
    const uint8_t *const *heads; /* NULL, or CRYPTO_HASH_LEN octets before each message */
    const struct ca_bytes *messages;
    size_t count;
};

static void stream_pad(struct stream *stream, size_t len, uint64_t bits)
{
    stream->padded = len + 9 <= HASH_BLOCK_LEN ? 1 : 2;
    memset(stream->tail + len, 0, sizeof(stream->tail) - len);
    stream->tail[len] = 0x80;
    for (size_t i = 0; i < 8; i++)
        stream->tail[stream->padded * HASH_BLOCK_LEN - 1 - i] = (uint8_t)(bits >> (8 * i));
}

static void stream_open(struct stream *stream, const struct batch *batch, size_t index)
{
    struct ca_bytes message = batch->messages[index];
    size_t head_len = batch->heads == NULL ? 0 : CRYPTO_HASH_LEN;
    size_t total = head_len + message.len, tail_len = total % HASH_BLOCK_LEN;

    stream->whole = total / HASH_BLOCK_LEN;
    stream->message = index;
    stream->rest = message.data;
    stream->next = message.data;
    if (head_len > 0) {
        uint8_t *start = stream->whole > 0 ? stream->first : stream->tail;
        size_t part = stream->whole > 0 ? HASH_BLOCK_LEN - head_len : message.len;

        memcpy(start, batch->heads[index], head_len);
        if (part > 0)
            memcpy(start + head_len, message.data, part);
        stream->rest = part > 0 ? message.data + part : message.data;
        stream->next = start;
    }
    if (stream->whole > 0 && tail_len > 0)
        memcpy(stream->tail, message.data + message.len - tail_len, tail_len);
    else if (head_len == 0 && tail_len > 0)
        memcpy(stream->tail, message.data, tail_len);
    stream_pad(stream, tail_len, (uint64_t)total * 8);
    if (stream->whole == 0)
        stream->next = stream->tail;
}

static bool stream_is_open(const struct stream *stream)
{
    return stream->whole + stream->padded > 0;
}

/* Past one block; the padding follows the last whole one. */
static void stream_advance(struct stream *stream)
{
    if (stream->whole == 0) {
        stream->padded--;
        stream->next += HASH_BLOCK_LEN;
        return;
    }
    stream->next = stream->next == stream->first ? stream->rest : stream->next + HASH_BLOCK_LEN;
    if (--stream->whole == 0)
        stream->next = stream->tail;
}

static void store_digest(const uint32_t state[HASH_STATE_WORDS], uint8_t digest[CRYPTO_HASH_LEN])
{
    for (int i = 0; i < HASH_STATE_WORDS; i++)
        hash_store_word(state[i], digest + 4 * i);
}

/* From whatever state on to the end. */
static void stream_finish(enum hash_kind kind, struct stream *stream,
                          uint32_t state[HASH_STATE_WORDS], uint8_t digest[CRYPTO_HASH_LEN])
{
    for (; stream_is_open(stream); stream_advance(stream))
        crypto_hash_compress(kind, state, stream->next);
    store_digest(state, digest);
}

struct lanes {
    struct stream stream[HASH_LANES];
    uint32_t state[HASH_STATE_WORDS][HASH_LANES];
    size_t open_count;
};

static void lane_state(const struct lanes *lanes, size_t lane, uint32_t state[HASH_STATE_WORDS])
{
    for (int i = 0; i < HASH_STATE_WORDS; i++)
        state[i] = lanes->state[i][lane];
}

/* Gives idle lanes the next messages; how many have been given out in all. */
static size_t lanes_fill(enum hash_kind kind, struct lanes *lanes, const struct batch *batch,
                         size_t given)
{
    for (size_t lane = 0; lane < HASH_LANES && given < batch->count; lane++) {
        if (stream_is_open(&lanes->stream[lane]))
            continue;
        stream_open(&lanes->stream[lane], batch, given++);
        lanes->open_count++;
        for (int i = 0; i < HASH_STATE_WORDS; i++)
            lanes->state[i][lane] = crypto_hash_first_state[kind][i];
    }
    return given;
}

/* One block of every open stream. */
static void lanes_step(enum hash_kind kind, struct lanes *lanes,
                       uint8_t (*digests)[CRYPTO_HASH_LEN])
{
    static const uint8_t nothing[HASH_BLOCK_LEN];
    const uint8_t *block[HASH_LANES];
    uint32_t state[HASH_STATE_WORDS];

    for (size_t lane = 0; lane < HASH_LANES; lane++)
        block[lane] = stream_is_open(&lanes->stream[lane]) ? lanes->stream[lane].next : nothing;
    crypto_hash_compress_lanes(kind, lanes->state, block);
    for (size_t lane = 0; lane < HASH_LANES; lane++) {
        struct stream *stream = &lanes->stream[lane];

        if (!stream_is_open(stream))
            continue;
        stream_advance(stream);
        if (stream_is_open(stream))
            continue;
        lane_state(lanes, lane, state);
        store_digest(state, digests[stream->message]);
        lanes->open_count--;
    }
}

static void hash_lanes(enum hash_kind kind, const struct batch *batch,
                       uint8_t (*digests)[CRYPTO_HASH_LEN])
{
    struct lanes lanes;
    uint32_t state[HASH_STATE_WORDS];

    memset(&lanes, 0, sizeof(lanes));
    size_t given = lanes_fill(kind, &lanes, batch, 0);
    while (lanes.open_count >= HASH_LANES_MIN) {
        lanes_step(kind, &lanes, digests);
        given = lanes_fill(kind, &lanes, batch, given);
    }
    for (size_t lane = 0; lane < HASH_LANES; lane++) { /* stragglers */
        struct stream *stream = &lanes.stream[lane];

        if (!stream_is_open(stream))
            continue;
        lane_state(&lanes, lane, state);
        stream_finish(kind, stream, state, digests[stream->message]);
    }
    OPENSSL_cleanse(&lanes, sizeof(lanes));
    OPENSSL_cleanse(state, sizeof(state));
}

static void hash_portable(enum hash_kind kind, const struct batch *batch,
                          uint8_t (*digests)[CRYPTO_HASH_LEN])
{
    struct stream stream;
    uint32_t state[HASH_STATE_WORDS];

    for (size_t i = 0; i < batch->count; i++) {
        memcpy(state, crypto_hash_first_state[kind], sizeof(state));
        stream_open(&stream, batch, i);
        stream_finish(kind, &stream, state, digests[i]);
    }
    OPENSSL_cleanse(&stream, sizeof(stream));
    OPENSSL_cleanse(state, sizeof(state));
}

static void hash_many(enum hash_kind kind, enum crypto_ec_backend backend,
                      const struct batch *batch, uint8_t (*digests)[CRYPTO_HASH_LEN])
{
    if (backend == CRYPTO_EC_LANES && batch->count >= HASH_LANES_MIN)
        hash_lanes(kind, batch, digests);
    else if (batch->count > 0)
        hash_portable(kind, batch, digests);
}

void crypto_sm3_many(enum crypto_ec_backend backend, const uint8_t *const *heads,
                     const struct ca_bytes *messages, size_t count,
                     uint8_t (*digests_out)[CRYPTO_HASH_LEN])
{
    hash_many(HASH_SM3, backend, &(struct batch){ heads, messages, count }, digests_out);
}

void crypto_sha256_many(enum crypto_ec_backend backend, const struct ca_bytes *messages,
                        size_t count, uint8_t (*digests_out)[CRYPTO_HASH_LEN])
{
    hash_many(HASH_SHA256, backend, &(struct batch){ NULL, messages, count }, digests_out);
}
