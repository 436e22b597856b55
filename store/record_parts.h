/* SPDX-License-Identifier: Apache-2.0 */
/* record_parts: what the files that encode records share. */
#pragma once

#include "store/octets.h"
#include "store/record.h"

/* A reader of what the seal covers; already failed when the seal or the version is wrong. */
struct octets_reader record_open(enum store_table table, struct ca_bytes key,
                                 struct ca_bytes value);

static inline enum ca_err record_end(const struct octets_reader *reader)
{
    return reader->is_failed || reader->len != 0 ? CA_ERR_STORAGE_CORRUPT : CA_OK;
}

static inline void record_get_digest(struct octets_reader *reader, struct store_digest *digest_out)
{
    octets_get_copy(reader, digest_out->bytes, STORE_DIGEST_LEN);
}

static inline void record_put_digest(struct octets_writer *writer,
                                     const struct store_digest *digest)
{
    octets_put(writer, digest->bytes, STORE_DIGEST_LEN);
}

/* An octet below count; the reader fails at any other. */
static inline uint8_t record_get_enum(struct octets_reader *reader, int count)
{
    uint8_t value = octets_get_u8(reader);

    if (value >= count)
        reader->is_failed = true;
    return value;
}
