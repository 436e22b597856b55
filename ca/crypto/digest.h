/* SPDX-License-Identifier: Apache-2.0 */
/* digest: hashes of what is in memory. Any thread; no state is kept. */
#pragma once

#include "ca/base/bytes.h"
#include "ca/base/limits.h"

/* SHA-256 over the concatenation of the parts. */
void crypto_sha256(const struct ca_bytes *parts, size_t count, uint8_t digest[CA_DIGEST_LEN]);
/* Of two messages, which may overlap: in little more than the time of the longer one if the
 * processor has what crypto_sha256_has_pair() looks for, otherwise one after the other. */
void crypto_sha256_two(const struct ca_bytes messages[2], uint8_t (*digests_out)[CA_DIGEST_LEN]);
bool crypto_sha256_has_pair(void);
void crypto_sm3(const struct ca_bytes *parts, size_t count, uint8_t digest[CA_DIGEST_LEN]);
/* SHA-1 is used for nothing but the key identifier of RFC 5280, section 4.2.1.2, method 1. */
void crypto_sha1_key_id(struct ca_bytes bytes, uint8_t digest[20]);
