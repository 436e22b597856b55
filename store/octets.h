/* SPDX-License-Identifier: Apache-2.0 */
/*
 * octets: numbers to and from stored bytes, through bounded cursors.
 *
 * A cursor that runs out stays failed and gives zeros, so a decoder asks once, at its end.
 */
#pragma once

#include <assert.h>

#include "ca/base/bytes.h"

/* Spelt out, since compilers make one load or store of that, and none of a loop. */
static inline uint32_t octets_load_le32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static inline uint64_t octets_load_le64(const uint8_t *bytes)
{
    return octets_load_le32(bytes) | (uint64_t)octets_load_le32(bytes + 4) << 32;
}

static inline uint64_t octets_load_be64(const uint8_t *bytes)
{
    return __builtin_bswap64(octets_load_le64(bytes));
}

static inline void octets_store_le32(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
    bytes[2] = (uint8_t)(value >> 16);
    bytes[3] = (uint8_t)(value >> 24);
}

static inline void octets_store_le64(uint8_t *bytes, uint64_t value)
{
    octets_store_le32(bytes, (uint32_t)value);
    octets_store_le32(bytes + 4, (uint32_t)(value >> 32));
}

static inline void octets_store_be64(uint8_t *bytes, uint64_t value)
{
    octets_store_le64(bytes, __builtin_bswap64(value));
}

struct octets_reader {
    const uint8_t *data;
    size_t len;
    bool is_failed;
};

static inline struct ca_bytes octets_get(struct octets_reader *reader, size_t len)
{
    struct ca_bytes bytes = { NULL, 0 };

    if (reader->is_failed || reader->len < len) {
        reader->is_failed = true;
        return bytes;
    }
    bytes = ca_bytes_of(reader->data, len);
    reader->data += len;
    reader->len -= len;
    return bytes;
}

/* Zeros when there are not enough octets. */
static inline void octets_get_copy(struct octets_reader *reader, uint8_t *copy, size_t len)
{
    struct ca_bytes bytes = octets_get(reader, len);

    memset(copy, 0, len);
    if (bytes.len != 0)
        memcpy(copy, bytes.data, len);
}

static inline uint8_t octets_get_u8(struct octets_reader *reader)
{
    uint8_t bytes[1];

    octets_get_copy(reader, bytes, sizeof(bytes));
    return bytes[0];
}

static inline uint32_t octets_get_u32(struct octets_reader *reader)
{
    uint8_t bytes[4];

    octets_get_copy(reader, bytes, sizeof(bytes));
    return octets_load_le32(bytes);
}

static inline uint64_t octets_get_u64(struct octets_reader *reader)
{
    uint8_t bytes[8];

    octets_get_copy(reader, bytes, sizeof(bytes));
    return octets_load_le64(bytes);
}

/* Room is the caller's to get right: too little is a bug. */
struct octets_writer {
    uint8_t *data;
    size_t left;
};

static inline void octets_put(struct octets_writer *writer, const void *bytes, size_t len)
{
    assert(len <= writer->left);
    if (len != 0)
        memcpy(writer->data, bytes, len);
    writer->data += len;
    writer->left -= len;
}

static inline void octets_put_u8(struct octets_writer *writer, uint8_t value)
{
    octets_put(writer, &value, 1);
}

static inline void octets_put_u32(struct octets_writer *writer, uint32_t value)
{
    uint8_t bytes[4];

    octets_store_le32(bytes, value);
    octets_put(writer, bytes, sizeof(bytes));
}

static inline void octets_put_u64(struct octets_writer *writer, uint64_t value)
{
    uint8_t bytes[8];

    octets_store_le64(bytes, value);
    octets_put(writer, bytes, sizeof(bytes));
}
